/** The statements on a source's queue and on what is remembered of its stream. */
import { QianzhiError } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import { quoteText } from './sql.ts'
import type { SourceTable } from '../../database.ts'
import { pastLocks, reads, type Server } from './connection.ts'
import { queueTable } from './names.ts'
import type { Plan } from './plan.ts'
import type { Rowset } from './rowset.ts'

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

export function notSetUp({ table }: SourceTable, reason: LocalizedText, cause?: unknown): QianzhiError {
  return new QianzhiError('QZ-SOURCE-NOT-SET-UP', { table, reason }, { cause })
}
