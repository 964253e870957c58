/** Who is held by what at a receiver: a fault of one route while the connection lives, and a lost connection. */
import { setImmediate } from 'node:timers/promises'
import { pino } from 'pino'
import t from 'tap'
import type { Database, Delivery, Prepared } from '../../../agent/database.ts'
import { runDelivery, type InboundDeps } from '../../../agent/inbound.ts'
import type { InboundRoute } from '../../../agent/inbound/route.ts'
import { Retries } from '../../../agent/inbound/retries.ts'
import { Wake } from '../../../agent/runtime/wake.ts'
import { QianzhiError } from '../../../protocol/errors.ts'

/** A route with batches to apply; what it does is counted. */
class Route {
  readonly id: string
  readonly report = {}
  readonly generation = 0
  batches = 0
  applied = 0
  closed: string[] = []
  apply: () => Promise<void> = async () => {}
  open: () => Promise<void> = async () => {}
  reopen = false

  constructor(id: string) {
    this.id = id
  }

  hasBatch = () => this.batches > 0
  mayReopen = () => this.reopen
  wantsMore = () => false
  removeRowsIfWanted = async () => {}
  replayIfWanted = async () => false
  restartIfWanted = async () => false
  close = (error: QianzhiError) => void this.closed.push(error.code)
  prepareNext(): Prepared {
    this.batches--
    return { change: {} } as Prepared
  }
}

/** Runs until `done`; gives how often the database was opened. */
async function run(routes: Route[], done: () => boolean, alive: () => boolean = () => true): Promise<number> {
  let opened = 0
  const delivery = {
    settleRemovals: async () => {},
    check: async () => {
      if (!alive()) throw new QianzhiError('QZ-DB-UNREACHABLE', { database: 'd', reason: 'gone' })
    },
    close: async () => {},
  } as unknown as Delivery
  const database = { options: { name: 'd' }, openDelivery: async () => (opened++, delivery) } as unknown as Database
  const deps = {
    removals: { pending: () => ['x'], wanted: () => [], step: async () => false },
    requirePolicy: () => {},
    logger: pino({ enabled: false }),
    pollAgain: new Wake(),
    receiptsDue: new Wake(),
  } as unknown as InboundDeps
  const [abort, arrived] = [new AbortController(), new Wake()]
  const running = runDelivery(deps, database, routes as unknown as InboundRoute[], arrived, abort.signal)
  while (!done()) {
    await setImmediate()
    arrived.fire()
  }
  abort.abort()
  arrived.fire()
  await running
  return opened
}

const faults: [unknown, string][] = [
  [new Error('a driver that nobody knows'), 'QZ-INTERNAL'],
  [Object.assign(new Error('odd'), { errno: 99_001, sqlState: '99001' }), 'QZ-INTERNAL'],
  [new QianzhiError('QZ-SINK-TABLE', { table: 't', reason: 'r' }), 'QZ-SINK-TABLE'],
  [new QianzhiError('QZ-DB-RIGHTS', { database: 'd', reason: 'r' }), 'QZ-DB-RIGHTS'],
  [new QianzhiError('QZ-CHAIN-BROKEN', { position: '1/1' }), 'QZ-CHAIN-BROKEN'],
]

for (const place of ['apply', 'open'] as const) {
  t.test(`what fails in ${place} while the connection lives holds its own route alone`, async (t) => {
    for (const [error, code] of faults) {
      const [bad, good] = [new Route('bad'), new Route('good')]
      bad[place] = () => Promise.reject(error)
      good.apply = async () => void good.applied++
      bad.batches = 1
      good.batches = 5
      const opened = await run([bad, good], () => good.applied === 5 && bad.closed.length > 0)
      t.same([opened, bad.closed, good.closed], [1, [code], []], code)
    }
  })
}

t.test('a lost connection holds all routes, until the database is opened again', async (t) => {
  for (const error of [new QianzhiError('QZ-DB-UNREACHABLE', { database: 'd', reason: 'r' }), new Error('a driver that nobody knows')]) {
    const [bad, good] = [new Route('bad'), new Route('good')]
    let lost = true
    bad.apply = async () => {
      if (lost) throw error
      bad.applied++
    }
    bad.batches = 9
    const opened = await run(
      [bad, good],
      () => {
        if (bad.closed.length > 0) lost = false
        return bad.applied > 0
      },
      () => !lost,
    )
    t.same([opened, bad.closed, good.closed], [2, ['QZ-DB-UNREACHABLE'], ['QZ-DB-UNREACHABLE']])
  }
})

t.test('a batch that fails while another route is waited for ends nothing', async (t) => {
  const [bad, slow] = [new Route('bad'), new Route('slow')]
  const waiting = Promise.withResolvers<void>()
  bad.apply = () => Promise.reject(new QianzhiError('QZ-DB-UNREACHABLE', { database: 'd', reason: 'lost' }))
  bad.batches = 1
  const opens: true[] = []
  slow.open = () => (opens.push(true) === 2 ? waiting.promise : Promise.resolve())
  slow.reopen = true
  const running = run([bad, slow], () => bad.closed.length > 0)
  while (opens.length < 2) await setImmediate()
  for (let turn = 0; turn < 20; turn++) await setImmediate()
  slow.reopen = false
  waiting.resolve()
  await running
  t.same(bad.closed, ['QZ-DB-UNREACHABLE'])
})

t.test('rows that were set aside are tried again, ever more rarely while nothing goes in', async (t) => {
  let now = 0
  const retries = new Retries(() => now)
  const times: number[] = []
  let applied = 0
  const pass = async (until: number) => {
    for (; now < until; now += 500) {
      if (!retries.isDue) continue
      times.push(now)
      await retries.run(async () => ({ tried: 3, applied, quarantine: 3 - applied }))
    }
  }
  retries.begin(false)
  await pass(60_000)
  t.same(times, [], 'nothing to try')
  retries.add()
  await pass(1_000_000)
  t.same(times.slice(0, 3), [62_000, 66_000, 74_000])
  applied = 3
  const before = times.length
  await pass(3_000_000)
  t.equal(times.length, before + 1, 'all went in')
  applied = 0
  const began = now
  retries.add()
  await pass(now + 3_000)
  t.same(times.slice(before + 1), [began + 2_000], 'and the pace is the first one again')
})
