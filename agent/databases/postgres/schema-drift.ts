/** Whether somebody has altered a delivered table under way: found before a batch is applied, one look at the catalog each time. */
import type { SinkTable } from '../../database.ts'
import type { Shape } from '../bookkeeping/sink-engine.ts'
import type { Connection } from './connection.ts'
import { quoteTable } from './sql.ts'
import { refuse } from './table.ts'

const shapeQuery = `
  select c.oid,
    (select json_agg(json_build_array(a.attname, a.attnum, a.atttypid, a.atttypmod, a.attcollation) order by a.attnum)::text
      from pg_attribute a where a.attrelid = c.oid and a.attname = any($2) and not a.attisdropped),
    (select md5(string_agg(concat_ws(' ', a.attnum, a.attname, a.attnotnull, a.atthasdef, a.attgenerated), ',' order by a.attnum))
      from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
    (select string_agg(concat_ws(' ', i.indexrelid, i.indisvalid), ',' order by i.indexrelid) from pg_index i
      where i.indrelid = c.oid and (i.indisunique or i.indisexclusion)),
    (select string_agg(concat_ws(' ', t.oid, t.tgenabled), ',' order by t.oid) from pg_trigger t where t.tgrelid = c.oid),
    concat_ws(' ', c.relhasrules, c.relrowsecurity)
  from pg_class c where c.oid = to_regclass($1)`

/** The table's identity and its delivered columns; whatever else is not rows. */
export async function shapeOf(connection: Connection, sink: SinkTable, table: string): Promise<Shape> {
  const [row] = await connection.prepared(shapeQuery, [quoteTable(table), sink.columns.map(({ column }) => column)])
  if (!row) throw refuse(sink, { zh: '不存在', en: 'it does not exist' })
  const [oid, columns, ...rest] = row
  return { own: `${oid} ${columns}`, whole: JSON.stringify(rest) }
}
