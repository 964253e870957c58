import t from 'tap'
import type { AgentReport, SinkReport, SourceReport } from '../../../protocol/api.ts'
import { explainRoute, showExplanation } from '../../../hub/lines/explain.ts'
import { hubStore } from '../../support/hub-store.ts'
import { findPostgres } from '../../support/postgres.ts'
import { openBench, person, poll, pollRequest, Provider, receiptFor } from '../exchange/fixture.ts'

const server = await findPostgres()
t.teardown(() => server.stop())

const fault = { code: 'QZ-DB-UNREACHABLE', zh: '数据库 main 无法使用', en: 'Database main cannot be used', since: '2026-11-23T07:00:00Z' }

void t.test('says where the data of a route are, and whose turn it is', async (t) => {
  const bench = await openBench(await hubStore(server))
  t.teardown(() => bench.close())
  const { store, log, time } = bench
  const provider = new Provider(await bench.agent('sender', 'a'), await bench.resource('people', 'a'))
  const receiver = await bench.agent('receiver', 'b')
  await bench.route('r', 'people', receiver, ['name'])

  const source: SourceReport = {
    resource: 'people',
    database: 'main',
    state: 'flowing',
    waiting: 0,
    position: null,
    rows: 0,
    quarantine: 0,
  }
  const sink: SinkReport = {
    route: 'r',
    resource: 'people',
    database: 'main',
    table: 'people',
    state: 'flowing',
    position: null,
    rows: 0,
    quarantine: 0,
  }
  const report = async (agent: string, more: Partial<AgentReport>) => {
    const full = { version: '0', session: 's', clockOffset: 0, sources: [], sinks: [], ...more }
    await store.query('update agent set report = $2, last_seen = $3 where id = $1', [agent, JSON.stringify(full), time.now])
  }
  const explain = () => explainRoute(store, log, 'r', { now: time.now, lapse: 7 })
  const turn = async (expected: object, why: string) => {
    const explanation = await explain()
    t.match(explanation.turn, expected, why)
    t.ok(showExplanation(explanation, 'zh').endsWith(explanation.turn.zh))
    t.ok(showExplanation(explanation, 'en').endsWith(explanation.turn.en))
  }

  await turn({ who: 'operator', agency: 'a', en: /Start agent sender/ }, 'the source agent was never there')
  await store.query(`update agent set last_seen = $1 where id = 'sender'`, [time.now])
  await turn({ who: 'nobody', en: /is connected, and tells of its lines/ }, 'it has no policy yet')
  await report('sender', {})
  await turn({ who: 'operator', agency: 'a', en: /Configure a source/ }, 'it has no source')
  await report('sender', { sources: [{ ...source, fault }] })
  await turn({ who: 'operator', agency: 'a', zh: /数据库 main 无法使用.*QZ-DB-UNREACHABLE/ }, 'its source has a fault')
  await report('sender', { sources: [{ ...source, state: 'paused' }] })
  await turn({ who: 'operator', agency: 'a', en: /resume people/ }, 'it is paused')
  t.match(showExplanation(await explain(), 'zh'), /已暂停/)
  await report('sender', { sources: [source] })
  await turn({ who: 'operator', agency: 'b', en: /Start agent receiver/ }, 'the receiver was never there')
  await store.query(`update agent set last_seen = $1 where id = 'receiver'`, [time.now])
  await turn({ who: 'nobody', en: /Agent receiver of .* is connected/ }, 'nor has it')
  await report('receiver', {})
  await turn({ who: 'operator', agency: 'b', en: /Configure a sink/ }, 'it has no sink')
  await report('receiver', { sinks: [{ ...sink, fault }] })
  await turn({ who: 'operator', agency: 'b', en: /Database main cannot be used/ }, 'its sink has a fault')
  await report('receiver', { sinks: [{ ...sink, state: 'paused' }] })
  await turn({ who: 'operator', agency: 'b', en: /resume r / }, 'its route is paused')
  await report('receiver', { sinks: [sink] })
  await turn({ who: 'nobody', en: /about to send a snapshot/ }, 'nothing has come yet')
  await report('sender', { sources: [{ ...source, state: 'loading', snapshot: { rows: 40, total: 100, waits: 'window' } }] })
  await turn({ who: 'nobody', en: /hours/ }, 'its snapshot waits for the night')
  await report('sender', { sources: [{ ...source, state: 'loading', snapshot: { rows: 40, total: 100, rate: 20, left: 3 } }] })
  t.match(showExplanation(await explain(), 'en'), /40 of 100 rows, 20 rows\/s, about 3 s left/)

  const head = await provider.send(bench.exchange, provider.snapshot([person(1)]))
  await turn({ who: 'nobody', en: /fetching/ }, 'it was not fetched yet')
  await poll(bench.exchange, receiver, pollRequest([{ route: 'r', after: head }]), [provider.agent])
  await bench.exchange.close()
  await report('receiver', { sinks: [sink] })
  t.match(await explain(), { receiver: { delivered: { epoch: 10, seq: 1 }, applied: null } })
  await turn({ who: 'nobody', en: /applying/ }, 'it was fetched')
  await store.query(`update route set moved_at = $1`, [new Date(time.now.getTime() - 8 * 86_400_000)])
  await turn({ who: 'operator', agency: 'b', en: /has not moved/ }, 'for days')
  t.equal((await explain()).receiver.lapsed, true)

  await bench.exchange.receipts(receiver, [receiptFor(receiver, 'r', head, { quarantine: 4 })])
  await turn({ who: 'receiver', agency: 'b', en: /4 keys/ }, 'keys lie in the quarantine of the receiver')
  await report('sender', { sources: [{ ...source, quarantine: 2 }] })
  await turn({ who: 'provider', agency: 'a', en: /2 keys/ }, 'and of the source')
  const settled = [
    { id: '2', file: '秘密.csv', time: '2026-11-23T07:58:00Z', code: 'QZ-ROW-VALUE', rows: 3, bad: 1 },
    { id: '1', file: '好.csv', time: '2026-11-23T07:50:00Z' },
  ]
  const counts = { waiting: 0, taken: 1, refused: 1 }
  await report('sender', { sources: [{ ...source, quarantine: 2, files: { ...counts, settled } }] })
  await turn({ who: 'provider', agency: 'a', en: /newest file of a was refused \(QZ-ROW-VALUE\)/ }, 'the newest file was refused')
  t.match(showExplanation(await explain(), 'zh'), /最近的文件被退回：QZ-ROW-VALUE，3 行中 1 行有误（2026-11-23 15:58:00）/)
  t.notMatch(JSON.stringify(await explain()), /秘密/, 'receivers read this too: no name')
  await report('sender', { sources: [{ ...source, quarantine: 2, files: { ...counts, settled: settled.toReversed() } }] })
  await turn({ who: 'provider', agency: 'a', en: /2 keys/ }, 'a good one has come since')
  await store.query('update route set quarantine = 0')
  await report('sender', { sources: [{ ...source, waiting: 12, oldest: '2026-11-23T07:59:00Z' }] })
  await turn({ who: 'nobody', en: /sending/ }, 'keys wait')
  await report('sender', { sources: [source] })
  await report('receiver', { sinks: [{ ...sink, reached: '2026-11-23T07:59:48Z' }] })
  await turn({ who: 'nobody', en: /up to date/ }, 'all is well')
  t.match(await explain(), { asOf: '2026-11-23T07:59:48Z', age: 12, hub: { head }, receiver: { applied: head, lapsed: false } })

  await store.query(`update stream set snapshot_wanted = true`)
  await turn({ who: 'nobody', en: /snapshot/ }, 'a snapshot is wanted')
  time.now = new Date(time.now.getTime() + 4 * 60_000)
  await turn({ who: 'operator', agency: 'a', en: /Start agent sender/ }, 'the source agent went silent')
  await bench.agent('second', 'a')
  await turn({ who: 'operator', agency: 'a', en: /Start agent sender/ }, 'who made the stream goes on supplying it')
  await store.query(`update stream set producer = 'receiver'`)
  await turn({ who: 'provider', agency: 'a', en: /no agent that supplies/ }, 'it is not clear who supplies')
  await store.query(`update resource set supply_mode = 'form'`)
  await turn({ who: 'operator', agency: 'b', en: /Start agent receiver/ }, 'people enter its rows: no agent of the source is missed')
  t.match(showExplanation(await explain(), 'zh'), /来源 a 在线填报/)
  await store.query(`update resource set supply_mode = 'front-end'`)
  await store.query(`update agent set state = 'revoked' where id = 'receiver'`)
  await turn({ who: 'operator', agency: 'b', en: /is revoked: agency IT of b applies/ }, 'the receiver was revoked')
  await store.query(`update access_grant set state = 'held'`)
  await turn({ who: 'receiver', agency: 'b', zh: /接受/, en: /accepts the new version/ }, 'a version waits to be accepted')
  await store.query(`update access_grant set state = 'active'`)
  await store.query(`update access_grant set valid_to = $1`, [time.now])
  await turn({ who: 'receiver', agency: 'b', zh: /不会自动恢复.*重新申请/, en: /^expired\. Then: .*applies anew/ }, 'the grant has ended')
  await t.rejects(explainRoute(store, log, 'none'), { code: 'QZ-NOT-FOUND' })
})

void t.test('a command of an agent is not the agent; without a policy it cannot tell of its lines', async (t) => {
  const bench = await openBench(await hubStore(server))
  const { store, time, exchange } = bench
  t.teardown(() => bench.close())
  const [command, fresh, told] = [await bench.agent('command', 'a'), await bench.agent('fresh', 'a'), await bench.agent('told', 'a')]
  await poll(exchange, command, pollRequest([], { command: true }))
  await poll(exchange, fresh, pollRequest([], { policy: 0 }))
  await poll(exchange, told, pollRequest([]))
  await exchange.close()
  const heard = await store.query(`select id, last_seen = $1 as seen, report is not null as told from agent order by id`, [time.now])
  t.same(heard, [
    { id: 'command', seen: null, told: false },
    { id: 'fresh', seen: true, told: false },
    { id: 'told', seen: true, told: true },
  ])
})
