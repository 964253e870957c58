/** Supply and delivery on record: each batch and each receipt once, whatever is killed or runs beside. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import t from 'tap'
import { storedReceipt } from '../../../../protocol/receipt.ts'
import { Exchange } from '../../../../hub/exchange.ts'
import { listAudit } from '../../../../hub/supervision/audit/list.ts'
import { recordDeliveries } from '../../../../hub/supervision/audit/delivery.ts'
import { startAudit } from '../../../../hub/supervision/audit/audit.ts'
import { recordStream, recordSupply } from '../../../../hub/supervision/supply.ts'
import { openStore } from '../../../../hub/store/store.ts'
import { hubStore } from '../../../support/hub-store.ts'
import { findPostgres } from '../../../support/postgres.ts'
import { Program, until } from '../../../support/programs.ts'
import { openBench, person, Provider, receiptFor } from '../../exchange/fixture.ts'

const server = await findPostgres()
t.teardown(() => server.stop())
const logger = pino({ level: 'silent' })

async function newFlow(t: { teardown(end: () => Promise<void>): void }) {
  const url = await hubStore(server)
  const bench = await openBench(url)
  t.teardown(() => bench.close())
  const provider = new Provider(await bench.agent('provider', 'a'), await bench.resource('people', 'a'))
  const receiver = await bench.agent('receiver', 'b')
  await bench.route('r', 'people', receiver, ['name'])
  const { exchange, store, log, time } = bench
  const people = (n: number) => Array.from({ length: n }, (_, i) => person(i))
  const send = (rows: number, snapshot = false) =>
    provider.send(exchange, snapshot ? provider.snapshot(people(rows)) : provider.build(people(rows)))
  const days = () =>
    store.query('select resource, day::text, batches, changed_rows, snapshot_rows, last_change from supply_day order by day')
  const entries = async (act: string) => (await listAudit(store, { act, limit: '100' })).items
  return {
    ...bench,
    bench,
    url,
    provider,
    receiver,
    send,
    days,
    entries,
    record: () => recordSupply({ store, log }),
    at: (text: string) => (time.now = new Date(text)),
  }
}

t.test('a turn that is to end leaves the other streams and routes to the next one', async (t) => {
  const { send, entries, provider, receiver, bench, exchange, store, log } = await newFlow(t)
  const cars = new Provider(provider.agent, await bench.resource('cars', 'a'))
  await send(2, true)
  await cars.send(exchange, cars.snapshot([person(1)]))
  await exchange.receipts(receiver, [receiptFor(receiver, 'r', provider.position!)])
  const ending = new AbortController()
  // It ends while the first of the two streams is put on record.
  const transaction: typeof store.transaction = (work) => (ending.abort(), store.transaction(work))
  await recordSupply({ store: { ...store, transaction }, log }, ending.signal)
  await recordDeliveries(store, ending.signal)
  t.same(
    (await entries('supply')).map(({ object }) => object),
    ['cars'],
  )
  t.same(await entries('delivery'), [])
  await recordSupply({ store, log })
  await recordDeliveries(store)
  t.same(
    (await entries('supply')).map(({ object }) => object),
    ['people', 'cars'],
  )
  t.equal((await entries('delivery')).length, 1)
})

t.test('what was supplied is on record: one entry a turn, rows by day of Asia/Shanghai', async (t) => {
  const { send, days, entries, record, at } = await newFlow(t)
  at('2026-11-23T15:00:00Z')
  await record()
  t.same(await days(), [], 'nothing yet')
  const first = await send(5, true)
  await send(2)
  at('2026-11-23T15:59:59.999Z')
  await send(3)
  at('2026-11-23T16:00:00Z')
  await send(4)
  const last = await send(0)
  await record()
  await record()
  const people = { resource: 'people' }
  t.same(await days(), [
    {
      ...people,
      day: '2026-11-23',
      batches: '3',
      changed_rows: '5',
      snapshot_rows: '5',
      last_change: new Date('2026-11-23T15:59:59.999Z'),
    },
    { ...people, day: '2026-11-24', batches: '2', changed_rows: '4', snapshot_rows: '0', last_change: new Date('2026-11-23T16:00:00Z') },
  ])
  const [entry, ...none] = await entries('supply')
  t.same(none, [])
  t.match(entry, { actor: 'provider', agency: 'a', via: 'agent', object: 'people', outcome: 'done' })
  t.same(entry!.details, {
    from: { epoch: first.epoch, seq: 1 },
    to: { epoch: last.epoch, seq: 5 },
    hash: last.hash,
    changes: { batches: 4, rows: 9 },
    snapshot: { batches: 1, rows: 5 },
    accepted: '2026-11-23T16:00:00.000Z',
  })
  t.notMatch(JSON.stringify(entry), /name 1|p1/, 'no values of rows')
  at('2026-11-24T01:00:00Z')
  await send(6)
  await send(7, true)
  await record()
  t.match(
    (await days())[1],
    { batches: '4', changed_rows: '10', snapshot_rows: '7', last_change: new Date('2026-11-24T01:00:00Z') },
    'the next turn adds',
  )
  t.match((await entries('supply'))[0]!.details, { from: { seq: 6 }, to: { seq: 7 } })
})

t.test('another producer, another epoch, a resource that only sends snapshots', async (t) => {
  const flow = await newFlow(t)
  const { exchange, send, days, entries, record, store, provider } = flow
  await send(1, true)
  const successor = new Provider(await flow.agent('successor', 'a'), provider.schema, 11)
  await store.query(`update resource set producer = 'successor' where code = 'people'`)
  const late = new Provider(await flow.agent('other', 'c'), await flow.resource('roads', 'c'))
  await late.send(exchange, late.snapshot([person(1), person(2)]))
  await successor.send(exchange, successor.snapshot([person(1), person(2)]))
  await record()
  t.same(
    (await entries('supply')).map(({ actor, object, details }) => [actor, object, details['to']]),
    [
      ['other', 'roads', { epoch: 10, seq: 1 }],
      ['successor', 'people', { epoch: 11, seq: 1 }],
      ['provider', 'people', { epoch: 10, seq: 1 }],
    ],
  )
  const found = await days()
  t.match(
    found.find(({ resource }) => resource === 'roads'),
    { changed_rows: '0', snapshot_rows: '2', last_change: null },
  )
  t.match(
    found.find(({ resource }) => resource === 'people'),
    { batches: '2', snapshot_rows: '3' },
  )
})

t.test('a stream that cannot be put on record holds up neither the others nor the seal', async (t) => {
  const flow = await newFlow(t)
  const { store, log, send, entries } = flow
  const other = new Provider(await flow.agent('other', 'c'), await flow.resource('aaa', 'c'))
  await other.send(flow.exchange, other.snapshot([person(1)]))
  await send(1, true)
  const damaged = `update log_batch set receipt = 'none' where resource = 'aaa' returning 1`
  t.equal((await store.query(damaged)).length, 1)
  const audit = await startAudit({ store, log, logger })
  t.teardown(() => audit.stop())
  t.same(
    (await entries('supply')).map(({ object, seq }) => [object, seq]),
    [['people', 1]],
  )
  await t.rejects(audit.sealNow(), { message: 'supply not put on record' }, 'but it is said')
})

t.test('several hubs take the turn at once', async (t) => {
  const { url, send, days, log, store } = await newFlow(t)
  const other = await openStore(url)
  t.teardown(() => other.close())
  await send(1, true)
  for (let n = 0; n < 20; n++) {
    await send(1)
    await Promise.all([store, other, store].map((store) => recordStream({ store, log }, 'people')))
  }
  t.match(await days(), [{ batches: '21', changed_rows: '20' }])
  t.match(await store.query('select seq from supply_bookmark'), [{ seq: '21' }])
})

t.test('what was delivered is on record, from the receipts', async (t) => {
  const { exchange, receiver, send, entries, store, at } = await newFlow(t)
  const positions = [await send(5, true), await send(2), await send(2)]
  const applied = (n: number, more: object) => exchange.receipts(receiver, [receiptFor(receiver, 'r', positions[n - 1]!, more)])
  await recordDeliveries(store)
  t.same(await entries('delivery'), [])
  at('2026-11-23T15:00:00Z')
  await applied(1, { written: 5 })
  await applied(2, { written: 1, deleted: 1, quarantine: 2 })
  await recordDeliveries(store)
  await Promise.all([recordDeliveries(store), recordDeliveries(store)])
  const [entry, ...none] = await entries('delivery')
  t.same(none, [])
  t.match(entry, { actor: 'receiver', agency: 'b', via: 'agent', object: 'r' })
  const { epoch } = positions[0]!
  const to = { epoch, seq: 2 }
  const applied_ = '2026-11-23T15:00:00.000Z'
  t.same(entry!.details, {
    resource: 'people',
    from: null,
    to,
    hash: positions[1]!.hash,
    written: 6,
    deleted: 1,
    quarantine: 2,
    applied: applied_,
  })
  at('2026-11-23T16:00:00Z')
  await applied(3, { written: 2 })
  await recordDeliveries(store)
  t.match((await entries('delivery'))[0]!.details, { from: to, to: { seq: 3 }, written: 2, deleted: 0 })
  t.same(await store.query('select route, day::text, written, deleted from delivery_day order by day'), [
    { route: 'r', day: '2026-11-23', written: '6', deleted: '1' },
    { route: 'r', day: '2026-11-24', written: '2', deleted: '0' },
  ])
})

t.test('killed between: at any moment the record is what its bookmark says, and in the end everything is on it once', async (t) => {
  const { url, store, send, exchange, receiver, log } = await newFlow(t)
  const folder = await mkdtemp(join(tmpdir(), 'qianzhi-turner-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const turner = new Program(['test/hub/supervision/audit/turner.ts', url], join(folder, 'log'))
  t.teardown(() => turner.end('SIGKILL'))
  let sent = 0
  const enough = new AbortController()
  const sending = (async () => {
    while (!enough.signal.aborted) {
      const at = await send(3, sent === 0)
      await exchange.receipts(receiver, [receiptFor(receiver, 'r', at, { written: 2, deleted: 1 })])
      sent++
    }
  })()
  const wrong: unknown[] = []
  const look = async () => {
    const found = await onRecord(store)
    const { bookmark, position } = found
    const right = { bookmark, days: bookmark, entries: bookmark, position, rows: 2 * position, delivered: 2 * position }
    if (JSON.stringify(found) !== JSON.stringify(right)) wrong.push(found)
    return bookmark
  }
  for (let kill = 0; kill < 5; kill++) {
    const before = await look()
    turner.start()
    await until('a few turns', async () => (await look()) > before + 5)
    for (let looks = 0; looks < 50; looks++) await look()
    await turner.end('SIGKILL')
    await look()
  }
  t.same(wrong, [])
  enough.abort()
  await sending
  await recordSupply({ store, log })
  await recordDeliveries(store)
  t.same(await onRecord(store), { bookmark: sent, days: sent, entries: sent, position: sent, rows: 2 * sent, delivered: 2 * sent })
})

/** Of one moment: batches by bookmark, days and entries; places by the delivery bookmark, rows written by days and entries. */
async function onRecord(store: {
  query: <T>(text: string) => Promise<T[]>
}): Promise<Record<'bookmark' | 'days' | 'entries' | 'position' | 'rows' | 'delivered', number>> {
  const [row] = await store.query<never>(`
    select coalesce((select seq from supply_bookmark), 0)::int as bookmark,
      coalesce((select sum(batches) from supply_day), 0)::int as days,
      coalesce((select sum(coalesce((details -> 'changes' ->> 'batches')::int, 0) + coalesce((details -> 'snapshot' ->> 'batches')::int, 0))
        from audit_entry where act = 'supply'), 0)::int as entries,
      coalesce((select seq from delivery_bookmark), 0)::int as position,
      coalesce((select sum(written) from delivery_day), 0)::int as rows,
      coalesce((select sum((details ->> 'written')::int) from audit_entry where act = 'delivery'), 0)::int as delivered`)
  return row!
}

t.test('the audit of a hub: it seals by itself, its checkpoints are in the receipts, its end is in order', async (t) => {
  const { store, log, exchange, provider, hubKey, wakeups, time, send } = await newFlow(t)
  const audit = await startAudit({ store, log, logger })
  t.equal(audit.checkpoint(), undefined, 'nothing is sealed')
  await exchange.close()
  await send(1, true)
  await audit.sealNow()
  const head = audit.checkpoint()
  t.match(head, { seq: 1 }, 'the supply')
  await store.query(`insert into audit_entry (actor, act, object, outcome) values ('admin', 'test', 'x', 'done')`)
  await until('sealed by itself', () => audit.checkpoint()?.seq === 2, 10)
  const { checkpoint } = audit
  const policyFor = async () => ({ serial: 1, jws: 'policy' })
  const serving = new Exchange({ store, log, hubKey, wakeups, policyFor, checkpoint, clock: () => time.now, logger })
  t.teardown(() => serving.close())
  const { receipt } = await serving.accept(provider.agent, provider.build([person(1)]).bytes)
  t.same(storedReceipt.open(receipt, hubKey.publicKey)?.audit, audit.checkpoint())
  await audit.stop()
  t.same(await store.query('select from audit_unsealed'), [])
  t.match((await listAudit(store, { act: 'supply', limit: '1' })).items[0], { seq: 3, details: { to: { seq: 2 } } }, 'the last turn')
})
