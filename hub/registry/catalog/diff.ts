import { isDeepStrictEqual } from 'node:util'
import type { CatalogItem, DraftContent } from './content.ts'

export interface FieldChange {
  field: string
  before: unknown
  after: unknown
}

/** What two versions of a catalog entry differ in, field by field. */
export interface CatalogDiff {
  metadata: FieldChange[]
  added: Partial<CatalogItem>[]
  removed: Partial<CatalogItem>[]
  changed: { item: string; fields: FieldChange[] }[]
}

export function diffContent(before: DraftContent, after: DraftContent): CatalogDiff {
  const { items: itemsBefore = [], ...metadataBefore } = before
  const { items: itemsAfter = [], ...metadataAfter } = after
  const find = (items: Partial<CatalogItem>[], wanted: Partial<CatalogItem>) => items.find(({ id }) => id === wanted.id)
  const changed = itemsBefore.flatMap((item) => {
    const next = find(itemsAfter, item)
    const fields = next ? fieldChanges(item, next) : []
    return fields.length > 0 ? [{ item: item.id ?? '', fields }] : []
  })
  return {
    metadata: fieldChanges(metadataBefore, metadataAfter),
    added: itemsAfter.filter((item) => !find(itemsBefore, item)),
    removed: itemsBefore.filter((item) => !find(itemsAfter, item)),
    changed,
  }
}

function fieldChanges(before: object, after: object): FieldChange[] {
  const [one, other] = [new Map(Object.entries(before)), new Map(Object.entries(after))]
  const fields = [...new Set([...one.keys(), ...other.keys()])]
  return fields
    .map((field) => ({ field, before: one.get(field) ?? null, after: other.get(field) ?? null }))
    .filter(({ before, after }) => !isDeepStrictEqual(before, after))
}
