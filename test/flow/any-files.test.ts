/** Files of a folder through the real programs: new, changed and gone, while the receiver is killed; equal byte for byte in the end. */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { hashesOf, makeFileExchange, namesOf } from '../support/file-exchange.ts'
import { hubStore } from '../support/hub-store.ts'
import { findPostgres } from '../support/postgres.ts'
import { until } from '../support/programs.ts'

t.test('scanned licences are delivered as they are', async (t) => {
  const postgres = await findPostgres()
  const { exchange, provider, receiver, source, target } = await makeFileExchange(await hubStore(postgres))
  t.teardown(async () => {
    await exchange.stop()
    await postgres.stop()
  })
  const put = (name: string, content: Buffer | string) => {
    mkdirSync(dirname(join(source, name)), { recursive: true })
    writeFileSync(join(source, name), content)
  }
  for (let i = 0; i < 300; i++) put(`许可证/${2020 + (i % 7)}/第${i}号.pdf`, randomBytes(500 + 37 * i))
  put('空.txt', '')
  put('大.tif', randomBytes(20 << 20))
  provider.program.start()
  receiver.program.start()
  await until('the first files are there', () => namesOf(target).length > 20, 30)
  await receiver.program.end('SIGKILL')
  const whole = await hashesOf(source)
  for (const [name, hash] of await hashesOf(target)) if (whole.get(name) !== hash) t.fail(`${name} is not whole`)

  put('大.tif', randomBytes(12 << 20))
  put('许可证/2020/第7号.pdf', randomBytes(600_000))
  for (let i = 0; i < 300; i += 10) rmSync(join(source, `许可证/${2020 + (i % 7)}/第${i}号.pdf`))
  renameSync(join(source, '许可证/2026'), join(source, '许可证/二〇二六'))
  receiver.program.start()
  const wanted = await hashesOf(source)
  await until('the same files on both sides', async () => namesOf(target).length === wanted.size, 60)
  await until('the same bytes on both sides', async () => same(await hashesOf(target), wanted), 60)
  t.same(await hashesOf(target), wanted)
  t.notOk(existsSync(join(target, '许可证/2026')))
  await until('nothing is left beside', () => leftBeside(target) === 0)
  const [report] = (await receiver.report())!.sinks
  t.match(report, { quarantine: 0, state: 'flowing' })
})

function same(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([name, hash]) => b.get(name) === hash)
}

function leftBeside(folder: string): number {
  const all = readdirSync(join(folder, '.qianzhi-parts'), { recursive: true, withFileTypes: true })
  return all.filter((entry) => entry.isFile()).length
}
