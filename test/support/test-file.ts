/** One test file as a process of its own, and what came of it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { pipeline } from 'node:stream/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { Parser, type Result } from 'tap-parser'
import { compileCache } from './programs.ts'

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

/** Ends with SIGKILL where the file goes on after `seconds`, or where `ending` is aborted. `own`: environment of this file alone. */
export async function runTestFile(
  file: string,
  { seconds, ending, own }: { seconds: number; ending: AbortSignal; own?: NodeJS.ProcessEnv },
): Promise<FileResult> {
  const total = { passed: 0, failed: 0, skipped: 0 }
  const lines: string[] = []
  const fail = (name: string, diagnostics?: unknown): void => {
    total.failed++
    lines.push(`  FAILED ${name}`)
    if (diagnostics) lines.push(indent(JSON.stringify(diagnostics, null, 2)))
  }
  const parser = new Parser({ name: file })
  parser.on('result', (result: Result) => {
    if (result.skip) {
      total.skipped++
      lines.push(`  SKIPPED ${result.fullname}: ${result.skip === true ? 'no reason given' : result.skip}`)
    } else if (result.ok || result.todo) total.passed++
    else fail(result.fullname, result.diag)
  })
  parser.on('bailout', (reason: string) => fail(`${file} bailed out: ${reason}`))
  showExtra(parser, (text) => lines.push(text.trimEnd()))

  const started = performance.now()
  // tap's own limit comes first: it says what was not done.
  const env = { ...compileCache, ...process.env, ...own, TAP: '1', TAP_CHILD_ID: '1', TAP_TIMEOUT: String(seconds) }
  const child = spawn(process.execPath, [file], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const kill = (): void => void child.kill('SIGKILL')
  ending.addEventListener('abort', kill)
  const limit = new AbortController()
  pause(seconds * 1.1 * 1000, undefined, { signal: limit.signal }).then(kill, () => undefined)
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  await pipeline(child.stdout, parser)
  const [code, signal] = await exited
  limit.abort()
  ending.removeEventListener('abort', kill)

  const counted = total.passed + total.failed + total.skipped
  if (total.failed === 0 && counted === 0) fail(`${file}: no tests`)
  else if (total.failed === 0 && (code !== 0 || !parser.ok)) fail(`${file} ended with ${signal ?? code}`, parser.results?.failures)
  return { file, ms: performance.now() - started, ...total, lines }
}

/** What is not TAP: the output of console.log, in nested tests too. */
function showExtra(parser: Parser, show: (text: string) => void): void {
  parser.on('extra', show)
  parser.on('child', (child: Parser) => showExtra(child, show))
}

function indent(text: string): string {
  return text.replaceAll('\\n', '\n').replaceAll(/^/gm, '    ')
}
