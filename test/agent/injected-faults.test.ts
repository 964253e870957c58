/**
 * Every class of error at every place where the agent asks a database or the hub (SPEC, section 7): what fails for one table holds that table
 * alone, what fails for all is over when the cause is, and nothing is lost. The databases are real (SQLite); the hub is a log in memory; the
 * oracle compares the tables by SQL.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import type { Database, SinkTable, SourceTable } from '../../agent/database.ts'
import type { Hub } from '../../agent/hub.ts'
import { runDelivery, type InboundDeps } from '../../agent/inbound.ts'
import { InboundRoute } from '../../agent/inbound/route.ts'
import { runOutbound } from '../../agent/outbound.ts'
import type { OutboundDeps } from '../../agent/outbound/context.ts'
import { DrainWaitersByResource } from '../../agent/outbound/drain-waiters.ts'
import { Wake } from '../../agent/runtime/wake.ts'
import { StatusBoard } from '../../agent/status/board.ts'
import { openBatch, splitBatch } from '../../protocol/batch.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import { isAfter, type ChainPosition, type Position } from '../../protocol/position.ts'
import { storedReceipt } from '../../protocol/receipt.ts'
import { generateSigningKey } from '../../protocol/signature.ts'
import { until } from '../support/programs.ts'
import { licence, openDatabase, sinkOf, sourceOf } from './databases/conformance/fixture.ts'
import { freshDatabase, sqlite } from './databases/sqlite/dialect.ts'

/** That a wait may take: more than one pause after a failure. */
const seconds = 20
const provider = generateSigningKey()
const hubKey = generateSigningKey()
const names = ['a', 'b'] as const
type Name = (typeof names)[number]

/** Something that fails while it is armed: for one table's calls alone, or, where a call names no table, so many times. */
class Fault {
  readonly place: string
  readonly error: () => unknown
  readonly of: Name | undefined
  hits = 0
  #left: number

  constructor(place: string, error: () => unknown, of: Name | undefined, times: number) {
    this.place = place
    this.error = error
    this.of = of
    this.#left = times
  }

  end(): void {
    this.#left = 0
  }

  meet(place: string, of: Name | undefined): void {
    if (place !== this.place || (this.of !== undefined && of !== this.of) || this.#left <= 0) return
    this.#left--
    this.hits++
    throw this.error()
  }
}

/** Whose call it is, by the table, route or batch that it names. */
function nameIn(args: readonly unknown[]): Name | undefined {
  const [first] = args as [{ resource?: string; sink?: { resource: string } } | string | undefined]
  const resource = typeof first === 'string' ? first : first?.resource
  return names.find((name) => resource === `scjg.${name}` || resource === `route-${name}`)
}

class Line {
  fault: Fault | undefined
  readonly board = new StatusBoard('test', 'session')
  readonly #log = new Map<Name, { place: ChainPosition; bytes: Buffer; first: boolean }[]>(names.map((name) => [name, []]))
  readonly #wanted = new Map<string, Position | null>()
  readonly #arrived = new Wake()
  readonly #routes: InboundRoute[] = []

  readonly drainWaiters = new DrainWaitersByResource()
  readonly restarts = new Set<string>()
  readonly replays = new Set<string>()
  restartRoute = (name: Name): void => this.#routes[names.indexOf(name)]!.restart()
  replayRoute = (name: Name) => this.#routes[names.indexOf(name)]!.replay()

  /** What table a's report says of its source, or of its route. */
  faultAt(place: string) {
    return place.startsWith('delivery') ? this.board.sinks.get('route-a')?.fault : this.board.sources.get('scjg.a')?.fault
  }

  /** Every method of `object` meets the fault first; what `openCapture` and `openDelivery` give, too. */
  #failing<T extends object>(kind: string, object: T): T {
    return new Proxy(object, {
      get: (target, key) => {
        const value = Reflect.get(target, key, target) as unknown
        if (typeof value !== 'function' || typeof key !== 'string') return value
        return (...args: unknown[]) => {
          // What stands beside a call of work that needs no database throws at once, the others reject.
          if (kind === 'delivery' && key === 'prepare') this.fault?.meet(`${kind}.${key}`, nameIn(args))
          else {
            try {
              this.fault?.meet(`${kind}.${key}`, nameIn(args))
            } catch (error) {
              return Promise.reject(error)
            }
          }
          const answer: unknown = value.apply(target, args)
          if (key === 'openCapture') return (answer as Promise<object>).then((opened) => this.#failing('capture', opened))
          if (key === 'openDelivery') return (answer as Promise<object>).then((opened) => this.#failing('delivery', opened))
          return answer
        }
      },
    })
  }

  /** A hub of two streams: a log, and signed receipts. */
  #hub(): Hub {
    const head = (name: Name) => this.#log.get(name)!.at(-1)?.place ?? null
    const hub = {
      url: 'memory',
      clockOffset: 0,
      now: () => new Date(),
      head: async (resource: string) => {
        const name = nameIn([{ resource }])!
        this.fault?.meet('hub.head', name)
        return { head: head(name), epoch: head(name)?.epoch ?? 0, producer: 'p' }
      },
      own: async (resource: string, after: Position) =>
        this.#log
          .get(nameIn([{ resource }])!)!
          .filter(({ place }) => isAfter(place, after))
          .map(({ bytes }) => bytes),
      sendBatch: async (bytes: Buffer) => {
        const { manifest, hash } = openBatch(splitBatch(bytes), () => provider.publicKey)
        const name = nameIn([manifest])!
        this.fault?.meet('hub.sendBatch', name)
        const place = { epoch: manifest.epoch, seq: manifest.seq, hash }
        const log = this.#log.get(name)!
        if (!log.some((stored) => stored.place.hash === hash)) log.push({ place, bytes, first: manifest.snapshot?.began === manifest.seq })
        this.#feed()
        const receipt = { resource: manifest.resource, producer: 'p', ...place, time: new Date().toISOString() }
        // The batch is stored; the answer is lost.
        this.fault?.meet('hub.sendBatch answer', name)
        return { receipt: storedReceipt.sign(receipt, hubKey) }
      },
    }
    return hub as unknown as Hub
  }

  /** What a poll would bring each route; a route that could not go on begins with the newest snapshot, or has one made. */
  #feed(): void {
    for (const route of this.#routes) {
      if (!route.mayAsk()) continue
      const { after, credit, broken } = route.ask(1 << 20)
      if (credit === 0) continue
      const log = this.#log.get(nameIn([route.id])!)!
      const from = broken ? log.findLastIndex(({ first, place }) => first && isAfter(place, after)) : 0
      if (from < 0) this.#wanted.set(route.report.resource, log.at(-1)?.place ?? null)
      else for (const { place, bytes } of log.slice(from)) if (isAfter(place, after)) route.receive(bytes, route.generation)
    }
  }

  outbound(database: Database, sources: readonly SourceTable[], folder: string, signal: AbortSignal): Promise<void> {
    const deps = {
      database: this.#failing('database', database),
      sources,
      agent: 'p',
      key: provider,
      hub: this.#hub(),
      hubKey: hubKey.publicKey,
      requirePolicy: () => this.fault?.meet('policy', undefined),
      requestedSnapshots: this.#wanted,
      operator: { restarts: this.restarts, replays: this.replays, confirms: new Set<string>(), pauses: { source: () => false } },
      rules: () => ({ reload: false, guard: { share: 0.5, least: 1000, settle: 1000 }, snapshot: { timezone: 'Asia/Shanghai' } }),
      folder,
      drainWaiters: this.drainWaiters,
      checkpoints: { note: () => {} },
      board: this.board,
      tellHub: () => {},
      logger: pino({ enabled: false }),
      batchSize: { limit: 1 << 20, refused: () => true },
    } as unknown as OutboundDeps
    return runOutbound(deps, signal)
  }

  async delivery(database: Database, sinks: readonly SinkTable[], signal: AbortSignal): Promise<void> {
    const logger = pino({ enabled: false })
    const pollAgain = new Wake()
    for (const sink of sinks) {
      const report = this.board.sink(sink.route, { resource: sink.resource, database: 'd', table: sink.table })
      const keys = [{ key: provider.publicKey, from: 1 }]
      const receive = { route: sink.route, grant: 'g', schema: sink.schema, items: sink.schema.items.map(({ id }) => id), keys }
      this.#routes.push(
        new InboundRoute(receive, sink, report, {
          now: () => new Date(),
          logger,
          pinnedKey: () => true,
          hubKey: '',
          arrived: this.#arrived,
          pollAgain,
        }),
      )
    }
    const deps = {
      removals: { pending: () => ['x'], wanted: () => [], step: async () => false },
      requirePolicy: () => this.fault?.meet('policy', undefined),
      logger,
      pollAgain,
      receiptsDue: new Wake(),
    } as unknown as InboundDeps
    // In place of polls.
    const polls = setInterval(() => (this.#feed(), this.#arrived.fire()), 20)
    await runDelivery(deps, this.#failing('database', database), this.#routes, this.#arrived, signal)
    clearInterval(polls)
  }
}

const errors: Record<string, () => unknown> = {
  'of the table': () => new QianzhiError('QZ-SINK-TABLE', { table: 't', reason: 'injected' }),
  'of the chain': () => new QianzhiError('QZ-CHAIN-BROKEN', { position: '1/1' }),
  'of a server under an unknown code': () => Object.assign(new Error('injected'), { code: 'QX001', errno: 99_001, sqlState: 'QX001' }),
  'of our own': () => new TypeError("Cannot read properties of undefined (reading 'injected')"),
  'of the connection': () => new QianzhiError('QZ-DB-UNREACHABLE', { database: 'd', reason: 'injected' }),
  'of rights': () => new QianzhiError('QZ-DB-RIGHTS', { database: 'd', reason: 'injected' }),
}
const hubErrors: Record<string, () => unknown> = {
  'hub away': () => new QianzhiError('QZ-HUB-UNREACHABLE', { url: 'memory', reason: 'injected' }),
  'hub busy': () => new QianzhiError('QZ-HUB-BUSY', { reason: 'injected' }),
  'supply not allowed': () => new QianzhiError('QZ-SUPPLY-NOT-ALLOWED', { resource: 'scjg.a' }),
  'of our own': () => new TypeError('injected'),
}
/** Calls that name a table: they fail for table a as long as the test wants. */
const ofTables = [
  ...['checkTable', 'state', 'triggerFingerprint', 'take', 'rowsByKeys', 'record', 'rowsAfter', 'count', 'mark', 'backlog', 'requeue'].map(
    (call) => `capture.${call}`,
  ),
  ...['open', 'prepare', 'apply', 'beginShadow', 'swap', 'replay'].map((call) => `delivery.${call}`),
]
/** Calls for all of a database: they fail three times. */
const ofAll = [
  'database.openCapture',
  'capture.waiting',
  'capture.idle',
  'database.openDelivery',
  'delivery.settleRemovals',
  'delivery.check',
]

interface Case {
  place: string
  kind: string
  error: () => unknown
  of: Name | undefined
}
const cases: Case[] = [
  ...ofTables.flatMap((place) => Object.entries(errors).map(([kind, error]) => ({ place, kind, error, of: 'a' as const }))),
  ...ofAll.flatMap((place) => Object.entries(errors).map(([kind, error]) => ({ place, kind, error, of: undefined }))),
  ...['hub.head', 'hub.sendBatch', 'hub.sendBatch answer'].flatMap((place) =>
    Object.entries(hubErrors).map(([kind, error]) => ({ place, kind, error, of: 'a' as const })),
  ),
  { place: 'policy', kind: 'expired', error: () => new QianzhiError('QZ-POLICY-EXPIRED', { expires: '2026-01-01' }), of: undefined },
]

/** Whether what fails for one table may hold the others of its database until it is over: the connection, or the hub, is what is said to fail. */
const holdsAll = ({ kind, place }: Case) =>
  kind === 'of the connection' || kind.startsWith('hub ') || (place.startsWith('hub') && kind === 'of our own')

async function run(t: Test, one: Case): Promise<void> {
  const what = `${one.place} fails: ${one.kind}`
  const schemas = names.map((name) => ({ ...licence, resource: `scjg.${name}`, table: name }))
  const sources = schemas.map((schema) => sourceOf(schema, { table: schema.table }))
  const sinks = schemas.map((schema) => sinkOf(schema, { route: `route-${schema.table}`, table: `got_${schema.table}` }))
  const [from, to] = [await openDatabase(t, sqlite, freshDatabase), await openDatabase(t, sqlite, freshDatabase)]
  for (const source of sources) {
    await from.database.run(await from.database.supplyTable(source))
    await from.database.run(await from.database.setupScript(source))
    await from.test.query(`insert into ${source.table} values ('1', '甲', 1), ('2', '乙', 2)`)
  }
  const folder = mkdtempSync(join(tmpdir(), 'qianzhi-injected-'))
  const line = new Line()
  const ending = new AbortController()
  const running = Promise.all([
    line.outbound(from.database, sources, folder, ending.signal),
    line.delivery(to.database, sinks, ending.signal),
  ])
  const equal = (name: Name, word: string) =>
    until(
      `${name} is equal ${word}: ${what}`,
      async () => {
        const [here, there] = await Promise.all([
          from.test.query(`select id, name, amount from ${name} order by id`),
          to.test.query(`select id, name, amount from got_${name} order by id`).catch(() => []),
        ])
        return JSON.stringify(here) === JSON.stringify(there)
      },
      seconds,
    )
  try {
    for (const name of names) await equal(name, 'at first')
    const fault = new Fault(one.place, one.error, one.of, one.of ? Infinity : 3)
    const brought = broughtAboutBy(one.place)
    line.fault = brought ? new Both(fault, brought) : fault
    // Whatever calls the place: changes, deletes, a snapshot of a, a refill of its table, rows that are tried again.
    for (const name of names) await from.test.query(`update ${name} set name = '丙' where id = '1'`)
    await from.test.query(`insert into a values ('3', '丁', 3)`)
    if (['rowsAfter', 'count', 'mark'].some((call) => one.place === `capture.${call}`)) line.restarts.add('scjg.a')
    if (one.place === 'capture.requeue') {
      await to.test.query(`update got_a set name = 'of another hand' where id = '2'`)
      line.drainWaiters.of('scjg.a').resend([['2']])
    }
    if (one.place === 'delivery.beginShadow' || one.place === 'delivery.swap') line.restartRoute('a')
    const replayed = one.place === 'delivery.replay' && line.replayRoute('a').catch((error: Error) => error.message)
    await until(`it is met: ${what}`, () => fault.hits > 0, seconds)
    if (!holdsAll(one)) await equal('b', 'while a is held')
    if (replayed) t.type(await replayed, 'string', `who asked is told: ${what}`)
    else if (!holdsAll(one) && one.of) await until(`it is told: ${what}`, () => line.faultAt(one.place) !== undefined, seconds)
    await from.test.query(`delete from b where id = '2'`)
    if (!holdsAll(one) && one.of) await equal('b', 'after a delete, while a is held')
    fault.end()
    for (const name of names) await equal(name, 'at last')
  } finally {
    line.fault = undefined
    ending.abort()
    await running
    rmSync(folder, { recursive: true })
  }
}

/** Calls that are made only where something begins again: after a fault of another kind, which comes once. */
function broughtAboutBy(place: string): Fault | undefined {
  const streams = ['capture.checkTable', 'capture.state', 'capture.triggerFingerprint', 'capture.backlog', 'hub.head']
  if (streams.includes(place)) return new Fault('capture.rowsByKeys', errors['of the connection']!, 'a', 1)
  if (place === 'database.openCapture') return new Fault('capture.waiting', errors['of the connection']!, undefined, 1)
  if (place === 'delivery.open') return new Fault('delivery.apply', errors['of the table']!, 'a', 1)
  if (['database.openDelivery', 'delivery.settleRemovals'].includes(place))
    return new Fault('delivery.apply', errors['of the connection']!, 'a', 1)
  return undefined
}

/** A fault, and another that brings its place about. */
class Both extends Fault {
  readonly #faults: readonly Fault[]
  constructor(...faults: readonly Fault[]) {
    super('', () => undefined, undefined, 0)
    this.#faults = faults
  }
  override meet(place: string, of: Name | undefined): void {
    for (const fault of this.#faults) fault.meet(place, of)
  }
}

t.test('every class of error at every place', async (t) => {
  const left = cases.values()
  const failed: string[] = []
  const worker = async () => {
    for (const one of left) await run(t, one).catch((error: Error) => failed.push(error.message))
  }
  await Promise.all(Array.from({ length: 12 }, worker))
  t.same(failed, [], `${cases.length} cases`)
})
