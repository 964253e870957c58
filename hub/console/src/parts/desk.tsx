import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Button } from 'antd'
import { useState, type ReactNode } from 'react'
import { useNavigate } from 'react-router'
import { call } from '../api.ts'
import { useKeys } from '../keys.ts'
import { comma, valueText } from '../fields.ts'
import { operations, roles, verbOf, type Text } from '../meta.ts'
import type { Todo } from '../pages/home.tsx'
import { addressOfCase } from '../places.ts'
import { useSession } from '../session.tsx'
import { t, useWords } from '../words.tsx'
import { ActionDialog } from './action-dialog.tsx'
import { Effect, hasEffect } from './effect.tsx'
import type { Choice } from './fields-form.tsx'
import { Once } from './once.tsx'
import { Ruler } from './ruler.tsx'
import { Timeline } from './timeline.tsx'
import { StateWord } from './value.tsx'

/** What goes on with a case, by the key `a`, and what sends it back, by `r`. */
const onward = /\.(?:approve|consent|publish|release|accept|agree|settle|sign|pass|submit)$/
const back = /\.(?:reject|object|return|refuse|dismiss)$/

interface DeskProps {
  kind: string
  id: string
  title: string
  read: { revision?: string | undefined; state?: string | undefined }
  /** Operations that the reader may take on it now. */
  actions: readonly string[]
  choices?: Readonly<Record<string, readonly Choice[]>>
  /** What must be done before an action is looked at: what was typed is saved. */
  before?: () => Promise<void>
  /** What a dialog begins with. */
  initial?: (action: string) => Record<string, unknown>
  /** What is to be known before an action is taken, by its name. */
  hints?: Readonly<Record<string, Text>>
  /** Other ways to go on, before the actions. */
  ways?: ReactNode
  /** Between the actions and the history. */
  children?: ReactNode
}

/** The right side of an object 办理栏: where it stands, whose turn it is, what may be done, what happened. */
export function Desk({ kind, id, title, read, actions, choices = {}, before, initial, hints = {}, ways, children }: DeskProps) {
  const { say } = useWords()
  const { can } = useSession()
  const client = useQueryClient()
  const navigate = useNavigate()
  const [acting, setActing] = useState<string>()
  const [next, setNext] = useState<string>()
  const [once, setOnce] = useState<Record<string, unknown>>()
  const act = async (name: string) => {
    await before?.()
    setActing(name)
  }
  const pressed = (events: RegExp) => {
    const action = acting === undefined ? actions.find((name) => events.test(name)) : undefined
    return action === undefined ? undefined : () => void act(action)
  }
  useKeys({ a: pressed(onward), r: pressed(back) })
  const done = async () => {
    setActing(undefined)
    await client.invalidateQueries()
    const { items } = await call<{ items: Todo[] }>('todo.list', { query: { limit: '10' } })
    setNext(addressOfCase(items.find((todo) => todo.link && !(todo.kind === kind && todo.id === id))?.link, can))
  }
  return (
    <aside className="desk" data-of={`${kind} ${id}`} aria-label={say(t('办理', 'To be done'))}>
      {read.state !== undefined && (
        <p>
          <StateWord state={read.state} text={valueText(read.state, 'state', kind, say)} />
        </p>
      )}
      <OpenCase kind={kind} id={id} />
      <div className="actions">
        {ways}
        {actions.map((name) => (
          <Button key={name} type={onward.test(name) ? 'primary' : 'default'} onClick={() => void act(name)}>
            {say(verbOf(name))}
          </Button>
        ))}
      </div>
      <Once answer={once} close={() => setOnce(undefined)} />
      {next && (
        <Button type="link" autoFocus onClick={() => void navigate(next)}>
          {say(t('下一件', 'The next one'))}
        </Button>
      )}
      {children}
      {can('history.read') && <Timeline kind={kind} id={id} />}
      {acting && (
        <ActionDialog
          name={acting}
          at={{ id }}
          title={title}
          seen={read.revision}
          choices={choices}
          initial={initial?.(acting) ?? {}}
          note={hasEffect(acting) && <Effect name={acting} id={id} />}
          {...(hints[acting] && { hint: hints[acting] })}
          close={() => setActing(undefined)}
          done={(answer: Record<string, unknown>) => {
            setOnce(answer)
            void done()
          }}
        />
      )}
    </aside>
  )
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
      {say(t('轮到：', 'Turn of: '))}
      {open.turn.map(({ role, agencyName }) => `${agencyName ?? ''} ${roles[role] ? say(roles[role]) : role}`.trim()).join(say(comma))}
    </p>
  )
}
