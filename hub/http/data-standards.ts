/** The data API over all adopters of one data standard that a client may read, as one resource whose key begins with the source. */
import { hash } from 'node:crypto'
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { QianzhiError } from '../../protocol/errors.ts'
import { positionOf, showPosition } from '../../protocol/position.ts'
import { notFound } from '../records/refusals.ts'
import { Believed } from '../sharing/believed.ts'
import { changeLines } from '../sharing/changes.ts'
import { csvOf, ndjsonOf, rowJson } from '../sharing/exports.ts'
import type { CheckedRow } from '../sharing/checks.ts'
import { readChangesQuery, readQuery, wrong, type Parameters, type RowsQuery } from '../sharing/filters.ts'
import { keyOf } from '../sharing/pages.ts'
import { whereReplaced } from '../sharing/reading.ts'
import { requireStill } from '../sharing/share.ts'
import { unionOfClient, type ClientUnion } from '../sharing/standard-rights.ts'
import { dataPath } from '../sharing/tokens.ts'
import { readUnionChanges } from '../sharing/union-changes.ts'
import { checkUnionRows } from '../sharing/union-checks.ts'
import { readUnionPage, readUnionRow, streamUnion } from '../sharing/union-pages.ts'
import { sourcesOf, type Member, type Union } from '../sharing/unions.ts'
import type { Reading } from '../sharing/usage.ts'
import { Checked, clientOf, countUse, formatOf, isKnown, json, proofOf, sendProof, type DataServices } from './data.ts'
import { describeStandard } from './data-openapi.ts'
import type { Api } from './server.ts'

export function standardsApi(services: DataServices): Api {
  const believed = new Believed<ClientUnion | undefined>()
  return async (typed) => {
    const app = typed as unknown as FastifyInstance
    const door =
      (kind: Reading['kind'], work: (asked: Asked) => Promise<unknown>) => async (request: FastifyRequest, reply: FastifyReply) => {
        void reply.header('vary', 'authorization, accept')
        const { client } = await clientOf(services, request, reply)
        const { standard } = request.params as { standard: string }
        const look = async () => {
          const found = await believed.of(`${client} ${standard}`, () => unionOfClient(services, client, standard))
          if (!found) throw notFound('standard', standard.slice(0, 64))
          return found
        }
        return whereReplaced(
          async () => work({ services, request, reply, kind, client, look, ...(await look()) }),
          () => believed.forget(`${client} ${standard}`),
        )
      }
    app.get(`${dataPath}/standards/:standard`, door('rows', rows))
    app.get(`${dataPath}/standards/:standard/by-key`, door('row', row))
    app.get(`${dataPath}/standards/:standard/changes`, door('changes', changes))
    app.get(`${dataPath}/standards/:standard/proof`, door('proof', proof))
    app.get(`${dataPath}/standards/:standard/openapi.json`, door('description', description))
    app.post(`${dataPath}/standards/:standard/check`, { schema: { body: Checked }, bodyLimit: 8 << 20 }, door('check', check))
  }
}

interface Asked extends ClientUnion {
  services: DataServices
  request: FastifyRequest
  reply: FastifyReply
  kind: Reading['kind']
  client: string
  /** What the client may read at this moment. Throws QZ-NOT-FOUND. */
  look: () => Promise<ClientUnion>
}

/** One request of each grant by which is read, with the rows that it gave. Throws QZ-API-QUOTA. */
async function count(
  { services, reply, kind, client, grants }: Asked,
  members: readonly Member[],
  read: (source: string) => number,
): Promise<void> {
  const counted = members.map(({ source, share }) =>
    countUse(services, reply, { ...grants.get(share.resource)!, client, kind, rows: read(source) }),
  )
  await Promise.all(counted)
}

function unchanged({ request, reply, union, grants }: Asked): boolean {
  const members = union.members.map(({ source, share, items }) => {
    const shown = [...items.values()].map(({ id, masked }) => [id, masked])
    return [source, grants.get(share.resource), shown, share.table.name, share.table.place]
  })
  const tag = `"${hash('sha256', JSON.stringify([members, request.url, request.headers.accept ?? '']), 'base64url')}"`
  void reply.headers({ etag: tag, 'cache-control': 'private, no-cache' })
  return isKnown(request, tag)
}

/** Rows: a page as JSON; as CSV or NDJSON all that the filters leave, in the order of the key, or a page where `limit` is given. */
async function rows(asked: Asked): Promise<unknown> {
  const { services, request, reply, union } = asked
  const parameters = request.query as Parameters
  const query = readQuery(union, parameters)
  const format = formatOf(request)
  if (unchanged(asked)) return count(asked, union.members, () => 0).then(() => reply.code(304).send())
  if (format !== 'json' && parameters['limit'] === undefined) return streamAll(asked, query, format)
  const source = union.items[0]!
  const select = query.select.includes(source) ? query.select : [source, ...query.select]
  const page = await readUnionPage(services, union, { ...query, select }, parameters)
  const at = select.indexOf(source)
  const given = Map.groupBy(page.rows, (values) => values[at]!)
  await count(asked, union.members, (member) => given.get(member)?.length ?? 0)
  const shown = select === query.select ? page.rows : page.rows.map((values) => values.slice(1))
  if (page.next !== undefined) {
    const next = new URL(request.url, services.issuer())
    next.searchParams.set('after', page.next)
    void reply.header('link', `<${next.toString()}>; rel="next"`)
  }
  if (format === 'csv') return sendRows(asked, format, csvOf(query.select, one(shown)))
  if (format === 'ndjson') return sendRows(asked, format, ndjsonOf(query.select, one(shown)))
  const items = shown.map((values) => rowJson(query.select, values)).join(',')
  const counted = page.count ? `,"count":${JSON.stringify(page.count)}` : ''
  return reply.type(json).send(`{"items":[${items}],"next":${JSON.stringify(page.next ?? null)}${counted},${whence(union)}}`)
}

async function* one<T>(value: T): AsyncGenerator<T> {
  yield value
}

function sendRows({ reply }: Asked, format: 'csv' | 'ndjson', content: AsyncIterable<Buffer>, signal?: AbortSignal): unknown {
  const stream = Readable.from(content, { ...(signal && { signal }) })
  return reply.type(format === 'csv' ? 'text/csv; charset=utf-8; header=present' : 'application/x-ndjson').send(stream)
}

/** All rows; what is not granted any more ends them without their end. */
async function streamAll(asked: Asked, query: RowsQuery, format: 'csv' | 'ndjson'): Promise<unknown> {
  const { services, union, grants, request, client, look } = asked
  if (query.after !== undefined) throw wrong('after', { zh: '只能与 limit 一起使用', en: 'only together with limit' })
  if (query.sort) throw wrong('sort', { zh: '只能与 limit 一起使用', en: 'only together with limit' })
  await count(asked, union.members, () => 0)
  const gone = new AbortController()
  request.raw.once('close', () => gone.abort())
  const sent = new Map<string, number>()
  async function* whileGranted() {
    for await (const { member, rows } of streamUnion(services.reader, union, query, services.limits.exportRows)) {
      const now = (await look()).union.members.find(({ source }) => source === member.source)
      const own = query.select.flatMap(({ id }) => member.items.get(id) ?? [])
      requireStill(now ? now.share : { ...member.share, items: [] }, own)
      const { grant } = grants.get(member.share.resource)!
      sent.set(grant, (sent.get(grant) ?? 0) + rows.length)
      yield rows
    }
  }
  const content = format === 'csv' ? csvOf(query.select, whileGranted()) : ndjsonOf(query.select, whileGranted())
  async function* counted() {
    try {
      yield* content
    } finally {
      for (const [grant, rows] of sent) await services.usage.addRows({ grant, client, kind: 'rows', rows }).catch(() => undefined)
    }
  }
  return sendRows(asked, format, counted(), gone.signal)
}

/** One row by source and key, with the batch that it came in. */
async function row(asked: Asked): Promise<unknown> {
  const { services, request, reply, union } = asked
  const { select, ...key } = request.query as Parameters
  const query = readQuery(union, select === undefined ? {} : { select })
  const values = keyOf(union, key)
  if (unchanged(asked)) return count(asked, union.members, () => 0).then(() => reply.code(304).send())
  const found = await readUnionRow(services, union, values, query.select)
  const asking = union.members.filter(({ source }) => source === values[0])
  await count(asked, asking, () => (found ? 1 : 0))
  if (!found) throw new QianzhiError('QZ-NOT-FOUND', { what: { zh: '这一行', en: 'this row' } })
  const position = showPosition(positionOf(found.position))
  const [source] = sourcesOf({ members: [found.member] })
  const item = rowJson(query.select, found.values)
  return reply
    .type(json)
    .send(`{"item":${item},"position":"${position}","received":"${found.received}","source":${JSON.stringify(source)}}`)
}

/** What every answer says of where it is from. */
function whence(union: Union): string {
  return `"sources":${JSON.stringify(sourcesOf(union))},"leftOut":${JSON.stringify(union.leftOut)}`
}

/** Changes of all sources; each is counted with what it told. */
async function changes(asked: Asked): Promise<unknown> {
  const { services, request, reply, union } = asked
  const { after, limit, select } = readChangesQuery(union, request.query as Parameters)
  const format = formatOf(request)
  if (format === 'csv')
    throw wrong('Accept', { zh: '可用 application/json、application/x-ndjson', en: 'use application/json or application/x-ndjson' })
  const found = await readUnionChanges({ query: services.store.query, log: services.log }, union, { after, limit, select })
  const given = Map.groupBy(found.changes, ({ source }) => source)
  await count(asked, union.members, (source) => given.get(source)?.length ?? 0)
  unchanged(asked)
  void reply.headers({ 'x-next': found.next, 'x-complete': String(found.complete) })
  const lines = changeLines(union, select, found.changes)
  if (format === 'ndjson') return reply.type('application/x-ndjson').send(lines.map((line) => `${line}\n`).join(''))
  return reply.type(json).send(`{"changes":[${lines.join(',')}],"next":"${found.next}","complete":${found.complete},${whence(union)}}`)
}

/** The batch that a row of one source came in, signed by that one. */
async function proof(asked: Asked): Promise<unknown> {
  const { services, request, reply, union } = asked
  const { source, position } = request.query as { source?: string; position?: string }
  const members = union.members.filter((member) => member.source === source)
  const [found] = await Promise.all(members.map(({ share }) => proofOf(services, share, position)))
  await count(asked, members, () => 0)
  return sendProof(reply, found)
}

async function check(asked: Asked): Promise<unknown> {
  const { services, request, reply, union } = asked
  const { rows: given } = request.body as { rows: CheckedRow[] }
  const items = await checkUnionRows(services, union, given)
  const { id } = union.items[0]!
  await count(asked, union.members, (source) => given.filter((row) => row[id] === source).length)
  void reply.header('cache-control', 'no-store')
  return { items, sources: sourcesOf(union), leftOut: union.leftOut }
}

async function description(asked: Asked): Promise<unknown> {
  const { services, reply, union } = asked
  await count(asked, union.members, () => 0)
  return reply.type(json).send(JSON.stringify(describeStandard(union, services.issuer())))
}
