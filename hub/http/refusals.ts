import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import { agentPaths } from '../../protocol/api.ts'
import { QianzhiError, codedError, detailsToWire, reasonOf, toProblem, type Problem } from '../../protocol/errors.ts'
import { joinTexts, same, type LocalizedText } from '../../protocol/localized.ts'
import { actedBy, type Principal } from '../access/principal.ts'
import { writeAudit, type Act } from '../records/audit.ts'
import type { Store } from '../store/store.ts'
import { inWords } from './operation-words.ts'
import { requestFaults } from './request-faults.ts'

/** Answers any error as problem details (RFC 9457); what was refused to an agent or to an administrator goes on record. */
export async function answerError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  logger: Logger,
  refusals: Refusals,
): Promise<unknown> {
  const coded = await noteError(error, request, logger, refusals)
  if (coded.kind.status === 503) void reply.header('retry-after', '2')
  // What is left of a large body is not waited for.
  if (!request.raw.complete && !(Number(request.headers['content-length']) <= worthReading)) void reply.header('connection', 'close')
  return reply
    .code(coded.kind.status)
    .type('application/problem+json')
    .send(JSON.stringify(problemOf(outside(coded, request), request)))
}

/** Logs what went wrong, and puts a refusal on record. @returns it as a coded error. */
export async function noteError(error: unknown, request: FastifyRequest, logger: Logger, refusals: Refusals): Promise<QianzhiError> {
  const coded = codeOf(error, request)
  if (coded.code === 'QZ-INTERNAL') logger.error({ err: error, url: request.url, request: request.id }, 'request failed')
  else logger.debug({ code: coded.code, url: request.url, agent: request.agent?.id }, coded.message)
  await refusals.record(coded, request)
  return coded
}

/** Operations are called by their words in what people read, by their names in `details`. */
export function problemOf(coded: QianzhiError, { principal }: Pick<FastifyRequest, 'principal'>): Problem {
  const worded = inWords(coded.details, principal)
  if (!worded) return toProblem(coded)
  const problem = toProblem(new QianzhiError(coded.code, { ...coded.details, ...worded }, { faults: coded.faults }))
  return { ...problem, details: { ...problem.details, ...detailsToWire(coded.details).details } }
}

/** What went wrong inside stands in the log, under the request's number, not in the answer. */
function outside(coded: QianzhiError, { id }: FastifyRequest): QianzhiError {
  return coded.code === 'QZ-INTERNAL' ? new QianzhiError('QZ-INTERNAL', { reason: id }) : coded
}

/** Bytes of a refused body that are read all the same, so that the connection can be used again. */
const worthReading = 64 << 10

/** SQLSTATE classes of a store that is away, starting, stopping, full or overloaded: all pass. */
const passing = /^(?:08|53|57|58|40)/
/** SQLSTATEs that somebody must do something about. */
const busy: Record<string, LocalizedText> = {
  '53100': { zh: '中心数据库的磁盘已满（53100）', en: "the disk of the hub's store is full (53100)" },
}
const connectionErrors = /^(?:ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT)$/

function codeOf(error: unknown, request: FastifyRequest): QianzhiError {
  if (error instanceof QianzhiError) return error
  const { code, statusCode = 500, validation } = error as Partial<FastifyError>
  const reason = reasonOf(error)
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return new QianzhiError('QZ-BATCH-LIMIT', { reason: tooLarge }, { cause: error })
  if (validation) return misshapen(request, error)
  if (statusCode >= 400 && statusCode < 500) {
    const { zh, en } = unreadable[code ?? ''] ?? { zh: '无法读取请求', en: reason }
    return new QianzhiError('QZ-REQUEST-INVALID', { reason: { zh, en } }, { cause: error })
  }
  const away = code !== undefined && (connectionErrors.test(code) || (code.length === 5 && passing.test(code)))
  if (away || /timeout exceeded when trying to connect|Connection terminated|is not queryable|pool after calling end/.test(reason)) {
    return new QianzhiError('QZ-HUB-BUSY', { reason: busy[code ?? ''] ?? code ?? { zh: '数据库', en: 'store' } }, { cause: error })
  }
  return codedError(error)
}

const tooLarge = { zh: '请求正文过大', en: 'the body is too large' }
/** What the server says of a request that it cannot read. */
const unreadable: Readonly<Record<string, LocalizedText>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: { zh: '正文不是有效的 JSON', en: 'the body is no valid JSON' },
  FST_ERR_CTP_EMPTY_JSON_BODY: { zh: '正文为空', en: 'the body is empty' },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    zh: '正文类型（Content-Type）不对，一般应为 application/json',
    en: 'the Content-Type is not taken here; mostly it is application/json',
  },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: { zh: '正文长度与 Content-Length 不符', en: 'the body is not as long as Content-Length says' },
  FST_ERR_BAD_URL: { zh: '网址无效', en: 'the path is not valid' },
}

const partNames = {
  path: { zh: '路径', en: 'path' },
  query: { zh: '查询参数', en: 'query' },
  body: { zh: '正文', en: 'body' },
} as const
/** More would make a message that nobody reads; `faults` has them. */
const shownFaults = 20

/** Everything that is wrong with the shape of a request, in all its parts at once. */
function misshapen(request: FastifyRequest, error: unknown): QianzhiError {
  const { params, querystring, body } = (request.routeOptions.schema ?? {}) as Record<string, object | undefined>
  const faults = [
    ...(params ? requestFaults('path', params, request.params) : []),
    ...(querystring ? requestFaults('query', querystring, request.query) : []),
    ...(body ? requestFaults('body', body, request.body) : []),
  ]
  if (faults.length === 0) {
    const reason = { zh: '格式不符', en: reasonOf(error) }
    return new QianzhiError('QZ-REQUEST-INVALID', { reason }, { cause: error })
  }
  const lines = faults.slice(0, shownFaults).map(({ in: part, at, zh, en }): LocalizedText => {
    const { zh: where, en: place } = partNames[part]
    return { zh: `${where}${at === '' ? '' : ` ${at} `}${zh}`, en: `${place}${at === '' ? '' : ` ${at}`} ${en}` }
  })
  const more = faults.length > shownFaults ? [same(`… +${faults.length - shownFaults}`)] : []
  const reason = joinTexts([...lines, ...more], { zh: '；', en: '; ' })
  return new QianzhiError('QZ-REQUEST-INVALID', { reason }, { cause: error, faults: faults.map((fault) => ({ ...fault })) })
}

/** Part of the exchange's ordinary course, or not about who asks. */
const ordinary = new Set(['QZ-BATCH-HEAD', 'QZ-HUB-BUSY', 'QZ-INTERNAL'])
/** On record with the person whom they concern (access/sign-in.ts). */
const signingIn = new Set(['QZ-SIGN-IN', 'QZ-SECOND-FACTOR'])
const window = 60_000
/** Of one known caller and code in a minute, and of one address; what goes beyond is counted, and the number put on record. */
const singly = { known: 30, unknown: 1 }
const remembered = 10_000

interface Counted {
  since: number
  written: number
  /** Refusals of this minute that were not written singly; the last of them. */
  more: number
  entry: Act
}

/**
 * Puts refusals on record. Each by itself, unless a caller makes so many that they would fill the store: those are counted. Of an address
 * that nobody is known by, one in a minute is written, for the audit is never trimmed.
 */
export class Refusals {
  readonly #store: Store
  readonly #logger: Logger
  readonly #counted = new Map<string, Counted>()
  readonly #timer: NodeJS.Timeout

  constructor(store: Store, logger: Logger) {
    this.#store = store
    this.#logger = logger
    this.#timer = setInterval(() => void this.sum(Date.now() - window), window).unref()
  }

  async record(refusal: QianzhiError, request: FastifyRequest): Promise<void> {
    const path = request.url.split('?')[0]!.slice(0, 200)
    if (!/^\/(?:(?:agent|admin|api)\/v1\/|activate$)/.test(path) || ordinary.has(refusal.code)) return
    if (path === '/api/v1/session' && signingIn.has(refusal.code)) return
    // What the exchange refuses of a batch it puts on record itself, with the resource.
    if (path === agentPaths.batches && request.agent) return
    const asked = { act: 'request', object: `${request.method} ${path}`, outcome: refusal.code, details: refusal.details }
    const entry = { ip: request.ip, ...whoAsked(request), ...asked }
    if (this.#count(entry)) await this.#write(entry)
  }

  /** Puts the numbers of what was only counted on record, of minutes that began before `until`. */
  async sum(until = Infinity): Promise<void> {
    for (const [key, { since, more, entry }] of this.#counted) {
      if (since > until) continue
      this.#counted.delete(key)
      if (more > 0) await this.#write({ ...entry, act: 'requests', details: { count: more, lastOf: entry.object } })
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.sum()
  }

  /** @returns whether this one is to be written by itself. */
  #count(entry: Act): boolean {
    const known = entry.via !== undefined
    const key = known ? `${entry.actor} ${entry.outcome}` : entry.actor
    const counted = this.#counted.get(key) ?? { since: Date.now(), written: 0, more: 0, entry }
    this.#counted.set(key, counted)
    if (this.#counted.size > remembered) void this.sum()
    if (counted.written < (known ? singly.known : singly.unknown)) {
      counted.written++
      return true
    }
    counted.more++
    counted.entry = entry
    return false
  }

  /** The refusal stands also while the store is away. */
  async #write(entry: Act): Promise<void> {
    await writeAudit(this.#store.query, entry).catch((failure: unknown) =>
      this.#logger.warn({ err: failure, entry }, 'refusal not recorded'),
    )
  }
}

/** The agent that signed, the person or key behind the registry's doors, or where it came from. */
function whoAsked({
  agent,
  principal,
  byAdminKey,
  ip,
}: {
  agent?: FastifyRequest['agent']
  principal?: Principal
  byAdminKey?: boolean
  ip: string
}): Pick<Act, 'actor' | 'agency' | 'via'> {
  if (agent) return { actor: agent.id, agency: agent.agency, via: 'agent' }
  if (byAdminKey) return { actor: 'admin', via: 'admin-key' }
  return principal ? actedBy(principal) : { actor: `address ${ip}` }
}
