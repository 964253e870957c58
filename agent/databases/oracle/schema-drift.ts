/** Whether somebody has altered a delivered table under way: found before a batch is applied, by one quick look. */
import { addedColumns } from './sql.ts'
import type { ApplyTable } from './sql-rows.ts'
import type { Part, SinkTable } from '../../database.ts'
import { readTable, sameName, unfit, type CatalogTable } from './catalog.ts'
import type { Session } from './connection.ts'
import { checkedTable } from './shape.ts'
import { partTable } from './state.ts'

/** What a part's table looked like when it was last looked at. */
export interface Look {
  catalog: Pick<CatalogTable, 'owner' | 'table'>
  /** Its number, and when it was last altered; undefined where that is so lately that another change could have the same time. */
  ddl: string | undefined
  /** The table itself and the columns that delivery fills, in the table's order: where these change, values may be lost. */
  own: string
}

/** Times of the dictionary are whole seconds of the server's clock. */
export const ddlQuery = (owner: string, table: string): string =>
  `select to_char(o.object_id), to_char(o.last_ddl_time, 'YYYY-MM-DD HH24:MI:SS'),
  case when o.last_ddl_time < sysdate - 5 / 86400 then 1 else 0 end
from all_objects o where o.owner = ${owner} and o.object_name = ${table} and o.object_type = 'TABLE'`

async function ddlOf(session: Session, { owner, table }: Look['catalog']): Promise<{ id: string; ddl: string | undefined }> {
  const binds = session.binds()
  const [row] = await session.rows(ddlQuery(binds.typed(owner, false), binds.typed(table, false)), binds)
  const [id, at, settled] = row ?? []
  return { id: String(id), ddl: Number(settled) === 1 ? `${String(id)} ${String(at)}` : undefined }
}

/** The dictionary's columns and keys need not be read again. */
export async function isUntouched(session: Session, { catalog, ddl }: Look): Promise<boolean> {
  return ddl !== undefined && (await ddlOf(session, catalog)).ddl === ddl
}

/**
 * Throws QZ-SINK-TABLE where the table cannot be written any more as it should; also where it, or a delivered column, is another one now
 * than `before` or of another type: what it held may be gone, and the route must fill it anew.
 */
export async function lookAgain(
  session: Session,
  sink: SinkTable,
  part: Part,
  before: Look | undefined,
): Promise<{ table: ApplyTable; look: Look }> {
  const catalog = await readTable(session, partTable(session, sink, part))
  if (!catalog) throw unfit(sink, '不存在 / it does not exist')
  const table = checkedTable(sink, catalog)
  const { id, ddl } = await ddlOf(session, catalog)
  const look = { catalog, ddl, own: JSON.stringify([id, filled(sink, catalog)]) }
  if (before && before.own !== look.own)
    throw unfit(sink, '表或其列已被更换,将重新填充 / it or its columns were exchanged by hand: it is filled anew')
  return { table, look }
}

function filled(sink: SinkTable, { columns }: CatalogTable): object[] {
  const ours = [...sink.columns, ...addedColumns(sink.deletes)]
  return columns.flatMap(({ nullable: _nullable, ...definition }) =>
    ours.some(({ column }) => sameName(column, definition.column)) ? [definition] : [],
  )
}
