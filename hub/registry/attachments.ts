/** Attachments 附件 of cases: legal basis, stamped form, evidence. They are part of the record: none is changed or removed. */
import { createHash } from 'node:crypto'
import { authorise, allows } from '../access/authorise.ts'
import type { Principal } from '../access/principal.ts'
import { relationsOf } from '../access/relations.ts'
import type { OperationName } from '../access/rights.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import { rule, wrongState } from '../records/refusals.ts'
import { change, type Registry } from '../records/registry.ts'
import type { Query } from '../store/store.ts'
import { correctionFlow } from './cases/corrections.ts'
import { declarationFlow } from './cases/declarations.ts'
import { demandFlow } from './cases/demands.ts'
import { orderFlow } from './cases/orders.ts'
import { documentLimit, documentType } from './documents.ts'
import { applicationFlow } from './grants/application-workflow.ts'
import { record } from '../records/history.ts'

export const attachmentLimit = documentLimit

/** Of one case. */
const most = 20

/** Cases that may have some: in each of their open states those may add one who may take one of these events then. What is over takes none. */
const open = {
  application: {
    flow: applicationFlow,
    states: { draft: ['change'], returned: ['change'], consulting: ['consent', 'reject'], reviewing: ['reject'] },
  },
  demand: { flow: demandFlow, states: { submitted: ['note'], negotiating: ['note'], agreed: ['note'] } },
  correction: { flow: correctionFlow, states: { reported: ['withdraw', 'pass'], passed: ['answer'], answered: ['close'] } },
  declaration: {
    flow: declarationFlow,
    states: {
      drafted: ['withdraw', 'sign'],
      reported: ['delegate'],
      delegated: ['settle'],
      escalated: ['settle'],
      noticed: ['acknowledge'],
    },
  },
  order: { flow: orderFlow, states: { issued: ['issue', 'answer'], answered: ['close'], transferred: ['conclude'] } },
} as const

export type AttachmentKind = keyof typeof open
export const attachmentKinds = Object.keys(open) as AttachmentKind[]

export interface Case {
  kind: AttachmentKind
  id: string
}

export interface Attachment {
  id: string
  name: string
  type: string
  bytes: number
  sha256: string
  by: string
  /** Name of who put it. */
  byName: string
  agency: string | null
  at: Date
}

const columns = `id, name, type, length(content) as bytes, sha256, put_by as by, put_by_name as "byName", agency, put_at as at`

/** Those of a case, and whether the reader may add one now. */
export async function listAttachments(
  { store: { query } }: Registry,
  principal: Principal,
  { kind, id }: Case,
): Promise<{ items: Attachment[]; open: boolean }> {
  const items = await query<Attachment>(`select ${columns} from attachment where kind = $1 and object = $2 order by id`, [kind, id])
  const { state } = await open[kind].flow.load(query, id)
  const relations = await relationsOf(query, kind, id)
  const may = [`${kind}.attach` as const, ...eventsIn(kind, state)]
  return {
    items,
    open: may.length > 1 && allows(principal, may[0]!, relations) && may.slice(1).some((name) => allows(principal, name, relations)),
  }
}

/** The operations of whom the case lies with in this state. */
function eventsIn(kind: AttachmentKind, state: string): OperationName[] {
  const states: Partial<Record<string, readonly string[]>> = open[kind].states
  return (states[state] ?? []).map((event) => `${kind}.${event}` as OperationName)
}

/** Adds one. Throws QZ-STATE where the case is over, QZ-FORBIDDEN where it lies with somebody else, QZ-REQUEST-INVALID, QZ-RULE where it has as many as it may. */
export async function attach(
  registry: Registry,
  principal: Principal,
  { kind, id }: Case,
  { name, content }: { name: string; content: Buffer },
): Promise<Attachment> {
  const type = documentType(name, content, ['pdf', 'docx', 'jpg', 'png'])
  const { flow } = open[kind]
  return change(registry, async (query) => {
    await query(`select from ${flow.table} where id::text = $1 for no key update`, [id])
    const { state } = await flow.load(query, id)
    await requireTurn(query, principal, { kind, id }, state)
    const there = await query('select from attachment where kind = $1 and object = $2', [kind, id])
    if (there.length >= most) throw rule(`每件事项至多 ${most} 个附件`, `a case has at most ${most} attachments`)
    const sha256 = createHash('sha256').update(content).digest('hex')
    const [row] = await query<Attachment>(
      `insert into attachment (kind, object, name, type, content, sha256, put_by, put_by_name, agency, put_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) returning ${columns}`,
      [kind, id, name, type, content, sha256, principal.actor, principal.name, principal.agency, registry.clock()],
    )
    // Its name may tell what a case is about: on record is what it is.
    const input = { attachment: row!.id, type, bytes: content.length, sha256 }
    await record(query, { workflow: kind, object: id, event: 'attach', from: state, to: state, principal, input, now: registry.clock() })
    return row!
  })
}

async function requireTurn(query: Query, principal: Principal, { kind, id }: Case, state: string): Promise<void> {
  const events = eventsIn(kind, state)
  const states: Readonly<Record<string, { zh: string; en: string }>> = open[kind].flow.states
  if (events.length === 0) throw wrongState(kind, id, states[state]!, `${kind}.attach`)
  const relations = await relationsOf(query, kind, id)
  if (!events.some((name) => allows(principal, name, relations))) authorise(principal, events[0]!, relations)
}

/** Throws QZ-NOT-FOUND. */
export async function readAttachment(
  { store }: Registry,
  { kind, id }: Case,
  attachment: string,
): Promise<{ name: string; type: string; content: Buffer }> {
  const [found] = await store.query<{ name: string; type: string; content: Buffer }>(
    'select name, type, content from attachment where kind = $1 and object = $2 and id::text = $3',
    [kind, id, attachment],
  )
  if (found) return found
  throw new QianzhiError('QZ-NOT-FOUND', { what: { zh: `附件 ${attachment}`, en: `attachment ${attachment}` } })
}
