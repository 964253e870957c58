/** What a source database remembers of each stream: where it stands, the state of its snapshot, and the keys that cannot be sent. */
import { QianzhiError } from '../../../protocol/errors.ts'
import { showPosition, type ChainPosition } from '../../../protocol/position.ts'
import type { Capture, Row, RowFault, StreamState, StreamStep, Take } from '../../database.ts'
import { keyHash } from './batch.ts'
import { textOfReason } from './quarantine-book.ts'
import type { BookDialect, BookSession, Cell } from './session.ts'
import { chunks, join, raw, same, sql, type Sql } from './statement.ts'

/** Rows that one statement writes. */
const rowsAtOnce = 200

/** An engine's queues, as the book needs them. */
export interface Queue {
  /** Deletes exactly these entries; within a transaction. */
  forget(entries: readonly string[]): Promise<void>
  /** The quickest way: the move and the entries in one transaction. False where the move changed nothing, and then nothing has happened. */
  moveAndForget?(move: Sql, entries: readonly string[]): Promise<boolean>
}

export class StreamBook {
  readonly #session: BookSession
  readonly #dialect: BookDialect
  readonly #streams: Sql
  readonly #quarantine: Sql
  readonly #resource: Sql

  constructor(session: BookSession, dialect: BookDialect) {
    this.#session = session
    this.#dialect = dialect
    this.#streams = raw(dialect.streams)
    this.#quarantine = raw(dialect.sourceQuarantine)
    this.#resource = raw(dialect.resource)
  }

  /** Undefined where the source was never set up. */
  async state(resource: string): Promise<StreamState | undefined> {
    const [row] = await this.#session.rows(
      sql`select s.epoch, s.seq, s.hash, s.snapshot, s.began_epoch, s.began_seq, s.coverage,
  (select count(*) from ${this.#quarantine} q where q.${this.#resource} = s.${this.#resource}), s.after_key
from ${this.#streams} s where s.${this.#resource} = ${resource}`,
    )
    return row && streamState(row)
  }

  /** In one transaction; see `Capture.record`. Throws QZ-CHAIN-BROKEN. */
  async record(resource: string, { from, to, entries, snapshot, faults, sent }: StreamStep, queue: Queue): Promise<void> {
    const move = this.#move(resource, to, from, snapshot)
    const emptying = this.#emptying(resource, to, snapshot)
    if (queue.moveAndForget && !emptying && faults.length === 0 && sent.length === 0) {
      if (!(await queue.moveAndForget(move, entries))) throw broken(to)
      return
    }
    await this.#session.transaction(async () => {
      if (emptying) await this.#session.run(emptying)
      if ((await this.#session.run(move)) !== 1) throw broken(to)
      await queue.forget(entries)
      await this.#clear(resource, sent)
      await this.#addFaults(resource, faults)
    })
  }

  /** The position, from wherever it is; within a transaction. */
  async place(resource: string, to: ChainPosition): Promise<void> {
    if ((await this.#session.run(this.#move(resource, to))) !== 1) throw broken(to)
  }

  /** In one transaction; see `Capture.mark`. */
  async mark(resource: string, { snapshot, coverage, entries = [] }: Parameters<Capture['mark']>[1], queue: Queue): Promise<void> {
    const changes = [...(snapshot ? [raw(`snapshot = 'needed'`)] : []), ...(coverage === undefined ? [] : [sql`coverage = ${coverage}`])]
    await this.#session.transaction(async () => {
      if (changes.length > 0) {
        const update = sql`update ${this.#streams} set ${join(changes, ', ')} where ${this.#resource} = ${resource}`
        if ((await this.#session.run(update)) === 0) {
          await this.#session.run(sql`insert into ${this.#streams} (${this.#resource}) values (${resource})`)
          await this.#session.run(update)
        }
      }
      await queue.forget(entries)
    })
  }

  /** `from` undefined: from wherever it is. */
  #move(resource: string, to: ChainPosition, from?: ChainPosition | null, snapshot?: StreamState['snapshot']): Sql {
    const changes = [
      sql`epoch = ${to.epoch}, seq = ${to.seq}, hash = ${to.hash}`,
      ...(snapshot === undefined ? [] : [snapshotChange(snapshot)]),
    ]
    const stands = [same('epoch', from?.epoch ?? null), same('seq', from?.seq ?? null), same('hash', from?.hash ?? null)]
    const where = [sql`${this.#resource} = ${resource}`, ...(from === undefined ? [] : stands)]
    return sql`update ${this.#streams} set ${join(changes, ', ')} where ${join(where, ' and ')}`
  }

  /** Where a snapshot begins, the quarantine is emptied: also with its end, if none is running in this epoch. Before the move. */
  #emptying(resource: string, to: ChainPosition, snapshot: StreamState['snapshot'] | undefined): Sql | undefined {
    if (snapshot === undefined) return undefined
    if (snapshot && (snapshot === 'needed' || showPosition(snapshot.began) !== showPosition(to))) return undefined
    const running = sql`exists (select 1 from ${this.#streams} where ${this.#resource} = ${resource} and began_epoch = ${to.epoch})`
    return sql`delete from ${this.#quarantine} where ${this.#resource} = ${resource}${snapshot === null ? sql` and not ${running}` : raw('')}`
  }

  async #clear(resource: string, keys: readonly Row[]): Promise<void> {
    for (const some of chunks(keys, this.#dialect.listLength)) {
      const hashes = some.map((key) => sql`${keyHash(key)}`)
      await this.#session.run(
        sql`delete from ${this.#quarantine} where ${this.#resource} = ${resource} and key_hash in (${join(hashes, ', ')})`,
      )
    }
  }

  /** A key that was tried again has stood in the quarantine since the first time. */
  async #addFaults(resource: string, faults: readonly RowFault[]): Promise<void> {
    const last = new Map(faults.map((fault) => [keyHash(fault.key), fault]))
    const standing = await this.#standing(resource, [...last.keys()])
    for (const [hash, { code, item, reason }] of last) {
      if (!standing.has(hash)) continue
      await this.#session.run(
        sql`update ${this.#quarantine} set code = ${code}, item = ${item ?? null}, reason = ${textOfReason(reason)}
where ${this.#resource} = ${resource} and key_hash = ${hash}`,
      )
    }
    const { sourceQuarantine, at, now, insert } = this.#dialect
    const columns = [this.#dialect.resource, 'key_hash', 'code', 'item', at, 'reason', 'key_text']
    const rows = Array.from(last, ([hash, { key, code, item, reason }]) => ({
      hash,
      cells: [
        ...[resource, hash, code, item ?? null].map((value) => sql`${value}`),
        raw(now),
        sql`${textOfReason(reason)}`,
        sql`${JSON.stringify(key)}`,
      ],
    }))
    const added = rows.filter(({ hash }) => !standing.has(hash)).map(({ cells }) => cells)
    for (const some of chunks(added, rowsAtOnce)) {
      for (const statement of insert(sourceQuarantine, columns, some)) await this.#session.run(statement)
    }
  }

  async #standing(resource: string, hashes: readonly string[]): Promise<Set<string>> {
    const standing = new Set<string>()
    for (const some of chunks(hashes, this.#dialect.listLength)) {
      const list = join(
        some.map((hash) => sql`${hash}`),
        ', ',
      )
      const text = sql`select key_hash from ${this.#quarantine} where ${this.#resource} = ${resource} and key_hash in (${list})`
      for (const [hash] of await this.#session.rows(text)) standing.add(String(hash).trim())
    }
    return standing
  }
}

function broken(to: ChainPosition): QianzhiError {
  return new QianzhiError('QZ-CHAIN-BROKEN', { position: showPosition(to) })
}

function snapshotChange(snapshot: StreamState['snapshot']): Sql {
  const running = snapshot === 'needed' ? null : snapshot
  const state = running ? 'running' : snapshot === 'needed' ? 'needed' : null
  return sql`snapshot = ${state}, began_epoch = ${running?.began.epoch ?? null}, began_seq = ${running?.began.seq ?? null},
  after_key = ${running ? JSON.stringify(running.after) : null}`
}

function streamState([epoch, seq, hash, snapshot, beganEpoch, beganSeq, coverage, quarantine, after]: readonly Cell[]): StreamState {
  const running = () => ({
    began: { epoch: Number(beganEpoch), seq: Number(beganSeq) },
    after: after ? (JSON.parse(String(after)) as Row | null) : null,
  })
  return {
    position: epoch === null ? null : { epoch: Number(epoch), seq: Number(seq), hash: String(hash) },
    snapshot: snapshot === null ? null : snapshot === 'needed' ? 'needed' : running(),
    // On Oracle an empty text is null.
    coverage: coverage ? String(coverage) : '',
    quarantine: Number(quarantine),
  }
}

/** Queue entries as `id`, `marked`, then the key's columns: what is taken of them. */
export function takenFrom(rows: readonly (readonly Cell[])[], keyOf: (columns: readonly Cell[]) => Row): Take {
  const keys = new Map<string, Row>()
  let marked = false
  for (const [, mark, ...columns] of rows) {
    if (Number(mark) === 1) marked = true
    else {
      const key = keyOf(columns)
      keys.set(key.length === 1 ? key[0]! : JSON.stringify(key), key)
    }
  }
  return { entries: rows.map(([id]) => String(id)), keys: [...keys.values()], marked }
}
