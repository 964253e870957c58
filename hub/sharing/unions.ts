/** All adopters of one data standard as one resource: its key is the source, the provider's agency code, with the standard's own key. */
import { QianzhiError } from '../../protocol/errors.ts'
import type { CatalogItem } from '../registry/catalog/content.ts'
import type { StandardForm } from '../registry/catalog/standard-form.ts'
import type { Query } from '../store/store.ts'
import { isSearchable } from './filters.ts'
import { openShare, type Asked, type Share, type SharedItem } from './share.ts'

/** What one adopter's resource adds to it. */
export interface Member {
  /** Code of its agency. */
  source: string
  share: Share
  /** Its items, as its right shows them, by id; what is not here has no values of it. */
  items: ReadonlyMap<string, SharedItem>
  /** Ids of the union's items that it does not show. */
  absent: readonly string[]
}

export interface Union {
  /** Names the right: cursors and tags of one are worth nothing for another. */
  id: string
  standard: string
  title: string
  /** The source first, then in the order of the standard what any member shows. None has a mask: each member has its own. */
  items: readonly SharedItem[]
  keys: readonly SharedItem[]
  /** In the order of their sources. */
  members: readonly Member[]
  /** Resources that are granted and cannot be shown here: not ready, with another key, or a second one of its agency. */
  leftOut: readonly string[]
}

/** Of the item that tells a row's source; where a standard has an item of this id itself, it is called as in delivered tables. */
const [sourceId, otherSourceId] = ['source', 'qz_source']

/** What stands for a missing table for now, or one that there will never be: the others are shown. */
const passing = new Set(['QZ-DATA-PREPARING', 'QZ-DATA-RELAYED', 'QZ-DATA-ENDED'])

/**
 * Opens all that is asked, one right for each resource, in the order of their codes. An item that one member does not show, or has with
 * another type, has no value in its rows. Throws QZ-NOT-FOUND where the standard is unknown, and what opening the only member throws.
 */
export async function openUnion(query: Query, id: string, standard: string, asked: readonly Asked[]): Promise<Union | undefined> {
  const [found] = await query<{ form: StandardForm }>('select form from standard where code = $1 and form is not null', [standard])
  if (!found || asked.length === 0) return undefined
  const fixed: readonly CatalogItem[] = found.form.items
  const shares: Share[] = []
  const leftOut: string[] = []
  let failure: unknown
  for (const one of asked) {
    try {
      const share = await openShare(query, one)
      if (hasKeys(share, fixed) && !shares.some(({ agency }) => agency === share.agency)) shares.push(share)
      else leftOut.push(one.resource)
    } catch (error) {
      if (!(error instanceof QianzhiError && passing.has(error.code))) throw error
      failure ??= error
      leftOut.push(one.resource)
    }
  }
  if (shares.length === 0 && failure) throw failure
  const bySource = shares.toSorted((a, b) => Buffer.compare(Buffer.from(a.agency), Buffer.from(b.agency)))
  const shown = bySource.map((share) => shownItems(share, fixed))
  const items = fixed.flatMap((item) => {
    const showing = shown.flatMap((items) => items.get(item.id) ?? [])
    return showing.length > 0 ? [{ ...item, searchable: showing.every(isSearchable) }] : []
  })
  const source: SharedItem = {
    id: fixed.some((item) => item.id === sourceId) ? otherSourceId : sourceId,
    name: otherSourceId,
    label: '来源单位',
    type: 'text',
    length: 64,
    key: true,
    openness: 'internal',
  }
  const members = bySource.map((share, i): Member => {
    const absent = items.flatMap((item) => (shown[i]!.has(item.id) ? [] : [item.id]))
    return { source: share.agency, share, items: shown[i]!, absent }
  })
  const all = [source, ...items]
  return { id, standard, title: found.form.title, items: all, keys: all.filter(({ key }) => key), members, leftOut }
}

function hasKeys({ keys }: Share, fixed: readonly CatalogItem[]): boolean {
  const wanted = fixed.filter(({ key }) => key)
  return wanted.length === keys.length && wanted.every(({ id, type }) => keys.some((key) => key.id === id && key.type === type))
}

function shownItems({ items }: Share, fixed: readonly CatalogItem[]): Map<string, SharedItem> {
  return new Map(
    items.flatMap((item) => (fixed.some(({ id, type }) => id === item.id && type === item.type) ? [[item.id, item] as const] : [])),
  )
}

/** Whose data it is, as of when, and what each source does not show. */
export function sourcesOf({ members }: Pick<Union, 'members'>) {
  return members.map(({ share: { agency, agencyName, resource, title, table }, absent }) => {
    return { agency, agencyName, resource, title, asOf: table.asOf.toISOString(), absent }
  })
}
