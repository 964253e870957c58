import { Type } from 'typebox'
import { QianzhiError } from '../../protocol/errors.ts'
import { positionOf, showPosition } from '../../protocol/position.ts'
import { actedBy } from '../access/principal.ts'
import { writeAudit } from '../records/audit.ts'
import { notFound } from '../records/refusals.ts'
import { readQuery, shapeOfQuery, type Parameters } from '../sharing/filters.ts'
import { keyOf } from '../sharing/pages.ts'
import { countReading, whereReplaced } from '../sharing/reading.ts'
import { unionOfAgency } from '../sharing/standard-rights.ts'
import { readUnionPage, readUnionRow } from '../sharing/union-pages.ts'
import { sourcesOf, type Member, type Union } from '../sharing/unions.ts'
import { operation, type Call, type Operation } from './operation.ts'
import { Asked, Count, QueryItem, Row, rowNotFound, rowOf, sessionOf, shownItem, today } from './queries.ts'
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
]

type Calling = Pick<Call, 'registry' | 'services' | 'principal'> & { params: { standard: string } }

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
