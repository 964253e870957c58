/**
 * The data API 数据接口 (Art. 16): what a program reads by one grant. What the grant does not name does not exist here: other resources are not
 * found, other items are unknown, whatever there is.
 */
import { hash, type KeyObject } from 'node:crypto'
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { projectBatch, splitBatch } from '../../protocol/batch.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import { positionNumber, positionOf, showPosition } from '../../protocol/position.ts'
import { unlimited } from '../exchange/context.ts'
import type { Log } from '../log.ts'
import { notFound } from '../records/refusals.ts'
import { changeLines, readChanges } from '../sharing/changes.ts'
import { checkRows, maxChecked, type CheckedRow } from '../sharing/checks.ts'
import { requireWithin } from '../records/networks.ts'
import { ClientViews, type ClientView } from '../sharing/client-views.ts'
import { csvOf, ndjsonOf, rowJson, sourceJson, streamRows } from '../sharing/exports.ts'
import { readChangesQuery, readQuery, wrong, type Parameters, type RowsQuery } from '../sharing/filters.ts'
import { keyOf, readPage, readRow } from '../sharing/pages.ts'
import { Rates } from '../sharing/rates.ts'
import { whereReplaced, type Sharing } from '../sharing/reading.ts'
import { provable, requireStill, type Share, type SharedItem } from '../sharing/share.ts'
import { dataPath, Tokens } from '../sharing/tokens.ts'
import { Usage, type Reading } from '../sharing/usage.ts'
import { describeResource } from './data-openapi.ts'
import type { Api } from './server.ts'

export interface DataServices extends Sharing {
  log: Log
  hubKey: KeyObject
  /** The hub's first public address. */
  issuer: () => string
  tokens: Tokens
  views: ClientViews
  rates: Rates
  usage: Usage
}

/** All that the data API keeps in memory, for one process of the hub. */
export function dataServices(sharing: Sharing, more: Pick<DataServices, 'log' | 'hubKey' | 'issuer'>): DataServices {
  const { store, clock } = sharing
  return {
    ...sharing,
    ...more,
    tokens: new Tokens({ ...more, store, clock }),
    views: new ClientViews(sharing),
    rates: new Rates(),
    usage: new Usage(store, clock),
  }
}

interface Caller {
  view: ClientView
  share: Share
}

export function dataApi(services: DataServices): Api {
  return async (typed) => {
    const app = typed as unknown as FastifyInstance
    const door =
      (kind: Reading['kind'], work: (asked: Asked) => Promise<unknown>) => async (request: FastifyRequest, reply: FastifyReply) => {
        void reply.header('vary', 'authorization, accept')
        const { client } = await clientOf(services, request, reply, (request.params as { resource: string }).resource)
        return whereReplaced(
          async () => work({ services, request, reply, kind, ...(await shareOf(services, client)) }),
          () => services.views.forget(client),
        )
      }
    app.get(`${dataPath}/:resource`, door('rows', rows))
    app.get(`${dataPath}/:resource/by-key`, door('row', row))
    app.get(`${dataPath}/:resource/changes`, door('changes', changes))
    app.get(`${dataPath}/:resource/proof`, door('proof', proof))
    app.get(`${dataPath}/:resource/openapi.json`, door('description', description))
    app.post(`${dataPath}/:resource/check`, { schema: { body: Checked }, bodyLimit: 8 << 20 }, door('check', check))
    app.addHook('onError', async (_request, reply, error) => {
      if (error instanceof QianzhiError && error.kind.status === 401) void reply.header('www-authenticate', 'Bearer error="invalid_token"')
    })
  }
}

interface Asked extends Caller {
  services: DataServices
  request: FastifyRequest
  reply: FastifyReply
  kind: Reading['kind']
}

/** Who calls, within their rate. Throws QZ-API-*, and QZ-NOT-FOUND where the grant is of another resource than this one. */
export async function clientOf(
  services: DataServices,
  request: FastifyRequest,
  reply: FastifyReply,
  resource?: string,
): Promise<ClientView> {
  const token = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '')?.[1]
  if (token === undefined) throw new QianzhiError('QZ-API-TOKEN', { reason: { zh: '请求没有令牌', en: 'the request has none' } })
  const view = await services.views.of(await services.tokens.clientOf(token))
  const { grant, rate } = view
  requireWithin(view.networks, request.ip)
  const { left, wait } = services.rates.take(grant, rate)
  void reply.headers({ 'ratelimit-policy': `"grant";q=${2 * rate};w=2`, ratelimit: `"grant";r=${left};t=${Math.ceil(wait)}` })
  if (wait > 0) {
    const seconds = Math.max(1, Math.ceil(wait))
    void reply.header('retry-after', String(seconds))
    throw new QianzhiError('QZ-API-RATE', { seconds })
  }
  if (resource !== undefined && view.resource !== resource) throw notFound('resource', resource.slice(0, 64))
  return view
}

async function shareOf({ views }: DataServices, client: string): Promise<Caller> {
  const view = await views.of(client)
  if (view.share instanceof QianzhiError) throw view.share
  return { view, share: view.share }
}

async function count({ services, view, kind, reply }: Asked, read: number): Promise<void> {
  await countUse(services, reply, { ...view, kind, rows: read })
}

/** Counted before it is answered. Throws QZ-API-QUOTA. */
export async function countUse(
  services: DataServices,
  reply: FastifyReply,
  { grant, client, kind, rows: read, quota }: Reading & { quota: number },
): Promise<void> {
  const place = await services.usage.count({ grant, client, kind, rows: read })
  if (place <= quota) return
  void reply.header('retry-after', '3600')
  throw new QianzhiError('QZ-API-QUOTA', { grant, quota })
}

function parametersOf({ request }: Asked): Parameters {
  return request.query as Parameters
}

/** Says where an answer is from, as of when; and that it has not changed, where the caller has it already. */
function unchanged({ request, reply, share, view }: Asked): boolean {
  const { agency, table } = share
  const items = share.items.map(({ id, masked }) => [id, masked])
  const tag = `"${hash('sha256', JSON.stringify([view.grant, items, table.name, table.place, request.url, request.headers.accept ?? '']), 'base64url')}"`
  void reply.headers({
    etag: tag,
    'cache-control': 'private, no-cache',
    'x-source': agency,
    'x-as-of': table.asOf.toISOString(),
    'x-position': positionNumber(table.place),
  })
  return isKnown(request, tag)
}

/** Whether the caller has the answer of this tag already. */
export function isKnown({ headers }: FastifyRequest, tag: string): boolean {
  const match = headers['if-none-match']
  return match !== undefined && match.split(',').some((one) => one.trim() === '*' || one.trim().replace(/^W\//, '') === tag)
}

type Format = 'json' | 'csv' | 'ndjson'

/** The first type that is taken. Throws QZ-DATA-FILTER. */
export function formatOf({ headers }: FastifyRequest): Format {
  const accepted = (headers.accept ?? '*/*').split(',').map((part) => part.split(';')[0]!.trim().toLowerCase())
  for (const type of accepted) {
    if (type === '*/*' || type === 'application/*' || type === 'application/json') return 'json'
    if (type === 'text/csv' || type === 'text/*') return 'csv'
    if (type === 'application/x-ndjson') return 'ndjson'
  }
  throw wrong('Accept', {
    zh: '可用 application/json、text/csv、application/x-ndjson',
    en: 'use application/json, text/csv or application/x-ndjson',
  })
}

export const json = 'application/json; charset=utf-8'

/** Rows: a page as JSON; as CSV or NDJSON all that the filters leave, or a page where `limit` is given. */
async function rows(asked: Asked): Promise<unknown> {
  const { services, request, reply, share } = asked
  const parameters = parametersOf(asked)
  const query = readQuery(share, parameters)
  const format = formatOf(request)
  if (unchanged(asked)) return count(asked, 0).then(() => reply.code(304).send())
  if (format !== 'json' && parameters['limit'] === undefined) return streamAll(asked, query, format)
  const page = await readPage(services, share, query)
  await count(asked, page.rows.length)
  if (page.next !== undefined) void reply.header('link', `<${nextUrl(asked, page.next)}>; rel="next"`)
  if (format !== 'json') return sendRows(asked, format, Readable.from(fileOf(query.select, format, one(page.rows))))
  const items = page.rows.map((values) => rowJson(query.select, values)).join(',')
  const counted = page.count ? `,"count":${JSON.stringify(page.count)}` : ''
  return reply.type(json).send(`{"items":[${items}],"next":${JSON.stringify(page.next ?? null)}${counted},"source":${sourceJson(share)}}`)
}

async function* one<T>(value: T): AsyncGenerator<T> {
  yield value
}

function nextUrl({ services, request }: Asked, after: string): string {
  const url = new URL(request.url, services.issuer())
  url.searchParams.set('after', after)
  return url.toString()
}

/** Everything that a query finds, row after row as they are read; what is not granted any more ends it without its end. */
async function streamAll(asked: Asked, query: RowsQuery, format: 'csv' | 'ndjson'): Promise<unknown> {
  const { services, share, request, view } = asked
  if (query.after !== undefined) throw wrong('after', { zh: '只能与 limit 一起使用', en: 'only together with limit' })
  await count(asked, 0)
  const found = streamRows(services.reader, share, query, services.limits.exportRows)
  const gone = new AbortController()
  request.raw.once('close', () => gone.abort())
  let sent = 0
  async function* whileGranted() {
    for await (const page of found) {
      const now = (await services.views.of(view.client)).share
      if (now instanceof QianzhiError) throw now
      requireStill(now, query.select)
      sent += page.length
      yield page
    }
  }
  const stream = Readable.from(fileOf(query.select, format, whileGranted()), { signal: gone.signal })
  stream.once('close', () => void services.usage.addRows({ ...view, kind: 'rows', rows: sent }).catch(() => undefined))
  return sendRows(asked, format, stream)
}

function fileOf(select: readonly SharedItem[], format: 'csv' | 'ndjson', pages: AsyncIterable<(string | null)[][]>) {
  return format === 'csv' ? csvOf(select, pages) : ndjsonOf(select, pages)
}

function sendRows({ reply }: Asked, format: 'csv' | 'ndjson', stream: Readable): unknown {
  return reply.type(format === 'csv' ? 'text/csv; charset=utf-8; header=present' : 'application/x-ndjson').send(stream)
}

/** One row by its key, with the batch that it came in. */
async function row(asked: Asked): Promise<unknown> {
  const { services, reply, share } = asked
  const { select, ...key } = parametersOf(asked)
  const query = readQuery(share, select === undefined ? {} : { select })
  const values = keyOf(share, key)
  if (unchanged(asked)) return count(asked, 0).then(() => reply.code(304).send())
  const found = await readRow(services, share, values, query.select)
  await count(asked, found ? 1 : 0)
  if (!found) throw new QianzhiError('QZ-NOT-FOUND', { what: { zh: '这一行', en: 'this row' } })
  const item = rowJson(query.select, found.values)
  const position = showPosition(positionOf(found.position))
  return reply.type(json).send(`{"item":${item},"position":"${position}","received":"${found.received}","source":${sourceJson(share)}}`)
}

async function changes(asked: Asked): Promise<unknown> {
  const { services, request, reply, share } = asked
  const { after, limit, select } = readChangesQuery(share, parametersOf(asked))
  const format = formatOf(request)
  if (format === 'csv')
    throw wrong('Accept', { zh: '可用 application/json、application/x-ndjson', en: 'use application/json or application/x-ndjson' })
  const deps = { query: services.store.query, log: services.log }
  const found = await readChanges(deps, share, { after, limit, select })
  await count(asked, found.changes.length)
  unchanged(asked)
  void reply.headers({ 'x-next': found.next, 'x-complete': String(found.complete) })
  const lines = changeLines(share, select, found.changes)
  if (format === 'ndjson') return reply.type('application/x-ndjson').send(lines.map((line) => `${line}\n`).join(''))
  return reply
    .type(json)
    .send(`{"changes":[${lines.join(',')}],"next":"${found.next}","complete":${found.complete},"source":${sourceJson(share)}}`)
}

/** The signed batch that a row came in, with the items that are granted. */
async function proof(asked: Asked): Promise<unknown> {
  const { services, request, reply, share } = asked
  const { position } = request.query as { position?: string }
  const found = await proofOf(services, share, position)
  await count(asked, 0)
  return sendProof(reply, found)
}

/** The container with what a share shows whole; undefined where there is no such batch. Throws QZ-DATA-FILTER. */
export async function proofOf({ log }: Pick<DataServices, 'log'>, share: Share, position: string | undefined): Promise<Buffer | undefined> {
  const [, epoch, seq] = /^([1-9]\d{0,9})\/([1-9]\d{0,9})$/.exec(position ?? '') ?? []
  if (epoch === undefined) throw wrong('position', { zh: '须为 by-key 给出的 position', en: 'it must be the position that by-key gave' })
  const at = { epoch: Number(epoch), seq: Number(seq) }
  const [batch] = await log.read(share.resource, { epoch: at.epoch, seq: at.seq - 1 }, 1)
  if (batch?.epoch !== at.epoch || batch.seq !== at.seq) return undefined
  return projectBatch(splitBatch(batch.bytes, unlimited), provable(share))
}

/** Throws QZ-NOT-FOUND. */
export function sendProof(reply: FastifyReply, found: Buffer | undefined): unknown {
  if (!found) throw new QianzhiError('QZ-NOT-FOUND', { what: { zh: '这一批次', en: 'this batch' } })
  return reply.type('application/vnd.qianzhi.batch').send(found)
}

async function description(asked: Asked): Promise<unknown> {
  const { services, reply, share } = asked
  await count(asked, 0)
  return reply.type(json).send(JSON.stringify(describeResource(share, services.issuer())))
}

/** Body of a batch check. */
export const Checked = Type.Object(
  {
    rows: Type.Array(Type.Record(Type.String(), Type.Union([Type.String({ maxLength: 100_000 }), Type.Null()])), {
      minItems: 1,
      maxItems: maxChecked,
    }),
  },
  { additionalProperties: false },
)

async function check(asked: Asked): Promise<unknown> {
  const { services, request, reply, share } = asked
  const { rows: given } = request.body as { rows: CheckedRow[] }
  const items = await checkRows(services, share, given)
  await count(asked, given.length)
  void reply.header('cache-control', 'no-store')
  return { items, source: JSON.parse(sourceJson(share)) as unknown }
}
