/**
 * From the grant to the first row at a receiver: what is missing is said with the lines to copy, and `sinks: auto` needs none. What is edited
 * is taken up by the running agents.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { AgentStatus } from '../../agent/status/agent-status.ts'
import { openClient } from '../support/client.ts'
import { Exchange, type ResourceFile } from '../support/exchange.ts'
import { findPostgres } from '../support/postgres.ts'
import { runHere } from '../support/commands.ts'
import { until } from '../support/programs.ts'

function register(resource: string): ResourceFile {
  const openness = 'internal' as const
  return {
    resource,
    title: resource,
    agency: 'one',
    table: 'villages',
    items: [
      { id: 'code', name: 'code', label: '编码', type: 'integer', key: true, openness },
      { id: 'name', name: 'name', label: '名称', type: 'text', length: 50, openness },
    ],
  }
}

const postgres = await findPostgres()
const exchange = await Exchange.start({ hub: { supervision: { everySeconds: 1 } } })
const [left, right] = [await postgres.createDatabase('left'), await postgres.createDatabase('right')]
const [source, target] = [await openClient(left), await openClient(right)]
t.teardown(async () => {
  await Promise.all([source.end(), target.end()])
  await exchange.stop()
  await postgres.stop()
})
const resources = ['villages', 'roads', 'permits']
const supplying = {
  agency: 'one',
  databases: { front: { url: left } },
  sources: resources.map((resource) => ({ resource, database: 'front', table: resource })),
}
const one = await exchange.enrol('one', supplying)
const receiving = { agency: 'two', databases: { front: { url: right } } }
const two = await exchange.enrol('two', receiving)
for (const resource of resources) {
  await source.query(`create table ${resource} (code bigint primary key, name varchar(50))`)
  await source.query(`insert into ${resource} values (1, '${resource}')`)
  await exchange.publish(register(resource))
}
await one.command('setup')
one.program.start()
two.program.start()

const names = async (table: string) => (await target.query(`select name from ${table}`)).flat().join()
const arrived = (table: string, expected: string) =>
  until(`${expected} is in ${table}`, async () => (await names(table)) === expected || undefined)
const status = async (of = two) => (await of.report()) as AgentStatus
const sinks = async () => (await status()).sinks
const session = (await until('both run', async () => [(await status(one)).session, (await status()).session])).join()

t.test('a granted route without a sink says so everywhere, with the lines to copy', async (t) => {
  const { route } = await exchange.grant('villages', two, ['code', 'name'])
  const fault = await until('the agent tells of it', async () => (await sinks()).find((sink) => sink.route === route)?.fault)
  const line = 'sinks: [{ resource: villages, database: front, table: delivered.villages }]'
  t.match(fault, { code: 'QZ-SINK-MISSING' })
  t.ok(fault.zh.includes(line) && fault.en.includes(line), fault.en)
  const failing = (...words: string[]) => runHere(['agent/main.ts', ...words, '--config', two.configFile], { failing: true })
  for (const command of ['status', 'doctor']) {
    const { code, stdout } = await failing(command)
    t.equal(code, 1, command)
    t.ok(stdout.includes(line), command)
  }
  const health = () => runHere(['hub/main.ts', 'health', '--config', exchange.hubFile], { failing: true })
  await until('the hub knows', async () => (await health()).stdout.includes(line))
  t.match(await exchange.office('explain', route), { turn: { agency: 'two', en: /QZ-SINK-MISSING/ } })
})

t.test('sinks: auto makes the table of each grant by itself', async (t) => {
  two.configure({ ...receiving, settings: { sinks: 'auto' } })
  await arrived('delivered.villages', 'villages')
  const { grant } = await exchange.grant('roads', two, ['code', 'name'])
  await arrived('delivered.roads', 'roads')
  t.same(
    (await sinks()).map(({ table, fault }) => [table, fault?.code]),
    [
      ['delivered.villages', undefined],
      ['delivered.roads', undefined],
    ],
  )

  await target.query(`create table delivered.permits (code bigint primary key, name varchar(50))`)
  await target.query(`insert into delivered.permits values (7, 'theirs')`)
  await exchange.grant('permits', two, ['code', 'name'])
  await until('the foreign table is left alone', async () => (await sinks()).find(({ fault }) => fault?.code === 'QZ-SINK-TABLE'))
  t.equal(await names('delivered.permits'), 'theirs')
  await target.query('drop table delivered.permits')
  await arrived('delivered.permits', 'permits')

  await exchange.office('grant', 'revoke', grant, '--reason', '授权终止')
  await until('the line is gone with its grant', async () => (await sinks()).every(({ resource }) => resource !== 'roads'))
  t.match((await status()).stopped, [{ resource: 'roads', because: '授权终止' }], 'and says why')
  await source.query(`insert into villages values (2, '又一')`)
  await until('the others go on', async () => (await names('delivered.villages')).includes('又一'))
  t.equal(await names('delivered.roads'), 'roads', 'what the grant says is kept, is kept')
})

t.test('sinks: auto of a folder writes a file for each grant', async (t) => {
  const three = await exchange.enrol('three', {
    agency: 'three',
    databases: {},
    folders: { out: { path: './out' } },
    settings: { sinks: [{ auto: 'out', gather: 0, headers: 'names' }] },
  })
  three.program.start()
  await exchange.grant('villages', three, ['code', 'name'])
  const file = join(three.folder, 'out', 'villages.csv')
  t.match(await until('its file is there', () => existsSync(file) && readFileSync(file, 'utf8')), /code,name(.|\r|\n)*1,villages/)
  await three.program.end()
})

t.test('a faulty edit leaves what runs, and is told', async (t) => {
  two.configure({ ...receiving, settings: { sinks: 'auto', sinkz: [] } })
  const fault = await until('it is told', async () => (await status()).configuration?.fault)
  t.match(fault, { code: 'QZ-CONFIG', en: /sinkz/, remedy: { en: String } })
  const said = await runHere(['agent/main.ts', 'status', '--lang', 'en', '--config', two.configFile], { failing: true })
  t.match(said, { code: 1, stdout: /not well: Configuration(.|\n)*stays in force: QZ-CONFIG .*sinkz/, stderr: /QZ-CONFIG .*sinkz/ })
  await source.query(`insert into permits values (3, '三')`)
  await until('rows go on', async () => (await names('delivered.permits')).includes('三'))
  two.configure({ ...receiving, settings: { sinks: 'auto', log: { level: 'info' } } })
  await until('it is put right', async () => !(await status()).configuration?.fault)
  t.same((await status()).configuration?.waiting, ['log'], 'what only a start can take up')
})

t.test('sources, databases and what they refer to are taken up, and the other streams go on', async (t) => {
  const more = 'more'
  const third = await postgres.createDatabase('third')
  const other = await openClient(third)
  t.teardown(() => other.end())
  await other.query('create table more (code bigint primary key, name varchar(50))')
  await other.query(`insert into more values (1, 'more')`)
  await exchange.publish({ ...register(more), table: more })
  await exchange.grant(more, two, ['code', 'name'])
  const villages = async () => (await status(one)).sources.find(({ resource }) => resource === 'villages')!
  const { position } = await villages()

  // The account stands in a file, as passwords do: first it is wrong.
  const file = join(one.folder, 'account')
  writeFileSync(file, 'nobody')
  const url = third.replace(/\/\/[^:@]+/, () => `//\${file:account}`)
  const edited = (sources: object[]) => one.configure({ ...supplying, databases: { ...supplying.databases, again: { url } }, sources })
  edited([...supplying.sources, { resource: more, database: 'again', table: more }])
  const state = async (code?: string) => {
    const { sources } = await status(one)
    return sources.find(({ resource, fault }) => resource === more && fault?.code === code)
  }
  t.match((await until('the wrong account is told', () => state('QZ-DB-LOGIN'))).fault?.en, /refuses the login of nobody/)
  writeFileSync(file, new URL(third).username)
  await until('the account is read again', () => state('QZ-SOURCE-NOT-SET-UP'))
  await one.setUp(more)
  await arrived('delivered.more', more)

  edited(supplying.sources)
  await until('the source is gone', async () => (await status(one)).sources.length === resources.length)
  await source.query(`insert into villages values (4, '四')`)
  await until('the others go on', async () => (await names('delivered.villages')).includes('四'))
  t.equal((await villages()).position?.epoch, position?.epoch, 'with no new snapshot')
  t.equal([(await status(one)).session, (await status()).session].join(), session, 'nobody was started again')
})

t.test('rows that are written while the configuration changes and changes again arrive, once', async (t) => {
  const villages = async () => (await status(one)).sources.find(({ resource }) => resource === 'villages')!
  const { epoch } = (await villages()).position!
  const fewer = supplying.sources.filter(({ resource }) => resource !== 'roads')
  for (const [i, sources] of [fewer, supplying.sources, fewer].entries()) {
    one.configure({ ...supplying, sources })
    let code = 1000 * (i + 1)
    await until('it is taken up', async () => {
      await source.query(`insert into villages values (${code++}, 'row')`)
      return (await status(one)).sources.length === sources.length
    })
  }
  const rows = `select code, name from %s order by code`
  const expected = (await source.query(rows.replace('%s', 'villages'))).join(';')
  await until('both are equal', async () => (await target.query(rows.replace('%s', 'delivered.villages'))).join(';') === expected)
  t.equal((await villages()).position?.epoch, epoch, 'with no new snapshot')
})

t.test('an agent that was revoked says so itself', async (t) => {
  await exchange.office('agent', 'revoke', one.id)
  const told = async () => ((await status(one)).hub.fault?.code === 'QZ-AGENT-REVOKED' ? true : undefined)
  await until('it is told', told)
  const said = await runHere(['agent/main.ts', 'status', '--lang', 'en', '--config', one.configFile], { failing: true })
  t.match(said, { code: 1, stdout: /not well: Hub(.|\n)*QZ-AGENT-REVOKED/ })
})
