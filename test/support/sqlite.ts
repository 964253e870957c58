/** SQLite files for tests: each database a file of its own, each session a connection to it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'

const busy = 5

/** A session of an application, as texts. Numbers of a column declared `decimal(p,s)` have its scale. */
export class FileSession {
  readonly #database: DatabaseSync

  constructor(url: string) {
    this.#database = new DatabaseSync(new URL(url).pathname, { timeout: 0 })
  }

  /** Waits for another's transaction without blocking this process, in which the other may be. */
  async query(sql: string): Promise<(string | null)[][]> {
    for (;;) {
      try {
        return this.#run(sql)
      } catch (error) {
        if (((error as { errcode?: number }).errcode ?? 0) % 256 !== busy) throw error
        await sleep(2)
      }
    }
  }

  #run(sql: string): (string | null)[][] {
    const statement = this.#database.prepare(sql)
    statement.setReturnArrays(true)
    statement.setReadBigInts(true)
    const scales = statement.columns().map(({ type }) => /^decimal\(\d+,(\d+)\)/.exec(type ?? '')?.[1])
    return (statement.all() as unknown as (string | number | bigint | null)[][]).map((row) =>
      row.map((value, i) => (value === null ? null : scales[i] === undefined ? String(value) : Number(value).toFixed(Number(scales[i])))),
    )
  }

  async close(): Promise<void> {
    if (this.#database.isOpen) this.#database.close()
  }
}

/** A new file in a folder of its own. */
export async function makeFile(): Promise<{ url: string; drop: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'qianzhi-sqlite-'))
  const url = pathToFileURL(join(folder, 'front.db')).href.replace('file:', 'sqlite:')
  const session = new FileSession(url)
  // A file without anything in it is not written.
  await session.query('pragma user_version = 1')
  await session.close()
  return { url, drop: () => rm(folder, { recursive: true }) }
}
