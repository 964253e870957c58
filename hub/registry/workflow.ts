import { QianzhiError } from '../../protocol/errors.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import { authorise } from '../access/authorise.ts'
import type { Principal } from '../access/principal.ts'
import { relationsOf, type ObjectKind } from '../access/relations.ts'
import type { OperationName } from '../access/rights.ts'
import type { Role } from '../records/roles.ts'
import type { Query } from '../store/store.ts'
import { record } from '../records/history.ts'
import type { Registry } from '../records/registry.ts'
import { wrongState } from '../records/refusals.ts'
import { requireSeen } from './revision.ts'

/** One event context to one object: what conditions and effects are told. */
export interface TransitionContext<T, I = Record<string, unknown>> {
  registry: Registry
  query: Query
  /** Ids of agents whose policy changes. */
  affectedAgents: Set<string>
  principal: Principal
  /** The object as it is before the event. */
  subject: T
  /** What came with the event. */
  input: I
  now: Date
}

type Check<T, I> = (context: TransitionContext<T, I>) => void | Promise<void>

/** A line of a workflow's table: event × states it may happen in → the state after it. */
export interface Transition<S extends string, T, I = Record<string, unknown>> {
  from: readonly S[]
  to: S
  /** Only these of the roles that have the right. */
  by?: readonly Role[]
  /** Nobody who did one of these with the object: nobody decides on what they asked for (QZ-SAME-PERSON). */
  notBy?: readonly string[]
  /** Of several transitions of an event from one state, the first whose guard holds is taken. */
  guard?: (context: TransitionContext<T, I>) => boolean | Promise<boolean>
  /** What must be true: throws a coded error. */
  preconditions?: readonly Check<T, I>[]
  /** What follows, in the same transaction. */
  effects?: readonly Check<T, I>[]
}

/** A workflow: a table of its own with `id` and `state`, its states, and what may happen in each. Rights: `<name>.<event>`. */
export interface Workflow<S extends string, T extends { state: S }> {
  name: ObjectKind
  table: string
  states: Record<S, LocalizedText>
  initial: S
  events: Record<string, readonly Transition<S, T, never>[]>
  /** Events by which a person decides on what others may change meanwhile: they must say what they saw (revision.ts). */
  decisions?: readonly string[]
  /** Locks what an event may need before the object itself, so that all who need both lock them in one order. */
  lockFirst?(query: Query, id: string): Promise<void>
  /** What of an event's input goes on record; all, unless it may tell row values. */
  recorded?(input: Record<string, unknown>): Record<string, unknown>
  load(query: Query, id: string): Promise<T>
}

/**
 * Lets an event happen: locks the object, asks for the right, finds the transition, checks what must be true, writes the new state, the history
 * and the audit, and does what follows, all in the caller's transaction. Throws QZ-NOT-FOUND, QZ-FORBIDDEN, QZ-STATE, QZ-SAME-PERSON, QZ-REVISION,
 * QZ-REVISION-MISSING, and what the transition's preconditions say.
 */
export async function applyEvent<S extends string, T extends { state: S }>(
  workflow: Workflow<S, T>,
  event: string,
  id: string,
  request: Omit<TransitionContext<T>, 'subject' | 'now'> & { seen?: string | undefined },
): Promise<T> {
  const { query, principal, registry, input, seen } = request
  await workflow.lockFirst?.(query, id)
  // References to the object are made meanwhile.
  await query(`select from ${workflow.table} where ${keyOf(workflow)} = $1 for no key update`, [id])
  const relations = await relationsOf(query, workflow.name, id)
  authorise(principal, `${workflow.name}.${event}` as OperationName, relations)
  const context = { ...request, subject: await workflow.load(query, id), now: registry.clock() }
  const transition = await transitionOf(workflow, event, id, context)
  if (transition.notBy) await requireAnother(query, workflow.name, id, principal, transition.notBy)
  if (seen !== undefined) await requireSeen(query, workflow.name, id, seen)
  else if (principal.person !== null && workflow.decisions?.includes(event)) throw new QianzhiError('QZ-REVISION-MISSING')
  for (const precondition of transition.preconditions ?? []) await precondition(context)
  const from = context.subject.state
  await query(`update ${workflow.table} set state = $2 where ${keyOf(workflow)} = $1`, [id, transition.to])
  const recorded = { ...(workflow.recorded?.(input) ?? input), ...(seen !== undefined && { seen }) }
  const { now } = context
  await record(query, { workflow: workflow.name, object: id, event, from, to: transition.to, principal, input: recorded, now })
  for (const effect of transition.effects ?? []) await effect(context)
  return workflow.load(query, id)
}

async function requireAnother(
  query: Query,
  workflow: string,
  object: string,
  { actor }: Principal,
  events: readonly string[],
): Promise<void> {
  const own = await query('select from history where workflow = $1 and object = $2 and actor = $3 and event = any($4) limit 1', [
    workflow,
    object,
    actor,
    events,
  ])
  if (own.length > 0) throw new QianzhiError('QZ-SAME-PERSON')
}

/** Resources, standards and grants have codes for keys, all others numbers. */
function keyOf({ table }: { table: string }): string {
  return table === 'resource' || table === 'standard' ? 'code' : table === 'access_grant' ? 'id' : 'id::text'
}

async function transitionOf<S extends string, T extends { state: S }>(
  { name, events, states }: Workflow<S, T>,
  event: string,
  id: string,
  context: TransitionContext<T>,
): Promise<Transition<S, T>> {
  const { state } = context.subject
  const fitting = ((events[event] ?? []) as readonly Transition<S, T>[]).filter(({ from }) => from.includes(state))
  const allowed = fitting.filter(({ by }) => !by || by.some((role) => context.principal.roles.includes(role)))
  if (fitting.length > 0 && allowed.length === 0) throw new QianzhiError('QZ-FORBIDDEN', { operation: `${name}.${event}` })
  for (const transition of allowed) if (await (transition.guard?.(context) ?? true)) return transition
  throw wrongState(name, id, states[state], `${name}.${event}`)
}
