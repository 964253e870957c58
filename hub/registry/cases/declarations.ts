import { filter, listPage, type Asked, type Listing, type Page } from '../../records/listing.ts'
import { QianzhiError } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { Principal } from '../../access/principal.ts'
import type { Day } from '../../records/calendar.ts'
import { notify } from '../../records/notices.ts'
import { notFound, rule } from '../../records/refusals.ts'
import { change, type Registry } from '../../records/registry.ts'
import type { Role } from '../../records/roles.ts'
import type { Query } from '../../store/store.ts'
import { explainPeriod, listDuties } from '../../supervision/duties/duties.ts'
import { dutyEvidence } from '../../supervision/duties/evidence.ts'
import { parsePeriod } from '../../supervision/duties/periods.ts'
import { nameOfAgency } from '../agencies/agencies.ts'
import { requireResource } from '../catalog/resources.ts'
import { record } from '../../records/history.ts'
import { type Transition, type TransitionContext, type Workflow } from '../workflow.ts'

export const declarationKinds = {
  'no-change': { zh: '数据没有变化说明', en: 'nothing changed' },
  'cannot-supply': { zh: '不能提供报告', en: 'cannot supply' },
  'force-majeure': { zh: '不可抗力通知', en: 'force majeure' },
} as const

export type DeclarationKind = keyof typeof declarationKinds

/** What an agency declares in writing: nothing changed (Art. 14), it cannot supply (Art. 7.4), force majeure (Art. 20). */
export interface Declaration {
  id: string
  agency: string
  kind: DeclarationKind
  /** Null: the whole agency. */
  resource: string | null
  /** Of no-change: the period, as duties name it. */
  period: string | null
  text: string
  basis: string | null
  measures: string | null
  until: Day | null
  /** Of no-change: what was known of the data when it was signed. */
  evidence: object | null
  draftedBy: string
  signedBy: string | null
  signedAt: Date | null
  state: State
  result: string | null
  created: Date
}

type State =
  | 'drafted'
  | 'returned'
  | 'withdrawn'
  | 'accepted'
  | 'reported'
  | 'delegated'
  | 'escalated'
  | 'settled'
  | 'noticed'
  | 'acknowledged'
type On<I = unknown> = TransitionContext<Declaration, I>

const isKind =
  (kind: DeclarationKind) =>
  ({ subject }: On) =>
    subject.kind === kind

const signing = { from: ['drafted'], preconditions: [anotherPerson] } satisfies Partial<Transition<State, Declaration>>

export const declarationFlow: Workflow<State, Declaration> = {
  name: 'declaration',
  table: 'declaration',
  states: {
    drafted: { zh: '待审签', en: 'drafted' },
    returned: { zh: '已退回', en: 'returned' },
    withdrawn: { zh: '已撤回', en: 'withdrawn' },
    accepted: { zh: '已说明', en: 'accepted' },
    reported: { zh: '已报市政府办公室', en: 'with the city government office' },
    delegated: { zh: '市电子政务办协商中', en: 'delegated to the office' },
    escalated: { zh: '已报请市委市政府', en: 'escalated' },
    settled: { zh: '已解决', en: 'settled' },
    noticed: { zh: '已通知市电子政务办', en: 'noticed' },
    acknowledged: { zh: '市电子政务办已确认', en: 'acknowledged' },
  },
  initial: 'drafted',
  events: {
    sign: [
      { ...signing, to: 'accepted', guard: isKind('no-change'), effects: [keepEvidence, keepSignature, explain, notifyRole('supervisor')] },
      {
        ...signing,
        to: 'reported',
        guard: isKind('cannot-supply'),
        effects: [keepSignature, notifyRole('government'), notifyRole('office')],
      },
      {
        ...signing,
        to: 'noticed',
        guard: isKind('force-majeure'),
        effects: [keepSignature, notifyRole('office'), notifyRole('supervisor')],
      },
    ],
    return: [{ from: ['drafted'], to: 'returned', effects: [keepResult, notifyAgency] }],
    withdraw: [{ from: ['drafted'], to: 'withdrawn' }],
    acknowledge: [{ from: ['noticed'], to: 'acknowledged', effects: [notifyAgency] }],
    delegate: [{ from: ['reported'], to: 'delegated', effects: [notifyRole('office'), notifyAgency] }],
    escalate: [
      { from: ['reported', 'delegated'], to: 'escalated', by: ['government'], effects: [notifyAgency, notifyRole('supervisor')] },
      { from: ['delegated'], to: 'escalated', by: ['office'], effects: [notifyAgency, notifyRole('government')] },
    ],
    settle: [
      { from: ['reported', 'delegated', 'escalated'], to: 'settled', by: ['government'], effects: [keepResult, notifyAgency] },
      { from: ['delegated'], to: 'settled', by: ['office'], effects: [keepResult, notifyAgency, notifyRole('government')] },
    ],
  },
  load: loadDeclaration,
}

const declarationSql = `select id, agency, kind, resource, period, text, basis, measures, until::text, evidence, drafted_by as "draftedBy",
    signed_by as "signedBy", signed_at as "signedAt", state, result, created_at as created
  from declaration`

export async function loadDeclaration(query: Query, id: string): Promise<Declaration> {
  const [declaration] = await query<Declaration>(`${declarationSql} where id::text = $1`, [id])
  if (!declaration) throw notFound('declaration', id)
  return declaration
}

export interface NewDeclaration {
  kind: DeclarationKind
  resource?: string
  period?: string
  text: string
  basis?: string
  measures?: string
  until?: Day
}

/** Drafts a declaration, for a reviewer of the agency to sign. Throws QZ-RULE where something that its kind needs is missing. */
export async function draftDeclaration(registry: Registry, principal: Principal, wanted: NewDeclaration): Promise<Declaration> {
  checkComplete(wanted)
  return change(registry, async (query) => {
    await checkOwn(query, principal, wanted.resource)
    if (wanted.kind === 'no-change') await checkDuty(query, wanted.resource!, wanted.period!, registry.clock())
    return insert(query, principal, wanted, registry.clock())
  })
}

function checkComplete({ kind, resource, period, measures, basis }: NewDeclaration): void {
  if (kind === 'no-change' && (resource === undefined || period === undefined)) {
    throw rule('没有变化说明须写明资源和期间（第十四条）', 'that nothing changed is declared of a resource and a period (Art. 14)')
  }
  if (period !== undefined) parsePeriod(period)
  if (kind === 'cannot-supply' && basis === undefined) throw rule('须写明理由依据（第七条）', 'the basis must be named (Art. 7)')
  if (kind === 'force-majeure' && measures === undefined)
    throw rule('须写明补救措施（第二十条）', 'remedial measures must be named (Art. 20)')
}

async function checkOwn(query: Query, { agency }: Principal, resource: string | undefined): Promise<void> {
  if (resource === undefined || (await requireResource(query, resource)).agency === agency) return
  throw rule(`资源 ${resource} 不是本单位的`, `resource ${resource} is not your agency's`)
}

/** Where there is no such duty, or it has not begun, nobody need wait for the reviewer to be told so. */
async function checkDuty(query: Query, resource: string, period: string, now: Date): Promise<void> {
  const { from, to } = parsePeriod(period)
  const duties = await listDuties(query, { resource, from, to }, now)
  const duty = duties.find((one) => one.period === period)
  if (!duty) throw notFound('duty', `${resource} ${period}`)
  if (duty.state === 'upcoming') throw rule(`${resource} 的期间 ${period} 尚未开始`, `period ${period} of ${resource} has not begun`)
}

async function insert(query: Query, principal: Principal, wanted: NewDeclaration, now: Date): Promise<Declaration> {
  const { kind, resource, period, text, basis, measures, until } = wanted
  const [row] = await query<{ id: string }>(
    `insert into declaration (agency, kind, resource, period, text, basis, measures, until, drafted_by, state, created_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'drafted', $10) returning id`,
    [principal.agency, kind, resource, period, text, basis, measures, until, principal.person, now],
  )
  const { id } = row!
  const input = { kind, ...(resource && { resource }), ...(period && { period }) }
  await record(query, { workflow: 'declaration', object: id, event: 'create', from: null, to: 'drafted', principal, input })
  const texts = { zh: `声明 ${id} 待审签`, en: `Declaration ${id} waits to be signed` }
  const to = { agency: principal.agency!, role: 'reviewer' } as const
  await notify(query, { to, kind: 'declaration', object: `declaration ${id}`, ...texts })
  return loadDeclaration(query, id)
}

export const declarationList = {
  select: `select * from (${declarationSql}) d where $1::text is null or d.agency = $1`,
  filters: {
    state: filter.among('state', Object.keys(declarationFlow.states)),
    kind: filter.among('kind', Object.keys(declarationKinds)),
    agency: filter.equal('agency'),
    resource: filter.equal('resource'),
    period: filter.equal('period'),
    text: filter.holds('id', 'resource', 'text'),
    from: filter.from('created'),
    to: filter.to('created'),
  },
  sorts: {
    id: 'bigint',
    kind: 'text',
    agency: 'text',
    resource: 'text',
    period: 'text',
    signedAt: 'timestamptz',
    state: 'text',
    created: 'timestamptz',
  },
  first: '-id',
  id: ['id', 'bigint'],
} as const satisfies Listing

export function listDeclarations({ store }: Registry, agencyScope: string | null, asked: Asked): Promise<Page<Declaration>> {
  return listPage(store.query, declarationList, [agencyScope], asked)
}

// What the events of the table check and do.

function anotherPerson({ subject, principal }: On): void {
  if (principal.person === subject.draftedBy) throw new QianzhiError('QZ-SAME-PERSON')
}

async function keepSignature({ query, subject, principal, now }: On): Promise<void> {
  await query('update declaration set signed_by = $2, signed_at = $3 where id = $1', [subject.id, principal.person, now])
}

/** What the platform knows of the period goes with the signature, whether it bears the declaration out or not. */
async function keepEvidence({ query, subject, now }: On): Promise<void> {
  const evidence = await dutyEvidence(query, subject.resource!, subject.period!, now)
  await query('update declaration set evidence = $2 where id = $1', [subject.id, JSON.stringify(evidence)])
}

async function explain({ query, subject, now }: On): Promise<void> {
  await explainPeriod(query, { resource: subject.resource!, period: subject.period!, declaration: subject.id, now })
}

async function keepResult({ query, subject, input }: On<{ reason?: string; result?: string }>): Promise<void> {
  await query('update declaration set result = $2 where id = $1', [subject.id, input.result ?? input.reason ?? null])
}

function nameOf({ id, kind, agency, resource }: Declaration, agencyName: string): LocalizedText {
  const { zh, en } = declarationKinds[kind]
  return {
    zh: `${agencyName}的${zh}（声明 ${id}${resource ? `，资源 ${resource}` : ''}）`,
    en: `Declaration ${id} of ${agency}: ${en}${resource ? `, resource ${resource}` : ''}`,
  }
}

/** What it is, and where it lies now. */
async function newsOf(query: Query, subject: Declaration): Promise<LocalizedText> {
  const { state } = await loadDeclaration(query, subject.id)
  const { zh, en } = nameOf(subject, await nameOfAgency(query, subject.agency))
  const now = declarationFlow.states[state]
  return { zh: `${zh}：${now.zh}`, en: `${en}: ${now.en}` }
}

function notifyRole(role: Role): (context: On) => Promise<void> {
  return async ({ query, subject }) => {
    const texts = await newsOf(query, subject)
    await notify(query, { to: { role }, kind: 'declaration', object: `declaration ${subject.id}`, ...texts })
  }
}

async function notifyAgency({ query, subject }: On): Promise<void> {
  const texts = await newsOf(query, subject)
  for (const role of ['registrar', 'reviewer'] as const) {
    await notify(query, { to: { agency: subject.agency, role }, kind: 'declaration', object: `declaration ${subject.id}`, ...texts })
  }
}
