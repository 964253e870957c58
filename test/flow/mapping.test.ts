/** Local codes at both ends of a real line: numbers at the source, letters at the sink, the registered texts between. */
import t from 'tap'
import { makeLine, start, sinkOf, sourceOf } from '../faults/line.ts'
import { findMariadb } from '../support/mariadb.ts'
import { until } from '../support/programs.ts'

const mariadb = await findMariadb()

t.test('codes, padded texts and local types', { skip: mariadb ? false : 'MariaDB is not reachable' }, async (t) => {
  const sourceUrl = await mariadb!.createDatabase()
  t.teardown(() => mariadb!.dropDatabase(sourceUrl))
  const line = await makeLine(t, {
    sourceUrl,
    rows: 0,
    source: {
      columns: {
        province: { column: 'sf', codes: { '44': '广东省', '45': '广西' }, type: 'integer' },
        name: { trim: true },
      },
    },
    sink: { columns: { province: { column: 'prov', codes: { GD: '广东省', GX: '广西' } }, city: { type: 'integer' } } },
  })
  const { source, target, table } = line
  const [type] = await source.query(
    `select data_type from information_schema.columns where table_schema = database() and column_name = 'sf'`,
  )
  t.same(type, ['bigint'], 'the supply table has the local type')
  const insert = (code: string, name: string, province: number) =>
    source.query(`insert into villages (code, name, street, area, city, sf) values ('${code}', '${name}', '街', '区', '12', ${province})`)
  await insert('1', '  东村  ', 44)
  await insert('2', '西村', 45)
  await insert('3', '南村', 46)
  start(line)
  const delivered = () => target.query(`select code, name, city::text, prov from ${table} order by code`)
  await until('what has a code is delivered', async () => (await delivered()).length === 2, 60)
  t.same(await delivered(), [
    ['1', '东村', '12', 'GD'],
    ['2', '西村', '12', 'GX'],
  ])
  await until('the row without a code is set aside at both ends', async () => {
    return (await sourceOf(line))?.quarantine === 1 && (await sinkOf(line))?.quarantine === 1
  })
  const listed = JSON.parse((await line.provider.commandLine('quarantine', '--json')).stdout) as object[]
  t.match(listed, [{ end: 'source', key: ['3'], code: 'QZ-ROW-VALUE', item: 'province', reason: { zh: /“46”/, en: /"46"/ } }])

  // The provider adds the code: the rows are sent anew.
  const configured = line.options.provider
  await line.provider.program.end()
  line.provider.configure({
    ...configured,
    sources: [
      {
        ...(configured.sources![0] as object),
        columns: {
          province: { column: 'sf', codes: { '44': '广东省', '45': '广西', '46': '海南省' }, type: 'integer' },
          name: { trim: true },
        },
      },
    ],
  })
  line.provider.program.start()
  await until(
    'the source has none set aside',
    async () => (await sourceOf(line))?.quarantine === 0 && (await sourceOf(line))?.state === 'flowing',
  )
  await until('the receiver has no local code', async () => {
    const [row] = await target.query('select code from qianzhi.quarantine')
    return row?.[0] === 'QZ-ROW-CODE'
  })

  // So does the receiver: its table is filled anew.
  await line.receiver.program.end()
  const wanted = line.options.receiver
  line.receiver.configure({
    ...wanted,
    sinks: [
      {
        ...(wanted.sinks![0] as object),
        columns: { province: { column: 'prov', codes: { GD: '广东省', G: '广西', HI: '海南省' } }, city: { type: 'integer' } },
      },
    ],
  })
  line.receiver.program.start()
  await until(
    'every row has the codes of now',
    async () => (await delivered()).map(([, , , province]) => province).join() === 'GD,G,HI',
    60,
  )
  await until('the quarantine is empty', async () => (await sinkOf(line))?.quarantine === 0)
})
