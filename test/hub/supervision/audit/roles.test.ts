/** The role that the hub runs with cannot change what is on record; with it the hub does all that it does. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import t from 'tap'
import { loadConfig } from '../../../../hub/config.ts'
import { startHub } from '../../../../hub/hub.ts'
import { addAgency } from '../../../../hub/registry/agencies/agencies.ts'
import { writeAudit } from '../../../../hub/records/audit.ts'
import { openStore, type Store } from '../../../../hub/store/store.ts'
import { seal } from '../../../../hub/supervision/audit/sealer.ts'
import { startPostgres } from '../../../support/postgres.ts'
import { openClient } from '../../../support/client.ts'
import { freePort } from '../../../support/server.ts'
import { storeUrl, refusal } from '../../office.ts'

const logger = pino({ level: 'silent' })

/** Everything by which somebody could change the record; of each the first refusal is what counts. */
const attempts = [
  `update audit_entry set outcome = 'x'`,
  'delete from audit_entry',
  'truncate audit_entry cascade',
  `update audit_seal set hash = 'x'`,
  'delete from audit_seal where false',
  'truncate audit_seal',
  'update audit_unsealed set entry = entry + 1',
  'truncate audit_unsealed',
  'delete from audit_unsealed',
]
/** What only the owner may try. */
const ownersAttempts = [
  'alter table audit_entry disable trigger all',
  'drop trigger insert_only on audit_entry',
  'drop table audit_seal',
  'create or replace function audit_refuse() returns trigger language plpgsql as $$ begin return null; end $$',
  `update migration set checksum = 'x'`,
]

/** Each in a transaction in which an entry waits for its seal. */
async function refusedAll(t: Tap, store: Store, statements: readonly string[]): Promise<void> {
  for (const statement of statements) {
    const attempt = store.transaction(async (query) => {
      await writeAudit(query, { actor: 'admin', act: 'test', object: 'waits' })
      await query(statement)
    })
    const refused = await attempt.then(
      () => 'done',
      (error: { code?: string }) => error.code,
    )
    t.equal(refused, '42501', statement)
  }
}
type Tap = Pick<typeof t, 'equal' | 'teardown' | 'same'>

t.test('one role for everything: triggers refuse it the change, also in the guise of a replica', async (t) => {
  const store = await openStore(await storeUrl())
  t.teardown(() => store.close())
  await refusedAll(t, store, attempts)
  await writeAudit(store.query, { actor: 'admin', act: 'test', object: 'b' })
  await store.transaction(async (query) => {
    await query('set local session_replication_role = replica')
    await query('savepoint before')
    for (const statement of attempts) {
      await t.rejects(query(statement), { code: '42501' }, statement)
      await query('rollback to before')
    }
  })
})

t.test('a store of its own: the hub serves with a role that has no right to the change', async (t) => {
  const data = await mkdtemp(join(tmpdir(), 'qianzhi-roles-'))
  t.teardown(() => rm(data, { recursive: true, force: true }))
  const config = { ...loadConfig('/nowhere.yaml', { optional: true }), data, listen: { host: '127.0.0.1', port: await freePort() } }
  const hub = await startHub(config, { logger })
  t.teardown(() => hub.close())
  const { store } = hub.registry
  t.same(await store.query('select current_user'), [{ current_user: 'qianzhi_hub' }])
  await addAgency(hub.registry, 'admin', { code: 'civil', name: '民政局' })
  await refusedAll(t, store, [...attempts, ...ownersAttempts])
  t.ok(await seal(store), 'and goes on sealing')
})

t.test('a given store with an owner', async (t) => {
  const server = await startPostgres({ settings: { fsync: 'off' } })
  t.teardown(() => server.stop())
  const admin = await openClient(server.url())
  t.teardown(() => admin.end())
  for (const role of ['owner', 'hub', 'cousin']) await admin.query(`create role ${role} login password 'x'`)
  await admin.query('grant owner to cousin')
  await admin.query('create database shared owner owner')
  const neighbour = await openClient(server.url('shared'))
  for (const sql of ['create schema other', 'create table other.theirs (x int)', 'create table public.also_theirs (x int)'])
    await neighbour.query(sql)
  await neighbour.end()
  const url = (role: string) => `postgres://${role}:x@127.0.0.1:${server.port}/shared`

  const store = await openStore(url('hub'), { owner: url('owner') })
  t.teardown(() => store.close())
  await writeAudit(store.query, { actor: 'admin', act: 'test', object: 'a' })
  await refusedAll(t, store, [...attempts, ...ownersAttempts])
  t.match(await seal(store), { seq: 1 })
  const tables = `select count(*)::int as all, count(*) filter (where has_table_privilege(c.oid, 'update'))::int as changeable
    from pg_class c where relkind = 'r' and relowner = 'owner'::regrole`
  const [rights] = await store.query<{ all: number; changeable: number }>(tables)
  const [kept] = await store.query<{ n: number }>(`select count(*)::int as n from pg_trigger where tgname = 'insert_only'`)
  t.equal(rights!.changeable, rights!.all - kept!.n - 1, 'all but the insert-only ones and the migrations')

  await t.rejects(store.query('select from other.theirs'), { code: '42501' }, 'what else lives there is not touched')

  for (const strong of ['owner', 'cousin', 'postgres']) {
    t.equal(await refusal(openStore(url(strong), { owner: url('owner') })), 'QZ-CONFIG', `${strong} is too strong to serve`)
  }
  const again = await openStore(url('hub'), { owner: url('owner') })
  await again.close()
})

t.test('two hubs on one store with the weaker role', async (t) => {
  const server = await startPostgres({ settings: { fsync: 'off' } })
  t.teardown(() => server.stop())
  const admin = await openClient(server.url())
  t.teardown(() => admin.end())
  for (const role of ['owner', 'hub']) await admin.query(`create role ${role} login`)
  await admin.query('create database shared owner owner')
  const data = await mkdtemp(join(tmpdir(), 'qianzhi-roles-'))
  t.teardown(() => rm(data, { recursive: true, force: true }))
  const url = (role: string) => `postgres://${role}@127.0.0.1:${server.port}/shared`
  const start = async () => {
    const listen = { host: '127.0.0.1', port: await freePort() }
    const config = { ...loadConfig('/nowhere.yaml', { optional: true }), data, listen, store: url('hub'), storeOwner: url('owner') }
    const hub = await startHub(config, { logger })
    t.teardown(() => hub.close())
    return hub
  }
  const [one, two] = [await start(), await start()]
  const heard = two.registry.wakeups.listen(['agent:x'])
  one.registry.wakeups.wake('agent:x')
  t.equal(await heard.wait(5000), true, 'wakes are relayed')
  await addAgency(one.registry, 'admin', { code: 'civil', name: '民政局' })
  await addAgency(two.registry, 'admin', { code: 'water', name: '水务局' })
  await Promise.all([seal(one.registry.store), seal(two.registry.store)])
  const acts = `select e.object from audit_seal s join audit_entry e on e.id = s.entry where e.act = 'agency.add' order by s.seq`
  t.same(await two.registry.store.query(acts), [{ object: 'civil' }, { object: 'water' }])
})
