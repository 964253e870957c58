/**
 * What is remembered of a route whose rows are parts of files: which parts have come, of which version of their file, whether their bytes lie
 * among the parts (part-files.ts), and which files lie in the folder. Everything that changes is called within the store's transaction.
 */
import type { FilePart } from '../../../protocol/files.ts'
import { positionNumber, type Position } from '../../../protocol/position.ts'
import type { SinkStore } from '../store/sink-store.ts'

const tables = `
  create table if not exists file_part (
    generation integer not null, name text not null, part integer not null, sha256 text not null, place integer not null,
    held integer not null, primary key (generation, name, part)) without rowid;
  create table if not exists version (
    generation integer not null, name text not null, sha256 text not null, parts integer not null, size integer not null,
    modified text not null, have integer not null, held integer not null, primary key (generation, name, sha256)) without rowid;
  create table if not exists placed (name text primary key, folded text not null, sha256 text not null, print text not null) without rowid;
  create index if not exists placed_folded on placed (folded);
  create table if not exists pending (name text primary key) without rowid`

/** A version of a file, of which parts have come. */
export interface Version extends Omit<FilePart, 'part'> {
  /** Parts that have come. */
  have: number
  /** Those whose bytes lie among the parts: not where the file in the folder is this version already. */
  held: number
}

/** A file that this route has put into the folder. */
export interface PlacedFile {
  name: string
  sha256: string
  /** Of the file as it was put there (`printOf`). */
  print: string
}

export class DeliveredParts {
  readonly #store: SinkStore

  constructor(store: SinkStore) {
    this.#store = store
    store.make(tables)
  }

  /** A part has come. @returns the SHA-256 of the version that it took a part from, where nothing is left of that. */
  put(generation: number, { name, part, ...file }: FilePart, place: Position, held: boolean): string | undefined {
    const left = this.#take(generation, name, part)
    this.#store.run(
      'insert into file_part (generation, name, part, sha256, place, held) values (?, ?, ?, ?, ?, ?)',
      generation,
      name,
      part,
      file.sha256,
      BigInt(positionNumber(place)),
      held ? 1 : 0,
    )
    this.#store.run(
      `insert into version (generation, name, sha256, parts, size, modified, have, held) values (?, ?, ?, ?, ?, ?, 1, ?)
       on conflict do update set have = have + 1, held = held + excluded.held, modified = excluded.modified`,
      generation,
      name,
      file.sha256,
      file.parts,
      file.size,
      file.modified,
      held ? 1 : 0,
    )
    return left === file.sha256 ? undefined : left
  }

  /** A part has no row any more. @returns as `put`. */
  remove(generation: number, name: string, part: number): string | undefined {
    return this.#take(generation, name, part)
  }

  #take(generation: number, name: string, part: number): string | undefined {
    const where = 'generation = ? and name = ?'
    const row = this.#store.get(`delete from file_part where ${where} and part = ? returning sha256, held`, generation, name, part)
    if (!row) return undefined
    const sha256 = String(row['sha256'])
    const key = [generation, name, sha256] as const
    this.#store.run(`update version set have = have - 1, held = held - ? where ${where} and sha256 = ?`, Number(row['held']), ...key)
    return this.#store.run(`delete from version where ${where} and sha256 = ? and have = 0`, ...key) > 0 ? sha256 : undefined
  }

  /** Names and parts that a snapshot did not bring: their rows are of before its beginning. */
  older(generation: number, began: Position): { name: string; part: number }[] {
    const rows = this.#store.all(
      'select name, part from file_part where generation = ? and place < ?',
      generation,
      BigInt(positionNumber(began)),
    )
    return rows.map((row) => ({ name: String(row['name']), part: Number(row['part']) }))
  }

  versions(generation: number, name: string): Version[] {
    return this.#store.all('select * from version where generation = ? and name = ?', generation, name).map(versionOf)
  }

  /** The version of which all parts have come: no two can be, since both would have a first part. */
  complete(generation: number, name: string): Version | undefined {
    return this.versions(generation, name).find(({ have, parts }) => have === parts)
  }

  /** The bytes of this version's parts do not lie among the parts any more. */
  release(generation: number, name: string, sha256: string): void {
    this.#store.run('update file_part set held = 0 where generation = ? and name = ? and sha256 = ? and held = 1', generation, name, sha256)
    this.#store.run('update version set held = 0 where generation = ? and name = ? and sha256 = ?', generation, name, sha256)
  }

  /** Versions whose bytes lie among the parts, of every generation. */
  held(): { name: string; sha256: string }[] {
    return this.#store.all('select distinct name, sha256 from version where held > 0').map(versionOf)
  }

  isHeld(name: string, sha256: string): boolean {
    return this.#store.get('select 1 from version where name = ? and sha256 = ? and held > 0', name, sha256) !== undefined
  }

  drop(generation: number): void {
    this.#store.run('delete from file_part where generation = ?', generation)
    this.#store.run('delete from version where generation = ?', generation)
  }

  /** The rows of `names` in one generation become those of another. */
  move(from: number, to: number, name: string): void {
    for (const table of ['file_part', 'version'])
      this.#store.run(`update or replace ${table} set generation = ? where generation = ? and name = ?`, to, from, name)
  }

  placed(name: string): PlacedFile | undefined {
    const row = this.#store.get('select name, sha256, print from placed where name = ?', name)
    return row && placedOf(row)
  }

  /** Another file in the folder that a file system may take for this one. */
  alike(name: string, folded: string): string | undefined {
    return this.#store.get('select name from placed where folded = ? and name <> ?', folded, name)?.['name'] as string | undefined
  }

  /** Files that an ended route of the same resource has put into the folder are this one's from now on. */
  takeOver(ended: SinkStore): void {
    if (!ended.has('placed')) return
    for (const row of ended.all('select name, folded, sha256, print from placed')) this.place(placedOf(row), String(row['folded']))
  }

  /** Files in the folder that are of no version: taken over, and not in the snapshot that ends. */
  pendUnheld(generation: number, kept: ReadonlySet<string>): void {
    const none = 'not exists (select 1 from version v where v.generation = ? and v.name = placed.name)'
    for (const row of this.#store.all(`select name from placed where ${none}`, generation))
      if (!kept.has(String(row['name']))) this.pend(String(row['name']))
  }

  place({ name, sha256, print }: PlacedFile, folded: string): void {
    this.#store.run('insert or replace into placed (name, folded, sha256, print) values (?, ?, ?, ?)', name, folded, sha256, print)
    this.claim(name)
  }

  /** The folder's file of this name is this route's, or will be at once. */
  claim(name: string): void {
    this.#store.run('insert or ignore into written (file) values (?)', name)
  }

  displace(name: string): void {
    this.#store.run('delete from placed where name = ?', name)
    this.#store.run('delete from written where file = ?', name)
  }

  /** Files that the folder is to be made to fit: put there, replaced or removed. */
  pend(name: string): void {
    this.#store.run('insert or ignore into pending (name) values (?)', name)
  }

  /** All files that one of the two generations has a complete version of, or had. */
  pendAll(generation: number, before: number): void {
    this.#store.run('insert or ignore into pending (name) select distinct name from version where generation in (?, ?)', generation, before)
  }

  pending(after: string, limit: number): string[] {
    return this.#store.all('select name from pending where name > ? order by name limit ?', after, limit).map((row) => String(row['name']))
  }

  settled(name: string): void {
    this.#store.run('delete from pending where name = ?', name)
  }
}

function versionOf(row: Record<string, unknown>): Version {
  const [name, sha256, modified] = [String(row['name']), String(row['sha256']), String(row['modified'])]
  return {
    name,
    sha256,
    modified,
    parts: Number(row['parts']),
    size: Number(row['size']),
    have: Number(row['have']),
    held: Number(row['held']),
  }
}

function placedOf(row: Record<string, unknown>): PlacedFile {
  return { name: String(row['name']), sha256: String(row['sha256']), print: String(row['print']) }
}
