import { QianzhiError } from '../../../protocol/errors.ts'
import { notify, reasonGiven } from '../../records/notices.ts'
import type { Query } from '../../store/store.ts'
import { replaceAgent } from './replacement.ts'
import type { TransitionContext, Workflow } from '../workflow.ts'
import { notFound } from '../../records/refusals.ts'

/** An application for a front-end machine 前置机 (Art. 15). */
export interface Machine {
  id: string
  agency: string
  name: string
  purpose: string
  /** Who provides the machine. */
  providedBy: 'office' | 'agency'
  /** The agent of the dead machine whose streams it goes on with. */
  replaces: string | null
  state: State
  reason: string | null
  /** What has enrolled. */
  agent: string | null
  created: Date
}

type State = 'applied' | 'approved' | 'rejected' | 'withdrawn' | 'enrolled'
type On<I = unknown> = TransitionContext<Machine, I>

export const machineFlow: Workflow<State, Machine> = {
  name: 'machine',
  table: 'machine_application',
  states: {
    applied: { zh: '待审核', en: 'with the office' },
    approved: { zh: '已批准，待登记', en: 'approved, to be enrolled' },
    rejected: { zh: '已驳回', en: 'rejected' },
    withdrawn: { zh: '已撤回', en: 'withdrawn' },
    enrolled: { zh: '已登记', en: 'enrolled' },
  },
  initial: 'applied',
  events: {
    approve: [
      {
        from: ['applied'],
        notBy: ['create'],
        to: 'approved',
        preconditions: [oldOneKnown],
        effects: [notifyAgency('已批准，请领取登记令牌', 'approved: take the enrolment token')],
      },
    ],
    reject: [{ from: ['applied'], notBy: ['create'], to: 'rejected', effects: [keepReason, notifyAgency('已驳回', 'rejected')] }],
    withdraw: [{ from: ['applied', 'approved'], to: 'withdrawn', effects: [endTokens] }],
    // The one before counts no longer.
    token: [{ from: ['approved'], to: 'approved', effects: [endTokens] }],
    enrol: [{ from: ['approved'], to: 'enrolled', effects: [keepAgent, replace, notifyAgency('已登记', 'enrolled')] }],
  },
  load: loadMachine,
}

export const machineSql = `select m.id, m.agency, m.name, m.purpose, m.provided_by as "providedBy", m.replaces, m.state, m.reason, m.agent,
  m.created_at as created from machine_application m`

export async function loadMachine(query: Query, id: string): Promise<Machine> {
  const [machine] = await query<Machine>(`${machineSql} where m.id::text = $1`, [id])
  if (!machine) throw notFound('machine', id)
  return machine
}

async function oldOneKnown({ query, subject }: On): Promise<void> {
  if (subject.replaces !== null) await requireReplaceable(query, subject.agency, subject.replaces)
}

/** Also one that is revoked: a stolen machine is revoked first. */
export async function requireReplaceable(query: Query, agency: string, agent: string): Promise<void> {
  const [known] = await query<{ agency: string }>('select agency from agent where id = $1', [agent])
  if (!known) throw notFound('agent', agent)
  if (known.agency === agency) return
  throw new QianzhiError('QZ-RULE', { reason: { zh: `前置机 ${agent} 不属于本单位`, en: `machine ${agent} is not one of its own` } })
}

async function keepReason({ query, subject, input }: On<{ reason: string }>): Promise<void> {
  await query('update machine_application set reason = $2 where id = $1', [subject.id, input.reason])
}

async function endTokens({ query, subject, now }: On): Promise<void> {
  await query('update enrolment_token set expires_at = $2 where machine = $1 and used_by is null and expires_at > $2', [subject.id, now])
}

async function keepAgent({ query, subject, input }: On<{ agent: string }>): Promise<void> {
  await query('update machine_application set agent = $2 where id = $1', [subject.id, input.agent])
}

async function replace({ query, affectedAgents, subject, input, principal, now }: On<{ agent: string }>): Promise<void> {
  // The same machine, enrolled again with its key, goes on as it is.
  if (subject.replaces === null || subject.replaces === input.agent) return
  await replaceAgent(query, { from: subject.replaces, to: input.agent, actor: principal.actor, now, affectedAgents })
}

function notifyAgency(zh: string, en: string) {
  return async ({ query, subject, input }: On<{ reason?: string }>): Promise<void> => {
    const why = reasonGiven(input.reason)
    await notify(query, {
      to: { agency: subject.agency, role: 'agency-it' },
      kind: 'machine',
      object: `machine ${subject.id}`,
      zh: `前置机 ${subject.name}（申请 ${subject.id}）${zh}${why.zh}`,
      en: `Front-end machine ${subject.name} (application ${subject.id}): ${en}${why.en}`,
    })
  }
}
