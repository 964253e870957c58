import { titleOf } from '../../records/object-titles.ts'
import { filter, listPage, type Asked, type Listing, type Page } from '../../records/listing.ts'
import { QianzhiError } from '../../../protocol/errors.ts'
import { readText, type LocalizedText } from '../../../protocol/localized.ts'
import { itemById, keyItems } from '../../../protocol/schema.ts'
import type { Principal } from '../../access/principal.ts'
import { dropDeadline, endDeadline, startDeadline } from '../../records/deadlines.ts'
import { notify } from '../../records/notices.ts'
import { correctionStates, type CorrectionState } from '../../records/correction-states.ts'
import { notFound } from '../../records/refusals.ts'
import { change, type Registry } from '../../records/registry.ts'
import type { Role } from '../../records/roles.ts'
import type { Query } from '../../store/store.ts'
import { agencyWith } from '../agencies/offices.ts'
import { requireResource } from '../catalog/resources.ts'
import { record } from '../../records/history.ts'
import { type TransitionContext, type Workflow } from '../workflow.ts'

/** A correction 更正 (Art. 18): what a receiver found wrong in shared data. Its texts may tell row values: only the parties see them. */
export interface Correction {
  id: string
  /** Who reports. */
  agency: string
  resource: string
  provider: string
  key: Record<string, string> | null
  items: string[]
  /** As a person wrote it, or an agent's report in both languages. */
  fault: string | LocalizedText
  wanted: string | null
  state: State
  result: 'corrected' | 'no-error' | null
  answer: string | null
  reason: string | null
  reopened: boolean
  created: Date
}

type State = CorrectionState
type On<I = unknown> = TransitionContext<Correction, I>

export const correctionFlow: Workflow<State, Correction> = {
  name: 'correction',
  table: 'correction',
  states: correctionStates,
  initial: 'reported',
  events: {
    pass: [{ from: ['reported'], notBy: ['create'], to: 'passed', effects: [endsDeadline, providerActs, notifyProvider, tellMachine] }],
    dismiss: [
      {
        from: ['reported'],
        notBy: ['create'],
        to: 'dismissed',
        effects: [endsDeadline, keepReason, notifyReporter('不予受理', 'dismissed'), tellMachine],
      },
    ],
    answer: [
      {
        from: ['passed'],
        notBy: ['create'],
        to: 'answered',
        effects: [keepAnswer, endsDeadline, officeActs, updateCatalog, notifyOffice, tellMachine],
      },
    ],
    close: [{ from: ['answered'], to: 'closed', effects: [endsDeadline, notifyReporter('已办结', 'closed'), tellMachine] }],
    reopen: [
      {
        from: ['closed'],
        to: 'passed',
        preconditions: [onlyOnce],
        effects: [keepReason, markReopened, providerActs, notifyProvider, tellMachine],
      },
    ],
    withdraw: [{ from: ['reported', 'passed', 'answered'], to: 'withdrawn', effects: [dropsDeadline, tellMachine] }],
    // Reported by an agent, whose table refuses nothing of it any more.
    settle: [{ from: ['reported', 'passed', 'answered'], to: 'settled', effects: [dropsDeadline, notifySettled] }],
  },
  recorded: ({ result, catalog }) => ({ ...(result !== undefined && { result }), ...(catalog !== undefined && { catalog }) }),
  load: loadCorrection,
}

export async function loadCorrection(query: Query, id: string): Promise<Correction> {
  const [correction] = await query<Correction>(`${correctionSql} where c.id::text = $1`, [id])
  if (!correction) throw notFound('correction', id)
  return withFault(correction)
}

/** A correction as it is read from its row, where the fault is a text. */
function withFault(row: Correction): Correction {
  return typeof row.fault === 'string' ? { ...row, fault: readText(row.fault) } : row
}

const correctionSql = `select c.id, c.agency, c.resource, r.agency as provider, c.row_key as key, c.items, c.fault, c.wanted, c.state,
    c.result, c.answer, c.reason, c.reopened, c.created_at as created
  from correction c join resource r on r.code = c.resource`

export interface NewCorrection {
  resource: string
  /** Values of the key items of the row that is meant, portable texts; absent: the whole resource. */
  key?: Record<string, string>
  /** Ids of the items concerned. */
  items?: string[]
  fault: string
  wanted?: string
}

/** Reports an error (Art. 18) in data that one's agency receives, or has received. Throws QZ-RULE, QZ-REQUEST-INVALID. */
export async function reportCorrection(registry: Registry, principal: Principal, wanted: NewCorrection): Promise<Correction> {
  return change(registry, async (query) => {
    await checkReceives(query, principal, wanted.resource)
    await checkNames(query, wanted)
    return insertCorrection(query, principal, wanted, registry.clock())
  })
}

async function checkReceives(query: Query, { agency }: Principal, resource: string): Promise<void> {
  const [grant] = await query('select from access_grant where resource = $1 and agency = $2 limit 1', [resource, agency])
  if (grant) return
  throw new QianzhiError('QZ-RULE', {
    reason: { zh: '只能更正本单位获取的数据（第十八条）', en: 'only data that your agency receives can be corrected (Art. 18)' },
  })
}

async function checkNames(query: Query, { resource, key, items = [] }: NewCorrection): Promise<void> {
  const { schema } = await requireResource(query, resource)
  const unknown = items.find((id) => !itemById(schema, id))
  if (unknown !== undefined) throw invalid({ zh: `没有信息项 ${unknown}`, en: `item ${unknown} does not exist` })
  if (!key) return
  const wanted = keyItems(schema).map(({ id }) => id)
  if (wanted.toSorted().join() === Object.keys(key).toSorted().join()) return
  throw invalid({ zh: `行须以主键 ${wanted.join('、')} 指明`, en: `a row is named by its key items ${wanted.join(', ')}` })
}

/** A receiver's agent reports what its table refuses (see refusals.ts); the provider is told at once, the office passes it on. */
export async function reportRefusal(query: Query, agent: Principal, wanted: NewCorrection, origin: string, now: Date): Promise<void> {
  const { id, resource, provider } = await insertCorrection(query, agent, wanted, now, origin)
  const title = await titleOf(query, `resource ${resource}`)
  await notify(query, {
    to: { agency: provider, role: 'registrar' },
    kind: 'correction',
    object: `correction ${id}`,
    zh: `资源《${title}》有数据被获取单位的落地表拒绝（更正 ${id}）`,
    en: `A receiver's table refuses rows of ${title} (correction ${id})`,
  })
}

async function insertCorrection(
  query: Query,
  principal: Principal,
  wanted: NewCorrection,
  now: Date,
  origin: string | null = null,
): Promise<Correction> {
  const { resource, key, items = [], fault } = wanted
  const [row] = await query<{ id: string }>(
    `insert into correction (agency, reporter, resource, row_key, items, fault, wanted, state, created_at, origin)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) returning id`,
    [
      principal.agency,
      principal.person,
      resource,
      key ? JSON.stringify(key) : null,
      items,
      fault,
      wanted.wanted ?? null,
      correctionFlow.initial,
      now,
      origin,
    ],
  )
  const id = row!.id
  await record(query, { workflow: 'correction', object: id, event: 'create', from: null, to: 'reported', principal, input: { resource } })
  await officeDeadline(query, id, now)
  const title = await titleOf(query, `resource ${resource}`)
  const texts = { zh: `收到对资源《${title}》的更正报告（更正 ${id}）`, en: `Correction ${id} reported on ${title}` }
  await notify(query, { to: { role: 'office' }, kind: 'correction', object: `correction ${id}`, ...texts })
  return loadCorrection(query, id)
}

/** Of agency $1 as reporter or provider, or all. What was said of rows is not looked through: not all who see the case may read it. */
export const correctionList = {
  select: `${correctionSql} where $1::text is null or c.agency = $1 or r.agency = $1`,
  filters: {
    state: filter.among('state', Object.keys(correctionFlow.states)),
    agency: filter.equal('agency'),
    provider: filter.equal('provider'),
    resource: filter.equal('resource'),
    text: filter.holds('id', 'resource'),
    from: filter.from('created'),
    to: filter.to('created'),
  },
  sorts: { id: 'bigint', agency: 'text', provider: 'text', resource: 'text', state: 'text', created: 'timestamptz' },
  first: '-id',
  id: ['id', 'bigint'],
} as const satisfies Listing

export async function listCorrections({ store }: Registry, agencyScope: string | null, asked: Asked): Promise<Page<Correction>> {
  const page = await listPage<Correction>(store.query, correctionList, [agencyScope], asked)
  return { ...page, items: page.items.map(withFault) }
}

/** Supervisors see acts and states, not row values (Art. 25). */
export function withoutValues(correction: Correction): Correction {
  return { ...correction, key: null, fault: '', wanted: null, answer: null, reason: null }
}

function invalid(reason: LocalizedText): QianzhiError {
  return new QianzhiError('QZ-REQUEST-INVALID', { reason })
}

// What the events of the table check and do.

function onlyOnce({ subject }: On): void {
  if (!subject.reopened) return
  throw new QianzhiError('QZ-RULE', { reason: { zh: '同一更正只能重新报告一次', en: 'a correction can be reported again only once' } })
}

async function keepReason({ query, subject, input }: On<{ reason: string }>): Promise<void> {
  await query('update correction set reason = $2 where id = $1', [subject.id, input.reason])
}

async function markReopened({ query, subject }: On): Promise<void> {
  await query('update correction set reopened = true where id = $1', [subject.id])
}

async function keepAnswer({ query, subject, input }: On<{ result: string; answer: string }>): Promise<void> {
  await query('update correction set result = $2, answer = $3 where id = $1', [subject.id, input.result, input.answer])
}

async function providerActs({ query, subject, now }: On): Promise<void> {
  await beginDeadline(query, subject.id, { agency: subject.provider, role: 'reviewer' }, now)
}

async function officeActs({ query, subject, now }: On): Promise<void> {
  await officeDeadline(query, subject.id, now)
}

/** The office passes on, and returns the result (Art. 18); while nobody is the office, nobody can. */
async function officeDeadline(query: Query, id: string, now: Date): Promise<void> {
  const agency = await agencyWith(query, 'office')
  if (agency !== undefined) await beginDeadline(query, id, { agency, role: 'office' }, now)
}

async function beginDeadline(query: Query, id: string, who: { agency: string; role: Role }, now: Date): Promise<void> {
  await startDeadline(query, { kind: 'correction', object: `correction ${id}`, ...who, from: now })
}

async function endsDeadline({ query, subject, now }: On): Promise<void> {
  await endDeadline(query, 'correction', `correction ${subject.id}`, now)
}

async function dropsDeadline({ query, subject, now }: On): Promise<void> {
  await dropDeadline(query, 'correction', `correction ${subject.id}`, now)
}

/** The machine whose table refuses the rows shows beside them what has become of them: its next poll is answered at once. */
async function tellMachine({ query, subject, affectedAgents }: On): Promise<void> {
  const [machine] = await query<{ agent: string }>(
    `select t.agent from correction c join route t on t.id = split_part(c.origin, ' ', 1) where c.id = $1`,
    [subject.id],
  )
  if (machine) affectedAgents.add(machine.agent)
}

/** The provider says that the catalog has to follow. */
async function updateCatalog({ query, subject, input, now }: On<{ catalog?: boolean }>): Promise<void> {
  if (!input.catalog) return
  const { resource, provider } = subject
  await startDeadline(query, { kind: 'catalog-update', object: `resource ${resource}`, agency: provider, role: 'registrar', from: now })
}

async function notifyProvider({ query, subject }: On): Promise<void> {
  const { id, resource, provider } = subject
  const title = await titleOf(query, `resource ${resource}`)
  const texts = {
    zh: `资源《${title}》有数据更正待处理（更正 ${id}）`,
    en: `Correction ${id} on ${title} waits for your answer`,
  }
  await notify(query, { to: { agency: provider, role: 'reviewer' }, kind: 'correction', object: `correction ${id}`, ...texts })
  await notify(query, { to: { agency: provider, role: 'registrar' }, kind: 'correction', object: `correction ${id}`, ...texts })
}

async function notifySettled({ query, subject: { id, provider } }: On): Promise<void> {
  const texts = { zh: `更正 ${id} 已自行消除`, en: `Correction ${id} has settled by itself` }
  await notify(query, {
    to: [{ role: 'office' }, { agency: provider, role: 'registrar' }],
    kind: 'correction',
    object: `correction ${id}`,
    ...texts,
  })
}

async function notifyOffice({ query, subject }: On): Promise<void> {
  const { id } = subject
  const texts = { zh: `更正 ${id} 已由提供单位答复`, en: `The provider has answered correction ${id}` }
  await notify(query, { to: { role: 'office' }, kind: 'correction', object: `correction ${id}`, ...texts })
}

function notifyReporter(zh: string, en: string): (context: On) => Promise<void> {
  return async ({ query, subject: { id, agency } }) => {
    const texts = { zh: `你单位报告的更正 ${id} ${zh}`, en: `Correction ${id}, reported by your agency, is ${en}` }
    await notify(query, { to: { agency, role: 'user' }, kind: 'correction', object: `correction ${id}`, ...texts })
  }
}
