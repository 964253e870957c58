import { encodeDelivery, type HeadAnswer, type StoredAnswer } from '../protocol/api.ts'
import { beginsSnapshot, openBatch, projectBatch, splitBatch, type BuiltBatch, type OpenBatch } from '../protocol/batch.ts'
import { QianzhiError } from '../protocol/errors.ts'
import { isAfter, type ChainPosition, type Position } from '../protocol/position.ts'
import { appliedReceipt, removalReceipt, type HeadStatement, type StoredReceipt } from '../protocol/receipt.ts'
import { keyItems } from '../protocol/schema.ts'
import { keyId, readStatement } from '../protocol/signature.ts'
import { answerOf, routesAsked, type Poll } from './exchange/poll-answer.ts'
import { batchLimits, exchangeLimits, unlimited, type ExchangeContext, type ExchangeDeps } from './exchange/context.ts'
import { CoalescingWriter } from './exchange/coalescing-writer.ts'
import { PollMemory } from './exchange/poll-memory.ts'
import { takeReceipt, takeRemoval } from './exchange/receipts.ts'
import { RouteHeads } from './exchange/route-heads.ts'
import { noteReport } from './exchange/reports.ts'
import { AgentViews } from './exchange/agent-views.ts'
import { produces, readStreams, snapshotBegan } from './exchange/streams.ts'
import { activeView, append, headOf, suppliedBy, suppliedIn, verify } from './exchange/verify-supply.ts'
import type { ExchangeAgent } from './exchange/agent.ts'
import { maskKeyOf } from './records/masks.ts'
import { hubProducer } from './records/supply.ts'

/** The way of a batch through the hub: accept → verify → durable append → wake → deliver → project. */
export class Exchange {
  readonly #context: ExchangeContext
  readonly #heads: RouteHeads

  constructor(deps: ExchangeDeps) {
    const failed = (error: unknown) => deps.logger.warn({ err: error }, 'notes of the exchange not written')
    this.#context = {
      ...deps,
      limits: { ...exchangeLimits, ...deps.limits },
      maskKey: maskKeyOf(deps.hubKey.privateKey),
      views: new AgentViews(deps.store, deps.wakeups),
      memory: new PollMemory(),
      policies: new WeakMap(),
      latest: new CoalescingWriter(1000, failed),
    }
    this.#heads = new RouteHeads(deps)
  }

  /**
   * Takes a batch. The receipt is given only when the batch is on disk; a repeat of the same manifest gets the first receipt again.
   * Throws QZ-SUPPLY-NOT-ALLOWED and QZ-BATCH-*: then nothing was stored.
   */
  async accept(agent: ExchangeAgent, bytes: Buffer): Promise<StoredAnswer> {
    const batch = this.#open(agent, bytes)
    const supplied = await suppliedIn(this.#context, agent, batch)
    const expected = await verify(this.#context, agent, batch, supplied)
    if ('receipt' in expected) return expected
    const { receipt, repeated } = await append(this.#context, batch, expected.head)
    if (!repeated) await this.#wake(batch)
    return { receipt }
  }

  /**
   * Puts a batch of the hub's own producer behind `expected`: it was checked where it was made.
   * @returns false where the head is another one: then nothing was stored.
   */
  async produce({ bytes, manifest, hash }: BuiltBatch, expected: ChainPosition | null): Promise<boolean> {
    const { hubKey, store } = this.#context
    const batch: OpenBatch = { ...splitBatch(bytes, batchLimits(this.#context.limits)), manifest, hash, keyId: hubKey.id }
    if (manifest.seq === 1) await produces(store, manifest.resource, hubProducer)
    try {
      await append(this.#context, batch, expected)
    } catch (error) {
      if (error instanceof QianzhiError && error.code === 'QZ-BATCH-HEAD') return false
      throw error
    }
    await this.#wake(batch)
    return true
  }

  /** Only the sender's own key counts, and every block must be what the manifest says. */
  #open(agent: ExchangeAgent, bytes: Buffer): OpenBatch {
    const limits = batchLimits(this.#context.limits)
    return openBatch(splitBatch(bytes, limits), (id) => (id === keyId(agent.publicKey) ? agent.publicKey : undefined), limits)
  }

  /** The batch is on disk: who waits for it looks, and a wish for this snapshot is fulfilled. */
  async #wake({ manifest, hash }: OpenBatch): Promise<void> {
    const { store, wakeups, latest, clock, stored } = this.#context
    const { resource, epoch, seq } = manifest
    stored?.(resource)
    wakeups.wake(`stream:${resource}`)
    const values = [resource, epoch, seq, hash, clock()]
    latest.put(`stream:${resource}`, () => store.query(lastPushSql, values))
    if (beginsSnapshot(manifest)) await snapshotBegan(store, resource, { epoch, seq })
  }

  /**
   * One long poll: everything that the hub has to say to an agent, as a delivery container, its batches projected to what each route
   * may have now. Waits up to `request.wait` seconds, or until the signal aborts, while that is nothing new.
   */
  async poll(agent: ExchangeAgent, request: Poll, signal: AbortSignal): Promise<Buffer> {
    const view = await activeView(this.#context, agent)
    const routes = routesAsked(view, request)
    noteReport(this.#context, agent, view, request, routes)
    const received = routes.map(({ route }) => `stream:${route.resource}`)
    const supplied = [...view.supplies.keys()].map((resource) => `snapshot:${resource}`)
    // Listening begins before the first look, so that nothing is missed that comes between a look and the wait.
    using heard = this.#context.wakeups.listen([`agent:${agent.id}`, ...new Set([...received, ...supplied])])
    const until = performance.now() + request.wait * 1000
    for (;;) {
      const { header, batches, digest, asked, news } = await answerOf(this.#context, agent, await activeView(this.#context, agent), request)
      const left = until - performance.now()
      if (news || left <= 0 || signal.aborted) {
        if (!signal.aborted) this.#context.memory.markDelivered(agent.id, digest, asked)
        return encodeDelivery(header, batches)
      }
      await heard.wait(left, signal)
    }
  }

  /** Takes down what a receiver says it has applied. A receipt that says nothing new changes nothing; one that is none holds no other. Throws QZ-REQUEST-INVALID. */
  async receipts(agent: ExchangeAgent, statements: readonly string[]): Promise<void> {
    const { store, clock, memory, views, wakeups, latest } = this.#context
    const applied = statements.map((jws) => appliedReceipt.open(jws, agent.publicKey))
    const heads = await this.#heads.of(applied.flatMap((receipt) => receipt?.route ?? []))
    let foreign = 0
    for (const [i, jws] of statements.entries()) {
      const receipt = applied[i]
      const removal = receipt ? undefined : removalReceipt.open(jws, agent.publicKey)
      if (removal) {
        // What the agent obeys names the route no longer: its next poll brings that.
        if (await takeRemoval(store, agent.id, removal, jws)) wakeups.wake(`agent:${agent.id}`)
        continue
      }
      if (!receipt) {
        foreign++
        continue
      }
      // What is not in the log was put back behind it, or never was: the receiver's next poll tells where it stands.
      if (isAfter(receipt, heads.get(receipt.route) ?? null)) continue
      const back = memory.rewoundTo(receipt.route)
      const taken = await takeReceipt(store, agent.id, receipt, jws, back, clock())
      if (taken) latest.put(`moved:${receipt.route}`, async () => wakeups.wake(`event:moved ${receipt.route}`))
      if (!taken || back === undefined) continue
      memory.resumed(receipt.route)
      views.forget(agent.id)
    }
    if (foreign === 0) return
    const reason = { zh: '回执不是发送它的代理所签', en: 'a receipt is not signed by the agent that sends it' }
    throw new QianzhiError('QZ-REQUEST-INVALID', { reason })
  }

  /** The head of a stream that this agent supplies, and the highest epoch that was ever heard of. Throws QZ-SUPPLY-NOT-ALLOWED. */
  async head(agent: ExchangeAgent, resource: string): Promise<HeadAnswer> {
    await suppliedBy(this.#context, agent, resource)
    const answer = await headOf(this.#context, resource)
    const receipt = answer.head && (await this.#context.log.receipt(resource, answer.head))
    const stored = receipt ? (readStatement(receipt) as StoredReceipt | undefined) : undefined
    const told = (await readStreams(this.#context.store, [resource])).get(resource)?.headStatement
    const statement = told ? (readStatement(told) as HeadStatement | undefined) : undefined
    return {
      ...answer,
      ...(stored && { producer: stored.producer }),
      // The word of a producer before says nothing of what this one made since.
      ...(statement?.rows !== undefined && (!stored || stored.producer === statement.producer) && { rows: statement.rows }),
    }
  }

  /** Batches of one's own stream after a place, with their key items only. Throws QZ-SUPPLY-NOT-ALLOWED. */
  async own(agent: ExchangeAgent, resource: string, after: Position | null): Promise<Buffer> {
    const { log, limits, clock } = this.#context
    const { schema } = await suppliedBy(this.#context, agent, resource)
    const keys = new Set(keyItems(schema).map(({ id }) => id))
    const stored = await log.read(resource, after, limits.answerBytes)
    const batches = stored.map(({ bytes }) => projectBatch(splitBatch(bytes, unlimited), keys))
    const listed = batches.map(({ length }) => ({ route: resource, length }))
    return encodeDelivery({ time: clock().toISOString(), snapshots: [], routes: [], batches: listed }, batches)
  }

  /** Writes down what is still held in memory. */
  async close(): Promise<void> {
    this.#context.views.close()
    await this.#context.latest.close()
  }
}

const lastPushSql = `
  update stream set epoch = $2, seq = $3, hash = $4, last_push = $5
  where resource = $1 and (epoch is null or (epoch, seq) < ($2::bigint, $3::bigint))`
