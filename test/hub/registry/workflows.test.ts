/** Every workflow × state × event × role: what happens is what the tables say, and nothing else. */
import t from 'tap'
import { QianzhiError } from '../../../protocol/errors.ts'
import { allows } from '../../../hub/access/authorise.ts'
import { theHub, type Principal } from '../../../hub/access/principal.ts'
import { relationsOf } from '../../../hub/access/relations.ts'
import { rights, type OperationName } from '../../../hub/access/rights.ts'
import { roleNames, type Role } from '../../../hub/records/roles.ts'
import { operations } from '../../../hub/operations/index.ts'
import { actionsOn } from '../../../hub/registry/actions.ts'
import { applyEvent, type Transition, type Workflow } from '../../../hub/registry/workflow.ts'
import { revisionOf } from '../../../hub/registry/revision.ts'
import { workflows } from '../../../hub/registry/workflows.ts'
import { Random, seedOfThisRun } from '../../faults/random.ts'
import { longer } from '../../support/longer.ts'
import { openCity } from '../city.ts'
import { makeObject, openObjects } from '../objects.ts'

type AnyStep = Transition<string, { state: string }>
const stepsOf = (flow: Workflow<string, never>, event: string) => flow.events[event] as unknown as readonly AnyStep[]

t.test('the tables are whole', async (t) => {
  for (const flow of workflows) {
    const states = Object.keys(flow.states)
    const steps = Object.keys(flow.events).flatMap((event) => stepsOf(flow, event))
    const reached = new Set([flow.initial])
    for (const _ of states) for (const { from, to } of steps) if (from.some((state) => reached.has(state))) reached.add(to)
    t.same(
      states.filter((state) => !reached.has(state)),
      [],
      `${flow.name}: every state can be reached`,
    )
    t.same(
      steps.flatMap(({ from, to }) => [...from, to]).filter((state) => !states.includes(state)),
      [],
      `${flow.name}: no step names a state that is none`,
    )
    for (const event of Object.keys(flow.events)) t.ok(Object.hasOwn(rights, `${flow.name}.${event}`), `${flow.name}.${event} has a right`)
  }
})

/** A person of the agency in one role, who did nothing before; or the hub itself. */
function somebody(person: string, role: Role, agency: string): Principal {
  return { actor: `person ${person}`, person, name: role, agency, roles: [role], via: 'session' }
}

class Undone extends Error {}

/** What no step leads to is tried by every fourth of them, in each run by others, and by all in the longer one. */
const everySo = longer ? 4 : 1

t.test('what happens is what the tables say', async (t) => {
  const city = await openCity(t)
  const objects = await openObjects(city, { provider: 'civil', receiver: 'water' })
  const person = await makeObject(objects, 'person')
  const principals = [theHub, ...roleNames.flatMap((role) => ['civil', 'water', 'health'].map((agency) => somebody(person, role, agency)))]
  let turn = new Random(seedOfThisRun()).between(0, everySo - 1)
  for (const flow of workflows) {
    let [happened, refused] = [0, 0]
    for (const state of Object.keys(flow.states)) {
      const id = await makeObject(objects, flow.name, state)
      const relations = await relationsOf(city.store.query, flow.name, id)
      // Whatever is tried is undone: it stays the same.
      const seen = await revisionOf(city.store.query, flow.name, id)
      const actions = new Map<Principal, readonly string[]>()
      for (const principal of principals) actions.set(principal, (await actionsOn(city, flow.name, id, principal))!)
      for (const event of Object.keys(flow.events)) {
        const name = `${flow.name}.${event}` as OperationName
        const input = (operations.find((operation) => operation.name === name)?.example ?? ofTheHub[name] ?? {}) as Record<string, unknown>
        const fitting = stepsOf(flow, event).filter(({ from }) => from.includes(state))
        for (const principal of principals) {
          const shown = actions.get(principal)!.includes(name)
          if (fitting.length === 0 && turn++ % everySo > 0) {
            if (shown) t.fail(`shown as open: ${name} from ${state} by ${principal.roles[0] ?? 'the hub'} of ${principal.agency}`)
            continue
          }
          const open = fitting.filter(({ by }) => !by || by.some((role) => principal.roles.includes(role)))
          const outcome = await tryEvent(flow, event, id, { principal, input, seen })
          const what = `${name} from ${state} by ${principal.roles[0] ?? 'the hub'} of ${principal.agency}: ${outcome}`
          if (!allows(principal, name, relations)) t.equal(outcome, 'QZ-FORBIDDEN', what)
          else if (fitting.length === 0) t.equal(outcome, 'QZ-STATE', what)
          else if (open.length === 0) t.equal(outcome, 'QZ-FORBIDDEN', what)
          else if (outcome === 'QZ-STATE')
            t.ok(
              open.every(({ guard }) => guard),
              what,
            )
          else t.ok(open.some(({ to }) => outcome === `→ ${to}`) || conditions.test(outcome), what)
          t.equal(shown, !/^QZ-(?:FORBIDDEN|STATE|SAME-PERSON)$/.test(outcome), `shown as open: ${what}`)
          if (outcome.startsWith('→')) happened++
          else refused++
        }
      }
    }
    t.ok(refused > 0, `${flow.name}: ${happened} happened, ${refused} refused`)
  }

  /** In a transaction that is undone. */
  async function tryEvent(
    flow: Workflow<string, never>,
    event: string,
    id: string,
    by: { principal: Principal; input: Record<string, unknown>; seen: string },
  ): Promise<string> {
    let outcome = ''
    try {
      await city.store.transaction(async (query) => {
        const context = { registry: city, query, affectedAgents: new Set<string>(), ...by }
        const after = await applyEvent(flow as unknown as Workflow<string, { state: string }>, event, id, context)
        outcome = `→ ${after.state}`
        throw new Undone()
      })
    } catch (error) {
      if (!(error instanceof Undone)) outcome = error instanceof QianzhiError ? error.code : String(error)
    }
    return outcome
  }
})

/** What comes with events that no operation brings about. */
const ofTheHub: Record<string, object> = { 'grant.hold': { version: 2, reason: { zh: '不兼容', en: 'not compatible' } } }

/** A rule that the object or the input does not meet; never a right, a state, or a fault of ours. */
const conditions = /^QZ-(?:RULE|SAME-PERSON|CONFLICT|REQUEST-INVALID|NOT-FOUND|SCHEMA)$/
