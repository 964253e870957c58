/**
 * Runs the tests: `node test/support/run.ts [--changed] [--base=main] [--jobs=N] [--timeout=seconds] [test files]`.
 * Prints for each finished file its time, failures and skips, then the ten longest, and closes with `N passed, N failed, N skipped`.
 */
import { parseArgs } from 'node:util'
import { bundledPrograms } from './bundled-programs.ts'
import { changedFiles, reachedBy } from './changed.ts'
import { sources } from './imports.ts'
import { lanes } from './lanes.ts'
import { bundledLibraries } from './libraries.ts'
import { ofRuns, runServer, startPostgres } from './postgres.ts'
import { portsOf } from './server.ts'
import { memoryFolder } from './temporary.ts'
import { runTestFiles, type FileResult } from './test-file.ts'

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    changed: { type: 'boolean', default: false },
    base: { type: 'string' },
    jobs: { type: 'string' },
    timeout: { type: 'string', default: '900' },
  },
})
const print = (line: string): void => void process.stdout.write(`${line}\n`)
const ending = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => ending.abort())

Object.assign(process.env, memoryFolder())

const results: FileResult[] = []
const files = chosen()
// One server for all files that neither kill nor change it; where none needs it, it is not started.
const server = reachedBy(['test/support/postgres.ts'], files).length > 0 ? await startPostgres(ofRuns) : undefined
if (server) process.env[runServer] = server.url()
Object.assign(process.env, await bundledLibraries())
Object.assign(process.env, await bundledPrograms())
const [first, second] = lanes(files, options.jobs === undefined ? undefined : Number(options.jobs))
const [waiting, busy] = [first.turns.values(), second.turns.values()]
// Where nothing waits any more, those who ran it help with the rest.
const workers = [
  ...Array.from({ length: first.jobs }, () => inTurn(waiting, busy)),
  ...Array.from({ length: second.jobs }, () => inTurn(busy)),
]
await Promise.all(workers.map((left, index) => runTurns(left, portsOf(index, workers.length))))
await server?.stop()

function chosen(): string[] {
  if (positionals.length > 0) return positionals
  const all = sources('test')
    .filter((file) => file.endsWith('.test.ts'))
    .toSorted()
  if (!options.changed) return all
  const changed = changedFiles(options.base)
  const reached = reachedBy(changed, all)
  print(`${changed.length} changed files reach ${reached.length} of ${all.length} test files`)
  return reached
}

function* inTurn<T>(...lists: Iterable<T>[]): Iterable<T> {
  for (const list of lists) yield* list
}

async function runTurns(left: Iterable<readonly string[]>, own: NodeJS.ProcessEnv): Promise<void> {
  for (const files of left) {
    if (ending.signal.aborted) return
    await runTestFiles(files, { seconds: Number(options.timeout), ending: ending.signal, own, ended })
  }
}

function ended(result: FileResult): void {
  results.push(result)
  for (const line of result.lines) print(line)
  print(`${result.failed > 0 ? 'not ok' : 'ok    '} ${result.file} ${Math.round(result.ms)} ms`)
}

if (results.length > 1) {
  print('The longest:')
  for (const { file, ms } of results.toSorted((a, b) => b.ms - a.ms).slice(0, 10)) print(`${(ms / 1000).toFixed(1).padStart(7)} s ${file}`)
}
const sum = (what: 'passed' | 'failed' | 'skipped'): number => results.reduce((all, result) => all + result[what], 0)
// Nothing that the changes reach is a good end; no file where files were asked for is not.
const failed = sum('failed') + (ending.signal.aborted || (results.length === 0 && !options.changed) ? 1 : 0)
process.exitCode = failed > 0 ? 1 : 0
print(`${sum('passed')} passed, ${failed} failed, ${sum('skipped')} skipped`)
