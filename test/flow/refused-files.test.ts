/** A refused file at a real line: its agency is told by the hub once, whatever is killed; supervisors see it until a good one comes. */
import { mkdirSync, rmSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { runHere } from '../support/commands.ts'
import { villagesResource } from '../../config-examples/demo/villages.ts'
import { openClient } from '../support/client.ts'
import { Exchange } from '../support/exchange.ts'
import { hubStore } from '../support/hub-store.ts'
import { findPostgres } from '../support/postgres.ts'
import { until } from '../support/programs.ts'

const server = await findPostgres()
t.teardown(() => server.stop())

t.test('from the folder to the people', async (t) => {
  const url = await hubStore(server)
  const store = await openClient(url)
  const exchange = await Exchange.start({ hub: { store: url, supervision: { everySeconds: 1 } } })
  t.teardown(async () => {
    await exchange.stop()
    await store.end()
  })
  const provider = await exchange.enrol('provider', {
    agency: 'statistics',
    databases: {},
    folders: { drop: { path: 'drop', stable: 0.2, look: 1 } },
    sources: [{ resource: 'villages', folder: 'drop', whole: true, files: '*.csv' }],
    hub: { poll: 1 },
  })
  await exchange.publish(villagesResource())
  const drop = join(provider.folder, 'drop')
  mkdirSync(drop, { recursive: true })
  const put = async (name: string, ...rows: string[]) => {
    await writeFile(join(drop, `${name}.tmp`), ['区划代码,名称,镇街,县区,地市,省份', ...rows].join('\n'))
    await rename(join(drop, `${name}.tmp`), join(drop, name))
  }
  /** Notices, once there are so many: one for agency IT, one for the registrar. */
  const told = (count: number) =>
    until(`${count} notices`, async () => {
      const found = await store.query(`select agency, role, zh, en from notice where kind = 'file-refused' order by id`)
      if (found.length > count) throw new Error(`${found.length} notices`)
      return found.length === count && found
    })
  const problems = async () => {
    const { stdout } = await runHere(['hub/main.ts', 'health', '--config', exchange.hubFile, '--json'], { failing: true })
    const { problems } = JSON.parse(stdout) as { problems: { code: string; zh: string }[] }
    return problems.filter(({ code }) => code === 'QZ-HEALTH-FILE-REFUSED')
  }
  const refusedBy = async () => {
    const agents = (await exchange.office('agent', 'list')) as unknown as { refusedFiles: { file: string; code: string }[] }[]
    return agents[0]!.refusedFiles
  }
  provider.program.start()

  await put('好.csv', '1,甲村,街,区,市,省')
  // Which one is the newest is what is asked for.
  await until('the good one is taken', async () => (await provider.report())?.sources[0]?.files?.taken === 1)
  await put('坏.csv', '1,甲村,街,区,市,省', ',秘密村,街,区,市,省')
  const [it, registrar] = await told(2)
  t.same(
    [it!.slice(0, 2), registrar!.slice(0, 2)],
    [
      ['statistics', 'agency-it'],
      ['statistics', 'registrar'],
    ],
  )
  t.match(it![2], /坏\.csv（QZ-ROW-VALUE，2 行中 1 行有误）；累计退回 1 个/)
  t.notMatch(JSON.stringify(it), /秘密村/)
  t.match(await refusedBy(), [{ file: '坏.csv', code: 'QZ-ROW-VALUE', rows: 2, bad: 1 }])
  await until('everybody sees that there is something', async () => (await problems()).length === 1)
  t.notMatch(JSON.stringify(await problems()), /坏\.csv|秘密村/)

  // Both ends are killed; what was told is not told again.
  await Promise.all([exchange.hub.end('SIGKILL'), provider.program.end('SIGKILL')])
  await put('坏2.csv', '没有,秘密村')
  exchange.hub.start()
  await exchange.ready()
  provider.program.start()
  const [, , second] = await told(4)
  t.match(second![2], /退回：坏2\.csv（QZ-.*累计退回 2 个/)
  t.notMatch(second![2], /坏\.csv/)

  // Its memory is lost: it counts anew.
  await provider.program.end('SIGKILL')
  rmSync(join(provider.folder, 'data', 'folders'), { recursive: true })
  await put('坏3.csv', ',丙村,,,,')
  await put('坏4.csv', '1,,,')
  provider.program.start()
  await until('both are refused', async () => (await provider.report().catch(() => undefined))?.sources[0]?.files?.refused === 2)
  await until('all are told', async () => {
    const texts = (await store.query(`select zh from notice where kind = 'file-refused'`)).map(([zh]) => zh!)
    return texts.some((zh) => zh.includes('坏3.csv')) && texts.some((zh) => zh.includes('坏4.csv'))
  })

  await put('又好.csv', '1,甲村,街,区,市,省')
  await until('it is over', async () => (await problems()).length === 0)
  t.match(await refusedBy(), { length: 2 }, 'who supervises sees it still')
  const names = (await store.query(`select zh from notice where kind = 'file-refused' and role = 'agency-it'`)).map(([zh]) => zh!)
  for (const name of ['坏', '坏2', '坏3', '坏4']) t.equal(names.filter((zh) => zh.includes(`${name}.csv`)).length, 1, name)
})
