/** Files on their way into a folder: each part's bytes at their place in a file beside, until all are there and the whole is verified. */
import { createHash, hash } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, mkdir, open, readdir, rm, rmdir, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { QianzhiError } from '../../../protocol/errors.ts'
import { partBytes, type FilePart } from '../../../protocol/files.ts'
import type { Version } from './delivered-parts.ts'
import { flushFolder, inParallel } from './target-folder.ts'
import { hashOf } from './read.ts'

/** Hidden in the folder itself: a file is put in its place by a rename, which must stay within one file system. */
export const partsFolder = '.qianzhi-parts'

type Named = Pick<Version, 'name' | 'sha256'>

export interface PartContent extends FilePart {
  content: Buffer
}

export class PartFiles {
  readonly #parent: string
  readonly #folder: string
  /** Files just written of which the whole is known to be good. */
  readonly #verified = new Set<string>()
  /** Files of several parts whose names are on disk. */
  readonly #begun = new Set<string>()

  constructor(root: string, route: string) {
    this.#parent = join(root, partsFolder)
    this.#folder = join(this.#parent, createHash('sha256').update(route).digest('hex').slice(0, 16))
  }

  get folder(): string {
    return this.#folder
  }

  /** Throws where something else has its name. */
  async prepare(): Promise<void> {
    for (const folder of [this.#parent, this.#folder]) {
      await mkdir(folder).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error
      })
      if (!(await lstat(folder)).isDirectory()) {
        throw new QianzhiError('QZ-FOLDER-UNREACHABLE', { folder, reason: { zh: '不是目录', en: 'it is no folder' } })
      }
    }
  }

  path({ name, sha256 }: Named): string {
    return join(this.#folder, fileOf({ name, sha256 }))
  }

  /** The bytes are on disk when it returns. */
  async write(parts: readonly PartContent[]): Promise<void> {
    if (parts.length === 0) return
    const files = Map.groupBy(parts, (part) => this.path(part))
    const anew = [...files.keys()].some((path) => !this.#begun.has(path))
    await inParallel([...files], async ([path, contents]) => {
      const truncate = contents[0]!.parts === 1 ? constants.O_TRUNC : 0
      const handle = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | truncate)
      try {
        for (const { part, content } of contents) await writeAt(handle, content, part * partBytes)
        const verified = await this.#verifyAtOnce(handle, contents)
        await handle.sync()
        if (verified) this.#verified.add(path)
      } finally {
        await handle.close()
      }
    })
    if (!anew) return
    await flushFolder(this.#folder)
    for (const [path, [first]] of files) if (first!.parts > 1) this.#begun.add(path)
  }

  /** A file of one part need not be opened again. */
  async #verifyAtOnce(handle: FileHandle, contents: readonly PartContent[]): Promise<boolean> {
    const { parts, sha256, modified, content } = contents.at(-1)!
    if (parts > 1 || hash('sha256', content) !== sha256) return false
    await setTime(handle, modified)
    return true
  }

  /** Whether the whole is what the provider signed: `missing` where it is not there. It has the file's own time then. */
  async verify(version: Version): Promise<'good' | 'bad' | 'missing'> {
    const path = this.path(version)
    this.#begun.delete(path)
    if (this.#verified.delete(path)) return 'good'
    let handle: FileHandle
    try {
      handle = await open(path, constants.O_RDWR | constants.O_NOFOLLOW)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'missing'
      throw error
    }
    try {
      const { size } = await handle.stat()
      if (size !== version.size || (await hashOf(handle, size)) !== version.sha256) return 'bad'
      await setTime(handle, version.modified)
      return 'good'
    } finally {
      await handle.close()
    }
  }

  async discard(file: Named): Promise<void> {
    this.#verified.delete(this.path(file))
    this.#begun.delete(this.path(file))
    await rm(this.path(file), { force: true })
  }

  /** What no version needs any more: a crash left it. */
  async sweep(held: readonly Named[]): Promise<void> {
    this.#begun.clear()
    const wanted = new Set(held.map(fileOf))
    const found = await readdir(this.#folder)
    await inParallel(
      found.filter((file) => !wanted.has(file)),
      (file) => rm(join(this.#folder, file), { force: true, recursive: true }),
    )
  }
}

async function setTime(handle: FileHandle, modified: string): Promise<void> {
  const time = new Date(modified)
  await handle.utimes(time, time)
}

/** Takes away what an ended route left. */
export async function removePartFiles(root: string, route: string): Promise<void> {
  const { folder } = new PartFiles(root, route)
  await rm(folder, { recursive: true, force: true })
  await rmdir(dirname(folder)).catch(() => undefined)
}

/** Of a fixed length, whatever the name is. */
function fileOf({ name, sha256 }: Named): string {
  return `${sha256}-${createHash('sha256').update(name).digest('hex').slice(0, 32)}`
}

async function writeAt(handle: FileHandle, content: Buffer, at: number): Promise<void> {
  for (let written = 0; written < content.length;) {
    const { bytesWritten } = await handle.write(content, written, content.length - written, at + written)
    written += bytesWritten
  }
}
