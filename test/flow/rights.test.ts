/**
 * Agents whose accounts may nothing: what `setup --print` prints is run as it is by the engine's own client, as its administrator, and is
 * all they need; what is taken away again doctor prints as grants, until nothing is missing.
 */
import { spawnSync } from 'node:child_process'
import t, { type Test } from 'tap'
import { openMysql } from '../../agent/databases/mysql/engine.ts'
import { openClient, type Client } from '../support/client.ts'
import { Exchange, type ResourceFile, type TestAgent } from '../support/exchange.ts'
import { findMariadb } from '../support/mariadb.ts'
import { findPostgres, startPostgres } from '../support/postgres.ts'
import { runHere } from '../support/commands.ts'
import { until } from '../support/programs.ts'

const shared = await findPostgres()
const server = await startPostgres()
const mariadb = await findMariadb()
const exchange = await Exchange.start()
t.teardown(async () => {
  await exchange.stop()
  await server.stop()
  await shared.stop()
})

interface Engine {
  name: string
  /** A fresh database: for its administrator, and for an account that may log in and nothing else. */
  database(name: string): Promise<{ admin: string; own: string }>
  /** The engine's own client reads the script. */
  run(admin: string, script: string): { status: number | null; stderr: string }
  /** Takes all rights away. */
  revoke: string[]
  place: string
}

const openness = 'internal' as const

function register(resource: string, agency: string): ResourceFile {
  return {
    resource,
    title: resource,
    agency,
    table: 'villages',
    items: [
      { id: 'code', name: 'code', label: '编码', type: 'integer', key: true, openness },
      { id: 'name', name: 'name', label: '名称', type: 'text', length: 50, openness },
    ],
  }
}

const doctor = (agent: TestAgent) => runHere(['agent/main.ts', 'doctor', '--lang', 'en', '--config', agent.configFile], { failing: true })
const granted = (said: string) => said.match(/^ {2}(?:grant|create|alter) .*;$/gm) ?? []

await t.test('with no source named yet set-up says what comes first', async (t) => {
  const agent = await exchange.enrol('unnamed', { agency: 'unnamed', databases: { front: { url: 'postgresql://localhost:1/front' } } })
  for (const [lang, said] of [
    ['zh', /QZ-CONFIG.*资源发布后先在 sources: 中写明/],
    ['en', /QZ-CONFIG.*first names resource, database and table under sources:/],
  ] as const) {
    const told = await runHere(['agent/main.ts', 'setup', '--print', '--lang', lang, '--config', agent.configFile], { failing: true })
    t.match(told.stderr, said)
  }
})

async function exercise(t: Test, engine: Engine): Promise<void> {
  const [from, to] = [await engine.database('supplied'), await engine.database('received')]
  const clients: Client[] = [await openClient(from.admin), await openClient(to.admin)]
  const [source, target] = clients as [Client, Client]
  t.teardown(() => Promise.all(clients.map((client) => client.end())))
  await source.query('create table villages (code bigint primary key, name varchar(50))')
  await source.query(`insert into villages values (1, 'one')`)
  const resource = `villages_${engine.name}`
  const table = [engine.place, resource].filter(Boolean).join('.')
  const [supplier, taker] = [`from-${engine.name}`, `to-${engine.name}`]
  const provider = await exchange.enrol(supplier, {
    agency: supplier,
    databases: { front: { url: from.own } },
    sources: [{ resource, database: 'front', table: 'villages' }],
  })
  const receiver = await exchange.enrol(taker, {
    agency: taker,
    databases: { front: { url: to.own } },
    settings: { sinks: [{ auto: 'front', schema: engine.place || undefined }] },
  })
  await exchange.publish(register(resource, supplier))

  const applied = (admin: string, script: string) => t.match(engine.run(admin, script), { status: 0, stderr: '' })
  const printed = async (agent: TestAgent, command: string) => (await agent.command(command, '--print', '--lang', 'en')).stdout
  await t.test('the printed scripts are all that is needed', async (t) => {
    const nothing = await printed(provider, 'teardown')
    t.notMatch(nothing, /create/i, 'teardown makes nothing')
    applied(from.admin, nothing)
    const before = (await doctor(provider)).stdout
    // An account that sees nothing gets a script for seeing first.
    applied(from.admin, await printed(provider, 'setup'))
    const refused = await runHere(['agent/main.ts', 'setup', '--lang', 'en', '--config', provider.configFile], { failing: true })
    t.match(refused, { code: 1, stderr: /QZ-DB-RIGHTS.*setup --print and give the script to the DBA/ }, 'an account that may only read')
    // PostgreSQL's catalogue shows the table without any right on it, and the first script is whole.
    t.match(before + (await doctor(provider)).stdout, /✗ front source .* not set up yet.*setup --print and give the script to the DBA/)
    applied(from.admin, await printed(provider, 'setup'))
    applied(to.admin, await printed(receiver, 'setup'))
    await exchange.grant(resource, receiver, ['code', 'name'])
    provider.program.start()
    receiver.program.start()
    const rows = () => target.query(`select name from ${table}`)
    await until('the first row is there', async () => (await rows()).length === 1)
    await source.query(`insert into villages values (2, 'two')`)
    await until('a change is there', async () => (await rows()).length === 2)
    t.match(await doctor(provider), { code: 0 })
    t.match(await doctor(receiver), { code: 0 })
  })

  await t.test('doctor prints what is missing, all at once, until nothing is', async (t) => {
    await Promise.all([provider.program.end(), receiver.program.end()])
    for (const statement of engine.revoke) for (const client of clients) await client.query(statement)
    for (const [agent, admin, least] of [
      [provider, from.admin, 5],
      [receiver, to.admin, 1],
    ] as const) {
      const counts: number[] = []
      for (let round = 0; round < 4; round++) {
        const { code, stdout } = await doctor(agent)
        t.notMatch(stdout, /has no column/, 'a missing right is no missing column')
        const grants = granted(stdout)
        counts.push(grants.length)
        if (code === 0) break
        applied(admin, grants.join('\n'))
      }
      t.equal(counts.at(-1), 0, `${agent.name}: ${counts.join()}`)
      t.ok(Math.max(...counts) >= least, `${agent.name}: ${counts.join()}`)
    }
    provider.program.start()
    receiver.program.start()
    await source.query(`insert into villages values (3, 'three')`)
    await until('rows go on', async () => (await target.query(`select name from ${table}`)).length === 3)
  })
  await Promise.all([provider.program.end(), receiver.program.end()])
}

function client(program: string, words: string[], script: string) {
  const env = { ...process.env, PGOPTIONS: '-c client_min_messages=warning' }
  const { status, stderr } = spawnSync(program, words, { input: script, encoding: 'utf8', env })
  return { status, stderr }
}

const noPsql = spawnSync('psql', ['--version']).error ? 'there is no psql' : false
t.test('PostgreSQL', { skip: noPsql }, async (t) => {
  const admin = await openClient(server.url())
  await admin.query('create role front login')
  await exercise(t, {
    name: 'postgres',
    place: 'delivered',
    async database(name) {
      const url = new URL(await server.createDatabase(name))
      const own = new URL(url)
      own.username = 'front'
      return { admin: url.href, own: own.href }
    },
    run: (url, script) => client('psql', [url, '-q', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-f', '-'], script),
    revoke: [
      'revoke usage on schema public from public',
      `do $$ declare one text; begin
        for one in select nspname from pg_namespace where nspname in ('public', 'qianzhi', 'delivered') loop
          execute format('alter schema %I owner to postgres', one);
          execute format('revoke all on schema %I from front', one);
          execute format('revoke all on all tables in schema %I from front', one);
        end loop;
        for one in select format('%I.%I', nspname, relname) from pg_class c join pg_namespace n on n.oid = relnamespace
          where nspname in ('qianzhi', 'delivered') and relkind = 'r' loop
          execute 'alter table ' || one || ' owner to postgres';
          execute 'revoke all on ' || one || ' from front';
        end loop;
        execute format('revoke all on database %I from public, front', current_database());
        execute format('grant connect on database %I to front', current_database());
      end $$`,
    ],
  })
  await admin.end()
})

t.test('MariaDB', { skip: mariadb ? false : 'no MariaDB server can be reached' }, async (t) => {
  const user = `qz_front_${process.pid}`
  const names: string[] = []
  const admin = await openClient(await mariadb!.createDatabase())
  // Without `%`: a script that named that account would be refused.
  await admin.query(`create user '${user}'@'127.0.0.1' identified by ''`)
  t.teardown(async () => {
    await admin.query(`drop user '${user}'@'127.0.0.1'`)
    await admin.end()
    for (const name of names) await mariadb!.dropDatabase(name)
  })
  await t.test('a table that may not be read is told with the grant to copy, ready to run', async (t) => {
    const url = new URL(await mariadb!.createDatabase())
    const own = new URL(url)
    own.username = user
    own.password = ''
    names.push(url.href)
    const name = url.pathname.slice(1)
    const [database, one] = [await openMysql({ name: 'front', url: own.href, pace: 5 }), await openClient(url.href)]
    t.teardown(() => Promise.all([database.close(), one.end()]))
    await one.query('create table villages (code bigint primary key)')
    const told = () => database.describe('villages').then(String, (error: Error) => error.message)
    t.match(await told(), `grant select on \`${name}\`.TABLE to '${user}'@'127.0.0.1'`, 'without any right in the database')
    await one.query('create table other (code bigint primary key)')
    await admin.query(`grant select on \`${name}\`.other to '${user}'@'127.0.0.1'`)
    const [grant] = /grant select on \S+ to \S+/.exec(await told()) ?? []
    t.equal(grant, `grant select on \`${name}\`.\`villages\` to '${user}'@'127.0.0.1'`)
    await admin.query(grant!)
    t.match(await database.describe('villages'), [{ column: 'code' }])
  })
  await exercise(t, {
    name: 'mariadb',
    place: '',
    async database() {
      const url = new URL(await mariadb!.createDatabase())
      names.push(url.href)
      const own = new URL(url)
      own.username = user
      own.password = ''
      // So that it may connect to the database at all, and see nothing in it.
      await admin.query(`grant show view on \`${url.pathname.slice(1)}\`.* to '${user}'@'127.0.0.1'`)
      return { admin: url.href, own: own.href }
    },
    run(url, script) {
      const { hostname, port, username, password } = new URL(url)
      const words = [`--host=${hostname}`, `--port=${port || 3306}`, `--user=${username}`, '--protocol=tcp']
      // A script names its database itself; what doctor prints names it in each grant.
      return client('mariadb', password ? [...words, `--password=${password}`] : words, script)
    },
    revoke: [`revoke all privileges, grant option from '${user}'@'127.0.0.1'`, `grant show view on *.* to '${user}'@'127.0.0.1'`],
  })
})
