/** The bookkeeper's tables at a receiver: where each route stands, and the keys whose rows could not be written. */
import type { BookColumn, BookDialect, BookTable, ColumnKind } from './session.ts'

/**
 * A route has a `live` part and, while it is filled anew, a `shadow`. `items` holds the local column of each item by its id, `key_items` the
 * items of the key, `mapping` what the mappings say; `former` the tables that it filled before; `removal`: null, `begun`, `done`. Long texts stand last: some drivers want them so.
 */
export function positionTable({ positions, source, resource, at }: BookDialect): BookTable {
  return {
    name: positions,
    columns: [
      { name: 'route', kind: { code: 128 }, notNull: true },
      { name: 'part', kind: { code: 8 }, notNull: true },
      { name: 'epoch', kind: 'integer' },
      { name: 'seq', kind: 'integer' },
      { name: 'hash', kind: { code: 64 } },
      { name: 'began_epoch', kind: 'integer' },
      { name: 'began_seq', kind: 'integer' },
      { name: 'complete', kind: 'flag', zero: true },
      { name: 'schema_version', kind: 'integer', notNull: true },
      { name: at, kind: 'time' },
      { name: 'table_name', kind: { text: 260 } },
      { name: source, kind: { code: 64 } },
      { name: resource, kind: { code: 64 } },
      { name: 'removal', kind: { code: 8 } },
      { name: 'removed', kind: 'integer', zero: true },
      { name: 'items', kind: 'long', notNull: true },
      { name: 'key_items', kind: 'long' },
      { name: 'former', kind: 'long' },
      { name: 'mapping', kind: 'long' },
    ],
    key: ['route', 'part'],
    comment: '前置：交换路由位置',
  }
}

/** `position` is that of the batch; `op` and `kept` are the row's operation and its values by item where the server refused it. */
export function quarantineTable({ quarantine, at }: BookDialect): BookTable {
  return {
    name: quarantine,
    columns: [
      { name: 'route', kind: { code: 128 }, notNull: true },
      { name: 'part', kind: { code: 8 }, notNull: true },
      { name: 'key_hash', kind: { code: 64 }, notNull: true },
      { name: 'code', kind: { code: 40 }, notNull: true },
      { name: 'item', kind: { code: 64 } },
      { name: 'position', kind: 'integer', notNull: true },
      { name: 'op', kind: { code: 1 } },
      { name: at, kind: 'time', notNull: true },
      { name: 'reason', kind: { text: 1000 } },
      { name: 'key_text', kind: 'long', notNull: true },
      { name: 'kept', kind: 'long' },
    ],
    key: ['route', 'part', 'key_hash'],
    comment: '前置：未能落地的行',
  }
}

/** Both, in the order in which they are made. */
export function bookTables(dialect: BookDialect): BookTable[] {
  return [positionTable(dialect), quarantineTable(dialect)]
}

/** Definitions of columns. `typeOf` gives the engine's types. */
export function columnLines(
  columns: readonly BookColumn[],
  typeOf: (kind: ColumnKind) => string,
  { no }: Pick<BookDialect, 'no'>,
): string[] {
  return columns.map(({ name, kind, notNull, zero }) => {
    const rest = zero ? `default ${kind === 'flag' ? no : '0'} not null` : notNull ? 'not null' : 'null'
    return `${name} ${typeOf(kind)} ${rest}`
  })
}

/** Columns that a table of an older agent lacks. */
export function missingColumns({ columns }: BookTable, there: readonly string[]): BookColumn[] {
  const names = new Set(there.map((name) => name.toLowerCase()))
  return columns.filter(({ name }) => !names.has(name.toLowerCase()))
}
