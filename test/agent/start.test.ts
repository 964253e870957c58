/** The real program without hub and database: its log rolls and loses nothing, its page, and what is said when it does not run. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { stringify } from 'yaml'
import type { AgentStatus } from '../../agent/status/agent-status.ts'
import { callControl } from '../../agent/operator/control.ts'
import { openKey } from '../../agent/runtime/state.ts'
import { generateSigningKey } from '../../protocol/signature.ts'
import { runHere } from '../support/commands.ts'
import { Program, until } from '../support/programs.ts'

/** Enrolled with a hub that is not there; its one source's database is not there either. */
function enrolled(test: Test, more: object = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'qianzhi-start-'))
  test.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const identity = { agent: 'civil-1', agency: 'civil', urls: ['https://127.0.0.1:1'], hubKey: generateSigningKey().publicKey }
  const data = join(folder, 'data')
  const config = {
    databases: { front: { url: 'postgres://127.0.0.1:1/x' } },
    sources: [{ resource: 'villages', database: 'front', table: 'villages' }],
    log: { file: './log/agent.log', size: 0.01, days: 14, files: 1000 },
    page: { port: 0 },
    ...more,
  }
  mkdirSync(data)
  openKey(data)
  writeFileSync(join(data, 'state.json'), JSON.stringify({ identity, pins: {} }))
  const file = join(folder, 'qianzhi-agent.yaml')
  writeFileSync(file, stringify(config))
  const program = new Program(['agent/main.ts', 'start', '--config', file], join(folder, 'out.txt'))
  test.teardown(() => program.end('SIGKILL'))
  const command = (...words: string[]) => runHere(['agent/main.ts', ...words, '--config', file], { failing: true })
  const call = (name: string, body: Record<string, string> = {}) => callControl(data, name, body)
  const status = async () => (await call('status')) as AgentStatus | undefined
  const start = async () => {
    program.start()
    await until('the agent answers', async () => (await status())?.page.url ?? (await status())?.page.fault)
  }
  const logged = () => readLog(join(folder, 'log'))
  return { folder, program, command, call, status, start, logged }
}

interface Logged {
  time: string
  msg: string
  code?: string
  name?: string
}

/** All lines of all files, oldest first. */
function readLog(folder: string): Logged[] {
  const rolled = readdirSync(folder).filter((name) => name !== 'agent.log')
  const number = (name: string) => Number(/\.(\d+)\.log$/.exec(name)![1])
  const files = [...rolled.toSorted((a, b) => a.slice(0, 16).localeCompare(b.slice(0, 16)) || number(a) - number(b)), 'agent.log']
  return files.flatMap((name) => readFileSync(join(folder, name), 'utf8').trimEnd().split('\n')).map((line) => JSON.parse(line) as Logged)
}

t.test('much log: it rolls, and no line is lost, however the program ends', async (t) => {
  const agent = enrolled(t)
  await agent.start()
  for (let i = 0; i < 150; i++) {
    await agent.call('pause', { name: 'villages' })
    await agent.call('resume', { name: 'villages' })
  }
  await agent.program.end('SIGTERM')
  const counted = () =>
    ['paused', 'resumed'].map((msg) => agent.logged().filter((line) => line.msg === msg && line.name === 'villages').length)
  t.same(counted(), [150, 150])
  t.match(agent.logged()[0], { msg: 'status page', time: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/ })
  t.equal(agent.logged().at(-1)!.msg, 'agent stopped')
  t.ok(readdirSync(join(agent.folder, 'log')).length > 3, 'it has rolled')
  t.equal(agent.logged().filter(({ code }) => code === 'QZ-HUB-UNREACHABLE').length, 1, 'not at every try')

  await agent.start()
  for (let i = 0; i < 100; i++) await agent.call('pause', { name: 'villages' })
  await agent.program.end('SIGKILL')
  t.same(counted(), [250, 150], 'what was answered stands in the log')
})

t.test('status when the agent does not run says since when', async (t) => {
  const agent = enrolled(t)
  await agent.start()
  const [zh, en] = [await agent.command('status', '--lang', 'zh'), await agent.command('status', '--lang', 'en')]
  t.match(zh.stdout, /来源 villages（front）/)
  t.match(en.stdout, /source villages \(front\)/)
  t.match(en.stdout, /Status page: http:\/\/127\.0\.0\.1:\d+\//)
  await until('the hub is said to be away', async () => (await agent.status())?.hub.fault)
  const away = await agent.command('status')
  t.match(away.stdout, /https:\/\/127\.0\.0\.1:1，尚未应答；QZ-HUB-UNREACHABLE .*由本机运维人员处理/)
  t.match(away.stdout, /总体：.*异常：中心/)
  t.equal(away.code, 1)
  await agent.program.end('SIGTERM')
  const stopped = await agent.command('status', '--lang', 'en')
  t.equal(stopped.code, 1)
  t.match(
    stopped.stdout,
    /not running; its last sign of life is of \d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}\n {2}last line of its log: agent stopped/,
  )
  await agent.start()
  await agent.program.end('SIGKILL')
  t.match((await agent.command('status')).stdout, /代理未运行，最近一次活动 .*未正常停止/)
})

t.test('the page: on, its port taken, off', async (t) => {
  const other = createServer()
  other.listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.teardown(() => other.close())
  const taken = (other.address() as AddressInfo).port
  for (const page of [{ port: 0 }, { port: taken }, false] as const) {
    const agent = enrolled(t, { page })
    if (page === false) agent.program.start()
    else await agent.start()
    const status = await until('the agent runs', () => agent.status())
    if (page === false) t.same(status.page, {})
    else if (page.port === taken) t.match(status.page, { fault: /EADDRINUSE/ })
    else t.equal((await fetch(status.page.url!)).status, 200)
    if (page && page.port === taken)
      t.ok(
        agent.logged().some(({ msg }) => /status page is not served/.test(msg)),
        'said in the log',
      )
    await agent.program.end()
  }
})
