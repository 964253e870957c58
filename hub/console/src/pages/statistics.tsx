import { useQuery } from '@tanstack/react-query'
import { Segmented, Table } from 'antd'
import { useSearchParams } from 'react-router'
import { call } from '../api.ts'
import { nameOf } from '../fields.ts'
import { operations, type Text } from '../meta.ts'
import { Bar, Lines } from '../parts/charts.tsx'
import { Filter } from '../parts/filter.tsx'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { useSession } from '../session.tsx'
import { daysBetween, t, useWords } from '../words.tsx'

type Line = Record<string, unknown>

/** What is counted, and how each figure is drawn; those without a look stand in the table alone. */
const figures: Readonly<Record<string, { name: Text; of: Readonly<Record<string, readonly [Text, look?: string]>> }>> = {
  supply: {
    name: t('数据提供', 'Supply'),
    of: {
      changed: [t('变更行数', 'changed rows'), 'act'],
      loaded: [t('全量行数', 'rows of snapshots'), 'soon'],
      same: [t('未变行数', 'rows without a change')],
      batches: [t('批次', 'batches')],
      resources: [t('资源数', 'resources')],
    },
  },
  delivery: {
    name: t('数据交付', 'Delivery'),
    of: {
      written: [t('写入行数', 'rows written'), 'act'],
      deleted: [t('删除行数', 'rows deleted'), 'bad'],
      routes: [t('路由数', 'routes')],
    },
  },
  applications: {
    name: t('共享申请', 'Applications'),
    of: {
      submitted: [t('提交', 'submitted'), 'act'],
      approved: [t('批准', 'approved'), 'proved'],
      rejected: [t('驳回', 'rejected'), 'bad'],
      withdrawn: [t('撤回', 'withdrawn')],
    },
  },
  duties: {
    name: t('更新义务', 'Update duties'),
    of: {
      updated: [t('已更新', 'updated'), 'proved'],
      explained: [t('已说明', 'explained'), 'act'],
      overdue: [t('已逾期', 'overdue'), 'bad'],
      excused: [t('已免责', 'excused')],
    },
  },
}

/** Figures of some days, by day or by agency: drawn, and as the table that they are drawn from. The address keeps what was chosen. */
export default function StatisticsPage() {
  const { say } = useWords()
  const { can, everywhere } = useSession()
  const [search, setSearch] = useSearchParams()
  const readable = Object.keys(figures).filter((one) => can(`statistics.${one}`))
  const what = readable.find((one) => one === search.get('what')) ?? readable[0]!
  const by = search.get('by') === 'agency' ? 'agency' : 'day'
  const asked = {
    by,
    ...Object.fromEntries(['from', 'to', 'agency'].flatMap((name) => (search.get(name) ? [[name, search.get(name)!]] : []))),
  }
  const { data, error, refetch } = useQuery({
    queryKey: ['statistics', what, asked],
    queryFn: ({ signal }) => call<{ from: string; to: string; items: Line[] }>(`statistics.${what}`, { query: asked, signal }),
  })
  const choose = (name: string, value: string | undefined) => {
    const next = new URLSearchParams(search)
    if (value === undefined) next.delete(name)
    else next.set(name, value)
    setSearch(next, { replace: true })
  }
  const filters = (operations[`statistics.${what}`]!.query ?? []).filter(({ name }) => name !== 'by')
  const { of } = figures[what]!
  return (
    <>
      <h1>{say(t('统计', 'Statistics'))}</h1>
      <div className="filters">
        <Segmented
          value={what}
          onChange={(value) => choose('what', value)}
          options={readable.map((one) => ({ value: one, label: say(figures[one]!.name) }))}
        />
        <Segmented
          value={by}
          onChange={(value) => choose('by', value)}
          options={[
            { value: 'day', label: say(t('按日', 'by day')) },
            { value: 'agency', label: say(t('按单位', 'by agency')) },
          ]}
        />
        {filters
          .filter(({ name }) => name !== 'agency' || everywhere(`statistics.${what}`))
          .map((field) => (
            <Filter
              key={field.name}
              field={field}
              kind={undefined}
              value={search.get(field.name) ?? (field.name === 'agency' ? undefined : (data?.[field.name as 'from' | 'to'] ?? undefined))}
              change={(value) => choose(field.name, value)}
            />
          ))}
      </div>
      {error && <Failed error={error} again={() => void refetch()} />}
      {!data && !error && <Waiting />}
      {data && by === 'day' && <ByDay items={data.items} days={daysBetween(data.from, data.to)} of={of} />}
      {data && <Figures by={by} items={data.items} of={of} />}
    </>
  )
}

type Of = (typeof figures)[string]['of']
const number = (value: unknown): number => Number(value ?? 0)
const sum = (items: readonly Line[], name: string): number => items.reduce((total, line) => total + number(line[name]), 0)

function ByDay({ items, days, of }: { items: readonly Line[]; days: readonly string[]; of: Of }) {
  const { say } = useWords()
  const found = new Map(items.map((line) => [line['day'], line]))
  const drawn = Object.entries(of).flatMap(([name, [text, look]]) =>
    look ? [{ name: say(text), total: sum(items, name), look, values: days.map((day) => number(found.get(day)?.[name])) }] : [],
  )
  return (
    <figure className="chart">
      <figcaption className="legend">
        {drawn.map(({ name, total, look }) => (
          <span key={name} className={`number ${look}`}>
            {name} {total}
          </span>
        ))}
      </figcaption>
      <Lines days={days} series={drawn} words={drawn.map(({ name, total }) => `${name} ${total}`).join(', ')} wide={1000} />
    </figure>
  )
}

/** Beside each figure of an agency a bar; at the foot what they make together, where that means something. */
function Figures({ by, items, of }: { by: 'day' | 'agency'; items: readonly Line[]; of: Of }) {
  const { say } = useWords()
  const summed = (name: string) => name !== 'resources' && name !== 'routes'
  const most = Object.fromEntries(Object.keys(of).map((name) => [name, Math.max(0, ...items.map((line) => number(line[name])))]))
  return (
    <Table<Line>
      size="small"
      rowKey={(line) => String(line[by])}
      dataSource={[...items]}
      pagination={false}
      locale={{ emptyText: say(t('这一期间没有', 'None in these days')) }}
      columns={[
        {
          title: say(nameOf(by)),
          render: (_, line) => String(line['agencyName'] ?? line[by]),
          sorter: (a, b) => (String(a[by]) < String(b[by]) ? -1 : 1),
        },
        ...Object.entries(of).map(([name, [text, look]]) => ({
          title: say(text),
          key: name,
          sorter: (a: Line, b: Line) => number(a[name]) - number(b[name]),
          render: (_: unknown, line: Line) => (
            <span className="measured">
              <span className="number">{number(line[name])}</span>
              {by === 'agency' && look && <Bar value={number(line[name])} most={most[name]!} look={look} />}
            </span>
          ),
        })),
      ]}
      summary={() =>
        items.length > 0 && (
          <Table.Summary.Row>
            <Table.Summary.Cell index={0}>{say(t('合计', 'together'))}</Table.Summary.Cell>
            {Object.keys(of).map((name, at) => (
              <Table.Summary.Cell key={name} index={at + 1}>
                <span className="number">{summed(name) ? sum(items, name) : ''}</span>
              </Table.Summary.Cell>
            ))}
          </Table.Summary.Row>
        )
      }
    />
  )
}
