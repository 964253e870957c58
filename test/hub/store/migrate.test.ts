import { readdirSync } from 'node:fs'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import pg from 'pg'
import t from 'tap'
import { keyId, generateSigningKey } from '../../../protocol/signature.ts'
import { migrate } from '../../../hub/store/migrate.ts'
import { openStore } from '../../../hub/store/store.ts'
import { databaseUrl, refusal } from '../office.ts'

t.test('migrations run once, in order, each whole or not at all; what ran is not edited', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'qianzhi-migrations-'))
  const pool = new pg.Pool({ connectionString: await databaseUrl() })
  t.teardown(() => Promise.all([pool.end(), rm(folder, { recursive: true })]))
  const run = () => migrate(pool, pathToFileURL(`${folder}/`))
  const names = async () => (await pool.query<{ name: string }>('select name from migration order by name')).rows.map(({ name }) => name)
  await writeFile(join(folder, '001_a.sql'), 'create table a (x int);')
  await writeFile(join(folder, 'notes.txt'), 'no migration')
  await Promise.all([run(), run(), run()])
  t.same(await names(), ['001_a.sql'])
  await writeFile(join(folder, '002_b.sql'), 'create table b (x int); insert into a values (1); select 1 / 0;')
  await t.rejects(run(), /division by zero/)
  t.equal((await pool.query('select from a')).rowCount, 0, 'nothing of a failed one stays')
  await writeFile(join(folder, '002_b.sql'), 'insert into a values (1);')
  await run()
  await run()
  t.equal((await pool.query('select from a')).rowCount, 1)
  await writeFile(join(folder, '001_a.sql'), 'create table a (x int);\r\n')
  t.equal(await refusal(run()), 'QZ-CONFLICT')
})

t.test('the hub\u2019s own are numbered one after the other', async (t) => {
  const numbers = readdirSync('hub/store/migrations').map((name) => Number(name.slice(0, 3)))
  t.same(
    numbers.toSorted((a, b) => a - b),
    numbers.map((_, i) => i + 1),
  )
})

t.test('titles that an agency has twice do not keep the hub from starting: the older one keeps its form', async (t) => {
  const own = 'hub/store/migrations'
  const folder = await mkdtemp(join(tmpdir(), 'qianzhi-migrations-'))
  const pool = new pg.Pool({ connectionString: await databaseUrl() })
  t.teardown(() => Promise.all([pool.end(), rm(folder, { recursive: true })]))
  const before = readdirSync(own).filter((name) => name < '025_titles.sql')
  for (const name of before) await cp(join(own, name), join(folder, name))
  await migrate(pool, pathToFileURL(`${folder}/`))
  await pool.query(`insert into agency (code, name) values ('a', 'A'), ('b', 'B')`)
  await pool.query(`insert into resource (code, agency, version, title, title_form, state, published_at) values
    ('new', 'a', 1, 't', 't', 'active', '2026-02-01'), ('old', 'a', 1, 't', 't', 'active', '2026-01-01'), ('gone', 'a', 1, 't', 't', 'withdrawn', '2025-01-01'),
    ('other', 'b', 1, 't', 't', 'active', '2026-03-01')`)
  await migrate(pool)
  const { rows } = await pool.query('select code from resource where title_form is null')
  t.same(rows, [{ code: 'new' }])
  await t.rejects(pool.query(`update resource set title_form = 't' where code = 'new'`), /resource_title_form/)
})

t.test('the store', async (t) => {
  const store = await openStore(await databaseUrl())
  t.teardown(() => store.close())
  const { publicKey } = generateSigningKey()
  t.same(await store.query('select key_id($1) as id', [publicKey]), [{ id: keyId(publicKey) }], 'SQL and code make the same key ids')
  const failing = store.transaction(async (query) => {
    await query(`insert into agency (code, name) values ('a', 'A')`)
    throw new Error('changed my mind')
  })
  await t.rejects(failing, /changed my mind/)
  t.same(await store.query('select from agency'), [], 'rolled back')
  const broken = store.transaction(async (query) => {
    await query(`insert into agency (code, name) values ('a', 'A')`)
    await query('select pg_terminate_backend(pg_backend_pid())')
  })
  await t.rejects(broken)
  t.same(await store.query('select from agency'), [], 'a lost connection ends neither the process nor the pool')
  t.equal(await refusal(openStore('postgres://127.0.0.1:1/x')), 'QZ-DB-UNREACHABLE')
})
