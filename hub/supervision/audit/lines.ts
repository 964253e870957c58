import { Type, type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { Checkpoint } from '../../../protocol/checkpoint.ts'
import { signStatement, verifyStatement, type SigningKey } from '../../../protocol/signature.ts'
import { entryHash } from './entry.ts'

/**
 * The lines of an export. Of an entry: `{"hash":"…","entry":{…}}`, where the hash is the SHA-256 of the bytes of the entry as they stand.
 * The last one: `{"end":"…","key":"…"}`, a `qz-audit` statement of the hub and the public key that signed it. Each ends with a line feed.
 */
export const AuditEnd = Type.Object({
  /** First and last entry of this export, and the hash before the first. */
  from: Type.Integer({ minimum: 1 }),
  to: Type.Integer({ minimum: 1 }),
  prev: Type.Union([Type.String(), Type.Null()]),
  hash: Type.String(),
  count: Type.Integer({ minimum: 1 }),
  /** Of the whole chain, when it was looked at at `time`. */
  head: Checkpoint,
  time: Type.String(),
})
export type AuditEnd = Static<typeof AuditEnd>
const endShape = Compile(AuditEnd)

export function entryLine(text: string, hash: string): string {
  return `{"hash":"${hash}","entry":${text}}\n`
}

export function endLine(end: AuditEnd, key: SigningKey): string {
  return `${JSON.stringify({ end: signStatement(key, 'qz-audit', end), key: key.publicKey })}\n`
}

export interface EntryLine extends Checkpoint {
  prev: string | null
  /** False where the hash is not that of the entry. */
  intact: boolean
}

const opening = Buffer.from('{"hash":"')
const middle = Buffer.from('","entry":')
const textAt = opening.length + 64 + middle.length

/** What an entry's line (without its line feed) says; undefined where it is none. */
export function readEntryLine(line: Buffer): EntryLine | undefined {
  const framed = line.subarray(0, opening.length).equals(opening) && line.subarray(textAt - middle.length, textAt).equals(middle)
  if (!framed || line.at(-1) !== 0x7d) return undefined
  const hash = line.toString('latin1', opening.length, opening.length + 64)
  const text = line.subarray(textAt, -1)
  try {
    const { seq, prev } = JSON.parse(text.toString()) as { seq: unknown; prev: unknown }
    const placed = Number.isSafeInteger(seq) && (prev === null || typeof prev === 'string')
    return placed ? { seq: seq as number, prev, hash, intact: entryHash(text) === hash } : undefined
  } catch {
    return undefined
  }
}

const endPattern = /^\{"end":"([\w.-]+)","key":"([\w-]{43})"\}$/

/** The last line's statement and who signed it; `end` is undefined where the signature is not good. Undefined where it is no last line. */
export function readEndLine(line: Buffer): { end: AuditEnd | undefined; key: string } | undefined {
  const [, jws, key] = endPattern.exec(line.toString('latin1')) ?? []
  if (!jws || !key) return undefined
  return { end: openEnd(jws, key), key }
}

function openEnd(jws: string, key: string): AuditEnd | undefined {
  try {
    const end = verifyStatement(jws, 'qz-audit', key)
    return endShape.Check(end) ? end : undefined
  } catch {
    // The key is none.
    return undefined
  }
}
