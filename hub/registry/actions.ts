import { allows } from '../access/authorise.ts'
import type { Principal } from '../access/principal.ts'
import { relationsOf, type ObjectKind } from '../access/relations.ts'
import type { OperationName } from '../access/rights.ts'
import type { Registry } from '../records/registry.ts'
import type { Query } from '../store/store.ts'
import type { Transition, TransitionContext, Workflow } from './workflow.ts'
import { workflows } from './workflows.ts'

type AnyCase = { state: string }
type AnyFlow = Workflow<string, AnyCase>
const flows: ReadonlyMap<ObjectKind, AnyFlow> = new Map((workflows as unknown as readonly AnyFlow[]).map((flow) => [flow.name, flow]))

/**
 * What somebody may do with a case as it is now: the operations of its workflow that neither its state, nor their roles and agency, nor what
 * they did with it before forbid. What comes with them may still break a rule. Undefined for what is no case.
 */
export async function actionsOn(
  registry: Registry,
  kind: ObjectKind,
  id: string,
  principal: Principal,
): Promise<OperationName[] | undefined> {
  const flow = flows.get(kind)
  if (!flow) return undefined
  const { query } = registry.store
  const subject = await flow.load(query, id)
  const relations = await relationsOf(query, kind, id)
  const done = await doneBy(query, kind, id, principal)
  const context = { registry, query, affectedAgents: new Set<string>(), principal, subject, input: {}, now: registry.clock() }
  const actions: OperationName[] = []
  for (const [event, transitions] of Object.entries(flow.events) as [string, readonly Transition<string, AnyCase>[]][]) {
    const name = `${flow.name}.${event}` as OperationName
    if (allows(principal, name, relations) && (await isOpen(transitions, context, done))) actions.push(name)
  }
  return actions
}

async function isOpen(
  transitions: readonly Transition<string, AnyCase>[],
  context: TransitionContext<AnyCase>,
  done: ReadonlySet<string>,
): Promise<boolean> {
  const { subject, principal } = context
  for (const { from, by, guard, notBy = [] } of transitions) {
    if (!from.includes(subject.state) || (by && !by.some((role) => principal.roles.includes(role)))) continue
    if (await (guard?.(context) ?? true)) return notBy.every((event) => !done.has(event))
  }
  return false
}

async function doneBy(query: Query, workflow: string, object: string, { actor }: Principal): Promise<Set<string>> {
  const text = 'select distinct event from history where workflow = $1 and object = $2 and actor = $3'
  return new Set((await query<{ event: string }>(text, [workflow, object, actor])).map(({ event }) => event))
}
