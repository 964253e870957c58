import t from 'tap'
import { generateSigningKey } from '../../../../protocol/signature.ts'
import { agentByKey, revokeAgent } from '../../../../hub/registry/machines/agents.ts'
import { enrol, issueToken } from '../../../../hub/registry/machines/enrolment.ts'
import { openOffice, refusal } from '../../office.ts'

t.test('a token enrols one key, and that key again', async (t) => {
  const office = await openOffice(t)
  const { secret, expires } = await issueToken(office, 'admin', 'civil', 48)
  const key = generateSigningKey()
  const request = { secret, publicKey: key.publicKey, name: 'front-end' }
  const agent = await enrol(office, request)
  t.match(agent, { agency: 'civil', state: 'active', id: /^civil-[0-9a-f]{8}$/ })
  t.same(await enrol(office, request), agent, 'the same key gets the same answer')
  office.now = new Date(expires.getTime() + 1)
  t.same(await enrol(office, request), agent, 'also after the token has expired')
  t.equal(await refusal(enrol(office, { ...request, publicKey: generateSigningKey().publicKey })), 'QZ-TOKEN', 'a second key is refused')
  t.match(await agentByKey(office, key.id), { id: agent.id, publicKey: key.publicKey }, 'the key id finds the agent')
  t.equal(await refusal(agentByKey(office, 'unknown')), 'QZ-AGENT-UNKNOWN')
})

t.test('refused are unknown and expired tokens, keys of another agency, revoked keys', async (t) => {
  const office = await openOffice(t)
  const key = generateSigningKey()
  const using = async (agency: string, hours = 48) => {
    const { secret } = await issueToken(office, 'admin', agency, hours)
    return { secret, publicKey: key.publicKey, name: 'x' }
  }
  t.equal(await refusal(enrol(office, { secret: 'x', publicKey: key.publicKey, name: 'x' })), 'QZ-TOKEN')
  const late = await using('civil', 1)
  office.now = new Date(office.now.getTime() + 3_600_000)
  t.equal(await refusal(enrol(office, late)), 'QZ-TOKEN')
  const agent = await enrol(office, await using('civil'))
  t.equal(await refusal(enrol(office, await using('water'))), 'QZ-CONFLICT')
  t.same(await enrol(office, await using('civil')), agent, 'another token of the same agency is welcome')
  await revokeAgent(office, 'admin', agent.id, 'lost')
  t.equal(await refusal(agentByKey(office, key.id)), 'QZ-AGENT-REVOKED')
  t.equal(await refusal(enrol(office, await using('civil'))), 'QZ-AGENT-REVOKED')
  t.equal(await refusal(issueToken(office, 'admin', 'nobody', 48)), 'QZ-NOT-FOUND')
  const [{ count }] = (await office.store.query<{ count: string }>(`select count(*) from audit_entry where act = 'agent.revoke'`)) as [
    { count: string },
  ]
  t.equal(count, '1')
})
