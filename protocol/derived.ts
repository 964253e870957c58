/**
 * Items of a batch that one receiver gets masked (SPEC section 18). The provider's block of such an item is left out; in its place, under the
 * same id, stands a block that the hub derived from it, and in the block `$derived` the hub's signed word on which blocks it derived, for
 * which route, from which batch, by which mask. All else is as the provider signed it.
 */
import { isDeepStrictEqual } from 'node:util'
import { Type, type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { blockValues, joinBatch, openBatch, opBlock, packBlock, type OpenBatch, type PackedBlock, type SealedBatch } from './batch.ts'
import { QianzhiError } from './errors.ts'
import type { LocalizedText } from './localized.ts'
import { AnyMask, isMasked, knownMask, maskOf, type Masks } from './masks.ts'
import { sha256, signStatement, verifyStatement, type SigningKey } from './signature.ts'
import type { Value } from './value.ts'

/** A statement as it is, neither salted nor packed. */
export const derivedBlock = '$derived'

const hash = Type.String({ pattern: '^[0-9a-f]{64}$' })

/** Payload of a `qz-derived` statement, which the hub signs. */
export const Derivation = Type.Object({
  v: Type.Literal(1),
  /** Hash of the manifest of the batch, as its provider signed it. */
  batch: hash,
  /** For whom: what is derived for one receiver counts for no other. */
  route: Type.String(),
  blocks: Type.Array(
    Type.Object({
      item: Type.String(),
      mask: AnyMask,
      /** Of the packed block. */
      sha256: hash,
    }),
    { maxItems: 400 },
  ),
})
export type Derivation = Static<typeof Derivation>
const derivationShape = Compile(Derivation)

/** Who derives, for whom, and how. `secret`: the grant's own, for hashes. */
export interface Deriving {
  route: string
  masks: Masks
  secret: Buffer
  key: SigningKey
}

/**
 * A batch of `items` alone, those that are masked derived. Of a batch that was verified when it was stored; only the blocks of masked items
 * are read. Throws QZ-BATCH-BLOCK.
 */
export function deriveBatch(batch: OpenBatch, items: ReadonlySet<string>, { route, masks, secret, key }: Deriving): Buffer {
  const entries: Derivation['blocks'] = []
  const blocks = batch.blocks.flatMap((block): PackedBlock[] => {
    const { item } = block
    if (item !== opBlock && !items.has(item)) return []
    const mask = masks[item]
    if (!mask) return [block]
    const masked = maskOf(mask, secret)
    const values = blockValues(batch, item).map((value) => (value === null ? null : masked(value)))
    const derived = packBlock(batch.manifest.codec, { item, values })
    entries.push({ item, mask, sha256: sha256(derived.packed) })
    return [derived]
  })
  const statement = signStatement(key, 'qz-derived', { v: 1, batch: batch.hash, route, blocks: entries } satisfies Derivation)
  const packed = Buffer.from(statement, 'latin1')
  return joinBatch(batch.jws, [...blocks, { item: derivedBlock, packed, unpackedLength: packed.length }])
}

/** What a receiver expects of the masked items of a batch. */
export interface ExpectedMasks {
  route: string
  /** By id, as the policy has them; none where nothing is masked. */
  masks: Readonly<Record<string, unknown>>
  /** The pinned hub's public key. */
  hubKey: string
}

/**
 * Opens a batch of which the hub may have derived blocks: what it says that it derived must be what the policy says is masked, no more and no
 * less, and look like it; everything else must be the provider's. Throws as `openBatch` does, and QZ-BATCH-DERIVED.
 */
export function openDerivedBatch(
  sealed: SealedBatch,
  publicKeyOf: (keyId: string) => string | undefined,
  expected: ExpectedMasks,
): OpenBatch {
  const derived = derivedBlocks(sealed, expected)
  if (derived.size === 0) return openBatch(sealed, publicKeyOf)
  const signed = sealed.blocks.filter((block) => block.item !== derivedBlock && !derived.has(block))
  const batch = openBatch({ ...sealed, blocks: signed }, publicKeyOf)
  const whole = { ...batch, blocks: [...signed, ...derived] }
  const listed = new Set(batch.manifest.blocks.map(({ item }) => item))
  for (const { item } of derived) {
    if (!listed.has(item) || item.startsWith('$'))
      throw untrusted(`信息项 ${item} 不在提供方的清单中`, `item ${item} is none that the provider supplied`)
    requireMasked(expected, item, blockValues(whole, item))
  }
  return whole
}

/** The blocks that the hub derived, each as it says. */
function derivedBlocks(sealed: SealedBatch, { route, masks, hubKey }: ExpectedMasks): Set<PackedBlock> {
  const statements = sealed.blocks.filter(({ item }) => item === derivedBlock)
  const [statement] = statements
  const said = statement ? derivationOf(statement, hubKey) : undefined
  if (statements.length > 1) throw untrusted('中心的声明重复', 'the hub says it twice')
  if (said && (said.batch !== sealed.hash || said.route !== route))
    throw untrusted('中心的副签属于其他批次或路由', 'the countersignature is of another batch or route')
  const entries = new Map(said?.blocks.map((entry) => [entry.item, entry]))
  const found = new Set<PackedBlock>()
  for (const block of sealed.blocks) {
    const { item, packed } = block
    if (item === derivedBlock) continue
    const entry = entries.get(item)
    const mask = Object.hasOwn(masks, item) ? masks[item] : undefined
    if (!entry && mask === undefined) continue
    if (!entry) throw untrusted(`信息项 ${item} 应脱敏，来的是原值`, `item ${item} is to be masked and came as it is`)
    if (!isDeepStrictEqual(entry.mask, mask))
      throw untrusted(`信息项 ${item} 的脱敏方式与授权不同`, `item ${item} is masked otherwise than its grant says`)
    if (sha256(packed) !== entry.sha256)
      throw untrusted(`信息项 ${item} 的数据块与副签不符`, `the block of item ${item} is not the one that was countersigned`)
    entries.delete(item)
    found.add(block)
  }
  if (entries.size > 0) throw untrusted('副签中的数据块缺失或重复', 'a countersigned block is missing, or there twice')
  return found
}

function derivationOf({ packed, unpackedLength }: PackedBlock, hubKey: string): Derivation {
  const said = verifyStatement(packed.toString('latin1'), 'qz-derived', hubKey)
  if (unpackedLength === packed.length && derivationShape.Check(said)) return said
  throw untrusted('不是本中心所签', 'it is not signed by the pinned hub')
}

/** A hub that countersigns what it has not masked shows by the values' form. */
function requireMasked({ masks }: ExpectedMasks, item: string, values: readonly Value[]): void {
  const mask = knownMask(masks[item])
  if (!mask)
    throw untrusted(
      `本程序不认识信息项 ${item} 的脱敏方式，请升级`,
      `this program does not know how item ${item} is masked: bring it up to date`,
    )
  const at = values.findIndex((value) => !isMasked(mask, value))
  if (at >= 0) throw untrusted(`信息项 ${item} 第 ${at + 1} 行的值未脱敏`, `the value of item ${item} in row ${at + 1} is not masked`)
}

function untrusted(zh: string, en: string): QianzhiError {
  const reason: LocalizedText = { zh, en }
  return new QianzhiError('QZ-BATCH-DERIVED', { reason })
}
