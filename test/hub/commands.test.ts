import { realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { AdminClient } from '../../hub/commands/admin-client.ts'
import { runCommand } from '../../hub/commands/command-line.ts'
import type { CommandDeps } from '../../hub/commands/command.ts'
import { officeCommands } from '../../hub/commands/office.ts'
import { operatorCommands } from '../../hub/commands/operator.ts'
import { agentStates, grantStates, healthWords, routeStates, tableWords } from '../../hub/records/words.ts'

const commands = [
  'start',
  'agency add',
  'agency list',
  'token',
  'resource publish',
  'resource list',
  'grant add',
  'grant list',
  'grant suspend',
  'grant resume',
]
commands.push(
  'grant revoke',
  'grant reinstate',
  'clock show',
  'clock confirm',
  'route add',
  'route list',
  'agent list',
  'agent revoke',
  'explain',
  'housekeeping',
  'health',
  'first-admin',
  'table list',
  'table rebuild',
  'audit export',
  'audit verify',
)

async function hub(words: string[], env: NodeJS.ProcessEnv = {}) {
  const said = { stdout: '', stderr: '' }
  const code = await runCommand(words, { env, out: (text) => void (said.stdout += text), err: (text) => void (said.stderr += text) })
  return { code, ...said }
}

t.test('help names every command, in both languages', async (t) => {
  const [zh, en] = await Promise.all([hub(['--help']), hub(['--help', '--lang', 'en'])])
  for (const { stdout, code } of [zh, en]) {
    t.equal(code, 0)
    for (const command of commands) t.match(stdout, `  ${command}`)
    t.match(stdout, '--config FILE')
  }
  t.match(zh.stdout, /[\u4e00-\u9fff]{4}/)
  t.notMatch(en.stdout.replace('Qianzhi 前置', ''), /[\u4e00-\u9fff]/)
  t.equal((await hub([], { LANG: 'en_GB.UTF-8' })).stdout, en.stdout, 'an English terminal')
})

t.test('every command has help in both languages', async (t) => {
  for (const command of commands) {
    const [zh, en] = await Promise.all([hub([...command.split(' '), '--help']), hub([...command.split(' '), '-h', '--lang', 'en'])])
    t.match(zh.stdout, /[\u4e00-\u9fff]/, command)
    t.match(en.stdout, `qianzhi-hub ${command}`)
    t.notMatch(en.stdout, /[\u4e00-\u9fff]/)
  }
})

t.test('a start without a configuration file says that defaults hold, and where the data lie', async (t) => {
  const [before, folder] = [process.cwd(), realpathSync(t.testdir({ data: 'a file, in which no hub can start' }))]
  process.chdir(folder)
  t.teardown(() => process.chdir(before))
  for (const [lang, said] of [
    ['zh', '按默认设置启动，数据目录'],
    ['en', 'defaults hold, with data folder'],
  ] as const) {
    const { code, stderr } = await hub(['start', '--lang', lang])
    t.equal(code, 1)
    t.match(stderr, `${said} ${join(folder, 'data')}\n`)
  }
  writeFileSync('qianzhi-hub.yaml', 'data: data')
  t.notMatch((await hub(['start', '--lang', 'en'])).stderr, 'defaults hold')
})

t.test('what is wrong on the command line is said, with exit code 2', async (t) => {
  for (const words of [
    ['nothing'],
    ['token'],
    ['token', 'a', 'b'],
    ['token', 'a', '--items', 'x'],
    ['--nothing'],
    ['health', '--lang', 'fr'],
    ['health', '--config', '/nowhere.yaml'],
  ]) {
    const { code, stderr, stdout } = await hub(words)
    t.equal(code, 2, words.join(' '))
    t.match(stderr, /^QZ-(REQUEST-INVALID|CONFIG): /)
    t.equal(stdout, '')
  }
})

t.test('items are separated by either comma', async (t) => {
  const command = officeCommands.find(({ name }) => name === 'grant items')!
  const sent: unknown[] = []
  const api = { post: async (_: string, body: unknown) => (sent.push(body), { id: 'g', items: [] }) } as unknown as AdminClient
  await command.run({ api, show: () => undefined } as unknown as CommandDeps, ['g', 'a,b\uff0cc'], {})
  t.same(sent, [{ items: ['a', 'b', 'c'] }])
})

t.test('what people read: states in words, times where the city is', async (t) => {
  const time = '2026-11-29T17:30:00.000Z'
  const schema = { title: '村居' }
  const lists: Record<string, object[]> = {
    resources: ['store', 'relay'].map((keep) => ({ code: 'r', schema, agency: 'a', version: 1, keep })),
    grants: Object.keys(grantStates).map((state) => ({ id: 'g', resource: 'r', agency: 'a', state, items: [] })),
    routes: Object.keys(routeStates).map((state) => ({
      id: 'g',
      resource: 'r',
      agent: 'a',
      state,
      epoch: null,
      headEpoch: null,
      quarantine: '0',
    })),
    tables: Object.keys(tableWords).map((state) => ({
      resource: 'r',
      state,
      version: 1,
      rows: 1,
      asOf: time,
      place: null,
      head: null,
      fault: null,
    })),
    agents: Object.keys(agentStates).map((state) => ({ id: 'a', agency: 'a', name: 'n', state, lastSeen: time, morning: null })),
  }
  const said = async (name: string, args: string[], answer: object) => {
    const texts: string[] = []
    const api = { get: async () => answer, post: async () => answer } as unknown as AdminClient
    const deps = {
      api,
      language: 'zh',
      show: (_: unknown, text: string) => texts.push(text),
      hint: ({ zh }: { zh: string }) => texts.push(zh),
    }
    const command = [...officeCommands, ...operatorCommands].find((one) => one.name === name)!
    await command.run(deps as unknown as CommandDeps, args, {})
    return texts.join('\n')
  }
  const printed = [
    ...(await Promise.all(Object.entries(lists).map(([what, items]) => said(`${what.slice(0, -1)} list`, [], { items })))),
    await said('grant suspend', ['g'], { id: 'g', state: 'suspended' }),
    await said('agent revoke', ['a'], { id: 'a', state: 'revoked' }),
    ...(await Promise.all(Object.keys(healthWords).map((status) => said('health', [], { status, problems: [], paused: [] })))),
    await said('token', ['a'], { token: 't', expires: time }),
    await said('first-admin', [], { link: 'l', expires: time }),
    await said('table rebuild', ['r'], { resource: 'r' }),
    await said('reset-admin', ['x'], { link: 'l', expires: time }),
    await said('clock show', [], { now: time, wall: time, heldSince: time }),
  ].join('\n')
  t.notMatch(printed, /active|suspended|held|revoked|expired|given|store|relay|filling|live|ok|degraded|down/)
  t.notMatch(printed, /T17:30/)
  t.equal(printed.match(/2026-11-30 01:30:00/g)?.length, 10)
})
