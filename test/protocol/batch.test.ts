import fc from 'fast-check'
import t from 'tap'
import {
  beginsSnapshot,
  blockValues,
  buildBatch,
  openBatch,
  projectBatch,
  readerLimits,
  splitBatch,
  trustedManifest,
  type BatchLimits,
  type Column,
  type ManifestHeader,
} from '../../protocol/batch.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import { generateSigningKey, sha256, signingKeyFromPem } from '../../protocol/signature.ts'
import type { Value } from '../../protocol/value.ts'
import { readVectors, vectorKey } from '../vectors/read.ts'

const provider = signingKeyFromPem(vectorKey('provider').pem)
const providerKey = (id: string): string | undefined => (id === provider.id ? provider.publicKey : undefined)

const header: ManifestHeader = {
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

/** What a receiver does with a container before it looks at rows: takes it apart, verifies it, reads every block that is there. */
function readAll(bytes: Buffer, limits: BatchLimits = readerLimits): { item: string; values: Value[] }[] {
  const batch = openBatch(splitBatch(bytes, limits), providerKey, limits)
  return batch.blocks.map(({ item }) => ({ item, values: blockValues(batch, item) }))
}

function refusal(bytes: Buffer, limits?: BatchLimits): string {
  try {
    readAll(bytes, limits)
    return 'accepted'
  } catch (error) {
    return error instanceof QianzhiError ? error.code : `no coded error: ${String(error)}`
  }
}

t.test('batches of the vectors', async (t) => {
  for (const { name, container, hash, manifest, values } of readVectors('batches.json')) {
    const bytes = Buffer.from(container, 'base64')
    const batch = openBatch(splitBatch(bytes), providerKey)
    t.same(batch.manifest, manifest, `${name}: manifest`)
    t.equal(batch.hash, hash, `${name}: hash`)
    t.equal(batch.keyId, provider.id, `${name}: key`)
    t.same(readAll(bytes), values, `${name}: values`)
    t.same(trustedManifest(batch), manifest, `${name}: manifest read without verification`)
  }
})

t.test('refused batches of the vectors', async (t) => {
  for (const { name, code, container } of readVectors('refused.json')) t.equal(refusal(Buffer.from(container, 'base64')), code, name)
})

t.test('a bomb is not unpacked past its stated length', async (t) => {
  const bomb = readVectors('refused.json').find(({ name }) => name.startsWith('bomb'))!
  const batch = openBatch(splitBatch(Buffer.from(bomb.container, 'base64')), providerKey)
  t.throws(() => blockValues(batch, 'name'), { code: 'QZ-BATCH-BLOCK', cause: { code: 'ERR_BUFFER_TOO_LARGE' } })
})

t.test('a container may be cut off anywhere', async (t) => {
  const { container } = readVectors('batches.json')[1]!
  const bytes = Buffer.from(container, 'base64')
  const starts = new Set(blockStarts(bytes))
  for (let end = 0; end < bytes.length; end++) {
    const code = refusal(bytes.subarray(0, end))
    if (code !== 'QZ-BATCH-FORMAT' && !starts.has(end)) t.fail(`cut off at ${end}: ${code}`)
  }
  t.equal(refusal(bytes.subarray(0, [...starts][0])), 'QZ-BATCH-BLOCK', 'without $op')
  t.equal(refusal(bytes.subarray(0, [...starts][1])), 'accepted', 'with $op alone: a projection')
})

function blockStarts(bytes: Buffer): number[] {
  let at = 8 + bytes.readUInt32BE(4)
  return splitBatch(bytes).blocks.map(({ item, packed }) => {
    const start = at
    at += 1 + item.length + 8 + packed.length
    return start
  })
}

t.test('limits of the reader', async (t) => {
  const { bytes } = buildBatch(header, [{ item: 'code', values: ['1', '2', '3'] }], provider)
  const unpacked = splitBatch(bytes).blocks[0]!.unpackedLength
  t.equal(refusal(bytes, { encoded: bytes.length, unpacked, rows: 3 }), 'accepted', 'exactly at the limits')
  t.equal(refusal(bytes, { encoded: bytes.length - 1, unpacked, rows: 3 }), 'QZ-BATCH-LIMIT', 'encoded')
  t.equal(refusal(bytes, { encoded: bytes.length, unpacked: unpacked - 1, rows: 3 }), 'QZ-BATCH-LIMIT', 'unpacked')
  t.equal(refusal(bytes, { encoded: bytes.length, unpacked, rows: 2 }), 'QZ-BATCH-LIMIT', 'rows')
  t.equal(refusal(Buffer.alloc(readerLimits.encoded + 1)), 'QZ-BATCH-LIMIT', 'the default')
})

t.test('a manifest counts only under the key of its provider', async (t) => {
  const other = generateSigningKey()
  const sealed = splitBatch(buildBatch(header, [{ item: 'code', values: ['1'] }], other).bytes)
  t.throws(() => openBatch(sealed, providerKey), { code: 'QZ-BATCH-SIGNATURE' }, 'a key that is not the provider’s')
  t.throws(() => openBatch(sealed, () => provider.publicKey), { code: 'QZ-BATCH-SIGNATURE' }, 'another key under that id')
  t.ok(openBatch(sealed, () => other.publicKey))
})

t.test('projection', async (t) => {
  const columns = [
    { item: '$op', values: ['u', 'd'] },
    { item: 'code', values: ['1', '2'] },
    { item: 'name', values: ['secret', null] },
  ]
  const { snapshot: _, ...rest } = header
  const built = buildBatch({ ...rest, kind: 'changes', seq: 2, prev: 'a'.repeat(64) }, columns, provider)
  const sealed = splitBatch(built.bytes)
  t.equal(projectBatch(sealed, new Set(['code', 'name'])), built.bytes, 'nothing to leave out: the very bytes')
  const projected = splitBatch(projectBatch(sealed, new Set(['code'])))
  t.same(
    projected.blocks.map(({ item }) => item),
    ['$op', 'code'],
  )
  t.notOk(projected.bytes.includes('secret'), 'no byte of the withheld block is left')
  t.equal(projected.hash, built.hash, 'the manifest stays')
  t.throws(() => blockValues(openBatch(projected, providerKey), 'name'), { code: 'QZ-BATCH-BLOCK' })
})

t.test('a withheld column cannot be guessed from its hash, nor the same batch be recognised by it', async (t) => {
  const columns = [{ item: 'code', values: ['1'] }]
  const [a, b] = [buildBatch(header, columns, provider), buildBatch(header, columns, provider)]
  t.not(a.manifest.blocks[0]!.sha256, b.manifest.blocks[0]!.sha256)
  t.not(a.manifest.blocks[0]!.sha256, sha256('["1"]'))
  t.notOk(JSON.stringify(a.manifest).includes('ength'), 'lengths are not in the manifest')
})

t.test('small batches are not compressed, large ones are', async (t) => {
  t.equal(buildBatch(header, [{ item: 'code', values: ['1'] }], provider).manifest.codec, 'none')
  const large = buildBatch(header, [{ item: 'code', values: Array.from({ length: 2000 }, () => '441900003001') }], provider)
  t.equal(large.manifest.codec, 'zstd')
  t.ok(large.bytes.length < 2000)
})

t.test('where a receiver may begin', async (t) => {
  const manifest = (seq: number, began: number) =>
    buildBatch({ ...header, seq, prev: seq === 1 ? null : 'a'.repeat(64), snapshot: { began, last: false } }, [], provider).manifest
  t.ok(beginsSnapshot(manifest(1, 1)))
  t.ok(beginsSnapshot(manifest(5, 5)))
  t.notOk(beginsSnapshot(manifest(5, 4)))
})

const value = fc.oneof({ arbitrary: fc.string({ unit: 'binary' }), weight: 4 }, fc.constant(null), fc.constant(''))

const someColumns: fc.Arbitrary<Column[]> = fc
  .nat(200)
  .chain((rows) =>
    fc
      .uniqueArray(fc.stringMatching(/^[a-z][a-z0-9_]{0,29}$/), { minLength: 1, maxLength: 8 })
      .chain((items) =>
        fc.tuple(...items.map((item) => fc.array(value, { minLength: rows, maxLength: rows }).map((values) => ({ item, values })))),
      ),
  )

t.test('property: any rows come through build, split, project and open unchanged', async () => {
  fc.assert(
    fc.property(someColumns, fc.infiniteStream(fc.boolean()), (columns, choose) => {
      const kept = columns.filter(() => choose.next().value)
      const { bytes } = buildBatch(header, columns, provider)
      const projected = projectBatch(splitBatch(bytes), new Set(kept.map(({ item }) => item)))
      assertSame(readAll(bytes), columns)
      assertSame(readAll(projected), kept)
    }),
    { numRuns: 150 },
  )
})

t.test('property: a flipped bit is refused, or changes no value', async () => {
  fc.assert(
    fc.property(someColumns, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), fc.nat(7), (columns, where, bit) => {
      const { bytes } = buildBatch(header, columns, provider)
      bytes[Math.floor(where * bytes.length)]! ^= 1 << bit
      const code = refusal(bytes)
      if (code === 'accepted') assertSame(readAll(bytes), columns)
      else if (!code.startsWith('QZ-BATCH-')) throw new Error(code)
    }),
    { numRuns: 200 },
  )
})

t.test('every single byte of a container, flipped', async (t) => {
  for (const { name, container, values } of readVectors('batches.json').filter(({ container }) => container.length < 4000)) {
    const bytes = Buffer.from(container, 'base64')
    for (let at = 0; at < bytes.length; at++) {
      bytes[at]! ^= 0xff
      const code = refusal(bytes)
      if (code === 'accepted') t.same(readAll(bytes), values, `${name}, byte ${at}`)
      else if (!code.startsWith('QZ-BATCH-')) t.fail(`${name}, byte ${at}: ${code}`)
      bytes[at]! ^= 0xff
    }
    t.same(readAll(bytes), values, name)
  }
})

t.test('property: arbitrary bytes are refused with a code', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, magic) => {
      const code = refusal(magic ? Buffer.concat([Buffer.from('QZB1\0\0\0'), bytes]) : Buffer.from(bytes))
      if (!code.startsWith('QZ-BATCH-')) throw new Error(code)
    }),
    { numRuns: 500 },
  )
})

function assertSame(found: unknown, wanted: unknown): void {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) throw new Error(`${JSON.stringify(found)} is not ${JSON.stringify(wanted)}`)
}
