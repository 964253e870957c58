/** Lines 交换链路: each with its sign, and whose turn it is. */
import { useQuery } from '@tanstack/react-query'
import { Table } from 'antd'
import { Link } from 'react-router'
import { call } from '../api.ts'
import { nameOf, valueText } from '../fields.ts'
import type { Text } from '../meta.ts'
import { t, useWords } from '../words.tsx'
import { Chain, type ChainLine } from './chain.tsx'
import { Failed } from './outcome.tsx'
import { StateWord } from './value.tsx'

export interface Line extends ChainLine {
  id: string
  title: string
  resource: string
  route: string | null
  grant: string | null
  producer: string | null
  quarantine: number
  today: number
  fault: (Text & { code: string }) | null
}

/** Lines with their sign, and whose turn each is. */
export function LineTable({ lines, act }: { lines: readonly Line[]; act?: (line: Line) => React.ReactNode }) {
  const { say } = useWords()
  return (
    <Table<Line>
      size="small"
      rowKey="id"
      dataSource={[...lines]}
      pagination={false}
      locale={{ emptyText: say(t('还没有', 'There are none yet')) }}
      columns={[
        {
          title: say(nameOf('resource')),
          render: (_, line) =>
            line.grant === null ? (
              <Link to={`/resources/${encodeURIComponent(line.resource)}`}>{line.title}</Link>
            ) : (
              <Link to={`/grants/${encodeURIComponent(line.grant)}`}>{line.title}</Link>
            ),
        },
        { title: say(nameOf('chain')), render: (_, line) => <Chain line={line} /> },
        {
          title: say(nameOf('state')),
          render: (_, { state }) => <StateWord state={state} text={valueText(state, 'state', 'line', say)} />,
        },
        { title: say(nameOf('quarantine')), dataIndex: 'quarantine' },
        { title: say(nameOf('today')), dataIndex: 'today' },
        { title: say(nameOf('turn')), render: (_, { turn }) => say(turn) },
        ...(act ? [{ title: say(t('办理', 'acts')), render: (_: unknown, line: Line) => act(line) }] : []),
      ]}
    />
  )
}

interface LinesProps {
  asked: Readonly<Record<string, string>>
  /** Of a grant, its own alone. */
  grant?: string
}

/** Of one resource, or of one grant: its way in full. */
export default function LinesOf({ asked, grant }: LinesProps) {
  const { say } = useWords()
  const { data, error } = useQuery({
    queryKey: ['lines', asked],
    queryFn: ({ signal }) => call<{ items: Line[] }>('line.list', { query: { ...asked, limit: '100' }, signal }),
  })
  const lines = (data?.items ?? []).filter((line) => grant === undefined || line.grant === grant)
  if (error) return <Failed error={error} />
  if (lines.length === 0) return null
  return (
    <section>
      <h2>{say(t('交换链路', 'Lines'))}</h2>
      {lines.map((line) => (
        <div key={line.id} className="way">
          <Chain line={line} wide />
          <div>
            <StateWord state={line.state} text={valueText(line.state, 'state', 'line', say)} /> · {say(line.turn)}
            {line.fault && <span className="muted"> · {say(line.fault)}</span>}
          </div>
        </div>
      ))}
    </section>
  )
}
