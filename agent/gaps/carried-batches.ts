import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { ChainPosition, Position } from '../../protocol/position.ts'
import { SqliteFile } from '../runtime/sqlite-file.ts'

const tables = `pragma journal_mode = wal;
  create table if not exists batch (resource text not null, epoch integer not null, seq integer not null, hash text not null,
    primary key (resource, epoch, seq)) without rowid;
  create table if not exists renewal (resource text primary key, epoch integer not null) without rowid`

/** Batches of a resource whose hashes are kept. */
const maxBatches = 100_000

/** What was carried to the hub from one folder, in the agent's data folder: a machine inside that was put back says other things at places that the hub has. */
export class CarriedBatches extends SqliteFile {
  #seen = 0

  constructor(data: string, name: string) {
    const folder = join(data, 'gap-carried')
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    super(join(folder, `${encodeURIComponent(name)}.sqlite`), { patience: 5_000, prepare: tables })
  }

  note(resource: string, { epoch, seq, hash }: ChainPosition): void {
    this.run('insert or replace into batch (resource, epoch, seq, hash) values (?, ?, ?, ?)', resource, epoch, seq, hash)
    if (++this.#seen % 1_000 > 0) return
    const kept = 'select epoch, seq from batch where resource = ? order by epoch desc, seq desc limit ?'
    this.run(`delete from batch where resource = ? and (epoch, seq) not in (${kept})`, resource, resource, maxBatches)
  }

  hash(resource: string, { epoch, seq }: Position): string | undefined {
    return this.get('select hash from batch where resource = ? and epoch = ? and seq = ?', resource, epoch, seq)?.['hash'] as
      | string
      | undefined
  }

  /** The machine inside has another past than the hub, which has this epoch: only a later one can be gone on with. */
  needsRenewal(resource: string, epoch: number): void {
    this.run('insert or replace into renewal (resource, epoch) values (?, ?)', resource, epoch)
  }

  /** Whether that is still so where the hub has this epoch. */
  awaitsRenewal(resource: string, epoch: number): boolean {
    return this.get('select 1 from renewal where resource = ? and epoch >= ?', resource, epoch) !== undefined
  }
}
