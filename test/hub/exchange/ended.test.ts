/** Routes whose grant has ended, and old batches for routes that want another version: what the hub says and takes down. */
import t from 'tap'
import { currentPolicy } from '../../../hub/registry/grants/policy.ts'
import { listRoutes } from '../../../hub/registry/grants/routes.ts'
import { openPolicy, type EndedRoute } from '../../../protocol/policy.ts'
import { removalReceipt } from '../../../protocol/receipt.ts'
import type { Item } from '../../../protocol/schema.ts'
import { hubStore } from '../../support/hub-store.ts'
import { findPostgres } from '../../support/postgres.ts'
import { idItem, nameItem, openBench, person, phoneItem, poll, pollRequest, Provider, receiptFor, seqs, type Bench } from './fixture.ts'

const server = await findPostgres()
t.teardown(() => server.stop())

async function newFlow(t: { teardown(end: () => Promise<void>): void }) {
  const bench = await openBench(await hubStore(server))
  t.teardown(() => bench.close())
  const provider = new Provider(await bench.agent('provider', 'a'), await bench.resource('people', 'a'))
  const receiver = await bench.agent('receiver', 'b')
  await bench.route('r', 'people', receiver, ['name'])
  const ended = async (): Promise<EndedRoute[] | undefined> => {
    const { jws } = await currentPolicy(bench.store, bench.hubKey, receiver.id, 1, bench.time.now, { days: 30 })
    return openPolicy(jws, bench.hubKey.publicKey, receiver.id, 1).ended
  }
  const set = (text: string) => bench.store.query(`update access_grant set ${text} where id = 'r'`)
  const listed = async () => (await listRoutes({ store: bench.store, wakeups: bench.wakeups, clock: () => bench.time.now }))[0]!
  const removed = (key = receiver.key) =>
    removalReceipt.sign({ route: 'r', removed: 7, tables: ['front/people'], time: '2026-11-23T08:00:09Z' }, key)
  return { ...bench, provider, receiver, ended, set, listed, removed }
}

void t.test('the policy names ended routes whose data goes, until the receipt is in', async (t) => {
  const { exchange, receiver, provider, ended, set, listed, removed, store } = await newFlow(t)
  const position = await provider.send(exchange, provider.snapshot([person(1)]))
  await set(`at_end = 'remove'`)
  t.equal(await ended(), undefined, 'not while it is in force')
  await exchange.receipts(receiver, [receiptFor(receiver, 'r', position)])
  await set(`state = 'suspended'`)
  t.equal(await ended(), undefined, 'not while it is suspended')
  await set(`state = 'active', valid_to = '2026-11-23T07:59:59Z'`)
  t.same(await ended(), [{ route: 'r', grant: 'r', resource: 'people', table: 'people', data: 'remove' }], 'when it has expired')
  await set(`state = 'revoked', valid_to = null, at_end = 'keep'`)
  t.equal(await ended(), undefined, 'not where the data is kept')
  await set(`at_end = 'remove'`)
  t.equal((await ended())?.length, 1, 'when it is revoked')

  await t.rejects(exchange.receipts(receiver, [removed(provider.agent.key)]), { code: 'QZ-REQUEST-INVALID' }, "by somebody else's key")
  await exchange.receipts(provider.agent, [removed(provider.agent.key)])
  t.equal((await listed()).removed, null, "another agent's word counts for nothing")
  await exchange.receipts(receiver, [removed()])
  t.match((await listed()).removed, { rows: 7, tables: ['front/people'], time: '2026-11-23T08:00:09Z', receipt: removed() })
  t.equal(await ended(), undefined)
  await exchange.receipts(receiver, [removed()])
  const audit = await store.query(`select actor, object, details from audit_entry where act = 'route.removed'`)
  t.match(audit, [{ actor: 'receiver', object: 'r', details: { rows: 7 } }], 'once on record')
  t.equal(audit.length, 1)

  await set(`state = 'active'`)
  const next = await provider.send(exchange, provider.build([person(2)]))
  await exchange.receipts(receiver, [receiptFor(receiver, 'r', next)])
  await set(`valid_to = '2026-11-23T07:59:59Z'`)
  t.equal((await ended())?.length, 1, 'what was delivered afterwards is to be removed again')
})

void t.test('data that is kept needs no receipt, and none is taken', async (t) => {
  const { exchange, receiver, set, listed, removed } = await newFlow(t)
  await set(`state = 'revoked'`)
  await exchange.receipts(receiver, [removed()])
  t.match(await listed(), { atEnd: 'keep', removed: null })
})

const region: Item = { id: 'region', name: 'region', label: '地区', type: 'text', length: 20, openness: 'internal' }

async function publish({ store }: Bench, provider: Provider, items: Item[], granted: string[]): Promise<Provider> {
  const schema = { ...provider.schema, version: provider.schema.version + 1, items }
  await store.query('insert into resource_version (resource, version, schema) values ($1, $2, $3)', [
    schema.resource,
    schema.version,
    JSON.stringify(schema),
  ])
  await store.query('update resource set version = $2 where code = $1', [schema.resource, schema.version])
  await store.query(`update access_grant set items = $1`, [granted])
  const next = new Provider(provider.agent, schema, provider.epoch)
  next.position = provider.position
  return next
}

void t.test('old batches that lack what a route has now, or are under another key, are passed over', async (t) => {
  const changes: [string, Item[], string[], number[]][] = [
    ['an item appears', [idItem, nameItem, phoneItem, region], ['name', 'region'], [5]],
    ['the key changes', [{ ...idItem, key: false }, { ...nameItem, length: 20, key: true }, phoneItem], ['id'], [5]],
    ['an item disappears', [idItem, nameItem], ['name'], [2, 3, 4, 5]],
  ]
  for (const [what, items, granted, expected] of changes) {
    const flow = await newFlow(t)
    const { exchange, receiver, provider } = flow
    const first = await provider.send(exchange, provider.snapshot([person(1)]))
    await provider.send(exchange, provider.build([person(2)]))
    await provider.send(exchange, provider.build([person(3)]))
    const old = await provider.send(exchange, provider.build([person(4)]))
    const next = await publish(flow, provider, items, granted)
    flow.time.now = new Date(flow.time.now.getTime() + 5000)
    const ask = (after: typeof first | null) => poll(flow.another(), receiver, pollRequest([{ route: 'r', after }]), [provider.agent])
    const before = await ask(first)
    t.same(seqs(before), expected.slice(0, -1), `${what}: nothing of another form`)
    if (before.batches.length === 0) {
      t.same(seqs(await ask(null)), [], 'nor an old snapshot')
      const wish = await poll(flow.another(), provider.agent, pollRequest([]))
      t.match(wish.header.snapshots, [{ resource: 'people', after: { epoch: old.epoch, seq: old.seq } }], 'a new one is wanted')
    }
    await next.send(flow.another(), next.snapshot([person(9, { region: 'x' })]))
    t.same(seqs(await ask(first)), expected, `${what}: on from the snapshot of the new version`)
    t.same(seqs(await ask(null)), [5], 'so does a route that begins')
  }
})
