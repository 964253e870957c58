import { useQuery } from '@tanstack/react-query'
import { Button, Table } from 'antd'
import { useState } from 'react'
import { Link, useSearchParams } from 'react-router'
import { call } from '../api.ts'
import { valueText } from '../fields.ts'
import { operations } from '../meta.ts'
import { Filter } from '../parts/filter.tsx'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { useSession } from '../session.tsx'
import { t, useWords } from '../words.tsx'
import type { Counts } from '../wall.ts'
import '../style/board.css'

interface Board {
  periods: { period: string; from: string; to: string }[]
  items: (Counts & { agency: string; agencyName?: string | null; cells: (Counts & { period: string })[] })[]
}

/** The worst first; each a shape, and a colour where it calls for somebody. */
const states = [
  ['overdue', '\u25b2'],
  ['explained', '\u25d0'],
  ['excused', '\u25cb'],
  ['updated', '\u25cf'],
] as const

/** Lines that are drawn at once. */
const portion = 50

/** Agencies by periods: how many duties stand in which state. Each number leads to the duties that it counts. */
export default function BoardPage() {
  const { say } = useWords()
  const { everywhere } = useSession()
  const [search, setSearch] = useSearchParams()
  const [shown, setShown] = useState(portion)
  const asked = Object.fromEntries(['agency', 'frequency'].flatMap((name) => (search.get(name) ? [[name, search.get(name)!]] : [])))
  const { data, error, refetch } = useQuery({
    queryKey: ['board', asked],
    queryFn: ({ signal }) => call<Board>('duty.board', { query: asked, signal }),
    refetchInterval: 60_000,
  })
  const filters = (operations['duty.board']!.query ?? []).filter(({ name }) => name !== 'agency' || everywhere('duty.board'))
  const periods = (data?.periods ?? []).filter(({ period }) =>
    data?.items.some(({ cells }) => cells.some((cell) => cell.period === period)),
  )
  return (
    <>
      <h1>{say(t('更新监督', 'Board of duties'))}</h1>
      <div className="filters">
        {filters.map((field) => (
          <Filter
            key={field.name}
            field={field}
            kind="duty"
            value={search.get(field.name) ?? undefined}
            change={(value) => setSearch(value ? { ...asked, [field.name]: value } : without(asked, field.name), { replace: true })}
          />
        ))}
        <span className="muted">{states.map(([state, shape]) => `${shape} ${valueText(state, 'state', 'duty', say)}`).join('  ')}</span>
      </div>
      {error && <Failed error={error} again={() => void refetch()} />}
      {!data && !error && <Waiting />}
      {data && (
        <Table<Board['items'][number]>
          size="small"
          className="board"
          rowKey="agency"
          dataSource={data.items.slice(0, shown)}
          pagination={false}
          scroll={{ x: 'max-content' }}
          locale={{ emptyText: say(t('还没有到期的更新义务', 'No duty has been judged yet')) }}
          columns={[
            { title: say(t('单位', 'agency')), render: (_, { agency, agencyName }) => agencyName ?? agency },
            { title: say(t('逾期合计', 'overdue')), render: (_, { overdue }) => <span className="number">{overdue}</span> },
            ...periods.map(({ period, from, to }) => ({
              title: <span title={`${from} \u2013 ${to}`}>{period}</span>,
              key: period,
              render: (_: unknown, { agency, agencyName, cells }: Board['items'][number]) => (
                <Cell agency={agency} name={agencyName ?? agency} counts={cells.find((cell) => cell.period === period)} period={period} />
              ),
            })),
          ]}
        />
      )}
      {data && data.items.length > shown && (
        <p>
          <Button onClick={() => setShown(shown + portion)}>
            {say(t('更多', 'More'))} ({data.items.length - shown})
          </Button>
        </p>
      )}
    </>
  )
}

interface CellProps {
  agency: string
  name: string
  period: string
  counts: Counts | undefined
}

function Cell({ agency, name, period, counts }: CellProps) {
  const { say } = useWords()
  return (
    <span className="cell number">
      {states.map(([state, shape]) =>
        counts && counts[state] > 0 ? (
          <Link
            key={state}
            className={state}
            to={`/duties?${new URLSearchParams({ agency, period, state }).toString()}`}
            aria-label={`${name} ${period} ${valueText(state, 'state', 'duty', say)} ${counts[state]}`}
          >
            <span aria-hidden="true">{shape}</span> {counts[state]}
          </Link>
        ) : null,
      )}
    </span>
  )
}

function without(given: Record<string, string>, name: string): Record<string, string> {
  return Object.fromEntries(Object.entries(given).filter(([key]) => key !== name))
}
