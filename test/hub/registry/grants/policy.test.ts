import t from 'tap'
import { openPolicy } from '../../../../protocol/policy.ts'
import { generateSigningKey } from '../../../../protocol/signature.ts'
import { revokeAgent } from '../../../../hub/registry/machines/agents.ts'
import { addGrant, setGrantState } from '../../../../hub/registry/grants/grants.ts'
import { currentPolicy } from '../../../../hub/registry/grants/policy.ts'
import { publishResource } from '../../../../hub/registry/publishing/direct-publishing.ts'
import { addRoute } from '../../../../hub/registry/grants/routes.ts'
import { enrolled, openOffice, refusal, villages, type Office } from '../../office.ts'

const hubKey = generateSigningKey()
const day = 86_400_000

async function policyOf(office: Office, agent: string, reported = 0) {
  const { serial, jws } = await currentPolicy(office.store, hubKey, agent, reported, office.now, { days: 30 })
  const policy = openPolicy(jws, hubKey.publicKey, agent, 0)
  return { serial, jws, policy }
}

async function exchange(office: Office) {
  const provider = await enrolled(office, 'civil')
  const receiver = await enrolled(office, 'water')
  await publishResource(office, 'admin', { schema: villages() })
  const grant = await addGrant(office, 'admin', {
    resource: 'villages',
    agency: 'water',
    items: ['name', 'street'],
    validTo: new Date('2027-01-01'),
  })
  await addRoute(office, 'admin', grant.id, receiver.id)
  return { provider, receiver, grant }
}

t.test('a policy says what may be supplied and received', async (t) => {
  const office = await openOffice(t)
  const { provider, receiver, grant } = await exchange(office)
  const supply = (await policyOf(office, provider.id)).policy
  t.match(supply, { agency: 'civil', supply: [{ items: ['code', 'name', 'street'], keep: 'store', schema: { version: 1 } }], receive: [] })
  const { policy } = await policyOf(office, receiver.id)
  t.match(policy.receive, [
    {
      route: grant.id,
      items: ['code', 'name', 'street'],
      keys: [{ key: provider.key.publicKey, from: 1 }],
      expires: '2027-01-01T00:00:00.000Z',
    },
  ])
  await publishResource(office, 'admin', { schema: villages((d) => (d.items[2]!.openness = 'closed')) })
  t.same((await policyOf(office, receiver.id)).policy.receive[0]!.items, ['code', 'name'], 'tightened openness acts at once')
  t.same((await policyOf(office, provider.id)).policy.supply[0]!.items, ['code', 'name'])
})

t.test('a policy says why a resource of the agency may not be supplied, and who must act', async (t) => {
  const office = await openOffice(t)
  const { provider } = await exchange(office)
  const withheld = async (agent = provider.id) => (await policyOf(office, agent)).policy.withheld
  t.equal(await withheld(), undefined)
  const second = await enrolled(office, 'civil')
  t.match(await withheld(), [{ resource: 'villages', reason: { zh: /多台/ }, next: { zh: /编目人员.*producer.*审核人员/ } }])
  await publishResource(office, 'admin', { schema: villages(), producer: second.id })
  t.match(await withheld(), [{ reason: { en: `${second.id} supplies it` } }])
  t.equal(await withheld(second.id), undefined)
  await revokeAgent(office, 'admin', second.id, '')
  t.match(await withheld(), [{ reason: { zh: `指定的 ${second.id} 已被撤销` } }])
  for (const [change, reason] of [
    [`state = 'suspended'`, /保密叫停/],
    [`state = 'withdrawn'`, /已撤销/],
    [`state = 'active', sharing = 'none'`, /不予共享/],
  ] as const) {
    await office.store.query(`update resource set ${change}`)
    t.match(await withheld(), [{ reason: { zh: reason } }])
  }
})

t.test('a policy ends with its grant, its agent, its provider', async (t) => {
  const office = await openOffice(t)
  const { provider, receiver, grant } = await exchange(office)
  const received = async () => (await policyOf(office, receiver.id)).policy.receive
  await setGrantState(office, 'admin', grant.id, 'suspended', '')
  t.same(await received(), [])
  await setGrantState(office, 'admin', grant.id, 'active', '')
  t.equal((await received()).length, 1)
  const second = await enrolled(office, 'civil')
  t.same((await received())[0]!.keys, [], 'of two agents neither is the producer')
  t.same((await policyOf(office, provider.id)).policy.supply, [])
  await publishResource(office, 'admin', { schema: villages(), producer: second.id })
  t.match((await received())[0]!.keys, [{ key: second.key.publicKey }])
  await revokeAgent(office, 'admin', second.id, '')
  t.same((await received())[0]!.keys, [], 'a revoked producer is none')
  office.now = new Date('2027-01-01T00:00:01Z')
  t.same(await received(), [], 'expired')
  await revokeAgent(office, 'admin', receiver.id, '')
  t.equal(await refusal(policyOf(office, receiver.id)), 'QZ-AGENT-REVOKED')
})

t.test('a policy says why a route gets nothing', async (t) => {
  const office = await openOffice(t)
  const { receiver, grant } = await exchange(office)
  const stopped = async () => (await policyOf(office, receiver.id)).policy.stopped
  const route = { route: grant.id, resource: 'villages' }
  t.equal(await stopped(), undefined)
  await setGrantState(office, 'admin', grant.id, 'suspended', '待核查')
  t.match(await stopped(), [{ ...route, reason: { zh: '已暂停', en: 'suspended' }, because: '待核查', over: undefined }])
  await setGrantState(office, 'admin', grant.id, 'active', '')
  t.equal(await stopped(), undefined)
  const before = office.now
  office.now = new Date('2027-01-01T00:00:01Z')
  t.match(await stopped(), [{ ...route, reason: { en: 'expired' } }], 'before it is written down')
  office.now = before
  await setGrantState(office, 'admin', grant.id, 'revoked', '违规')
  const anew = { over: true, next: { zh: /不会自动恢复.*重新申请/, en: /applies anew/ } }
  t.match(await stopped(), [{ ...route, reason: { en: 'revoked' }, because: '违规', ...anew }])
  const next = await addGrant(office, 'admin', { resource: 'villages', agency: 'water', items: ['name'] })
  await addRoute(office, 'admin', next.id, receiver.id)
  t.match(await stopped(), [route], 'also beside one that goes on')
  await office.store.query(`update resource set state = 'withdrawn', stop_reason = '资源已停办'`)
  t.match(
    (await stopped())!.map(({ route, reason, because }) => [route, reason.en, because]).toSorted(([a], [b]) => (a! < b! ? -1 : 1)),
    [
      [grant.id, 'revoked', '违规'],
      [next.id, 'withdrawn', '资源已停办'],
    ],
  )
})

t.test('it is signed again only when it must, and its serial only grows', async (t) => {
  const office = await openOffice(t)
  const { receiver, grant } = await exchange(office)
  const first = await policyOf(office, receiver.id)
  t.equal(first.serial, office.now.getTime())
  office.now = new Date(office.now.getTime() + 14 * day)
  t.equal((await policyOf(office, receiver.id, first.serial)).jws, first.jws, 'the same while half of its life is left')
  office.now = new Date(office.now.getTime() + 2 * day)
  const renewed = await policyOf(office, receiver.id, first.serial)
  t.ok(renewed.serial > first.serial && Date.parse(renewed.policy.expires) > Date.parse(first.policy.expires), 'renewed')
  await office.store.query(`update policy set expires_at = expires_at + interval '1 year'`)
  const shorter = await policyOf(office, receiver.id, renewed.serial)
  t.ok(shorter.serial > renewed.serial, 'one that would outlive the others is replaced')
  office.now = new Date(0)
  await setGrantState(office, 'admin', grant.id, 'revoked', '')
  const changed = await policyOf(office, receiver.id)
  t.equal(changed.serial, shorter.serial + 1, 'also when the clock has gone back')
  t.equal((await policyOf(office, receiver.id, changed.serial)).jws, changed.jws)
})

t.test('a restored hub goes beyond the serial that an agent has', async (t) => {
  const office = await openOffice(t)
  const { receiver } = await exchange(office)
  const before = await policyOf(office, receiver.id)
  const later = before.serial + 1000 * day
  const restored = await policyOf(office, receiver.id, later)
  t.equal(restored.serial, later + 1)
  t.equal((await policyOf(office, receiver.id, later)).jws, restored.jws, 'once')
  await office.store.query('delete from policy')
  t.ok((await policyOf(office, receiver.id, restored.serial)).serial > restored.serial)
  t.equal(await refusal(policyOf(office, receiver.id, Number.MAX_SAFE_INTEGER)), 'QZ-REQUEST-INVALID')
})

t.test('two at once sign one', async (t) => {
  const office = await openOffice(t)
  const { receiver } = await exchange(office)
  const all = await Promise.all(Array.from({ length: 8 }, () => policyOf(office, receiver.id)))
  t.equal(new Set(all.map(({ jws }) => jws)).size, 1)
})
