/**
 * What an agent remembers of a source that has no room for it, because it may only be read or is a folder: the stream's state, the queue
 * of changed keys, the quarantine. It is one SQLite file for each source in the data folder, and is to the stream what Qianzhi's tables in
 * the source's database are to one that triggers watch: each step is one transaction that is on disk when the call returns. No second
 * program can open the file, unless it is opened as `shared`: then others may read.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { QianzhiError, type ErrorCode } from '../../protocol/errors.ts'
import { readText, storeText } from '../../protocol/localized.ts'
import { samePosition, showPosition, type ChainPosition } from '../../protocol/position.ts'
import type { QuarantinedKey, Row, RowFault, StreamState, StreamStep, Take } from '../database.ts'
import { SqliteFile } from './sqlite-file.ts'

/** What a mode remembers beside the queue. Everything is called within the store's transaction. */
export interface Memory {
  /** A snapshot has begun: what was remembered of rows sent before it counts no more. */
  snapshotBegan(): void
  /** The hub has the snapshot's rows up to and including this key; null: all of them. */
  snapshotReached(after: string | null): void
  /** The hub has the row of a queued key. `queued` is what the scan saw of it; null where no scan queued it. */
  sent(key: string, queued: Uint8Array | null): void
}

const tables = `
  create table if not exists stream (
    one integer primary key check (one = 1), epoch integer, seq integer, hash text, needed integer not null default 0,
    began_epoch integer, began_seq integer, after text, coverage text not null default '', generation integer not null default 0,
    due text, scanned text);
  insert or ignore into stream (one) values (1);
  create table if not exists queue (id integer primary key autoincrement, key text not null unique, print blob, at integer not null);
  create table if not exists quarantine (key text primary key, code text not null, item text, reason text, at integer not null)`

/** Bytes that an entry takes beside its key. */
const entryBytes = 80

export class StreamStore extends SqliteFile {
  /** `':memory:'` for none on disk. Throws QZ-DATA-LOCKED where another program has the file. */
  constructor(file: string, { shared = false, readOnly = false }: { shared?: boolean; readOnly?: boolean } = {}) {
    const locking = shared ? '' : 'pragma locking_mode = exclusive;'
    super(file, { readOnly, prepare: `${locking} pragma journal_mode = wal; pragma synchronous = full; ${tables}` })
  }

  /** The store of a resource in the agent's data folder. */
  static open(folder: string, resource: string): StreamStore {
    mkdirSync(join(folder, 'scans'), { recursive: true, mode: 0o700 })
    return new StreamStore(storeFile(folder, resource))
  }

  state(): StreamState & { generation: number } {
    const row = this.get('select *, (select count(*) from quarantine) as quarantine from stream')!
    const began = row['began_epoch'] === null ? undefined : { epoch: Number(row['began_epoch']), seq: Number(row['began_seq']) }
    const after = row['after'] as string | null
    return {
      position: row['epoch'] === null ? null : { epoch: Number(row['epoch']), seq: Number(row['seq']), hash: String(row['hash']) },
      snapshot: row['needed'] ? 'needed' : began ? { began, after: after === null ? null : readKey(after) } : null,
      coverage: String(row['coverage']),
      quarantine: Number(row['quarantine']),
      generation: Number(row['generation']),
    }
  }

  /** Within a transaction: the key's row is to be sent. A newer look at it takes the place of an older one. */
  enqueue(key: string, print: Uint8Array | null): void {
    this.run('insert or replace into queue (key, print, at) values (?, ?, ?)', key, print, Date.now())
  }

  /** The same where it is not queued already. */
  enqueueOnce(key: string, print: Uint8Array | null): void {
    this.run('insert or ignore into queue (key, print, at) values (?, ?, ?)', key, print, Date.now())
  }

  hasEntries(): boolean {
    return this.get('select 1 from queue limit 1') !== undefined
  }

  take(maxKeys: number, inFlight: ReadonlySet<string>): Take {
    const take: Take = { entries: [], keys: [], marked: false }
    for (const row of this.statement('select id, key from queue order by id').iterate()) {
      if (take.keys.length >= maxKeys) break
      const id = String(row['id'])
      if (inFlight.has(id)) continue
      take.entries.push(id)
      take.keys.push(readKey(String(row['key'])))
    }
    return take
  }

  record(step: StreamStep, memory: Memory): void {
    this.transaction(() => {
      const { position, snapshot } = this.state()
      if (!samePosition(position, step.from)) throw new QianzhiError('QZ-CHAIN-BROKEN', { position: showPosition(step.to) })
      this.#place(step.to)
      const begins = beginsSnapshot(step, snapshot)
      if (begins) {
        this.run('delete from quarantine')
        this.run('update queue set print = null')
        this.run('update stream set generation = generation + 1')
        memory.snapshotBegan()
      }
      for (const entry of step.entries) this.#forget(entry, memory)
      for (const fault of step.faults) this.#quarantine(fault)
      for (const key of step.sent) this.run('delete from quarantine where key = ?', writeKey(key))
      if (step.snapshot !== undefined) this.#snapshot(step.snapshot, memory)
    })
  }

  #forget(entry: string, memory: Memory): void {
    const row = this.get('delete from queue where id = ? returning key, print', Number(entry))
    // An entry that a later scan replaced is still to be sent.
    if (row) memory.sent(String(row['key']), row['print'] as Uint8Array | null)
  }

  #quarantine({ key, code, item, reason }: RowFault): void {
    const values = [writeKey(key), code, item ?? null, reason === undefined ? null : storeText(reason), Date.now()]
    // One that was tried again has stood here since the first time.
    const again = 'on conflict (key) do update set code = excluded.code, item = excluded.item, reason = excluded.reason'
    this.run(`insert into quarantine (key, code, item, reason, at) values (?, ?, ?, ?, ?) ${again}`, ...values)
  }

  #snapshot(snapshot: StreamState['snapshot'], memory: Memory): void {
    const running = snapshot === 'needed' ? null : snapshot
    this.run(
      'update stream set needed = ?, began_epoch = ?, began_seq = ?, after = ?',
      snapshot === 'needed' ? 1 : 0,
      running?.began.epoch ?? null,
      running?.began.seq ?? null,
      running?.after ? writeKey(running.after) : null,
    )
    if (snapshot === null) memory.snapshotReached(null)
    else if (running?.after) memory.snapshotReached(writeKey(running.after))
  }

  #place({ epoch, seq, hash }: ChainPosition): void {
    this.run('update stream set epoch = ?, seq = ?, hash = ?', epoch, seq, hash)
  }

  quarantined(resource: string, limit: number): QuarantinedKey[] {
    return this.all('select key, code, item, reason, at from quarantine order by at, key limit ?', limit).map((row) => ({
      end: 'source',
      resource,
      key: readKey(String(row['key'])),
      code: row['code'] as ErrorCode,
      ...(row['item'] !== null && { item: row['item'] as string }),
      ...(row['reason'] !== null && { reason: readText(row['reason'] as string) }),
      since: new Date(Number(row['at'])),
      kept: false,
    }))
  }

  requeue(keys: readonly Row[], position: ChainPosition): void {
    this.transaction(() => {
      for (const key of keys) this.enqueue(writeKey(key), null)
      this.#place(position)
    })
  }

  mark(change: { snapshot?: 'needed'; coverage?: string; entries?: readonly string[] }): void {
    this.transaction(() => {
      for (const entry of change.entries ?? []) this.run('delete from queue where id = ?', Number(entry))
      if (change.coverage !== undefined) this.run('update stream set coverage = ?', change.coverage)
      if (change.snapshot) this.#needSnapshot()
    })
  }

  collapse(): void {
    this.transaction(() => {
      this.run('delete from queue')
      this.#needSnapshot()
    })
  }

  #needSnapshot(): void {
    this.run('update stream set needed = 1, began_epoch = null, began_seq = null, after = null')
  }

  backlog(bound: number): { entries: number; bytes: number; oldest?: Date } {
    const row = this.get('select count(*) as entries, coalesce(sum(length(key)), 0) as bytes, min(at) as oldest from queue')!
    const entries = Number(row['entries'])
    const counted = { entries: Math.min(entries, bound), bytes: Number(row['bytes']) + entries * entryBytes }
    return row['oldest'] === null ? counted : { ...counted, oldest: new Date(Number(row['oldest'])) }
  }

  /** When the next scan is due, as long as it has not been completed; and when the last one was. */
  due(): Date | undefined {
    const text = this.get('select due from stream')!['due'] as string | null
    return text === null ? undefined : new Date(text)
  }

  scanned(): Date | undefined {
    const text = this.get('select scanned from stream')!['scanned'] as string | null
    return text === null ? undefined : new Date(text)
  }

  setDue(due: Date | null, scanned?: Date): void {
    this.run('update stream set due = ?, scanned = coalesce(?, scanned)', due?.toISOString() ?? null, scanned?.toISOString() ?? null)
  }
}

/** Removes all that is remembered of a resource: the next start begins with a snapshot. */
export function removeStore(folder: string, resource: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(storeFile(folder, resource) + suffix, { force: true })
}

export function storeFile(folder: string, resource: string): string {
  return join(folder, 'scans', `${encodeURIComponent(resource)}.sqlite`)
}

/** A key as everything here holds it: different keys have different texts. */
export function writeKey(key: Row): string {
  return JSON.stringify(key)
}

export function readKey(text: string): Row {
  return JSON.parse(text) as Row
}

/** A step begins a snapshot where it began there, or is whole in it. */
function beginsSnapshot({ snapshot, to }: StreamStep, before: StreamState['snapshot']): boolean {
  if (snapshot === undefined || snapshot === 'needed') return false
  if (snapshot) return showPosition(snapshot.began) === showPosition(to)
  return before === null || before === 'needed' || before.began.epoch !== to.epoch
}
