import { codedError, QianzhiError, reasonOf, type ErrorCode } from '../protocol/errors.ts'
import { storedReceipt } from '../protocol/receipt.ts'
import { Backoff } from './runtime/backoff.ts'
import type { Capture } from './database.ts'
import { openResources, type OutboundDeps, type StreamResources } from './outbound/context.ts'
import { OutboundStream, type InFlightBatch } from './outbound/stream.ts'
import { setFault } from './status/board.ts'

/**
 * The way of a row out of a database, from top to bottom: look, take keys or a part of a snapshot, read rows, pack and sign, push,
 * and on the hub's receipt forget exactly what was sent. One loop and one connection per database; one batch on its way while the
 * next is read. After any answer but the expected one everything read ahead is thrown away and the stream begins again from what the
 * source database has written down.
 */

/** Milliseconds between looks at triggers and backlog. */
const inspectionInterval = 15_000
/** Milliseconds after work during which the engine looks for more at its quickest. */
const busyFor = 2_000

/** Runs until aborted; never gives up. */
export async function runOutbound(deps: OutboundDeps, signal: AbortSignal): Promise<void> {
  const kept = deps.sources.map((source) => openResources(deps, source))
  await runDatabase(deps, kept, signal)
  for (const { sent } of kept) sent.close()
}

async function runDatabase(deps: OutboundDeps, kept: readonly StreamResources[], signal: AbortSignal): Promise<void> {
  const backoff = new Backoff()
  while (!signal.aborted) {
    let capture: Capture | undefined
    try {
      capture = await deps.database.openCapture(deps.sources)
      await runCapture(deps, capture, kept, { backoff, signal })
    } catch (error) {
      if (!signal.aborted) holdAll(deps, codedError(error))
    } finally {
      await capture?.close().catch(() => undefined)
    }
    if (!signal.aborted) await backoff.wait(signal)
  }
}

/** Until the database fails: begins the streams, and begins them again whenever the hub was away. */
async function runCapture(
  deps: OutboundDeps,
  capture: Capture,
  kept: readonly StreamResources[],
  { backoff, signal }: { backoff: Backoff; signal: AbortSignal },
): Promise<void> {
  while (!signal.aborted) {
    const streams = deps.sources.map((source, i) => new OutboundStream(deps, capture, source, kept[i]!))
    try {
      await runStreams(deps, capture, streams, backoff, signal)
    } catch (error) {
      if (signal.aborted) return
      const coded = codedError(error)
      if (coded.kind.scope !== 'hub') throw error
      holdAll(deps, coded)
      for (const stream of streams) await stream.countQueue()
      await backoff.wait(signal)
    }
  }
}

async function runStreams(
  deps: OutboundDeps,
  capture: Capture,
  streams: OutboundStream[],
  backoff: Backoff,
  signal: AbortSignal,
): Promise<void> {
  const turns = new RoundRobin(deps, capture, streams)
  let inFlight: InFlightBatch | undefined
  let lastWork = -Infinity
  while (!signal.aborted) {
    deps.requirePolicy()
    const next = await turns.next(signal)
    if (inFlight) await settleReceipt(deps, capture, inFlight, signal)
    if (inFlight || next || turns.worked()) lastWork = performance.now()
    if (inFlight) backoff.reset()
    inFlight = next && !next.stream.discarded(next) ? send(deps, next, signal) : undefined
    if (!inFlight && !next) await capture.idle(performance.now() - lastWork < busyFor, signal)
  }
  await inFlight?.answer?.catch(() => undefined)
}

function send(deps: OutboundDeps, inFlight: InFlightBatch, signal: AbortSignal): InFlightBatch {
  inFlight.answer = deps.hub.sendBatch(inFlight.built.bytes, signal)
  // The answer is awaited when the next batch has been read; until then a failure must not count as unhandled.
  inFlight.answer.catch(() => undefined)
  return inFlight
}

/** Awaits the hub's receipt for this very manifest, then forgets what it covers, in one transaction. */
async function settleReceipt(deps: OutboundDeps, capture: Capture, inFlight: InFlightBatch, signal: AbortSignal): Promise<void> {
  const { stream, built } = inFlight
  try {
    const { receipt } = await inFlight.answer!
    const stored = storedReceipt.open(receipt, deps.hubKey)
    if (stored?.hash !== built.hash)
      throw new QianzhiError('QZ-BATCH-SIGNATURE', {
        reason: { zh: '中心回执对应的是另一批次', en: 'the hub receipt is for another batch' },
      })
    deps.checkpoints.note(stored.audit, stored.time)
  } catch (error) {
    if (signal.aborted) return
    const coded = codedError(error)
    if (coded.kind.scope === 'hub') throw error
    if (coded.code === 'QZ-HUB-BODY-SIZE') deps.batchSize.refused(built.bytes.length)
    stream.refused(coded)
    return
  }
  try {
    await stream.record(inFlight)
  } catch (error) {
    await refuse(capture, stream, error)
  }
}

/** Whose turn it is: streams one after the other, so that no table's snapshot holds up another's changes. */
class RoundRobin {
  readonly #deps: OutboundDeps
  readonly #capture: Capture
  readonly #streams: OutboundStream[]
  #nextTurn = 0
  #inspected = -Infinity

  constructor(deps: OutboundDeps, capture: Capture, streams: OutboundStream[]) {
    this.#deps = deps
    this.#capture = capture
    this.#streams = streams
  }

  /** Whether a stream read something since the last look, though it had nothing to send. */
  worked(): boolean {
    return this.#streams.filter((stream) => stream.takeWorked()).length > 0
  }

  /** The next packed batch of any stream, or undefined where nothing waits. */
  async next(signal: AbortSignal): Promise<InFlightBatch | undefined> {
    const ready = await this.#ready(signal)
    if (ready.length === 0) return undefined
    const waiting = ready.length === 1 ? undefined : await this.#capture.waiting()
    for (let i = 0; i < this.#streams.length; i++) {
      const stream = this.#streams[(this.#nextTurn + i) % this.#streams.length]!
      if (!ready.includes(stream)) continue
      const inFlight = await this.#read(stream, !waiting || waiting.has(stream.source.resource))
      if (!inFlight) continue
      this.#nextTurn = (this.#nextTurn + i + 1) % this.#streams.length
      return inFlight
    }
    return undefined
  }

  async #read(stream: OutboundStream, queueHoldsEntries: boolean): Promise<InFlightBatch | undefined> {
    try {
      return await stream.read(queueHoldsEntries)
    } catch (error) {
      return refuse(this.#capture, stream, error)
    }
  }

  /** Streams that are not held, begun where they were not; every while their triggers and queues are looked at. */
  async #ready(signal: AbortSignal): Promise<OutboundStream[]> {
    const inspect = performance.now() - this.#inspected > inspectionInterval
    if (inspect) this.#inspected = performance.now()
    const ready: OutboundStream[] = []
    for (const stream of this.#streams) {
      if (this.#deps.operator.pauses.source(stream.source.resource)) {
        stream.pause()
        continue
      }
      if (stream.heldUntil > performance.now() && !this.#capture.arrived?.(stream.source)) continue
      try {
        if (!stream.begun) await stream.begin(signal)
        else if (inspect) await stream.inspect()
        await this.#do(this.#deps.operator.restarts, stream, () => stream.resync())
        await this.#do(this.#deps.operator.replays, stream, () => stream.replay())
        await stream.satisfySnapshotRequest(this.#deps.requestedSnapshots.get(stream.source.resource))
        await stream.resendRequested()
        ready.push(stream)
      } catch (error) {
        await refuse(this.#capture, stream, error)
      }
    }
    return ready
  }

  /** What the operator wants is wanted until it is done. */
  async #do(wanted: Set<string>, { source }: OutboundStream, work: () => Promise<void>): Promise<void> {
    if (!wanted.has(source.resource)) return
    await work()
    wanted.delete(source.resource)
  }
}

/** Faults that name the database, but that one table or one stream's place can bring about. */
const ownFaults: ReadonlySet<ErrorCode> = new Set(['QZ-DB-UNREACHABLE', 'QZ-INTERNAL', 'QZ-CHAIN-BROKEN'])

/** Holds this stream; throws what concerns more than it: what the server refuses and goes on answering lies with the table alone. */
async function refuse(capture: Capture, stream: OutboundStream, error: unknown): Promise<undefined> {
  const coded = codedError(error)
  if (coded.kind.scope !== 'one' && !(ownFaults.has(coded.code) && (await stillAnswers(capture)))) throw error
  stream.refused(ofTable(stream, coded))
  await stream.countQueue()
  return undefined
}

async function stillAnswers(capture: Capture): Promise<boolean> {
  return capture.waiting().then(
    () => true,
    () => false,
  )
}

/** Under the table's name where the server, or its driver, said it and nobody gave it a name; else it is a fault of ours. */
function ofTable({ source }: OutboundStream, error: QianzhiError): QianzhiError {
  const { cause } = error
  const unnamed = error.code === 'QZ-DB-UNREACHABLE' || error.code === 'QZ-INTERNAL'
  if (!unnamed || !(cause instanceof Error && 'code' in cause)) return error
  return new QianzhiError('QZ-SOURCE-TABLE', { table: source.table, reason: reasonOf(cause) }, { cause })
}

function holdAll(deps: OutboundDeps, error: QianzhiError): void {
  const previous = new Set<string>()
  for (const source of deps.sources) {
    const report = deps.board.source(source.resource, deps.database.options.name)
    if (deps.operator.pauses.source(source.resource)) {
      report.state = 'paused'
      continue
    }
    previous.add(report.fault?.code ?? '')
    setFault(report, error, new Date())
  }
  if (!previous.has(error.code)) deps.logger.warn({ code: error.code, database: deps.database.options.name, err: error }, error.message)
}
