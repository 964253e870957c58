/** Schemas of several tables that depend on one another, as agencies have them, for PostgreSQL and MariaDB alike. */
import type { Item } from '../../protocol/schema.ts'
import type { ResourceFile } from '../support/exchange.ts'

export type Engine = 'postgres' | 'mysql'

export interface Column {
  id: string
  type: 'text' | 'integer' | 'decimal' | 'date' | 'timestamp' | 'boolean'
  length?: number
  key?: boolean
  needed?: boolean
}

export interface Table {
  name: string
  columns: readonly Column[]
  /** Constraints, in SQL that both engines know. */
  rules: readonly string[]
}

const text = (id: string, length: number, more: Partial<Column> = {}): Column => ({ id, type: 'text', length, ...more })

/** The wide rows: every type again and again. */
const wideColumns = Array.from({ length: 36 }, (_, i): Column => {
  const type = (['text', 'integer', 'decimal', 'date', 'timestamp', 'boolean'] as const)[i % 6]!
  return type === 'text' ? text(`c${i}`, i === 0 ? 4000 : 200) : { id: `c${i}`, type }
})

/** In the order in which they can be filled. */
export const tables: readonly Table[] = [
  {
    name: 'persons',
    columns: [
      text('id_no', 18, { key: true }),
      text('name', 60, { needed: true }),
      text('phone', 20),
      { id: 'born', type: 'date' },
      text('note', 400),
    ],
    rules: ['unique (phone)'],
  },
  {
    name: 'orders',
    columns: [
      { id: 'region', type: 'integer', key: true },
      text('order_no', 20, { key: true }),
      text('person', 18),
      { id: 'seat', type: 'integer', needed: true },
      { id: 'amount', type: 'decimal' },
      { id: 'placed', type: 'timestamp', needed: true },
    ],
    rules: ['unique (region, seat)', 'foreign key (person) references persons (id_no)'],
  },
  {
    name: 'licences',
    columns: [
      text('licence_no', 30, { key: true }),
      text('holder', 60),
      text('uscc', 18, { needed: true }),
      { id: 'valid_until', type: 'date', needed: true },
      { id: 'active', type: 'boolean' },
    ],
    rules: ['unique (uscc)', 'unique (holder, valid_until)'],
  },
  {
    name: 'tree',
    columns: [text('code', 20, { key: true }), text('parent', 20), { id: 'place', type: 'integer', needed: true }, text('title', 200)],
    rules: ['unique (parent, place)', 'foreign key (parent) references tree (code)'],
  },
  { name: 'wide', columns: [{ id: 'id', type: 'integer', key: true }, ...wideColumns], rules: [] },
]

const types = {
  postgres: { integer: 'bigint', decimal: 'numeric(12,2)', date: 'date', timestamp: 'timestamp(6)', boolean: 'boolean' },
  mysql: { integer: 'bigint', decimal: 'decimal(12,2)', date: 'date', timestamp: 'datetime(6)', boolean: 'tinyint(1)' },
}

export function createTable({ name, columns, rules }: Table, engine: Engine, tablespace = ''): string {
  const lines = columns.map((column) => {
    const plain = column.type === 'text' ? `varchar(${column.length})` : types[engine][column.type]
    return `${column.id} ${plain}${column.key || column.needed ? ' not null' : ''}`
  })
  const keys = columns.filter(({ key }) => key).map(({ id }) => id)
  const end = engine === 'mysql' ? ' engine=InnoDB row_format=dynamic character set utf8mb4 collate utf8mb4_bin' : tablespace
  return `create table ${name} (${[...lines, `primary key (${keys.join(', ')})`, ...rules].join(', ')})${end}`
}

/** The same table as a resource; two engines supply it. */
export function resourceOf({ name, columns }: Table, engine: Engine, agency: string): ResourceFile {
  return {
    resource: `${name}_${engine}`,
    title: `${name} ${engine}`,
    agency,
    table: name,
    items: columns.map(({ id, type, length, key, needed }): Item => ({
      id,
      name: id,
      label: id,
      type,
      openness: 'internal',
      ...(length && { length }),
      ...(type === 'decimal' && { precision: 12, scale: 2 }),
      ...(key && { key: true }),
      ...((key || needed) && { required: true }),
    })),
  }
}
