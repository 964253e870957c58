/** Reconciliation over the whole line: what capture could not see is found, reported at both sides and mended; the rest is equal. */
import t from 'tap'
import { sourceNames } from '../../agent/databases/postgres/setup.ts'
import { openReconciliation, type ReconciliationProgress } from '../../protocol/reconciliation.ts'
import { equal, startLine, Writer, type Line, type LineOptions } from '../faults/line.ts'
import type { Item } from '../../protocol/schema.ts'
import { openClient } from '../support/client.ts'
import { Exchange, type ResourceFile, type TestAgent } from '../support/exchange.ts'
import { findMariadb } from '../support/mariadb.ts'
import { findPostgres } from '../support/postgres.ts'
import { runHere } from '../support/commands.ts'
import { until } from '../support/programs.ts'

const server = await findPostgres()
t.teardown(() => server.stop())
const mariadb = await findMariadb()

/** The command of an agent's operator; its last word on each run. */
async function reconcile(agent: TestAgent, ...words: string[]): Promise<ReconciliationProgress[]> {
  const command = ['reconcile', ...words, '--json', '--config', agent.configFile]
  const { stdout, stderr, code } = await runHere(['agent/main.ts', ...command], { failing: true })
  if (stdout === '') throw new Error(stderr)
  const runs = JSON.parse(stdout) as ReconciliationProgress[]
  if ((code === 0) !== runs.every(({ state }) => state === 'equal')) throw new Error(`exit code ${code}: ${stdout}`)
  return runs
}

async function one(agent: TestAgent, ...words: string[]): Promise<ReconciliationProgress> {
  return (await reconcile(agent, 'villages', ...words))[0]!
}

function states({ keys }: ReconciliationProgress): string[] {
  return keys.map(({ key, difference, state }) => `${key.join()} ${difference} ${state}`).toSorted()
}

const manual: LineOptions = { server, hub: { reconciliation: { every: 0 } } }

/** Writes at a PostgreSQL source of which nothing is left in the queue: as if its triggers had not seen it. */
async function unseen({ source }: Line, statements: string[]): Promise<void> {
  for (const statement of ['begin', ...statements, `delete from ${sourceNames('villages').queue}`, 'commit']) await source.query(statement)
}

t.test('PostgreSQL: what triggers could not see, and edits by hand, are found by key at both sides, and mended', async (test) => {
  const line = await startLine(test, manual)
  const { source, target, provider, receiver, table } = line
  const first = await one(provider)
  test.match(first, { state: 'equal', keys: [], statement: { source: { rows: 500 }, target: { rows: 500 }, differing: 0, settled: 0 } })
  test.equal(first.statement!.source.digest, first.statement!.target.digest)

  const codes = (await source.query('select code from villages order by code limit 5')).map(([code]) => code!)
  await unseen(line, [
    `update villages set name = '没有触发' where code = '${codes[0]}'`,
    `delete from villages where code = '${codes[1]}'`,
    `insert into villages values ('900000000001', '批量装入', '街', '区', '市', '省')`,
  ])
  await target.query(`update ${table} set name = '手工改动' where code = '${codes[2]}'`)
  await target.query(`delete from ${table} where code = '${codes[3]}'`)
  await target.query(
    `insert into ${table} select '900000000002', name, street, area, city, province, qz_source, qz_position, qz_received_at from ${table} where code = '${codes[4]}'`,
  )
  const expected = (state: string) =>
    [
      `${codes[0]} changed ${state}`,
      `${codes[1]} extra ${state}`,
      `${codes[2]} changed ${state}`,
      `${codes[3]} missing ${state}`,
      `900000000001 missing ${state}`,
      `900000000002 extra ${state}`,
    ].toSorted()

  const found = await one(receiver, '--no-repair')
  test.same(states(found), expected('remaining'))
  test.match(found, { state: 'different', statement: { differing: 6, remaining: 6, settled: 0, repaired: 0, outcome: 'different' } })
  const notices = await line.store.query("select agency, role from notice where kind = 'reconciliation-different'")
  test.same(notices.map((notice) => notice.join()).toSorted(), [
    ',office',
    'civil-affairs,agency-it',
    'civil-affairs,registrar',
    'statistics,agency-it',
    'statistics,registrar',
  ])
  test.match(JSON.stringify(await line.exchange.office('explain', line.route)), /"state":"different"/)

  const mended = await one(provider, '--repair')
  test.same(states(mended), expected('repaired'))
  test.match(mended, { state: 'equal', statement: { repaired: 6, remaining: 0 } })
  await equal(test, line)
  test.match(await one(provider), { state: 'equal', statement: { differing: 0 } })

  const stored = await line.store.query(
    `select source_signature, target_signature, s.public_key, a.public_key from reconciliation c join agent s on s.id = source_agent join agent a on a.id = target_agent where c.id = ${mended.run}`,
  )
  const [signedBySource, signedByTarget, sourceKey, targetKey] = stored[0]! as string[]
  test.same(openReconciliation(signedBySource!, sourceKey!), mended.statement)
  test.same(openReconciliation(signedByTarget!, targetKey!), mended.statement)
  test.equal(openReconciliation(signedBySource!, targetKey!), undefined)
})

t.test('a live table under writers ends equal, with no false difference', async (test) => {
  const line = await startLine(test, manual)
  const writer = new Writer(line)
  for (let turn = 0; turn < 2; turn++) {
    const run = await one(line.provider)
    test.match(run, { state: 'equal', statement: { remaining: 0, repaired: 0 } }, JSON.stringify(run))
  }
  test.ok((await writer.stop()) > 10)
  await equal(test, line)
})

const item = (id: string, more: Partial<Item>): Item => ({ id, name: id, label: id, type: 'text', openness: 'internal', ...more })
const places: ResourceFile = {
  resource: 'places',
  title: '地点',
  agency: 'civil',
  table: 'places',
  items: [
    item('area', { length: 20, key: true }),
    item('n', { type: 'integer', key: true }),
    item('name', {}),
    item('amount', { type: 'decimal', precision: 10, scale: 2 }),
    item('opinion', { openness: 'closed' }),
  ],
}

t.test(
  'MariaDB to PostgreSQL: cascades and TRUNCATE are found and mended; marked rows, quarantines, composite keys and relayed rows are told apart',
  { skip: mariadb ? false : 'no MariaDB server can be reached' },
  async (test) => {
    const [sourceUrl, targetUrl] = [await mariadb!.createDatabase(), await server.createDatabase()]
    test.teardown(() => mariadb!.dropDatabase(sourceUrl))
    const [source, target] = [await openClient(sourceUrl), await openClient(targetUrl)]
    test.teardown(() => Promise.all([source.end(), target.end()]))
    const exchange = await Exchange.start({ hub: { reconciliation: { every: 0 } } })
    test.teardown(() => exchange.stop())
    const sources = [{ resource: 'places', database: 'front', table: 'places', valueLimit: 1024 }]
    const provider = await exchange.enrol('provider', {
      agency: 'civil',
      databases: { front: { url: sourceUrl } },
      sources,
      hub: { poll: 2 },
    })
    await exchange.publish(places, '--keep', 'relay')
    await provider.command('setup', '--create-table')
    const sinks = [{ resource: 'places', database: 'front', deletes: 'mark' }]
    const receiver = await exchange.enrol('receiver', {
      agency: 'water',
      databases: { front: { url: targetUrl } },
      sinks,
      hub: { poll: 2 },
    })
    await exchange.grant('places', receiver, ['name', 'amount'])
    await source.query('create table area (area varchar(20) character set utf8mb4 collate utf8mb4_nopad_bin primary key) engine=InnoDB')
    await source.query(`insert into area values ('x'), ('X'), ('gone')`)
    await source.query('alter table places add foreign key (area) references area (area) on delete cascade')
    for (const area of ['x', 'X', 'gone'])
      await source.query(`insert into places select '${area}', seq, concat('${area}', seq), seq / 4 from seq_1_to_100`)
    provider.program.start()
    receiver.program.start()
    const count = async (where: string) => Number((await target.query(`select count(*) from delivered.places where ${where}`))[0]![0])
    await until('all is delivered', async () => (await count('true').catch(() => 0)) === 300)
    test.match(await reconcile(provider, 'places'), [
      { state: 'equal', statement: { differing: 0, source: { rows: 300 }, items: ['area', 'n', 'name', 'amount'] } },
    ])

    await target.query(`alter table delivered.places add constraint refused check (name <> 'refused')`)
    await source.query(`delete from area where area = 'gone'`)
    await source.query(`update places set name = 'refused' where area = 'x' and n = 1`)
    await source.query(`update places set name = repeat('长', 1000) where area = 'x' and n = 2`)
    await source.query(`delete from places where area = 'X' and n = 3`)
    const quarantines = ['x,1 changed quarantined', 'x,2 extra quarantined']
    const [found] = await reconcile(receiver, 'places', '--no-repair')
    test.match(found, { state: 'different', statement: { quarantined: 2, remaining: 100, moving: 0 } })
    const standing = states(found!)
    test.same(
      standing.filter((line) => !line.startsWith('gone,')),
      quarantines,
    )
    test.ok(standing.includes('gone,7 extra remaining'))
    test.equal(await count('qz_deleted'), 1, 'the deleted one is marked, and no difference')

    const [mended] = await reconcile(provider, 'places', '--repair')
    test.match(mended, { state: 'equal', statement: { quarantined: 2, repaired: 100, remaining: 0 } })
    test.equal(await count(`qz_deleted and area = 'gone'`), 100)

    await source.query('truncate table places')
    await source.query(`insert into places values ('X', 5, 'anew', 1)`)
    const [emptied] = await reconcile(provider, 'places', '--repair')
    test.match(emptied, { state: 'equal', statement: { source: { rows: 1 }, remaining: 0 } })
    test.equal(await count('not qz_deleted'), 1)
  },
)
