/**
 * Runs the tests under tap: `node test/support/run.ts [tap's arguments, test files]`.
 * Prints a line per finished file, each failure with its diagnostics, each skip with its reason, and closes with
 * `N passed, N failed, N skipped`. Counted are assertions; a crashed, timed-out or empty file counts as one failure.
 */
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { Parser, type Result } from 'tap-parser'

const total = { passed: 0, failed: 0, skipped: 0 }
const print = (line: string): void => void process.stdout.write(`${line}\n`)

let failedInFile = 0
let countedFile: Result | undefined

const parser = new Parser()
parser.on('result', (result: Result) => {
  if (result === countedFile) return
  if (result.skip) {
    total.skipped++
    print(`  SKIPPED ${result.fullname || result.name}: ${result.skip === true ? 'no reason given' : result.skip}`)
  } else if (result.ok || result.todo) total.passed++
  else fail(result)
})
parser.on('assert', (file: Result) => {
  // a file which was killed after its last assertion has no failed one
  if (!file.ok && failedInFile === 0) {
    fail(file)
    countedFile = file
  }
  failedInFile = 0
  print(`${file.ok ? 'ok    ' : 'not ok'} ${file.name}${file.time ? ` ${Math.round(file.time)} ms` : ''}`)
})
parser.on('child', watchFile)
parser.on('extra', (text: string) => process.stdout.write(text))
parser.on('bailout', (reason: string) => {
  total.failed++
  print(`  BAILED OUT ${reason}`)
})

function fail(result: Result): void {
  total.failed++
  failedInFile++
  print(`  FAILED ${result.fullname || result.name}`)
  if (result.diag) print(indent(JSON.stringify(result.diag, null, 2)))
}

/** A test file's own output that is not TAP (console.log) and its nested tests' are shown as they come. */
function watchFile(child: Parser): void {
  child.on('extra', (text: string) => process.stdout.write(text))
  child.on('child', watchFile)
}

function indent(text: string): string {
  return text.replaceAll('\\n', '\n').replaceAll(/^/gm, '    ')
}

const require = createRequire(import.meta.url)
const tap = join(dirname(require.resolve('tap/package.json')), 'dist/esm/run.mjs')
const child = spawn(process.execPath, [tap, 'run', '--reporter=tap', ...process.argv.slice(2)], { stdio: ['ignore', 'pipe', 'inherit'] })
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal))
const exited = new Promise<number>((resolve) => child.on('close', (code) => resolve(code ?? 1)))
await pipeline(child.stdout, parser)
const code = await exited

if (!parser.ok || code !== 0) {
  if (total.failed === 0) total.failed = 1
}
if (total.passed + total.failed + total.skipped === 0) total.failed = 1
process.exitCode = total.failed > 0 ? 1 : 0
print(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`)
