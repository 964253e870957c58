import { isUtf8 } from 'node:buffer'
import { randomBytes } from 'node:crypto'
import { zstdCompressSync, zstdDecompressSync, constants } from 'node:zlib'
import { Type, type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { QianzhiError, reasonOf } from './errors.ts'
import { countTexts } from './json-texts.ts'
import { codePattern, longestTextKey } from './schema.ts'
import { Epoch, Seq, Time } from './position.ts'
import { sha256, signStatement, statementKeyId, verifyStatement, type SigningKey } from './signature.ts'
import type { Value } from './value.ts'

/**
 * The batch container (SPEC section 3): `QZB1`, a 4-byte big-endian length, the manifest as compact JWS, then the blocks, each behind
 * an unsigned header: 1 byte length of the item id, the id, 4 bytes packed length, 4 bytes unpacked length.
 * A block is 16 random bytes and a JSON array of one text or null per row. The manifest holds the SHA-256 of each packed block, so
 * that a block can be left out and the signature still holds for the rest.
 */
export const batchMediaType = 'application/vnd.qianzhi.batch'

const Block = Type.Object({ item: Type.String({ pattern: '^[$a-z][a-z0-9_]{0,29}$' }), sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }) })

export const Manifest = Type.Object({
  v: Type.Literal(1),
  resource: Type.String({ pattern: codePattern }),
  /** Schema version of the resource. */
  schema: Type.Integer({ minimum: 1 }),
  /** Agent (or `hub`) that made the batch. */
  producer: Type.String({ pattern: codePattern }),
  epoch: Epoch,
  seq: Seq,
  /** Hash of the manifest before this one in the epoch; null where the epoch begins. */
  prev: Type.Union([Type.String({ pattern: '^[0-9a-f]{64}$' }), Type.Null()]),
  kind: Type.Enum(['changes', 'snapshot']),
  /** In every batch of a snapshot: the seq at which it began, and whether this is its end. */
  snapshot: Type.Optional(Type.Object({ began: Type.Integer({ minimum: 1 }), last: Type.Boolean() })),
  rows: Type.Integer({ minimum: 0, maximum: 1_000_000 }),
  time: Time,
  codec: Type.Enum(['none', 'zstd']),
  blocks: Type.Array(Block, { maxItems: 500 }),
  /** Reserved: the part of the resource that the stream carries. */
  scope: Type.Optional(Type.String({ maxLength: 200 })),
})
export type Manifest = Static<typeof Manifest>
const manifestShape = Compile(Manifest)

/** `$op`, present where not all rows are upserts: `u`, `d` (delete), or `c:CODE` (the provider cannot send this key's row, because). */
export const opBlock = '$op'
export type Op = 'u' | 'd' | `c:${string}`
/** A code has up to 40 characters. */
export const opForm = /^(?:u|d|c:[A-Z][A-Z0-9-]{0,39})$/

export interface BatchLimits {
  /** Bytes of the whole container. */
  encoded: number
  /** Bytes of all blocks unpacked. */
  unpacked: number
  rows: number
}

/** What a reader accepts. A writer stays under `encoded: 1 MiB` (configurable) so that any log engine can carry it. */
export const readerLimits: BatchLimits = { encoded: 8 << 20, unpacked: 64 << 20, rows: 100_000 }
export const writerLimits: BatchLimits = { encoded: 1 << 20, unpacked: 16 << 20, rows: 10_000 }

const magic = Buffer.from('QZB1')
const saltLength = 16
/** Below this many bytes of JSON a batch is not worth compressing (0.16 ms for a single row). */
const plainBelow = 4096

export interface ColumnOfValues {
  item: string
  values: readonly Value[]
}

/** Values of an item, or the same as they travel: a JSON array (UTF-8) of so many texts and nulls. */
export type Column = ColumnOfValues | { item: string; rows: number; json: Buffer }

export type ManifestHeader = Omit<Manifest, 'v' | 'rows' | 'codec' | 'blocks'>

export interface BuiltBatch {
  bytes: Buffer
  manifest: Manifest
  /** SHA-256 (hex) of the manifest JWS. */
  hash: string
}

/** Packs and signs rows given as columns of equal length. */
export function buildBatch(header: ManifestHeader, columns: readonly Column[], key: SigningKey): BuiltBatch {
  const texts = columns.map((column) => ('json' in column ? column.json : Buffer.from(JSON.stringify(column.values))))
  const codec = texts.reduce((sum, text) => sum + text.length, 0) < plainBelow ? 'none' : 'zstd'
  const parts: Buffer[] = []
  const salts = randomBytes(saltLength * columns.length)
  const blocks = columns.map((column, i) => {
    const packed = pack(codec, texts[i]!, salts.subarray(i * saltLength, (i + 1) * saltLength))
    parts.push(blockHeader(column.item, packed.length, texts[i]!.length + saltLength), packed)
    return { item: column.item, sha256: sha256(packed) }
  })
  const manifest: Manifest = { v: 1, ...header, rows: columns[0] ? rowsOf(columns[0]) : 0, codec, blocks }
  const jws = signStatement(key, 'qz-batch', manifest)
  return { bytes: Buffer.concat([prefix(jws), ...parts]), manifest, hash: sha256(jws) }
}

function rowsOf(column: Column): number {
  return 'json' in column ? column.rows : column.values.length
}

function pack(codec: Manifest['codec'], text: Buffer, salt: Buffer): Buffer {
  const plain = Buffer.concat([salt, text])
  return codec === 'zstd' ? zstdCompressSync(plain, { params: { [constants.ZSTD_c_compressionLevel]: 1 } }) : plain
}

function prefix(jws: string): Buffer {
  const head = Buffer.alloc(8)
  magic.copy(head)
  head.writeUInt32BE(jws.length, 4)
  return Buffer.concat([head, Buffer.from(jws, 'latin1')])
}

function blockHeader(item: string, packed: number, unpacked: number): Buffer {
  const head = Buffer.alloc(1 + item.length + 8)
  head.writeUInt8(item.length)
  head.write(item, 1, 'latin1')
  head.writeUInt32BE(packed, 1 + item.length)
  head.writeUInt32BE(unpacked, 5 + item.length)
  return head
}

export interface PackedBlock {
  item: string
  packed: Buffer
  unpackedLength: number
}

/** A container taken apart; nothing in it is verified yet. */
export interface SealedBatch {
  jws: string
  hash: string
  blocks: PackedBlock[]
  bytes: Buffer
}

/** Takes a container apart. Throws QZ-BATCH-FORMAT or QZ-BATCH-LIMIT. */
export function splitBatch(bytes: Buffer, limits: BatchLimits = readerLimits): SealedBatch {
  if (bytes.length > limits.encoded) throw overLimit(bytes.length, limits.encoded, '字节', 'bytes')
  if (bytes.length < 8 || !bytes.subarray(0, 4).equals(magic)) throw malformed('不是 QZB1 容器', 'no QZB1 container')
  const start = 8 + bytes.readUInt32BE(4)
  if (start > bytes.length) throw malformed('清单不完整', 'the manifest is cut off')
  const jws = bytes.toString('latin1', 8, start)
  return { jws, hash: sha256(jws), blocks: splitBlocks(bytes, start, limits), bytes }
}

function splitBlocks(bytes: Buffer, start: number, limits: BatchLimits): PackedBlock[] {
  const blocks: PackedBlock[] = []
  let unpacked = 0
  for (let at = start; at < bytes.length;) {
    const data = at + 1 + bytes.readUInt8(at) + 8
    if (data > bytes.length) throw malformed('数据块头部不完整', 'a block header is cut off')
    const end = data + bytes.readUInt32BE(data - 8)
    if (end > bytes.length) throw malformed('数据块不完整', 'a block is cut off')
    const unpackedLength = bytes.readUInt32BE(data - 4)
    unpacked += unpackedLength
    blocks.push({ item: bytes.toString('latin1', at + 1, data - 8), packed: bytes.subarray(data, end), unpackedLength })
    at = end
  }
  if (unpacked > limits.unpacked) throw overLimit(unpacked, limits.unpacked, '字节（解压后）', 'bytes unpacked')
  return blocks
}

export interface OpenBatch extends SealedBatch {
  manifest: Manifest
  /** Key id that signed. */
  keyId: string
}

/**
 * Verifies the manifest with the key that `publicKeyOf` gives for its key id, and each block that is present against it.
 * Throws QZ-BATCH-SIGNATURE, QZ-BATCH-FORMAT, QZ-BATCH-BLOCK or QZ-BATCH-LIMIT.
 */
export function openBatch(
  sealed: SealedBatch,
  publicKeyOf: (keyId: string) => string | undefined,
  limits: BatchLimits = readerLimits,
): OpenBatch {
  const keyId = statementKeyId(sealed.jws, 'qz-batch')
  if (keyId === undefined) throw malformed('清单不是批次声明', 'the manifest is no batch statement')
  const publicKey = publicKeyOf(keyId)
  if (!publicKey)
    throw new QianzhiError('QZ-BATCH-SIGNATURE', { reason: { zh: `密钥 ${keyId} 不是提供方的`, en: `key ${keyId} is not the provider's` } })
  const manifest = verifyStatement(sealed.jws, 'qz-batch', publicKey)
  if (manifest === undefined)
    throw new QianzhiError('QZ-BATCH-SIGNATURE', { reason: { zh: '签名不符', en: 'the signature does not match' } })
  if (!manifestShape.Check(manifest)) throw badManifest(manifestShape.Errors(manifest)[0]?.message ?? 'shape')
  checkManifest(manifest, limits)
  checkBlocks(manifest, sealed.blocks)
  return { ...sealed, manifest, keyId }
}

/** The manifest of a batch that was verified when it was stored (the hub's own log). */
export function trustedManifest(sealed: Pick<SealedBatch, 'jws'>): Manifest {
  return JSON.parse(Buffer.from(sealed.jws.split('.')[1]!, 'base64url').toString()) as Manifest
}

function checkManifest(manifest: Manifest, limits: BatchLimits): void {
  if (manifest.rows > limits.rows) throw overLimit(manifest.rows, limits.rows, '行', 'rows')
  if ((manifest.kind === 'snapshot') !== (manifest.snapshot !== undefined))
    throw malformed('快照标记与批次类型不符', 'snapshot marks do not fit the kind')
  if (manifest.snapshot && manifest.snapshot.began > manifest.seq)
    throw malformed('快照起点在批次之后', 'the snapshot begins after the batch')
  if ((manifest.seq === 1) !== (manifest.prev === null))
    throw malformed('只有一代的首批次可以没有前一批次（prev）', 'prev must be null exactly where an epoch begins')
  if (manifest.seq === 1 && manifest.snapshot?.began !== 1) throw malformed('每一代必须以快照开始', 'an epoch must begin with a snapshot')
  if (manifest.scope !== undefined) throw malformed('scope 为保留字段', 'scope is reserved')
  if (new Set(manifest.blocks.map((block) => block.item)).size !== manifest.blocks.length)
    throw malformed('信息项重复列出', 'an item is listed twice')
}

function checkBlocks(manifest: Manifest, blocks: readonly PackedBlock[]): void {
  const listed = new Map(manifest.blocks.map((block) => [block.item, block.sha256]))
  for (const { item, packed } of blocks) {
    const expected = listed.get(item)
    if (expected === undefined) throw badBlock(item, '不在清单中，或重复', 'not in the manifest, or twice')
    listed.delete(item)
    if (sha256(packed) !== expected) throw badBlock(item, 'SHA-256 不同', 'its SHA-256 differs')
  }
  // Without it deletes would read as upserts.
  if (listed.has(opBlock)) throw badBlock(opBlock, '缺失', 'missing')
}

/** True where this batch is the first of a snapshot: a receiver may begin here. */
export function beginsSnapshot(manifest: Manifest): boolean {
  return manifest.snapshot?.began === manifest.seq
}

/** The values of one block, one per row. Throws QZ-BATCH-BLOCK where it does not unpack to exactly that. */
export function blockValues(batch: OpenBatch, item: string): Value[] {
  return readBlock(batch, item).values
}

/** The same, and the UTF-8 JSON array that they were read from. */
export function readBlock(batch: OpenBatch, item: string): { values: Value[]; json: Buffer } {
  const json = blockJson(batch, item)
  try {
    const values: unknown = JSON.parse(json.toString('utf8'))
    if (Array.isArray(values) && values.length === batch.manifest.rows && values.every(isValue)) return { values, json }
  } catch (cause) {
    throw new QianzhiError('QZ-BATCH-BLOCK', { item, reason: reasonOf(cause) }, { cause })
  }
  throw wrongCount(item, batch.manifest.rows)
}

/** What a block says to be a JSON array of its values: UTF-8, not looked at any further. Throws QZ-BATCH-BLOCK where it does not unpack. */
export function blockJson(batch: OpenBatch, item: string): Buffer {
  const block = batch.blocks.find((candidate) => candidate.item === item)
  if (!block) throw badBlock(item, '缺失', 'missing')
  try {
    return unpack(batch.manifest.codec, block).subarray(saltLength)
  } catch (cause) {
    throw new QianzhiError('QZ-BATCH-BLOCK', { item, reason: reasonOf(cause) }, { cause })
  }
}

/** Bytes of a key's text as JSON, each character escaped. */
const longestKey = 2 + 12 * longestTextKey

/** What `blockValues` checks and what every receiver would choke on, without making the values: the hub reads none. Throws QZ-BATCH-BLOCK. */
export function checkBlock({ manifest }: OpenBatch, block: PackedBlock, key: boolean): void {
  const { item } = block
  let count: number
  try {
    count = countTexts(unpack(manifest.codec, block), saltLength, key ? { nulls: false, longest: longestKey } : {})
  } catch (cause) {
    throw new QianzhiError('QZ-BATCH-BLOCK', { item, reason: reasonOf(cause) }, { cause })
  }
  if (count !== manifest.rows) throw wrongCount(item, manifest.rows)
}

function isValue(value: unknown): value is Value {
  return typeof value === 'string' || value === null
}

function unpack(codec: Manifest['codec'], { packed, unpackedLength }: PackedBlock): Buffer {
  const plain = codec === 'zstd' ? zstdDecompressSync(packed, { maxOutputLength: Math.max(1, unpackedLength) }) : packed
  if (plain.length !== unpackedLength || plain.length < saltLength + 2) throw new Error('it does not unpack to its stated length')
  if (!isUtf8(plain.subarray(saltLength))) throw new Error('it is not UTF-8')
  return plain
}

/** A block of a batch's codec, as a writer of version 1 packs it. */
export function packBlock(codec: Manifest['codec'], { item, values }: ColumnOfValues): PackedBlock {
  const text = Buffer.from(JSON.stringify(values))
  return { item, packed: pack(codec, text, randomBytes(saltLength)), unpackedLength: text.length + saltLength }
}

/** A container of a manifest and these blocks. */
export function joinBatch(jws: string, blocks: readonly PackedBlock[]): Buffer {
  const parts = blocks.flatMap(({ item, packed, unpackedLength }) => [blockHeader(item, packed.length, unpackedLength), packed])
  return Buffer.concat([prefix(jws), ...parts])
}

/** The same signed batch without the blocks of items that are not in `items`; `$op` always stays. No row is read. */
export function projectBatch(sealed: SealedBatch, items: ReadonlySet<string>): Buffer {
  const kept = sealed.blocks.filter(({ item }) => item === opBlock || items.has(item))
  return kept.length === sealed.blocks.length ? sealed.bytes : joinBatch(sealed.jws, kept)
}

function malformed(zh: string, en: string): QianzhiError {
  return new QianzhiError('QZ-BATCH-FORMAT', { reason: { zh, en } })
}

function badManifest(fault: string): QianzhiError {
  return malformed(`清单：${fault}`, `manifest: ${fault}`)
}

function overLimit(count: number, limit: number, zh: string, en: string): QianzhiError {
  return new QianzhiError('QZ-BATCH-LIMIT', { reason: { zh: `${count} ${zh}，最多 ${limit}`, en: `${count} ${en}, at most ${limit}` } })
}

function badBlock(item: string, zh: string, en: string): QianzhiError {
  return new QianzhiError('QZ-BATCH-BLOCK', { item, reason: { zh, en } })
}

function wrongCount(item: string, rows: number): QianzhiError {
  return badBlock(item, `不是 ${rows} 个文本或空值`, `not ${rows} texts or nulls`)
}
