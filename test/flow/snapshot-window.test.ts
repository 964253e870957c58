/** A snapshot waits for the hours that the operator allows, changes flow meanwhile, and it goes on where it was. */
import t from 'tap'
import { longer } from '../support/longer.ts'
import { findPostgres } from '../support/postgres.ts'
import { until } from '../support/programs.ts'
import { equal, flowing, makeLine, sourceOf, start, type Line } from '../faults/line.ts'

const server = await findPostgres()
t.teardown(() => server.stop())

const rows = 3_000
/** So many hours from now, as the city's clocks will say. */
const clock = (hours: number) => `${String((new Date().getUTCHours() + 8 + hours) % 24).padStart(2, '0')}:00`

t.test('outside its window a snapshot waits', { skip: longer }, async (test) => {
  const window = `${clock(3)}-${clock(4)}`
  const line = await makeLine(test, { server, rows, source: { snapshot: { window } } })
  const { source, target, table, provider } = line
  await forgetQueue(line)
  start(line)
  await until('it waits', async () => (await sourceOf(line))?.snapshot?.waits === 'window')
  const arrived = async (name: string) =>
    until(`${name} arrives`, async () => (await target.query(`select from ${table} where name = '${name}'`)).length > 0)
  await source.query(`update villages set name = '白天改的' where code = (select max(code) from villages)`)
  await arrived('白天改的')
  const [[count]] = (await target.query(`select count(*) from ${table}`)) as [[string]]
  test.ok(Number(count) < rows, `${count} rows opened the stream, the others wait`)
  test.match(await provider.command('status', '--lang', 'en'), { stdout: /snapshot \d+ of 3000 rows, waits for its hours/ })
  await until('the office sees why', async () => {
    const { turn } = (await line.exchange.office('explain', line.route)) as { turn: { en: string } }
    return /waits for the hours/.test(turn.en)
  })

  const { provider: options } = line.options
  await provider.program.end('SIGKILL')
  provider.configure({ ...options, sources: [{ ...options.sources![0], snapshot: { pace: 2_000 } }] })
  provider.program.start()
  await flowing(line)
  await equal(test, line)
  const sent = (await sourceOf(line))!.rows
  test.ok(sent <= rows - Number(count) + 2, `${sent} rows were sent after it went on, not all again`)
  test.equal((await sourceOf(line))!.snapshot, undefined)
})

/** As if the rows had been there before the triggers: only a snapshot brings them. */
async function forgetQueue({ source }: Line): Promise<void> {
  const [queue] = (await source.query(`select table_name from information_schema.tables where table_name like 'q%villages%'`)).flat()
  await source.query(`truncate qianzhi.${queue}`)
}
