/** One piece of the folder bench in a process of its own: decodes a file, or takes it into what the agent remembers. Prints JSON. */
import { createReadStream, existsSync, linkSync, mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pino } from 'pino'
import type { FileCounts, FolderSettings, SourceTable } from '../../agent/database.ts'
import { RowSource } from '../../agent/folders/rows/source.ts'
import { folderResource } from './folder.ts'

export interface Measured {
  rowsPerSecond: number
  peakMb: number
}

const [file, what] = [process.argv[2]!, process.argv[3]!]

async function decode(): Promise<number> {
  const decoder = new TextDecoder('gb18030', { fatal: true })
  let rows = -1
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) {
    const text = decoder.decode(chunk as Buffer, { stream: true })
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) rows++
  }
  return rows
}

/** A second time everything is remembered already. */
async function take(): Promise<number> {
  const base = join(dirname(file), 'take')
  const path = join(base, 'in')
  mkdirSync(path, { recursive: true })
  let counts: FileCounts = { waiting: 0, taken: 0, refused: 0 }
  const folder: FolderSettings = {
    path,
    data: join(base, 'data'),
    agent: 'bench',
    ready: 'stable',
    stable: 0,
    look: 60,
    sign: () => '',
    note: (_, found) => void (counts = found),
    logger: pino({ enabled: false }),
  }
  const { claimFolder } = await import('../../agent/folders/store/owner.ts')
  await claimFolder(folder)
  const schema = { ...folderResource, version: 1 }
  const source: SourceTable = {
    resource: schema.resource,
    table: '*',
    capture: 'files',
    files: { contents: 'rows', names: '*', whole: true, faults: 'refuse', format: { timezone: 'Asia/Shanghai' } },
    schema,
    columns: schema.items.map((item) => ({ item, column: item.name })),
    zeroDates: 'refuse',
    valueLimit: 1 << 20,
    queueLimit: 1 << 30,
  }
  const name = `${Date.now()}.csv`
  if (!existsSync(join(path, name))) linkSync(file, join(path, name))
  const rows = new RowSource(source, { folder, queued: () => {}, logger: folder.logger })
  const before = await rows.count()
  while (counts.taken < (before > 0 ? 2 : 1)) await rows.look(AbortSignal.timeout(600_000))
  const count = await rows.count()
  rows.close()
  return count
}

const started = performance.now()
const rows = what === 'decode' ? await decode() : await take()
const seconds = (performance.now() - started) / 1000
const peakMb = Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024)
process.stdout.write(JSON.stringify({ rowsPerSecond: Math.round(rows / seconds), peakMb } satisfies Measured))
