/** The installed commands start the Node that came with them, whatever the machine has. */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { version } from '../protocol/version.ts'
import { nodeOptionsOf } from './support/programs.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const own = `node-linux-${process.arch}`
const windows = process.platform === 'win32' ? 'written for sh' : false

function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env, cwd = root) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { env, cwd, encoding: 'utf8' })
  if (error) throw error
  return { code: status, stdout, stderr }
}

/** The package as npm packs it, unpacked and linked as npm does, beside the packages that are installed here. */
function install(folder: string): string {
  const packed = run('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder])
  const modules = join(folder, 'app', 'node_modules')
  mkdirSync(join(modules, 'qianzhi'), { recursive: true })
  mkdirSync(join(modules, '.bin'))
  run('tar', ['xzf', join(folder, packed.stdout.trim()), '--strip-components=1', '-C', join(modules, 'qianzhi')])
  for (const name of readdirSync(join(root, 'node_modules')).filter((one) => !one.startsWith('.')))
    symlinkSync(join(root, 'node_modules', name), join(modules, name))
  const { bin } = JSON.parse(readFileSync(join(modules, 'qianzhi', 'package.json'), 'utf8')) as { bin: Record<string, string> }
  for (const [name, file] of Object.entries(bin)) {
    chmodSync(join(modules, 'qianzhi', file), 0o755)
    symlinkSync(join('..', 'qianzhi', file), join(modules, '.bin', name))
  }
  return modules
}

/** A folder for PATH with these programs of the machine alone. */
function only(folder: string, ...programs: string[]): string {
  mkdirSync(folder)
  for (const name of programs) symlinkSync(run('/bin/sh', ['-c', `command -v ${name}`]).stdout.trim(), join(folder, name))
  return folder
}

t.test('the installed commands', { skip: windows }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'qianzhi-bin-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const modules = install(folder)
  const bare = only(join(folder, 'bare'), 'sh', 'readlink', 'dirname', 'uname')
  const old = only(join(folder, 'old'), 'sh', 'readlink', 'dirname', 'uname')
  // What is there is older: it cannot even read the program.
  writeFileSync(join(old, 'node'), '#!/bin/sh\necho SyntaxError >&2\nexit 1\n', { mode: 0o755 })
  const shells = ['/bin/sh', '/bin/bash'].filter((shell) => existsSync(shell))

  for (const [what, PATH] of [
    ['no node on PATH', bare],
    ['an old node on PATH', old],
  ] as const) {
    for (const name of ['qianzhi-agent', 'qianzhi-hub']) {
      const command = join(modules, '.bin', name)
      t.match(run(command, ['--version'], { PATH }, folder), { code: 0, stdout: `${version}\n`, stderr: '' }, `${name}, ${what}`)
      for (const shell of shells)
        t.match(run(shell, ['-c', `${command} --version`], { PATH }), { code: 0, stdout: `${version}\n` }, `${name} from ${shell}, ${what}`)
    }
  }
  const onPath = { PATH: `${join(modules, '.bin')}:${bare}` }
  t.match(run('/bin/sh', ['-c', 'qianzhi-hub --version'], onPath), { code: 0, stdout: `${version}\n` }, 'found on PATH')
  t.match(run(join(modules, 'qianzhi', 'bin', 'qianzhi-hub.cmd'), ['--version'], { PATH: bare }), { code: 0 }, 'by its own name')
  const refused = run(join(modules, '.bin', 'qianzhi-agent'), ['no such "$HOME"'], { PATH: bare, LANG: 'en' })
  t.match(refused, { code: 1, stderr: /no such "\$HOME"/ }, 'arguments and exit code go through')

  unlinkSync(join(modules, own))
  const agent = join(modules, '.bin', 'qianzhi-agent')
  t.match(run(agent, ['--version'], { PATH: old }), {
    code: 127,
    stderr: /需要 Node 24\.7[^]*Node 24\.7 or later is needed, and package node-linux/,
  })
  t.match(run(agent, ['--version'], { PATH: bare }), { code: 127, stderr: /Node 24\.7/ })
  t.match(
    run(agent, ['--version'], { PATH: `${bare}:${dirname(process.execPath)}` }),
    { code: 0, stdout: `${version}\n` },
    'a new one on PATH will do',
  )
})

t.test('both commands are one file, and start Node as the program says', async (t) => {
  const text = readFileSync(join(root, 'bin', 'qianzhi-agent.cmd'), 'utf8')
  t.equal(readFileSync(join(root, 'bin', 'qianzhi-hub.cmd'), 'utf8'), text)
  for (const program of ['agent/main.ts', 'hub/main.ts']) {
    const options = nodeOptionsOf(program).join(' ')
    t.not(options, '')
    t.equal(text.split(`${options} `).length, 4, `${program}: ${options}, wherever it is started`)
  }
  const [sh, cmd] = text.split('@echo off')
  t.ok(
    sh!
      .trimEnd()
      .split('\n')
      .every((line) => line.startsWith(':; ')),
    'cmd takes all of it for labels',
  )
  t.notMatch(cmd, /goto|^:/m, 'labels are looked for nowhere: line ends are those of Linux')
})
