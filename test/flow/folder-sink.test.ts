/** Rows of a table arrive as files in a folder: real programs, kills, a reconciliation, fewer items, and the end of the grant. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startPeople, supplyPeople } from '../support/people.ts'
import { runProgram, until } from '../support/programs.ts'
import { manifestOf, readRows } from '../agent/folders/rows/sink-fixture.ts'

t.test('a table becomes a file, and stays one', async (t) => {
  const scene = await startPeople(5000, { reconciliation: { every: 0 } })
  const { exchange, source, store } = scene
  t.teardown(() => scene.end())
  const provider = await supplyPeople(scene)
  const folder = { path: join(exchange.folder, 'out') }
  const receiver = await exchange.enrol('receiver', {
    agency: 'bureau',
    databases: {},
    folders: { out: { path: folder.path } },
    sinks: [{ resource: 'people', folder: 'out', gather: 0.2, encoding: 'gb18030' }],
    hub: { poll: 2 },
  })
  const { grant } = await exchange.grant('people', receiver, ['id', 'name', 'born'])
  provider.program.start()
  receiver.program.start()

  const file = 'people.csv'
  const table = async () => (await source.query('select id::text, name, born::text from people order by people.id')) as string[][]
  const equal = (what: string) =>
    until(what, async () => {
      const [, ...rows] = await readRows(folder, file, 'gb18030')
      return JSON.stringify(rows.map((row) => row.slice(0, -1))) === JSON.stringify(await table())
    })
  await equal('the first file')
  t.same((await readRows(folder, file, 'gb18030'))[0], ['编号', '姓名', '出生日期', 'qz_source'])
  t.match(manifestOf(folder, file), { agent: receiver.id, source: 'police', rows: 5000, number: 1, quarantine: 0 })

  await source.query(`update people set name = '乙' || id where id % 3 = 0`)
  await receiver.program.end('SIGKILL')
  await source.query(`delete from people where id > 4000`)
  receiver.program.start()
  await source.query(`insert into people values (9999, '丙"', null, null)`)
  await equal('after changes and a kill')

  const verified = await receiver.commandLine('verify', join(folder.path, file), '--lang', 'en')
  t.match(verified.stdout, /its signature holds[^]*provider police: its signatures of 1 batch hold/, "by the policy's keys alone")

  const reconciled = await runProgram(['agent/main.ts', 'reconcile', 'people', '--json', '--config', receiver.configFile], {
    failing: true,
  })
  t.match(JSON.parse(reconciled.stdout), [{ state: 'equal', statement: { target: { rows: 4001 }, differing: 0 } }])

  await store.query(`update access_grant set at_end = 'remove'`)
  await exchange.office('grant', 'revoke', grant, '--reason', '授权终止')
  await until('the files are gone', () => readdirSync(folder.path).every((name) => !name.startsWith('people')))
  const removed = await until('the hub has the receipt', async () => {
    const routes = (await exchange.office('route', 'list')) as unknown as { removed: { rows: number; tables: string[] } | null }[]
    return routes[0]?.removed ?? undefined
  })
  t.match(removed, { rows: 4001, tables: ['out/people.csv'] })
})
