import { filter, listPage, type Asked, type Listing, type Page } from '../../records/listing.ts'
import { QianzhiError } from '../../../protocol/errors.ts'
import type { Principal } from '../../access/principal.ts'
import { dayOf, type Day } from '../../records/calendar.ts'
import { dropDeadline, endDeadline, renewDeadline, startDeadline } from '../../records/deadlines.ts'
import { notify } from '../../records/notices.ts'
import { notFound, rule } from '../../records/refusals.ts'
import { change, type Registry } from '../../records/registry.ts'
import type { Query } from '../../store/store.ts'
import { nameOfAgency, requireAgency } from '../agencies/agencies.ts'
import { requireResource } from '../catalog/resources.ts'
import { parsePeriod } from '../../supervision/duties/periods.ts'
import { record } from '../../records/history.ts'
import { type TransitionContext, type Workflow } from '../workflow.ts'

/** The five causes of Art. 27, in its order. */
export const orderCauses = {
  openness: { zh: '不依法履行政务信息公开义务', en: 'open government duties not met' },
  update: { zh: '不及时更新公开的政务信息内容和目录', en: 'content or catalog not updated in time' },
  secrecy: { zh: '未经审查上传涉及国家秘密的信息数据', en: 'state secrets supplied without review' },
  misuse: { zh: '违规使用或发布市共享平台的信息数据', en: 'data used or published against the rules' },
  other: { zh: '违反本规定要求的其他行为', en: 'another act against the regulation' },
} as const

export type OrderCause = keyof typeof orderCauses

/** A rectification order 责令改正 (Art. 27). */
export interface Order {
  id: string
  /** Who has to put it right. */
  agency: string
  resource: string | null
  /** Of the resource's update duty, as `2026-W46`. */
  period: string | null
  cause: OrderCause
  text: string
  due: Day
  /** The role in which it was issued: only the same office, or the supervisor, closes it. */
  issuer: 'office' | 'supervisor' | 'secrecy'
  state: State
  answer: string | null
  reason: string | null
  result: string | null
  created: Date
}

type State = 'issued' | 'answered' | 'closed' | 'transferred' | 'concluded'
type On<I = unknown> = TransitionContext<Order, I>

export const orderFlow: Workflow<State, Order> = {
  name: 'order',
  table: 'rectification_order',
  states: {
    issued: { zh: '责令改正', en: 'issued' },
    answered: { zh: '已报告整改', en: 'answered' },
    closed: { zh: '已办结', en: 'closed' },
    transferred: { zh: '已移送市监察局', en: 'transferred to the supervisor' },
    concluded: { zh: '市监察局已处理', en: 'concluded by the supervisor' },
  },
  initial: 'issued',
  events: {
    // With the answer the agency has done its part; what the issuer does with it is not in its hands.
    answer: [{ from: ['issued'], to: 'answered', effects: [keep('answer'), endsDeadline, notifyIssuer] }],
    'reject-answer': [
      { from: ['answered'], to: 'issued', preconditions: [issuerOrSupervisor], effects: [keep('reason'), renewsDeadline, notifyAgency] },
    ],
    close: [{ from: ['answered'], to: 'closed', preconditions: [issuerOrSupervisor], effects: [notifyAgency] }],
    transfer: [
      {
        from: ['issued', 'answered'],
        to: 'transferred',
        preconditions: [issuerOrSupervisor],
        effects: [keep('reason'), dropsDeadline, notifyAgency, notifySupervisor],
      },
    ],
    conclude: [{ from: ['transferred'], to: 'concluded', effects: [keep('result'), notifyAgency] }],
  },
  load: loadOrder,
}

const orderSql = `select id, agency, resource, period, cause, text, due::text, issuer, state, answer, reason, result, created_at as created
  from rectification_order`

export async function loadOrder(query: Query, id: string): Promise<Order> {
  const [order] = await query<Order>(`${orderSql} where id::text = $1`, [id])
  if (!order) throw notFound('order', id)
  return order
}

export interface NewOrder {
  agency: string
  resource?: string
  period?: string
  cause: OrderCause
  text: string
  /** The last day on which it is in time. */
  due: Day
}

/**
 * Orders an agency to put something right (Art. 27). Throws QZ-RULE where it is due at once, the resource is another agency's, or a period is
 * named without its resource; QZ-REQUEST-INVALID.
 */
export async function issueOrder(registry: Registry, principal: Principal, wanted: NewOrder): Promise<Order> {
  const { agency, resource, period, cause, text, due } = wanted
  const issuer = (['supervisor', 'secrecy', 'office'] as const).find((role) => principal.roles.includes(role))
  const now = registry.clock()
  if (due <= dayOf(now)) throw rule('整改期限已过', 'the day by which it is due is over')
  if (period !== undefined) parsePeriod(period)
  if (period !== undefined && resource === undefined)
    throw rule('写明更新期间的，须写明资源', 'a period is one of a resource: name it, too')
  return change(registry, async (query) => {
    await requireAgency(query, agency)
    if (resource !== undefined && (await requireResource(query, resource)).agency !== agency) {
      throw rule(`资源 ${resource} 不属于 ${agency}`, `resource ${resource} is not one of ${agency}`)
    }
    const [row] = await query<{ id: string }>(
      `insert into rectification_order (agency, resource, period, cause, text, due, issuer, issued_by, state, created_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8, 'issued', $9) returning id`,
      [agency, resource, period, cause, text, due, issuer, principal.actor, now],
    )
    const object = `order ${row!.id}`
    const input = { agency, cause, ...(resource && { resource }), ...(period && { period }), due }
    await record(query, { workflow: 'order', object: row!.id, event: 'issue', from: null, to: 'issued', principal, input })
    await startDeadline(query, { kind: 'rectification', object, agency, role: 'reviewer', from: now, due })
    const texts = { zh: `责令改正：${orderCauses[cause].zh}`, en: `Rectification order: ${orderCauses[cause].en}` }
    await notify(query, { to: { agency, role: 'reviewer' }, kind: 'order', object, ...texts })
    return loadOrder(query, row!.id)
  })
}

export const orderList = {
  select: `select * from (${orderSql}) o where $1::text is null or o.agency = $1`,
  filters: {
    state: filter.among('state', Object.keys(orderFlow.states)),
    cause: filter.among('cause', Object.keys(orderCauses)),
    agency: filter.equal('agency'),
    resource: filter.equal('resource'),
    period: filter.equal('period'),
    issuer: filter.equal('issuer'),
    text: filter.holds('id', 'resource', 'text'),
    from: filter.from('created'),
    to: filter.to('created'),
  },
  sorts: {
    id: 'bigint',
    agency: 'text',
    resource: 'text',
    period: 'text',
    cause: 'text',
    due: 'text',
    state: 'text',
    created: 'timestamptz',
  },
  first: '-id',
  id: ['id', 'bigint'],
} as const satisfies Listing

export function listOrders({ store }: Registry, agencyScope: string | null, asked: Asked): Promise<Page<Order>> {
  return listPage(store.query, orderList, [agencyScope], asked)
}

// What the events of the table check and do.

function issuerOrSupervisor({ subject, principal }: On): void {
  if (principal.roles.includes(subject.issuer) || principal.roles.includes('supervisor')) return
  throw new QianzhiError('QZ-RULE', { reason: { zh: '由发出责令的单位处理', en: 'it is for the office that issued the order' } })
}

function keep(field: 'answer' | 'reason' | 'result'): (context: On<Record<string, unknown>>) => Promise<void> {
  return async ({ query, subject, input }) => {
    await query(`update rectification_order set ${field} = $2 where id = $1`, [subject.id, input[field]])
  }
}

async function endsDeadline({ query, subject, now }: On): Promise<void> {
  await endDeadline(query, 'rectification', `order ${subject.id}`, now)
}

async function renewsDeadline({ query, subject, now }: On): Promise<void> {
  await renewDeadline(query, 'rectification', `order ${subject.id}`, now)
}

async function dropsDeadline({ query, subject, now }: On): Promise<void> {
  await dropDeadline(query, 'rectification', `order ${subject.id}`, now)
}

async function notifyIssuer({ query, subject: { id, issuer, agency } }: On): Promise<void> {
  const agencyName = await nameOfAgency(query, agency)
  const texts = { zh: `${agencyName}已就责令改正 ${id} 报告整改`, en: `${agencyName} has answered order ${id}` }
  await notify(query, { to: { role: issuer }, kind: 'order', object: `order ${id}`, ...texts })
}

async function notifyAgency({ query, subject: { id, agency } }: On): Promise<void> {
  const { state } = await loadOrder(query, id)
  const texts = { zh: `责令改正 ${id}：${orderFlow.states[state].zh}`, en: `Rectification order ${id}: ${orderFlow.states[state].en}` }
  await notify(query, { to: { agency, role: 'reviewer' }, kind: 'order', object: `order ${id}`, ...texts })
}

async function notifySupervisor({ query, subject: { id, agency } }: On): Promise<void> {
  const agencyName = await nameOfAgency(query, agency)
  const texts = {
    zh: `责令改正 ${id}（${agencyName}）已移送`,
    en: `Rectification order ${id} against ${agencyName} was transferred to you`,
  }
  await notify(query, { to: { role: 'supervisor' }, kind: 'order', object: `order ${id}`, ...texts })
}
