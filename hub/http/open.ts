/**
 * Open data 开放数据 (Art. 5, 7.5, 17): doors for everybody, without log-in, cookie or script, also from pages of other sites. What is not released has
 * the same answer as what there is not.
 */
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Type, type Static } from 'typebox'
import { QianzhiError } from '../../protocol/errors.ts'
import { positionNumber } from '../../protocol/position.ts'
import { signStatement, type SigningKey } from '../../protocol/signature.ts'
import { network, Throttle } from '../access/throttle.ts'
import { writeAudit } from '../records/audit.ts'
import { seenPattern } from '../records/name-form.ts'
import { notify } from '../records/notices.ts'
import type { Registry } from '../records/registry.ts'
import { dcatPage } from '../registry/catalog/dcat.ts'
import { findOpen, listOpen, type OpenEntry } from '../registry/catalog/open-entries.ts'
import { rowJson, sourceJson } from '../sharing/exports.ts'
import { readQuery, wrong, type Parameters } from '../sharing/filters.ts'
import {
  countDownload,
  fileKinds,
  mediaTypes,
  openData,
  openFile,
  openManifest,
  openPath,
  openTag,
  type FileKind,
  type OpenData,
} from '../sharing/open-data.ts'
import { readPage } from '../sharing/pages.ts'
import { whereReplaced, type Sharing } from '../sharing/reading.ts'
import { InFlight } from './in-flight.ts'
import { absentPage, dataSetPage, listPage, thanksPage } from './pages/open.ts'
import { languageOf, sendPage } from './pages/page.ts'
import type { Api } from './server.ts'

export interface OpenDeps {
  registry: Registry
  /** With a reader of its own: the public takes no connection from those who are granted something. */
  sharing: Sharing
  /** Signs what files are. */
  hubKey: SigningKey
  /** The hub's first public address. */
  address: () => string
}

/** Connections of that reader: more than files under way, so that pages and rows never wait for these. */
export const openConnections = 8
/** Files under way, each of them as one byte: two of an address, six of all the public. */
const inFlight = { requests: 2, bytes: Infinity, bytesOfAll: 6 }
/** Milliseconds that a file may take. */
const patience = 15 * 60_000
const [pageSize, previewRows] = [20, 20]
/** Feedback that one address, and everybody together on one data set, may send in a minute. */
const [feedbackOfOne, feedbackOfAll] = [3, 20]
const longest = { text: 2000, contact: 200 }

const Feedback = Type.Object(
  {
    text: Type.String({ minLength: 1, maxLength: longest.text, pattern: seenPattern }),
    contact: Type.Optional(Type.String({ minLength: 1, maxLength: longest.contact, pattern: seenPattern })),
  },
  { additionalProperties: false },
)

const formType = 'application/x-www-form-urlencoded'
const json = 'application/json; charset=utf-8'
const shared = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'etag, link, retry-after, x-source, x-as-of, x-position',
  'cross-origin-resource-policy': 'cross-origin',
  'cache-control': 'no-store',
}

interface Doors extends OpenDeps {
  files: InFlight
  feedback: { ofOne: Throttle; ofAll: Throttle }
}

export function openApi(deps: OpenDeps): Api {
  const throttle = new Throttle(deps.sharing.limits.openPerMinute)
  const feedback = { ofOne: new Throttle(feedbackOfOne), ofAll: new Throttle(feedbackOfAll) }
  const doors: Doors = { ...deps, files: new InFlight(inFlight), feedback }
  return async (typed) => {
    const app = typed as unknown as FastifyInstance
    app.addContentTypeParser(formType, { parseAs: 'string', bodyLimit: 16 << 10 }, (_request, body, done) =>
      // A field that was left empty was not filled in.
      done(null, Object.fromEntries([...new URLSearchParams(String(body))].filter(([, value]) => value !== ''))),
    )
    app.addHook('onRequest', async (request, reply) => {
      if (request.method !== 'POST') void reply.headers(shared)
      refuseAfter(reply, throttle.wait(request.ip, deps.registry.clock()))
    })
    const door = (work: (asked: Asked) => Promise<unknown>) => async (request: FastifyRequest, reply: FastifyReply) => {
      const asked = { doors, request, reply, code: (request.params as { code: string }).code }
      return whereReplaced(() => work(asked))
    }
    for (const path of [openPath, `${openPath}/*`])
      app.options(path, (_request, reply) =>
        reply.code(204).headers({ 'access-control-allow-methods': 'GET, HEAD', 'access-control-allow-headers': 'if-none-match' }).send(),
      )
    app.get(openPath, door(list))
    app.get(`${openPath}/dcat.jsonld`, door(dcat))
    app.get(`${openPath}/:code`, door(page))
    app.get(`${openPath}/:code/rows`, door(rows))
    app.get(`${openPath}/:code/manifest.json`, door(manifest))
    for (const kind of fileKinds)
      app.get(
        `${openPath}/:code/data.${kind}`,
        door((asked) => file(asked, kind)),
      )
    app.post(`${openPath}/:code/feedback`, { schema: { body: Feedback }, bodyLimit: 16 << 10 }, door(takeFeedback))
  }
}

interface Asked {
  doors: Doors
  request: FastifyRequest
  reply: FastifyReply
  code: string
}

/** Throws QZ-API-RATE. */
function refuseAfter(reply: FastifyReply, seconds: number): void {
  if (seconds === 0) return
  void reply.header('retry-after', String(seconds))
  throw new QianzhiError('QZ-API-RATE', { seconds })
}

/** Whatever was asked for: it does not say whether there is a resource that is not open. */
function absent(): QianzhiError {
  return new QianzhiError('QZ-NOT-FOUND', { what: { zh: '这个数据集', en: 'this data set' } })
}

async function list({ doors, request, reply }: Asked): Promise<unknown> {
  const { text } = request.query as Record<string, unknown>
  const words = typeof text === 'string' ? text.slice(0, 200) : ''
  const number = pageOf(request)
  const found = await listOpen(doors.registry.store.query, { text: words, skip: (number - 1) * pageSize, limit: pageSize })
  const listed = { ...found, text: words, page: number, pageSize }
  return sendPage(request, reply, 200, listPage(listed, languageOf(request)))
}

/** Throws QZ-DATA-FILTER. */
function pageOf({ query }: FastifyRequest): number {
  const { page = '1' } = query as { page?: unknown }
  if (typeof page === 'string' && /^[1-9]\d{0,5}$/.test(page)) return Number(page)
  throw wrong('page', { zh: '须为正整数', en: 'it must be a whole number from 1' })
}

async function dcat({ doors, request, reply }: Asked): Promise<unknown> {
  const files = fileKinds.map((kind) => ({ kind, mediaType: mediaTypes[kind] }))
  const place = { address: doors.address(), path: openPath, files }
  const catalog = await dcatPage(doors.registry, place, pageOf(request))
  // Of a text the server would add its character set, which the type has none of.
  return reply.type('application/ld+json').send(Buffer.from(JSON.stringify(catalog)))
}

async function page({ doors, request, reply, code }: Asked): Promise<unknown> {
  const entry = await findOpen(doors.registry.store.query, code)
  if (!entry) return sendPage(request, reply, 404, absentPage)
  const preview = await previewOf(doors, code)
  return sendPage(request, reply, 200, dataSetPage({ entry, longest, ...(preview && { preview }) }, languageOf(request)))
}

async function previewOf({ registry, sharing }: Doors, code: string) {
  try {
    const data = await openData(registry.store.query, code)
    if (!data) return undefined
    const { rows } = await readPage(sharing, data.share, readQuery(data.share, { limit: String(previewRows) }))
    return { share: data.share, rows }
  } catch (error) {
    if (error instanceof QianzhiError && error.code === 'QZ-DATA-PREPARING') return undefined
    throw error
  }
}

/** Throws QZ-NOT-FOUND, QZ-DATA-PREPARING. */
async function requireData({ doors, code }: Asked): Promise<OpenData> {
  const data = await openData(doors.registry.store.query, code)
  if (!data) throw absent()
  return data
}

/** Says whose data it is, as of when; and that it has not changed, where the caller has it already. */
function unchanged({ request, reply }: Asked, data: OpenData, ...answer: string[]): boolean {
  const { agency, table } = data.share
  const tag = openTag(data, ...answer)
  void reply.headers({ etag: tag, 'x-source': agency, 'x-as-of': table.asOf.toISOString(), 'x-position': positionNumber(table.place) })
  const match = request.headers['if-none-match']
  return match !== undefined && match.split(',').some((one) => one.trim() === '*' || one.trim().replace(/^W\//, '') === tag)
}

/** A page of rows, by the filters of the data API. */
async function rows(asked: Asked): Promise<unknown> {
  const { doors, request, reply, code } = asked
  const data = await requireData(asked)
  const { share } = data
  const query = readQuery(share, request.query as Parameters)
  if (unchanged(asked, data, request.url)) return reply.code(304).send()
  if (request.method === 'HEAD') return reply.type(json).send()
  const found = await readPage(doors.sharing, share, query)
  await countDownload(doors.registry.store.query, code, 'rows', doors.registry.clock())
  if (found.next !== undefined) {
    const next = new URL(request.url, doors.address())
    next.searchParams.set('after', found.next)
    void reply.header('link', `<${next.toString()}>; rel="next"`)
  }
  const items = found.rows.map((values) => rowJson(query.select, values)).join(',')
  const counted = found.count ? `,"count":${JSON.stringify(found.count)}` : ''
  return reply.type(json).send(`{"items":[${items}],"next":${JSON.stringify(found.next ?? null)}${counted},"source":${sourceJson(share)}}`)
}

async function file(asked: Asked, kind: FileKind): Promise<unknown> {
  const { doors, request, reply, code } = asked
  const { registry, sharing, files } = doors
  const data = await requireData(asked)
  const language = languageOf({ query: request.query, headers: {} })
  if (unchanged(asked, data, kind, language)) return reply.code(304).send()
  void reply.type(kind === 'csv' ? 'text/csv; charset=utf-8; header=present' : mediaTypes[kind])
  void reply.header('content-disposition', `attachment; filename="${code}.${kind}"`)
  if (request.method === 'HEAD') return reply.send()
  reply.raw.once('close', files.begin(network(request.ip), 1))
  await countDownload(registry.store.query, code, kind, registry.clock())
  const gone = new AbortController()
  reply.raw.once('close', () => gone.abort())
  const content = openFile({ query: registry.store.query, reader: sharing.reader }, data, { kind, language })
  return reply.send(Readable.from(content, { signal: AbortSignal.any([gone.signal, AbortSignal.timeout(patience)]) }))
}

/** What `data.csv` is at this position, signed by the hub. Throws QZ-NOT-FOUND where it was not made yet. */
async function manifest(asked: Asked): Promise<unknown> {
  const { registry, hubKey } = asked.doors
  const data = await requireData(asked)
  const made = await openManifest(registry.store.query, data)
  if (!made)
    throw new QianzhiError('QZ-NOT-FOUND', {
      what: { zh: '此位置的 data.csv（尚无人下载）', en: 'data.csv of this position (nobody has loaded it)' },
    })
  const signature = signStatement(hubKey, 'qz-open', made)
  return asked.reply.type(json).send(JSON.stringify({ manifest: made, signature, key: hubKey.publicKey }))
}

/** Anybody's word on a data set goes to its registrar and to the office (Art. 14, 18): corrections are agencies'. */
async function takeFeedback(asked: Asked): Promise<unknown> {
  const { doors, request, reply, code } = asked
  const { registry, feedback } = doors
  const entry = await findOpen(registry.store.query, code)
  if (!entry) throw absent()
  const now = registry.clock()
  refuseAfter(reply, feedback.ofOne.wait(request.ip, now))
  refuseAfter(reply, feedback.ofAll.wait(code, now))
  await keepFeedback(registry, entry, request.body as Static<typeof Feedback>, request.ip)
  if (String(request.headers['content-type']).startsWith(formType))
    return sendPage(request, reply, 200, thanksPage(code, languageOf(request)))
  return reply.code(202).send({ received: now.toISOString() })
}

function keepFeedback(
  { store }: Registry,
  { code, agency, content }: OpenEntry,
  { text, contact }: Static<typeof Feedback>,
  ip: string,
): Promise<void> {
  const reach = contact === undefined ? { zh: '', en: '' } : { zh: `（联系方式：${contact}）`, en: ` (contact: ${contact})` }
  return store.transaction(async (query) => {
    await writeAudit(query, { actor: `address ${ip}`, ip, act: 'open.feedback', object: `resource ${code}` })
    await notify(query, {
      to: [{ agency, role: 'registrar' }, { role: 'office' }],
      kind: 'open-feedback',
      object: `resource ${code}`,
      zh: `公众对开放数据《${content.title}》的反馈：${text}${reach.zh}`,
      en: `Feedback of the public on open data ${content.title}: ${text}${reach.en}`,
    })
  })
}
