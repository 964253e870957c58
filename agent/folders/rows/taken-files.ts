import type { StreamStore } from '../../runtime/stream-store.ts'
import type { Known } from '../formats/encoding.ts'
import type { InboxFile } from './inbox.ts'

const tables = `
  create table if not exists taken (
    number integer primary key, name text not null, file text not null, print text not null, content text not null, modified real not null);
  create table if not exists learnt (name text primary key, value text not null) without rowid`

/** Files in `done/` that are looked at again. */
const maxTaken = 100

/** A file as it lay in `done/` when it was taken: see `InboxFile`. */
export interface TakenFile {
  number: number
  /** In `done/`, and as it was put in. */
  name: string
  file: string
  print: string
  content: string
  modified: number
}

/** What a source remembers of the files that it took, and has learnt from them, in its store. */
export class TakenFiles {
  readonly #store: StreamStore

  constructor(store: StreamStore) {
    store.make(tables)
    this.#store = store
  }

  /** Oldest first. */
  list(): TakenFile[] {
    return this.#store.all('select number, name, file, print, content, modified from taken order by number') as unknown as TakenFile[]
  }

  keep(number: number, { name, file }: { name: string; file: InboxFile }): void {
    const values = [number, name, file.name, file.print, file.content, file.modified]
    this.#store.run('insert or replace into taken (number, name, file, print, content, modified) values (?, ?, ?, ?, ?, ?)', ...values)
    this.#store.run('delete from taken where number <= ?', number - maxTaken)
  }

  forget(number: number): void {
    this.#store.run('delete from taken where number = ?', number)
  }

  learn(name: 'pause' | 'encoding' | 'accepting' | 'newest', value: string | number): void {
    this.#store.run('insert or replace into learnt (name, value) values (?, ?)', name, String(value))
  }

  #learnt(name: string): string | undefined {
    return this.#store.get('select value from learnt where name = ?', name)?.['value'] as string | undefined
  }

  #parsed(name: string): unknown {
    const text = this.#learnt(name)
    return text === undefined ? undefined : JSON.parse(text)
  }

  /** Seconds that a file must be at rest, since writers here paused for as long. */
  get pause(): number {
    return Number(this.#learnt('pause') ?? 0)
  }

  /** Of the last file whose encoding was certain. */
  get encoding(): Known | undefined {
    return this.#learnt('encoding') as Known | undefined
  }

  /** The file that was moved into `done/` last, under its name there, as it was checked. */
  get accepting(): { name: string; content: string } | undefined {
    return this.#parsed('accepting') as { name: string; content: string } | undefined
  }

  /** Of the files taken the one with the newest time, on no later one than the agent's own clock. */
  get newest(): { file: string; modified: number } | undefined {
    return this.#parsed('newest') as { file: string; modified: number } | undefined
  }

  learnNewest(taken: { file: string; modified: number }): void {
    if (taken.modified >= (this.newest?.modified ?? 0)) this.learn('newest', JSON.stringify(taken))
  }
}
