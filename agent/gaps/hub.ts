/**
 * The hub of an agent behind a one-way gap: two folders. What arrives in one is given to the line as the hub's answers to its polls;
 * receipts and requests go as files into the other one, where there is one. Nothing here is trusted that the line does not verify anew.
 */
import type { Logger } from 'pino'
import type { DeliveryHeader, HeadAnswer, PollRequest, StoredAnswer } from '../../protocol/api.ts'
import { codedError, detailsToWire, errorForLog, QianzhiError } from '../../protocol/errors.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import type { Policy } from '../../protocol/policy.ts'
import type { Position } from '../../protocol/position.ts'
import { appliedReceipt, removalReceipt } from '../../protocol/receipt.ts'
import type { SigningKey } from '../../protocol/signature.ts'
import { pause } from '../runtime/backoff.ts'
import type { Gap } from '../config/gaps.ts'
import { showRange } from './export.ts'
import { GapInbox } from './inbox.ts'
import { GapOutbox } from './outbox.ts'
import { GapSupply } from './supply.ts'
import type { Lack } from './route-inbox.ts'
import type { Hub } from '../hub.ts'
import type { AgentState } from '../runtime/state.ts'

export interface GapHubDeps {
  gap: Gap
  identity: Pick<NonNullable<AgentState['identity']>, 'agent' | 'hubKey' | 'outer'>
  key: SigningKey
  /** The policy in force. */
  policy: () => Policy | undefined
  /** The agent's data folder. */
  data: string
  logger: Logger
  clock: () => Date
}

/** Milliseconds between looks while something may change by time alone. */
const pendingMs = 500
/** Milliseconds in which receipts are gathered: each is a file. */
const gatherReceipts = 1_000

/** Ranges that a message names. */
const maxNamed = 10

interface Told {
  route: string
  code: string
  details: Record<string, string | number>
}

export class GapHub implements Hub {
  /** Nobody tells the time in here: policies expire by this machine's own clock. */
  readonly clockOffset = 0
  readonly url: string
  answered: Date | undefined
  readonly fault = undefined
  readonly #deps: GapHubDeps
  readonly #inbox: GapInbox | undefined
  readonly #outbox: GapOutbox | undefined
  readonly #supply: GapSupply | undefined
  /** Behind a gap the one who writes batches down is this agent itself. */
  readonly receiptKey: string
  /** How far this agent has said that it has applied its routes. */
  readonly #applied = new Map<string, Position>()
  #told = ''

  constructor(deps: GapHubDeps) {
    this.#deps = deps
    const { gap, identity, policy, logger, key, clock, data } = deps
    this.url = [gap.in && `→ ${gap.in.path}`, gap.out && `${gap.out.path} →`].filter(Boolean).join(' ')
    if (gap.in) this.#inbox = new GapInbox({ gap: { ...gap, in: gap.in }, identity, policy, logger })
    this.receiptKey = key.publicKey
    if (gap.out) this.#supply = new GapSupply({ gap: { ...gap, out: gap.out }, identity, key, data, logger, clock })
    if (gap.out) this.#outbox = new GapOutbox({ folder: gap.out, agent: identity.agent, data, key, clock, again: gap.again })
  }

  now(): Date {
    return this.#deps.clock()
  }

  learnTime(): void {}

  async poll(request: PollRequest, signal: AbortSignal): Promise<{ header: DeliveryHeader; batches: { route: string; bytes: Buffer }[] }> {
    const until = performance.now() + request.wait * 1000
    for (;;) {
      const { answer, news, pending } = await this.#look(request)
      if (news) this.answered = this.now()
      const left = until - performance.now()
      if (news || left <= 0 || signal.aborted) return answer
      await this.#wait(pending ? Math.min(left, pendingMs) : left, signal)
    }
  }

  async #wait(milliseconds: number, signal: AbortSignal): Promise<void> {
    await (this.#inbox ? this.#inbox.wait(milliseconds, signal) : pause(milliseconds, signal))
  }

  async #look(request: PollRequest) {
    const inbox = this.#inbox
    const header: DeliveryHeader = { time: this.now().toISOString(), snapshots: [], routes: [], batches: [] }
    const batches: { route: string; bytes: Buffer }[] = []
    if (!inbox) return { answer: { header, batches }, news: false, pending: false }
    await inbox.require()
    const handed = await inbox.policy()
    if ('error' in handed) {
      if (request.policy === 0) throw handed.error
    } else if (handed.serial > request.policy) {
      // What follows is judged by it: the routes are asked for again then.
      return { answer: { header: { ...header, policy: handed.jws }, batches }, news: true, pending: false }
    }
    await inbox.removeEnded()
    if (this.#supply) header.snapshots = await this.#supply.take(this.#deps.gap.in!.path)
    let pending = 'error' in handed
    for (const ask of request.routes) {
      const found = await inbox.look(ask, this.#applied.get(ask.route))
      pending ||= found.pending
      batches.push(...found.batches.map((bytes) => ({ route: ask.route, bytes })))
      const error = found.lack ? await this.#miss(ask.route, found.lack) : (found.error ?? ('error' in handed ? handed.error : undefined))
      if (error && found.batches.length === 0) header.routes.push({ route: ask.route, code: error.code, ...detailsToWire(error.details) })
    }
    header.batches = batches.map(({ route, bytes }) => ({ route, length: bytes.length }))
    return {
      answer: { header, batches },
      news: batches.length > 0 || this.#hasNews(request, [...(header.routes as Told[]), ...header.snapshots]),
      pending,
    }
  }

  #hasNews({ report }: PollRequest, told: readonly object[]): boolean {
    const said = JSON.stringify([report.session, told])
    if (said === this.#told) return false
    this.#told = said
    return told.length > 0
  }

  /** Names what is missing, and asks for it where there is a way out. */
  async #miss(route: string, lack: Lack): Promise<QianzhiError> {
    try {
      await this.#outbox?.request(route, lack)
    } catch (error) {
      this.#deps.logger.warn({ route, err: errorForLog(error) }, 'a request for what is missing was not written')
    }
    if ('after' in lack) return new QianzhiError('QZ-GAP-SNAPSHOT', { route })
    return new QianzhiError('QZ-GAP-MISSING', { route, batches: lack.batches.slice(0, maxNamed).map(showRange).join(' ') })
  }

  /** Notes how far this agent is, so that files go that nobody needs any more; written for the outside where there is a way out. */
  async receipts(receipts: string[], signal: AbortSignal): Promise<void> {
    const { publicKey } = this.#deps.key
    for (const jws of receipts) {
      const applied = appliedReceipt.open(jws, publicKey)
      if (applied) {
        await this.#outbox?.receipt(applied.route, `${applied.epoch}-${applied.seq}`, jws)
        this.#applied.set(applied.route, applied)
      } else {
        const removal = removalReceipt.open(jws, publicKey)
        if (removal) await this.#outbox?.receipt(removal.route, 'removed', jws)
      }
    }
    if (this.#outbox) await pause(gatherReceipts, signal)
  }

  async sendBatch(bytes: Buffer): Promise<StoredAnswer> {
    return this.#supplying({ zh: '提供数据', en: 'sources' }).sendBatch(bytes)
  }

  async head(resource: string): Promise<HeadAnswer> {
    return this.#supplying(resource).head(resource)
  }

  async own(resource: string, after: Position): Promise<Buffer[]> {
    return this.#supplying(resource).own(resource, after)
  }

  renew(resource: string): void {
    this.#supply?.renew(resource)
  }

  #supplying(what: string | LocalizedText): GapSupply {
    if (!this.#supply) throw oneWay(what)
    return this.#supply
  }

  async answer(): Promise<void> {
    throw oneWay({ zh: '答复中心', en: 'answer' })
  }

  async reconcile(): Promise<string[]> {
    throw oneWay({ zh: '对账', en: 'reconcile' })
  }

  async reconciliation(): Promise<never> {
    throw oneWay({ zh: '对账', en: 'reconcile' })
  }

  async close(): Promise<void> {
    this.#supply?.close()
    await this.#inbox?.close().catch((error) => this.#deps.logger.debug({ err: codedError(error) }, 'folder watch not closed'))
  }
}

function oneWay(what: string | LocalizedText): QianzhiError {
  return new QianzhiError('QZ-GAP-ONE-WAY', { what })
}
