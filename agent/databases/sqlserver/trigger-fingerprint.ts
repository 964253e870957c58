/**
 * The fingerprint of what finds a source's changes: the trigger or the tracking, the queue, and the shape of the supplied columns, because
 * ALTER TABLE … ADD … DEFAULT and ALTER COLUMN change rows without firing a trigger. What was dropped and made again has another number.
 */
import { createHash } from 'node:crypto'
import type { RawValue, Session } from './connection.ts'
import { findColumn, fullType } from './catalog.ts'
import { queueTable, streamTable, triggerEvents, triggerName } from './names.ts'
import type { Plan } from './plan.ts'
import { notSetUp } from './queue.ts'
import { keyColumnsText } from './setup.ts'

export const triggersStatement = `select t.name, t.object_id, convert(int, t.is_disabled), convert(nvarchar(30), t.create_date, 121), convert(nvarchar(30), t.modify_date, 121)
from sys.triggers t where t.parent_id = convert(int, @table) and t.name in (@name1, @name2, @name3) order by t.name`

export const trackingStatement = `select convert(nvarchar(20), c.begin_version) from sys.change_tracking_tables c where c.object_id = convert(int, @table)`

/** Throws QZ-SOURCE-NOT-SET-UP. */
export async function coverageOf(session: Session, plan: Plan): Promise<string> {
  const { source, catalog } = plan
  const found = source.capture === 'tracking' ? await trackingOf(session, plan) : await triggersOf(session, plan)
  const queue = queueTable(source.resource)
  const [row] = await session.query(`select object_id(@queue, N'U'), (select key_columns from ${streamTable} where resource = @resource)`, {
    queue,
    resource: source.resource,
  })
  if (!row || row[0] === null) throw notSetUp(source, { zh: `缺少队列 ${queue}`, en: `queue ${queue} is missing` })
  if (row[1] !== keyColumnsText(plan)) {
    const list = plan.keys.map(({ column }) => column).join(', ')
    throw notSetUp(source, { zh: `主键已改为 (${list})`, en: `the key is (${list}) now` })
  }
  const shape = plan.columns.map(({ column: name }) => {
    const column = findColumn(catalog, name)!
    return [column.id, name, fullType(column), column.collation, column.computed]
  })
  return createHash('sha256')
    .update(JSON.stringify([found, row[0], catalog.id, shape]))
    .digest('hex')
}

async function triggersOf(session: Session, { source, catalog }: Plan): Promise<RawValue[][]> {
  const names = triggerEvents.map((event) => triggerName(source.resource, event))
  const [name1, name2, name3] = names as [string, string, string]
  const rows = await session.query(triggersStatement, { table: String(catalog.id), name1, name2, name3 })
  const there = rows.map((row) => String(row[0]))
  const gone = names.filter((name) => !there.includes(name))
  if (gone.length > 0) throw notSetUp(source, { zh: `缺少触发器 ${gone.join(', ')}`, en: `trigger ${gone.join(', ')} is missing` })
  const off = rows.filter((row) => Number(row[2]) === 1).map((row) => String(row[0]))
  if (off.length > 0) throw notSetUp(source, { zh: `触发器 ${off.join(', ')} 已停用`, en: `trigger ${off.join(', ')} is disabled` })
  return rows
}

async function trackingOf(session: Session, { source, catalog }: Plan): Promise<RawValue[]> {
  const [row] = await session.query(trackingStatement, { table: String(catalog.id) })
  if (!row) throw notSetUp(source, { zh: '该表未启用更改跟踪', en: 'Change Tracking is off for the table' })
  return row
}
