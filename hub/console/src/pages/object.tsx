import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Button } from 'antd'
import { useState } from 'react'
import { Link, useNavigate, useParams } from 'react-router'
import { call } from '../api.ts'
import { plain } from '../fields.ts'
import { useKeys } from '../keys.ts'
import { operations, roles, states, verbOf } from '../meta.ts'
import { Belongings, type Belonging } from '../parts/belongings.tsx'
import { ActionDialog } from '../parts/action-dialog.tsx'
import { ItemsAsked, itemChoices, useItemsOf, type Named } from '../parts/items.tsx'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { Ruler } from '../parts/ruler.tsx'
import { Timeline } from '../parts/timeline.tsx'
import { Facts, StateWord } from '../parts/value.tsx'
import type { Place } from '../places.ts'
import { useSession } from '../session.tsx'
import { t, useWords } from '../words.tsx'
import type { Todo } from './home.tsx'

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
/** What a case's keys do: the first letter that is free of its verbs. */
const keys: readonly (readonly [key: string, event: RegExp])[] = [
  ['a', /\.(?:approve|consent|publish|release|accept|agree|settle|sign|pass)$/],
  ['r', /\.(?:reject|object|return|refuse|dismiss)$/],
]

/** An object: facts on the left, on the right where it stands, what may be done with it, and what happened. */
export function ObjectPage({ kind, place }: { kind: string; place: Place }) {
  const { say } = useWords()
  const { id = '' } = useParams()
  const { can } = useSession()
  const client = useQueryClient()
  const navigate = useNavigate()
  const [acting, setActing] = useState<string>()
  const [next, setNext] = useState<string>()
  const { data, error, refetch } = useQuery({
    queryKey: ['object', kind, id],
    queryFn: ({ signal }) => call<Read>(`${kind}.read`, { at: { id }, signal }),
  })
  const found = useItemsOf(data)
  const actions = actionsOf(kind, data, can)
  useKeys(
    Object.fromEntries(
      keys.map(([key, event]) => {
        const action = acting === undefined ? actions.find((name) => event.test(name)) : undefined
        return [key, action === undefined ? undefined : () => setActing(action)]
      }),
    ),
  )
  if (error) return <Failed error={error} again={() => void refetch()} />
  if (!data) return <Waiting />
  const done = async () => {
    setActing(undefined)
    await client.invalidateQueries()
    const { items } = await call<{ items: Todo[] }>('todo.list', { query: { limit: '10' } })
    const next = items.find((todo) => todo.link && !(todo.kind === kind && todo.id === id))
    setNext(next?.link ?? undefined)
  }
  const title = plain(data['title'] ?? data['name'] ?? data['resource'] ?? id)
  const words = states[kind]?.[data.state ?? '']
  return (
    <>
      <h1>
        <Link to={`/${place.path}`}>{say(place.name)}</Link> · {title} <span className="muted">{title === id ? '' : id}</span>
      </h1>
      <div className="columns">
        <section>
          <Facts line={data} kind={kind} members={Object.keys(data).filter((member) => !hidden.has(member) && !member.endsWith('Name'))} />
          <ItemsAsked read={data} found={found} />
          <Belongings all={kind === 'grant' && data['mode'] !== 'api' ? [] : (belongings[kind] ?? [])} id={id} />
        </section>
        <aside className="desk" aria-label={say(t('办理', 'To be done'))}>
          <p>{words ? <StateWord state={data.state ?? ''} text={say(words)} /> : data.state}</p>
          <OpenCase kind={kind} id={id} />
          <div className="actions">
            {actions.map((name) => (
              <Button key={name} type={keys[0]![1].test(name) ? 'primary' : 'default'} onClick={() => setActing(name)}>
                {say(verbOf(name))}
              </Button>
            ))}
          </div>
          {next && (
            <Button type="link" autoFocus onClick={() => void navigate(next)}>
              {say(t('下一件', 'The next one'))}
            </Button>
          )}
          {can('history.read') && <Timeline kind={kind} id={id} />}
        </aside>
      </div>
      {acting && (
        <ActionDialog
          name={acting}
          at={{ id }}
          title={title}
          seen={data.revision}
          choices={itemChoices(data, found)}
          initial={initialOf(acting, data)}
          close={() => setActing(undefined)}
          done={() => void done()}
        />
      )}
    </>
  )
}

/** What the caller may do with a case; with what is none, what they may do with such objects at all. */
function actionsOf(kind: string, data: Read | undefined, can: (name: string) => boolean): string[] {
  const shown = data?.actions ?? Object.keys(operations).filter((name) => operations[name]!.kind === kind && can(name))
  return shown.filter((name) => {
    const operation = operations[name]
    return operation !== undefined && operation.method !== 'GET' && /^\/[^/]+\/:id(?:\/[^/:]+)?$/.test(operation.path)
  })
}

/** Approved is what was asked for, unless something is taken out. */
function initialOf(action: string, data: Read): Record<string, unknown> {
  if (/\.(?:approve|accept)$/.test(action) && Array.isArray(data['items'])) return { items: data['items'] }
  if (action.endsWith('.change')) return data
  return {}
}

/** Deadline, and whose turn it is. */
function OpenCase({ kind, id }: { kind: string; id: string }) {
  const { say } = useWords()
  const { can } = useSession()
  const { data } = useQuery({
    queryKey: ['case', kind, id],
    queryFn: ({ signal }) =>
      call<{ items: (Todo & { turn: { role: string; agencyName: string | null }[] })[] }>('case.list', {
        query: { kind, id },
        signal,
      }),
    enabled: can('case.list') && operations['case.list']!.query!.some(({ name, choices }) => name === 'kind' && choices?.includes(kind)),
  })
  const open = data?.items[0]
  if (!open) return null
  return (
    <p>
      {open.deadline ? (
        <Ruler deadline={open.deadline} urgency={open.urgency} />
      ) : (
        <span className="muted">{open.reason && say(open.reason)}</span>
      )}
      <br />
      {say(t('轮到', 'Turn of'))}:{' '}
      {open.turn.map(({ role, agencyName }) => `${agencyName ?? ''} ${roles[role] ? say(roles[role]) : role}`.trim()).join('、')}
    </p>
  )
}
