/** What `doctor` says of a table of the receiver's own, before delivery begins in it. */
import { counted } from '../../../protocol/localized.ts'
import { addedColumns, type Check, type Reading, type SinkTable, type SourceTable } from '../../database.ts'

/** Rows that no route has brought, and what becomes of them where a delivered row has the key of one. */
export async function ownRowsCheck(reading: Reading, sink: SinkTable): Promise<Check[]> {
  const count = await localRows(reading, sink)
  if (!count) return []
  const { table, takeOver } = sink
  const said = {
    name: `sink ${table}`,
    ok: true,
    zh: takeOver
      ? `${table} 中有 ${count} 行是本单位自己的：与交付数据主键相同的将归该路由（takeOver）`
      : `${table} 中有 ${count} 行是本单位自己的：主键相同的交付数据将被隔离；要归该路由，请写 takeOver: true`,
    en: takeOver
      ? `${table} holds ${counted(count, 'row')} of the receiver's own: those with a delivered key become the route's (takeOver)`
      : `${table} holds ${counted(count, 'row')} of the receiver's own: a delivered row with the key of one is set aside; takeOver: true makes it the route's`,
  }
  return [said]
}

/** `held`: columns of all unique indexes. A row may be refused by a further one though its key is free. */
export function furtherUniqueCheck({ table, columns }: SinkTable, held: readonly string[]): Check[] {
  const names = new Set(held.map((column) => column.toLowerCase()))
  const items = columns.filter(({ item, column }) => !item.key && names.has(column.toLowerCase()))
  if (items.length === 0) return []
  const list = items.map(({ column }) => column).join(', ')
  return [
    {
      name: `sink ${table}`,
      ok: true,
      zh: `${table} 在主键之外还有唯一索引（${list}）：值与他行相同的数据将被隔离，直到对方释放该值`,
      en: `${table} has further unique indexes (${list}): a row whose value another one has is set aside until that one lets go of it`,
    },
  ]
}

/** Undefined where the table cannot be counted, as one that is not there yet. */
async function localRows(reading: Reading, sink: SinkTable): Promise<number | undefined> {
  const whole: SourceTable = {
    resource: sink.resource,
    table: sink.table,
    capture: 'compare',
    schema: sink.schema,
    columns: sink.columns.filter(({ item }) => item.key),
    zeroDates: 'refuse',
    valueLimit: 1 << 20,
    queueLimit: 0,
  }
  const counted = (source: SourceTable) => reading.count(source).catch(() => undefined)
  // Without the column nothing was ever delivered into it.
  return (await counted({ ...whole, rowFilter: [{ column: addedColumns.source, value: null }] })) ?? counted(whole)
}
