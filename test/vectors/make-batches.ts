import {
  buildBatch,
  projectBatch,
  splitBatch,
  type BuiltBatch,
  type Column,
  type Manifest,
  type ManifestHeader,
} from '../../protocol/batch.ts'
import type { SigningKey } from '../../protocol/signature.ts'
import { container, jws, listed, rawBlock, type RawBlock } from './container.ts'
import type { Keys } from './make.ts'

const first: ManifestHeader = {
  resource: 'licence',
  schema: 1,
  producer: 'agent-a',
  epoch: 3622110,
  seq: 1,
  prev: null,
  kind: 'snapshot',
  snapshot: { began: 1, last: true },
  time: '2026-11-22T08:30:00.000Z',
}

const following = (prev: string): ManifestHeader => {
  const { snapshot: _, ...rest } = first
  return { ...rest, seq: 2, prev, kind: 'changes', time: '2026-11-22T08:30:05.000Z' }
}

const columns: Column[] = [
  { item: 'code', values: ['441900003001', '441900003002', '441900003003'] },
  { item: 'name', values: ['东莞市𠮷祥餐饮店', '', null] },
  { item: 'issued', values: ['2026-11-22', null, '0001-01-01'] },
]

const changes: Column[] = [
  { item: '$op', values: ['u', 'd', 'c:QZ-ROW-VALUE'] },
  { item: 'code', values: ['441900003001', '441900003002', '441900003004'] },
  { item: 'name', values: ['"quoted"\n\\', null, null] },
]

export function batchVectors(keys: Keys) {
  const key = keys.provider
  const start = buildBatch(first, columns, key)
  const next = buildBatch(following(start.hash), changes, key)
  const many = Array.from({ length: 1000 }, (_, i) => String(441900000000 + i))
  const large = buildBatch(
    { ...first, epoch: 3622111 },
    [
      { item: 'code', values: many },
      { item: 'name', values: many.map(() => '村') },
    ],
    key,
  )
  const empty = buildBatch(
    { ...first, epoch: 3622112 },
    [
      { item: 'code', values: [] },
      { item: 'name', values: [] },
    ],
    key,
  )
  const projected = projectBatch(splitBatch(next.bytes), new Set(['code']))
  return [
    accepted('snapshot', start, columns),
    accepted('changes with deletes and a key that cannot be sent', next, changes),
    accepted('zstd', large, [
      { item: 'code', values: many },
      { item: 'name', values: many.map(() => '村') },
    ]),
    accepted('empty snapshot', empty, [
      { item: 'code', values: [] },
      { item: 'name', values: [] },
    ]),
    accepted('projected to the key', { ...next, bytes: projected }, changes.slice(0, 2)),
  ]
}

function accepted(name: string, { bytes, manifest, hash }: BuiltBatch, values: Column[]) {
  return { name, container: bytes.toString('base64'), hash, manifest, values }
}

/** Containers that no reader may take, each with the code that it must give when it is split, opened and all blocks are read. */
export function refusedBatches(keys: Keys) {
  return [...tampered(keys.provider), ...cut(keys.provider), ...wrongBlocks(keys.provider), ...wrongManifests(keys)].map(
    ({ name, code, bytes }) => ({ name, code, container: bytes.toString('base64') }),
  )
}

interface Refused {
  name: string
  code: string
  bytes: Buffer
}

function tampered(key: SigningKey): Refused[] {
  const { bytes } = buildBatch(first, columns, key)
  const manifestEnd = 8 + bytes.readUInt32BE(4)
  const text = bytes.toString('latin1', 8, manifestEnd)
  const flipped = (at: number): Buffer => {
    const copy = Buffer.from(bytes)
    copy[at]! ^= 1
    return copy
  }
  return [
    { name: 'changed byte in the last block', code: 'QZ-BATCH-BLOCK', bytes: flipped(bytes.length - 3) },
    { name: 'changed byte in the salt of the first block', code: 'QZ-BATCH-BLOCK', bytes: flipped(manifestEnd + 1 + 'code'.length + 8) },
    { name: 'changed byte in the manifest', code: 'QZ-BATCH-SIGNATURE', bytes: flipped(8 + text.indexOf('.') + 30) },
    { name: 'changed byte in the signature', code: 'QZ-BATCH-SIGNATURE', bytes: flipped(8 + text.lastIndexOf('.') + 20) },
    { name: 'changed item name of a block', code: 'QZ-BATCH-BLOCK', bytes: flipped(manifestEnd + 1) },
    { name: 'changed stated length of a block', code: 'QZ-BATCH-BLOCK', bytes: flipped(manifestEnd + 1 + 'code'.length + 7) },
  ]
}

function cut(key: SigningKey): Refused[] {
  const { bytes } = buildBatch(first, columns, key)
  const start = 8 + bytes.readUInt32BE(4)
  const { bytes: withOp } = buildBatch(following('a'.repeat(64)), changes, key)
  const at = (name: string, end: number): Refused => ({ name: `cut off ${name}`, code: 'QZ-BATCH-FORMAT', bytes: bytes.subarray(0, end) })
  return [
    at('to nothing', 0),
    at('in the magic', 3),
    at('in the length', 6),
    at('in the manifest', start - 1),
    at('in a block header', start + 4),
    at('in a block', bytes.length - 1),
    { name: 'goes on after the last block', code: 'QZ-BATCH-FORMAT', bytes: Buffer.concat([bytes, Buffer.from([0])]) },
    { name: 'another magic', code: 'QZ-BATCH-FORMAT', bytes: Buffer.concat([Buffer.from('QZB9'), bytes.subarray(4)]) },
    { name: '$op left out', code: 'QZ-BATCH-BLOCK', bytes: withoutOp(withOp) },
  ]
}

function withoutOp(bytes: Buffer): Buffer {
  const sealed = splitBatch(bytes)
  return container(
    sealed.jws,
    sealed.blocks.filter(({ item }) => item !== '$op'),
  )
}

function wrongBlocks(key: SigningKey): Refused[] {
  const code = 'QZ-BATCH-BLOCK'
  const name = rawBlock('name', '["a","b"]')
  const batch = (text: string, block: RawBlock, more: Partial<Manifest> = {}): Refused => ({
    name: text,
    code,
    bytes: signed(key, [block], more),
  })
  const bomb = 'x'.repeat(32 << 20)
  return [
    batch('bomb: unpacks to more than its stated length', rawBlock('name', `["${bomb}","b"]`, 'zstd', 1000), { codec: 'zstd' }),
    batch('unpacks to less than its stated length', rawBlock('name', '["a","b"]', 'zstd', 1000), { codec: 'zstd' }),
    batch('is not zstd', rawBlock('name', '["a","b"]'), { codec: 'zstd' }),
    batch('too few values', rawBlock('name', '["a"]')),
    batch('too many values', rawBlock('name', '["a","b","c"]')),
    batch('a number in a block', rawBlock('name', '["a",2]')),
    batch('a boolean in a block', rawBlock('name', '["a",true]')),
    batch('an array in a block', rawBlock('name', '["a",["b"]]')),
    batch('an object for a block', rawBlock('name', '{"0":"a","1":"b","length":2}')),
    batch('no JSON', rawBlock('name', '["a","b"')),
    batch('no UTF-8', rawBlock('name', Buffer.from('["a","\xff"]', 'latin1'))),
    batch('shorter than its salt', { item: 'name', packed: Buffer.alloc(10), unpackedLength: 10 }),
    { name: 'a block twice', code, bytes: container(statement(key, [name]), [name, name]) },
    { name: 'a block that is not in the manifest', code, bytes: container(statement(key, [name]), [name, rawBlock('more', '["a","b"]')]) },
    { name: 'a block of another batch', code, bytes: container(statement(key, [name]), [rawBlock('name', '["a","c"]')]) },
    { name: 'unpacked over the limit', code: 'QZ-BATCH-LIMIT', bytes: signed(key, [rawBlock('name', '["a","b"]', 'none', 0xffffffff)]) },
  ]
}

function wrongManifests({ provider, other }: Keys): Refused[] {
  const blocks = [rawBlock('name', '["a","b"]')]
  const format = (name: string, change: object): Refused => ({ name, code: 'QZ-BATCH-FORMAT', bytes: signed(provider, blocks, change) })
  const header = { alg: 'EdDSA', kid: provider.id, typ: 'qz-batch' }
  const statementAs = (head: object, key = provider) => container(jws(head, manifestOf(blocks), key), blocks)
  const hash = 'a'.repeat(64)
  return [
    format('an item listed twice', { blocks: [...listed(blocks), ...listed(blocks)] }),
    format('another version', { v: 2 }),
    format('prev missing after the first', { seq: 2, kind: 'changes', snapshot: undefined, prev: null }),
    format('prev at the beginning of an epoch', { prev: hash }),
    format('an epoch that begins with changes', { kind: 'changes', snapshot: undefined }),
    format('an epoch that begins within a snapshot', { snapshot: { began: 2, last: true } }),
    format('a snapshot that begins after the batch', { seq: 2, prev: hash, snapshot: { began: 3, last: false } }),
    format('snapshot marks on changes', { seq: 2, prev: hash, kind: 'changes' }),
    format('a snapshot without marks', { seq: 2, prev: hash, snapshot: undefined }),
    format('seq 0', { seq: 0 }),
    format('epoch over 2^31 - 1', { epoch: 2147483648 }),
    format('rows not whole', { rows: 1.5 }),
    format('an unknown codec', { codec: 'gzip' }),
    format('a resource with capitals', { resource: 'Licence' }),
    format('a scope, which is reserved', { scope: 'town-1' }),
    { name: 'too many rows', code: 'QZ-BATCH-LIMIT', bytes: signed(provider, blocks, { rows: 100_001 }) },
    { name: 'another typ', code: 'QZ-BATCH-FORMAT', bytes: statementAs({ ...header, typ: 'qz-head' }) },
    { name: 'alg none', code: 'QZ-BATCH-FORMAT', bytes: statementAs({ ...header, alg: 'none' }) },
    { name: 'a critical header', code: 'QZ-BATCH-FORMAT', bytes: statementAs({ ...header, crit: ['exp'] }) },
    { name: 'a key that nobody knows', code: 'QZ-BATCH-SIGNATURE', bytes: statementAs({ ...header, kid: other.id }, other) },
    { name: 'signed by another key than the one it names', code: 'QZ-BATCH-SIGNATURE', bytes: statementAs(header, other) },
  ]
}

function manifestOf(blocks: readonly RawBlock[], change: object = {}): object {
  return { v: 1, ...first, rows: 2, codec: 'none', blocks: listed(blocks), ...change }
}

function statement(key: SigningKey, blocks: readonly RawBlock[], change: object = {}): string {
  return jws({ alg: 'EdDSA', kid: key.id, typ: 'qz-batch' }, manifestOf(blocks, change), key)
}

function signed(key: SigningKey, blocks: readonly RawBlock[], change: object = {}): Buffer {
  return container(statement(key, blocks, change), blocks)
}
