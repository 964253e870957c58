/** Uploads: to a file in the data folder while they come, then in the store, where every hub that may do the job reaches them. */
import { createHash, randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { QianzhiError } from '../../protocol/errors.ts'
import type { Query, Store } from '../store/store.ts'

export interface Received {
  path: string
  size: number
  /** Hex. */
  sha256: string
}

const partBytes = 1 << 20
/** Nothing takes that long: what is older was left by a process that was killed. */
const leftMs = 6 * 3_600_000

export class UploadFolder {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  async newPath(): Promise<string> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    return join(this.#folder, randomUUID())
  }

  /** Writes a body to a file of its own. Nothing stays of one that is cut off or too large. Throws QZ-UPLOAD. */
  async receive(body: Readable, limit: number): Promise<Received> {
    const path = await this.newPath()
    const sum = createHash('sha256')
    let size = 0
    async function* counted(): AsyncGenerator<Buffer> {
      // The refusal of one that is too large is still to be sent.
      for await (const chunk of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        size += chunk.length
        if (size > limit) throw tooLarge(limit)
        sum.update(chunk)
        yield chunk
      }
    }
    try {
      await pipeline(counted, createWriteStream(path, { flags: 'wx', mode: 0o600 }))
    } catch (error) {
      await rm(path, { force: true })
      // Who is still sending hears the answer when all is sent.
      body.resume()
      throw error
    }
    return { path, size, sha256: sum.digest('hex') }
  }

  async clearLeft(now = Date.now()): Promise<void> {
    for (const name of await readdir(this.#folder).catch(() => [])) {
      const path = join(this.#folder, name)
      const found = await stat(path).catch(() => undefined)
      if (found && now - found.mtimeMs > leftMs) await rm(path, { force: true })
    }
  }
}

function tooLarge(limit: number): QianzhiError {
  const megabytes = Math.floor(limit / (1 << 20))
  return new QianzhiError('QZ-UPLOAD', {
    reason: { zh: `文件超过 ${megabytes} MB，请分成几个文件`, en: `the file is larger than ${megabytes} MB: divide it` },
  })
}

/** Puts a file into the store, in the caller's transaction. @returns its id. */
export async function storeFile(query: Query, { path, size, sha256 }: Received, { name, at }: { name: string; at: Date }): Promise<string> {
  const [row] = await query<{ id: string }>('insert into job_file (name, size, sha256, at) values ($1, $2, $3, $4) returning id', [
    name,
    size,
    sha256,
    at,
  ])
  const file = await open(path)
  try {
    for (let no = 0; no * partBytes < size; no++) {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.min(partBytes, size - no * partBytes)), 0, undefined, no * partBytes)
      await query('insert into job_file_part (file, no, bytes) values ($1, $2, $3)', [row!.id, no, buffer.subarray(0, bytesRead)])
    }
  } finally {
    await file.close()
  }
  return row!.id
}

/** Writes a stored file to a path. Throws QZ-NOT-FOUND where it is gone. */
export async function fetchFile({ query }: Pick<Store, 'query'>, id: string, path: string): Promise<void> {
  async function* parts(): AsyncGenerator<Buffer> {
    const [file] = await query<{ size: string }>('select size from job_file where id = $1', [id])
    let left = Number(file?.size ?? -1)
    for (let no = 0; left > 0; no++) {
      const [part] = await query<{ bytes: Buffer }>('select bytes from job_file_part where file = $1 and no = $2', [id, no])
      if (!part) break
      left -= part.bytes.length
      yield part.bytes
    }
    if (left !== 0) throw new QianzhiError('QZ-NOT-FOUND', { what: { zh: '上传的文件', en: 'the uploaded file' } })
  }
  await pipeline(parts, createWriteStream(path, { flags: 'wx', mode: 0o600 }))
}
