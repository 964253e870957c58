import { setImmediate } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { DeliveryHeader } from '../protocol/api.ts'
import { codedError, detailsFromWire, isErrorCode, QianzhiError, type ErrorCode } from '../protocol/errors.ts'
import type { Position } from '../protocol/position.ts'
import { appliedReceipt, headStatement, removalReceipt } from '../protocol/receipt.ts'
import type { SigningKey } from '../protocol/signature.ts'
import { Backoff } from './runtime/backoff.ts'
import type { Database, Delivery, Prepared } from './database.ts'
import type { Hub } from './hub.ts'
import type { InboundRoute } from './inbound/route.ts'
import type { Removals } from './inbound/removals.ts'
import type { StatusBoard } from './status/board.ts'
import type { Wake } from './runtime/wake.ts'

/**
 * The way of a batch into the tables, from top to bottom: one long poll for all routes, verification on arrival, then per database one
 * loop that unpacks a batch while the one before is applied, each in one transaction with its position; and signed receipts, gathered
 * while the one before is on its way.
 */
export interface InboundDeps {
  agent: string
  key: SigningKey
  hub: Hub
  /** All routes with a configured sink. */
  routes: () => readonly InboundRoute[]
  policySerial: () => number
  takePolicy: (jws: string) => void
  /** Throws QZ-POLICY-EXPIRED: then nothing is applied. */
  requirePolicy: () => void
  /** Takes what the hub asks; answers by itself. */
  takeAsks: (statements: readonly string[]) => void
  /** Filled from the hub's answers; read by outbound. */
  requestedSnapshots: Map<string, Position | null>
  board: StatusBoard
  logger: Logger
  /** Seconds a poll may be held. */
  pollSeconds: () => number
  /** Fired where the poll's request would now differ: a route opened, or has room again. */
  pollAgain: Wake
  /** Fired when receipts are due. */
  receiptsDue: Wake
  /** Ended routes whose data goes. */
  removals: Removals
}

/** Bytes of batches received and not yet applied, over all routes. */
const bufferBudget = 32 << 20

/** Polls until aborted; never gives up. */
export async function runPolling(deps: InboundDeps, signal: AbortSignal): Promise<void> {
  const backoff = new Backoff()
  /** Told once, not at every try. */
  let told: ErrorCode | undefined
  while (!signal.aborted) {
    const again = new AbortController()
    const watch = deps.pollAgain.wait(deps.pollSeconds() * 1000 + 60_000, AbortSignal.any([signal, again.signal]))
    try {
      if (await pollOnce(deps, watch, again.signal, signal)) told = undefined
      backoff.reset()
      // What arrived goes to its database before the next request is made.
      await setImmediate()
    } catch (error) {
      if (signal.aborted) return
      const coded = codedError(error)
      if (coded.code !== told) deps.logger.warn({ code: coded.code, err: coded }, coded.message)
      told = coded.code
      for (const route of deps.routes()) route.hubFailed(coded)
      await backoff.wait(signal)
    } finally {
      again.abort()
      await watch
    }
  }
}

/** False where it was given up for another one. */
async function pollOnce(deps: InboundDeps, watch: Promise<void>, done: AbortSignal, signal: AbortSignal): Promise<boolean> {
  const interrupt = new AbortController()
  const request = pollRequest(deps)
  const asked = new Map(deps.routes().map((route) => [route, route.generation]))
  void watch.then(() => !done.aborted && !signal.aborted && interrupt.abort())
  const sent = performance.now()
  let answer
  try {
    answer = await deps.hub.poll(request, AbortSignal.any([signal, interrupt.signal]))
  } catch (error) {
    if (interrupt.signal.aborted) return false
    throw error
  }
  takeHeader(deps, answer.header, sent)
  for (const route of deps.routes()) route.hubAnswered()
  takeBatches(asked, answer.batches)
  return true
}

function pollRequest(deps: InboundDeps) {
  const open = deps.routes().filter((route) => route.mayAsk())
  const share = Math.floor(bufferBudget / Math.max(4, open.length))
  const time = deps.hub.now().toISOString()
  // Of a source that is held nobody knows what waits in it: the word of when it was well stays the newest.
  const heads = [...deps.board.sources.values()].flatMap(({ resource, state, position, delivered: rows }) =>
    position && (state === 'flowing' || state === 'loading')
      ? [headStatement.sign({ resource, producer: deps.agent, ...position, time, ...(rows !== undefined && { rows }) }, deps.key)]
      : [],
  )
  const report = deps.board.report(deps.hub.clockOffset)
  return {
    policy: deps.policySerial(),
    routes: open.map((route) => route.ask(share)),
    heads,
    report,
    masks: true,
    wait: deps.pollSeconds(),
  }
}

function takeHeader(deps: InboundDeps, header: DeliveryHeader, sent: number): void {
  // An answer to a held poll tells the hub's time only at its end: the way back is what is uncertain, not the waiting.
  deps.hub.learnTime(header.time, Math.max(sent, performance.now() - 1000))
  if (header.policy) deps.takePolicy(header.policy)
  deps.takeAsks(header.asks ?? [])
  deps.requestedSnapshots.clear()
  for (const { resource, after } of header.snapshots) deps.requestedSnapshots.set(resource, after)
  const routes = new Map(deps.routes().map((route) => [route.id, route]))
  for (const told of header.routes) {
    const route = routes.get(told.route)
    if (told.head) route?.noteHead(told.head)
    if (route) route.corrections = told.corrections ?? []
    if (told.code && isErrorCode(told.code)) route?.told(new QianzhiError(told.code, detailsFromWire(told)))
  }
}

function takeBatches(asked: ReadonlyMap<InboundRoute, number>, batches: readonly { route: string; bytes: Buffer }[]): void {
  const routes = new Map([...asked].map(([route, generation]) => [route.id, { route, generation }]))
  for (const { route: id, bytes } of batches) {
    const target = routes.get(id)
    target?.route.receive(bytes, target.generation)
  }
}

/**
 * Applies what has been received for one database's routes until aborted, and removes what ended routes left in it; never gives up. A
 * database without routes is left as soon as nothing is to be removed from it.
 */
export async function runDelivery(
  deps: InboundDeps,
  database: Database,
  routes: readonly InboundRoute[],
  arrived: Wake,
  signal: AbortSignal,
): Promise<void> {
  const backoff = new Backoff()
  const { name } = database.options
  const nothingToDo = () => routes.length === 0 && deps.removals.pending(name).length === 0
  while (!signal.aborted && !nothingToDo()) {
    let delivery: Delivery | undefined
    try {
      delivery = await database.openDelivery(routes.map((route) => route.sink))
      await delivery.settleRemovals(deps.removals.wanted())
      await openRoutes(deps, delivery, routes)
      await applyAll(deps, { database: name, delivery, routes, arrived, backoff, nothingToDo }, signal)
    } catch (error) {
      const coded = codedError(error)
      if (!signal.aborted) deps.logger.warn({ code: coded.code, database: name, err: coded }, coded.message)
      for (const route of routes) route.close(coded)
    } finally {
      await delivery?.close().catch(() => undefined)
    }
    if (!signal.aborted) await backoff.wait(signal)
  }
}

async function openRoutes(deps: InboundDeps, delivery: Delivery, routes: readonly InboundRoute[]): Promise<void> {
  for (const route of routes) await alone(deps, delivery, route, () => route.open(delivery))
  deps.pollAgain.fire()
  deps.receiptsDue.fire()
}

/** Faults that name the database, but that one route's rows or place can bring about. */
const ownFaults: ReadonlySet<ErrorCode> = new Set(['QZ-INTERNAL', 'QZ-CHAIN-BROKEN'])

/** Whatever fails while the connection lives holds the route that it came from, which is opened again later. Undefined where it failed. */
async function alone<T>(deps: InboundDeps, delivery: Delivery, route: InboundRoute, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    const coded = codedError(error)
    if (coded.kind.scope !== 'one' && !ownFaults.has(coded.code)) throw error
    if (ownFaults.has(coded.code)) await delivery.check()
    if (route.report.fault?.code !== coded.code) deps.logger.warn({ code: coded.code, route: route.id, err: coded }, coded.message)
    route.close(coded)
    return undefined
  }
}

interface Line {
  database: string
  delivery: Delivery
  routes: readonly InboundRoute[]
  arrived: Wake
  backoff: Backoff
  nothingToDo: () => boolean
}

/** Round robin over the routes, and over what is to be removed; batch n+1 is unpacked while the database applies n. */
async function applyAll(deps: InboundDeps, line: Line, signal: AbortSignal): Promise<void> {
  let turn = 0
  let applying: Promise<void> | undefined
  try {
    while (!signal.aborted && !line.nothingToDo()) {
      deps.requirePolicy()
      const waiting = line.routes.findIndex((_, i) => line.routes[(turn + i) % line.routes.length]!.hasBatch())
      const route = waiting < 0 ? undefined : line.routes[(turn + waiting) % line.routes.length]!
      const prepared = route?.prepareNext(line.delivery)
      const generation = route?.generation
      if (applying) await applying
      applying = undefined
      if (!signal.aborted) await removeRows(deps, line)
      if (route && prepared && !signal.aborted && route.generation === generation) {
        applying = apply(deps, line, route, prepared)
        // What it throws is taken up at its await: until then other routes may be waited for.
        applying.catch(() => undefined)
      }
      if (!signal.aborted) await reopen(deps, line)
      if (!signal.aborted) await replay(deps, line)
      const removed = !signal.aborted && (await deps.removals.step(line.database, line.delivery))
      if (!route && !removed) await rest(deps, line, signal)
      turn = (turn + Math.max(waiting, 0) + 1) % Math.max(1, line.routes.length)
    }
  } finally {
    await applying?.catch(() => undefined)
  }
}

async function apply(deps: InboundDeps, line: Line, route: InboundRoute, prepared: Prepared): Promise<void> {
  if (!(await alone(deps, line.delivery, route, () => route.apply(line.delivery, prepared).then(() => true)))) return
  line.backoff.reset()
  deps.receiptsDue.fire()
  if (route.wantsMore()) deps.pollAgain.fire()
}

/** Routes whose table could not be used are tried again now and then, however busy the others are. */
async function reopen(deps: InboundDeps, line: Line): Promise<void> {
  const closed = line.routes.filter((route) => route.mayReopen())
  if (closed.length > 0) await openRoutes(deps, line.delivery, closed)
}

/** Rows of which a reconciliation found that the source does not have them. */
async function removeRows(deps: InboundDeps, line: Line): Promise<void> {
  for (const route of line.routes) await alone(deps, line.delivery, route, () => route.removeRowsIfWanted(line.delivery))
}

/** What a route's table refused is tried again where the operator says so, and now and then by itself. */
async function replay(deps: InboundDeps, line: Line): Promise<void> {
  for (const route of line.routes) {
    if (await alone(deps, line.delivery, route, () => route.replayIfWanted(line.delivery))) deps.receiptsDue.fire()
  }
}

/**
 * Nothing to apply: waits for a batch. Restarts are begun. A lost
 * session shows here also where no batch comes: the database may have been put back to an older state, which only opening it tells.
 */
async function rest(deps: InboundDeps, line: Line, signal: AbortSignal): Promise<void> {
  await line.arrived.wait(5_000, signal)
  if (signal.aborted) return
  if (!line.routes.some((route) => route.hasBatch())) await line.delivery.check()
  for (const route of line.routes) {
    if (await alone(deps, line.delivery, route, () => route.restartIfWanted(line.delivery))) deps.pollAgain.fire()
  }
}

/** Posts signed receipts: one request on its way, what comes due meanwhile is gathered for the next. */
export async function runReceipts(deps: InboundDeps, signal: AbortSignal): Promise<void> {
  const backoff = new Backoff()
  while (!signal.aborted) {
    await deps.receiptsDue.wait(60_000, signal)
    const due = deps.routes().flatMap((route) => route.takeReceipt() ?? [])
    const removed = deps.removals.takeReceipts()
    if (due.length + removed.length === 0 || signal.aborted) continue
    const applied = due.map(({ receipt }) => appliedReceipt.sign(receipt, deps.key))
    try {
      await deps.hub.receipts([...applied, ...removed.map((receipt) => removalReceipt.sign(receipt, deps.key))], signal)
      backoff.reset()
    } catch {
      deps.removals.returnReceipts(removed)
      for (const { route, receipt } of due) route.returnReceipt(receipt)
      await backoff.wait(signal)
      deps.receiptsDue.fire()
    }
  }
}
