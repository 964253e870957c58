import { isDeepStrictEqual } from 'node:util'
import { QianzhiError } from '../../protocol/errors.ts'
import { itemById, type Item, type Schema } from '../../protocol/schema.ts'

/** A schema as it is handed in: the hub numbers the versions. */
export type Draft = Omit<Schema, 'version'>

/**
 * A resource's form may grow, never change under its receivers: items may be added that are not required, texts may get longer;
 * titles, labels and openness are free. Throws QZ-SCHEMA naming the first thing that is not compatible.
 */
export function checkCompatible(before: Schema, after: Draft): void {
  const fail = (zh: string, en: string): never => {
    throw new QianzhiError('QZ-SCHEMA', {
      reason: `与现行版本 ${before.version} 不兼容:${zh} / not compatible with version ${before.version}: ${en}`,
    })
  }
  if (before.table !== after.table) fail(`表名 ${before.table} 不能改`, `table ${before.table} cannot be renamed`)
  for (const item of before.items) {
    const next = itemById(after, item.id)
    if (!next) fail(`信息项 ${item.id} 不能删除`, `item ${item.id} cannot be removed`)
    else if (!sameForm(item, next)) fail(`信息项 ${item.id} 只能加长文本`, `of item ${item.id} only a text may get longer`)
  }
  for (const item of after.items) {
    if (itemById(before, item.id)) continue
    if (item.required || item.key) fail(`新增信息项 ${item.id} 不能必填或作主键`, `the new item ${item.id} can be neither required nor key`)
  }
}

function sameForm(before: Item, after: Item): boolean {
  const form = ({ name, type, precision, scale, key = false, required = false }: Item) => ({ name, type, precision, scale, key, required })
  const grown =
    before.length === after.length || (before.length !== undefined && (after.length === undefined || after.length > before.length))
  return grown && isDeepStrictEqual(form(before), form(after))
}

/** Ids of the items whose data goes to the hub: all, less the closed ones that the provider does not store there (Art. 5). */
export function suppliedItems(schema: Pick<Schema, 'items'>, storedClosed: readonly string[]): string[] {
  return schema.items.filter((item) => item.openness !== 'closed' || storedClosed.includes(item.id)).map((item) => item.id)
}

/** Whether what travels in the stream differs, so that a new version (which begins with a snapshot) is needed. */
export function travelsDifferently(before: Schema, storedBefore: readonly string[], after: Draft, storedAfter: readonly string[]): boolean {
  const form = (schema: Pick<Schema, 'items'>, stored: readonly string[]) => {
    const supplied = suppliedItems(schema, stored)
    return schema.items
      .filter((item) => supplied.includes(item.id))
      .map(({ id, length }) => `${id} ${length ?? ''}`)
      .toSorted()
  }
  return !isDeepStrictEqual(form(before, storedBefore), form(after, storedAfter))
}
