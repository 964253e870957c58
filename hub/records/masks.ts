/** Masks 脱敏 as grants hold them. */
import { hkdfSync, type KeyObject } from 'node:crypto'
import { maskFault, type Mask, type Masks } from '../../protocol/masks.ts'
import { deliverableItems, itemById, type Schema } from '../../protocol/schema.ts'

/** As a grant holds them: each side sets its own. */
export interface GrantMasks {
  provider: Masks
  office: Masks
}

/** What is in force: the provider's word stands before the office's. */
export function masksInForce({ provider, office }: GrantMasks): Masks {
  return { ...office, ...provider }
}

/** Masks of what a route delivers; empty where there is nothing to be masked, as policies have it. */
export function masksOnRoute(schema: Schema, granted: readonly string[], masks: GrantMasks): { masks?: Masks } {
  const inForce = masksInForce(masks)
  const masked = deliverableItems(schema, granted).flatMap(({ id }) => (inForce[id] ? [[id, inForce[id]] as const] : []))
  return masked.length === 0 ? {} : { masks: Object.fromEntries(masked) }
}

/** The first item that is to be masked and cannot be any more: a later version made it a key. */
export function unmaskable(schema: Schema, masks: Masks): string | undefined {
  return Object.keys(masks).find((id) => {
    const item = itemById(schema, id)
    return item && maskFault(item, masks[id]!) !== undefined
  })
}

/** What is masked by several rights together: an item that one of them shows whole is shown. */
export function commonMasks(rights: readonly { items: readonly string[]; masks: GrantMasks }[]): Masks {
  const common: Record<string, Mask> = {}
  for (const id of new Set(rights.flatMap(({ items }) => items))) {
    const masks = rights.flatMap((right) => (right.items.includes(id) ? [masksInForce(right.masks)[id]] : []))
    if (masks.every((mask) => mask !== undefined)) common[id] = masks[0]!
  }
  return common
}

/** The secret of a grant, for what is hashed in it; all processes of a hub have the same. */
export function maskKeyOf(hubKey: KeyObject): (grant: string) => Buffer {
  const secret = hubKey.export({ type: 'pkcs8', format: 'der' })
  return (grant) => Buffer.from(hkdfSync('sha256', secret, '', `qianzhi mask ${grant}`, 32))
}
