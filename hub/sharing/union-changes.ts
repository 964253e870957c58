/**
 * Changes of all adopters of a standard since a position. Each source has its own order, and there is none between sources: the answer goes
 * through them in turn, and its `next` holds a place of each.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { Type, type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import type { Value } from '../../protocol/value.ts'
import { readChanges, trimmed, type Change, type ChangesDeps } from './changes.ts'
import { wrong } from './filters.ts'
import type { SharedItem } from './share.ts'
import type { Member, Union } from './unions.ts'

export interface UnionChanges {
  changes: (Change & { source: string })[]
  next: string
  complete: boolean
}

/** Where a copy stands in each source, by resource; and the source that was read last, so that the next answer begins behind it. */
const Places = Type.Object({
  standard: Type.String(),
  places: Type.Record(Type.String(), Type.String({ maxLength: 60 })),
  last: Type.Optional(Type.String()),
})
type Places = Static<typeof Places>
const placesShape = Compile(Places)
/** Bytes that the places of all sources may unfold to. */
const mostBytes = 1 << 20

/**
 * At most about `limit` changes. Without `after` from the beginning of every source; a source that joined since begins at its own beginning.
 * Throws QZ-DATA-FILTER where `after` is no place, QZ-DATA-TRIMMED where nothing goes on from there in one of the sources, or one of them is
 * gone: the copy is to be made anew.
 */
export async function readUnionChanges(
  deps: ChangesDeps,
  union: Union,
  { after, limit, select }: { after: string | undefined; limit: number; select: readonly SharedItem[] },
): Promise<UnionChanges> {
  const { places, last }: Omit<Places, 'standard'> = after === undefined ? { places: {} } : placesOf(union, after)
  const gone = Object.keys(places).find((resource) => !union.members.some(({ share }) => share.resource === resource))
  if (gone !== undefined) throw trimmed(after!, { zh: `来源资源 ${gone} 已不在其中`, en: `resource ${gone} is no source of it any more` })
  const reached: Record<string, string> = { ...places }
  const changes: UnionChanges['changes'] = []
  let complete = true
  let read = last
  for (const member of inTurn(union.members, last)) {
    const { source, share } = member
    if (changes.length >= limit) {
      complete = false
      break
    }
    const own = select.flatMap(({ id }) => member.items.get(id) ?? [])
    const found = await readChanges(deps, share, { after: places[share.resource], limit: limit - changes.length, select: own })
    for (const { op, values } of found.changes)
      changes.push({ source, op, values: valuesIn(union, member, { op, values }, { own, select }) })
    reached[share.resource] = found.next
    complete &&= found.complete
    read = source
  }
  return { changes, next: showPlaces({ standard: union.standard, places: reached, ...(read !== undefined && { last: read }) }), complete }
}

/** Those behind the one that was read last come first: a source with many changes holds up no other. */
function inTurn(members: readonly Member[], last: string | undefined): Member[] {
  const at = members.findIndex(({ source }) => source === last) + 1
  return [...members.slice(at), ...members.slice(0, at)]
}

/** What a source tells, in the order of the union's items, or of its keys; null where the source does not show an item. */
function valuesIn(
  { items, keys }: Union,
  { source, share }: Member,
  { op, values }: Change,
  { own, select }: { own: readonly SharedItem[]; select: readonly SharedItem[] },
): Value[] {
  const [told, wanted] = op === 'upsert' ? [own, select] : [share.keys, keys]
  return wanted.map((item) => (item === items[0] ? source : (values[told.findIndex(({ id }) => id === item.id)] ?? null)))
}

function showPlaces(places: Places): string {
  return deflateRawSync(JSON.stringify(places)).toString('base64url')
}

function placesOf({ standard }: Union, after: string): Places {
  try {
    const places: unknown = JSON.parse(inflateRawSync(Buffer.from(after, 'base64url'), { maxOutputLength: mostBytes }).toString())
    if (placesShape.Check(places) && places.standard === standard) return places
  } catch {
    // Nothing that an answer gave.
  }
  throw wrong('after', { zh: '须为上次得到的 next', en: 'it must be the next of the answer before' })
}
