/** Several databases, sources and sinks in one agent; two agencies exchanging both ways; local column names. */
import t from 'tap'
import { openClient } from '../support/client.ts'
import { Exchange, type ResourceFile } from '../support/exchange.ts'
import { findPostgres } from '../support/postgres.ts'
import { until } from '../support/programs.ts'

function register(resource: string, agency: string): ResourceFile {
  const openness = 'internal' as const
  return {
    resource,
    title: resource,
    agency,
    table: resource,
    items: [
      { id: 'code', name: 'code', label: '编码', type: 'integer', key: true, openness },
      { id: 'name', name: 'name', label: '名称', type: 'text', length: 50, openness },
      { id: 'secret', name: 'secret', label: '不公开项', type: 'text', length: 50, openness: 'closed' },
    ],
  }
}

t.test('two agencies supply and receive at once, with names of their own', async (t) => {
  const postgres = await findPostgres()
  const exchange = await Exchange.start()
  const [left, right, second] = [
    await postgres.createDatabase('left'),
    await postgres.createDatabase('right'),
    await postgres.createDatabase('second'),
  ]
  const [a, b, c] = [await openClient(left), await openClient(right), await openClient(second)]
  t.teardown(async () => {
    await Promise.all([a.end(), b.end(), c.end()])
    await exchange.stop()
    await postgres.stop()
  })
  await a.query('create table shangpin (bianma bigint primary key, mingcheng varchar(50), mimi varchar(50))')
  await c.query('create table houses (code bigint primary key, name varchar(50), secret varchar(50))')

  const columns = { code: 'bianma', name: 'mingcheng', secret: 'mimi' }
  const one = await exchange.enrol('one', {
    agency: 'one',
    databases: { front: { url: left } },
    sources: [{ resource: 'goods', database: 'front', table: 'shangpin', columns }],
    sinks: [
      { resource: 'people', database: 'front', table: 'delivered.renkou', columns: { name: 'xingming' } },
      { resource: 'houses', database: 'front', deletes: 'mark' },
    ],
  })
  const two = await exchange.enrol('two', {
    agency: 'two',
    databases: { front: { url: right }, back: { url: second } },
    sources: [
      { resource: 'people', database: 'front', table: 'people' },
      { resource: 'houses', database: 'back', table: 'houses' },
    ],
    sinks: [{ resource: 'goods', database: 'back' }],
  })
  await exchange.publish(register('goods', 'one'))
  await exchange.publish(register('people', 'two'))
  await exchange.publish(register('houses', 'two'))
  await one.command('setup')
  await t.rejects(two.command('setup'), /QZ-SOURCE-TABLE/, 'a table is missing')
  t.same(await c.query('select resource from qianzhi.stream'), [['houses']], 'the other one is set up all the same')
  await b.query('create table people (code bigint primary key, name varchar(50), secret varchar(50))')
  await two.command('setup')
  await exchange.grant('people', one, ['code', 'name'])
  await exchange.grant('houses', one, ['code', 'name'])
  await exchange.grant('goods', two, ['code', 'name'])
  one.program.start()
  two.program.start()

  await a.query(`insert into shangpin values (1, '货物', 'hidden-goods')`)
  await b.query(`insert into people values (1, '人口', 'hidden-people')`)
  await c.query(`insert into houses values (1, '房屋', 'hidden-houses'), (2, '拆除', 'x')`)
  await until('all three arrive', async () => {
    const counts = await Promise.all([
      a.query('select 1 from delivered.renkou'),
      a.query('select 1 from delivered.houses'),
      c.query('select 1 from delivered.goods'),
    ])
    return counts.map((rows) => rows.length).join() === '1,2,1'
  })
  await c.query('delete from houses where code = 2')
  const marked = async () => (await a.query('select qz_deleted::text from delivered.houses where code = 2'))[0]?.[0] === 'true'
  await until('the delete marks the row', marked)

  t.same(
    await a.query('select code, xingming, qz_source from delivered.renkou'),
    [['1', '人口', 'two']],
    'local names and the source agency',
  )
  t.same(await c.query('select code, name, qz_source from delivered.goods'), [['1', '货物', 'one']])
  const closed = await a.query(
    `select column_name from information_schema.columns where table_schema = 'delivered' and column_name = 'secret'`,
  )
  t.same(closed, [], 'a closed item has no column at the receiver')
  const { route } = (await one.report())!.sinks[0]!
  // What the hub knows of an agent comes with its polls.
  const explained = await until('explain says that nobody has to act', async () => {
    const answer = await exchange.office('explain', route)
    return (answer['turn'] as { who: string }).who === 'nobody' && answer
  })
  t.match(explained, { route, turn: { zh: String, en: String } })
  const status = await one.commandLine('status', '--lang', 'en')
  t.match(status.stdout, /source goods goods \(front\) flowing/)
  t.match(status.stdout, /sink delivered\.renkou people \(front/)
  const doctor = await two.commandLine('doctor', '--lang', 'en')
  t.notMatch(doctor.stdout, /✗/, 'doctor finds nothing wrong')
})
