import { randomBytes } from 'node:crypto'
import type { SettledFile } from '../../../protocol/api.ts'
import type { StreamStore } from '../../runtime/stream-store.ts'

const tables = `
  create table if not exists settled (
    number integer primary key autoincrement, id text not null, file text not null, time text not null, code text, rows integer, bad integer,
    -- Of a refused file that may still lie in the inbox.
    print text)`

/** Refused files that are told of. */
const maxRefused = 10

type Counted = Pick<SettledFile, 'rows' | 'bad'>

/** What became of a source's files last, in its store: the one that was taken last and some that were refused. */
export class SettledFiles {
  readonly #store: StreamStore

  constructor(store: StreamStore) {
    store.make(tables)
    this.#store = store
  }

  /** Since the source was first set up. */
  get refusedCount(): number {
    return Number(this.#store.get('select refused from folder')!['refused'])
  }

  /** Within a transaction. */
  taken(file: string, counted: Counted): void {
    this.#store.run('delete from settled where code is null')
    this.#insert(file, counted)
  }

  /** A file is to be refused: once as long as it was not `moved`, however often this is called. */
  refused(print: string, file: string, { code, ...counted }: Counted & { code: string }): void {
    if (this.#store.get('select 1 from settled where print = ?', print)) return
    this.#store.transaction(() => {
      this.#insert(file, counted, code, print)
      this.#store.run('update folder set refused = refused + 1')
      const kept = 'select number from settled where code is not null order by number desc limit ?'
      this.#store.run(`delete from settled where code is not null and number not in (${kept})`, maxRefused)
    })
  }

  moved(print: string): void {
    this.#store.run('update settled set print = null where print = ?', print)
  }

  #insert(file: string, { rows, bad }: Counted, code?: string, print?: string): void {
    const values = [randomBytes(12).toString('hex'), shown(file), new Date().toISOString(), code ?? null, rows ?? null, bad ?? null]
    this.#store.run('insert into settled (id, file, time, code, rows, bad, print) values (?, ?, ?, ?, ?, ?, ?)', ...values, print ?? null)
  }

  /** Newest first. */
  list(): SettledFile[] {
    return this.#store
      .all('select id, file, time, code, rows, bad from settled order by number desc')
      .map(({ code, rows, bad, ...told }) => ({
        ...(told as Pick<SettledFile, 'id' | 'file' | 'time'>),
        ...(typeof code === 'string' && { code }),
        ...(rows !== null && { rows: Number(rows) }),
        ...(bad !== null && { bad: Number(bad) }),
      }))
  }
}

/** Names go to terminals, pages and mails: nothing in them may act there. */
function shown(file: string): string {
  return file.toWellFormed().replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\ufffd')
}
