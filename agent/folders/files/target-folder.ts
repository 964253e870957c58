/** Putting files into a folder under names that a provider chose, and taking them away: nowhere else than in this folder. */
import type { LocalizedText } from '../../../protocol/localized.ts'
import { lstat, mkdir, open, realpath, rename, rm, rmdir, unlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { renameNew } from '../store/durable-write.ts'
import { hashOf, isGone, isLocked } from './read.ts'
import { printOf } from './walk.ts'

/** Files that are worked on at once. */
const atOnce = 8
/** A program that reads files as they come (a virus scanner) may hold one for a moment: tries, and milliseconds between them. */
const [tries, between] = [6, 60]
const nameErrors = ['ENAMETOOLONG', 'EINVAL', 'EILSEQ', 'ENOTDIR', 'EISDIR', 'EEXIST', 'ENOTEMPTY', 'ELOOP']

export const notOurs = { zh: '目录中已有同名的其他文件，不予覆盖', en: 'another file of this name is there, which is not overwritten' }

/** What lies at a name. */
export interface Lying {
  print: string
  file: boolean
}

export class TargetFolder {
  readonly #root: string
  #real = ''
  #folds = false
  /** Folders known to be real ones inside, and those to be flushed. */
  readonly #known = new Set<string>()
  readonly #touched = new Set<string>()

  constructor(root: string) {
    this.#root = root
  }

  /** `probe`: a folder in which files may be made for a moment. */
  async prepare(probe: string, folds?: boolean): Promise<void> {
    this.#real = await realpath(this.#root)
    this.#folds = folds ?? (await takesForTheSame(probe))
  }

  /** Names that the file system takes for the same have one of these in common. */
  folded(name: string): string {
    return this.#folds ? name.normalize('NFC').toLowerCase() : name
  }

  async look(name: string): Promise<Lying | undefined> {
    try {
      const stats = await lstat(join(this.#root, name), { bigint: true })
      return { print: printOf(stats), file: stats.isFile() }
    } catch (error) {
      if (isGone(error) || isOfName(error)) return undefined
      throw error
    }
  }

  /** SHA-256 of the file that lies there; undefined where it cannot be read. */
  async hash(name: string): Promise<string | undefined> {
    try {
      if ((await this.#outside(dirname(name))) !== undefined) return undefined
      const handle = await open(join(this.#root, name), 'r')
      try {
        return await hashOf(handle, (await handle.stat()).size)
      } finally {
        await handle.close()
      }
    } catch (error) {
      if (isGone(error) || isLocked(error)) return undefined
      throw error
    }
  }

  /** Renames a file of the same file system to its name; `fresh`: it replaces nothing. @returns why it cannot have it; `busy` where that may pass. */
  async place(from: string, name: string, fresh: boolean): Promise<{ reason: LocalizedText; busy: boolean } | undefined> {
    const folder = dirname(name)
    try {
      const reason = await this.#makeFolders(folder)
      if (reason !== undefined) return { reason, busy: false }
      await patiently(() => (fresh ? renameNew : rename)(from, join(this.#root, name)))
      this.#touched.add(join(this.#root, folder))
      return undefined
    } catch (error) {
      this.#known.clear()
      const said = (error as NodeJS.ErrnoException).code ?? ''
      if (said === 'EEXIST' && fresh) return { reason: notOurs, busy: false }
      if (isOfName(error))
        return { reason: { zh: `文件系统不接受该文件名（${said}）`, en: `the file system does not take this name (${said})` }, busy: false }
      if (isLocked(error))
        return { reason: { zh: `文件被占用或无权写入（${said}）`, en: `the file is in use, or may not be written (${said})` }, busy: true }
      throw error
    }
  }

  async #makeFolders(folder: string): Promise<LocalizedText | undefined> {
    if (folder === '.' || this.#known.has(folder)) return undefined
    const above = await this.#makeFolders(dirname(folder))
    if (above !== undefined) return above
    const path = join(this.#root, folder)
    try {
      await mkdir(path)
      this.#touched.add(dirname(path))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      if (!(await lstat(path)).isDirectory()) return { zh: `${folder} 不是目录`, en: `${folder} is no folder` }
    }
    const outside = await this.#outside(folder)
    if (outside === undefined) this.#known.add(folder)
    return outside
  }

  /** A link on the way leads elsewhere. */
  async #outside(folder: string): Promise<LocalizedText | undefined> {
    const real = await realpath(join(this.#root, folder))
    const same = this.folded(real) === this.folded(join(this.#real, folder))
    return same ? undefined : { zh: `${folder} 经符号链接指向别处`, en: `${folder} leads elsewhere by a symbolic link` }
  }

  /** The file, and the folders that are empty without it. @returns false where another program keeps it from going. */
  async remove(name: string): Promise<boolean> {
    try {
      if ((await this.#outside(dirname(name))) !== undefined) return true
      if ((await this.look(name))?.file) await patiently(() => unlink(join(this.#root, name)))
      this.#touched.add(join(this.#root, dirname(name)))
      await this.#removeEmpty(dirname(name))
      return true
    } catch (error) {
      if (isGone(error) || isOfName(error)) return true
      if (isLocked(error)) return false
      throw error
    }
  }

  async #removeEmpty(folder: string): Promise<void> {
    if (folder === '.') return
    const path = join(this.#root, folder)
    const empty = await rmdir(path).then(
      () => true,
      () => false,
    )
    if (!empty) return
    this.#known.delete(folder)
    this.#touched.delete(path)
    this.#touched.add(dirname(path))
    await this.#removeEmpty(dirname(folder))
  }

  /** What was renamed and removed is on disk when it returns. */
  async flush(): Promise<void> {
    const touched = [...this.#touched]
    this.#touched.clear()
    this.#known.clear()
    await inParallel(touched, (folder) => flushFolder(folder).catch((error) => (isGone(error) ? undefined : Promise.reject(error))))
  }
}

/** Whether two spellings of a name are one file. */
async function takesForTheSame(folder: string): Promise<boolean> {
  const name = join(folder, 'probe-é')
  await writeFile(name, '')
  try {
    const others = ['PROBE-É', 'probe-é'.normalize('NFD')]
    const found = await Promise.all(others.map((other) => lstat(join(folder, other)).then(() => true, isNot)))
    return found.includes(true)
  } finally {
    await rm(name, { force: true })
  }
}

function isNot(): boolean {
  return false
}

function isOfName(error: unknown): boolean {
  return nameErrors.includes((error as NodeJS.ErrnoException).code ?? '')
}

async function patiently(work: () => Promise<void>): Promise<void> {
  for (let n = 1; ; n++) {
    try {
      return await work()
    } catch (error) {
      if (n === tries || !isLocked(error)) throw error
      await sleep(between * n)
    }
  }
}

/** What was made, renamed and removed in a folder is on disk when it returns. */
export async function flushFolder(path: string): Promise<void> {
  // Windows has no such thing.
  if (process.platform === 'win32') return
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Some at a time; the first failure is thrown when those under way have ended. */
export async function inParallel<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  let next = 0
  const run = async () => {
    while (next < all.length) await work(all[next++]!)
  }
  const stop = (error: unknown): never => {
    next = all.length
    throw error
  }
  const results = await Promise.allSettled(Array.from({ length: Math.min(atOnce, all.length) }, () => run().catch(stop)))
  const failed = results.find((result) => result.status === 'rejected')
  if (failed) throw failed.reason
}
