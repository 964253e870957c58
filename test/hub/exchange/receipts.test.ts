import t from 'tap'
import type { ChainPosition } from '../../../protocol/position.ts'
import { hubStore } from '../../support/hub-store.ts'
import { findPostgres } from '../../support/postgres.ts'
import { openBench, person, poll, pollRequest, Provider, receiptFor } from './fixture.ts'

const server = await findPostgres()
t.teardown(() => server.stop())

interface RouteRow {
  seq: string | null
  written: string
  deleted: string
  quarantine: string
}

/** Ten batches, and a receiver on route `r`. */
async function newFlow(t: { teardown(end: () => Promise<void>): void }) {
  const bench = await openBench(await hubStore(server))
  t.teardown(() => bench.close())
  const provider = new Provider(await bench.agent('provider', 'a'), await bench.resource('people', 'a'))
  const at: ChainPosition[] = [await provider.send(bench.exchange, provider.snapshot([person(1)]))]
  for (let n = 2; n <= 10; n++) at.push(await provider.send(bench.exchange, provider.build([person(n)])))
  const receiver = await bench.agent('receiver', 'b')
  await bench.route('r', 'people', receiver, ['name'])
  const receipt = (seq: number, more = {}) => receiptFor(receiver, 'r', at[seq - 1]!, more)
  const route = async () => {
    const [row] = await bench.store.query<RouteRow>(`select seq, written, deleted, quarantine from route where id = 'r'`)
    return row!
  }
  const ask = (seq: number | null) =>
    poll(bench.exchange, receiver, pollRequest([{ route: 'r', after: seq === null ? null : at[seq - 1]! }]), [provider.agent])
  return { ...bench, provider, receiver, at, receipt, route, ask }
}

void t.test('receipts move a route forward, each counted once', async (t) => {
  const { exchange, receiver, receipt, route } = await newFlow(t)
  const [two, five] = [receipt(2, { written: 20, deleted: 1, quarantine: 3 }), receipt(5, { batches: 3, written: 7, quarantine: 0 })]
  await exchange.receipts(receiver, [two])
  t.same(await route(), { seq: '2', written: '20', deleted: '1', quarantine: '3' })
  await exchange.receipts(receiver, [two, five, two, five])
  const after = { seq: '5', written: '27', deleted: '1', quarantine: '0' }
  t.same(await route(), after)
  await exchange.receipts(receiver, [receipt(4, { written: 100 }), receipt(5, { written: 100, time: '2026-11-23T09:00:00Z' })])
  t.same(await route(), after, 'an older one, or another for the same place, changes nothing')
  await Promise.all([1, 2, 3].map(() => exchange.receipts(receiver, [receipt(6, { written: 10 })])))
  t.same(await route(), { seq: '6', written: '37', deleted: '1', quarantine: '0' }, 'also at the same moment')
})

void t.test('a quarantine that was mended shows without a new batch', async (t) => {
  const { exchange, receiver, receipt, route } = await newFlow(t)
  await exchange.receipts(receiver, [receipt(2, { quarantine: 3, time: '2026-11-23T08:00:05Z' })])
  const mended = { batches: 0, written: 0, quarantine: 1 }
  await exchange.receipts(receiver, [receipt(2, { ...mended, time: '2026-11-23T08:00:04Z' })])
  t.equal((await route()).quarantine, '3', 'not by an earlier word')
  await exchange.receipts(receiver, [receipt(2, { ...mended, time: '2026-11-23T08:00:06Z' })])
  t.same(await route(), { seq: '2', written: '1', deleted: '0', quarantine: '1' })
})

void t.test('a receipt counts only from the agent of its route', async (t) => {
  const flow = await newFlow(t)
  const { exchange, provider, receiver, receipt, route, at } = flow
  const nothing = { seq: null, written: '0', deleted: '0', quarantine: '0' }
  await t.rejects(exchange.receipts(provider.agent, [receipt(2)]), { code: 'QZ-REQUEST-INVALID' }, "signed by somebody else's key")
  await t.rejects(exchange.receipts(receiver, ['a.b.c']), { code: 'QZ-REQUEST-INVALID' })
  const other = await flow.agent('other', 'b')
  await exchange.receipts(other, [receiptFor(other, 'r', at[4]!)])
  t.same(await route(), nothing, "another agent's route")
})

void t.test('a receiver that was restored goes on from where it asks', async (t) => {
  const { exchange, receiver, receipt, route, ask } = await newFlow(t)
  await exchange.receipts(receiver, [receipt(8, { batches: 8, written: 80 })])
  await exchange.receipts(receiver, [receipt(4)])
  t.equal((await route()).seq, '8', 'not without asking from there')
  const again = await ask(3)
  t.same(
    again.batches.map(({ position }) => position.seq),
    [4, 5, 6, 7, 8, 9, 10],
  )
  await exchange.receipts(receiver, [receipt(3, { written: 1000 }), receipt(2, { written: 1000 })])
  t.equal((await route()).seq, '8', 'nor for what it had already')
  const four = receipt(4, { written: 5, time: '2026-11-23T09:00:00Z' })
  await exchange.receipts(receiver, [four, four])
  t.same(await route(), { seq: '4', written: '85', deleted: '0', quarantine: '0' })
  await exchange.receipts(receiver, [receipt(4, { written: 1000, time: '2026-11-23T09:00:01Z' }), receipt(5, { written: 5 })])
  t.same(await route(), { seq: '5', written: '90', deleted: '0', quarantine: '0' })
  await ask(null)
  await exchange.receipts(receiver, [receipt(1, { written: 5 })])
  t.equal((await route()).seq, '1', 'also from the beginning')
})

void t.test('a receipt for what is not in the log counts for nothing', async (t) => {
  const { exchange, receiver, route, at } = await newFlow(t)
  for (const place of [{ seq: 11 }, { seq: 4_294_967_295 }, { epoch: 2_147_483_647 }])
    await exchange.receipts(receiver, [receiptFor(receiver, 'r', { ...at[9]!, ...place })])
  t.equal((await route()).seq, null)
})
