import { useQuery } from '@tanstack/react-query'
import { Button } from 'antd'
import { useState } from 'react'
import { Link, useParams } from 'react-router'
import { call } from '../api.ts'
import { valueText } from '../fields.ts'
import { verbOf, type Text } from '../meta.ts'
import { ActionDialog } from '../parts/action-dialog.tsx'
import { Desk } from '../parts/desk.tsx'
import { LineTable, type Line } from '../parts/line-table.tsx'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { Facts, StateWord } from '../parts/value.tsx'
import { useSession } from '../session.tsx'
import { t, useWords } from '../words.tsx'

interface Agent {
  id: string
  name: string
  agency: string
  state: string
  revision: string
  refusedFiles?: { file: string; code?: string }[]
  report: { version: string; clockOffset: number } | null
}

const onAgent = ['agent.doctor', 'agent.log'] as const
const onLine = ['agent.pause', 'agent.resume', 'agent.confirm'] as const

interface Acting {
  name: string
  line?: string
}

/** A front-end machine's agent: its sources and sinks, what holds each and whose turn it is, and what may be done from here. */
export default function AgentPage() {
  const { say } = useWords()
  const { can } = useSession()
  const { id = '' } = useParams()
  const [acting, setActing] = useState<Acting>()
  const [found, setFound] = useState<Record<string, unknown>>()
  const { data, error, refetch } = useQuery({
    queryKey: ['object', 'agent', id],
    queryFn: ({ signal }) => call<Agent>('agent.read', { at: { id }, signal }),
  })
  const lines = useQuery({
    queryKey: ['lines', id],
    queryFn: ({ signal }) => call<{ items: Line[] }>('line.list', { query: { agent: id, limit: '100' }, signal }),
  })
  if (error) return <Failed error={error} again={() => void refetch()} />
  if (!data) return <Waiting />
  const { report, ...facts } = data
  const act = (names: readonly string[], line?: string) =>
    names.filter(can).map((name) => (
      <Button key={name} size="small" onClick={() => setActing({ name, ...(line !== undefined && { line }) })}>
        {say(verbOf(name))}
      </Button>
    ))
  return (
    <>
      <h1>
        <Link to="/agents">{say(t('前置机', 'Machines'))}</Link> · {data.name} <span className="muted">{id}</span>
      </h1>
      <div className="columns">
        <section>
          <Facts
            line={{ ...facts, ...(report && { version: report.version, clockOffset: `${report.clockOffset} ms` }) }}
            members={['agency', 'enrolled', 'lastSeen', 'version', 'clockOffset', 'morning', 'refusedFiles']}
            kind="agent"
          />
          <h2>{say(t('交换链路', 'Lines'))}</h2>
          {lines.error && <Failed error={lines.error} again={() => void lines.refetch()} />}
          <LineTable lines={lines.data?.items ?? []} act={(line) => act(onLine, line.producer === id ? line.resource : line.route!)} />
          {found && <Found answer={found} />}
        </section>
        <Desk
          kind="agent"
          id={id}
          title={data.name}
          read={{ revision: data.revision, state: valueText(data.state, 'state', undefined, say) }}
          actions={can('agent.revoke') && data.state === 'active' ? ['agent.revoke'] : []}
          ways={act(onAgent)}
        />
      </div>
      {acting && (
        <ActionDialog
          name={acting.name}
          at={{ id }}
          title={acting.line ?? data.name}
          initial={acting.line === undefined ? {} : { name: acting.line }}
          close={() => setActing(undefined)}
          done={(answer: Record<string, unknown>) => {
            setActing(undefined)
            setFound(answer)
            void lines.refetch()
          }}
        />
      )}
    </>
  )
}

/** What a doctor found, or the last lines of a log. */
function Found({ answer }: { answer: Record<string, unknown> }) {
  const { say } = useWords()
  const checks = answer['checks'] as (Text & { name: string; ok: boolean })[] | undefined
  const log = answer['lines'] as string[] | undefined
  return (
    <div role="status">
      {checks && (
        <ul>
          {checks.map((check) => (
            <li key={`${check.name}${check.en}`}>
              <StateWord state={check.ok ? 'done' : 'failed'} text={say(check)} />
            </li>
          ))}
        </ul>
      )}
      {log && (
        <pre className="log" tabIndex={0}>
          {log.join('\n')}
        </pre>
      )}
    </div>
  )
}
