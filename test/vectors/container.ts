/** Containers written by hand from SPEC.md, apart from protocol/batch.ts, so that wrong ones can be made too. */
import { createHash, createPrivateKey, sign } from 'node:crypto'
import { zstdCompressSync } from 'node:zlib'
import { signingKeyFromPem, type SigningKey } from '../../protocol/signature.ts'

/** RFC 8410: the fixed bytes before the 32-byte seed of an Ed25519 private key. */
const pkcs8 = Buffer.from('302e020100300506032b657004220420', 'hex')

export function keyFromSeed(seed: Buffer): SigningKey {
  const key = createPrivateKey({ key: Buffer.concat([pkcs8, seed]), format: 'der', type: 'pkcs8' })
  return signingKeyFromPem(key.export({ type: 'pkcs8', format: 'pem' }) as string)
}

export interface RawBlock {
  item: string
  packed: Buffer
  unpackedLength: number
}

/** A block as it should be, or with another stated length. `text` need not be what a block must hold. */
export function rawBlock(item: string, text: string | Buffer, codec: 'none' | 'zstd' = 'none', stated?: number): RawBlock {
  const plain = Buffer.concat([createHash('sha512').update(`salt ${item}`).digest().subarray(0, 16), Buffer.from(text)])
  return { item, packed: codec === 'zstd' ? zstdCompressSync(plain) : plain, unpackedLength: stated ?? plain.length }
}

export function jws(header: object, payload: object, key: SigningKey): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const input = `${part(header)}.${part(payload)}`
  return `${input}.${sign(null, Buffer.from(input), key.privateKey).toString('base64url')}`
}

export function container(statement: string, blocks: readonly RawBlock[], magic = 'QZB1'): Buffer {
  const parts = [Buffer.from(magic), uint32(statement.length), Buffer.from(statement)]
  for (const { item, packed, unpackedLength } of blocks) {
    parts.push(Buffer.from([item.length]), Buffer.from(item), uint32(packed.length), uint32(unpackedLength), packed)
  }
  return Buffer.concat(parts)
}

export function listed(blocks: readonly RawBlock[]): { item: string; sha256: string }[] {
  return blocks.map(({ item, packed }) => ({ item, sha256: createHash('sha256').update(packed).digest('hex') }))
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
