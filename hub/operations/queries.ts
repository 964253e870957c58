import { Readable } from 'node:stream'
import { Type } from 'typebox'
import { projectBatch, splitBatch } from '../../protocol/batch.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import { localDay } from '../../protocol/local-time.ts'
import { positionOf, showPosition } from '../../protocol/position.ts'
import { actedBy } from '../access/principal.ts'
import { unlimited } from '../exchange/context.ts'
import { writeAudit } from '../records/audit.ts'
import { flowsSql } from '../records/supply.ts'
import { maxChecked, checkRows, type CheckedRow } from '../sharing/checks.ts'
import { csvOf, excelOf, streamRows } from '../sharing/exports.ts'
import { isSearchable, operatorsOf, readQuery, shapeOfQuery, wrong, type Parameters } from '../sharing/filters.ts'
import { keyOf, readPage, readRow } from '../sharing/pages.ts'
import { askedBy, countReading, withShare } from '../sharing/reading.ts'
import { openShare, provable, requireStill, type Share } from '../sharing/share.ts'
import { excelType, FileAnswer, operation, type Call, type Operation } from './operation.ts'
import { closed, nullable, ResourceCode, Text } from './shapes.ts'

const Value = nullable(Type.String())
export const Row = Type.Record(Type.String(), Value)
export const Count = Type.Object({ rows: Type.Integer(), exact: Type.Boolean() })
const Source = Type.Object({ agency: Type.String(), agencyName: Type.String(), title: Type.String(), asOf: Type.String() })

const Page = Type.Object({
  items: Type.Array(Row),
  next: nullable(Type.String()),
  count: nullable(Count),
  source: Source,
})

export const QueryItem = Type.Object({
  id: Type.String(),
  label: Type.String(),
  type: Type.String(),
  key: Type.Boolean(),
  /** Comparisons that a filter on it may make; none where it is not searchable. */
  operators: Type.Array(Type.String()),
  description: nullable(Type.String()),
  dictionary: Type.Array(Type.Object({ value: Type.String(), label: Type.Optional(Type.String()) })),
})

/** Of one row of a batch check. */
export const Checked = Type.Object({ found: Type.Boolean(), items: Type.Record(Type.String(), Type.Enum(['equal', 'different'])) })

const OfResource = Type.Object({ resource: ResourceCode })

/** Filters, sort and page, in any number: `item`, `item.ge`, `select`, `sort`, `limit`, `after`, `count`. */
export const Asked = Type.Object({}, { additionalProperties: true })

/** Query 数据查询 (Art. 16): what one's agency was granted, item by item. */
export const queryOperations: readonly Operation[] = [
  operation({
    name: 'query.list',
    method: 'GET',
    path: '/queries',
    text: { zh: '可查询的资源', en: 'resources that one may query' },
    answer: Type.Object({
      items: Type.Array(
        Type.Object({
          resource: Type.String(),
          title: Type.String(),
          agency: Type.String(),
          /** All adopters of it that are granted are queried as one, too. */
          standard: nullable(Type.String()),
          validTo: nullable(Type.String()),
          /** What this session said that it queries it for. */
          purpose: nullable(Type.String()),
          /** False while its rows are being made ready, or where they are relayed only. */
          ready: Type.Boolean(),
        }),
      ),
    }),
    run: async ({ registry, principal }) => ({
      items: await registry.store.query(
        `select r.code as resource, r.title, r.agency, r.standard, max(coalesce(g.valid_to, 'infinity')) as "validTo", max(p.purpose) as purpose,
           bool_or(t.id is not null) as ready
         from access_grant g join resource r on r.code = g.resource
           left join resource_table t on t.resource = r.code and t.state = 'live'
           left join query_purpose p on p.resource = r.code and p.session = $3
         where g.agency = $1 and g.mode = 'query' and ${flowsSql} and (g.valid_to is null or g.valid_to > $2)
         group by r.code order by r.title, r.code`,
        [principal.agency, registry.clock(), sessionOf(principal)],
      ),
    }),
  }),
  operation({
    name: 'query.purpose',
    method: 'PUT',
    path: '/queries/:resource/purpose',
    text: { zh: '说明查询用途', en: 'say what one queries a resource for' },
    params: OfResource,
    body: Type.Object({ purpose: Text(500) }, closed),
    example: { purpose: '办理防汛补助资格核验' },
    answer: Type.Object({ items: Type.Array(QueryItem), source: Source }),
    run: async ({ registry, services, principal, params: { resource: id }, body: { purpose } }) => {
      const { store, clock } = registry
      const share = await openShare(store.query, await askedBy(services.sharing, principal.agency, id))
      await store.transaction(async (query) => {
        await query(
          `insert into query_purpose (session, resource, purpose, at) values ($1, $2, $3, $4)
           on conflict (session, resource) do update set purpose = $3, at = $4`,
          [sessionOf(principal), id, purpose, clock()],
        )
        await writeAudit(query, { ...actedBy(principal), act: 'query.purpose', object: id, details: { purpose } })
      })
      return { items: share.items.map(shownItem), source: sourceOf(share) }
    },
  }),
  operation({
    name: 'query.run',
    method: 'GET',
    path: '/queries/:resource/rows',
    text: { zh: '查询数据', en: 'query rows' },
    params: OfResource,
    query: Asked,
    answer: Page,
    rows: 'items',
    run: async (call) => {
      const { sharing } = call.services
      return reading(call, async (share, purpose) => {
        const query = readQuery(share, call.query as Parameters)
        await countReading(sharing, call.principal.actor, today(call), 0)
        const { rows, next, count } = await readPage(sharing, share, query)
        const ids = query.select.map(({ id }) => id)
        await onRecord(call, share, { ...shapeOfQuery(query), purpose, items: ids, rows: rows.length })
        const items = rows.map((row) => rowOf(ids, row))
        return { items, next: next ?? null, count: count ?? null, source: sourceOf(share) }
      })
    },
  }),
  operation({
    name: 'query.row',
    method: 'GET',
    path: '/queries/:resource/row',
    text: { zh: '查看一行及其来源', en: 'one row, and where it came from' },
    params: OfResource,
    query: Asked,
    answer: Type.Object({
      item: Row,
      source: Source,
      /** The batch that brought it, to be fetched as its proof. */
      position: Type.String(),
      received: Type.String(),
    }),
    rows: 'item',
    run: async (call) => {
      const { sharing } = call.services
      return reading(call, async (share, purpose) => {
        const key = keyOf(share, call.query as Parameters)
        await countReading(sharing, call.principal.actor, today(call), 1)
        const row = await readRow(sharing, share, key, share.items)
        const ids = share.items.map(({ id }) => id)
        await onRecord(call, share, { purpose, items: ids, rows: row ? 1 : 0 })
        if (!row) throw rowNotFound()
        const item = rowOf(ids, row.values)
        return { item, source: sourceOf(share), position: showPosition(positionOf(row.position)), received: row.received }
      })
    },
  }),
  operation({
    name: 'query.proof',
    method: 'GET',
    path: '/queries/:resource/proof',
    text: { zh: '下载一行的凭证：提供单位签名的批次', en: "a row's proof: the batch that its provider signed" },
    params: OfResource,
    query: Type.Object({ position: Type.String({ pattern: '^[0-9]{1,10}/[0-9]{1,10}$' }) }, closed),
    run: async (call) => {
      const [epoch = 0, seq = 0] = call.query.position.split('/').map(Number)
      return reading(call, async (share, purpose) => {
        const [batch] = await call.services.log.read(share.resource, { epoch, seq: seq - 1 }, 1)
        if (batch?.epoch !== epoch || batch.seq !== seq) throw rowNotFound()
        const items = [...provable(share)]
        await onRecord(call, share, { purpose, items, batch: call.query.position })
        const proof = projectBatch(splitBatch(batch.bytes, unlimited), provable(share))
        return new FileAnswer(`${share.resource}-${epoch}-${seq}.qzb`, 'application/vnd.qianzhi.batch', proof)
      })
    },
  }),
  operation({
    name: 'query.export',
    method: 'GET',
    path: '/queries/:resource/export',
    text: { zh: '导出查询结果', en: 'what a query finds as a file' },
    params: OfResource,
    query: Asked,
    run: async (call) => {
      const { sharing } = call.services
      const { format, language, asked } = readExport(call.query as Record<string, string>)
      return reading(call, async (share, purpose) => {
        const query = readQuery(share, { ...asked, count: 'exact', limit: '1' })
        const { count } = await readPage(sharing, share, query)
        const rows = Math.min(count?.rows ?? 0, sharing.limits.exportRows)
        await countReading(sharing, call.principal.actor, today(call), rows)
        await onRecord(call, share, { ...shapeOfQuery(query), purpose, format, items: query.select.map(({ id }) => id), rows })
        const pages = whileGranted(call, share, query.select, streamRows(sharing.reader, share, query, rows))
        const file =
          format === 'csv'
            ? csvOf(query.select, pages, { sources: [share], language })
            : excelOf({ title: share.title, sources: [share] }, query.select, pages, language)
        return new FileAnswer(`${share.title}.${format}`, fileTypes[format], Readable.from(file, { signal: call.signal }))
      })
    },
  }),
  operation({
    name: 'query.check',
    method: 'POST',
    path: '/queries/:resource/check',
    text: { zh: '批量核验', en: 'check values against a resource, without seeing any' },
    params: OfResource,
    body: Type.Object({ rows: Type.Array(Row, { minItems: 1, maxItems: maxChecked }) }, closed),
    example: { rows: [{ code: '441900003001', name: '岗贝社区居委会' }] },
    answer: Type.Object({
      items: Type.Array(Checked),
      source: Source,
    }),
    run: async (call) => {
      const { sharing } = call.services
      const rows = call.body.rows as CheckedRow[]
      return reading(call, async (share, purpose) => {
        await countReading(sharing, call.principal.actor, today(call), rows.length)
        const items = await checkRows(sharing, share, rows)
        await onRecord(call, share, { purpose, items: [...new Set(rows.flatMap((row) => Object.keys(row)))], rows: rows.length })
        return { items, source: sourceOf(share) }
      })
    },
  }),
]

export const fileTypes = { csv: 'text/csv; charset=utf-8', xlsx: excelType }

/** What kind of file is asked for, and the query that fills it. Throws QZ-DATA-FILTER. */
export function readExport({ format = 'csv', language = 'zh', ...asked }: Record<string, string>) {
  if (format !== 'csv' && format !== 'xlsx') throw wrong('format', { zh: '须为 csv 或 xlsx', en: 'it must be csv or xlsx' })
  if (language !== 'zh' && language !== 'en') throw wrong('language', { zh: '须为 zh 或 en', en: 'it must be zh or en' })
  return { format, language, asked } as const
}

type Calling = Pick<Call, 'registry' | 'services' | 'principal' | 'signal'> & { params: { resource: string } }

/** A session, or the machine's key that asks without one. */
export function sessionOf({ session, actor }: Call['principal']): string {
  return session ?? actor
}

export function today({ registry }: Pick<Call, 'registry'>): string {
  return localDay(registry.clock())
}

/** What one's agency may read of the resource, for the purpose that was said in this session. Throws QZ-DATA-PURPOSE. */
async function reading<T>(call: Calling, work: (share: Share, purpose: string) => Promise<T>): Promise<T> {
  const { registry, services, principal, params } = call
  const { query } = registry.store
  const asked = () => askedBy(services.sharing, principal.agency, params.resource)
  return withShare(query, asked, async (share) => {
    const [said] = await query<{ purpose: string }>('select purpose from query_purpose where session = $1 and resource = $2', [
      sessionOf(principal),
      params.resource,
    ])
    if (!said) throw new QianzhiError('QZ-DATA-PURPOSE', { resource: params.resource })
    return work(share, said.purpose)
  })
}

/** Who read what for which purpose: items, comparisons and numbers, never values. */
async function onRecord({ registry, principal }: Calling, share: Share, details: Record<string, unknown>): Promise<void> {
  await writeAudit(registry.store.query, {
    ...actedBy(principal),
    act: 'query',
    object: share.resource,
    details: { grants: share.id, ...details },
  })
}

/** What is not granted any more ends the file, which stays without its end. Throws QZ-DATA-ENDED. */
async function* whileGranted<T>(call: Calling, { resource }: Share, select: Share['items'], pages: AsyncIterable<T>): AsyncGenerator<T> {
  const { registry, services, principal } = call
  const { query } = registry.store
  let looked = performance.now()
  for await (const page of pages) {
    if (performance.now() - looked > 500) {
      requireStill(await openShare(query, await askedBy(services.sharing, principal.agency, resource)), select)
      looked = performance.now()
    }
    yield page
  }
}

export function rowOf(ids: readonly string[], values: readonly (string | null)[]): Record<string, string | null> {
  return Object.fromEntries(ids.map((id, i) => [id, values[i]!]))
}

export function rowNotFound(): QianzhiError {
  return new QianzhiError('QZ-NOT-FOUND', { what: { zh: '这一行', en: 'this row' } })
}

function sourceOf({ agency, agencyName, title, table }: Share) {
  return { agency, agencyName, title, asOf: table.asOf.toISOString() }
}

export function shownItem(item: Share['items'][number]) {
  const { id, label, type, key = false, description = null, dictionary = [] } = item
  return { id, label, type, key, operators: isSearchable(item) ? operatorsOf(type) : [], description, dictionary }
}
