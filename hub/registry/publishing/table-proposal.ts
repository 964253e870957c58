import type { ColumnsAnswer, ProposedColumn, TablesAnswer } from '../../../protocol/asks.ts'
import { identityCardNames } from '../../../protocol/identifiers.ts'
import type { Item, SubjectRole } from '../../../protocol/schema.ts'
import { QianzhiError } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import { actedBy, type Principal } from '../../access/principal.ts'
import { relationsOf } from '../../access/relations.ts'
import { authorise } from '../../access/authorise.ts'
import type { OperationName } from '../../access/rights.ts'
import type { AgentRequests } from '../../exchange/agent-requests.ts'
import { requireOnlyAgent } from '../../records/agents.ts'
import { writeAudit } from '../../records/audit.ts'
import type { DraftContent } from '../catalog/content.ts'
import { change, type Registry } from '../../records/registry.ts'
import { insertRegistration, openFrom } from './registrations.ts'
import { likelyLicence, likelySubject } from '../catalog/subjects.ts'
import { registrationFlow, type Registration } from './registration-workflow.ts'

/** Who asks, through what, until when. */
export interface Asking {
  registry: Registry
  asks: Pick<AgentRequests, 'ask'>
  principal: Principal
  signal: AbortSignal
}

/** Tables and views that the caller's agent sees. Throws QZ-NOT-FOUND, QZ-FORBIDDEN, the codes of asks, and the agent's own. */
export async function listTables(asking: Asking, named: string | undefined): Promise<TablesAnswer> {
  const agent = await meantAgent(asking, named)
  await onRecord(asking, 'table.list', agent, {})
  return asking.asks.ask(agent, { kind: 'describe' }, { signal: asking.signal })
}

export interface WantedTable {
  /** The agency's only one where it is not given. */
  agent?: string
  database: string
  table: string
  /** What people call it; where it is not given, what its comment says, or its name. */
  title?: string
  /** The code that the resource shall have, or has. */
  resource?: string
}

export interface Proposal {
  registration: Registration
  /** Columns that cannot be items without loss, by name and native type. */
  left: { column: string; native: string }[]
  /** What the registrar must know of the table. */
  notes: LocalizedText[]
  /** Rows that the agent looked at; none of their values left it. */
  sampled: number
}

/**
 * A registration drafted from a table as it is: types, labels, roles, checks, key, subject. Where the agency has one open that was drafted from
 * this table, it is that one, as people have left it. Throws as `listTables` and `createRegistration`.
 */
export async function proposeFromTable(asking: Asking, { agent: named, database, table, title, resource }: WantedTable): Promise<Proposal> {
  const { registry, principal } = asking
  const agent = await meantAgent(asking, named)
  await onRecord(asking, 'table.propose', agent, { database, table })
  const found = await asking.asks.ask(agent, { kind: 'describe', database, table }, { signal: asking.signal })
  if (found.columns.every(({ type }) => !type)) {
    throw new QianzhiError('QZ-RULE', {
      reason: { zh: `表 ${table} 没有可登记的列`, en: `table ${table} has no column that can be registered` },
    })
  }
  const agency = principal.agency ?? ''
  const origin = JSON.stringify([agent, database, table])
  const { registration, standing } = await change(registry, async (query) => {
    const open = await openFrom(query, agency, origin)
    if (open) return { registration: open, standing: true }
    const agents = await query('select from agent where agency = $1 and state = $2', [agency, 'active'])
    const content = { ...contentOf(found, title ?? (firstLine(found.comment) || table)), ...(agents.length > 1 && { producer: agent }) }
    const wanted = { content, origin, columns: columnsOf(found.columns), ...(resource !== undefined && { resource }) }
    return { registration: await insertRegistration(query, principal, agency, wanted, registry.clock()), standing: false }
  })
  const left = found.columns.filter(({ type }) => !type).map(({ column, native }) => ({ column, native }))
  const notes = [...(standing ? [standingNote(registration)] : []), ...(found.notes ?? []), ...keyNotes(found.columns)]
  return { registration, left, notes, sampled: found.sampled }
}

function meantAgent({ registry, principal }: Asking, named: string | undefined): Promise<string> | string {
  return named ?? requireOnlyAgent(registry.store.query, principal.agency ?? '')
}

function firstLine(comment = ''): string {
  return comment.trim().split(/\r?\n/)[0]!.trim()
}

function standingNote({ id, resource, state }: Registration): LocalizedText {
  const { zh, en } = registrationFlow.states[state]
  return {
    zh: `本单位已由此表建有登记 ${id}（资源 ${resource}，${zh}），未另建草稿，其内容未改动`,
    en: `registration ${id} (resource ${resource}, ${en}) was drafted from this table already: there is no further draft, and it is unchanged`,
  }
}

function keyNotes(columns: readonly ProposedColumn[]): LocalizedText[] {
  if (columns.some(({ key, type }) => key && type)) return []
  return [
    {
      zh: '表没有主键（或主键列不能登记），主键不能为空：请把能唯一识别一行的信息项标为主键（key）；没有这样的列的，请先在表中增加',
      en: 'the table has no key (or none that can be registered), and a resource needs one: mark the items that tell its rows apart as key; where there are none, the table needs such a column first',
    },
  ]
}

/** Only of one's own agency's agents; who looked at what is on record before it is asked. */
async function onRecord(
  { registry, principal }: Asking,
  act: OperationName,
  agent: string,
  details: Record<string, unknown>,
): Promise<void> {
  const { query } = registry.store
  authorise(principal, act, await relationsOf(query, 'agent', agent))
  await writeAudit(query, { ...actedBy(principal), act, object: `agent ${agent}`, details })
}

/** What can be said of a resource by looking at its table. */
export function contentOf({ table, columns }: Pick<ColumnsAnswer, 'table' | 'columns'>, title: string): DraftContent {
  const items = itemsOf(columns.filter(({ type }) => type))
  const name = identifier(table.slice(table.lastIndexOf('.') + 1)) ?? 'data'
  const known = { format: 'database', supplyMode: 'front-end', sharing: 'unconditional' } as const
  return { ...known, title: title.slice(0, 200), table: name, subject: likelySubject(items), licence: likelyLicence(items), items }
}

function itemsOf(columns: readonly ProposedColumn[]): Item[] {
  const ids = idsOf(columns)
  const roles = new Set<SubjectRole>()
  return columns.map((proposed) => {
    const { column, comment, nullable, key, type, role, check } = proposed
    const id = ids.get(column)!
    // Of two columns that could fill a role, the first does.
    const own = role !== undefined && !roles.has(role) ? role : undefined
    if (own) roles.add(own)
    return {
      id,
      name: id,
      label: (comment.trim() || column).slice(0, 200),
      ...type!,
      ...(key && { key: true }),
      ...(!nullable && !key && { required: true }),
      openness: 'internal',
      ...(own && { role: own }),
      ...(check && { check: checkOf(check, ids) }),
    }
  })
}

/** Legacy numbers exist: a check that nobody has decided on warns. */
function checkOf({ kind, when }: NonNullable<ProposedColumn['check']>, ids: ReadonlyMap<string, string>): NonNullable<Item['check']> {
  const item = when === undefined ? undefined : ids.get(when)
  return { kind, on: 'warn', ...(item !== undefined && { when: { item, equals: [...identityCardNames] } }) }
}

/** An id for each column, made from its name; a number where two would be the same, or none is left. */
function idsOf(columns: readonly ProposedColumn[]): Map<string, string> {
  const ids = new Map<string, string>()
  const taken = new Set<string>()
  columns.forEach(({ column }, place) => {
    const wanted = identifier(column) ?? `item_${place + 1}`
    let id = wanted
    for (let n = 2; taken.has(id); n++) id = `${wanted.slice(0, 26)}_${n}`
    taken.add(id)
    ids.set(column, id)
  })
  return ids
}

/** By item id: the columns that are items. */
function columnsOf(columns: readonly ProposedColumn[]): Record<string, string> {
  return Object.fromEntries([...idsOf(columns.filter(({ type }) => type))].map(([column, id]) => [id, column]))
}

/** Undefined where nothing of a name can stand in an identifier. */
function identifier(name: string): string | undefined {
  const plain = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9_]+/g, '_')
    .replaceAll(/^_+|_+$/g, '')
  if (plain === '') return undefined
  const begun = /^[a-z]/.test(plain) && !plain.startsWith('qz_') ? plain : `c_${plain}`
  return begun.slice(0, 30)
}
