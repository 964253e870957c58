/** Whether somebody has altered a delivered table under way: found before a batch is applied, by one quick look. */
import type { SinkTable } from '../../database.ts'
import type { Shape } from '../bookkeeping/sink-engine.ts'
import { readTable, sameName, unfit, type CatalogTable } from './catalog.ts'
import type { Session } from './connection.ts'
import { addedColumns } from './sql.ts'

type Place = Pick<CatalogTable, 'owner' | 'table'>

/** Times of the dictionary are whole seconds of the server's clock. */
export const ddlQuery = (owner: string, table: string): string =>
  `select to_char(o.object_id), to_char(o.last_ddl_time, 'YYYY-MM-DD HH24:MI:SS'),
  case when o.last_ddl_time < sysdate - 5 / 86400 then 1 else 0 end
from all_objects o where o.owner = ${owner} and o.object_name = ${table} and o.object_type = 'TABLE'`

async function ddlOf(session: Session, { owner, table }: Place): Promise<{ id: string; ddl: string | undefined }> {
  const binds = session.binds()
  const [row] = await session.rows(ddlQuery(binds.typed(owner, false), binds.typed(table, false)), binds)
  const [id, at, settled] = row ?? []
  return { id: String(id), ddl: Number(settled) === 1 ? `${String(id)} ${String(at)}` : undefined }
}

export class ShapeReader {
  readonly #session: Session
  /** Where the table of a shape lies. */
  readonly #places = new WeakMap<Shape, Place>()

  constructor(session: Session) {
    this.#session = session
  }

  /**
   * The table's identity and the columns that delivery fills, in the table's order; whatever else is not rows. An untouched table's columns and
   * keys are not read again. Throws QZ-SINK-TABLE where it is gone.
   */
  async read(sink: SinkTable, name: string, before: Shape | undefined): Promise<Shape> {
    const known = before && this.#places.get(before)
    if (before && known && (await ddlOf(this.#session, known)).ddl === before.whole) return before
    const catalog = await readTable(this.#session, name)
    if (!catalog) throw unfit(sink, { zh: '不存在', en: 'it does not exist' })
    const { id, ddl } = await ddlOf(this.#session, catalog)
    const shape = { own: JSON.stringify([id, filled(sink, catalog)]), whole: ddl ?? JSON.stringify([catalog.columns, catalog.keys]) }
    this.#places.set(shape, catalog)
    return shape
  }
}

function filled(sink: SinkTable, { columns }: CatalogTable): object[] {
  const ours = [...sink.columns, ...addedColumns(sink.deletes)]
  return columns.flatMap(({ nullable: _nullable, ...definition }) =>
    ours.some(({ column }) => sameName(column, definition.column)) ? [definition] : [],
  )
}
