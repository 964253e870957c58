import Fastify from 'fastify'
import t from 'tap'
import { checkHealth, healthApi, keepHealth } from '../../../hub/status/health.ts'
import { tmpdir } from 'node:os'
import { enrolled, openOffice } from '../office.ts'
import type { Health } from '../../../hub/records/problem.ts'

const problem = { code: 'QZ-HEALTH-HELD', zh: '来源 people（agent-1）已停止：身份证号 441900199001011234', en: 'Source people is held' }

t.test('however many ask, the hub is looked at once', async (t) => {
  let looks = 0
  const looking = Promise.withResolvers<Health>()
  const kept = keepHealth(() => (looks++, looking.promise))
  const asked = Array.from({ length: 100 }, () => kept.current())
  looking.resolve({ status: 'ok', problems: [], paused: [] })
  await Promise.all(asked)
  await kept.current()
  t.equal(looks, 1)
})

t.test('a stranger reads a word and a number', async (t) => {
  const answer = async (status: Health['status']) => {
    const app = Fastify()
    t.teardown(() => app.close())
    const kept = keepHealth(async () => ({ status, problems: [problem, problem], paused: [problem] }))
    await app.register(healthApi(kept) as never)
    const { statusCode, body } = await app.inject('/health')
    return { statusCode, body }
  }
  t.same(await answer('degraded'), { statusCode: 200, body: '{"status":"degraded","problems":2}' })
  t.same(await answer('down'), { statusCode: 503, body: '{"status":"down","problems":2}' })
})

t.test('what an office decided is no fault of the exchange', async (t) => {
  const office = await openOffice(t)
  const { id } = await enrolled(office, 'water')
  const sink = (route: string, code: string) => ({ route, state: 'held', fault: { code, zh: code, en: code } })
  const look = async (...sinks: object[]) => {
    await office.store.query('update agent set report = $2, last_seen = $3 where id = $1', [
      id,
      JSON.stringify({ sources: [], sinks }),
      office.now,
    ])
    return checkHealth({ store: office.store, data: tmpdir(), clock: office.clock, lapse: 7, mail: false, reconciled: 'nightly' } as never)
  }
  const all = (await look(sink('r1', 'QZ-ROUTE-ENDED'), sink('r2', 'QZ-DB-RIGHTS'))).problems.filter(
    ({ code }) => !code.startsWith('QZ-HEALTH'),
  )
  t.match(all, [{ code: 'QZ-DB-RIGHTS', zh: /r2/ }], 'a suspended, revoked, stopped or withdrawn one is lawful')
  t.equal(all.length, 1)
})
