/**
 * What stands beside batches in the folders of a one-way gap (SPEC, one-way gaps): statements of type `qz-file`, told apart by `kind`. A file
 * holds the statement, and its payload once more for people; only the statement counts.
 */
import { Type, type Static, type TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { ChainPosition } from './position.ts'
import { readStatement, signStatement, verifyStatement, type SigningKey } from './signature.ts'

const time = Type.String({ maxLength: 40 })
const publicKey = Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' })
const place = Type.Object({ epoch: Type.Integer({ minimum: 1 }), seq: Type.Integer({ minimum: 1 }) })

/** Batches of one epoch, both ends among them. */
export const PlaceRange = Type.Object({ epoch: place.properties.epoch, from: place.properties.seq, to: place.properties.seq })
export type PlaceRange = Static<typeof PlaceRange>

/** Ranges that one request names at most. */
export const maxRanges = 100

/** The outer agent's word to the inside: whose agent it is, the hub's key, and the policy that the hub signed for it. */
export const GapStatement = Type.Object({
  kind: Type.Literal('gap'),
  v: Type.Literal(1),
  agent: Type.String(),
  agency: Type.String(),
  /** The outer agent's own; the statement is signed with it. */
  publicKey,
  hubKey: publicKey,
  policy: Type.String(),
  time,
})
export type GapStatement = Static<typeof GapStatement>

/** How far the outer agent has written a route's batches: what of them is not there inside is missing. */
export const GapHead = Type.Object({ kind: Type.Literal('gap-head'), route: Type.String(), ...ChainPosition.properties, time })
export type GapHead = Static<typeof GapHead>

/** The inner agent's key, for its receipts and requests: the outer side's operator accepts it once. */
export const GapKey = Type.Object({ kind: Type.Literal('gap-key'), agent: Type.String(), publicKey, time })
export type GapKey = Static<typeof GapKey>

/** What the inside lacks of a route: some batches, or a snapshot that begins after a place (null: any). */
export const GapRequest = Type.Object({
  kind: Type.Literal('gap-request'),
  route: Type.String(),
  batches: Type.Optional(Type.Array(PlaceRange, { minItems: 1, maxItems: maxRanges })),
  snapshot: Type.Optional(
    Type.Object({
      after: Type.Union([place, Type.Null()]),
      /** What the hub has cannot be followed in this epoch. */
      epoch: Type.Optional(Type.Literal(true)),
    }),
  ),
  time,
})
export type GapRequest = Static<typeof GapRequest>

function statement<T extends TSchema>(shape: T) {
  const validator = Compile(shape)
  return {
    sign: (value: Static<T> & object, key: SigningKey): string => signStatement(key, 'qz-file', value),
    /** The statement if `publicKey` signed it in this shape, else undefined. */
    open(jws: string, publicKey: string): Static<T> | undefined {
      const value = verifyStatement(jws, 'qz-file', publicKey)
      return validator.Check(value) ? value : undefined
    },
    /** The same where it names the key that signed it: whose key that is, is not said by it. */
    openOwn(jws: string): Static<T> | undefined {
      const named = readStatement(jws)?.['publicKey']
      const value = typeof named === 'string' && /^[A-Za-z0-9_-]{43}$/.test(named) ? verifyStatement(jws, 'qz-file', named) : undefined
      return validator.Check(value) ? value : undefined
    },
  }
}

export const gapStatement = statement(GapStatement)
export const gapHead = statement(GapHead)
export const gapKey = statement(GapKey)
export const gapRequest = statement(GapRequest)
