// Format, lint, types and import rules, all at once: each needs about one processor. What one of them finds comes out in one piece.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

const checks = [
  'oxlint --type-aware --deny-warnings',
  // Several threads check the same libraries several times.
  'tsc --singleThreaded',
  'tsc --singleThreaded -p hub/console',
  'oxfmt --check',
  'node test/support/run.ts test/import-rules.test.ts',
]

async function run(command) {
  const child = spawn(command, { shell: true, stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  process.stdout.write(`${code === 0 ? 'ok    ' : 'not ok'} ${command}\n${out}${err}`)
  if (code !== 0) process.exitCode = 1
}

await Promise.all(checks.map(run))
