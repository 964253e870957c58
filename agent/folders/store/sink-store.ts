/**
 * What an agent remembers of a route that it delivers into a folder: where its parts stand, their quarantine, and the files written. One
 * SQLite file for each route and folder in the data folder; each step is one transaction that is on disk when the call returns. Others may
 * read it.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { QianzhiError, type ErrorCode } from '../../../protocol/errors.ts'
import { readText, storeText } from '../../../protocol/localized.ts'
import { samePosition, showPosition, type Position, type ChainPosition } from '../../../protocol/position.ts'
import {
  mappingText,
  sameShape,
  type Change,
  type FolderSettings,
  type Part,
  type QuarantinedKey,
  type Removal,
  type Row,
  type RowFault,
  type SinkState,
  type SinkTable,
} from '../../database.ts'
import { SqliteFile } from '../../runtime/sqlite-file.ts'

const tables = `
  create table if not exists part (
    part text primary key, generation integer not null, epoch integer, seq integer, hash text, began_epoch integer, began_seq integer,
    complete integer not null default 0, version integer not null, items text not null, columns text not null, keys text not null,
    mapping text not null, resource text not null);
  create table if not exists quarantine (
    generation integer not null, key text not null, code text not null, item text, reason text, row text, at integer not null,
    epoch integer, seq integer, primary key (generation, key)) without rowid;
  create table if not exists written (file text primary key);
  create table if not exists removal (one integer primary key check (one = 1), rows integer not null, tables text not null)`

export class SinkStore extends SqliteFile {
  /** `readOnly`: of a file that is there, also beside the agent that writes it. Throws QZ-DATA-LOCKED. */
  constructor(file: string, { readOnly = false }: { readOnly?: boolean } = {}) {
    super(file, { readOnly, patience: 5_000, prepare: `pragma journal_mode = wal; pragma synchronous = full; ${tables}` })
  }

  /** The store of a route; it is made where there is none. */
  static open(folder: StoredFor, route: string): SinkStore {
    mkdirSync(sinkFolder(folder), { recursive: true, mode: 0o700 })
    return new SinkStore(sinkFile(folder, route))
  }

  /** The same to read what it holds now and nothing later; undefined where there is none, or nothing in it but the word of a removal. */
  static read(folder: StoredFor, route: string): SinkStore | undefined {
    const file = sinkFile(folder, route)
    if (!existsSync(file)) return undefined
    const store = new SinkStore(file, { readOnly: true })
    try {
      store.make('begin')
      if (store.has('part')) return store
    } catch (error) {
      store.close()
      throw error
    }
    store.close()
    return undefined
  }

  /** Undefined where there is no such part. */
  state(part: Part): SinkState | undefined {
    const row = this.get(
      'select *, (select count(*) from quarantine q where q.generation = part.generation) as set_aside from part where part = ?',
      part,
    )
    if (!row) return undefined
    return {
      position: row['epoch'] === null ? null : { epoch: Number(row['epoch']), seq: Number(row['seq']), hash: String(row['hash']) },
      snapshot: row['began_epoch'] === null ? null : { epoch: Number(row['began_epoch']), seq: Number(row['began_seq']) },
      complete: row['complete'] === 1,
      schemaVersion: Number(row['version']),
      items: JSON.parse(String(row['items'])) as string[],
      columns: JSON.parse(String(row['columns'])) as Record<string, string>,
      keys: JSON.parse(String(row['keys'])) as string[],
      mapping: String(row['mapping']),
      quarantine: Number(row['set_aside']),
    }
  }

  /** What a part's rows and quarantine are kept under: another number for each part that was ever begun. */
  generation(part: Part): number {
    return Number(this.get('select generation from part where part = ?', part)!['generation'])
  }

  /** Within a transaction: an empty part, made for what the sink is now. @returns the generation that it took the place of. */
  begin(part: Part, { schema, columns, resource }: SinkTable): number | undefined {
    const before = this.get('select generation from part where part = ?', part)?.['generation'] as number | undefined
    const next = Number(this.get('select coalesce(max(generation), 0) + 1 as next from part')!['next'])
    const ids = columns.map(({ item }) => item.id)
    const names = Object.fromEntries(columns.map(({ item, column }) => [item.id, column]))
    const keys = columns.flatMap(({ item }) => (item.key ? [item.id] : []))
    this.run(
      'insert or replace into part (part, generation, version, items, columns, keys, mapping, resource) values (?, ?, ?, ?, ?, ?, ?, ?)',
      part,
      next,
      schema.version,
      JSON.stringify(ids),
      JSON.stringify(names),
      JSON.stringify(keys),
      mappingText(columns),
      resource,
    )
    if (before !== undefined) this.run('delete from quarantine where generation = ?', before)
    return before
  }

  /** The live part; where it has the sink's shape, it is of the sink's version from now on. */
  followed(sink: SinkTable): SinkState {
    const live = this.state('live')!
    if (live.schemaVersion === sink.schema.version || !sameShape(live, sink)) return live
    this.run(`update part set version = ? where part = 'live'`, sink.schema.version)
    return { ...live, schemaVersion: sink.schema.version }
  }

  /** Within a transaction: the shadow is the live part from now on. @returns the generation of the one before. */
  swap(): number {
    const before = this.generation('live')
    this.run(`delete from part where part = 'live'`)
    this.run(`update part set part = 'live' where part = 'shadow'`)
    this.run('delete from quarantine where generation = ?', before)
    return before
  }

  /** Within a transaction: compare-and-set of a part's position. Throws QZ-CHAIN-BROKEN where it is not `from`. */
  move(part: Part, { from, to, snapshot }: Pick<Change, 'from' | 'to' | 'snapshot'>): void {
    if (!samePosition(this.state(part)?.position ?? null, from)) throw new QianzhiError('QZ-CHAIN-BROKEN', { position: showPosition(to) })
    this.run('update part set epoch = ?, seq = ?, hash = ? where part = ?', to.epoch, to.seq, to.hash, part)
    if (!snapshot) return
    const began = snapshot.last ? null : snapshot.began
    this.run('update part set began_epoch = ?, began_seq = ? where part = ?', began?.epoch ?? null, began?.seq ?? null, part)
    if (snapshot.last) this.run('update part set complete = 1 where part = ?', part)
  }

  /** The live part's position. */
  get position(): ChainPosition | null {
    return this.state('live')?.position ?? null
  }

  /** Within a transaction. `row` is kept to be tried again; `place` is that of its batch. @returns true where the key was not there before. */
  quarantine(generation: number, { key, code, item, reason }: RowFault, row?: Row, place?: Position): boolean {
    const text = JSON.stringify(key)
    const known = this.get('select 1 from quarantine where generation = ? and key = ?', generation, text) !== undefined
    const kept = row === undefined ? null : JSON.stringify(row)
    this.run(
      `insert into quarantine (generation, key, code, item, reason, row, at, epoch, seq) values (?, ?, ?, ?, ?, ?, ?, ?, ?)
       on conflict (generation, key) do update set code = excluded.code, item = excluded.item, reason = excluded.reason, row = excluded.row,
       epoch = excluded.epoch, seq = excluded.seq`,
      generation,
      text,
      code,
      item ?? null,
      reason === undefined ? null : storeText(reason),
      kept,
      Date.now(),
      place?.epoch ?? null,
      place?.seq ?? null,
    )
    return !known
  }

  /** Keys in a part's quarantine. */
  countAside(generation: number): number {
    return Number(this.get('select count(*) as keys from quarantine where generation = ?', generation)!['keys'])
  }

  /** Within a transaction: what was set aside before a snapshot began and did not come in it is gone from the source. */
  forgetOlder(generation: number, { epoch, seq }: Position): void {
    this.run('delete from quarantine where generation = ? and (epoch, seq) < (?, ?)', generation, epoch, seq)
  }

  /** Within a transaction. */
  clear(generation: number, key: Row): void {
    this.run('delete from quarantine where generation = ? and key = ?', generation, JSON.stringify(key))
  }

  /** The resource that a part holds; undefined where there is none. */
  get resource(): string | undefined {
    return this.get(`select resource from part where part = 'live'`)?.['resource'] as string | undefined
  }

  /** Of the live part, the longest first. */
  quarantined(route: string, limit: number): QuarantinedKey[] {
    const { resource } = this
    if (resource === undefined) return []
    const rows = this.all('select * from quarantine where generation = ? order by at, key limit ?', this.generation('live'), limit)
    return rows.map((row) => ({
      end: 'sink',
      resource,
      route,
      key: JSON.parse(String(row['key'])) as Row,
      code: row['code'] as ErrorCode,
      ...(row['item'] !== null && { item: row['item'] as string }),
      ...(row['reason'] !== null && { reason: readText(row['reason'] as string) }),
      since: new Date(Number(row['at'])),
      kept: row['row'] !== null,
    }))
  }

  has(table: string): boolean {
    return this.get(`select 1 from sqlite_master where type = 'table' and name = ?`, table) !== undefined
  }

  /** Rows of the live part; undefined where the route's files are no files of rows. */
  get rows(): number | undefined {
    if (!this.has('row') || !this.state('live')) return undefined
    return Number(this.get('select count(*) as rows from row where generation = ?', this.generation('live'))!['rows'])
  }

  /** What became of the route's data, where it was removed. */
  get removal(): Removal | undefined {
    const found = this.get('select rows, tables from removal')
    return found && { rows: Number(found['rows']), tables: JSON.parse(String(found['tables'])) as string[], done: true }
  }

  /** Leaves nothing but this. */
  forgetAll({ rows, tables: names }: Removal): void {
    this.transaction(() => {
      const all = this.all(`select name from sqlite_master where type = 'table' and name <> 'removal' and name not like 'sqlite_%'`)
      for (const { name } of all) this.make(`drop table "${String(name)}"`)
      this.run('insert or replace into removal (one, rows, tables) values (1, ?, ?)', rows, JSON.stringify(names))
    })
    this.make('vacuum')
  }
}

/** Each folder has stores of its own: a route that goes into another one is delivered anew there. */
type StoredFor = Pick<FolderSettings, 'data' | 'path'>

function sinkFolder({ data, path }: StoredFor): string {
  return join(data, 'sinks', createHash('sha256').update(path).digest('hex').slice(0, 16))
}

export function sinkFile(folder: StoredFor, route: string): string {
  return join(sinkFolder(folder), `${encodeURIComponent(route)}.sqlite`)
}

/** Routes that anything is remembered of. */
export function rememberedRoutes(folder: StoredFor): string[] {
  try {
    return readdirSync(sinkFolder(folder)).flatMap((name) => (name.endsWith('.sqlite') ? [decodeURIComponent(name.slice(0, -7))] : []))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** Forgets a route. */
export function removeSinkStore(folder: StoredFor, route: string): void {
  for (const suffix of ['-wal', '-shm', '']) rmSync(sinkFile(folder, route) + suffix, { force: true })
}
