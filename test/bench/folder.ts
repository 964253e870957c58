/**
 * Files from a folder: Excel rows to the hub's disk, GB18030 rows into what the agent remembers and to the hub, beside reading the same bytes
 * and nothing else; then files as they are (source.ts).
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { copyFile, open, rename, writeFile } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Item } from '../../protocol/schema.ts'
import { writeWorkbook } from '../../protocol/excel/write.ts'
import { encodeGb18030 } from '../../agent/folders/formats/gb18030.ts'
import { Exchange, type ResourceFile } from '../support/exchange.ts'
import { nodeOptionsOf, Program, runProgram, until } from '../support/programs.ts'
import { largeFile, smallFiles } from './any-files.ts'
import type { BenchOptions } from './main.ts'
import type { Measured } from './folder-read.ts'

/** Ten items, as a register of licences has them. */
const items: Item[] = [
  { id: 'id', name: 'id', label: '许可证编号', type: 'text', length: 20, key: true, required: true, openness: 'internal' },
  { id: 'name', name: 'name', label: '单位名称', type: 'text', length: 100, openness: 'internal' },
  { id: 'address', name: 'address', label: '地址', type: 'text', length: 200, openness: 'internal' },
  { id: 'person', name: 'person', label: '法定代表人', type: 'text', length: 50, openness: 'internal' },
  { id: 'uscc', name: 'uscc', label: '统一社会信用代码', type: 'text', length: 18, openness: 'internal' },
  { id: 'amount', name: 'amount', label: '注册资本', type: 'decimal', precision: 14, scale: 2, openness: 'internal' },
  { id: 'staff', name: 'staff', label: '从业人数', type: 'integer', openness: 'internal' },
  { id: 'issued', name: 'issued', label: '发证日期', type: 'date', openness: 'internal' },
  { id: 'valid', name: 'valid', label: '有效', type: 'boolean', openness: 'internal' },
  { id: 'changed', name: 'changed', label: '变更时间', type: 'timestamp', openness: 'internal' },
]

export const folderResource: ResourceFile = { resource: 'register', title: '许可证', agency: 'provider', table: 'register', items }

function prefixed(prefix: string, figures: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(figures).map(([name, figure]) => [`${prefix}${name[0]!.toUpperCase()}${name.slice(1)}`, figure]))
}

function row(n: number): string[] {
  const code = String(n).padStart(8, '0')
  const day = `2026-${String(1 + (n % 12)).padStart(2, '0')}-${String(1 + (n % 28)).padStart(2, '0')}`
  return [
    `JY1440106${code}`,
    `广州市某某食品有限公司第${n % 5000}分店`,
    `广东省广州市天河区某某路${n % 900}号之${n % 40}`,
    `张某${n % 3000}`,
    `91440101${code}XQ`,
    `${n % 100000}.${String(n % 100).padStart(2, '0')}`,
    String(n % 500),
    day,
    n % 7 === 0 ? '否' : '是',
    `${day} 08:30:00`,
  ]
}

export async function run({ rows, note }: BenchOptions): Promise<Record<string, number>> {
  execFileSync(process.execPath, ['.ci/build.mjs'], { stdio: 'ignore' })
  const csvRows = rows === 300_000 ? 1_000_000 : rows
  const folder = mkdtempSync(join(tmpdir(), 'qianzhi-folder-bench-'))
  try {
    const figures: Record<string, number> = { load: Number(loadavg()[0]!.toFixed(1)) }
    Object.assign(figures, await excel(folder, note))
    Object.assign(figures, await gb18030(folder, csvRows, note))
    const [small, large] = [await smallFiles({ note }), await largeFile({ note })]
    return { ...figures, ...prefixed('small', small), ...prefixed('large', large) }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function excel(folder: string, note: BenchOptions['note']): Promise<Record<string, number>> {
  const count = 100_000
  const columns = items.map(({ label }) => ({ header: label }))
  const file = join(folder, 'register.xlsx')
  writeFileSync(file, await writeWorkbook({ sheets: [{ name: '许可证', columns, rows: Array.from({ length: count }, (_, n) => row(n)) }] }))
  const first = await toHub(file, count)
  note(`Excel, ${count} rows of ten columns: at the hub after ${first.seconds} s, ${first.peakMb} MiB`)
  return { excelRows: count, excelToHubSeconds: first.seconds, excelPeakMb: first.peakMb, excelAgentIdleMb: first.idleMb }
}

async function gb18030(folder: string, count: number, note: BenchOptions['note']): Promise<Record<string, number>> {
  const file = join(folder, 'register.csv')
  await writeCsv(file, count)
  const alone = await measure(file, 'decode')
  const taken = await measure(file, 'take')
  const again = await measure(file, 'take again')
  note(
    `GB18030, ${count} rows: decoding alone ${alone.rowsPerSecond} rows/s, read, checked and remembered ${taken.rowsPerSecond}, the same again ${again.rowsPerSecond}; ${taken.peakMb} MiB`,
  )
  const line = await toHub(file, count)
  note(`GB18030, ${count} rows: at the hub after ${line.seconds} s, ${line.peakMb} MiB`)
  return {
    csvRows: count,
    csvDecodeRowsPerSecond: alone.rowsPerSecond,
    csvTakenRowsPerSecond: taken.rowsPerSecond,
    csvTakenAgainRowsPerSecond: again.rowsPerSecond,
    csvTakenPeakMb: taken.peakMb,
    csvToHubRowsPerSecond: Math.round(count / line.seconds),
    csvToHubPeakMb: line.peakMb,
  }
}

async function writeCsv(path: string, count: number): Promise<void> {
  const file = await open(path, 'w')
  await file.write(encodeGb18030(`${items.map(({ label }) => label).join(',')}\r\n`))
  for (let from = 0; from < count; from += 10_000) {
    const lines = Array.from({ length: Math.min(10_000, count - from) }, (_, n) => `${row(from + n).join(',')}\r\n`)
    await file.write(encodeGb18030(lines.join('')))
  }
  await file.close()
}

async function measure(file: string, what: string): Promise<Measured> {
  const { stdout } = await runProgram([...nodeOptionsOf('agent/main.ts'), 'test/bench/folder-read.ts', file, what])
  return JSON.parse(stdout) as Measured
}

/** Seconds from the file's appearance, complete, to the hub's receipt for its last row. */
async function toHub(file: string, count: number): Promise<{ seconds: number; peakMb: number; idleMb: number }> {
  const exchange = await Exchange.start()
  let program: Program | undefined
  try {
    const provider = await exchange.enrol('provider', {
      agency: 'provider',
      databases: {},
      folders: { drop: { path: 'drop', ready: 'done', look: 1 } },
      sources: [{ resource: 'register', folder: 'drop', whole: true }],
    })
    await exchange.publish(folderResource)
    const drop = join(provider.folder, 'drop')
    mkdirSync(drop)
    const name = file.slice(file.lastIndexOf('/') + 1)
    await copyFile(file, join(drop, name))
    // As it is installed: built, without TypeScript to strip.
    program = new Program(['dist/agent/main.js', 'start', '--config', provider.configFile], join(provider.folder, 'agent.log'))
    program.start()
    const source = async () => (await provider.report().catch(() => undefined))?.sources[0]
    await until('it waits for the file', async () => (await source())?.fault?.code === 'QZ-FOLDER-WAITS')
    const idleMb = Math.round(program.peakMemoryMb!)
    const started = performance.now()
    await writeFile(join(drop, `${name}.new`), '')
    await rename(join(drop, `${name}.new`), join(drop, `${name}.done`))
    await until(
      'all is at the hub',
      async () => {
        const report = await source()
        return report?.state === 'flowing' && report.rows >= count
      },
      300,
    )
    const seconds = Number(((performance.now() - started) / 1000).toFixed(2))
    return { seconds, peakMb: Math.round(program.peakMemoryMb!), idleMb }
  } finally {
    await program?.end()
    await exchange.stop()
  }
}
