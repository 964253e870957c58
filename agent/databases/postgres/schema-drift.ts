/** Whether somebody has altered a delivered table under way: found before a batch is applied, one look at the catalog each time. */
import type { Part, SinkTable } from '../../database.ts'
import type { Connection } from './connection.ts'
import { checkTable } from './shape.ts'
import type { OpenSink } from './sink.ts'
import { findTable, refuse, shadowTable } from './table.ts'
import { quoteTable } from './sql.ts'

/** What a part's table looked like when it was last looked at. */
export interface Shape {
  /** The table itself and the delivered columns: where these change, values may be lost. */
  own: string
  whole: string
}

const shapeQuery = `
  select c.oid,
    (select json_agg(json_build_array(a.attname, a.attnum, a.atttypid, a.atttypmod, a.attcollation) order by a.attnum)::text
      from pg_attribute a where a.attrelid = c.oid and a.attname = any($2) and not a.attisdropped),
    (select md5(string_agg(concat_ws(' ', a.attnum, a.attname, a.attnotnull, a.atthasdef, a.attgenerated), ',' order by a.attnum))
      from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
    (select string_agg(concat_ws(' ', i.indexrelid, i.indisvalid), ',' order by i.indexrelid) from pg_index i where i.indrelid = c.oid and i.indisunique)
  from pg_class c where c.oid = to_regclass($1)`

/**
 * Looks again where anything but rows has changed. Throws QZ-SINK-TABLE where the table cannot be written any more as it should; also
 * where it, or a delivered column, is another one now or of another type: what it held may be gone, and the route must fill it anew.
 */
export async function requireUnaltered(connection: Connection, sink: SinkTable, part: Part, open: OpenSink): Promise<void> {
  const name = part === 'live' ? sink.table : shadowTable(sink.route)
  const [row] = await connection.prepared(shapeQuery, [quoteTable(name), sink.columns.map(({ column }) => column)])
  if (!row) throw refuse(sink, 'it does not exist')
  const [oid, columns, ...rest] = row
  const shape = { own: `${oid} ${columns}`, whole: JSON.stringify(rest) }
  const before = open.shape
  if (before?.own === shape.own && before.whole === shape.whole) return
  open.table = checkTable(sink, (await findTable(connection, name))!)
  if (before && before.own !== shape.own)
    throw refuse(sink, '表或其列已被更换,将重新填充 / it or its columns were exchanged by hand: it is filled anew')
  open.shape = shape
}
