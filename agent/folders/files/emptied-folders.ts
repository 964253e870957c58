import type { BigIntStats } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { FileIndex } from './index.ts'
import { isFit } from './index.ts'

/** Files of a folder from which it is not taken for emptied on purpose as long as it is there. */
const manyFiles = 20

const unmounted = {
  zh: '此处原为另一文件系统，现已不在（挂载断开？）：其文件保留；确已移走的，请删除该目录',
  en: 'another file system was there and is gone (a mount that went away?): its files stay; if they are gone on purpose, remove the folder',
}
const emptied = {
  zh: '目录已空（挂载断开？）：其文件保留；确已清空的，请删除该目录',
  en: 'it is empty now (a mount that went away?): its files stay; if it was emptied on purpose, remove it',
}

/** Subfolders whose files are gone while they are there, as when a mount has gone away: during one look. */
export class EmptiedFolders {
  readonly #root: string
  readonly #index: FileIndex
  readonly #judged = new Map<string, LocalizedText | undefined>()

  constructor(root: string, index: FileIndex) {
    this.#root = root
    this.#index = index
  }

  /** Those whose files stay, with the reason. */
  get held(): { file: string; reason: LocalizedText }[] {
    return [...this.#judged].flatMap(([folder, reason]) => (reason ? [{ file: `${folder}/`.slice(0, 255), reason }] : []))
  }

  /** Whether a file that is gone is to stay. */
  async holds(name: string): Promise<boolean> {
    const folder = dirname(name)
    if (folder === '.') return false
    if (!this.#judged.has(folder)) this.#judged.set(folder, await this.#judge(folder, name))
    return this.#judged.get(folder) !== undefined
  }

  async #judge(folder: string, name: string): Promise<LocalizedText | undefined> {
    const file = this.#index.get(name)
    if (!file || !isFit(file)) return undefined
    const there = await this.#nearest(folder)
    if (!there || (await readdir(join(this.#root, there.folder)).catch(() => ['?'])).length > 0) return undefined
    if (String(there.stats.dev) !== file.print.split(' ', 1)[0]) return unmounted
    return there.folder === folder && this.#index.countBelow(folder) >= manyFiles ? emptied : undefined
  }

  /** The folder, or the one above it that is there; undefined where that is the root. */
  async #nearest(folder: string): Promise<{ folder: string; stats: BigIntStats } | undefined> {
    for (let at = folder; at !== '.'; at = dirname(at)) {
      const stats = await lstat(join(this.#root, at), { bigint: true }).catch(() => undefined)
      if (stats?.isDirectory()) return { folder: at, stats }
    }
    return undefined
  }
}
