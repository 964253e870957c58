/** The statements on a source's queue and on what is remembered of its stream. */
import { createHash } from 'node:crypto'
import { QianzhiError } from '../../../protocol/errors.ts'
import type { ChainPosition } from '../../../protocol/position.ts'
import { quoteText } from './sql.ts'
import type { Row, SourceTable, StreamState, Take } from '../../database.ts'
import { pastLocks, reads, type RawValue, type Server, type SqlParameters } from './connection.ts'
import { queueTable, sourceQuarantine, streamTable } from './names.ts'
import { queuedKey, type Plan } from './plan.ts'
import type { Rowset } from './rowset.ts'

export const stateStatement = `select s.epoch, s.seq, s.hash, s.snapshot, s.began_epoch, s.began_seq, s.after_key, s.coverage,
  (select count(*) from ${sourceQuarantine} q where q.resource = s.resource)
from ${streamTable} s where s.resource = @resource`

export function streamState([
  epoch,
  seq,
  hash,
  snapshot,
  beganEpoch,
  beganSeq,
  after,
  coverage,
  quarantine,
]: readonly RawValue[]): StreamState {
  const running = () => ({ began: { epoch: Number(beganEpoch), seq: Number(beganSeq) }, after: JSON.parse(String(after)) as Row | null })
  return {
    position: epoch === null ? null : { epoch: Number(epoch), seq: Number(seq), hash: String(hash) },
    snapshot: snapshot === null ? null : snapshot === 'needed' ? 'needed' : running(),
    coverage: String(coverage),
    quarantine: Number(quarantine),
  }
}

/** Sent with parameters, though it has none: the isolation level then ends with it. */
export function waitingStatement(resources: readonly string[], server: Server): string {
  return reads(
    server,
    resources
      .map((resource) => `select ${quoteText(resource)} where exists (select 1 from ${queueTable(resource)}${pastLocks(server)})`)
      .join('\nunion all\n'),
  )
}

/** Marks come first; what is locked by an open transaction is left for later. */
export function takeStatement({ source, keys }: Plan, server: Server): string {
  const columns = ['id', 'marked', ...keys.map((_, i) => `k${i + 1}`)]
  return reads(
    server,
    `select top (convert(int, @limit)) ${['convert(nvarchar(36), id)', 'convert(int, marked)', ...columns.slice(2)].join(', ')}
from ${queueTable(source.resource)}${pastLocks(server)} order by marked desc, at`,
  )
}

export function taken(plan: Plan, rows: readonly RawValue[][]): Take {
  const keys = new Map<string, Row>()
  let marked = false
  for (const [, mark, ...texts] of rows) {
    if (Number(mark) === 1) marked = true
    else {
      const key = queuedKey(plan, texts)
      keys.set(JSON.stringify(key), key)
    }
  }
  return { entries: rows.map((row) => String(row[0])), keys: [...keys.values()], marked }
}

/** What is deleted is committed and the agent's own: past entries that writers still hold, should the server choose to look at all. */
export function deleteStatement(resource: string, { from }: Rowset): string {
  return `delete from ${queueTable(resource)} with (rowlock, readpast, readcommittedlock) where id in (select convert(uniqueidentifier, c1) from ${from})`
}

export function requeueStatement({ source, keys }: Plan, { from }: Rowset): string {
  const columns = keys.map((_, i) => `k${i + 1}`).join(', ')
  return `insert into ${queueTable(source.resource)} (${columns}) select ${keys.map((_, i) => `s.c${i + 1}`).join(', ')} from ${from}`
}

/** The oldest entry's age in milliseconds by the server's clock. */
export function backlogStatement({ resource }: SourceTable, server: Server): string {
  const queue = `${queueTable(resource)}${pastLocks(server)}`
  return reads(
    server,
    `select (select count(*) from (select top (convert(int, @bound)) id from ${queue}) q),
  (select top (1) datediff(second, at, sysutcdatetime()) from ${queue} order by marked desc, at)`,
  )
}

/** `from` undefined: from wherever the stream is. One row comes back: how many rows were changed. */
export function moveStatement(from: ChainPosition | null | undefined, snapshot: StreamState['snapshot'] | undefined): string {
  const condition =
    from === undefined
      ? ''
      : from === null
        ? ' and epoch is null and seq is null and hash is null'
        : ' and epoch = convert(bigint, @fromEpoch) and seq = convert(bigint, @fromSeq) and hash = convert(varchar(64), @fromHash)'
  return `update ${streamTable} set epoch = convert(bigint, @toEpoch), seq = convert(bigint, @toSeq), hash = convert(varchar(64), @toHash)${snapshotChange(snapshot)}
where resource = @resource${condition};
select @@rowcount`
}

function snapshotChange(snapshot: StreamState['snapshot'] | undefined): string {
  if (snapshot === undefined) return ''
  if (snapshot === null || snapshot === 'needed') {
    return `,\n  snapshot = ${snapshot === null ? 'null' : `'needed'`}, began_epoch = null, began_seq = null, after_key = null`
  }
  return `,\n  snapshot = 'running', began_epoch = convert(bigint, @beganEpoch), began_seq = convert(bigint, @beganSeq), after_key = @afterKey`
}

export function moveParameters(to: ChainPosition, from?: ChainPosition | null, snapshot?: StreamState['snapshot']): SqlParameters {
  return {
    toEpoch: String(to.epoch),
    toSeq: String(to.seq),
    toHash: to.hash,
    ...(from && { fromEpoch: String(from.epoch), fromSeq: String(from.seq), fromHash: from.hash }),
    ...(snapshot &&
      snapshot !== 'needed' && {
        beganEpoch: String(snapshot.began.epoch),
        beganSeq: String(snapshot.began.seq),
        afterKey: JSON.stringify(snapshot.after),
      }),
  }
}

/** Where a snapshot begins, the quarantine is emptied: also with its end, if none is running in this epoch. */
export function emptyStatement({ epoch, seq }: ChainPosition, snapshot: StreamState['snapshot'] | undefined): string | undefined {
  if (snapshot === undefined) return undefined
  if (snapshot && (snapshot === 'needed' || snapshot.began.epoch !== epoch || snapshot.began.seq !== seq)) return undefined
  const running = `exists (select 1 from ${streamTable} where resource = @resource and began_epoch = convert(bigint, @epoch))`
  return `delete from ${sourceQuarantine} where resource = @resource${snapshot === null ? ` and not ${running}` : ''}`
}

export function clearStatement({ from }: Rowset): string {
  return `delete from ${sourceQuarantine} where resource = @resource and key_hash in (select convert(varchar(64), c1) from ${from})`
}

export function faultStatement({ from }: Rowset): string {
  return `insert into ${sourceQuarantine} (resource, key_hash, key_text, code, item, reason)
select @resource, c1, c2, c3, c4, c5 from ${from}`
}

/** Writes down that a snapshot is needed, or that coverage was seen. */
export function noteStatement(snapshot: boolean, coverage: boolean): string {
  const changes = [...(snapshot ? [`snapshot = 'needed'`] : []), ...(coverage ? ['coverage = @coverage'] : [])].join(', ')
  return `if not exists (select 1 from ${streamTable} where resource = @resource)
insert into ${streamTable} (resource) values (@resource);
update ${streamTable} set ${changes} where resource = @resource`
}

export function keyHash(key: Row): string {
  return createHash('sha256').update(JSON.stringify(key)).digest('hex')
}

export function notSetUp({ table }: SourceTable, reason: string, cause?: unknown): QianzhiError {
  return new QianzhiError('QZ-SOURCE-NOT-SET-UP', { table, reason }, { cause })
}
