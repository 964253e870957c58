/**
 * The audit with a short and with a long chain: what an append (an act with its entry, durable) and its seal cost, as ratios; and the
 * verification of an export by the program, with its peak memory.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { generateSigningKey } from '../../protocol/signature.ts'
import { writeAudit } from '../../hub/records/audit.ts'
import { openStore, type Store } from '../../hub/store/store.ts'
import { openExport } from '../../hub/supervision/audit/export.ts'
import { seal } from '../../hub/supervision/audit/sealer.ts'
import { startPostgres } from '../support/postgres.ts'
import type { BenchOptions } from './main.ts'

const short = 1_000
const long = 1_000_000
/** Verified beside the whole: what grows with the length shows. */
const part = 100_000
const appends = 1_000

export async function run({ note }: BenchOptions): Promise<Record<string, number>> {
  const server = await startPostgres({ settings: { shared_buffers: '128MB', max_wal_size: '2GB' } })
  const folder = await mkdtemp(join(tmpdir(), 'qianzhi-bench-audit-'))
  try {
    const [few, many] = [await openStore(await server.createDatabase()), await openStore(await server.createDatabase())]
    await fill(few, short)
    const filled = await timed(() => fill(many, long))
    note(`${long} entries written and sealed in ${(filled / 1000).toFixed(0)} s`)
    // By turns, so that what else the machine does strikes both alike.
    const costs = { few: [] as Cost[], many: [] as Cost[] }
    for (let round = 0; round < 5; round++) {
      costs.few.push(await cost(few))
      costs.many.push(await cost(many))
    }
    const [a, b] = [median(costs.few), median(costs.many)]
    note(`append ${a.append.toFixed(2)} → ${b.append.toFixed(2)} ms, seal ${a.seal.toFixed(3)} → ${b.seal.toFixed(3)} ms an entry`)
    const file = join(folder, 'audit.jsonl')
    const write = async (to: number) => {
      const lines = await openExport(many, generateSigningKey(), { to }, () => new Date())
      await pipeline(Readable.from(lines), createWriteStream(file))
    }
    await write(part)
    const verifiedPart = await verify(file)
    const exported = await timed(() => write(long))
    await Promise.all([few.close(), many.close()])
    const verified = await verify(file)
    note(`${part} entries verified in ${verifiedPart.seconds.toFixed(1)} s, ${verifiedPart.peakMb} MiB`)
    note(
      `${long} entries exported in ${(exported / 1000).toFixed(1)} s, verified in ${verified.seconds.toFixed(1)} s, ${verified.peakMb} MiB`,
    )
    return {
      auditAppendMsShort: round(a.append),
      auditAppendMsLong: round(b.append),
      auditAppendRatio: round(b.append / a.append),
      auditSealRatio: round(b.seal / a.seal),
      auditExportSeconds: round(exported / 1000),
      auditExportMb: Math.round((await stat(file)).size / (1 << 20)),
      auditVerifySeconds: round(verified.seconds),
      auditVerifyPeakRssMb: verified.peakMb,
      auditVerifyPartPeakRssMb: verifiedPart.peakMb,
    }
  } finally {
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function fill(store: Store, entries: number): Promise<void> {
  await store.query(
    `insert into audit_entry (actor, agency, via, ip, act, object, outcome, details)
     select 'person ' || n % 500, 'agency-' || n % 100, 'session', '10.1.2.3', 'act.' || n % 40, 'object-' || n % 20000, 'done',
       jsonb_build_object('reason', '依据市政务信息资源共享管理办法', 'n', n)
     from generate_series(1, $1::int) n`,
    [entries],
  )
  await seal(store)
  await store.query('vacuum analyze')
}

interface Cost {
  append: number
  seal: number
}

/** Milliseconds an entry. */
async function cost(store: Store): Promise<Cost> {
  const append = await timed(async () => {
    for (let n = 0; n < appends; n++) {
      await writeAudit(store.query, {
        actor: `person ${n % 500}`,
        agency: 'a',
        via: 'session',
        act: 'grant.add',
        object: `g${n}`,
        details: { n },
      })
    }
  })
  const sealed = await timed(() => seal(store))
  return { append: append / appends, seal: sealed / appends }
}

function median(costs: readonly Cost[]): Cost {
  const middle = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
  return { append: middle(costs.map(({ append }) => append)), seal: middle(costs.map(({ seal }) => seal)) }
}

/** By the program itself; its peak memory as it says at its end. */
async function verify(file: string): Promise<{ seconds: number; peakMb: number }> {
  const script = `process.on('exit', () => process.stderr.write(String(process.resourceUsage().maxRSS)))
    process.argv.splice(1, 0, 'hub/main.ts')
    await import('./hub/main.ts')`
  const began = performance.now()
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, 'audit', 'verify', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  const [code] = (await once(child, 'close')) as [number]
  if (code !== 0) throw new Error(`verification failed: ${said}`)
  return { seconds: (performance.now() - began) / 1000, peakMb: Math.round(Number(said) / 1024) }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return performance.now() - began
}

function round(figure: number): number {
  return Number(figure.toFixed(2))
}
