/** Files of a folder from agency to agency: many small ones, and one that is larger than memory may be. */
import { createHash, randomBytes } from 'node:crypto'
import { closeSync, mkdirSync, mkdtempSync, openSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hashOf, makeFileExchange, namesOf, type FileExchange } from '../support/file-exchange.ts'
import { findPostgres } from '../support/postgres.ts'
import { until } from '../support/programs.ts'

type Note = (line: string) => void
type Figures = Record<string, number>

/** So many files of 1 to 20 KB: files a second from the first look at the folder to the last file at the receiver. */
export async function smallFiles({ files = 10_000, note }: { files?: number; note: Note }): Promise<Figures> {
  return withExchange(async ({ source, target, provider, receiver }) => {
    const beside = mkdtempSync(join(tmpdir(), 'qianzhi-bench-files-'))
    for (let i = 0; i < files; i++) {
      const folder = join(beside, String(i % 50))
      if (i < 50) mkdirSync(folder)
      writeFileSync(join(folder, `许可证${i}.pdf`), randomBytes(1_000 + ((i * 7919) % 19_000)))
    }
    provider.program.start()
    receiver.program.start()
    await until('both are connected', async () => (await receiver.report())?.sinks[0]?.state === 'flowing')
    const began = performance.now()
    for (let i = 0; i < 50; i++) renameSync(join(beside, String(i)), join(source, String(i)))
    rmSync(beside, { recursive: true })
    const seen = new Map<number, number>()
    await until(
      'all files are there',
      () => {
        const found = namesOf(target).length
        if (!seen.has(found)) note(`${((performance.now() - began) / 1000).toFixed(1)} s: ${found} files`)
        seen.set(found, performance.now())
        return found === files
      },
      600,
    )
    const seconds = (performance.now() - began) / 1000
    return { files, filesPerSecond: Math.round(files / seconds), ...peaks(provider, receiver) }
  })
}

/** One file of so many bytes: megabytes a second, and the memory of both agents. */
export async function largeFile({ bytes = 2 * 1024 ** 3, note }: { bytes?: number; note: Note }): Promise<Figures> {
  return withExchange(async ({ source, target, provider, receiver }) => {
    const hash = createHash('sha256')
    const file = openSync(join(source, '影像.zip.part'), 'w')
    for (let at = 0; at < bytes; at += 16 << 20) {
      const piece = randomBytes(Math.min(16 << 20, bytes - at))
      hash.update(piece)
      writeSync(file, piece)
    }
    closeSync(file)
    const sha256 = hash.digest('hex')
    provider.program.start()
    receiver.program.start()
    await until('both are connected', async () => (await receiver.report())?.sinks[0]?.state === 'flowing')
    const began = performance.now()
    renameSync(join(source, '影像.zip.part'), join(source, '影像.zip'))
    await until('the file is there', () => namesOf(target).length === 1, 1200)
    const seconds = (performance.now() - began) / 1000
    note(`${seconds.toFixed(1)} s`)
    if ((await hashOf(join(target, '影像.zip'))) !== sha256) throw new Error('the file is not the same')
    return { bytes, mbPerSecond: Number((bytes / 1e6 / seconds).toFixed(1)), ...peaks(provider, receiver) }
  })
}

async function withExchange(work: (exchange: FileExchange) => Promise<Figures>): Promise<Figures> {
  const postgres = await findPostgres()
  const files = await makeFileExchange(await postgres.createDatabase())
  try {
    return await work(files)
  } finally {
    await files.exchange.stop()
    await postgres.stop()
  }
}

function peaks(provider: FileExchange['provider'], receiver: FileExchange['receiver']): Figures {
  const of = (agent: typeof provider) => Math.round(agent.program.peakMemoryMb ?? 0)
  return { providerPeakMb: of(provider), receiverPeakMb: of(receiver) }
}
