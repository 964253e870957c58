import { useQuery } from '@tanstack/react-query'
import { Button, Segmented, Table } from 'antd'
import { useEffect, useMemo, useState } from 'react'
import { Link, useSearchParams } from 'react-router'
import { call } from '../api.ts'
import { valueText } from '../fields.ts'
import type { Text } from '../meta.ts'
import { onLine } from '../live.ts'
import { ageText } from '../parts/chain.tsx'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { StateWord } from '../parts/value.tsx'
import { arrange, pairOf, type Flow, type Rails } from '../rails.ts'
import { t, useWords } from '../words.tsx'
import { LineTable, type Line } from './agent.tsx'

/** Milliseconds for which rows that moved are seen to move. */
const movement = 10_000

/** Who gives to whom: two rails, providers left and receivers right, or the same as a table. */
export default function FlowsPage() {
  const { say } = useWords()
  const [search, setSearch] = useSearchParams()
  const { data, error, refetch } = useQuery({
    queryKey: ['lines', 'flows'],
    queryFn: ({ signal }) => call<{ edges: Flow[] }>('flow.list', { signal }),
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
          value={asTable ? 'table' : 'map'}
          onChange={(value) => choose('view', value === 'table' ? 'table' : undefined)}
          options={[
            { value: 'map', label: say(t('流向图', 'As a map')) },
            { value: 'table', label: say(t('以表格查看', 'As a table')) },
          ]}
        />
        <span className="muted number">{say(summary(edges))}</span>
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

/** Pairs whose rows arrived just now. */
function useMoving(): ReadonlySet<string> {
  const [moving, setMoving] = useState<ReadonlyMap<string, number>>(new Map())
  useEffect(() => {
    const forget = (all: ReadonlyMap<string, number>) => new Map([...all].filter(([, until]) => until > Date.now()))
    const end = onLine(({ provider, receiver, moved }) => {
      if (moved && receiver !== null) setMoving((all) => forget(all).set(`${provider} ${receiver}`, Date.now() + movement))
    })
    const timer = setInterval(() => setMoving((all) => (all.size > 0 ? forget(all) : all)), 1000)
    return () => {
      end()
      clearInterval(timer)
    }
  }, [])
  return useMemo(() => new Set(moving.keys()), [moving])
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

interface MapProps {
  rails: Rails
  chosen: string | undefined
  moving: ReadonlySet<string>
  choose: (agency: string) => void
  open: (edge: Flow) => void
}

const [width, left, right, step, top] = [1080, 250, 830, 24, 24]

function RailsMap({ rails, chosen, moving, choose, open }: MapProps) {
  const { say } = useWords()
  const { providers, receivers, curves, folded } = rails
  const height = top * 2 + Math.max(providers.length, receivers.length) * step
  const y = (at: number) => top + at * step
  const concerns = ({ from, to }: Rails['curves'][number]) => chosen === undefined || chosen === from || chosen === to
  const name = (side: 'left' | 'right', { agency, name, state }: Rails['providers'][number], at: number) => (
    <g
      key={agency}
      className={`node ${state}`}
      role="button"
      tabIndex={0}
      aria-pressed={chosen === agency}
      aria-label={`${name}: ${valueText(state, 'state', 'line', say)}`}
      onClick={() => choose(agency)}
      onKeyDown={({ key }) => (key === 'Enter' || key === ' ' ? choose(agency) : undefined)}
    >
      <rect x={side === 'left' ? 0 : right} y={y(at) - step / 2} width={left} height={step} />
      <text x={side === 'left' ? left - 10 : right + 10} y={y(at) + 4} textAnchor={side === 'left' ? 'end' : 'start'}>
        {state === 'held' ? '\u25b2 ' : ''}
        {name.length > 16 ? `${name.slice(0, 15)}\u2026` : name}
      </text>
    </g>
  )
  return (
    <div className="flows">
      <svg viewBox={`0 0 ${width} ${height}`} role="group" aria-label={say(t('流向图', 'Flows'))}>
        {curves.map((curve) => {
          const { edge, fromAt, toAt, state, weight } = curve
          const [a, b, middle] = [y(fromAt), y(toAt), (left + right) / 2]
          const path = `M ${left} ${a} C ${middle} ${a}, ${middle} ${b}, ${right} ${b}`
          const moves = edges(curve).some((one) => moving.has(pairOf(one)))
          const look = ['curve', state, concerns(curve) ? (chosen === undefined ? '' : 'chosen') : 'aside', moves ? 'moving' : '']
          return (
            <g key={`${curve.from} ${curve.to}`} className={look.join(' ')}>
              <path d={path} strokeWidth={1 + weight * 1.5} />
              <path d={path} className="hit" onClick={() => edge && open(edge)}>
                <title>{say(told(curve, say))}</title>
              </path>
              {state === 'held' && (
                <text x={middle} y={(a + b) / 2 + 5} textAnchor="middle" className="cross" aria-hidden="true">
                  {'\u2715'}
                </text>
              )}
            </g>
          )
        })}
        {providers.map((node, at) => name('left', node, at))}
        {receivers.map((node, at) => name('right', node, at))}
      </svg>
      {folded.agencies > 0 && (
        <p className="muted">
          {say(
            t(
              `其余 ${folded.agencies} 个单位、${folded.routes} 条路由不更坏`,
              `${folded.agencies} other agencies with ${folded.routes} routes, none of them worse`,
            ),
          )}{' '}
          <Link to="/lines">{say(t('交换链路', 'Lines'))}</Link>
        </p>
      )}
    </div>
  )
}

const edges = ({ edge }: Rails['curves'][number]) => (edge ? [edge] : [])

function told({ edge, from, to }: Rails['curves'][number], say: (text: Text) => string): Text {
  if (!edge) return { zh: `${from} \u25b8 ${to}`, en: `${from} \u25b8 ${to}` }
  const state = valueText(edge.state, 'state', 'line', say)
  const text = `${edge.providerName ?? edge.provider} \u25b8 ${edge.receiverName ?? edge.receiver}: ${edge.routes}, ${state}. ${say(edge.turn)}`
  return { zh: text, en: text }
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
