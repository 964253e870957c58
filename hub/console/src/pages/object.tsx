import { useQuery } from '@tanstack/react-query'
import { Button } from 'antd'
import { lazy, Suspense } from 'react'
import { Link, useParams } from 'react-router'
import { call } from '../api.ts'
import { plain } from '../fields.ts'
import { operations, verbOf } from '../meta.ts'
import type { EvaluationLine } from '../parts/evaluation-lines.tsx'
import { Belongings, type Belonging } from '../parts/belongings.tsx'
import { Desk } from '../parts/desk.tsx'
import { ItemsAsked, ItemTable, itemChoices, useItemsOf, type Item, type Named } from '../parts/items.tsx'
import type { Act } from '../parts/more-acts.tsx'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { Strip } from '../parts/strip.tsx'
import { Facts } from '../parts/value.tsx'
import type { Place } from '../places.ts'
import { useSession } from '../session.tsx'
import { t, timeText, useWords } from '../words.tsx'

const AgentConfig = lazy(() => import('../parts/agent-config.tsx'))
const Attachments = lazy(() => import('../parts/attachments.tsx'))
const EvaluationLines = lazy(() => import('../parts/evaluation-lines.tsx'))
const Paper = lazy(() => import('../parts/paper.tsx'))
const HeldVersion = lazy(() => import('../parts/held-version.tsx'))
const MoreActs = lazy(() => import('../parts/more-acts.tsx'))
const LinesOf = lazy(() => import('../parts/line-table.tsx'))
const Statements = lazy(() => import('../parts/statements.tsx'))
/** Of these there is a paper. */
const onPaper = new Set(['application', 'order', 'declaration', 'evaluation'])
const Dossier = lazy(() => import('../parts/dossier.tsx'))

interface Read extends Named {
  form?: unknown
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
  'statement',
  'sourceAgent',
  'targetAgent',
  'sourceSignature',
  'targetSignature',
  'sourceKey',
  'targetKey',
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
  const labels = new Map(found.map((item) => [item.id, item.label]))
  const title = plain(
    data['title'] ?? data['name'] ?? data['resourceName'] ?? data['resource'] ?? (kind === 'evaluation' ? data['period'] : id),
  )
  return (
    <>
      <h1>
        <Link to={`/${place.path}`}>{say(place.name)}</Link> · {title} <span className="muted">{title === id ? '' : id}</span>
      </h1>
      <div className="columns">
        <section>
          <Facts line={data} kind={kind} members={membersShown(data, title)} />
          <ItemsAsked read={data} found={found} />
          {can(`${kind}.attachments`) && (
            <Suspense>
              <Attachments kind={kind} id={id} />
            </Suspense>
          )}
          {kind === 'application' && can('application.dossier') && (
            <Suspense fallback={<Waiting />}>
              <Dossier id={id} isOpen={data.state === 'consulting' || data.state === 'reviewing'} />
            </Suspense>
          )}
          {kind === 'standard' && (data.actions ?? []).includes('standard.change') && (
            <p>
              <Link to={`/standards/${encodeURIComponent(id)}/change`}>{say(verbOf('standard.change'))}</Link>
            </p>
          )}
          <Suspense fallback={<Waiting />}>
            {kind === 'evaluation' && (
              <EvaluationLines id={id} state={data.state!} revision={data.revision} lines={data['lines'] as EvaluationLine[]} />
            )}
            {kind === 'reconciliation' && <Statements run={data} />}
            {kind === 'grant' && data['mode'] === 'exchange' && can('line.list') && (
              <LinesOf asked={{ resource: plain(data['resource']), receiver: plain(data['agency']) }} grant={id} />
            )}
            {kind === 'grant' && <HeldVersion grant={data} labels={labels} />}
            <MoreActs
              acts={moreActs(id, kind, data, found).filter(({ name, own }) => (own === undefined ? can(name) : may(name, own)))}
              title={title}
              seen={data.revision}
            />
            {kind === 'standard' && <StandardItems read={data} />}
          </Suspense>
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

/** What the heading says is not said again. */
function membersShown(read: Read, heading: string): string[] {
  return Object.keys(read).filter(
    (member) => !hidden.has(member) && !member.endsWith('Name') && !(member === 'title' && read['title'] === heading),
  )
}

/** What begins with an object, with whose own it is where only they may. */
function moreActs(id: string, kind: string, read: Read, items: readonly Item[]): (Act & { own?: unknown })[] {
  if (kind === 'standard' && read.form) return [{ name: 'standard.adopt', at: { id }, to: (made) => `/registrations/${made.id}` }]
  if (kind !== 'grant' || read.state !== 'active') return []
  const granted = items.filter((item) => (read.items as string[]).includes(item.id))
  const choices = { items: granted.map(({ id: value, label, type, key }) => ({ value, label, type, ...(key !== undefined && { key }) })) }
  return [
    ...((read['routes'] ?? []) as { id: string }[]).map((route) => ({ name: 'route.reconcile', at: { id: route.id } })),
    { name: 'grant.mask', at: { id }, choices, own: read['provider'] },
    { name: 'publication.create', fixed: { grant: id }, choices, to: (made) => `/publications/${made.id}`, own: read['agency'] },
  ]
}

/** What a standard fixes: its form in force, else what is drafted. */
function StandardItems({ read }: { read: Read }) {
  const { say } = useWords()
  const form = (read['form'] ?? read['draft']) as (Record<string, unknown> & { items: Item[] }) | null
  if (!form) return null
  return (
    <>
      <Facts line={form} members={['abstract', 'subject', 'classification', 'cycle', 'table', 'keywords']} />
      <h2>
        {say(t('信息项', 'Items'))} <Strip items={form.items} />
      </h2>
      <ItemTable items={form.items} />
    </>
  )
}

/** What the caller may do with a case; with what is none, what they may do with such objects at all. */
function actionsOf(kind: string, data: Read, can: (name: string) => boolean): string[] {
  const shown = data.actions ?? Object.keys(operations).filter((name) => operations[name]!.kind === kind && can(name))
  return shown.filter((name) => {
    const operation = operations[name]
    // It has a page of its own, with the items as a grid.
    if (name === 'standard.change') return false
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
