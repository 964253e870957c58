/** `npm run bench -- exchange [--rows N] [--json] [--against FILE]`: speed and memory, measured side by side in one run. */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { against } from './against.ts'

const benches: Record<string, () => Promise<{ run: (options: BenchOptions) => Promise<Record<string, number | string>> }>> = {
  exchange: () => import('./exchange.ts'),
  villages: () => import('./villages.ts'),
  light: () => import('./light.ts'),
  backlog: () => import('./backlog.ts'),
  steady: () => import('./steady.ts'),
  capture: () => import('./capture.ts'),
  audit: () => import('./audit.ts'),
  reconcile: () => import('./reconcile.ts'),
  registry: () => import('./registry.ts'),
  share: () => import('./share.ts'),
  folder: () => import('./folder.ts'),
  'sent-rows': () => import('./sent-rows.ts'),
  console: () => import('./console.ts'),
}

export interface BenchOptions {
  rows: number
  /** Of `steady`. */
  minutes: number
  /** Of `exchange`: the hub keeps no table of its own of what passes through it. */
  relay: boolean
  /** Of `exchange`: how the source's changes are found. */
  capture: 'triggers' | 'log'
  /** Progress and figures for people. */
  note: (line: string) => void
}

const { values, positionals } = parseArgs({
  options: {
    rows: { type: 'string' },
    minutes: { type: 'string' },
    json: { type: 'boolean' },
    against: { type: 'string' },
    relay: { type: 'boolean' },
    capture: { type: 'string', default: 'triggers' },
  },
  allowPositionals: true,
})
const bench = benches[positionals[0] ?? 'exchange']
if (!bench) throw new Error(`benchmarks: ${Object.keys(benches).join(', ')}`)
const note = (line: string): void => void process.stderr.write(`${line}\n`)
const figures = await (
  await bench()
).run({
  rows: Number(values.rows ?? 300_000),
  minutes: Number(values.minutes ?? 10),
  relay: values.relay ?? false,
  capture: values.capture === 'log' ? 'log' : 'triggers',
  note,
})
const kept = values.against === undefined ? undefined : (JSON.parse(readFileSync(values.against, 'utf8')) as Record<string, number>)
if (kept) for (const line of against(kept, figures as Record<string, number>)) note(line)
if (values.json) process.stdout.write(`${JSON.stringify(figures)}\n`)
else for (const [name, figure] of Object.entries(figures)) process.stdout.write(`${name.padEnd(36)} ${figure}\n`)
