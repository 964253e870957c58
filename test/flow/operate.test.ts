/** What agency IT and office do besides waiting: scripts for the DBA, doctor, explain, resync of either side, teardown. */
import t from 'tap'
import { villageColumns } from '../../config-examples/demo/villages.ts'
import { openClient } from '../support/client.ts'
import { Exchange } from '../support/exchange.ts'
import { findPostgres } from '../support/postgres.ts'
import { runProgram, until } from '../support/programs.ts'
import { connectVillages, loadVillages, settle } from './real-run.ts'

const rows = Array.from({ length: 500 }, (_, i) => [String(441900000000 + i), `村${i}`, '街', '区', '市', '省'])

t.test('set-up, operation and teardown by the commands', async (t) => {
  const postgres = await findPostgres()
  const exchange = await Exchange.start()
  const [sourceUrl, targetUrl] = [await postgres.createDatabase('source'), await postgres.createDatabase('target')]
  const [source, target] = [await openClient(sourceUrl), await openClient(targetUrl)]
  t.teardown(async () => {
    await Promise.all([source.end(), target.end()])
    await exchange.stop()
    await postgres.stop()
  })
  const { provider, receiver, route } = await connectVillages(exchange, sourceUrl, targetUrl)
  const table = 'delivered.villages'
  await loadVillages(source, rows)
  provider.program.start()
  receiver.program.start()
  const equal = async (seconds = 60) => {
    const { missing, surplus } = await settle(source, target, table, seconds)
    return missing.length + surplus.length
  }
  t.equal(await equal(), 0)

  await t.test('the printed script does what setup does', async (t) => {
    const { stdout } = await provider.commandLine('setup', '--print', '--user', 'postgres', '--lang', 'en')
    t.match(stdout, /create trigger/i)
    await source.query(stdout.replaceAll(/^--.*$/gm, ''))
    t.equal(await equal(), 0)
  })

  await t.test('explain says whose turn it is, in both languages', async (t) => {
    const explained = async (lang: string) =>
      (await runProgram(['hub/main.ts', 'explain', route, '--lang', lang, '--config', exchange.hubFile])).stdout
    t.match(await explained('zh'), /隔离/)
    t.match(await explained('en'), /quarantine/i)
  })

  await t.test('a delivered table damaged by hand is filled anew, and readers never see it empty', async (t) => {
    await target.query(`update ${table} set name = 'damaged' where code < '441900000400'`)
    const reader = await openClient(targetUrl)
    let fewest = rows.length
    const watch = new AbortController()
    const watching = (async () => {
      while (!watch.signal.aborted) fewest = Math.min(fewest, (await reader.query(`select 1 from ${table}`)).length)
    })()
    await receiver.commandLine('resync', 'villages')
    t.equal(await equal(), 0)
    watch.abort()
    await watching
    await reader.end()
    t.equal(fewest, rows.length)
  })

  await t.test('a snapshot on request finds what no trigger saw', async (t) => {
    await source.query('alter table villages disable trigger all')
    await source.query(`delete from villages where code = '441900000001'`)
    await source.query(`update villages set name = 'unseen' where code = '441900000002'`)
    await source.query('alter table villages enable trigger all')
    await source.query('alter table villages enable always trigger user').catch(() => undefined)
    await provider.command('setup')
    await provider.command('resync', 'villages')
    t.equal(await equal(), 0)
  })

  await t.test('doctor finds what is missing, and says so with exit code 1', async (t) => {
    await provider.program.end()
    const healthy = await provider.command('doctor', '--lang', 'en')
    t.notMatch(healthy.stdout, /✗/)
    await provider.commandLine('teardown')
    const { code, stdout } = await runProgram(['agent/main.ts', 'doctor', '--config', provider.configFile], { failing: true })
    t.equal(code, 1)
    t.match(stdout, /✗/)
    const left = await source.query(`select count(*) from pg_trigger where not tgisinternal`)
    t.same(left, [['0']], 'teardown leaves no trigger')
    t.equal((await source.query(`select ${villageColumns.join(', ')} from villages`)).length, rows.length - 1, 'and every row')
    await provider.commandLine('setup')
    provider.program.start()
    await source.query(`insert into villages values ('999', 'after', '', '', '', '')`)
    t.equal(await equal(), 0, 'a later set-up begins with a snapshot')
  })

  await t.test('health is good', async (t) => {
    await until('the hub is healthy', () => exchange.office('health'), 30)
    t.equal((await runProgram(['hub/main.ts', 'health', '--config', exchange.hubFile, '--json'])).code, 0)
  })
})
