import { Type, type Static } from 'typebox'
import { QianzhiError } from './errors.ts'
import { keyTypes, valueTypes } from './value.ts'

/** ASCII identifier of a column or table in delivered databases: at most 30 bytes, so that every engine takes it. */
export const identifierPattern = '^[a-z][a-z0-9_]{0,29}$'
export const codePattern = '^[a-z0-9][a-z0-9._-]{0,63}$'

/** Openness of an item (regulation Art. 5): internal 对内公开, public 对外公开, closed 不公开. */
export const Openness = Type.Enum(['internal', 'public', 'closed'])
export type Openness = Static<typeof Openness>

/** One item 信息项: a column of a resource. `id` never changes and names the item's block in batches; `name` is its column when delivered. */
export const Item = Type.Object(
  {
    id: Type.String({ pattern: identifierPattern }),
    name: Type.String({ pattern: identifierPattern }),
    label: Type.String({ minLength: 1, maxLength: 200 }),
    type: Type.Enum([...valueTypes]),
    length: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000_000 })),
    precision: Type.Optional(Type.Integer({ minimum: 1, maximum: 65 })),
    scale: Type.Optional(Type.Integer({ minimum: 0, maximum: 38 })),
    key: Type.Optional(Type.Boolean()),
    required: Type.Optional(Type.Boolean()),
    openness: Openness,
  },
  { additionalProperties: false },
)
export type Item = Static<typeof Item>

/** A published version of a resource 政务信息资源: what travels in its stream. */
export const Schema = Type.Object(
  {
    resource: Type.String({ pattern: codePattern }),
    version: Type.Integer({ minimum: 1 }),
    title: Type.String({ minLength: 1, maxLength: 200 }),
    agency: Type.String({ pattern: codePattern }),
    /** Name of the delivered table. */
    table: Type.String({ pattern: identifierPattern }),
    items: Type.Array(Item, { minItems: 1, maxItems: 400 }),
  },
  { additionalProperties: false },
)
export type Schema = Static<typeof Schema>

/** Longest text key in characters: what every engine can index (MariaDB: 3,072 bytes in all). */
export const longestTextKey = 190

export function keyItems(schema: Pick<Schema, 'items'>): Item[] {
  return schema.items.filter((item) => item.key)
}

export function itemById(schema: Pick<Schema, 'items'>, id: string): Item | undefined {
  return schema.items.find((item) => item.id === id)
}

/** What TypeBox cannot say. Throws QZ-SCHEMA naming the first thing that is wrong. */
export function checkSchema(schema: Schema): Schema {
  const fail = (reason: string): never => {
    throw new QianzhiError('QZ-SCHEMA', { reason })
  }
  for (const field of ['id', 'name'] as const) {
    const seen = new Set<string>()
    for (const item of schema.items) {
      if (seen.has(item[field])) fail(`${field} ${item[field]} is used twice`)
      seen.add(item[field])
    }
  }
  if (keyItems(schema).length === 0) fail('no item is marked key')
  for (const item of schema.items) checkItem(item, fail)
  return schema
}

function checkItem(item: Item, fail: (reason: string) => never): void {
  if (item.name.startsWith('qz_')) fail(`name ${item.name}: qz_ is reserved for the columns that delivery adds`)
  if (item.length !== undefined && item.type !== 'text') fail(`item ${item.id}: only text has a length`)
  if (item.type === 'decimal') {
    if (item.precision === undefined) fail(`item ${item.id}: a decimal needs precision`)
    if ((item.scale ?? 0) > item.precision) fail(`item ${item.id}: scale is over precision`)
  } else if (item.precision !== undefined || item.scale !== undefined) fail(`item ${item.id}: only decimal has precision and scale`)
  if (!item.key) return
  if (!keyTypes.includes(item.type)) fail(`item ${item.id}: ${item.type} cannot be a key`)
  if (item.openness === 'closed') fail(`item ${item.id}: a key cannot be closed; register a surrogate key`)
  if (item.type === 'text' && (item.length === undefined || item.length > longestTextKey)) {
    fail(`item ${item.id}: a text key needs a length of at most ${longestTextKey}`)
  }
}

/** Which items a grant may carry now: the granted ones that are not closed, and always the key. In schema order. */
export function deliverableItems(schema: Schema, granted: readonly string[]): Item[] {
  return schema.items.filter((item) => item.openness !== 'closed' && (item.key || granted.includes(item.id)))
}
