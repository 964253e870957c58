import { Type, type Static } from 'typebox'
import { QianzhiError } from './errors.ts'
import { identifierKinds } from './identifiers.ts'
import type { LocalizedText } from './localized.ts'
import { keyTypes, valueTypes } from './value.ts'

/** ASCII identifier of a column or table in delivered databases: at most 30 bytes, so that every engine takes it. */
export const identifierPattern = '^[a-z][a-z0-9_]{0,29}$'
export const codePattern = '^[a-z0-9][a-z0-9._-]{0,63}$'

/** Openness of an item (regulation Art. 5): internal 对内公开, public 对外公开, closed 不公开. */
export const Openness = Type.Enum(['internal', 'public', 'closed'])
export type Openness = Static<typeof Openness>

/** What an item of a resource says of its subject (Art. 6): the mandatory items of enterprises, persons, licences … whatever their columns are called. */
export const subjectRoles = [
  'institution-name',
  'registration-number',
  'social-registration-number',
  'organisation-code',
  'uscc',
  'approval-number',
  'person-name',
  'certificate-type',
  'certificate-number',
  'implementing-agency',
  'handled-at',
  'matter',
  'issuing-authority',
  'issued-at',
  'valid-until',
] as const
export type SubjectRole = (typeof subjectRoles)[number]

/**
 * A check of an identifier's check characters, made at the provider's agent: `reject` sets the row aside, `warn` counts it. With
 * `when`, only in rows whose item has one of these values: an identity number where the certificate is an identity card.
 */
export const ItemCheck = Type.Object(
  {
    kind: Type.Enum([...identifierKinds]),
    on: Type.Enum(['warn', 'reject']),
    when: Type.Optional(
      Type.Object(
        {
          item: Type.String({ pattern: identifierPattern }),
          equals: Type.Array(Type.String({ maxLength: 200 }), { minItems: 1, maxItems: 50 }),
        },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
)
export type ItemCheck = Static<typeof ItemCheck>

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
    check: Type.Optional(ItemCheck),
    role: Type.Optional(Type.Enum([...subjectRoles])),
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

/** Something that is wrong with a schema. `item` is the id of the item concerned. */
export interface SchemaFault extends LocalizedText {
  item: string | null
}

/** What TypeBox cannot say. Throws QZ-SCHEMA naming the first thing that is wrong. */
export function checkSchema(schema: Schema): Schema {
  const [fault] = schemaFaults(schema)
  if (fault) throw new QianzhiError('QZ-SCHEMA', { reason: { zh: fault.zh, en: fault.en } })
  return schema
}

/** Everything that is wrong with a schema of the right shape. */
export function schemaFaults(schema: Pick<Schema, 'items'>): SchemaFault[] {
  const faults: SchemaFault[] = []
  for (const field of ['id', 'name'] as const) {
    const seen = new Set<string>()
    for (const item of schema.items) {
      if (seen.has(item[field]))
        faults.push({ item: item.id, zh: `${field} ${item[field]} 重复`, en: `${field} ${item[field]} is used twice` })
      seen.add(item[field])
    }
  }
  if (keyItems(schema).length === 0) faults.push({ item: null, zh: '没有主键信息项', en: 'no item is marked key' })
  for (const item of schema.items) {
    const fail: Fail = (zh, en) => void faults.push({ item: item.id, zh: `信息项 ${item.id}：${zh}`, en: `item ${item.id}: ${en}` })
    checkItem(item, fail)
    checkCondition(schema, item, fail)
  }
  return faults
}

type Fail = (zh: string, en: string) => void

/** What a check depends on must be read where it is made: the agent does not read closed items unless the provider stores them. */
function checkCondition(schema: Pick<Schema, 'items'>, { id, type, openness, check }: Item, fail: Fail): void {
  if (!check) return
  if (type !== 'text') fail('只有文本可以校验', 'only text has a check')
  if (!check.when) return
  const condition = itemById(schema, check.when.item)
  if (!condition || condition.id === id) {
    fail(`校验条件 ${check.when.item} 不是其他信息项`, `its check depends on ${check.when.item}, which is no other item`)
  } else if (condition.openness === 'closed' && openness !== 'closed') {
    fail(`校验条件 ${condition.id} 不公开`, `its check depends on ${condition.id}, which is closed`)
  }
}

function checkItem(item: Item, fail: Fail): void {
  if (item.name.startsWith('qz_')) {
    fail(`列名 ${item.name}：qz_ 保留给落地时增加的列`, `name ${item.name}: qz_ is reserved for the columns that delivery adds`)
  }
  if (item.length !== undefined && item.type !== 'text') fail('只有文本有长度', 'only text has a length')
  if (item.type === 'decimal') {
    if (item.precision === undefined) fail('小数须有精度', 'a decimal needs precision')
    else if ((item.scale ?? 0) > item.precision) fail('小数位数超过精度', 'scale is over precision')
  } else if (item.precision !== undefined || item.scale !== undefined) {
    fail('只有小数有精度和小数位数', 'only decimal has precision and scale')
  }
  if (item.key) checkKeyItem(item, fail)
}

function checkKeyItem({ type, openness, length }: Item, fail: Fail): void {
  if (!keyTypes.includes(type)) fail(`${type} 不能作主键`, `${type} cannot be a key`)
  if (openness === 'closed') fail('主键不能不公开，请登记代理主键', 'a key cannot be closed; register a surrogate key')
  if (type === 'text' && (length === undefined || length > longestTextKey)) {
    fail(`文本主键须有长度，最长 ${longestTextKey}`, `a text key needs a length of at most ${longestTextKey}`)
  }
}

/** Which items a grant may carry now: the granted ones that are not closed, and always the key. In schema order. */
export function deliverableItems(schema: Schema, granted: readonly string[]): Item[] {
  return schema.items.filter((item) => item.openness !== 'closed' && (item.key || granted.includes(item.id)))
}
