/**
 * `npm start`: a hub, two agencies' front-end databases and agents on this machine; real rows, changes flowing from one table into the
 * other. `-- --once` checks the result and exits; `-- --lang en` (or LANG=en…) speaks English.
 */
import { rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { openClient, tableRows, difference, type Client } from '../../test/support/client.ts'
import { Exchange, type TestAgent } from '../../test/support/exchange.ts'
import { startPostgres, type TestDatabaseServer } from '../../test/support/postgres.ts'
import { until } from '../../test/support/programs.ts'
import { password, type Person } from '../../test/support/registry.ts'
import { connectAgencies, pages, granted } from './agencies.ts'
import { Changes } from './changes.ts'
import { filesHold } from './search.ts'
import { readVillages, villageColumns } from './villages.ts'

const { values: options } = parseArgs({ options: { once: { type: 'boolean' }, lang: { type: 'string' } } })
const english = options.lang ? options.lang === 'en' : (process.env['LANG'] ?? '').startsWith('en')
const say = (zh: string, en: string): void => void process.stdout.write(`${english ? en : zh}\n`)

/** Who may sign in to the console. */
const signIns = [
  [
    'office',
    '市电子政务办：有一件共享申请待批准，批准后“镇街”即到达民政局的表',
    'the office: an application waits; approved, "street" arrives in civil affairs',
  ],
  ['registrar', '统计局登记员、前置机管理员', 'registrar and agency IT of statistics'],
  ['reviewer', '统计局审核员', 'reviewer of statistics'],
  ['user', '民政局使用员、前置机管理员', 'user and agency IT of civil affairs'],
  ['supervisor', '监察员', 'supervisor'],
  ['secrecy', '保密监督员', 'secrecy supervisor'],
  ['system', '系统管理员', 'system administrator'],
  ['security', '安全管理员', 'security administrator'],
  ['audit', '审计管理员', 'audit administrator'],
] as const

const stopping = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort())

process.exitCode = await demonstrate()

async function demonstrate(): Promise<number> {
  const folder = fileURLToPath(new URL('../../data/demo', import.meta.url))
  rmSync(folder, { recursive: true, force: true })
  say('前置演示：启动中心和两个机关单位的前置库（PostgreSQL）…', 'Qianzhi: starting the hub and two front-end databases (PostgreSQL)…')
  const [a, b] = await Promise.all([startPostgres(), startPostgres()])
  const exchange = await Exchange.start({ folder, hub: { access: { factor: [] } } })
  try {
    return await run(exchange, a, b)
  } finally {
    say('正在停止…', 'Stopping…')
    await exchange.stop()
    await Promise.all([a.stop(), b.stop()])
  }
}

async function run(exchange: Exchange, a: TestDatabaseServer, b: TestDatabaseServer): Promise<number> {
  const { receiver, office } = await connectAgencies(exchange, a, b, say)
  const [source, target] = [await openClient(a.url()), await openClient(b.url())]
  try {
    const rows = readVillages()
    await firstLoad({ source, target, rows })
    showPlaces(exchange, a, b, receiver)
    await showAttention(office)
    return options.once ? await once(source, target, b, rows) : await untilStopped(source, target)
  } finally {
    await Promise.all([source.end(), target.end()])
  }
}

interface Flow {
  source: Client
  target: Client
  rows: string[][]
}

async function firstLoad({ source, target, rows }: Flow): Promise<void> {
  const started = performance.now()
  const columns = villageColumns.map((_, i) => rows.map((row) => row[i]))
  await source.query(
    `insert into public.villages select *, '国家统计局', localtimestamp(0)
     from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])`,
    columns,
  )
  say(
    `业务系统向统计局的表写入 ${rows.length} 行真实数据…`,
    `The business system wrote ${rows.length} real rows into the statistics table…`,
  )
  await until('the first load arrives', async () => (await count(target)) === rows.length, 120)
  const seconds = (performance.now() - started) / 1000
  const perSecond = Math.round(rows.length / seconds)
  say(
    `民政局的表已有 ${rows.length} 行（${seconds.toFixed(1)} 秒，${perSecond} 行/秒）。`,
    `Civil affairs holds ${rows.length} rows (${seconds.toFixed(1)} s, ${perSecond} rows/s).`,
  )
}

function showPlaces(exchange: Exchange, a: TestDatabaseServer, b: TestDatabaseServer, receiver: TestAgent): void {
  say('', '')
  say(`  统计局   表 public.villages     ${a.url()}`, `  statistics     table public.villages     ${a.url()}`)
  say(`  民政局   表 delivered.villages  ${b.url()}`, `  civil affairs  table delivered.villages  ${b.url()}`)
  say(`  中心     ${exchange.url}（健康状况 ${exchange.url}/health）`, `  hub            ${exchange.url} (health: ${exchange.url}/health)`)
  const [ours, theirs] = [pages.provider, pages.receiver].map((port) => `http://127.0.0.1:${port}/`)
  say(`  状态页   ${ours} ${theirs}（两个代理）`, `  status pages   ${ours} ${theirs} (of the two agents)`)
  say(`  接口文档 ${exchange.url}/docs`, `  API            ${exchange.url}/docs`)
  say('', '')
  say(
    `  用浏览器打开 ${exchange.url}/ 登录（证书由中心自签，口令均为 ${password}）：`,
    `  Open ${exchange.url}/ in a browser (its certificate is the hub's own; every password is ${password}) as:`,
  )
  for (const [login, zh, en] of signIns) say(`    ${login.padEnd(11)} ${zh}`, `    ${login.padEnd(11)} ${en}`)
  say(
    `  代理状态 npm run agent -- status --config ${receiver.configFile}`,
    `  agent status   npm run agent -- status --config ${receiver.configFile}`,
  )
  say('', '')
}

/** What is not as it should be, for whoever looks at the console. */
async function showAttention(office: Person): Promise<void> {
  const overdue = async () => ((await office.get('/duties?state=overdue'))['items'] as { title: string }[])[0]?.title
  const held = async () => ((await office.get('/lines?state=held'))['items'] as { resource: string }[])[0]?.resource
  await until('what is overdue is judged, and what is held is told', async () => (await overdue()) && (await held()), 60)
  say(
    `  需要处理：资源“${await overdue()}”逾期未更新；${await held()} 到民政局的链路停住（那里已有结构不同的同名表）`,
    `  Wants attention: "${await overdue()}" is overdue; the line of ${await held()} to civil affairs is held (a table of that name has another shape there)`,
  )
  say('', '')
}

async function count(target: Client): Promise<number> {
  return Number((await target.query('select count(*) from delivered.villages'))[0]![0])
}

async function once(source: Client, target: Client, b: TestDatabaseServer, rows: string[][]): Promise<number> {
  const changes = new Changes(rows.map((row) => row[0]!))
  for (let i = 0; i < 300; i++) await changes.make(source)
  say(
    `业务系统做了 ${changes.made} 次修改（新增、修改、换主键、删除）…`,
    `The business system made ${changes.made} changes (inserts, updates, key changes, deletes)…`,
  )
  const compare = async () =>
    difference(await tableRows(source, 'public.villages', granted), await tableRows(target, 'delivered.villages', granted))
  const equal = async () => {
    const { missing, surplus } = await compare()
    return missing.length + surplus.length === 0
  }
  await until('both tables equal', equal, 60).catch(() => undefined)
  const { rows: total, missing, surplus } = await compare()
  const withheld = await withheldValues(source, b)
  const good = missing.length === 0 && surplus.length === 0 && withheld === 0
  say(
    `${good ? '一致' : '不一致'}：${total} 行逐行比对，缺 ${missing.length}，多 ${surplus.length}；未授权的值在接收方出现 ${withheld} 个（共查 20 个）。`,
    `${good ? 'Equal' : 'DIFFERENT'}: ${total} rows compared one by one, ${missing.length} missing, ${surplus.length} surplus; ${withheld} of 20 withheld values found at the receiver.`,
  )
  return good ? 0 : 1
}

/** How many of twenty values of the item that was not granted are anywhere in the files of the receiver's database cluster. */
async function withheldValues(source: Client, b: TestDatabaseServer): Promise<number> {
  const streets = await source.query(`select distinct street from villages v where length(street) > 4 and not exists
    (select from villages w where position(v.street in w.name || w.area || w.city || w.province) > 0) limit 20`)
  return filesHold(
    b.dataDir,
    streets.map(([street]) => street!),
  )
}

async function untilStopped(source: Client, target: Client): Promise<number> {
  const changes = new Changes((await source.query('select code from villages')).map(([code]) => code!))
  say('现在每秒修改几行；按 Ctrl-C 结束。', 'A few rows change every second now; Ctrl-C ends this.')
  const { signal } = stopping
  while (!signal.aborted) {
    const { kind, code, name } = await changes.make(source)
    const committed = performance.now()
    // Ctrl-C reaches the agents too: what they have not brought by then stays on its way.
    const arrived = async () =>
      signal.aborted || (await target.query('select name from delivered.villages where code = $1', [code]))[0]?.[0] === name
    await until('the change arrives', arrived, 30).catch((error) => {
      if (!signal.aborted) throw error
    })
    if (signal.aborted) return 0
    const took = (performance.now() - committed).toFixed(0)
    say(`${kind.zh} ${code} ${name ?? ''} → ${took} 毫秒后到达`, `${kind.en} ${code} ${name ?? ''} → arrived after ${took} ms`)
    await sleep(300, undefined, { signal }).catch(() => undefined)
  }
  return 0
}
