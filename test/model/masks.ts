/** What masks leave of a value, reckoned once more: without the product, by other means. */
import { createHash } from 'node:crypto'

export type ModelMask = { kind: string; first?: number; last?: number }

/** `secret`: of the grant. */
export function modelMasked({ kind, first = 0, last = 0 }: ModelMask, value: string | null, secret: Buffer): string | null {
  if (value === null || kind === 'hide') return null
  if (kind === 'year') return value.split('-')[0]!
  if (kind === 'hash') return hmac(secret, value).slice(0, 32)
  if (kind === 'district') return upToFirst(value, ['区', '县', '旗', '镇', '乡', '街道'])
  const characters = Array.from(value)
  const shown = new Set<number>()
  if (first + last < characters.length) {
    for (let i = 0; i < first; i++) shown.add(i)
    for (let i = 1; i <= last; i++) shown.add(characters.length - i)
  } else if (characters.length > 1 && first > 0) shown.add(0)
  return characters.map((character, i) => (shown.has(i) ? character : '*')).join('')
}

function upToFirst(value: string, words: readonly string[]): string | null {
  const ends = words.flatMap((word) => (value.includes(word) ? [value.indexOf(word) + word.length] : []))
  return ends.length === 0 ? null : value.slice(0, Math.min(...ends))
}

/** RFC 2104 over SHA-256, hexadecimal. */
function hmac(secret: Buffer, text: string): string {
  const key = Buffer.alloc(64)
  if (secret.length > 64) throw new Error('a longer key is hashed first')
  secret.copy(key)
  const pad = (byte: number) => Buffer.from(key.map((one) => one ^ byte))
  const inner = createHash('sha256')
    .update(Buffer.concat([pad(0x36), Buffer.from(text)]))
    .digest()
  return createHash('sha256')
    .update(Buffer.concat([pad(0x5c), inner]))
    .digest('hex')
}
