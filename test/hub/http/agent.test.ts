import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import t from 'tap'
import { Agent, request } from 'undici'
import { agentPaths, decodeDelivery, deliveryMediaType, type HeadAnswer, type StoredAnswer } from '../../../protocol/api.ts'
import { batchMediaType } from '../../../protocol/batch.ts'
import type { Problem } from '../../../protocol/errors.ts'
import { gapKey } from '../../../protocol/gap.ts'
import { signRequest } from '../../../protocol/request.ts'
import { generateSigningKey, sha256 } from '../../../protocol/signature.ts'
import { AgentRequests } from '../../../hub/exchange/agent-requests.ts'
import { agentApi } from '../../../hub/http/agent.ts'
import { enrolApi } from '../../../hub/http/enrol.ts'
import { Refusals } from '../../../hub/http/refusals.ts'
import { createServer } from '../../../hub/http/server.ts'
import { carrying } from '../../../hub/registry/machines/agents.ts'
import { ownCertificate } from '../../../hub/tls.ts'
import { Listener } from '../../../hub/store/wakeups.ts'
import { hubStore } from '../../support/hub-store.ts'
import { findPostgres } from '../../support/postgres.ts'
import { until } from '../../support/programs.ts'
import { openBench, person, pollRequest, Provider, receiptFor, type TestAgent } from '../exchange/fixture.ts'

const server = await findPostgres()
t.teardown(() => server.stop())
const folder = await mkdtemp(join(tmpdir(), 'qianzhi-agent-api-'))
t.teardown(() => rm(folder, { recursive: true }))
const logger = pino({ level: 'silent' })
const certificate = await ownCertificate(folder, ['localhost'], new Date())
const dispatcher = new Agent({ connect: { rejectUnauthorized: false } })
t.teardown(() => dispatcher.close())

async function serve(t: { teardown(end: () => Promise<void>): void }, warned?: (line: string) => void) {
  const bench = await openBench(await hubStore(server), {}, warned && pino({ level: 'warn' }, { write: warned }))
  const registry = { store: bench.store, wakeups: bench.wakeups, clock: () => bench.time.now }
  const agents = [
    agentApi(
      bench.exchange,
      new AgentRequests({ ...bench, clock: () => bench.time.now }),
      carrying({ ...bench, clock: () => bench.time.now }),
    ),
  ]
  const app = await createServer({
    registry,
    logger,
    refusals: new Refusals(bench.store, logger),
    certificate,
    bodyLimit: 9 << 20,
    open: [enrolApi(registry, async () => ({ jws: bench.policy.jws }))],
    agents,
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(async () => {
    await app.close()
    await bench.close()
  })
  const url = `https://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  const send = async (agent: TestAgent, path: string, body?: Buffer | object, more: { type?: string; signal?: AbortSignal } = {}) => {
    const payload = Buffer.isBuffer(body) ? body : Buffer.from(body ? JSON.stringify(body) : '')
    const method = body ? 'POST' : 'GET'
    const signed = await signRequest({ method, path, body: payload }, agent.key, bench.time.now)
    const type = more.type ?? (Buffer.isBuffer(body) ? batchMediaType : 'application/json')
    const headers = { ...signed, ...(body && { 'content-type': type }) }
    const answer = await request(url + path, {
      method,
      headers,
      dispatcher,
      ...(body && { body: payload }),
      ...(more.signal && { signal: more.signal }),
    })
    const bytes = Buffer.from(await answer.body.arrayBuffer())
    return {
      status: answer.statusCode,
      type: String(answer.headers['content-type']),
      bytes,
      json: () => JSON.parse(bytes.toString()) as Partial<StoredAnswer & HeadAnswer & Problem>,
    }
  }
  const provider = new Provider(await bench.agent('provider', 'a'), await bench.resource('people', 'a'))
  const receiver = await bench.agent('receiver', 'b')
  await bench.route('r', 'people', receiver, ['name'])
  return { ...bench, provider, receiver, send, app }
}

t.test('the agents push, poll, acknowledge and look at their own stream', async (t) => {
  const { provider, receiver, send, store } = await serve(t)
  const batch = provider.snapshot([person(1)])
  const stored = await send(provider.agent, agentPaths.batches, batch.bytes)
  t.equal(stored.status, 200)
  t.ok(stored.json().receipt)
  const position = { epoch: 10, seq: 1, hash: batch.hash }
  t.same((await send(provider.agent, `${agentPaths.head}?resource=people`)).json(), { head: position, epoch: 10, producer: 'provider' })

  const polled = await send(receiver, agentPaths.poll, pollRequest([{ route: 'r' }]))
  t.equal(polled.type, deliveryMediaType)
  t.equal(decodeDelivery(polled.bytes).batches.length, 1)
  t.same((await send(receiver, agentPaths.receipts, { receipts: [receiptFor(receiver, 'r', position)] })).json(), {})
  t.same(await store.query('select seq from route'), [{ seq: '1' }])

  const own = async (query: string) =>
    decodeDelivery((await send(provider.agent, `${agentPaths.own}?resource=people${query}`)).bytes).batches.length
  t.equal(await own(''), 1)
  t.equal(await own('&epoch=10&seq=0'), 1)
  t.equal(await own('&epoch=10&seq=1'), 0)
})

t.test('an agent brings what another one of its agency has signed, and nothing else', async (t) => {
  const { provider, receiver, send, store, ...bench } = await serve(t)
  const carrier = await bench.agent('carrier', 'a')
  await store.query(`update resource set producer = 'provider'`)
  const batch = provider.snapshot([person(1)])
  const place = `${agentPaths.batches}?for=provider`
  t.equal((await send(carrier, agentPaths.batches, batch.bytes)).json().code, 'QZ-BATCH-SIGNATURE', 'in its own name it may not')
  t.equal((await send(receiver, place, batch.bytes)).json().code, 'QZ-AGENT-UNKNOWN', 'nor may another agency')
  t.equal((await send(carrier, `${agentPaths.batches}?for=receiver`, batch.bytes)).json().code, 'QZ-AGENT-UNKNOWN', 'nor for another one')
  const forged = provider.build([person(2)], { seq: 1, prev: null, kind: 'snapshot', snapshot: { began: 1, last: true } }, carrier.key)
  t.equal((await send(carrier, place, forged.bytes)).json().code, 'QZ-BATCH-SIGNATURE', 'the provider signs to the end')
  const stored = await send(carrier, place, batch.bytes)
  t.ok(stored.json().receipt)
  t.equal(
    (await send(provider.agent, agentPaths.batches, batch.bytes)).json().receipt,
    stored.json().receipt,
    'a repeat, whoever brings it',
  )
  t.same((await send(carrier, `${agentPaths.head}?resource=people&for=provider`)).json().head, { epoch: 10, seq: 1, hash: batch.hash })

  const another = await bench.agent('another', 'b')
  const polled = await send(another, `${agentPaths.poll}?for=receiver`, pollRequest([{ route: 'r' }]))
  t.same(decodeDelivery(polled.bytes).batches, [], 'deliveries are for the receiver itself')
  t.same(
    await store.query(`select actor, object, act from audit_entry where act = 'agent.carry' order by id`),
    [
      { actor: 'carrier', object: 'provider', act: 'agent.carry' },
      { actor: 'another', object: 'receiver', act: 'agent.carry' },
    ],
    'who carried for whom is on record, once a day',
  )
  await store.query(`update agent set state = 'revoked' where id = 'provider'`)
  t.equal((await send(carrier, place, batch.bytes)).json().code, 'QZ-AGENT-REVOKED')
})

t.test('an enrolment is carried with a word that the key itself has signed', async (t) => {
  const { send, store, ...bench } = await serve(t)
  const carrier = await bench.agent('carrier', 'a')
  const [inner, other] = [generateSigningKey(), generateSigningKey()]
  const word = (key = inner, publicKey = key.publicKey) =>
    gapKey.sign({ kind: 'gap-key', agent: '', publicKey, time: '2026-11-23T08:00:00Z' }, key)
  await store.query(`insert into enrolment_token (secret_hash, agency, expires_at) values ($1, 'a', '2099-01-01')`, [sha256('secret')])
  const ask = (carried: string) => ({ secret: 'secret', publicKey: inner.publicKey, name: 'inside', carried })
  t.equal((await send(carrier, agentPaths.enrol, ask(word(other)))).json().code, 'QZ-REQUEST-SIGNATURE')
  t.equal((await send(carrier, agentPaths.enrol, ask(word(other, inner.publicKey)))).json().code, 'QZ-REQUEST-SIGNATURE')
  const stranger = { ...carrier, key: generateSigningKey() }
  t.equal((await send(stranger, agentPaths.enrol, ask(word()))).json().code, 'QZ-AGENT-UNKNOWN')
  t.match((await send(carrier, agentPaths.enrol, ask(word()))).json(), { agent: /^a-/, agency: 'a', policy: 'policy 1' })
})

t.test('refusals are coded', async (t) => {
  const { provider, receiver, send } = await serve(t)
  const code = async (...[agent, path, body, more]: Parameters<typeof send>) => (await send(agent, path, body, more)).json().code
  t.equal(await code(provider.agent, agentPaths.batches, Buffer.from('nothing')), 'QZ-BATCH-FORMAT')
  t.equal(await code(provider.agent, agentPaths.batches, {}), 'QZ-REQUEST-INVALID', 'a batch must say that it is one')
  t.equal(await code(receiver, agentPaths.poll, { routes: [] }), 'QZ-REQUEST-INVALID')
  t.equal(await code(receiver, `${agentPaths.head}?resource=people`), 'QZ-SUPPLY-NOT-ALLOWED')
  t.equal(await code(provider.agent, `${agentPaths.own}?resource=people&epoch=x`), 'QZ-REQUEST-INVALID')
})

t.test('a report that is not understood holds no route', async (t) => {
  const warned: string[] = []
  const { provider, receiver, send, exchange, store, time } = await serve(t, (line) => warned.push(line))
  await provider.send(exchange, provider.snapshot([person(1)]))
  const sink = { route: 'r', resource: 'people', database: 'front', table: 't', state: 'flowing', position: null, rows: 0, quarantine: 1 }
  const refused = (keys: string[][], code = 'QZ-ROW-REFUSED') => [{ ...sink, refused: [{ code, keys: 1, examples: keys }] }]
  for (const sinks of [refused([['a\0']]), refused([['\ud800']]), refused([], 'C'.repeat(60)), [{ ...sink, quarantine: 2 ** 60 }], 'x']) {
    const sound = pollRequest([{ route: 'r' }])
    const answer = await send(receiver, agentPaths.poll, { ...sound, report: { ...sound.report, sinks } })
    t.equal(decodeDelivery(answer.bytes).batches.length, 1, JSON.stringify(sinks).slice(0, 80))
  }
  await until(
    'it was seen',
    async () => (await store.query(`select 1 from agent where id = 'receiver' and last_seen is not null`)).length === 1,
  )
  t.same(await store.query(`select report from agent where id = 'receiver'`), [{ report: null }])
  t.equal(warned.filter((line) => line.includes('not understood')).length, 1, 'told once')

  const session = (name: string) => {
    const request = pollRequest([])
    return send(receiver, agentPaths.poll, { ...request, report: { ...request.report, session: name } })
  }
  await session('sound')
  time.now = new Date(time.now.getTime() - 5000)
  await session('signed before')
  await exchange.close()
  t.match(await store.query(`select report ->> 'session' as session from agent where id = 'receiver'`), [{ session: 'sound' }])
  t.match((await send(receiver, agentPaths.poll, pollRequest([{ route: 'r\0' }]))).json(), { code: 'QZ-REQUEST-INVALID' })
})

t.test('a receipt that is none holds no other', async (t) => {
  const { provider, receiver, send, exchange, store } = await serve(t)
  const at = await provider.send(exchange, provider.snapshot([person(1)]))
  const far = receiptFor(receiver, 'r', { ...at, seq: 2 ** 60 })
  const receipts = ['none', far, receiptFor(receiver, 'r', at)]
  t.match((await send(receiver, agentPaths.receipts, { receipts })).json(), { code: 'QZ-REQUEST-INVALID' })
  t.same(await store.query(`select seq from route where id = 'r'`), [{ seq: '1' }])
})

t.test('answers are taken from the agent that was asked, within their limit', async (t) => {
  const { provider, receiver, send, store, time } = await serve(t)
  const add = 'insert into ask (id, agent, statement, expires_at) values ($1, $2, $1, $3)'
  await store.query(add, ['ask', 'provider', new Date(time.now.getTime() + 1000)])
  const answer = (box: string) => ({ ask: 'ask', key: 'k', nonce: 'n', box })
  const code = async (...[agent, path, body]: Parameters<typeof send>) => (await send(agent, path, body)).json().code
  t.equal(await code(receiver, agentPaths.answers, answer('b')), 'QZ-ASK-CLOSED')
  t.equal(await code(provider.agent, agentPaths.answers, answer('b'.repeat(1 << 20))), 'QZ-BATCH-LIMIT')
  t.equal(await code(provider.agent, agentPaths.answers, { ask: 'ask' }), 'QZ-REQUEST-INVALID')
  t.same((await send(provider.agent, agentPaths.answers, answer('b'))).json(), {})
  t.same(await store.query('select answer from ask'), [{ answer: answer('b') }])
})

t.test('a poll whose agent hangs up stops waiting', async (t) => {
  const { receiver, send, wakeups } = await serve(t)
  await send(receiver, agentPaths.poll, pollRequest([{ route: 'r' }]))
  const listened = Promise.withResolvers<Listener>()
  const listen = wakeups.listen.bind(wakeups)
  wakeups.listen = (topics) => {
    const listener = listen(topics)
    if (topics.includes('stream:people')) listened.resolve(listener)
    return listener
  }
  const hangUp = new AbortController()
  const polled = send(receiver, agentPaths.poll, pollRequest([{ route: 'r' }], { wait: 60 }), { signal: hangUp.signal }).catch(
    () => 'hung up',
  )
  const listener = await listened.promise
  const closed = new Promise((resolve) => {
    const close = listener.close.bind(listener)
    listener.close = () => resolve(close())
  })
  hangUp.abort()
  t.equal(await polled, 'hung up')
  await closed
  t.pass('nobody listens any more')
})

t.test('waiting polls are answered when the hub stops', async (t) => {
  const { receiver, send, app } = await serve(t)
  await send(receiver, agentPaths.poll, pollRequest([{ route: 'r' }]))
  const polled = send(receiver, agentPaths.poll, pollRequest([{ route: 'r' }], { wait: 60 }))
  await once(app.server, 'request')
  const started = performance.now()
  await app.close()
  t.equal(decodeDelivery((await polled).bytes).batches.length, 0)
  t.ok(performance.now() - started < 10_000)
})
