import { Type } from 'typebox'
import { blockValues, opBlock, splitBatch, trustedManifest, type OpenBatch } from '../../protocol/batch.ts'
import { positionOf, showPosition, type Position } from '../../protocol/position.ts'
import { ItemCheck } from '../../protocol/schema.ts'
import type { Value } from '../../protocol/value.ts'
import { actedBy } from '../access/principal.ts'
import { unlimited } from '../exchange/context.ts'
import type { Log } from '../log.ts'
import { writeAudit } from '../records/audit.ts'
import { requireEntry } from '../registry/catalog/catalog.ts'
import { DictionaryEntry, type CatalogItem } from '../registry/catalog/content.ts'
import { readQuery, shapeOfQuery, type Parameters } from '../sharing/filters.ts'
import { keyOf, readPage } from '../sharing/pages.ts'
import { discardDraft, listDrafts, saveDraft, type Owner } from '../supply/drafts.ts'
import { enteredResource, type EnteredResource, modeFault } from '../supply/entered-resource.ts'
import { historyOf, rowOps } from '../supply/entries.ts'
import { formItem, inputs } from '../supply/form.ts'
import { changeRow, createRow, deleteRow, requireKey, type WrittenRow } from '../supply/rows.ts'
import { positionColumn } from '../tables/shape.ts'
import { operation, type Call, type Operation } from './operation.ts'
import { ById, closed, NoBody, nullable } from './shapes.ts'

const Values = Type.Record(Type.String(), nullable(Type.String()), { maxProperties: 400 })
const Seen = Type.String({ pattern: '^[0-9]{1,10}/[0-9]{1,10}$' })
const DraftId = Type.String({ pattern: '^[0-9]{1,18}$' })
const Both = Type.Object({ zh: Type.String(), en: Type.String() })

const FormItem = Type.Object({
  id: Type.String(),
  label: Type.String(),
  type: Type.String(),
  input: Type.Enum([...inputs]),
  key: Type.Boolean(),
  required: Type.Boolean(),
  length: nullable(Type.Integer()),
  precision: nullable(Type.Integer()),
  scale: nullable(Type.Integer()),
  dictionary: Type.Array(DictionaryEntry),
  check: nullable(ItemCheck),
  description: nullable(Type.String()),
  example: nullable(Type.String()),
  openness: Type.String(),
  sensitivity: Type.String(),
  role: nullable(Type.Object({ id: Type.String(), name: Both, mandatory: Type.Boolean() })),
})

const Written = Type.Object({
  position: Type.String(),
  /** What checks warn of: the row was taken all the same. */
  warnings: Type.Array(Type.Object({ item: Type.String(), zh: Type.String(), en: Type.String() })),
})

const Draft = Type.Object({ id: Type.String(), values: Values, seen: nullable(Type.String()), at: Type.String() })

/** Online forms 在线填报 (Art. 15): what the registrars of a provider enter becomes batches that the hub signs. */
export const formOperations: readonly Operation[] = [
  operation({
    name: 'form.read',
    method: 'GET',
    path: '/resources/:id/form',
    objectKind: 'resource',
    text: { zh: '查看填报表单', en: 'the form in which rows are entered' },
    params: ById,
    answer: Type.Object({
      resource: Type.String(),
      title: Type.String(),
      version: Type.Integer(),
      supplyMode: Type.String(),
      /** Why no rows can be entered now. */
      closed: nullable(Both),
      items: Type.Array(FormItem),
    }),
    run: async ({ registry, params: { id } }) => {
      const { query } = registry.store
      const resource = await enteredResource(query, id)
      const { title, supplyMode, schema, items } = resource
      const { subject, licence } = (await requireEntry(query, id)).content
      return {
        resource: id,
        title,
        version: schema.version,
        supplyMode,
        closed: resource.closed ?? modeFault(resource, 'form') ?? null,
        items: items.map((item) => formItem(item, { subject, licence })),
      }
    },
  }),
  operation({
    name: 'row.list',
    method: 'GET',
    path: '/resources/:id/rows',
    objectKind: 'resource',
    text: { zh: '本单位资源的数据行', en: "rows of one's own resource" },
    params: ById,
    // As in query.run.
    query: Type.Object({}, { additionalProperties: true }),
    answer: Type.Object({
      items: Type.Array(Type.Object({ values: Values, position: Type.String() })),
      next: nullable(Type.String()),
      count: nullable(Type.Object({ rows: Type.Integer(), exact: Type.Boolean() })),
    }),
    run: async (call) => {
      const { sharing, producer } = call.services
      const share = await producer.share(call.params.id)
      if (!share) return { items: [], next: null, count: null }
      const query = readQuery(share, call.query as Parameters)
      const { rows, next = null, count = null } = await readPage(sharing, share, { ...query, select: [...query.select, placed] })
      const ids = query.select.map(({ id }) => id)
      await onRecord(call, 'row.list', { ...shapeOfQuery(query), items: ids, rows: rows.length })
      const items = rows.map((row) => ({
        values: Object.fromEntries(ids.map((id, i) => [id, row[i]!])),
        position: showPosition(positionOf(row[ids.length]!)),
      }))
      return { items, next, count }
    },
  }),
  operation({
    name: 'row.create',
    method: 'POST',
    path: '/resources/:id/rows',
    objectKind: 'resource',
    text: { zh: '新增数据行', en: 'enter a row' },
    params: ById,
    body: Type.Object({ values: Values, draft: Type.Optional(DraftId) }, closed),
    example: { values: { code: '441900003001', name: '岗贝社区' } },
    answer: Written,
    run: (call) => entering(call, () => createRow(writing(call), call.principal, call.params.id, call.body.values)),
  }),
  operation({
    name: 'row.change',
    method: 'PUT',
    path: '/resources/:id/rows',
    objectKind: 'resource',
    text: { zh: '更正数据行', en: 'change a row: what is not named stays' },
    params: ById,
    body: Type.Object({ values: Values, seen: Seen, draft: Type.Optional(DraftId) }, closed),
    example: { values: { code: '441900003001', name: '岗贝社区居委会' }, seen: '3600000/2' },
    answer: Written,
    run: (call) => entering(call, () => changeRow(writing(call), call.principal, call.params.id, call.body.values, call.body.seen)),
  }),
  operation({
    name: 'row.delete',
    method: 'POST',
    path: '/resources/:id/rows/delete',
    objectKind: 'resource',
    text: { zh: '删除数据行', en: 'delete a row' },
    params: ById,
    body: Type.Object({ key: Values, seen: Seen }, closed),
    example: { key: { code: '441900003001' }, seen: '3600000/3' },
    answer: Written,
    run: (call) => deleteRow(writing(call), call.principal, call.params.id, call.body.key, call.body.seen),
  }),
  operation({
    name: 'row.history',
    method: 'GET',
    path: '/resources/:id/rows/history',
    objectKind: 'resource',
    text: { zh: '数据行的填报经过', en: 'who entered, changed and deleted a row' },
    params: ById,
    // The key, item by item.
    query: Type.Object({}, { additionalProperties: true }),
    answer: Type.Object({
      items: Type.Array(
        Type.Object({
          op: Type.Enum([...rowOps]),
          by: Type.String(),
          at: Type.String(),
          position: Type.String(),
          /** Null where it was deleted, or the log does not reach back so far. */
          values: nullable(Values),
        }),
      ),
    }),
    run: async (call) => {
      const { registry, services, params } = call
      const resource = await enteredResource(registry.store.query, params.id)
      const given = keyOf(resource, call.query as Parameters)
      const values = requireKey({ resource }, Object.fromEntries(resource.keys.map(({ id }, i) => [id, given[i]!])), true)
      const key = resource.keys.map(({ id }) => values[id]!)
      const lines = await historyOf(registry.store.query, params.id, key)
      await onRecord(call, 'row.history', { lines: lines.length })
      const items = []
      for (const { op, by, at, epoch, seq } of lines) {
        const brought = op === 'delete' ? null : await valuesAt(services.log, resource, { epoch, seq }, key)
        items.push({ op, by, at: at.toISOString(), position: showPosition({ epoch, seq }), values: brought })
      }
      return { items }
    },
  }),
  operation({
    name: 'row.draft-list',
    method: 'GET',
    path: '/resources/:id/drafts',
    objectKind: 'resource',
    text: { zh: '本人的填报草稿', en: "one's own drafts of rows" },
    params: ById,
    answer: Type.Object({ items: Type.Array(Draft) }),
    run: async (call) => ({ items: await listDrafts(call.registry.store.query, ownerOf(call)) }),
  }),
  operation({
    name: 'row.draft-save',
    method: 'POST',
    path: '/resources/:id/drafts',
    objectKind: 'resource',
    text: { zh: '保存填报草稿', en: 'keep a row that is not complete yet' },
    params: ById,
    body: Type.Object({ draft: Type.Optional(DraftId), values: Values, seen: Type.Optional(nullable(Seen)) }, closed),
    example: { values: { name: '岗贝社区' } },
    answer: Draft,
    run: (call) => {
      const { draft: id, values, seen = null } = call.body
      const at = call.registry.clock()
      return saveDraft(call.registry.store, ownerOf(call), { ...(id !== undefined && { id }), values, seen, at })
    },
  }),
  operation({
    name: 'row.draft-discard',
    method: 'DELETE',
    path: '/resources/:id/drafts/:draft',
    objectKind: 'resource',
    text: { zh: '删除填报草稿', en: 'drop a draft' },
    params: Type.Object({ ...ById.properties, draft: DraftId }),
    answer: NoBody,
    run: async (call) => {
      await discardDraft(call.registry.store.query, ownerOf(call), call.params.draft)
      return {}
    },
  }),
]

/** Where each row stands in its stream, read beside its items. */
const placed: CatalogItem = { id: positionColumn, name: positionColumn, label: positionColumn, type: 'integer', openness: 'internal' }

type OfResource = Pick<Call, 'registry' | 'services' | 'principal'> & { params: { id: string } }

const writing = ({ registry, services }: OfResource) => ({ store: registry.store, producer: services.producer })
const ownerOf = ({ principal, params }: OfResource): Owner => ({ resource: params.id, person: principal.person })

/** A row that was entered needs its draft no longer. */
async function entering(call: OfResource & { body: { draft?: string } }, write: () => Promise<WrittenRow>): Promise<WrittenRow> {
  const written = await write()
  const { draft } = call.body
  if (draft !== undefined) await discardDraft(call.registry.store.query, ownerOf(call), draft).catch(() => {})
  return written
}

/** Who read which items by which comparisons, never values. */
async function onRecord({ registry, principal, params }: OfResource, act: string, details: Record<string, unknown>): Promise<void> {
  await writeAudit(registry.store.query, { ...actedBy(principal), act, object: params.id, details })
}

/** What a batch says of the row of a key, while the log has it. */
async function valuesAt(
  log: Pick<Log, 'read'>,
  { code, items, keys }: EnteredResource,
  { epoch, seq }: Position,
  key: readonly Value[],
): Promise<Record<string, Value> | null> {
  const [stored] = await log.read(code, { epoch, seq: seq - 1 }, 1)
  if (stored?.epoch !== epoch || stored.seq !== seq) return null
  const sealed = splitBatch(stored.bytes, unlimited)
  const batch: OpenBatch = { ...sealed, manifest: trustedManifest(sealed), keyId: '' }
  const present = new Set(batch.blocks.map(({ item }) => item))
  if (present.has(opBlock) || !keys.every(({ id }) => present.has(id))) return null
  const columns = items.flatMap(({ id }) => (present.has(id) ? [[id, blockValues(batch, id)] as const] : []))
  const valueOf = new Map(columns)
  const row = Array.from({ length: batch.manifest.rows }, (_, i) => i).find((i) =>
    keys.every(({ id }, at) => valueOf.get(id)![i] === key[at]),
  )
  return row === undefined ? null : Object.fromEntries(columns.map(([id, values]) => [id, values[row]!]))
}
