/** Asking agents: through the polls of any hub process, answered once, sealed; without HTTP. */
import pino from 'pino'
import t from 'tap'
import { decodeDelivery } from '../../../protocol/api.ts'
import { failure, openAsk, sealAnswer, type Ask, type Outcome, type TablesAnswer } from '../../../protocol/asks.ts'
import { QianzhiError } from '../../../protocol/errors.ts'
import { AgentRequests } from '../../../hub/exchange/agent-requests.ts'
import { Exchange } from '../../../hub/exchange.ts'
import { applyRetention } from '../../../hub/exchange/retention.ts'
import { openPostgresLog } from '../../../hub/logs/postgres.ts'
import { openStore } from '../../../hub/store/store.ts'
import { WakeupRelay, Wakeups } from '../../../hub/store/wakeups.ts'
import { hubStore } from '../../support/hub-store.ts'
import { findPostgres } from '../../support/postgres.ts'
import { openBench, pollRequest, untilItWaits, type Bench, type TestAgent } from './fixture.ts'

const server = await findPostgres()
t.teardown(() => server.stop())

const describe = { kind: 'describe' } as const
const tables: TablesAnswer = {
  tables: [{ database: 'front', table: 'geheim', view: false, comment: '名录', rows: 3 }],
  more: false,
  faults: [],
}
const never = new AbortController().signal
const logger = pino({ level: 'silent' })

async function open(t: { teardown(end: () => Promise<void>): void }) {
  const url = await hubStore(server)
  const bench = await openBench(url)
  t.teardown(() => bench.close())
  const asks = new AgentRequests({ ...bench, clock: () => bench.time.now })
  const agent = await bench.agent('civil-1', 'civil')
  return { url, bench, asks, agent }
}

/** What an agent reads in the answer to its next poll. */
async function asked(bench: Bench, agent: TestAgent, exchange: Exchange = bench.exchange, wait = 0): Promise<Ask[]> {
  const { header } = decodeDelivery(await exchange.poll(agent, pollRequest([], { wait }), never))
  return (header.asks ?? []).map((jws) => openAsk(jws, bench.hubKey.publicKey, agent.id, bench.time.now)!)
}

async function firstAsk(bench: Bench, agent: TestAgent): Promise<Ask> {
  for (;;) {
    const [ask] = await asked(bench, agent, bench.exchange, 10)
    if (ask) return ask
  }
}

const sealed = (ask: Ask, outcome: Outcome = { answer: tables }) => sealAnswer(ask, outcome)

t.test('an ask wakes the waiting poll, and its answer comes back sealed', async (t) => {
  const { bench, asks, agent } = await open(t)
  await asked(bench, agent)
  const { ends } = await untilItWaits(bench.wakeups, `agent:${agent.id}`, () => asked(bench, agent, bench.exchange, 60))
  const answering = asks.ask(agent.id, describe)
  const [ask] = await ends
  t.match(ask, { kind: 'describe', agent: agent.id })
  await asks.answer(agent, sealed(ask!))
  t.same(await answering, tables)
  t.same(await bench.store.query('select * from ask'), [], 'nothing is left of it')
})

t.test('what lies in the store can be read by nobody', async (t) => {
  const { bench, asks, agent } = await open(t)
  const stored: string[] = []
  const { query } = bench.store
  const watching = new AgentRequests({
    ...bench,
    clock: () => bench.time.now,
    store: {
      query: async <T>(text: string, values?: readonly unknown[]): Promise<T[]> => {
        const rows = await query<T>(text, values)
        stored.push(JSON.stringify([values, await query('select * from ask')]))
        return rows
      },
    },
  })
  const answering = watching.ask(agent.id, describe)
  const ask = await firstAsk(bench, agent)
  await asks.answer(agent, sealed(ask))
  t.same(await answering, tables)
  t.ok(
    stored.some((text) => text.includes('"box"')),
    'the answer went through the store',
  )
  t.notOk(stored.some((text) => text.includes('geheim') || text.includes(Buffer.from('geheim').toString('base64'))))
  const [row] = await query<{ unlogged: string }>(`select relpersistence as unlogged from pg_class where relname = 'ask'`)
  t.equal(row?.unlogged, 'u')
})

t.test('asked by one hub process, polled and answered at another', async (t) => {
  const { url, bench, asks, agent } = await open(t)
  const here = new WakeupRelay(url, bench.wakeups, logger)
  await here.start()
  t.teardown(() => here.close())
  const store = await openStore(url)
  t.teardown(() => store.close())
  const wakeups = new Wakeups()
  const there = new WakeupRelay(url, wakeups, logger)
  await there.start()
  t.teardown(() => there.close())
  const clock = () => bench.time.now
  const parts = {
    store,
    wakeups,
    hubKey: bench.hubKey,
    clock,
    logger,
    log: openPostgresLog(store),
    policyFor: async () => ({ ...bench.policy }),
  }
  const exchange = new Exchange(parts)
  t.teardown(() => exchange.close())
  const other = new AgentRequests(parts)

  await asked(bench, agent, exchange)
  const { ends } = await untilItWaits(wakeups, `agent:${agent.id}`, () => asked(bench, agent, exchange, 60))
  const began = performance.now()
  const answering = asks.ask(agent.id, describe)
  const [ask] = await ends
  await other.answer(agent, sealed(ask!))
  t.same(await answering, tables)
  t.ok(performance.now() - began < 900, 'both were woken, neither waited for its next look')
})

t.test('only the agent asked can answer, once, and in time', async (t) => {
  const { bench, asks, agent } = await open(t)
  const stranger = await bench.agent('water-1', 'water')
  const answering = asks.ask(agent.id, describe)
  const ask = await firstAsk(bench, agent)
  t.same(await asked(bench, stranger), [], 'nobody else is told')
  await t.rejects(asks.answer(stranger, sealed(ask)), { code: 'QZ-ASK-CLOSED' })
  await t.rejects(asks.answer(agent, sealed({ ...ask, ask: 'another' })), { code: 'QZ-ASK-CLOSED' })
  await asks.answer(agent, sealed(ask))
  await t.rejects(asks.answer(agent, sealed(ask, failure(new Error('x')))), { code: 'QZ-ASK-CLOSED' })
  t.same(await answering, tables)
  await t.rejects(asks.answer(agent, sealed(ask)), { code: 'QZ-ASK-CLOSED' })

  const late = asks.ask(agent.id, describe, { timeout: 1500 })
  const second = await firstAsk(bench, agent)
  bench.time.now = new Date(bench.time.now.getTime() + 1500)
  await t.rejects(asks.answer(agent, sealed(second)), { code: 'QZ-ASK-CLOSED' })
  t.same(await asked(bench, agent), [], 'an expired ask is told no more')
  await t.rejects(late, { code: 'QZ-ASK-UNANSWERED' })
})

t.test('an ask is news once, and that it was answered is none', async (t) => {
  const { bench, asks, agent } = await open(t)
  await asked(bench, agent)
  const answering = asks.ask(agent.id, describe)
  const ask = await firstAsk(bench, agent)
  const { ends } = await untilItWaits(bench.wakeups, `agent:${agent.id}`, () => asked(bench, agent, bench.exchange, 0.3))
  t.equal((await ends).length, 1, 'it waited, and says it again')
  await asks.answer(agent, sealed(ask))
  await answering
  const began = performance.now()
  await asked(bench, agent, bench.exchange, 0.3)
  t.ok(performance.now() - began >= 290, 'nothing new: the poll waits')
})

t.test('the agent’s own error is passed on', async (t) => {
  const { bench, asks, agent } = await open(t)
  const answering = asks.ask(agent.id, { kind: 'describe', table: 'nowhere' })
  const ask = await firstAsk(bench, agent)
  await asks.answer(agent, sealed(ask, failure(new QianzhiError('QZ-SOURCE-TABLE', { table: 'nowhere', reason: 'it does not exist' }))))
  await t.rejects(answering, { code: 'QZ-SOURCE-TABLE', details: { table: 'nowhere' } })
})

t.test('where no answer comes, the error says who must act', async (t) => {
  const { bench, asks, agent } = await open(t)
  const short = { timeout: 50 }
  await t.rejects(asks.ask(agent.id, describe, short), { code: 'QZ-ASK-AWAY', details: { agent: agent.id, seen: { en: 'never' } } })
  await bench.store.query('update agent set last_seen = $1', [new Date(bench.time.now.getTime() - 60_000)])
  await t.rejects(asks.ask(agent.id, describe, { timeout: 1000 }), { code: 'QZ-ASK-UNANSWERED', details: { agent: agent.id, seconds: 1 } })
  const seen = new Date(bench.time.now.getTime() - 80_000)
  await bench.store.query('update agent set last_seen = $1', [seen])
  await t.rejects(asks.ask(agent.id, describe, short), { code: 'QZ-ASK-AWAY', details: { seen: seen.toISOString() } })
  await t.rejects(asks.ask('nobody', describe, short), { code: 'QZ-NOT-FOUND' })
  await bench.store.query(`update agent set state = 'revoked'`)
  await t.rejects(asks.ask(agent.id, describe, short), { code: 'QZ-AGENT-REVOKED' })
  t.same(await bench.store.query('select * from ask'), [])
})

t.test('whoever asks may give up; nobody can ask too much', async (t) => {
  const { bench, asks, agent } = await open(t)
  const giveUp = new AbortController()
  const many = Array.from({ length: 8 }, () =>
    asks.ask(agent.id, describe, { signal: giveUp.signal }).catch((error: unknown) => String(error)),
  )
  const open8 = async () => (await bench.store.query('select from ask')).length === 8
  while (!(await open8()));
  await t.rejects(asks.ask(agent.id, describe), { code: 'QZ-HUB-BUSY' })
  t.equal((await asked(bench, agent)).length, 8)
  giveUp.abort(new Error('given up'))
  t.same(new Set(await Promise.all(many)), new Set(['Error: given up']))
  t.same(await bench.store.query('select * from ask'), [])
})

t.test('what a process that died left behind is dropped', async (t) => {
  const { bench } = await open(t)
  const add = `insert into ask (id, agent, statement, expires_at) values ($1, 'civil-1', 'x', $2)`
  await bench.store.query(add, ['old', new Date(bench.time.now.getTime() - 1)])
  await bench.store.query(add, ['young', new Date(bench.time.now.getTime() + 1)])
  const rules = { retention: 1, lapse: 1, snapshotFactor: 1 }
  await applyRetention({ ...bench, rules, logger, recorded: async () => null, clock: () => bench.time.now })
  t.same(await bench.store.query('select id from ask'), [{ id: 'young' }])
})
