import { useQuery } from '@tanstack/react-query'
import { Button } from 'antd'
import { lazy, Suspense } from 'react'
import { Link, useParams } from 'react-router'
import { call } from '../api.ts'
import { plain } from '../fields.ts'
import { operations } from '../meta.ts'
import { Belongings, type Belonging } from '../parts/belongings.tsx'
import { Desk } from '../parts/desk.tsx'
import { ItemsAsked, itemChoices, useItemsOf, type Named } from '../parts/items.tsx'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { Facts } from '../parts/value.tsx'
import type { Place } from '../places.ts'
import { useSession } from '../session.tsx'
import { t, timeText, useWords } from '../words.tsx'

const AgentConfig = lazy(() => import('../parts/agent-config.tsx'))
const Attachments = lazy(() => import('../parts/attachments.tsx'))
const Paper = lazy(() => import('../parts/paper.tsx'))
/** Of these there is a paper. */
const onPaper = new Set(['application', 'order', 'declaration', 'evaluation'])
const Dossier = lazy(() => import('../parts/dossier.tsx'))

interface Read extends Named {
  [member: string]: unknown
  revision?: string
  actions?: string[]
  state?: string
}

const hidden = new Set([
  'revision',
  'actions',
  'id',
  'state',
  'content',
  'schema',
  'faults',
  'sources',
  'incompatible',
  'changes',
  'form',
  'draft',
  'lines',
  'items',
  'approvedItems',
  'masks',
])

/** What belongs to an object of a kind. */
const belongings: Readonly<Record<string, readonly Belonging[]>> = {
  grant: [
    {
      list: 'credential.list',
      columns: ['id', 'name', 'createdBy', 'created', 'ended'],
      make: 'credential.create',
      on: ['credential.rotate', 'credential.end'],
      parameter: 'client',
    },
    {
      list: 'webhook.list',
      columns: ['name', 'url', 'state', 'deliveredAt', 'fault'],
      make: 'webhook.create',
      on: ['webhook.replay', 'webhook.end'],
      parameter: 'webhook',
    },
    { list: 'credential.usage', columns: ['day', 'requests', 'rows'] },
  ],
}

/** An object: facts on the left, on the right where it stands, what may be done with it, and what happened. */
export default function ObjectPage({ kind, place }: { kind: string; place: Place }) {
  const { say } = useWords()
  const { id = '' } = useParams()
  const { can, may } = useSession()
  const { data, error, refetch } = useQuery({
    queryKey: ['object', kind, id],
    queryFn: ({ signal }) => call<Read>(`${kind}.read`, { at: { id }, signal }),
  })
  const found = useItemsOf(data)
  if (error) return <Failed error={error} again={() => void refetch()} />
  if (!data) return <Waiting />
  const title = plain(data['title'] ?? data['name'] ?? data['resource'] ?? id)
  return (
    <>
      <h1>
        <Link to={`/${place.path}`}>{say(place.name)}</Link> · {title} <span className="muted">{title === id ? '' : id}</span>
      </h1>
      <div className="columns">
        <section>
          <Facts line={data} kind={kind} members={Object.keys(data).filter((member) => !hidden.has(member) && !member.endsWith('Name'))} />
          <ItemsAsked read={data} found={found} />
          {can(`${kind}.attachments`) && (
            <Suspense>
              <Attachments kind={kind} id={id} />
            </Suspense>
          )}
          {kind === 'application' && can('application.dossier') && (
            <Suspense fallback={<Waiting />}>
              <Dossier id={id} />
            </Suspense>
          )}
          {kind === 'grant' && data['mode'] === 'exchange' && may('grant.agent-config', data['agency']) && (
            <Suspense>
              <AgentConfig kind="grant" id={id} />
            </Suspense>
          )}
          <Belongings all={kind === 'grant' && data['mode'] !== 'api' ? [] : (belongings[kind] ?? [])} id={id} />
        </section>
        <Desk
          key={`${kind} ${id}`}
          kind={kind}
          id={id}
          title={title}
          read={data}
          actions={actionsOf(kind, data, can)}
          choices={itemChoices(data, found)}
          initial={(action) => initialOf(action, data)}
        >
          {onPaper.has(kind) && (
            <p>
              <Button size="small" onClick={() => window.print()}>
                {say(t('打印', 'Print'))}
              </Button>
            </p>
          )}
        </Desk>
      </div>
      {onPaper.has(kind) && (
        <Suspense>
          <Paper kind={kind} id={id} read={data} items={found} />
        </Suspense>
      )}
    </>
  )
}

/** What the caller may do with a case; with what is none, what they may do with such objects at all. */
function actionsOf(kind: string, data: Read, can: (name: string) => boolean): string[] {
  const shown = data.actions ?? Object.keys(operations).filter((name) => operations[name]!.kind === kind && can(name))
  return shown.filter((name) => {
    const operation = operations[name]
    return operation !== undefined && operation.method !== 'GET' && /^\/[^/]+\/:id(?:\/[^/:]+)?$/.test(operation.path)
  })
}

/** Approved is what was asked for, unless something is taken out. */
function initialOf(action: string, data: Read): Record<string, unknown> {
  if (/\.(?:approve|accept)$/.test(action) && Array.isArray(data['items'])) return { items: data['items'] }
  if (action.endsWith('.change')) return { ...data, ...lastDay(data['until']) }
  return {}
}

/** The end of a day, as a day: what is asked for is its last one. */
function lastDay(until: unknown): { until?: string } {
  return typeof until === 'string' && until.includes('T')
    ? { until: timeText(new Date(Date.parse(until) - 1).toISOString()).slice(0, 10) }
    : {}
}
