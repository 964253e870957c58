import { setImmediate } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { DeliveryHeader } from '../protocol/api.ts'
import { codedError, isErrorCode, QianzhiError } from '../protocol/errors.ts'
import type { Place } from '../protocol/position.ts'
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
export interface InboundContext {
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
  wanted: Map<string, Place | null>
  board: StatusBoard
  logger: Logger
  /** Seconds a poll may be held. */
  pollSeconds: number
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
export async function runPolling(context: InboundContext, signal: AbortSignal): Promise<void> {
  const backoff = new Backoff()
  while (!signal.aborted) {
    const again = new AbortController()
    const watch = context.pollAgain.wait(context.pollSeconds * 1000 + 60_000, AbortSignal.any([signal, again.signal]))
    try {
      await pollOnce(context, watch, again.signal, signal)
      backoff.reset()
      // What arrived goes to its database before the next request is made.
      await setImmediate()
    } catch (error) {
      if (signal.aborted) return
      reportHubFault(context, codedError(error))
      await backoff.wait(signal)
    } finally {
      again.abort()
      await watch
    }
  }
}

async function pollOnce(context: InboundContext, watch: Promise<void>, done: AbortSignal, signal: AbortSignal): Promise<void> {
  const interrupt = new AbortController()
  const request = pollRequest(context)
  const asked = new Map(context.routes().map((route) => [route, route.generation]))
  void watch.then(() => !done.aborted && !signal.aborted && interrupt.abort())
  const sent = Date.now()
  let answer
  try {
    answer = await context.hub.poll(request, AbortSignal.any([signal, interrupt.signal]))
  } catch (error) {
    if (interrupt.signal.aborted) return
    throw error
  }
  takeHeader(context, answer.header, sent)
  for (const route of context.routes()) route.hubAnswered()
  takeBatches(asked, answer.batches)
}

function pollRequest(context: InboundContext) {
  const open = context.routes().filter((route) => route.mayAsk())
  const share = Math.floor(bufferBudget / Math.max(4, open.length))
  const time = context.hub.now().toISOString()
  const heads = [...context.board.sources.values()].flatMap(({ resource, position }) =>
    position ? [headStatement.sign({ resource, producer: context.agent, ...position, time }, context.key)] : [],
  )
  const report = context.board.report(context.hub.clockOffset)
  return { policy: context.policySerial(), routes: open.map((route) => route.ask(share)), heads, report, wait: context.pollSeconds }
}

function takeHeader(context: InboundContext, header: DeliveryHeader, sent: number): void {
  // An answer to a held poll tells the hub's time only at its end: the way back is what is uncertain, not the waiting.
  context.hub.learnTime(header.time, Math.max(sent, Date.now() - 1000))
  if (header.policy) context.takePolicy(header.policy)
  context.takeAsks(header.asks ?? [])
  context.wanted.clear()
  for (const { resource, after } of header.snapshots) context.wanted.set(resource, after)
  const routes = new Map(context.routes().map((route) => [route.id, route]))
  for (const told of header.routes) {
    const route = routes.get(told.route)
    if (told.head) route?.noteHead(told.head)
    if (told.code && isErrorCode(told.code)) route?.told(new QianzhiError(told.code, told.details))
  }
}

function takeBatches(asked: ReadonlyMap<InboundRoute, number>, batches: readonly { route: string; bytes: Buffer }[]): void {
  const routes = new Map([...asked].map(([route, generation]) => [route.id, { route, generation }]))
  for (const { route: id, bytes } of batches) {
    const target = routes.get(id)
    target?.route.receive(bytes, target.generation)
  }
}

function reportHubFault(context: InboundContext, error: QianzhiError): void {
  const routes = context.routes()
  if (routes.some((route) => route.report.fault?.code !== error.code) || routes.length === 0) {
    context.logger.warn({ code: error.code, err: error }, error.message)
  }
  for (const route of routes) route.hubFailed(error)
}

/**
 * Applies what has been received for one database's routes until aborted, and removes what ended routes left in it; never gives up. A
 * database without routes is left as soon as nothing is to be removed from it.
 */
export async function runDelivery(
  context: InboundContext,
  database: Database,
  routes: readonly InboundRoute[],
  arrived: Wake,
  signal: AbortSignal,
): Promise<void> {
  const backoff = new Backoff()
  const { name } = database.options
  const nothingToDo = () => routes.length === 0 && context.removals.pending(name).length === 0
  while (!signal.aborted && !nothingToDo()) {
    let delivery: Delivery | undefined
    try {
      delivery = await database.openDelivery(routes.map((route) => route.sink))
      await delivery.settleRemovals(context.removals.wanted())
      await openRoutes(context, delivery, routes)
      await applyAll(context, { database: name, delivery, routes, arrived, backoff, nothingToDo }, signal)
    } catch (error) {
      const coded = codedError(error)
      if (!signal.aborted) context.logger.warn({ code: coded.code, database: name, err: coded }, coded.message)
      for (const route of routes) route.close(coded)
    } finally {
      await delivery?.close().catch(() => undefined)
    }
    if (!signal.aborted) await backoff.wait(signal)
  }
}

/** A table that cannot be used holds its own route, not the others of the database. */
async function openRoutes(context: InboundContext, delivery: Delivery, routes: readonly InboundRoute[]): Promise<void> {
  for (const route of routes) {
    try {
      await route.open(delivery)
    } catch (error) {
      holdForTable(context, route, error)
    }
  }
  context.pollAgain.fire()
  context.receiptsDue.fire()
}

/** Throws what concerns more than this route's table. */
function holdForTable(context: InboundContext, route: InboundRoute, error: unknown): void {
  const coded = codedError(error)
  if (coded.code !== 'QZ-SINK-TABLE' && coded.code !== 'QZ-DB-RIGHTS') throw error
  if (route.report.fault?.code !== coded.code) context.logger.warn({ code: coded.code, route: route.id }, coded.message)
  route.close(coded)
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
async function applyAll(context: InboundContext, line: Line, signal: AbortSignal): Promise<void> {
  let turn = 0
  let applying: Promise<void> | undefined
  try {
    while (!signal.aborted && !line.nothingToDo()) {
      context.requirePolicy()
      const waiting = line.routes.findIndex((_, i) => line.routes[(turn + i) % line.routes.length]!.hasBatch())
      const route = waiting < 0 ? undefined : line.routes[(turn + waiting) % line.routes.length]!
      const prepared = route?.prepareNext(line.delivery)
      const generation = route?.generation
      if (applying) await applying
      applying = undefined
      if (route && prepared && !signal.aborted && route.generation === generation) applying = apply(context, line, route, prepared)
      if (!signal.aborted) await reopen(context, line)
      if (!signal.aborted) await replay(context, line)
      const removed = !signal.aborted && (await context.removals.step(line.database, line.delivery))
      if (!route && !removed) await rest(context, line, signal)
      turn = (turn + Math.max(waiting, 0) + 1) % Math.max(1, line.routes.length)
    }
  } finally {
    await applying?.catch(() => undefined)
  }
}

async function apply(context: InboundContext, line: Line, route: InboundRoute, prepared: Prepared): Promise<void> {
  try {
    await route.apply(line.delivery, prepared)
  } catch (error) {
    return holdForTable(context, route, error)
  }
  line.backoff.reset()
  context.receiptsDue.fire()
  if (route.wantsMore()) context.pollAgain.fire()
}

/** Routes whose table could not be used are tried again now and then, however busy the others are. */
async function reopen(context: InboundContext, line: Line): Promise<void> {
  const closed = line.routes.filter((route) => route.mayReopen())
  if (closed.length > 0) await openRoutes(context, line.delivery, closed)
}

/** What a route's table refused is tried again where the operator says so. */
async function replay(context: InboundContext, line: Line): Promise<void> {
  for (const route of line.routes) {
    try {
      if (await route.replayIfWanted(line.delivery)) context.receiptsDue.fire()
    } catch (error) {
      holdForTable(context, route, error)
    }
  }
}

/**
 * Nothing to apply: waits for a batch. Restarts are begun. A lost
 * session shows here also where no batch comes: the database may have been put back to an older state, which only opening it tells.
 */
async function rest(context: InboundContext, line: Line, signal: AbortSignal): Promise<void> {
  await line.arrived.wait(5_000, signal)
  if (signal.aborted) return
  if (!line.routes.some((route) => route.hasBatch())) await line.delivery.check()
  for (const route of line.routes) if (await route.restartIfWanted(line.delivery)) context.pollAgain.fire()
}

/** Posts signed receipts: one request on its way, what comes due meanwhile is gathered for the next. */
export async function runReceipts(context: InboundContext, signal: AbortSignal): Promise<void> {
  const backoff = new Backoff()
  while (!signal.aborted) {
    await context.receiptsDue.wait(60_000, signal)
    const due = context.routes().flatMap((route) => route.takeReceipt() ?? [])
    const removed = context.removals.takeReceipts()
    if (due.length + removed.length === 0 || signal.aborted) continue
    const applied = due.map(({ receipt }) => appliedReceipt.sign(receipt, context.key))
    try {
      await context.hub.receipts([...applied, ...removed.map((receipt) => removalReceipt.sign(receipt, context.key))], signal)
      backoff.reset()
    } catch {
      context.removals.returnReceipts(removed)
      for (const { route, receipt } of due) route.returnReceipt(receipt)
      await backoff.wait(signal)
      context.receiptsDue.fire()
    }
  }
}
