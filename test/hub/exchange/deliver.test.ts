import { randomBytes } from 'node:crypto'
import t from 'tap'
import { demandsPerHour } from '../../../hub/exchange/poll-memory.ts'
import { blockValues, splitBatch } from '../../../protocol/batch.ts'
import type { ChainPosition } from '../../../protocol/position.ts'
import { headStatement } from '../../../protocol/receipt.ts'
import type { DeliveryHeader } from '../../../protocol/api.ts'
import { detailsFromWire } from '../../../protocol/errors.ts'
import { inLanguage } from '../../../protocol/localized.ts'
import { hubStore } from '../../support/hub-store.ts'
import { findPostgres } from '../../support/postgres.ts'
import {
  idItem,
  nameItem,
  openBench,
  person,
  phoneItem,
  poll,
  pollRequest,
  Provider,
  receiptFor,
  secretItem,
  seqs,
  untilItWaits,
  type Bench,
  type TestAgent,
} from './fixture.ts'

const server = await findPostgres()
t.teardown(() => server.stop())

interface Flow extends Bench {
  provider: Provider
  receiver: TestAgent
}

/** A provider with a snapshot of one batch in the log, and a receiver of `name` on route `r`. */
async function newFlow(
  t: { teardown(end: () => Promise<void>): void },
  more: { keep?: 'relay'; answerBytes?: number } = {},
): Promise<Flow> {
  const { answerBytes, keep } = more
  const bench = await openBench(await hubStore(server), answerBytes === undefined ? {} : { answerBytes })
  t.teardown(() => bench.close())
  const agent = await bench.agent('provider', 'a')
  const items = [idItem, nameItem, phoneItem, secretItem]
  const schema = await bench.resource('people', 'a', { items, storedClosed: ['secret'], ...(keep && { keep }) })
  const provider = new Provider(agent, schema)
  await provider.send(bench.exchange, provider.snapshot([person(1)]))
  const receiver = await bench.agent('receiver', 'b')
  await bench.route('r', 'people', receiver, ['name'])
  return { ...bench, provider, receiver }
}

const sendMany = async ({ exchange, provider }: Flow, from: number, to: number): Promise<ChainPosition[]> => {
  const positions: ChainPosition[] = []
  for (let n = from; n <= to; n++) positions.push(await provider.send(exchange, provider.build([person(n)])))
  return positions
}

const ask = (flow: Flow, after: ChainPosition | null = null, more = {}) =>
  poll(flow.exchange, flow.receiver, pollRequest([{ route: 'r', after, ...more }]), [flow.provider.agent])

const wish = (delivered: { header: { snapshots: unknown } }) => delivered.header.snapshots
const askProvider = ({ exchange, provider }: Flow) => poll(exchange, provider.agent, pollRequest([]))

void t.test('a route begins with the newest complete snapshot, and goes on behind what it has', async (t) => {
  const flow = await newFlow(t)
  await sendMany(flow, 2, 3)
  await flow.provider.send(flow.exchange, flow.provider.snapshot([person(1), person(2)], { last: false }))
  const began = await flow.provider.send(flow.exchange, flow.provider.snapshot([person(3)], { first: false }))
  await sendMany(flow, 4, 5)
  const first = await ask(flow)
  t.same(seqs(first), [4, 5, 6, 7])
  t.same(blockValues(first.batches[0]!.batch, 'name'), ['name 1', 'name 2'])
  t.same(seqs(await ask(flow, began)), [6, 7])
  t.same(seqs(await ask(flow, flow.provider.position)), [])
  await flow.provider.send(flow.exchange, flow.provider.snapshot([person(1)], { last: false }))
  t.same(seqs(await ask(flow)), [4, 5, 6, 7, 8], 'not with one that may never end')
  t.same(wish(await askProvider(flow)), [])
})

void t.test('the bytes of items that a route may not have never leave the hub', async (t) => {
  const flow = await newFlow(t)
  const { exchange, provider } = flow
  const small = provider.build([person(2, { phone: 'withheld-1', secret: 'closed-1' })])
  await provider.send(exchange, small)
  const large = provider.build(
    Array.from({ length: 300 }, (_, i) => person(i, { phone: `withheld ${i * 7919}`, secret: `closed ${i * 104729}` })),
  )
  await provider.send(exchange, large)
  const delivered = await ask(flow)
  const { bytes, batches } = delivered
  t.same(seqs(delivered), [1, 2, 3])
  t.equal(batches[1]!.batch.manifest.codec, 'none')
  t.equal(batches[2]!.batch.manifest.codec, 'zstd')
  t.same(
    batches.map(({ batch }) => batch.blocks.map(({ item }) => item)),
    [1, 2, 3].map(() => ['id', 'name']),
  )
  for (const text of ['withheld-1', 'closed-1']) t.notOk(bytes.includes(text), text)
  for (const batch of [small, large]) {
    for (const { item, packed } of splitBatch(batch.bytes).blocks) {
      t.equal(bytes.includes(packed), item === 'id' || item === 'name', `${item}, packed`)
      t.equal(bytes.includes(packed.subarray(8, 40)), item === 'id' || item === 'name', `a part of ${item}, packed`)
    }
  }
})

void t.test('tightened openness, and an item taken out, act on what is stored', async (t) => {
  const flow = await newFlow(t)
  const items = async () => (await ask(flow)).batches[0]!.batch.blocks.map(({ item }) => item)
  const register = async (version: number, change: string) => {
    await flow.store.query(
      `insert into resource_version (resource, version, schema)
       select resource, $1::int, jsonb_set(${change}, '{version}', to_jsonb($1::int)) from resource_version where version = 1`,
      [version],
    )
    await flow.store.query('update resource set version = $1', [version])
    flow.wakeups.wake('agent:receiver')
  }
  t.same(await items(), ['id', 'name'])
  await register(2, `jsonb_set(schema, '{items,1,openness}', '"closed"')`)
  t.same(await items(), ['id'], 'closed in a later version')
  await register(3, 'schema')
  t.same(await items(), ['id', 'name'], 'opened again')
  await register(4, `schema #- '{items,1}'`)
  t.same(await items(), ['id'], 'not registered any more')
  await register(5, 'schema')
  await flow.store.query(`update resource_version set schema = jsonb_set(schema, '{items,1,openness}', '"closed"') where version = 5`)
  flow.wakeups.wake('agent:receiver')
  t.same(await items(), ['id'], 'closed in place')
  await flow.store.query(`update access_grant set items = '{secret,phone}'`)
  await register(6, 'schema')
  t.same(await items(), ['id', 'phone'], 'a grant never opens what is closed')
})

void t.test('after a grant has ended nothing is delivered, and the receiver is told why', async (t) => {
  const flow = await newFlow(t)
  const ended = async () => {
    flow.wakeups.wake('agent:receiver')
    const { header, batches } = await ask(flow)
    t.equal(batches.length, 0)
    return told(header.routes)
  }
  const told = (routes: DeliveryHeader['routes']) =>
    routes.map(({ code, ...wire }) => [code, ...['route', 'reason'].map((name) => inLanguage(detailsFromWire(wire)[name]!, 'en'))])
  const because = (...texts: string[]) => [['QZ-ROUTE-ENDED', 'r', ...texts]]
  await flow.store.query(`update access_grant set state = 'suspended', reason = '核查'`)
  t.same(await ended(), because('suspended: 核查'))
  await flow.store.query(`update access_grant set state = 'revoked', reason = null`)
  t.same(await ended(), because('revoked'))
  await flow.store.query(`update access_grant set state = 'active', valid_to = '2026-11-23T08:00:30Z'`)
  flow.wakeups.wake('agent:receiver')
  t.equal((await ask(flow)).batches.length, 1)
  flow.time.now = new Date('2026-11-23T08:00:30Z')
  t.same(told((await ask(flow)).header.routes), because('expired'), 'to the second, with nobody waking')
  await flow.store.query(`update access_grant set valid_to = null, agency = 'a'`)
  t.same(await ended(), because('not granted'))
  const other = await flow.store.query(`update access_grant set agency = 'b'`)
  t.same(other, [])
  const unknown = await poll(flow.exchange, flow.provider.agent, pollRequest([{ route: 'r' }]))
  t.same(told(unknown.header.routes), because('unknown'), "another agent's route")
  t.equal(unknown.batches.length, 0)
  await flow.store.query(`update agent set state = 'revoked' where id = 'receiver'`)
  flow.wakeups.wake('agent:receiver')
  await t.rejects(ask(flow), { code: 'QZ-AGENT-REVOKED' })
})

void t.test('a revocation in another process acts within a second', async (t) => {
  const flow = await newFlow(t)
  t.equal((await ask(flow)).batches.length, 1)
  await flow.store.query(`update access_grant set state = 'revoked'`)
  const revoked = performance.now()
  for (let asked = revoked; (await ask(flow)).batches.length > 0; asked = performance.now())
    if (asked - revoked > 1000) return t.fail(`asked ${Math.round(asked - revoked)} ms after the revocation, and given a batch`)
  t.pass('nothing is given any more')
})

void t.test('a waiting poll is answered at once by a batch, a policy, a revocation, a wish; not by anything else', async (t) => {
  const flow = await newFlow(t)
  const { exchange, provider, receiver } = flow
  const wait = (agent: TestAgent, after: ChainPosition | null) => {
    const routes = agent === receiver ? [{ route: 'r', after }] : []
    const request = pollRequest(routes, { wait: 60, policy: flow.policy.serial })
    const topic = agent === receiver ? 'stream:people' : 'snapshot:people'
    return untilItWaits(flow.wakeups, topic, () => poll(exchange, agent, request, [provider.agent]))
  }
  await ask(flow, provider.position)
  await askProvider(flow)
  const waiting = await wait(receiver, provider.position)
  const started = performance.now()
  await sendMany(flow, 2, 2)
  t.same(seqs(await waiting.ends), [2])
  t.ok(performance.now() - started < 1000, 'woken, not polled')

  const policyWaits = await wait(receiver, provider.position)
  flow.policy.serial = 2
  flow.policy.jws = 'policy 2'
  flow.wakeups.wake('agent:receiver')
  t.equal((await policyWaits.ends).header.policy, 'policy 2')

  const wishWaits = await wait(provider.agent, null)
  await ask(flow, { ...provider.position!, hash: 'f'.repeat(64) })
  t.same(wish(await wishWaits.ends), [{ resource: 'people', after: { epoch: 10, seq: 2 } }])

  const revokedWaits = await wait(receiver, provider.position)
  await flow.store.query(`update access_grant set state = 'revoked'`)
  flow.wakeups.wake('agent:receiver')
  t.equal((await revokedWaits.ends).header.routes[0]!.code, 'QZ-ROUTE-ENDED')

  const told = await poll(exchange, receiver, pollRequest([{ route: 'r' }], { wait: 0.05 }))
  t.equal(told.header.routes[0]!.code, 'QZ-ROUTE-ENDED', 'it is said again when the wait is over')
  const hungUp = new AbortController()
  const request = pollRequest([{ route: 'r' }], { wait: 60, policy: 2 })
  const aborted = await untilItWaits(flow.wakeups, 'stream:people', () => poll(exchange, receiver, request, [], hungUp.signal))
  hungUp.abort()
  t.equal((await aborted.ends).batches.length, 0)
})

void t.test('a position that was trimmed away restarts at a later snapshot, which is asked for where there is none', async (t) => {
  const flow = await newFlow(t)
  const [two, three, four] = await sendMany(flow, 2, 5)
  await flow.log.trim('people', { epoch: 10, seq: 4 })
  t.same(seqs(await ask(flow, three)), [4, 5], 'its own batch may be gone')
  t.same(seqs(await ask(flow, two)), [], 'but not the next one')
  t.same(wish(await askProvider(flow)), [{ resource: 'people', after: { epoch: 10, seq: 2 } }])
  await sendMany(flow, 6, 6)
  t.same(wish(await askProvider(flow)), [{ resource: 'people', after: { epoch: 10, seq: 2 } }], 'a change is no snapshot')
  await flow.provider.send(flow.exchange, flow.provider.snapshot([person(1)], { last: false }))
  t.same(wish(await askProvider(flow)), [], 'fulfilled')
  t.same(seqs(await ask(flow, two)), [7])
  t.same(seqs(await ask(flow, four)), [5, 6, 7], 'who can go on does')
})

void t.test('a position that is not in this log restarts; one ahead of it waits for a later epoch', async (t) => {
  const flow = await newFlow(t)
  const [two] = await sendMany(flow, 2, 3)
  const diverged = { ...two!, hash: 'e'.repeat(64) }
  t.same(seqs(await ask(flow, diverged)), [])
  t.same(wish(await askProvider(flow)), [{ resource: 'people', after: { epoch: 10, seq: 2 } }])
  await flow.provider.send(flow.exchange, flow.provider.snapshot([person(1)]))
  t.same(seqs(await ask(flow, diverged)), [4])

  const ahead = { epoch: 12, seq: 7, hash: 'd'.repeat(64) }
  t.same(seqs(await ask(flow, ahead)), [])
  t.same(wish(await askProvider(flow)), [{ resource: 'people', after: { epoch: 12, seq: 7 } }], 'only a later epoch will do')
  t.equal((await flow.exchange.head(flow.provider.agent, 'people')).epoch, 12)
  await ask(flow, { ...ahead, epoch: 2 ** 31 - 1 })
  t.equal((await flow.exchange.head(flow.provider.agent, 'people')).epoch, 12, 'nobody exhausts the epochs')
  flow.provider.epoch = 12
  await t.rejects(flow.provider.send(flow.exchange, flow.provider.snapshot([person(1)])), { code: 'QZ-BATCH-HEAD' })
  flow.provider.epoch = 13
  await flow.provider.send(flow.exchange, flow.provider.snapshot([person(1)]))
  const [next] = (await ask(flow, ahead)).batches
  t.match(next?.position, { epoch: 13, seq: 1 })
})

void t.test('a batch appended between the look behind a position and the look at the head is no divergence', async (t) => {
  const flow = await newFlow(t)
  const { log, provider } = flow
  const one = provider.position
  const read = log.read.bind(log)
  log.read = async (...asked) => {
    const found = await read(...asked)
    log.read = read
    await sendMany(flow, 2, 2)
    return found
  }
  t.same(seqs(await ask(flow, one)), [2])
  t.equal(provider.position!.seq, 2, 'it was appended in between')
  t.same(wish(await askProvider(flow)), [])
})

void t.test('a broken route gets a later snapshot, and another one only if that does not help', async (t) => {
  const flow = await newFlow(t)
  const [two] = await sendMany(flow, 2, 3)
  const broken = { broken: 'QZ-BATCH-ITEM' }
  t.same(seqs(await ask(flow, two, broken)), [])
  t.same(wish(await askProvider(flow)), [{ resource: 'people', after: { epoch: 10, seq: 3 } }])
  await flow.provider.send(flow.exchange, flow.provider.snapshot([person(1)]))
  t.same(seqs(await ask(flow, two, broken)), [4])
  t.same(seqs(await ask(flow, two, broken)), [], 'the same does not help twice')
  t.same(wish(await askProvider(flow)), [{ resource: 'people', after: { epoch: 10, seq: 4 } }])
  await flow.provider.send(flow.exchange, flow.provider.snapshot([person(1)]))
  t.same(seqs(await ask(flow, two, broken)), [5])
  t.same(seqs(await ask(flow, flow.provider.position)), [])
})

void t.test('a route costs its provider only so many snapshots in an hour, and is told so', async (t) => {
  const flow = await newFlow(t)
  const diverged = () => ({ ...flow.provider.position!, hash: randomBytes(32).toString('hex') })
  let taken = 0
  const next = async () => {
    const { header, batches } = await ask(flow, diverged())
    t.equal(batches.length, 0)
    if ((wish(await askProvider(flow)) as unknown[]).length > 0) {
      taken++
      await flow.provider.send(flow.exchange, flow.provider.snapshot([person(1)]))
    }
    return header.routes
  }
  for (let n = 1; n <= demandsPerHour; n++) t.same(await next(), [], `${n}`)
  for (let n = 1; n <= 4; n++) {
    const [told] = await next()
    t.match(told, { route: 'r', code: 'QZ-SNAPSHOT-LIMIT', details: { count: demandsPerHour, until: '2026-11-23T09:00:00.000Z' } })
  }
  t.equal(taken, demandsPerHour)
  t.same(seqs(await ask(flow)), [demandsPerHour + 1], 'what is there it gets')
  flow.time.now = new Date(flow.time.now.getTime() + 3_600_001)
  await next()
  t.equal(taken, demandsPerHour + 1, 'after an hour it may again')
})

void t.test('credit bounds what a route gets; none means nothing at all', async (t) => {
  const flow = await newFlow(t)
  await sendMany(flow, 2, 9)
  t.same(seqs(await ask(flow, null, { credit: 0 })), [])
  t.same(seqs(await ask(flow, null, { credit: 1 })), [1], 'at least one batch')
  const whole = await ask(flow)
  const size = Math.max(...whole.batches.map(({ bytes }) => bytes.length))
  const some = await ask(flow, null, { credit: 3 * size })
  t.ok(some.batches.length >= 2 && some.batches.length <= 4, `${some.batches.length}`)
})

void t.test('a first load does not hold up the other routes', async (t) => {
  const flow = await newFlow(t, { answerBytes: 1 << 20 })
  const { exchange, provider, receiver } = flow
  const rows = (bytes: number) => Array.from({ length: bytes / 500 }, (_, i) => person(i, { name: randomBytes(375).toString('base64') }))
  for (let n = 0; n < 40; n++) await provider.send(exchange, provider.build(rows(50_000)))
  const others: Provider[] = []
  for (const name of ['s1', 's2', 's3']) {
    const other = new Provider(provider.agent, await flow.resource(name, 'a'))
    await flow.route(name, name, receiver, ['name'])
    await other.send(exchange, other.snapshot(rows(100_000)))
    others.push(other)
  }
  flow.wakeups.wake('agent:provider')
  const request = pollRequest([{ route: 'r' }, ...others.map(({ schema }) => ({ route: schema.resource }))])
  const delivered = await poll(exchange, receiver, request, [provider.agent])
  for (const { schema } of others) t.same(seqs(delivered, schema.resource), [1])
  const loaded = seqs(delivered, 'r')
  t.ok(loaded.length > 10 && loaded.length < 35, `the rest of the room is the load's: ${loaded.length}`)
  t.same(
    loaded,
    loaded.map((_, i) => i + 1),
  )
  t.ok(delivered.bytes.length < 2 << 20)
})

void t.test('two loads share the room, whoever asks first', async (t) => {
  const flow = await newFlow(t, { answerBytes: 1 })
  await flow.route('q', 'people', flow.receiver, ['name'])
  await sendMany(flow, 2, 20)
  const after: Record<string, ChainPosition | null> = { q: null, r: null }
  for (let i = 0; i < 6; i++) {
    const request = pollRequest(Object.entries(after).map(([route, after]) => ({ route, after })))
    for (const { route, position } of (await poll(flow.exchange, flow.receiver, request, [flow.provider.agent])).batches)
      after[route] = position
  }
  t.equal(after['q']?.seq, 3)
  t.equal(after['r']?.seq, 3)
})

void t.test('a relayed resource gets a new snapshot for every route that joins after it was passed on', async (t) => {
  const flow = await newFlow(t, { keep: 'relay' })
  const [two] = await sendMany(flow, 2, 2)
  await flow.log.trim('people', { epoch: 10, seq: 3 })
  t.same(seqs(await ask(flow, null)), [])
  t.same(wish(await askProvider(flow)), [{ resource: 'people', after: { epoch: 10, seq: 2 } }])
  t.same(seqs(await ask(flow, two)), [], 'who has everything waits for nothing')
  await sendMany(flow, 3, 3)
  t.same(seqs(await ask(flow, two)), [3])
  await flow.provider.send(flow.exchange, flow.provider.snapshot([person(1)], { last: false }))
  t.same(seqs(await ask(flow, null)), [4])
})

void t.test("the provider's newest head statement reaches the receiver; nobody else's does", async (t) => {
  const flow = await newFlow(t)
  const { exchange, provider, receiver } = flow
  const position = provider.position!
  const statement = (time: string, agent = provider.agent) =>
    headStatement.sign({ resource: 'people', producer: provider.agent.id, ...position, time }, agent.key)
  const send = (jws: string, from = provider.agent) => poll(exchange, from, pollRequest([], { heads: [jws] }))
  const genuine = statement('2026-11-23T08:00:05Z')
  await send(genuine)
  await send(statement('2026-11-23T08:00:06Z', receiver), receiver)
  await send(statement('2026-11-23T08:00:07Z', receiver))
  await send('no.statement.at all')
  await exchange.close()
  const { header } = await poll(flow.another(), receiver, pollRequest([{ route: 'r', after: position }]))
  t.same(header.routes, [{ route: 'r', head: genuine }])
})

void t.test('an older head statement does not come after a newer one', async (t) => {
  const flow = await newFlow(t)
  const { provider, exchange, store } = flow
  const [two] = await sendMany(flow, 2, 2)
  const one = { ...two!, seq: 1 }
  const said = (position: ChainPosition, time: string) =>
    headStatement.sign({ resource: 'people', producer: 'provider', ...position, time }, provider.agent.key)
  const after = async (...statements: string[]) => {
    await store.query('update stream set head_statement = null')
    for (const jws of statements) {
      const serving = flow.another()
      await poll(serving, provider.agent, pollRequest([], { heads: [jws] }))
      await serving.close()
    }
    return (await store.query<{ jws: string }>('select head_statement as jws from stream'))[0]!.jws
  }
  await exchange.close()
  const [early, newer] = [said(one, '2026-11-23T07:59:00Z'), said(two!, '2026-11-23T08:00:01Z')]
  t.equal(await after(newer, early), newer)
  t.equal(await after(newer, said(two!, '2026-11-23T08:00:00Z')), newer, 'nor of the same place')
  t.equal(await after(early, newer), newer)
  const back = said(one, '2026-11-23T08:00:02Z')
  t.equal(await after(newer, back), back, 'a provider that was put back says so later')
  t.equal(await after(said(two!, '2027-11-23T08:00:00Z'), newer), newer, 'a time that has not come yet holds up nothing')
})

void t.test('a poll that was signed before the last one heard changes nothing', async (t) => {
  const flow = await newFlow(t)
  const { exchange, receiver, provider, store } = flow
  const [two] = await sendMany(flow, 2, 2)
  const at = async (seconds: number, session: string, after: ChainPosition | null) => {
    const request = pollRequest([{ route: 'r', after }])
    const agent = { ...receiver, signed: flow.time.now.getTime() + 1000 * seconds }
    return poll(exchange, agent, { ...request, report: { ...request.report, session } }, [provider.agent])
  }
  const receipt = (seconds: number) => receiptFor(receiver, 'r', { ...two!, seq: 1 }, { time: `2026-11-23T08:00:0${seconds}Z` })
  await at(5, 'new', two!)
  await exchange.receipts(receiver, [receiptFor(receiver, 'r', two!)])
  flow.wakeups.wake('agent:receiver')
  t.equal((await at(4, 'old', null)).batches.length, 2, 'it is answered')
  await exchange.receipts(receiver, [receipt(2)])
  await exchange.close()
  t.match(await store.query('select asked_seq, seq from route'), [{ asked_seq: '2', seq: '2' }])
  t.match(await store.query(`select report ->> 'session' as session from agent where id = 'receiver'`), [{ session: 'new' }])
})

void t.test('reports are kept, the newest in the end', async (t) => {
  const flow = await newFlow(t)
  const { exchange, receiver, provider } = flow
  for (const session of ['one', 'two', 'three']) {
    const request = pollRequest([{ route: 'r', after: session === 'three' ? provider.position : null }])
    await poll(exchange, receiver, { ...request, report: { ...request.report, session } }, [provider.agent])
  }
  await exchange.close()
  const [agent] = await flow.store.query<{ report: { session: string }; last_seen: Date }>(
    `select report, last_seen from agent where id = 'receiver'`,
  )
  t.equal(agent!.report.session, 'three')
  t.same(agent!.last_seen, flow.time.now)
  const [route] = await flow.store.query(`select asked_epoch, asked_seq from route`)
  t.same(route, { asked_epoch: '10', asked_seq: '1' })
})
