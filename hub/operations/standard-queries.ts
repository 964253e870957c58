import { Readable } from 'node:stream'
import { Type } from 'typebox'
import { projectBatch, splitBatch } from '../../protocol/batch.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import { positionOf, showPosition } from '../../protocol/position.ts'
import { actedBy } from '../access/principal.ts'
import { unlimited } from '../exchange/context.ts'
import { writeAudit } from '../records/audit.ts'
import { notFound } from '../records/refusals.ts'
import { maxChecked, type CheckedRow } from '../sharing/checks.ts'
import { csvOf, excelOf } from '../sharing/exports.ts'
import { readQuery, shapeOfQuery, wrong, type Parameters } from '../sharing/filters.ts'
import { keyOf } from '../sharing/pages.ts'
import { countReading, whereReplaced } from '../sharing/reading.ts'
import { provable, requireStill } from '../sharing/share.ts'
import { unionOfAgency } from '../sharing/standard-rights.ts'
import { checkUnionRows } from '../sharing/union-checks.ts'
import { readUnionPage, readUnionRow, streamUnion } from '../sharing/union-pages.ts'
import { sourcesOf, type Member, type Union } from '../sharing/unions.ts'
import type { ReadRow } from '../tables/reader.ts'
import { FileAnswer, operation, type Call, type Operation } from './operation.ts'
import { Asked, Checked, Count, fileTypes, QueryItem, readExport, Row, rowNotFound, rowOf, sessionOf, shownItem, today } from './queries.ts'
import { closed, nullable, Text } from './shapes.ts'

/** Whose rows there are, as of when, and the items that it does not show: they have no value in its rows. */
const Source = Type.Object({
  agency: Type.String(),
  agencyName: Type.String(),
  resource: Type.String(),
  title: Type.String(),
  asOf: Type.String(),
  absent: Type.Array(Type.String()),
})
const Sources = { sources: Type.Array(Source), leftOut: Type.Array(Type.String()) }

const OfStandard = Type.Object({ standard: Type.String({ minLength: 1, maxLength: 64 }) })

/** Query over all adopters of a data standard that one's agency was granted, as one resource whose key begins with the source. */
export const standardQueryOperations: readonly Operation[] = [
  operation({
    name: 'query.standard-purpose',
    method: 'PUT',
    path: '/queries/standards/:standard/purpose',
    text: { zh: '说明按标准查询的用途', en: 'say what one queries a data standard for' },
    params: OfStandard,
    body: Type.Object({ purpose: Text(500) }, closed),
    example: { purpose: '办理防汛补助资格核验' },
    answer: Type.Object({ items: Type.Array(QueryItem), ...Sources }),
    run: async (call) => {
      const { registry, principal, body } = call
      const union = await requireUnion(call)
      await registry.store.transaction(async (query) => {
        for (const { share } of union.members) {
          await query(
            `insert into query_purpose (session, resource, purpose, at) values ($1, $2, $3, $4)
             on conflict (session, resource) do update set purpose = $3, at = $4`,
            [sessionOf(principal), share.resource, body.purpose, registry.clock()],
          )
          const details = { purpose: body.purpose, standard: union.standard }
          await writeAudit(query, { ...actedBy(principal), act: 'query.purpose', object: share.resource, details })
        }
      })
      return { items: union.items.map(shownItem), sources: sourcesOf(union), leftOut: union.leftOut }
    },
  }),
  operation({
    name: 'query.standard-run',
    method: 'GET',
    path: '/queries/standards/:standard/rows',
    text: { zh: '按标准查询数据', en: 'query rows of all adopters of a data standard' },
    params: OfStandard,
    query: Asked,
    answer: Type.Object({ items: Type.Array(Row), next: nullable(Type.String()), count: nullable(Count), ...Sources }),
    rows: 'items',
    run: async (call) => {
      const { sharing } = call.services
      return reading(call, async (union, purpose) => {
        const asked = call.query as Parameters
        const query = readQuery(union, asked)
        await countReading(sharing, call.principal.actor, today(call), 0)
        const { rows, next, count } = await readUnionPage(sharing, union, { ...query, select: union.items }, asked)
        const given = Map.groupBy(rows, ([source]) => source!)
        const ids = query.select.map(({ id }) => id)
        const asOf = { ...shapeOfQuery(query), purpose, items: ids }
        await onRecord(call, union, union.members, ({ source }) => ({ ...asOf, rows: given.get(source)?.length ?? 0 }))
        const columns = query.select.map((item) => union.items.indexOf(item))
        const items = rows.map((row) =>
          rowOf(
            ids,
            columns.map((at) => row[at]!),
          ),
        )
        return { items, next: next ?? null, count: count ?? null, sources: sourcesOf(union), leftOut: union.leftOut }
      })
    },
  }),
  operation({
    name: 'query.standard-row',
    method: 'GET',
    path: '/queries/standards/:standard/row',
    text: { zh: '按标准查看一行及其来源', en: 'one row of a data standard, and where it came from' },
    params: OfStandard,
    query: Asked,
    answer: Type.Object({ item: Row, source: Source, position: Type.String(), received: Type.String() }),
    rows: 'item',
    run: async (call) => {
      const { sharing } = call.services
      return reading(call, async (union, purpose) => {
        const key = keyOf(union, call.query as Parameters)
        await countReading(sharing, call.principal.actor, today(call), 1)
        const found = await readUnionRow(sharing, union, key, union.items)
        const ids = union.items.map(({ id }) => id)
        const asking = union.members.filter(({ source }) => source === key[0])
        await onRecord(call, union, asking, () => ({ purpose, items: ids, rows: found ? 1 : 0 }))
        if (!found) throw rowNotFound()
        const [source] = sourcesOf({ members: [found.member] })
        return { item: rowOf(ids, found.values), source, position: showPosition(positionOf(found.position)), received: found.received }
      })
    },
  }),
  operation({
    name: 'query.standard-proof',
    method: 'GET',
    path: '/queries/standards/:standard/proof',
    text: { zh: '下载标准中一行的凭证：提供单位签名的批次', en: 'the proof of a row of a standard: the batch that its provider signed' },
    params: OfStandard,
    query: Type.Object(
      { source: Type.String({ minLength: 1, maxLength: 64 }), position: Type.String({ pattern: '^[0-9]{1,10}/[0-9]{1,10}$' }) },
      closed,
    ),
    run: async (call) => {
      const { source, position } = call.query
      const [epoch = 0, seq = 0] = position.split('/').map(Number)
      return reading(call, async (union, purpose) => {
        const member = union.members.find((one) => one.source === source)
        if (!member) throw rowNotFound()
        const { share } = member
        const [batch] = await call.services.log.read(share.resource, { epoch, seq: seq - 1 }, 1)
        if (batch?.epoch !== epoch || batch.seq !== seq) throw rowNotFound()
        await onRecord(call, union, [member], () => ({ purpose, items: [...provable(share)], batch: position }))
        const proof = projectBatch(splitBatch(batch.bytes, unlimited), provable(share))
        return new FileAnswer(`${share.resource}-${epoch}-${seq}.qzb`, 'application/vnd.qianzhi.batch', proof)
      })
    },
  }),
  operation({
    name: 'query.standard-export',
    method: 'GET',
    path: '/queries/standards/:standard/export',
    text: { zh: '导出按标准查询的结果', en: 'what a query of a standard finds as a file' },
    params: OfStandard,
    query: Asked,
    run: async (call) => {
      const { sharing } = call.services
      const { format, language, asked } = readExport(call.query as Record<string, string>)
      return reading(call, async (union, purpose) => {
        const query = readQuery(union, { ...asked, count: 'exact', limit: '1' })
        if (query.sort) throw wrong('sort', { zh: '按标准导出时按主键排序', en: 'a file of a standard is in the order of its key' })
        const { count } = await readUnionPage(sharing, union, { ...query, select: union.items }, asked)
        const rows = Math.min(count?.rows ?? 0, sharing.limits.exportRows)
        await countReading(sharing, call.principal.actor, today(call), rows)
        const items = query.select.map(({ id }) => id)
        await onRecord(call, union, union.members, () => ({ ...shapeOfQuery(query), purpose, format, items, rows }))
        const pages = whileGranted(call, query.select, streamUnion(sharing.reader, union, query, rows))
        const sources = union.members.map(({ share }) => share)
        const file =
          format === 'csv'
            ? csvOf(query.select, pages, { sources, language })
            : excelOf({ title: union.title, sources }, query.select, pages, language)
        return new FileAnswer(`${union.title}.${format}`, fileTypes[format], Readable.from(file, { signal: call.signal }))
      })
    },
  }),
  operation({
    name: 'query.standard-check',
    method: 'POST',
    path: '/queries/standards/:standard/check',
    text: { zh: '按标准批量核验', en: 'check values against all adopters of a standard, without seeing any' },
    params: OfStandard,
    body: Type.Object({ rows: Type.Array(Row, { minItems: 1, maxItems: maxChecked }) }, closed),
    example: { rows: [{ source: 'civil', code: '441900003001', name: '岗贝社区居委会' }] },
    answer: Type.Object({ items: Type.Array(Checked), ...Sources }),
    run: async (call) => {
      const { sharing } = call.services
      const rows = call.body.rows as CheckedRow[]
      return reading(call, async (union, purpose) => {
        await countReading(sharing, call.principal.actor, today(call), rows.length)
        const items = await checkUnionRows(sharing, union, rows)
        const { id } = union.items[0]!
        const asking = Map.groupBy(rows, (row) => row[id])
        const asked = union.members.filter(({ source }) => asking.has(source))
        await onRecord(call, union, asked, ({ source }) => {
          const own = asking.get(source)!
          return { purpose, items: [...new Set(own.flatMap((row) => Object.keys(row)))], rows: own.length }
        })
        return { items, sources: sourcesOf(union), leftOut: union.leftOut }
      })
    },
  }),
]

type Calling = Pick<Call, 'registry' | 'services' | 'principal' | 'signal'> & { params: { standard: string } }

/** Throws QZ-NOT-FOUND where there is no such standard, or nothing of it is granted. */
async function requireUnion({ services, principal, params: { standard } }: Calling): Promise<Union> {
  const union = await unionOfAgency(services.sharing, principal.agency, standard)
  if (!union) throw notFound('standard', standard)
  return union
}

/** Reads what one's agency may, for the purpose that was said in this session of every adopter. Throws QZ-DATA-PURPOSE. */
async function reading<T>(call: Calling, work: (union: Union, purpose: string) => Promise<T>): Promise<T> {
  const { registry, principal } = call
  return whereReplaced(async () => {
    const union = await requireUnion(call)
    const resources = union.members.map(({ share }) => share.resource)
    const said = await registry.store.query<{ purpose: string }>(
      'select purpose from query_purpose where session = $1 and resource = any($2) order by at desc',
      [sessionOf(principal), resources],
    )
    if (said.length < resources.length || !said[0]) throw new QianzhiError('QZ-DATA-PURPOSE', { resource: union.standard })
    return work(union, said[0].purpose)
  })
}

/** Who read what of whose resource: never values. */
async function onRecord(
  { registry, principal }: Calling,
  { standard }: Union,
  members: readonly Member[],
  details: (member: Member) => Record<string, unknown>,
): Promise<void> {
  await registry.store.transaction(async (query) => {
    for (const member of members) {
      const { id: grants, resource } = member.share
      const told = { grants, standard, ...details(member) }
      await writeAudit(query, { ...actedBy(principal), act: 'query', object: resource, details: told })
    }
  })
}

/** What is not granted any more of a source ends the file, which stays without its end. Throws QZ-DATA-ENDED. */
async function* whileGranted(
  call: Calling,
  select: Union['items'],
  pages: AsyncIterable<{ member: Member; rows: ReadRow[] }>,
): AsyncGenerator<ReadRow[]> {
  let looked = performance.now()
  for await (const { member, rows } of pages) {
    if (performance.now() - looked > 500) {
      const now = (await requireUnion(call)).members.find(({ source }) => source === member.source)
      const own = select.flatMap(({ id }) => member.items.get(id) ?? [])
      requireStill(now ? now.share : { ...member.share, items: [] }, own)
      looked = performance.now()
    }
    yield rows
  }
}
