import { realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { runCommand } from '../../hub/commands/command-line.ts'

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
    ['zh', '按默认设置启动,数据目录'],
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
