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

void t.test('batches are as old as the clock of the hub says, whatever that of the store', async (t) => {
  const store = await openStore(await hubStore(server))
  t.teardown(() => store.close())
  let now = new Date('2031-03-01T00:00:00Z')
  const log = openPostgresLog(store, { clock: () => now })
  const [one, two] = [newBatch('r', 1, 1), newBatch('r', 1, 2)]
  await log.append(one, null)
  now = new Date('2031-03-05T00:00:00Z')
  await log.append(two, { epoch: one.epoch, seq: one.seq, hash: one.hash })
  t.same((await store.query<{ stored_at: Date }>('select stored_at from log_stream'))[0]!.stored_at, now)
  const before = { epoch: 2, seq: 1 }
  t.equal(await log.trim('r', before, new Date('2031-02-28T00:00:00Z')), 0)
  t.equal(await log.trim('r', before, new Date('2031-03-02T00:00:00Z')), 1)
  t.equal(await log.trim('r', before, new Date('2031-03-06T00:00:00Z')), 1)
})

void t.test('recent bodies are bounded in bytes of memory, whatever they are parts of', (t) => {
  const [limit, many] = [1 << 20, 10_000]
  const recent = new RecentBatches(limit)
  // As a body comes from a request: a part of a buffer that others use too.
  for (let i = 0; i < many; i++) recent.put(`${i}`, Buffer.alloc(65_536, i % 256).subarray(100, 600))
  const kept = Array.from({ length: many }, (_, i) => recent.get(`${i}`))
  const held = kept.reduce((sum, body) => sum + (body?.buffer.byteLength ?? 0), 0)
  t.ok(held <= limit && held > limit / 4, `${held} bytes are held`)
  t.notOk(kept.slice(kept.findIndex(Boolean)).includes(undefined), 'the newest ones')
  t.ok(kept.every((body, i) => body === undefined || body.equals(Buffer.alloc(500, i % 256))))
  const own = Buffer.allocUnsafeSlow(2048)
  recent.put('own', own)
  t.equal(recent.get('own'), own, 'what stands alone is not copied')
  recent.put('large', Buffer.alloc(limit + 1))
  t.equal(recent.get('large'), undefined)
  t.ok(recent.get(`${many - 1}`))
  t.end()
})
