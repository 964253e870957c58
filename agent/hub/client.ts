import { connect } from 'node:tls'
import { createHash } from 'node:crypto'
import { request, type Dispatcher } from 'undici'
import {
  agentPaths,
  decodeDelivery,
  deliveryMediaType,
  type EnrolAnswer,
  type EnrolRequest,
  type HeadAnswer,
  type PollRequest,
  type StoredAnswer,
} from '../../protocol/api.ts'
import type { SealedAnswer } from '../../protocol/asks.ts'
import { batchMediaType } from '../../protocol/batch.ts'
import { QianzhiError, reasonOf, type ErrorCode } from '../../protocol/errors.ts'
import type { Position } from '../../protocol/position.ts'
import type { ReconciliationProgress } from '../../protocol/reconciliation.ts'
import { signRequest } from '../../protocol/request.ts'
import type { SigningKey } from '../../protocol/signature.ts'
import type { Hub } from '../hub.ts'
import { askTime, openConnections, type ConnectionOptions } from './connection.ts'
import { answerFault } from './foreign-answer.ts'

export interface HubClientOptions extends ConnectionOptions {
  /** Tried in order; the one that answered last is tried first. */
  urls: readonly string[]
  key: SigningKey
  /** An agent of the same agency behind a one-way gap, for which everything is said. */
  carries?: string
  clock: () => Date
}

type Body = Buffer | object | undefined

/** Milliseconds without an answer after which a connection counts as dead (a poll: after its own wait). */
const answerTimeout = 30_000
const hour = 3_600_000
/** Faults of one address: another one may lead to the hub. */
const elsewhere: ReadonlySet<ErrorCode> = new Set(['QZ-HUB-UNREACHABLE', 'QZ-HUB-GATEWAY'])

/** The agent's one way to the hub: signed requests, connection reuse, failover between addresses. Every call may throw a coded error. */
export class HubClient implements Hub {
  readonly #options: HubClientOptions
  readonly #dispatcher: Dispatcher
  #current = 0
  /** The hub's time as it was told, and when: milliseconds of `performance.now()`. */
  #told: { time: number; at: number } | undefined
  /** When the hub answered last, whatever it said. */
  answered: Date | undefined
  /** Why the last request did not reach it, or what it said that holds everything, and since when that is so. */
  fault: { error: QianzhiError; since: Date } | undefined

  constructor(options: HubClientOptions) {
    this.#options = options
    this.#dispatcher = openConnections(options)
  }

  /** The address that is used. */
  get url(): string {
    return this.#options.urls[this.#current]!
  }

  /** The hub's time as far as the agent knows it: once it was told, whatever happens to the machine's own clock. */
  now(): Date {
    return new Date(this.#told ? this.#told.time + performance.now() - this.#told.at : this.#options.clock())
  }

  /** Milliseconds that the hub's clock is ahead of the machine's. */
  get clockOffset(): number {
    return this.#told ? this.now().getTime() - this.#options.clock().getTime() : 0
  }

  /**
   * Notes the hub's time from an answer that took from `sent` (milliseconds of `performance.now()`) until now. Differences below the
   * uncertainty of the way are noise.
   */
  learnTime(time: string, sent: number): void {
    const [told, known, at] = [Date.parse(time), this.now().getTime(), performance.now()]
    if (!Number.isFinite(told)) return
    if (Math.abs(told - known) > Math.max(50, at - sent)) this.#told = { time: told, at }
    else this.#told ??= { time: known, at }
  }

  async enrol(body: EnrolRequest): Promise<EnrolAnswer> {
    return fromJson(await this.#send('POST', agentPaths.enrol, body)) as EnrolAnswer
  }

  async sendBatch(bytes: Buffer, signal: AbortSignal): Promise<StoredAnswer> {
    return fromJson(await this.#send('POST', agentPaths.batches, bytes, { signal })) as StoredAnswer
  }

  async poll(body: PollRequest, signal: AbortSignal): Promise<ReturnType<typeof decodeDelivery>> {
    return decodeDelivery(
      await this.#send('POST', agentPaths.poll, body, { signal, timeout: body.wait * 1000 + answerTimeout, expected: deliveryMediaType }),
    )
  }

  async receipts(receipts: string[], signal: AbortSignal): Promise<void> {
    await this.#send('POST', agentPaths.receipts, { receipts }, { signal })
  }

  async answer(answer: SealedAnswer, signal: AbortSignal): Promise<void> {
    await this.#send('POST', agentPaths.answers, answer, { signal })
  }

  /** Has the routes of this agent that are called so, or whose resource is, reconciled. @returns the runs. */
  async reconcile(name: string, repair: boolean | undefined): Promise<string[]> {
    const body = { name, ...(repair !== undefined && { repair }) }
    return (fromJson(await this.#send('POST', agentPaths.reconciliations, body)) as { runs: string[] }).runs
  }

  async reconciliation(run: string): Promise<ReconciliationProgress> {
    const path = `${agentPaths.reconciliations}?${new URLSearchParams({ run }).toString()}`
    return fromJson(await this.#send('GET', path)) as ReconciliationProgress
  }

  async head(resource: string, signal?: AbortSignal): Promise<HeadAnswer> {
    return fromJson(
      await this.#send('GET', `${agentPaths.head}?${new URLSearchParams({ resource }).toString()}`, undefined, { signal }),
    ) as HeadAnswer
  }

  /** The agent's own batches after a place: key items and ops only. */
  async own(resource: string, after: Position, signal: AbortSignal): Promise<Buffer[]> {
    const query = new URLSearchParams({ resource, epoch: String(after.epoch), seq: String(after.seq) })
    const delivery = decodeDelivery(
      await this.#send('GET', `${agentPaths.own}?${query.toString()}`, undefined, { signal, expected: deliveryMediaType }),
    )
    return delivery.batches.map((batch) => batch.bytes)
  }

  close(): Promise<void> {
    return this.#dispatcher.destroy()
  }

  async #send(method: 'GET' | 'POST', to: string, body?: Body, options: SendOptions = {}): Promise<Buffer> {
    const { carries } = this.#options
    const path = carries === undefined ? to : `${to}${to.includes('?') ? '&' : '?'}${new URLSearchParams({ for: carries }).toString()}`
    let unreachable: QianzhiError | undefined
    for (let tried = 0; tried < this.#options.urls.length; tried++) {
      try {
        return await this.#sendTo(this.#options.urls[this.#current]!, { method, path, body }, options)
      } catch (error) {
        if (!(error instanceof QianzhiError) || !elsewhere.has(error.code) || options.signal?.aborted) throw error
        unreachable = error
        this.#current = (this.#current + 1) % this.#options.urls.length
      }
    }
    throw unreachable!
  }

  /** One try, and a second one with the hub's own time where the clock was the fault. */
  async #sendTo(url: string, outgoing: Outgoing, options: SendOptions): Promise<Buffer> {
    const first = await this.#exchange(url, outgoing, options)
    if (!(first instanceof QianzhiError)) return first
    if (first.code !== 'QZ-REQUEST-CLOCK') throw first
    const second = await this.#exchange(url, outgoing, options)
    if (second instanceof QianzhiError) throw second
    return second
  }

  async #exchange(
    url: string,
    { method, path, body }: Outgoing,
    { signal, timeout, expected = 'application/json' }: SendOptions,
  ): Promise<Buffer | QianzhiError> {
    const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body ? JSON.stringify(body) : '')
    const headers = await signRequest({ method, path, body: bytes }, this.#options.key, this.now())
    if (body) headers['content-type'] = Buffer.isBuffer(body) ? batchMediaType : 'application/json'
    try {
      const answer = await request(new URL(path, url), {
        method,
        headers,
        body: body ? bytes : null,
        dispatcher: this.#dispatcher,
        signal: signal ?? null,
        headersTimeout: timeout ?? answerTimeout,
        bodyTimeout: answerTimeout,
      })
      const received = Buffer.from(await answer.body.arrayBuffer())
      const sent = { url, bytes: bytes.length, expected }
      const error = answerFault({ status: answer.statusCode, headers: answer.headers, body: received }, sent)
      this.#noteConnection(error && standing.has(error.code) ? error : undefined)
      if (!error) return received
      if (error.code === 'QZ-REQUEST-CLOCK') this.#learnFromDate(answer.headers['date'])
      return error
    } catch (cause) {
      const error = await this.#whyNot(url, cause)
      if (!signal?.aborted) this.#noteConnection(error)
      throw error
    }
  }

  #noteConnection(error: QianzhiError | undefined): void {
    if (!error || (standing.has(error.code) && error.code !== 'QZ-HUB-GATEWAY')) this.answered = this.now()
    this.fault = error && { error, since: this.fault?.since ?? this.now() }
  }

  /** What is wrong with a certificate's dates may be wrong with this machine's. */
  async #whyNot(url: string, cause: unknown): Promise<QianzhiError> {
    if (!isCertificateFault(cause)) return new QianzhiError('QZ-HUB-UNREACHABLE', { url, reason: reasonOf(cause) }, { cause })
    const here = this.#options.clock()
    const hub = /CERT_(NOT_YET_VALID|HAS_EXPIRED)/.test(codeOf(cause)) && !this.#options.proxy ? await askTime(url) : undefined
    if (!hub || Math.abs(hub.getTime() - here.getTime()) < hour)
      return new QianzhiError('QZ-HUB-CERTIFICATE', { reason: reasonOf(cause) }, { cause })
    return new QianzhiError('QZ-CLOCK-AGENT', { here: here.toISOString(), hub: hub.toISOString() }, { cause })
  }

  #learnFromDate(date: string | string[] | undefined): void {
    const time = Date.parse(String(date))
    if (Number.isFinite(time)) this.#told = { time, at: performance.now() }
  }
}

/** Answers that say something of this agent or of the hub as a whole, and so hold everything: they stand until another one comes. */
const standing: ReadonlySet<ErrorCode> = new Set([
  'QZ-HUB-GATEWAY',
  'QZ-AGENT-REVOKED',
  'QZ-AGENT-UNKNOWN',
  'QZ-REQUEST-SIGNATURE',
  'QZ-VERSION',
  'QZ-HUB-BUSY',
])

function fromJson(body: Buffer): unknown {
  return JSON.parse(body.toString())
}

interface Outgoing {
  method: 'GET' | 'POST'
  path: string
  body: Body
}

interface SendOptions {
  signal?: AbortSignal | undefined
  timeout?: number
  /** Media type of the answer; JSON where not given. */
  expected?: string
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

function isCertificateFault(error: unknown): boolean {
  return /CERT|SELF_SIGNED|ALTNAME|UNABLE_TO_(GET|VERIFY)/.test(codeOf(error))
}

/** The PEM of the hub's authority if the chain it shows ends in the one with this SHA-256; nothing is sent to it before. */
export async function fetchAuthority(url: string, fingerprint: string): Promise<string> {
  const { hostname, port } = new URL(url)
  return new Promise((resolvePem, reject) => {
    const socket = connect({
      host: hostname,
      port: Number(port || 443),
      servername: /[a-z]/i.test(hostname) ? hostname : '',
      rejectUnauthorized: false,
    })
    socket.setTimeout(10_000, () =>
      socket.destroy(new QianzhiError('QZ-HUB-UNREACHABLE', { url, reason: { zh: '连接超时', en: 'time-out' } })),
    )
    socket.once('error', (cause) =>
      reject(cause instanceof QianzhiError ? cause : new QianzhiError('QZ-HUB-UNREACHABLE', { url, reason: reasonOf(cause) }, { cause })),
    )
    socket.once('secureConnect', () => {
      const top = topCertificate(socket.getPeerCertificate(true))
      socket.destroy()
      if (createHash('sha256').update(top).digest('hex') === fingerprint) resolvePem(pemOf(top))
      else
        reject(
          new QianzhiError('QZ-HUB-CERTIFICATE', {
            reason: { zh: '签发机构与令牌中的不同', en: 'its authority is not the one in the token' },
          }),
        )
    })
  })
}

function topCertificate(certificate: { raw: Buffer; issuerCertificate?: unknown }): Buffer {
  let top = certificate
  while (top.issuerCertificate && (top.issuerCertificate as typeof top).raw && !(top.issuerCertificate as typeof top).raw.equals(top.raw)) {
    top = top.issuerCertificate as typeof top
  }
  return top.raw
}

function pemOf(der: Buffer): string {
  return `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`
}
