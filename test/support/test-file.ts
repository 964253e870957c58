/** Test files as processes of their own, or several in one, and what came of each. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { Parser, type Result } from 'tap-parser'
import { compileCache } from './programs.ts'

const several = fileURLToPath(new URL('several.ts', import.meta.url))

/** What several.ts is to run. */
export const filesToRun = 'QIANZHI_TEST_FILES'
export interface FilesToRun {
  readonly files: readonly string[]
  /** That each of them may take. */
  readonly seconds: number
}

export interface FileResult {
  readonly file: string
  readonly ms: number
  /** Assertions; a crashed, timed-out or empty file counts as one that failed. */
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  /** Failures with their diagnostics, skips with their reasons, and what the file printed beside its results. */
  readonly lines: readonly string[]
}

export interface RunOptions {
  seconds: number
  ending: AbortSignal
  /** Environment of these files alone. */
  own?: NodeJS.ProcessEnv
  /** Told of each file as soon as it has ended. */
  ended: (result: FileResult) => void
}

/** Several share one process. Those that it did not come to the end of, because it died, run again, each in one of its own. */
export async function runTestFiles(files: readonly string[], options: RunOptions): Promise<void> {
  if (files.length === 1) return runAlone(files[0]!, options)
  const left = new Set(files)
  let tally = new Tally()
  const parser = new Parser()
  // Of a file itself `assert` tells; what it holds comes before.
  listen(
    parser,
    (result) => files.includes(result.fullname) || tally.count(result),
    (line) => tally.lines.push(line),
  )
  parser.on('assert', ({ name, ok, diag, time }: Result) => {
    if (!left.delete(name)) return
    if (!ok && tally.failed === 0 && tally.counted > 0) tally.fail(name, diag)
    options.ended(tally.result(name, time ?? undefined))
    tally = new Tally()
  })
  const told: FilesToRun = { files, seconds: options.seconds }
  const own = { ...options.own, TAP_TIMEOUT: String(options.seconds * files.length), [filesToRun]: JSON.stringify(told) }
  const { code, signal } = await runProcess(several, parser, { ...options, own })
  if (left.size === 0 && code !== 0 && parser.ok) {
    tally.fail(`they ended with ${signal ?? code}`)
    options.ended(tally.result(files.join(' ')))
  }
  for (const file of left) if (!options.ending.aborted) await runAlone(file, options)
}

async function runAlone(file: string, options: RunOptions): Promise<void> {
  const tally = new Tally()
  const parser = new Parser({ name: file })
  listen(
    parser,
    (result) => tally.count(result),
    (line) => tally.lines.push(line),
  )
  parser.on('bailout', (reason: string) => tally.fail(`${file} bailed out: ${reason}`))
  const { code, signal } = await runProcess(file, parser, options)
  if (tally.failed === 0 && tally.counted > 0 && (code !== 0 || !parser.ok))
    tally.fail(`${file} ended with ${signal ?? code}`, parser.results?.failures)
  options.ended(tally.result(file))
}

/** Ends with SIGKILL where for `seconds` no test of the file's own ends, or where `ending` is aborted. */
async function runProcess(file: string, parser: Parser, { seconds, ending, own }: RunOptions) {
  // tap's own limit comes first: it says what was not done.
  const env = { ...compileCache, ...process.env, TAP: '1', TAP_CHILD_ID: '1', TAP_TIMEOUT: String(seconds), ...own }
  const child = spawn(process.execPath, [file], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const kill = (): void => void child.kill('SIGKILL')
  ending.addEventListener('abort', kill)
  const limit = setTimeout(kill, seconds * 1.1 * 1000)
  parser.on('assert', () => limit.refresh())
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  await pipeline(child.stdout, parser)
  const [code, signal] = await exited
  clearTimeout(limit)
  ending.removeEventListener('abort', kill)
  return { code, signal }
}

/** What came of one file so far. */
class Tally {
  passed = 0
  failed = 0
  skipped = 0
  readonly lines: string[] = []
  readonly #started = performance.now()

  get counted(): number {
    return this.passed + this.failed + this.skipped
  }

  count(result: Result): void {
    if (result.skip) {
      this.skipped++
      this.lines.push(`  SKIPPED ${result.fullname}: ${result.skip === true ? 'no reason given' : result.skip}`)
    } else if (result.ok || result.todo) this.passed++
    else this.fail(result.fullname, result.diag)
  }

  fail(name: string, diagnostics?: unknown): void {
    this.failed++
    this.lines.push(`  FAILED ${name}`)
    if (diagnostics) this.lines.push(indent(JSON.stringify(diagnostics, null, 2)))
  }

  /** `ms`: how long it took, where that is known otherwise than by when it was told. */
  result(file: string, ms = performance.now() - this.#started): FileResult {
    if (this.counted === 0) this.fail(`${file}: no tests`)
    const { passed, failed, skipped, lines } = this
    return { file, ms, passed, failed, skipped, lines }
  }
}

/** `other`: told what is not TAP: the output of console.log, in nested tests too. */
function listen(parser: Parser, counted: (result: Result) => void, other: (line: string) => void): void {
  parser.on('result', counted)
  const extra = (one: Parser): void => {
    one.on('extra', (text: string) => other(text.trimEnd()))
    one.on('child', extra)
  }
  extra(parser)
}

function indent(text: string): string {
  return text.replaceAll('\\n', '\n').replaceAll(/^/gm, '    ')
}
