import { useQuery } from '@tanstack/react-query'
import { Button, Segmented, Table } from 'antd'
import { useMemo, useState } from 'react'
import { Link, useSearchParams } from 'react-router'
import { call } from '../api.ts'
import { ageText, valueText } from '../fields.ts'
import type { Text } from '../meta.ts'
import { useMoving } from '../moving.ts'
import { LineTable, type Line } from '../parts/line-table.tsx'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { StateWord } from '../parts/value.tsx'
import { RailsMap } from '../parts/rails-map.tsx'
import { arrange, pairOf, type Flow } from '../rails.ts'
import { useSession } from '../session.tsx'
import { t, useWords } from '../words.tsx'

/** Who gives to whom: two rails, providers left and receivers right, or the same as a table. */
export default function FlowsPage() {
  const { say } = useWords()
  const { can } = useSession()
  const [search, setSearch] = useSearchParams()
  const { data, error, refetch } = useQuery({
    queryKey: ['lines', 'flows'],
    queryFn: ({ signal }) => call<{ edges: Flow[] }>('flow.list', { signal }),
    // Also where what would be told was lost on the way, or the hub was away when it was asked.
    refetchInterval: 60_000,
  })
  const moving = useMoving()
  const chosen = search.get('agency') ?? undefined
  const [edge, setEdge] = useState<Flow>()
  const rails = useMemo(() => arrange(data?.edges ?? []), [data])
  if (error) return <Failed error={error} again={() => void refetch()} />
  if (!data) return <Waiting />
  const asTable = search.get('view') === 'table'
  const choose = (name: string, value: string | undefined) => {
    const next = new URLSearchParams(search)
    if (value === undefined) next.delete(name)
    else next.set(name, value)
    setSearch(next, { replace: true })
  }
  const edges = data.edges.filter(({ provider, receiver }) => chosen === undefined || provider === chosen || receiver === chosen)
  return (
    <>
      <h1>{say(t('流向图', 'Flows'))}</h1>
      <div className="filters">
        <Segmented
          aria-label={say(t('查看方式', 'shown as'))}
          value={asTable ? 'table' : 'map'}
          onChange={(value) => choose('view', value === 'table' ? 'table' : undefined)}
          options={[
            { value: 'map', label: say(t('流向图', 'As a map')) },
            { value: 'table', label: say(t('以表格查看', 'As a table')) },
          ]}
        />
        <span className="muted number">{say(summary(edges))}</span>
        {can('wall.read') && (
          <Link to="/wall" target="_blank">
            {say(t('大屏', 'Wall screen'))}
          </Link>
        )}
        {chosen !== undefined && <Button onClick={() => choose('agency', undefined)}>{say(t('显示全部', 'Show all'))}</Button>}
      </div>
      {edges.length === 0 ? (
        <p>{say(t('还没有交换路由：共享申请批准后即有。', 'There are no routes yet: an approved application makes one.'))}</p>
      ) : asTable ? (
        <FlowTable edges={edges} open={setEdge} />
      ) : (
        <RailsMap
          rails={rails}
          chosen={chosen}
          moving={moving}
          choose={(agency) => choose('agency', agency === chosen ? undefined : agency)}
          open={setEdge}
        />
      )}
      {edge && <Routes edge={edge} close={() => setEdge(undefined)} />}
    </>
  )
}

function summary(edges: readonly Flow[]): Text {
  const sum = (of: (edge: Flow) => number) => edges.reduce((total, edge) => total + of(edge), 0)
  const [routes, held, today, minute] = [
    sum((one) => one.routes),
    sum((one) => one.held),
    sum((one) => one.today),
    sum((one) => one.minute),
  ]
  return t(
    `${routes} 条路由，停住 ${held} 条；今日 ${today} 行，最近一分钟 ${minute} 行`,
    `${routes} routes, ${held} held, ${today} rows today, ${minute} in the last minute`,
  )
}

/** The same for whoever reads tables, or hears them read. */
function FlowTable({ edges, open }: { edges: readonly Flow[]; open: (edge: Flow) => void }) {
  const { say } = useWords()
  return (
    <Table<Flow>
      size="small"
      rowKey={pairOf}
      dataSource={[...edges]}
      pagination={false}
      columns={[
        {
          title: say(t('提供单位', 'provider')),
          render: (_, edge) => (
            <button type="button" className="plain" onClick={() => open(edge)}>
              {edge.providerName ?? edge.provider}
            </button>
          ),
        },
        { title: say(t('获取单位', 'receiver')), render: (_, edge) => edge.receiverName ?? edge.receiver },
        { title: say(t('路由数', 'routes')), dataIndex: 'routes' },
        { title: say(t('停住', 'held')), dataIndex: 'held' },
        {
          title: say(t('状态', 'state')),
          render: (_, { state }) => <StateWord state={state} text={valueText(state, 'state', 'line', say)} />,
        },
        { title: say(t('今日行数', 'rows today')), dataIndex: 'today' },
        { title: say(t('最近一分钟', 'in the last minute')), dataIndex: 'minute' },
        { title: say(t('数据距今', 'age')), render: (_, { age }) => say(ageText(age)) },
        { title: say(t('由谁处理', 'whose turn')), render: (_, { turn }) => say(turn) },
      ]}
    />
  )
}

/** The routes of a pair, each with its sign. */
function Routes({ edge, close }: { edge: Flow; close: () => void }) {
  const { say } = useWords()
  const { provider, receiver } = edge
  const { data, error } = useQuery({
    queryKey: ['lines', provider, receiver],
    queryFn: ({ signal }) => call<{ items: Line[] }>('line.list', { query: { kind: 'route', provider, receiver, limit: '100' }, signal }),
  })
  return (
    <section aria-label={`${provider} ${receiver}`}>
      <h2>
        {edge.providerName ?? provider} {'\u25b8'} {edge.receiverName ?? receiver}{' '}
        <Button size="small" onClick={close}>
          {say(t('收起', 'Close'))}
        </Button>
      </h2>
      {error ? <Failed error={error} /> : <LineTable lines={data?.items ?? []} />}
    </section>
  )
}
