/** Files of rows at both ends of a real line: what is put into one agency's folder stands in another's. */
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { readVillages, villageColumns, villagesResource } from '../../config-examples/demo/villages.ts'
import { Exchange } from '../support/exchange.ts'
import { until } from '../support/programs.ts'

const rows = readVillages().slice(0, 3000)

t.test('from folder to folder', async (t) => {
  const exchange = await Exchange.start()
  t.teardown(() => exchange.stop())
  const provider = await exchange.enrol('provider', {
    agency: 'statistics',
    databases: {},
    folders: { drop: { path: 'drop', stable: 0.3, look: 1 } },
    sources: [{ resource: 'villages', folder: 'drop', whole: true, files: '*.csv', guard: { settle: 1 } }],
    hub: { poll: 2 },
  })
  await exchange.publish(villagesResource())
  t.match((await provider.command('setup')).stdout, /目录采集/)
  const receiver = await exchange.enrol('receiver', {
    agency: 'civil-affairs',
    databases: {},
    folders: { out: { path: 'out' } },
    sinks: [{ resource: 'villages', folder: 'out', gather: 0.2, headers: 'names' }],
    hub: { poll: 2 },
  })
  await exchange.grant('villages', receiver, [...villageColumns])
  const drop = join(provider.folder, 'drop')
  const out = join(receiver.folder, 'out')
  mkdirSync(drop, { recursive: true })
  /** Under another name until it is whole, as a careful program does. */
  const put = async (name: string, bytes: Buffer | string) => {
    await writeFile(join(drop, `${name}.tmp`), bytes)
    await rename(join(drop, `${name}.tmp`), join(drop, name))
  }
  const csv = (table: readonly (readonly string[])[]): string =>
    [['区划代码', '名称', '镇街', '县区', '地市', '省份'], ...table]
      .map((row) => row.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(','))
      .join('\r\n')
  const delivered = (): string[] => {
    if (!existsSync(join(out, 'villages.csv.manifest.json'))) return []
    const [header, ...lines] = readFileSync(join(out, 'villages.csv'), 'utf8').replace('\ufeff', '').split('\r\n').filter(Boolean)
    t.match(header, /^code,name,street,area,city,province/)
    return lines.map((line) => line.split(',')[0]!)
  }
  provider.program.start()
  receiver.program.start()
  const source = async () => (await provider.report().catch(() => undefined))?.sources[0]
  await until('it waits for the first file', async () => (await source())?.fault?.code === 'QZ-FOLDER-WAITS', 30)

  await put('first.csv', csv(rows))
  await until('all rows stand in the other folder', () => delivered().length === rows.length, 60)
  t.same(delivered().toSorted(), rows.map(([code]) => code!).toSorted())

  const changed = rows.slice(10).map((row, i) => (i === 0 ? [row[0]!, '改名村', ...row.slice(2)] : row))
  await put('second.csv', csv(changed))
  await until(
    'ten are gone, one has another name',
    () => delivered().length === changed.length && readFileSync(join(out, 'villages.csv'), 'utf8').includes('改名村'),
    30,
  )

  await put('empty.csv', csv([]))
  await until('the guard holds what would empty the receiver', async () => (await source())?.fault?.code === 'QZ-GUARD-DELETES', 30)
  t.equal(delivered().length, changed.length)
  await put('third.csv', csv(changed))
  await until('the rows are there again: it goes on', async () => (await source())?.state === 'flowing', 40)

  await put('bad.csv', csv([['1', '', '', '', '', '']]).replace('区划代码', '没有这一列'))
  await until('the file is refused', () => readdirSync(join(drop, 'rejected')).includes('bad.csv.report.csv'), 30)
  await until('the status says so', async () => (await source())?.files?.refused === 1)

  const status = (await provider.command('status')).stdout
  t.match(status, /最近扫描 \d{4}-\d{2}-\d{2} /)
  t.match(status, /已接收 4，已退回 1；最近接收 third\.csv（.*）；最近退回 bad\.csv（.* QZ-FILE）/)

  const { stdout } = await provider.command('reconcile', 'villages')
  t.match(stdout, /一致/, 'both sides are equal')
  t.match((await provider.command('doctor')).stdout, /✓ drop 目录/)
  t.same(readdirSync(join(drop, 'done')).toSorted(), [
    '00000001@villages@first.csv',
    '00000002@villages@second.csv',
    '00000003@villages@empty.csv',
    '00000004@villages@third.csv',
  ])
})
