import { execFile } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { runHere } from '../support/commands.ts'
import { runProgram } from '../support/programs.ts'

const folder = mkdtempSync(join(tmpdir(), 'qianzhi-main-'))
const file = join(folder, 'qianzhi-agent.yaml')
writeFileSync(file, 'databases: { front: { url: "postgres://127.0.0.1:1/x" } }')
const given = { failing: true, env: { LANG: 'C.UTF-8' } }
const agent = (...words: string[]) => runProgram(['agent/main.ts', ...words, '--config', file], given)
const agentHere = (...words: string[]) => runHere(['agent/main.ts', ...words, '--config', file], given)

t.test('help in Chinese by default, in English by LANG or a flag', async (t) => {
  t.match((await agent('--help')).stdout, /前置机代理/)
  t.match((await agent('--help', '--lang', 'en')).stdout, /the agent of a front-end machine/)
  const english = await runProgram(['agent/main.ts', '--help'], { env: { LANG: 'en_US.UTF-8' } })
  t.match(english.stdout, /the agent of a front-end machine/)
  t.match((await agent('--version')).stdout, /^\d+\.\d+\.\d+/)
  t.match((await runHere(['hub/main.ts', '--version'])).stdout, /^\d+\.\d+\.\d+/)
})

t.test('who has read enough does no harm', async (t) => {
  const shell = promisify(execFile)
  for (const program of ['agent/main.ts', 'hub/main.ts']) {
    const piped = `'${process.execPath}' ${program} --help | true; echo "\${PIPESTATUS[0]}"`
    const { stdout, stderr } = await shell('bash', ['-c', piped])
    t.same([stdout.trim(), stderr], ['0', ''], program)
  }
})

t.test('errors are coded, in the language of the person, with exit code 1', async (t) => {
  const cases: [string[], RegExp][] = [
    [['nonsense'], /QZ-NOT-FOUND 没有找到 nonsense/],
    [['status', '--nonsense'], /QZ-CONFIG/],
    [['start'], /QZ-NOT-ENROLLED 本机尚未登记/],
    [['start', '--lang', 'en'], /QZ-NOT-ENROLLED This agent is not enrolled/],
    [['enroll', 'garbage'], /QZ-TOKEN/],
    [['resync'], /QZ-CONFIG/],
    // A fingerprint may begin with a dash.
    [['trust-gap', 'in', `-${'a'.repeat(42)}`], /QZ-NOT-FOUND 没有找到 folders\.in/],
  ]
  for (const [words, expected] of cases) {
    const { code, stderr } = await agentHere(...words)
    t.equal(code, 1, words.join(' '))
    t.match(stderr, expected)
  }
  t.match(await agent('start'), { code: 1, stderr: /QZ-NOT-ENROLLED/ })
  t.match((await agentHere('status')).stdout, /代理未运行/)
  t.match((await agentHere('doctor')).stdout, /✗ 登记/)
})

t.test('each command has its own help', async (t) => {
  for (const lang of ['zh', 'en']) {
    const whole = (await agentHere('--help', '--lang', lang)).stdout
    const said = (await agentHere('setup', '--help', '--lang', lang)).stdout
    t.match(said, /^qianzhi-agent setup\n\n {2}setup .*--print/)
    t.match(said, /--user/, 'all its lines')
    t.notMatch(said, /teardown \[/)
    t.ok(said.length < whole.length / 2 && said.includes('--config'))
  }
  t.match((await agentHere('no-such', '--help')).stdout, /teardown/, 'of none there is the whole')
})
