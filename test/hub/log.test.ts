import t from 'tap'
import { RecentBatches } from '../../hub/logs/postgres-recent.ts'
import { openPostgresLog } from '../../hub/logs/postgres.ts'
import { openStore } from '../../hub/store/store.ts'
import { hubStore } from '../support/hub-store.ts'
import { findPostgres } from '../support/postgres.ts'
import { newBatch, testLog } from './log-conformance.ts'

const server = await findPostgres()
t.teardown(() => server.stop())

void t.test('log in PostgreSQL', (t) => {
  testLog(t as unknown as typeof import('tap').default, async () => {
    const store = await openStore(await hubStore(server))
    return {
      name: 'postgres',
      open: async () => openPostgresLog(store),
      age: async (resource, days) => {
        await store.query(`update log_batch set stored_at = stored_at - make_interval(days => $2) where resource = $1`, [resource, days])
      },
      close: () => store.close(),
    }
  })
  t.end()
})

void t.test('a body comes from memory only for the very batch that is in the store', async (t) => {
  const store = await openStore(await hubStore(server))
  t.teardown(() => store.close())
  const log = openPostgresLog(store)
  const batch = newBatch('r', 1, 1)
  await log.append(batch, null)
  const restored = newBatch('r', 1, 1)
  await store.query('update log_batch set hash = $1, batch = $2', [restored.hash, restored.bytes])
  const [read] = await log.read('r', null, 1e6)
  t.ok(read!.bytes.equals(restored.bytes))
})

void t.test('recent bodies are bounded in bytes', (t) => {
  const recent = new RecentBatches(1000)
  for (let i = 0; i < 10; i++) recent.put(`${i}`, Buffer.alloc(300))
  t.same(
    Array.from({ length: 10 }, (_, i) => recent.get(`${i}`) !== undefined),
    [...Array(7).fill(false), true, true, true],
  )
  recent.put('large', Buffer.alloc(1001))
  t.equal(recent.get('large'), undefined)
  t.ok(recent.get('9'))
  t.end()
})
