/** Which routes get masked items from the exchange, and when: agents that do not verify them, changed masks, items that became keys. */
import t from 'tap'
import { theAdmin } from '../../../hub/access/principal.ts'
import { currentPolicy } from '../../../hub/registry/grants/policy.ts'
import { setMasks } from '../../../hub/sharing/grant-masks.ts'
import { decodeDelivery, type PollRequest } from '../../../protocol/api.ts'
import { blockValues, splitBatch } from '../../../protocol/batch.ts'
import { derivedBlock, openDerivedBatch } from '../../../protocol/derived.ts'
import { detailsFromWire } from '../../../protocol/errors.ts'
import { fileItems } from '../../../protocol/files.ts'
import type { Masks } from '../../../protocol/masks.ts'
import type { Policy } from '../../../protocol/policy.ts'
import { readStatement } from '../../../protocol/signature.ts'
import { hubStore } from '../../support/hub-store.ts'
import { findPostgres } from '../../support/postgres.ts'
import { openBench, person, pollRequest, Provider, untilItWaits } from './fixture.ts'

const server = await findPostgres()
t.teardown(() => server.stop())

const keep: Masks = { phone: { kind: 'keep', first: 1, last: 1 } }

async function newFlow(test: { teardown(end: () => Promise<void>): void }) {
  const bench = await openBench(await hubStore(server))
  test.teardown(() => bench.close())
  const { store, wakeups, exchange, hubKey, time } = bench
  const agent = await bench.agent('provider', 'a')
  const provider = new Provider(agent, await bench.resource('people', 'a'))
  await provider.send(exchange, provider.snapshot([person(1)]))
  const receiver = await bench.agent('receiver', 'b')
  await bench.route('r', 'people', receiver, ['name', 'phone'])
  const mask = (masks: Masks) => setMasks({ store, wakeups, clock: () => time.now }, theAdmin, 'r', masks)
  const policyNow = async () => {
    const { jws } = await currentPolicy(store, hubKey, 'receiver', 1, time.now, { days: 30 })
    return readStatement(jws) as unknown as Policy
  }
  const request = (more: Partial<PollRequest> = {}) => pollRequest([{ route: 'r' }], { masks: true, ...more })
  const asked = (bytes: Buffer, masks: Masks) => {
    const { header, batches } = decodeDelivery(bytes)
    const expected = { route: 'r', masks, hubKey: hubKey.publicKey }
    return { header, batches: batches.map((one) => openDerivedBatch(splitBatch(one.bytes), () => agent.publicKey, expected)) }
  }
  const poll = async (masks: Masks, more: Partial<PollRequest> = {}) =>
    asked(await exchange.poll(receiver, request(more), new AbortController().signal), masks)
  return { ...bench, provider, receiver, mask, policyNow, poll, asked, request }
}

t.test('what a grant masks is delivered derived from the next answer on, and the policy says so', async (t) => {
  const flow = await newFlow(t)
  const plain = await flow.poll({})
  t.same(blockValues(plain.batches[0]!, 'phone'), ['13000000001'])
  t.notOk(plain.batches[0]!.blocks.some(({ item }) => item === derivedBlock))
  t.equal((await flow.policyNow()).receive[0]!.masks, undefined)
  await flow.mask(keep)
  const { batches } = await flow.poll(keep)
  t.same(blockValues(batches[0]!, 'phone'), ['1*********1'])
  t.same(blockValues(batches[0]!, 'name'), ['name 1'])
  t.same((await flow.policyNow()).receive[0]!.masks, keep)
  t.same(blockValues((await flow.poll(keep)).batches[0]!, 'phone'), ['1*********1'], 'and at every other answer')
  await flow.store.query(`update access_grant set items = '{name}' where id = 'r'`)
  t.equal((await flow.policyNow()).receive[0]!.masks, undefined, 'what is not granted is not told to be masked')
})

t.test('a change of the masks wakes who waits', async (t) => {
  const flow = await newFlow(t)
  const { provider, receiver, exchange, wakeups, policy } = flow
  const request = flow.request({ wait: 60, routes: [{ route: 'r', after: provider.position, credit: 1 << 20 }] })
  const listening = () => exchange.poll(receiver, request, new AbortController().signal)
  await flow.poll({}, { routes: request.routes })
  const { ends } = await untilItWaits(wakeups, 'agent:receiver', listening)
  Object.assign(policy, { serial: 2, jws: 'policy 2' })
  await flow.mask(keep)
  t.equal(flow.asked(await ends, keep).header.policy, 'policy 2')
})

t.test('an agent that does not verify masks gets nothing of such a route, and is told why and what to do', async (t) => {
  const flow = await newFlow(t)
  await flow.mask(keep)
  const { header, batches } = await flow.poll(keep, { masks: undefined } as unknown as Partial<PollRequest>)
  t.same(batches, [])
  const [told] = header.routes
  t.equal(told!.code, 'QZ-ROUTE-ENDED', 'a code that every agent knows')
  t.match(detailsFromWire(told as never), {
    reason: { en: /too old to verify/ },
    next: { en: /bring the agent on this machine up to date/ },
  })
  t.equal((await flow.poll(keep)).batches.length, 1, 'the same agent, brought up to date')
  await flow.mask({})
  t.equal((await flow.poll({}, { masks: false })).batches.length, 1)
})

t.test('an item that a later version made a key is not delivered as it is', async (t) => {
  const flow = await newFlow(t)
  await flow.mask(keep)
  await flow.store.query(
    `update resource_version set schema = jsonb_set(schema, '{items,2}', schema #> '{items,2}' || '{"key": true, "length": 20}') where resource = 'people'`,
  )
  const { header, batches } = await flow.poll(keep)
  t.same(batches, [])
  t.match(detailsFromWire(header.routes[0] as never), {
    reason: { en: /item phone is to be masked and cannot be any more: a key cannot be masked/ },
  })
  await t.rejects(flow.mask(keep), { code: 'QZ-REQUEST-INVALID' }, 'nor can it be said again')
  await flow.mask({})
  t.equal((await flow.poll({})).header.routes[0]?.code, undefined)
})

t.test('files that are exchanged as they are cannot be masked', async (t) => {
  const flow = await newFlow(t)
  await flow.store.query(`update resource_version set schema = jsonb_set(schema, '{items}', $1) where resource = 'people'`, [
    JSON.stringify(fileItems('internal')),
  ])
  await flow.store.query(`update access_grant set items = '{name,content}' where id = 'r'`)
  await t.rejects(flow.mask({ content: { kind: 'hide' } }), { code: 'QZ-RULE' })
})
