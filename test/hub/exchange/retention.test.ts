import { randomBytes } from 'node:crypto'
import { pino } from 'pino'
import t from 'tap'
import { applyRetention, startRetention, type HousekeepingRules } from '../../../hub/exchange/retention.ts'
import type { ChainPosition } from '../../../protocol/position.ts'
import type { Exchange } from '../../../hub/exchange.ts'
import { checkHealth } from '../../../hub/status/health.ts'
import { recordStream } from '../../../hub/supervision/supply.ts'
import { hubStore } from '../../support/hub-store.ts'
import { findPostgres } from '../../support/postgres.ts'
import { openBench, person, poll, pollRequest, Provider, receiptFor, type TestAgent } from './fixture.ts'

const server = await findPostgres()
t.teardown(() => server.stop())

const rules: HousekeepingRules = { retention: 3, lapse: 7, snapshotFactor: 2 }

async function newFlow(t: { teardown(end: () => Promise<void>): void }, keep: 'store' | 'relay' = 'store') {
  const bench = await openBench(await hubStore(server))
  t.teardown(() => bench.close())
  bench.time.now = new Date()
  const provider = new Provider(await bench.agent('provider', 'a'), await bench.resource('people', 'a', { keep }))
  const { exchange, store, log, wakeups, time } = bench
  const send = async (...kinds: ('s' | 'c' | 'begin' | 'end')[]): Promise<ChainPosition[]> => {
    const positions: ChainPosition[] = []
    for (const kind of kinds) {
      const row = [person(positions.length)]
      const built = kind === 'c' ? provider.build(row) : provider.snapshot(row, { first: kind !== 'end', last: kind !== 'begin' })
      positions.push(await provider.send(exchange, built))
    }
    return positions
  }
  const applied = (agent: TestAgent, route: string, position: ChainPosition) =>
    exchange.receipts(agent, [receiptFor(agent, route, position)])
  const days = async (n: number) => {
    await store.query(`update log_batch set stored_at = stored_at - make_interval(days => $1)`, [n])
    time.now = new Date()
  }
  const recorded = (resource: string) => recordStream({ store, log }, resource)
  const keepHouse = (more: Partial<HousekeepingRules> = {}) =>
    applyRetention({
      store,
      log,
      wakeups,
      recorded,
      rules: { ...rules, ...more },
      logger: pino({ level: 'silent' }),
      clock: () => time.now,
    })
  const held = async () => (await log.read('people', null, 1e9)).map(({ seq }) => seq)
  const receiver = async (id: string) => {
    const agent = await bench.agent(id, 'b')
    await bench.route(id, 'people', agent, ['name'])
    return agent
  }
  return { ...bench, provider, send, applied, days, recorded, keepHouse, held, receiver }
}

void t.test('stored batches go when a later snapshot is complete, every route has passed and the retention is over', async (t) => {
  const { send, applied, days, keepHouse, held, receiver } = await newFlow(t)
  const [one, two] = [await receiver('one'), await receiver('two')]
  const at = await send('s', 'c', 'c')
  await days(4)
  t.same(await keepHouse(), { trimmed: {}, wanted: [] }, 'no later snapshot')
  at.push(...(await send('begin', 'c')))
  await days(4)
  await applied(one, 'one', at[4]!)
  await applied(two, 'two', at[4]!)
  await keepHouse()
  t.same(await held(), [1, 2, 3, 4, 5], 'the snapshot is not complete')
  at.push(...(await send('end', 'c')))
  await applied(two, 'two', at[1]!)
  await keepHouse({ retention: 10 })
  t.same(await held(), [1, 2, 3, 4, 5, 6, 7], 'the retention is not over')
  t.same(await keepHouse(), { trimmed: { people: 3 }, wanted: [] })
  t.same(await held(), [4, 5, 6, 7], 'the snapshot and what follows stay, whoever has passed them')
})

void t.test('a route that is behind holds the log; one that has lapsed, ended or has nothing yet does not', async (t) => {
  const { send, applied, days, keepHouse, held, receiver, store } = await newFlow(t)
  const slow = await receiver('slow')
  await receiver('fresh')
  const at = await send('s', 'c', 'c', 's')
  await days(4)
  await applied(slow, 'slow', at[1]!)
  await keepHouse()
  t.same(await held(), [2, 3, 4])
  await store.query(`update route set moved_at = now() - interval '6 days' where id = 'slow'`)
  await keepHouse()
  t.same(await held(), [2, 3, 4], 'not yet lapsed')
  await store.query(`update route set moved_at = now() - interval '8 days' where id = 'slow'`)
  await keepHouse()
  t.same(await held(), [4])

  await send('c', 's')
  await days(4)
  await applied(slow, 'slow', at[3]!)
  await keepHouse()
  t.same(await held(), [4, 5, 6], 'it has moved again')
  await store.query(`update access_grant set state = 'revoked' where id = 'slow'`)
  await keepHouse()
  t.same(await held(), [6])
})

void t.test('a receiver that was restored holds what it asks for', async (t) => {
  const { send, applied, days, keepHouse, held, receiver, exchange, provider } = await newFlow(t)
  const one = await receiver('one')
  const at = await send('s', 'c', 'c', 's', 'c')
  await days(4)
  await applied(one, 'one', at[4]!)
  await poll(exchange, one, pollRequest([{ route: 'one', after: at[1]! }]), [provider.agent])
  await exchange.close()
  await keepHouse()
  t.same(await held(), [2, 3, 4, 5])
})

void t.test('a lapsed route whose batches are gone restarts from the snapshot', async (t) => {
  const { send, applied, days, keepHouse, receiver, exchange, provider, store } = await newFlow(t)
  const slow = await receiver('slow')
  const at = await send('s', 'c', 'c', 's', 'c')
  await applied(slow, 'slow', at[0]!)
  await days(4)
  await store.query(`update route set moved_at = now() - interval '8 days'`)
  await keepHouse()
  const { batches } = await poll(exchange, slow, pollRequest([{ route: 'slow', after: at[0]! }]), [provider.agent])
  t.same(
    batches.map(({ position }) => position.seq),
    [4, 5],
  )
})

void t.test('an up-to-date route whose agent is there does not lapse', async (t) => {
  const { send, applied, receiver, exchange, provider, store, time } = await newFlow(t)
  const one = await receiver('one')
  const [last] = await send('s')
  await applied(one, 'one', last!)
  await store.query(`update route set moved_at = now() - interval '8 days', asked_at = now() - interval '8 days'`)
  await poll(exchange, one, pollRequest([{ route: 'one', after: last! }]), [provider.agent])
  await exchange.close()
  const [route] = await store.query<{ moved_at: Date }>('select moved_at from route')
  t.same(route!.moved_at, time.now)
})

void t.test('relayed batches go as soon as every route has them', async (t) => {
  const { send, applied, keepHouse, held, receiver, log } = await newFlow(t, 'relay')
  const [one, two] = [await receiver('one'), await receiver('two')]
  const at = await send('s', 'c', 'c')
  await applied(one, 'one', at[2]!)
  await keepHouse()
  t.same(await held(), [1, 2, 3], 'the second route begins with the snapshot')
  await applied(two, 'two', at[1]!)
  await keepHouse()
  t.same(await held(), [3])
  await applied(two, 'two', at[2]!)
  await keepHouse()
  t.same(await held(), [])
  t.same((await log.state('people')).head, at[2])
  await receiver('three')
  await send('c')
  await applied(one, 'one', { ...at[2]!, seq: 4 })
  await applied(two, 'two', { ...at[2]!, seq: 4 })
  await keepHouse()
  t.same(await held(), [], 'changes are of no use to a route that waits for a snapshot')
  await send('begin')
  await keepHouse()
  t.same(await held(), [5])
})

void t.test('of a resource that is withdrawn, or declared secret, nothing stays', async (t) => {
  for (const over of [`state = 'withdrawn'`, 'secrecy = true']) {
    const { send, keepHouse, held, receiver, store } = await newFlow(t)
    await receiver('behind')
    await send('s', 'c')
    await keepHouse()
    t.same(await held(), [1, 2])
    await store.query(`update resource set ${over}`)
    t.same(await keepHouse(), { trimmed: { people: 2 }, wanted: [] }, over)
    t.same(await held(), [])
  }
})

void t.test('a snapshot is wanted when the changes have outgrown the last one, and not twice', async (t) => {
  const { send, keepHouse, provider, exchange } = await newFlow(t)
  await send('s', 'c')
  const large = async () => provider.send(exchange, provider.build([person(1, { name: randomBytes(1_600_000).toString('base64') })]))
  await large()
  await large()
  t.same((await keepHouse()).wanted, [], 'a few bytes do not count')
  await large()
  t.same((await keepHouse()).wanted, ['people'])
  t.same((await keepHouse()).wanted, [])
  const { header } = await poll(exchange, provider.agent, pollRequest([]))
  t.same(header.snapshots, [{ resource: 'people', after: { epoch: 10, seq: 5 } }])
  await send('begin')
  t.same((await keepHouse()).wanted, [], 'it is under way')
  await send('end')
  t.same((await keepHouse()).wanted, [])
})

void t.test('a log that was set back by hand is a fault with a name, and its provider begins a new epoch', async (t) => {
  const flow = await newFlow(t)
  const { store, log, exchange, provider, receiver, send, applied, keepHouse } = flow
  const water = await receiver('water')
  const places = await send('s', 'c', 'c', 'c')
  await applied(water, 'water', places[3]!)
  await exchange.close()
  const health = async () => {
    const { problems } = await checkHealth({ store, log, data: '/', clock: () => flow.time.now, lapse: 7, mail: false, reconciled: 0 })
    return problems.filter(({ code }) => code === 'QZ-LOG-BACK').map(({ en }) => en)
  }
  t.same(await health(), [])
  await store.query('delete from log_batch where seq > 2')
  await store.query('update log_stream set seq = 2, hash = $1, receipt = (select receipt from log_batch where seq = 2)', [places[1]!.hash])
  t.match(await health(), [/The log of people ends at 10\/2, and was at 10\/4 before/])
  const wishes = async (serving: Exchange) => (await poll(serving, provider.agent, pollRequest([]))).header.snapshots
  t.same(await wishes(flow.another()), [], 'before anybody has looked')
  await keepHouse()
  const serving = flow.another()
  t.same(await wishes(serving), [{ resource: 'people', after: { epoch: 10, seq: 4 } }], 'the provider is told')
  // As an agent does: what it sends is refused, it looks where the hub stands, and begins anew.
  await t.rejects(provider.send(serving, provider.snapshot([person(1)])), { code: 'QZ-BATCH-HEAD' })
  t.match(await serving.head(provider.agent, 'people'), { head: { epoch: 10, seq: 2 }, epoch: 10 })
  provider.epoch = 11
  await provider.send(serving, provider.snapshot([person(1)]))
  t.same(await health(), [], 'it is mended')
  t.same(await wishes(serving), [])
  const { batches } = await poll(serving, water, pollRequest([{ route: 'water', after: places[3]! }]), [provider.agent])
  t.match(batches[0]?.position, { epoch: 11, seq: 1 }, 'the receiver goes on')
})

void t.test('a log that was set back is told once, also where a receiver has asked before', async (t) => {
  const flow = await newFlow(t)
  const { store, log, wakeups, send, receiver, provider, exchange, time } = flow
  const water = await receiver('water')
  const places = await send('s', 'c', 'c', 'c')
  await exchange.close()
  await store.query('delete from log_batch where seq > 2')
  await store.query('update log_stream set seq = 2, hash = $1, receipt = (select receipt from log_batch where seq = 2)', [places[1]!.hash])
  await poll(flow.another(), water, pollRequest([{ route: 'water', after: places[3]! }]), [provider.agent])
  const said: string[] = []
  const logger = pino({ level: 'error' }, { write: (line: string) => void said.push((JSON.parse(line) as { code: string }).code) })
  const keepHouse = () => applyRetention({ store, log, wakeups, recorded: async () => null, rules, logger, clock: () => time.now })
  await keepHouse()
  await keepHouse()
  t.same(said, ['QZ-LOG-BACK'])
})

void t.test('nothing is trimmed that is not on record', async (t) => {
  const { store, log, wakeups, send, recorded, held, time } = await newFlow(t, 'relay')
  await send('s', 'c')
  const keepHouse = (recorded: Parameters<typeof applyRetention>[0]['recorded']) =>
    applyRetention({ store, log, wakeups, recorded, rules, logger: pino({ level: 'silent' }), clock: () => time.now })
  await keepHouse(async () => null)
  t.same(await held(), [1, 2], 'nothing is on record')
  await keepHouse(async () => ({ epoch: 10, seq: 1 }))
  t.same(await held(), [2], 'the first one is')
  t.same(await store.query('select from supply_day'), [])
  await keepHouse(recorded)
  t.same(await held(), [])
  t.match(await store.query('select changed_rows from supply_day'), [{ changed_rows: '1' }])
})

void t.test('rounds run by themselves, on demand, and end with the program', async (t) => {
  const { store, log, wakeups, recorded, send } = await newFlow(t)
  await send('s')
  const running = startRetention({ store, log, wakeups, recorded, rules, logger: pino({ level: 'silent' }), clock: () => new Date() })
  t.same(await running.run(), { trimmed: {}, wanted: [] })
  await running.stop()
})
