/** Whether the trigger covers the table, and whether rows may have changed that it did not see. */
import { createHash } from 'node:crypto'
import { QianzhiError } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { SourceTable } from '../../database.ts'
import type { Session } from './connection.ts'
import { sourceNames } from './names.ts'
import type { Plan } from './plan.ts'
import { writesKeys } from './trigger.ts'

export function notSetUp({ table }: SourceTable, reason: LocalizedText, cause?: unknown): QianzhiError {
  return new QianzhiError('QZ-SOURCE-NOT-SET-UP', { table, reason }, { cause })
}

/** Whether it is valid does not matter: a change of the table makes it invalid until it fires again, which is no gap. */
export const triggerQuery = (owner: string, trigger: string, tableOwner: string, table: string): string =>
  `select t.status, to_char(o.object_id), t.trigger_body
from all_triggers t join all_objects o on o.owner = t.owner and o.object_name = t.trigger_name and o.object_type = 'TRIGGER'
where t.owner = ${owner} and t.trigger_name = ${trigger} and t.table_owner = ${tableOwner} and t.table_name = ${table}`

export const queueQuery = (owner: string, queue: string): string =>
  `select to_char(object_id) from all_objects where owner = ${owner} and object_name = ${queue} and object_type = 'TABLE'`

/** TRUNCATE, the exchange of a partition and a move give a segment another number; a change of a column another time. */
export const segmentsQuery = (owner: string, table: string): string =>
  `select object_type, subobject_name, to_char(object_id), to_char(data_object_id), o.timestamp from all_objects o
where owner = ${owner} and object_name = ${table} and object_type in ('TABLE', 'TABLE PARTITION', 'TABLE SUBPARTITION')
order by object_type, object_id`

/** Throws QZ-SOURCE-NOT-SET-UP. */
export async function coverageOf(session: Session, plan: Plan): Promise<string> {
  const { source, catalog } = plan
  const { queue, trigger } = sourceNames(source.resource)
  const ask = (query: (code: (text: string) => string) => string) => {
    const binds = session.binds()
    return session.rows(
      query((text) => binds.code(text)),
      binds,
    )
  }
  const { user } = session.server
  const [found] = await ask((code) => triggerQuery(code(user), code(trigger), code(catalog.owner), code(catalog.table)))
  if (!found) throw notSetUp(source, { zh: `缺少触发器 ${user}.${trigger}`, en: `trigger ${user}.${trigger} is missing` })
  const [status, id, body] = found.map(String) as [string, string, string]
  if (status !== 'ENABLED') throw notSetUp(source, { zh: `触发器 ${user}.${trigger} 已停用`, en: `trigger ${user}.${trigger} is disabled` })
  if (!writesKeys(body, plan.keys)) {
    const list = plan.keys.map(({ column }) => column).join(', ')
    throw notSetUp(source, { zh: `主键已改为 (${list})`, en: `the key is (${list}) now` })
  }
  const [there] = await ask((code) => queueQuery(code(user), code(queue)))
  if (!there) throw notSetUp(source, { zh: `缺少队列 ${user}.${queue}`, en: `queue ${user}.${queue} is missing` })
  const segments = await ask((code) => segmentsQuery(code(catalog.owner), code(catalog.table)))
  return createHash('sha256')
    .update(JSON.stringify([id, body, there, segments, catalog.shape]))
    .digest('hex')
}
