/**
 * Sends changes to webhooks (Art. 16): of each the portions in order, each again until it is taken. A portion has its number and its end on disk
 * before it is sent, and the place moves after the receiver took it: a hub that is killed in between sends the same again.
 */
import { titleOf } from '../../records/object-titles.ts'
import { randomUUID } from 'node:crypto'
import type { Logger } from 'pino'
import { errorForLog, QianzhiError, reasonOf } from '../../../protocol/errors.ts'
import { storeText } from '../../../protocol/localized.ts'
import { writeAudit } from '../../records/audit.ts'
import { notify } from '../../records/notices.ts'
import type { Log } from '../../log.ts'
import { startRounds, type Rounds } from '../../store/rounds.ts'
import { changeLines, readChanges, copyShape, type Changes } from '../changes.ts'
import { sourceJson } from '../exports.ts'
import { masksInForce } from '../../records/masks.ts'
import type { Sharing } from '../reading.ts'
import { openShare, type Share } from '../share.ts'
import type { Usage } from '../usage.ts'
import { NotNow, post, type PostDeps } from './post.ts'
import { beginPortion, endTurn, keepTurn, moveOn, noteFailure, takeTurn, type Portion, type Turn } from './turns.ts'

export interface SenderDeps extends PostDeps, Pick<Sharing, 'store' | 'limits' | 'maskKey'> {
  log: Pick<Log, 'read' | 'state'>
  usage: Usage
  logger: Logger
}

const second = 1000
/** Milliseconds between two looks for what is due. */
const lookMs = second
/** Webhooks that one process sends for at once. */
const atOnce = 16
/** How long a process has for one portion, before another one may send it again: longer than a receiver has to answer. */
const leaseMs = 120 * second
/** The first pause, doubled by each further failure up to the longest. */
const [firstWait, longestWait] = [10 * second, 3600 * second]
/** Until what is not ready, or not allowed any more today, is looked at again. */
const [unreadyWait, quotaWait] = [10 * second, 600 * second]

export class WebhookSender {
  readonly #deps: SenderDeps
  readonly #running = new Set<Promise<void>>()
  readonly #ending = new AbortController()
  #rounds: Rounds<unknown> | undefined

  constructor(deps: SenderDeps) {
    this.#deps = deps
  }

  start(): void {
    const { logger } = this.#deps
    this.#rounds = startRounds({
      intervalMs: lookMs,
      round: () => this.#take(),
      failed: (error) => logger.warn({ err: errorForLog(error) }, 'webhooks not looked at, tries again'),
    })
  }

  /** What is under way is broken off, and sent again by whoever comes next. */
  async stop(): Promise<void> {
    this.#ending.abort()
    await this.#rounds?.stop()
    await Promise.all(this.#running)
  }

  /** Everything that is due now. */
  async pass(): Promise<void> {
    while ((await this.#take()) || this.#running.size > 0) await Promise.all(this.#running)
  }

  async #take(): Promise<boolean> {
    let took = false
    while (this.#running.size < atOnce && !this.#ending.signal.aborted) {
      const lease = this.#lease()
      const id = await takeTurn(this.#deps.store.query, lease)
      if (id === undefined) return took
      took = true
      const running = this.#send(id, lease.lease).finally(() => this.#running.delete(running))
      this.#running.add(running)
    }
    return took
  }

  #lease(lease: string = randomUUID()) {
    const now = this.#deps.clock()
    return { lease, now, until: new Date(now.getTime() + leaseMs) }
  }

  /** Portion after portion until nothing is left, or one is not taken. */
  async #send(id: string, lease: string): Promise<void> {
    const { store, logger } = this.#deps
    try {
      while (!this.#ending.signal.aborted) {
        const turn = await keepTurn(store.query, id, this.#lease(lease))
        const left = turn && (await this.#portion(turn, lease))
        if (!left) return await endTurn(store.query, id, lease, turn ? { looked: turn.looked } : {})
      }
      await endTurn(store.query, id, lease, {})
    } catch (error) {
      logger.warn({ err: errorForLog(error), webhook: id }, 'webhook not sent, tries again')
      const again = this.#after(unreadyWait)
      await endTurn(store.query, id, lease, { again }).catch((failure: unknown) => logger.warn({ err: errorForLog(failure) }, 'lease kept'))
    }
  }

  #after(ms: number): Date {
    return new Date(this.#deps.clock().getTime() + ms)
  }

  /** Sends the next portion. @returns whether there is more to send now. Throws what lets it wait. */
  async #portion(turn: Turn, lease: string): Promise<boolean> {
    const { store, usage, limits, settings } = this.#deps
    const { id, grant } = turn
    const share = await this.#share(turn)
    const shape = copyShape(share, share.items)
    const read = await this.#read(share, turn.shape === shape ? turn : { place: null, portion: null })
    const { place, portion, fresh, lines } = read
    const tells = lines.length > 0 || place === null || (portion.whole && !turn.whole)
    // Never the same again and again.
    if (fresh && portion.next === place && !portion.whole) throw new Error(`no change follows ${place}, and the copy is not whole`)
    if (fresh && !tells) return (await moveOn(store.query, id, lease, { ...portion, whole: turn.whole })) && !portion.whole
    const number = fresh ? await beginPortion(store.query, id, { lease, place, shape, portion }) : turn.number
    if (number === undefined) return false
    const attempts = fresh ? 0 : turn.attempts
    const told = await usage.count({ grant, client: id, kind: 'webhook', rows: lines.length })
    if (told > (turn.quota === null ? limits.requestsPerDay : Number(turn.quota))) {
      await endTurn(store.query, id, lease, { again: this.#after(quotaWait) })
      return false
    }
    const body = Buffer.from(
      `{"webhook":"${id}","delivery":${number},"resource":${JSON.stringify(share.resource)},"from":${JSON.stringify(place)},` +
        `"begin":${place === null},"changes":[${lines.join(',')}],"next":"${portion.next}","complete":${portion.whole},"source":${sourceJson(share)}}`,
    )
    try {
      const delivery = { url: turn.url, webhook: id, number, body, attempt: attempts }
      await post(this.#deps, delivery, () => this.#stillGranted(turn, lease, shape), this.#ending.signal)
    } catch (error) {
      if (error instanceof NotNow || this.#ending.signal.aborted) return false
      await this.#failed(turn, lease, error, attempts + 1 >= settings.tries)
      return false
    }
    return (await moveOn(store.query, id, lease, portion, this.#deps.clock())) && !portion.whole
  }

  #share({ grant, resource, items, masks }: Turn): Promise<Share> {
    const { store, maskKey } = this.#deps
    return openShare(store.query, { id: grant, resource, items, masks: masksInForce(masks), secret: maskKey(grant) })
  }

  /** Asked right before anything is sent: what was revoked, suspended, masked or declared secret meanwhile is not. */
  async #stillGranted({ id }: Turn, lease: string, shape: string): Promise<boolean> {
    const turn = await keepTurn(this.#deps.store.query, id, this.#lease(lease))
    return turn !== undefined && (await this.#shape(turn)) === shape
  }

  async #shape(turn: Turn): Promise<string> {
    const share = await this.#share(turn)
    return copyShape(share, share.items)
  }

  /** The portion under way, or the next one; where nothing goes on from the place, from the beginning. */
  async #read(share: Share, { place, portion }: Pick<Turn, 'place' | 'portion'>): Promise<Read> {
    const { store, log } = this.#deps
    const select = share.items
    const changesFrom = (after: string | null, limit: number): Promise<Changes> =>
      readChanges({ query: store.query, log }, share, { after: after ?? undefined, limit, select })
    const linesOf = ({ changes }: Changes) => changeLines(share, select, changes)
    try {
      if (portion) {
        const lines = portion.changes > 0 ? linesOf(await changesFrom(place, portion.changes)) : []
        if (lines.length === portion.changes) return { place, portion, fresh: false, lines }
      }
      for (let limit = this.#deps.settings.rows; ; limit = Math.ceil(limit / 2)) {
        const found = await changesFrom(place, limit)
        const lines = linesOf(found)
        const size = lines.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0)
        if (size > this.#deps.settings.bytes && limit > 1) continue
        return { place, portion: { next: found.next, changes: lines.length, whole: found.complete }, fresh: true, lines }
      }
    } catch (error) {
      if (place === null || !(error instanceof QianzhiError) || error.code !== 'QZ-DATA-TRIMMED') throw error
      return this.#read(share, { place: null, portion: null })
    }
  }

  async #failed({ id, grant, attempts, agency, resource }: Turn, lease: string, error: unknown, held: boolean): Promise<void> {
    const { store, logger, clock } = this.#deps
    const wait = Math.min(firstWait * 2 ** attempts, longestWait) * (0.8 + 0.4 * Math.random())
    const reason = { zh: reasonOf(error, 'zh'), en: reasonOf(error) }
    logger.warn({ webhook: id, attempts: attempts + 1, held, err: errorForLog(error) }, 'webhook not taken')
    await store.transaction(async (query) => {
      const noted = await noteFailure(query, id, { lease, now: clock(), again: this.#after(wait), fault: storeText(reason), held })
      if (!noted || !held) return
      await writeAudit(query, { actor: 'hub', act: 'webhook.hold', object: id, details: { grant, attempts: attempts + 1 } })
      const title = await titleOf(query, `resource ${resource}`)
      await notify(query, {
        to: [{ agency, role: 'agency-it' }, { agency, role: 'user' }, { role: 'office' }],
        kind: 'webhook-held',
        object: `grant ${grant}`,
        zh: `资源《${title}》的推送已停住：${reason.zh}。接收方恢复后，请执行“恢复推送”，变更从停住处继续，不会跳过`,
        en: `A webhook of ${title} stands still: ${reason.en}. When its receiver works again, have it go on: nothing is skipped`,
      })
    })
  }
}

/** What was read for a portion; `fresh` where it has no number yet. */
interface Read {
  place: string | null
  portion: Portion
  fresh: boolean
  lines: string[]
}
