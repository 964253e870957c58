import { Type, type Static, type TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { Checkpoint } from './checkpoint.ts'
import { ChainPosition, Count, Time } from './position.ts'
import { signStatement, verifyStatement, type SigningKey } from './signature.ts'

const place = { ...ChainPosition.properties, time: Time }
const Id = Type.String({ maxLength: 128 })

/** The hub's word that the batch with this manifest hash is on its disk; with the newest checkpoint of its audit, once there is one. */
export const StoredReceipt = Type.Object({
  resource: Id,
  producer: Id,
  ...place,
  audit: Type.Optional(Checkpoint),
})
export type StoredReceipt = Static<typeof StoredReceipt>

/**
 * A receiver's word that everything up to this position is in its table. Counts cover the batches since the receipt before:
 * rows written, rows deleted, keys newly quarantined; `quarantine` is how many keys lie there now.
 */
export const AppliedReceipt = Type.Object({
  route: Id,
  ...place,
  batches: Count,
  written: Count,
  deleted: Count,
  quarantined: Count,
  quarantine: Count,
})
export type AppliedReceipt = Static<typeof AppliedReceipt>

/**
 * A receiver's word that nothing of an ended route's data is left in its databases: how many rows were removed, and from which tables
 * (`database/table` as configured there; none where no database knew the route).
 */
export const RemovalReceipt = Type.Object({
  route: Id,
  removed: Count,
  tables: Type.Array(Type.String({ maxLength: 300 }), { maxItems: 100 }),
  time: Time,
})
export type RemovalReceipt = Static<typeof RemovalReceipt>

/** The provider's word that its stream's newest batch at `time` was this one: a hub that withholds shows by the statement's age. */
export const HeadStatement = Type.Object({
  resource: Id,
  producer: Id,
  ...place,
  /** Rows that its receivers have then, as far as the provider knows. */
  rows: Type.Optional(Count),
})
export type HeadStatement = Static<typeof HeadStatement>

function statement<T extends TSchema>(shape: T, typ: 'qz-receipt' | 'qz-head') {
  const validator = Compile(shape)
  return {
    sign: (value: Static<T> & object, key: SigningKey): string => signStatement(key, typ, value),
    /** The statement if `publicKey` signed it in this shape, else undefined. */
    open(jws: string, publicKey: string): Static<T> | undefined {
      const value = verifyStatement(jws, typ, publicKey)
      return validator.Check(value) ? value : undefined
    },
  }
}

export const storedReceipt = statement(StoredReceipt, 'qz-receipt')
export const appliedReceipt = statement(AppliedReceipt, 'qz-receipt')
export const removalReceipt = statement(RemovalReceipt, 'qz-receipt')
export const headStatement = statement(HeadStatement, 'qz-head')
