import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { connect } from 'node:tls'
import pino from 'pino'
import t from 'tap'
import { Type } from 'typebox'
import { agentPaths, versionHeader } from '../../../protocol/api.ts'
import { batchMediaType } from '../../../protocol/batch.ts'
import { QianzhiError, type Problem } from '../../../protocol/errors.ts'
import { openPolicy } from '../../../protocol/policy.ts'
import { signRequest } from '../../../protocol/request.ts'
import { generateSigningKey, type SigningKey } from '../../../protocol/signature.ts'
import { adminApi } from '../../../hub/http/admin.ts'
import { enrolApi } from '../../../hub/http/enrol.ts'
import { InFlight } from '../../../hub/http/in-flight.ts'
import { Refusals } from '../../../hub/http/refusals.ts'
import { HubClock } from '../../../hub/records/clock.ts'
import { createServer, type Api, type HttpServer } from '../../../hub/http/server.ts'
import { revokeAgent } from '../../../hub/registry/machines/agents.ts'
import { issueToken } from '../../../hub/registry/machines/enrolment.ts'
import { currentPolicy } from '../../../hub/registry/grants/policy.ts'
import { ownCertificate } from '../../../hub/tls.ts'
import { enrolled, openOffice, villages, type Office } from '../office.ts'

const folder = await mkdtemp(join(tmpdir(), 'qianzhi-http-'))
const certificate = await ownCertificate(folder, ['localhost'], new Date())
t.teardown(() => rm(folder, { recursive: true }))
const hubKey = generateSigningKey()
const adminKey = 'qza_test'
const logger = pino({ level: 'silent' })

/** Doors of an agent that say who came. */
const echo: Api = async (app) => {
  app.post(agentPaths.poll, { schema: { body: Type.Object({ n: Type.Integer() }, { additionalProperties: false }) } }, (request, reply) =>
    reply.send({ agent: request.agent.id, body: request.body }),
  )
  app.post(agentPaths.batches, (request, reply) => reply.send({ agent: request.agent.id, bytes: request.rawBody.length }))
  app.get(agentPaths.head, (request, reply) => reply.send({ agent: request.agent.id }))
}

interface Served {
  office: Office
  app: HttpServer
  /** Those on record. */
  refusals: () => Promise<string[]>
  refused: Refusals
}

async function serve(t: Parameters<typeof openOffice>[0]): Promise<Served> {
  const office = await openOffice(t)
  const policyFor = (agent: string, reported: number) => currentPolicy(office.store, hubKey, agent, reported, office.now, { days: 30 })
  const refused = new Refusals(office.store, logger)
  const app = await createServer({
    registry: office,
    logger,
    refusals: refused,
    certificate,
    bodyLimit: 1 << 16,
    open: [
      enrolApi(office, policyFor),
      adminApi({
        registry: office,
        adminKey,
        address: () => ({ urls: ['https://hub'], hubKey: hubKey.publicKey, authority: certificate.authority }),
        explain: async (route) => {
          throw new QianzhiError('QZ-NOT-FOUND', { what: route })
        },
        housekeep: async () => ({ trimmed: {} }),
        clock: new HubClock(undefined),
      }),
    ],
    agents: [echo],
  })
  t.teardown(() => app.close())
  const refusals = async () => {
    const rows = await office.store.query<{ line: string }>(
      `select actor || ' ' || object || ' ' || outcome as line from audit_entry where outcome <> 'done' order by id`,
    )
    return rows.map(({ line }) => line)
  }
  return { office, app, refusals, refused }
}

interface Sent {
  method?: 'GET' | 'POST'
  path: string
  body?: string | Buffer
  type?: string
  key: SigningKey
  created: Date
  /** Changes the signed request on its way. */
  tamper?: (request: { url: string; headers: Record<string, string>; payload: Buffer }) => void
}

async function send(app: HttpServer, { method = 'POST', path, body = '', type = 'application/json', key, created, tamper }: Sent) {
  const payload = Buffer.from(body)
  const signed = await signRequest({ method, path, body: payload }, key, created)
  const request = { url: path, headers: { ...signed, ...(method === 'POST' && { 'content-type': type }) }, payload }
  tamper?.(request)
  const answer = await app.inject({
    method,
    url: request.url,
    headers: request.headers,
    ...(method === 'POST' && { payload: request.payload }),
  })
  return { status: answer.statusCode, json: answer.json<Record<string, unknown>>(), type: String(answer.headers['content-type']) }
}

t.test('behind the signature hook a request has an agent', async (t) => {
  const { office, app } = await serve(t)
  const { id, key } = await enrolled(office, 'civil')
  const to = (sent: Partial<Sent>) => send(app, { path: agentPaths.poll, key, created: office.now, ...sent })
  t.same((await to({ body: '{"n":1}' })).json, { agent: id, body: { n: 1 } })
  t.same((await to({ path: agentPaths.batches, body: Buffer.alloc(5000, 0xff), type: batchMediaType })).json, { agent: id, bytes: 5000 })
  t.same((await to({ method: 'GET', path: `${agentPaths.head}?resource=a` })).json, { agent: id })
})

t.test('strangers cost no query each, and who enrols is known at once', async (t) => {
  const { office, app } = await serve(t)
  const asked: string[] = []
  const { query } = office.store
  office.store.query = (text, values) => (asked.push(text), query(text, values))
  const by = async (key: SigningKey) => (await send(app, { path: agentPaths.poll, body: '{}', key, created: office.now })).json['code']
  const began = performance.now()
  for (let n = 0; n < 40; n++) t.equal(await by(generateSigningKey()), 'QZ-AGENT-UNKNOWN')
  const looks = asked.filter((text) => text.includes('from agent')).length
  t.ok(looks <= 1 + (performance.now() - began) / 1000, `${looks} looks for 40 strangers`)
  const { key } = await enrolled(office, 'civil')
  t.equal(await by(key), 'QZ-REQUEST-INVALID', 'it is heard')
  office.store.query = query
})

t.test('a store without room is told as that', async (t) => {
  const { office, app } = await serve(t)
  const { key } = await enrolled(office, 'civil')
  const { query } = office.store
  office.store.query = async () => {
    throw Object.assign(new Error('could not extend file'), { code: '53100' })
  }
  const { json } = await send(app, { path: agentPaths.poll, body: '{}', key, created: office.now })
  office.store.query = query
  t.match(json, { code: 'QZ-HUB-BUSY', detail: { zh: /磁盘已满/, en: /disk of the hub's store is full/ } })
})

t.test('what is not right is refused as a problem, and goes on record', async (t) => {
  const { office, app, refusals, refused } = await serve(t)
  const { id, key } = await enrolled(office, 'civil')
  const code = async (sent: Partial<Sent>) => {
    const { json, type, status } = await send(app, { path: agentPaths.poll, body: '{"n":1}', key, created: office.now, ...sent })
    const problem = json as unknown as Problem
    t.match(type, 'application/problem+json')
    t.equal(status, problem.status)
    t.ok(problem.detail.zh && problem.detail.en)
    return problem.code
  }
  t.equal(await code({ tamper: (r) => void (r.payload = Buffer.from('{"n":2}')) }), 'QZ-REQUEST-SIGNATURE')
  t.equal(
    await code({ method: 'GET', path: `${agentPaths.head}?resource=a`, body: '', tamper: (r) => void (r.url = r.url.replace('=a', '=b')) }),
    'QZ-REQUEST-SIGNATURE',
  )
  t.equal(await code({ tamper: (r) => void delete r.headers['Signature'] }), 'QZ-REQUEST-SIGNATURE')
  t.equal(await code({ key: generateSigningKey() }), 'QZ-AGENT-UNKNOWN')
  t.equal(await code({ created: new Date(office.now.getTime() - 3_600_000) }), 'QZ-REQUEST-CLOCK')
  t.equal(await code({ tamper: (r) => void (r.headers[versionHeader] = '99') }), 'QZ-VERSION')
  t.equal(await code({ path: agentPaths.batches, body: Buffer.alloc(1 << 17), type: batchMediaType }), 'QZ-BATCH-LIMIT')
  for (const body of ['{"n":"1"}', '{"n":1,"m":2}', '{', '{"n":1,"__proto__":{}}'])
    t.equal(await code({ body }), 'QZ-REQUEST-INVALID', body)
  t.equal(await code({ type: 'text/plain' }), 'QZ-REQUEST-INVALID')
  t.equal(await code({ path: '/agent/v1/nothing' }), 'QZ-NOT-FOUND')
  const bad = `${id} POST ${agentPaths.poll} QZ-REQUEST-INVALID`
  const before = await refusals()
  t.ok(before.includes(bad), before.join('\n'))
  t.equal(await code({ body: '{' }), 'QZ-REQUEST-INVALID')
  t.same(await refusals(), [...before, bad], 'each of them')
  await refused.sum()
  await revokeAgent(office, 'admin', id, '')
  t.equal(await code({}), 'QZ-AGENT-REVOKED')
  t.equal((await refusals()).at(-1), `address 127.0.0.1 POST ${agentPaths.poll} QZ-AGENT-REVOKED`)
})

t.test('a flood of refusals is counted, not written one by one', async (t) => {
  const { office, app, refused } = await serve(t)
  const { key } = await enrolled(office, 'civil')
  for (let n = 0; n < 50; n++) {
    await send(app, { path: agentPaths.poll, body: '{', key, created: office.now })
    const stranger = { key: generateSigningKey(), created: n % 2 ? office.now : new Date(0) }
    await send(app, { path: agentPaths.poll, body: '{"n":1}', ...stranger })
  }
  await refused.close()
  const entries = await office.store.query(
    `select act, object, outcome, details->'count' as count from audit_entry where outcome <> 'done' order by id`,
  )
  t.equal(entries.filter(({ act }) => act === 'request').length, 31, '30 of the agent, one of the address')
  t.match(entries.slice(31), [
    { act: 'requests', outcome: 'QZ-REQUEST-INVALID', count: 20 },
    { act: 'requests', outcome: 'QZ-AGENT-UNKNOWN', count: 49 },
  ])
})

t.test('the body of somebody unknown is not read', async (t) => {
  const { office, app } = await serve(t)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const lengths = ['content-length: 60000000', 'transfer-encoding: chunked']
  const stranger = await signRequest({ method: 'POST', path: agentPaths.poll, body: Buffer.from('{}') }, generateSigningKey(), office.now)
  const cases = [
    { path: agentPaths.poll, signed: { [versionHeader]: '1' }, status: 401 },
    { path: agentPaths.poll, signed: stranger, status: 401 },
    { path: '/nothing', signed: {}, status: 404 },
  ]
  for (const { path, signed, status } of cases) {
    for (const length of lengths) {
      const head = [`POST ${path} HTTP/1.1`, 'host: hub', 'content-type: application/json', length]
      const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false })
      socket.write([...head, ...Object.entries(signed).map(([name, value]) => `${name}: ${value}`), '', ''].join('\r\n'))
      // Nothing of the body is ever sent, and the answer is the end.
      t.match(await text(socket), new RegExp(`^HTTP/1.1 ${status} [^]*connection: close`, 'i'), `${path} ${length}`)
    }
  }
})

t.test('an agent has only so much under way at once', async (t) => {
  const { office, app } = await serve(t)
  const { key } = await enrolled(office, 'civil')
  for (let n = 0; n < 70; n++) await send(app, { path: agentPaths.poll, body: '{"n":1}', key, created: office.now })
  const inFlight = new InFlight({ requests: 3, bytes: 100, bytesOfAll: 150 })
  const refuses = (agent: string, bytes: number) => t.throws(() => inFlight.begin(agent, bytes), { code: 'QZ-HUB-BUSY' })
  const first = inFlight.begin('a', 60)
  refuses('a', 41)
  const second = inFlight.begin('b', 60)
  refuses('b', 31)
  second()
  for (let n = 0; n < 3; n++) inFlight.begin('c', 0)
  refuses('c', 0)
  first()
  t.doesNotThrow(() => inFlight.begin('a', 100))
})

t.test('enrolment proves that the agent holds its key', async (t) => {
  const { office, app } = await serve(t)
  const { secret } = await issueToken(office, 'admin', 'civil', 48)
  const key = generateSigningKey()
  const request = (signer: SigningKey) =>
    send(app, {
      path: agentPaths.enrol,
      key: signer,
      created: office.now,
      body: JSON.stringify({ secret, publicKey: key.publicKey, name: 'x' }),
    })
  t.match((await request(generateSigningKey())).json, { code: 'QZ-REQUEST-SIGNATURE' })
  const { json } = await request(key)
  t.match(json, { agency: 'civil', time: office.now.toISOString() })
  t.equal(openPolicy(String(json['policy']), hubKey.publicKey, String(json['agent']), 0).agency, 'civil')
  t.match((await request(key)).json, { agent: json['agent'] }, 'asked again')
})

t.test('the admin API asks for its key', async (t) => {
  const { app } = await serve(t)
  const call = async (method: 'GET' | 'POST', url: string, payload?: object, key = adminKey) => {
    const answer = await app.inject({
      method,
      url: `/admin/v1/${url}`,
      headers: { authorization: `Bearer ${key}` },
      ...(payload && { payload }),
    })
    return answer.json<Record<string, unknown>>()
  }
  t.match(await call('GET', 'agencies', undefined, 'wrong'), { code: 'QZ-ADMIN-KEY' })
  t.match((await app.inject('/admin/v1/agencies')).json(), { code: 'QZ-ADMIN-KEY' })
  t.match(await call('GET', 'agencies'), { items: [{ code: 'civil' }, { code: 'water' }] })
  t.match(await call('POST', 'resources', { schema: villages() }), { version: 1 })
  t.match(await call('POST', 'resources', { schema: villages(), keep: 'both' }), { code: 'QZ-REQUEST-INVALID' })
  t.match(await call('POST', 'grants', { resource: 'villages', agency: 'water', items: ['name'], until: '2999-01-01' }), {
    id: 'villages.water',
  })
  t.match(await call('POST', 'grants', { resource: 'villages', agency: 'water', items: ['name'], until: 'soon' }), {
    code: 'QZ-REQUEST-INVALID',
  })
  t.match(await call('POST', 'grants/villages.water/suspend', { reason: 'x' }), { state: 'suspended', reason: 'x' })
  const { token } = await call('POST', 'tokens', { agency: 'civil', hours: 1 })
  t.match(JSON.parse(Buffer.from(String(token).slice('qzt1.'.length), 'base64url').toString()), {
    urls: ['https://hub'],
    hubKey: hubKey.publicKey,
    authority: certificate.authority,
    secret: String,
  })
  t.match(await call('GET', 'routes/x/explain'), { code: 'QZ-NOT-FOUND' })
  t.match(await call('POST', 'housekeeping'), { trimmed: {} })
})
