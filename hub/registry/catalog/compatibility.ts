import { isDeepStrictEqual } from 'node:util'
import { QianzhiError } from '../../../protocol/errors.ts'
import { itemById, type Item, type Schema } from '../../../protocol/schema.ts'
import { suppliedItems } from '../../records/supply.ts'

/** A schema as it is handed in: the hub numbers the versions. */
export type Draft = Omit<Schema, 'version'>

/** What a receiver cannot just go on with. `items`: whose grants it touches; null: every grant. */
export interface Incompatibility {
  items: string[] | null
  zh: string
  en: string
  /** No version may do this: another type is another item. */
  never?: true
}

type Form = Pick<Schema, 'table' | 'items'>

/**
 * A resource's form may grow under its receivers: items may be added that are not required, texts may get longer; titles, checks and
 * openness are free, and so are labels and roles that say the same in other words (`sameMeaning`: ids of their items). Everything else is
 * listed here.
 */
export function incompatibilities(before: Form, after: Form, sameMeaning: readonly string[] | 'all' = 'all'): Incompatibility[] {
  const found: Incompatibility[] = []
  if (before.table !== after.table) {
    found.push({
      items: null,
      zh: `表名 ${before.table} 改为 ${after.table}`,
      en: `table ${before.table} cannot be renamed: ${after.table}`,
    })
  }
  for (const item of before.items) found.push(...changeOf(item, itemById(after, item.id)))
  for (const item of before.items) {
    const now = itemById(after, item.id)
    if (now && sameMeaning !== 'all' && !sameMeaning.includes(item.id)) found.push(...meaningOf(item, now))
  }
  for (const { id, key, required } of after.items) {
    if (itemById(before, id)) continue
    if (key) found.push({ items: null, zh: `主键增加信息项 ${id}`, en: `the new item ${id} cannot be key` })
    else if (required) found.push({ items: [id], zh: `新增必填信息项 ${id}`, en: `the new item ${id} cannot be required` })
  }
  return found
}

function changeOf(before: Item, after: Item | undefined): Incompatibility[] {
  const { id, key } = before
  const items = key || after?.key ? null : [id]
  if (!after) return [{ items, zh: `信息项 ${id} 已删除`, en: `item ${id} cannot be removed` }]
  if (before.type !== after.type) {
    return [{ items, zh: `信息项 ${id} 的类型不能改，请新设信息项`, en: `item ${id} cannot change its type: make a new item`, never: true }]
  }
  return sameForm(before, after) ? [] : [{ items, zh: `信息项 ${id} 的形式已改`, en: `of item ${id} only a text may get longer` }]
}

/** Another label or role may be another meaning: who receives the item decides (Art. 7), unless the reviewer says that it is not. */
function meaningOf(before: Item, after: Item): Incompatibility[] {
  const { id, key } = before
  if (before.label === after.label && before.role === after.role) return []
  const items = key ? null : [id]
  const said = ({ label, role }: Item) => (role === undefined ? label : `${label} (${role})`)
  return [
    { items, zh: `信息项 ${id} 由“${said(before)}”改为“${said(after)}”`, en: `item ${id} says ${said(after)}, and said ${said(before)}` },
  ]
}

function sameForm(before: Item, after: Item): boolean {
  const form = ({ name, precision, scale, key = false, required = false }: Item) => ({ name, precision, scale, key, required })
  const grown =
    before.length === after.length || (before.length !== undefined && (after.length === undefined || after.length > before.length))
  return grown && isDeepStrictEqual(form(before), form(after))
}

/** Whether an incompatible version touches a grant of these items. */
export function touches(found: readonly Incompatibility[], granted: readonly string[]): boolean {
  return found.some(({ items }) => items === null || items.some((id) => granted.includes(id)))
}

/** Throws QZ-SCHEMA naming the first thing that is not compatible. */
export function checkCompatible(before: Schema, after: Draft): void {
  const [first] = incompatibilities(before, after)
  if (!first) return
  throw new QianzhiError('QZ-SCHEMA', {
    reason: { zh: `与现行版本 ${before.version} 不兼容：${first.zh}`, en: `not compatible with version ${before.version}: ${first.en}` },
  })
}

/** Whether what travels in the stream differs, so that a new version (which begins with a snapshot) is needed. */
export function travelsDifferently(before: Schema, storedBefore: readonly string[], after: Draft, storedAfter: readonly string[]): boolean {
  if (incompatibilities(before, after).length > 0) return true
  const form = (schema: Pick<Schema, 'items'>, stored: readonly string[]) => {
    const supplied = suppliedItems(schema, stored)
    return schema.items
      .filter((item) => supplied.includes(item.id))
      .map(({ id, length }) => `${id} ${length ?? ''}`)
      .toSorted()
  }
  return !isDeepStrictEqual(form(before, storedBefore), form(after, storedAfter))
}
