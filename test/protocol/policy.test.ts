import t from 'tap'
import { openPolicy, policyExpired, requireCurrent, signPolicy, type Policy } from '../../protocol/policy.ts'
import { signingKeyFromPem, signStatement } from '../../protocol/signature.ts'
import { readVectors, vectorKey } from '../vectors/read.ts'

const hub = signingKeyFromPem(vectorKey('hub').pem)
const other = signingKeyFromPem(vectorKey('other').pem)
const vector = readVectors('statements.json').accepted.find(({ name }) => name === 'policy')!
const policy = vector.payload as Policy

t.test('the policy of the vectors', async (t) => {
  t.same(openPolicy(vector.jws, hub.publicKey, 'agent-b', 0), policy)
  t.equal(signPolicy(policy, hub), vector.jws)
})

t.test('serial only grows', async (t) => {
  t.ok(openPolicy(vector.jws, hub.publicKey, 'agent-b', policy.serial), 'the known one again')
  t.throws(() => openPolicy(vector.jws, hub.publicKey, 'agent-b', policy.serial + 1), {
    code: 'QZ-POLICY-OLD',
    details: { serial: policy.serial, known: policy.serial + 1 },
  })
})

t.test('only from the pinned key, only for this agent, only in this shape', async (t) => {
  const refused = (name: string, jws: string, agent = 'agent-b') =>
    t.throws(() => openPolicy(jws, hub.publicKey, agent, 0), { code: 'QZ-POLICY-SIGNATURE' }, name)
  refused('another key', signPolicy(policy, other))
  refused('another agent', vector.jws, 'agent-c')
  refused('another typ', signStatement(hub, 'qz-head', policy))
  refused('another version', signStatement(hub, 'qz-policy', { ...policy, v: 2 }))
  refused('serial that is no number', signStatement(hub, 'qz-policy', { ...policy, serial: '1' }))
  refused('no expiry', signStatement(hub, 'qz-policy', { ...policy, expires: undefined }))
  refused('a schema that is none', signStatement(hub, 'qz-policy', { ...policy, receive: [{ ...policy.receive[0], schema: {} }] }))
  refused('no statement', 'x')
  refused('empty', '')
})

t.test('expiry', async (t) => {
  const at = (ms: number) => new Date(Date.parse(policy.expires) + ms)
  t.notOk(policyExpired(policy, at(-1)))
  t.ok(policyExpired(policy, at(0)))
  t.equal(requireCurrent(policy, at(-1)), policy)
  t.throws(() => requireCurrent(policy, at(0)), { code: 'QZ-POLICY-EXPIRED', details: { expires: policy.expires } })
  t.ok(policyExpired({ ...policy, expires: 'never' }, at(0)), 'an expiry that cannot be read has passed')
})
