import pino from 'pino'
import t from 'tap'
import { WakeupRelay, Wakeups } from '../../../hub/store/wakeups.ts'
import { until } from '../../support/programs.ts'
import { databaseUrl } from '../office.ts'

t.test('a wake between looking and waiting is heard, once', async (t) => {
  const wakeups = new Wakeups()
  const heard = wakeups.listen(['stream:a', 'agent:b'])
  wakeups.wake('agent:b')
  wakeups.wake('stream:a')
  t.equal(await heard.wait(1000), true)
  t.equal(await heard.wait(5), false, 'time-out')
  const waiting = heard.wait(10_000)
  wakeups.wake('stream:other')
  wakeups.wake('stream:a')
  t.equal(await waiting, true)
  const abort = new AbortController()
  const aborted = heard.wait(10_000, abort.signal)
  abort.abort()
  t.equal(await aborted, false)
  t.equal(await heard.wait(10_000, abort.signal), false, 'aborted before')
  heard.close()
  wakeups.wake('stream:a')
  t.equal(await heard.wait(1), false, 'closed')
})

t.test('wakes reach the other hub processes of a store, also after the connection was lost', async (t) => {
  const url = await databaseUrl()
  const [here, there] = [new Wakeups(), new Wakeups()]
  const logger = pino({ level: 'silent' })
  const relays = [new WakeupRelay(url, here, logger), new WakeupRelay(url, there, logger)]
  t.teardown(() => Promise.all(relays.map((relay) => relay.close())))
  await Promise.all(relays.map((relay) => relay.start()))
  const heard = there.listen(['stream:a', `stream:${'long'.repeat(20)}`])
  for (let i = 0; i < 500; i++) here.wake(`stream:${i}${'x'.repeat(60)}`)
  here.wake('stream:a')
  t.equal(await heard.wait(5000), true)
  const { Client } = (await import('pg')).default
  const client = new Client(url)
  await client.connect()
  await client.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'qianzhi-hub wake-ups'`,
  )
  t.equal(await heard.wait(5000), true, 'everybody looks once when it is back')
  await until('a wake gets through', async () => {
    here.wake('stream:a')
    return heard.wait(100)
  })
  await client.end()
})
