/**
 * Applies a batch in one transaction with the route's position; a row that the database refuses is set aside and the rest goes in. A refusal
 * may leave the transaction as it was, or end it (a trigger's ROLLBACK, a value that is not to be converted): then it is done again with
 * the parts into which it has been split so far.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { QianzhiError, reasonOf } from '../../../protocol/errors.ts'
import { positionNumber, showPosition } from '../../../protocol/position.ts'
import { remove, removeOlder, upsert } from './sql.ts'
import type { Applied, Change, Part, SinkTable } from '../../database.ts'
import { keptAt, keyAt, keyHash, keysStage, stagedKeys, stagedUpserts, upsertStage, type Batch, type Refused } from './batch.ts'
import type { Session, SqlParameters } from './connection.ts'
import { isContention, isRowError } from './errors.ts'
import { positionTable } from './names.ts'
import { clearQuarantine, countQuarantine, faultStage, forgetOlder, hashStage, setAside } from './quarantine.ts'
import { rowset, type Rowset, type StageType } from './rowset.ts'
import { quarantinedKeys, type OpenSink } from './sink.ts'

export interface Target {
  session: Session
  sink: SinkTable
  part: Part
  open: OpenSink
}

/** A batch's rows at the server. */
interface StagedRows {
  upserts: Rowset
  deletes: Rowset
}

interface Staged extends StagedRows {
  keys: Rowset | undefined
}

/** Rows of one kind by their numbers, `to` excluded. */
export interface Piece {
  op: 'upserts' | 'deletes'
  from: number
  to: number
  /** All of its kind: nothing need be told apart. */
  whole: boolean
}

interface Counts {
  written: number
  deleted: number
}

const attempts = 5

export async function applyBatch(target: Target, batch: Batch): Promise<Applied> {
  for (let attempt = 1; ; attempt++) {
    const staged = await stageBatch(target, batch)
    try {
      return await applyStaged(target, batch, staged)
    } catch (error) {
      if (!isContention(error) || attempt === attempts) throw error
      await sleep(20 * attempt)
    }
  }
}

/** Before the transaction, so that no temporary table is made within it. */
async function stageBatch(target: Target, batch: Batch): Promise<Staged> {
  const { session, sink, open } = target
  const hashes = open.quarantine > 0 ? batch.keys.map((key) => [keyHash(key)]) : []
  await rowset(session, faultStage, [], 'f')
  await rowset(session, keysStage(sink), [], 's', 'kept')
  const keys = hashes.length > 0 ? await rowset(session, hashStage, hashes, 'h') : undefined
  return { ...(await stageRows(target, batch)), keys }
}

export async function stageRows({ session, sink }: Target, batch: Batch): Promise<StagedRows> {
  const deleted = batch.deletes.map((row) => keyAt(sink, batch.change, row))
  return {
    upserts: await rowset(session, upsertStage(sink), stagedUpserts(sink, batch), 's', 'upserts'),
    deletes: await rowset(session, keysStage(sink), stagedKeys(sink, deleted), 's', 'deletes'),
  }
}

async function applyStaged(target: Target, batch: Batch, staged: Staged): Promise<Applied> {
  const [pieces, faults] = [wholePieces(batch), [...batch.faults]]
  return untilWhole(target.session, async () => {
    await movePosition(target, batch.change)
    if (staged.keys) await clearQuarantine(target, staged.keys)
    const counts = await writePieces(target, batch, staged, pieces, faults)
    counts.deleted += await afterRows(target, batch, faults)
    return finish(target, counts, faults.length)
  })
}

export function wholePieces(batch: Batch): Piece[] {
  return (['upserts', 'deletes'] as const).flatMap((op) =>
    batch[op].length > 0 ? [{ op, from: 0, to: batch[op].length, whole: true }] : [],
  )
}

/** A refused row has ended the transaction. */
const ended = new Error('the transaction has ended')

/** One transaction, done again where a refused row has ended it. */
export async function untilWhole<T>(session: Session, work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await session.transaction(work)
    } catch (error) {
      if (error !== ended) throw error
    }
  }
}

/** Where a piece is refused, its halves take its place; of a single row it goes to `faults`. Both outlive the transaction. */
export async function writePieces(target: Target, batch: Batch, staged: StagedRows, pieces: Piece[], faults: Refused[]): Promise<Counts> {
  const counts = { written: 0, deleted: 0 }
  for (let i = 0; i < pieces.length;) {
    const piece = pieces[i]!
    await target.session.query('save transaction qz_rows')
    try {
      const done = await write(target, batch, staged, piece)
      counts[piece.op === 'upserts' ? 'written' : 'deleted'] += done
      i++
    } catch (error) {
      if (!isRowError(error)) throw error
      pieces.splice(i, 1, ...halves(piece))
      if (piece.to - piece.from === 1) faults.push(faultOf(target, batch, piece, error))
      const [row] = await target.session.query('select xact_state()')
      if (Number(row?.[0]) !== 1) throw ended
      await target.session.query('rollback transaction qz_rows')
    }
  }
  return counts
}

function halves({ op, from, to }: Piece): Piece[] {
  if (to - from === 1) return []
  const middle = (from + to) >> 1
  return [
    { op, from, to: middle, whole: false },
    { op, from: middle, to, whole: false },
  ]
}

function faultOf({ sink }: Target, { change, ...batch }: Batch, { op, from }: Piece, error: unknown): Refused {
  const reason = reasonOf(error instanceof QianzhiError ? error.cause : error)
  const row = batch[op][from]!
  return { key: keyAt(sink, change, row), code: 'QZ-ROW-REFUSED', reason, kept: keptAt(sink, change, row, op === 'upserts' ? 'u' : 'd') }
}

/** Of rows that are staged, those of a piece. Their number is their last column. */
export function pieceOf({ from }: Pick<Rowset, 'from'>, types: readonly StageType[], piece: Piece): string {
  if (piece.whole) return from
  const number = `convert(int, s.c${types.length})`
  return `(select s.* from ${from} where ${number} >= ${piece.from} and ${number} < ${piece.to}) s`
}

async function write({ session, sink, open }: Target, { change }: Batch, staged: StagedRows, piece: Piece): Promise<number> {
  const values = { source: sink.source, position: positionNumber(change.to) }
  if (piece.op === 'upserts') {
    const from = pieceOf(staged.upserts, upsertStage(sink), piece)
    for (const statement of upsert(open.table, from)) await session.query(statement, { ...values, ...staged.upserts.parameters })
    return piece.to - piece.from
  }
  const from = pieceOf(staged.deletes, keysStage(sink), piece)
  return counted(session, remove(open.table, from), { ...values, ...staged.deletes.parameters })
}

async function counted(session: Session, sql: string, parameters: SqlParameters): Promise<number> {
  const rows = await session.query(`${sql};\nselect @@rowcount`, parameters)
  return Number(rows.at(-1)?.[0] ?? 0)
}

/** Compare-and-set. Throws QZ-CHAIN-BROKEN. */
async function movePosition({ session, sink, part }: Target, { from, to, snapshot }: Change): Promise<void> {
  const running = snapshot && !snapshot.last ? snapshot.began : undefined
  const parameters = {
    route: sink.route,
    part,
    toEpoch: String(to.epoch),
    toSeq: String(to.seq),
    toHash: to.hash,
    ...(from && { fromEpoch: String(from.epoch), fromSeq: String(from.seq), fromHash: from.hash }),
    ...(running && { beganEpoch: String(running.epoch), beganSeq: String(running.seq) }),
  }
  const moved = await counted(session, moveStatement(from !== null, snapshot && (snapshot.last ? 'last' : 'running')), parameters)
  if (moved !== 1) throw new QianzhiError('QZ-CHAIN-BROKEN', { position: showPosition(to) })
}

export function moveStatement(from: boolean, snapshot: 'running' | 'last' | undefined): string {
  const began = {
    running: ', began_epoch = convert(bigint, @beganEpoch), began_seq = convert(bigint, @beganSeq)',
    last: ', began_epoch = null, began_seq = null, complete = 1',
  }
  const place = from
    ? 'epoch = convert(bigint, @fromEpoch) and seq = convert(bigint, @fromSeq) and hash = convert(varchar(64), @fromHash)'
    : 'epoch is null and seq is null and hash is null'
  return `update ${positionTable} set epoch = convert(bigint, @toEpoch), seq = convert(bigint, @toSeq), hash = convert(varchar(64), @toHash)${snapshot ? began[snapshot] : ''}
where route = @route and part = @part and ${place}`
}

/** Writes the quarantine, and at a snapshot's end removes what it did not bring. Returns how many rows that were. */
async function afterRows(target: Target, { change }: Batch, faults: readonly Refused[]): Promise<number> {
  const { session, sink, part, open } = target
  if (faults.length > 0) await setAside(target, change.to, faults, open.quarantine)
  if (!change.snapshot?.last) return 0
  const { began } = change.snapshot
  await forgetOlder(target, began)
  const kept = await quarantinedKeys(session, sink, part)
  const values = { source: sink.source, position: positionNumber(change.to), began: positionNumber(began) }
  return counted(session, removeOlder(open.table, kept?.from), { ...values, ...kept?.parameters })
}

/** Counts the quarantine only where it may have changed. */
async function finish(target: Target, counts: Counts, quarantined: number): Promise<Applied> {
  const { open } = target
  if (quarantined > 0 || open.quarantine > 0) open.quarantine = await countQuarantine(target)
  return { ...counts, quarantined, quarantine: open.quarantine }
}
