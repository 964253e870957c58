import fc from 'fast-check'
import t from 'tap'
import { Compile } from 'typebox/compile'
import { decodeDelivery, encodeDelivery, EnrolRequest, protocolVersion, servedVersions, type DeliveryHeader } from '../../protocol/api.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import { readVectors } from '../vectors/read.ts'
import { wireShapes } from '../vectors/wire.ts'

const { accepted, refused } = readVectors('deliveries.json')

function refusal(bytes: Buffer): string {
  try {
    decodeDelivery(bytes)
    return 'accepted'
  } catch (error) {
    return error instanceof QianzhiError ? error.code : `no coded error: ${String(error)}`
  }
}

t.test('deliveries of the vectors', async (t) => {
  for (const { name, container, header, batches } of accepted) {
    const bytes = Buffer.from(container, 'base64')
    const delivery = decodeDelivery(bytes)
    const parts = delivery.batches.map((batch) => batch.bytes)
    t.same(delivery.header, header, `${name}: header`)
    t.same(
      parts.map((part) => part.toString()),
      batches,
      `${name}: batches`,
    )
    t.ok(encodeDelivery(delivery.header, parts).equals(bytes), `${name}: encoded again`)
  }
})

t.test('refused deliveries of the vectors', async (t) => {
  for (const { name, code, container } of refused) t.equal(refusal(Buffer.from(container, 'base64')), code, name)
})

t.test('a delivery may be cut off anywhere', async (t) => {
  const bytes = Buffer.from(accepted[0]!.container, 'base64')
  for (let end = 0; end < bytes.length; end++) {
    const code = refusal(bytes.subarray(0, end))
    if (code !== 'QZ-BATCH-FORMAT') t.fail(`cut off at ${end}: ${code}`)
  }
  t.equal(refusal(bytes), 'accepted')
})

t.test('property: any batches come back as they were', async () => {
  const batch = fc.tuple(
    fc.string(),
    fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
  )
  fc.assert(
    fc.property(fc.array(batch), (batches) => {
      const header: DeliveryHeader = {
        time: '2026-11-22T08:30:00Z',
        snapshots: [],
        routes: [],
        batches: batches.map(([route, { length }]) => ({ route, length })),
      }
      const bytes = encodeDelivery(
        header,
        batches.map(([, part]) => part),
      )
      const found = decodeDelivery(bytes).batches
      return (
        found.length === batches.length && found.every(({ route, bytes }, i) => route === batches[i]![0] && bytes.equals(batches[i]![1]))
      )
    }),
  )
})

t.test('property: arbitrary bytes are refused with a code', async () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.json().map((json) => Buffer.from(json)),
        fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      ),
      (bytes) => {
        const head = Buffer.from('QZD1\0\0\0\0')
        head.writeUInt32BE(bytes.length, 4)
        return refusal(Buffer.concat([head, bytes])) === 'QZ-BATCH-FORMAT'
      },
    ),
  )
})

t.test('a key can be enrolled in one spelling only', async (t) => {
  const request = (publicKey: string) => ({ secret: 'x', publicKey, name: 'A' })
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const shape = Compile(EnrolRequest)
  for (const { publicKey } of readVectors('keys.json')) {
    const spellings = Array.from(alphabet, (last) => publicKey.slice(0, -1) + last)
    const same = spellings.filter((text) => Buffer.from(text, 'base64url').equals(Buffer.from(publicKey, 'base64url')))
    t.equal(same.length, 4)
    t.same(
      same.filter((text) => shape.Check(request(text))),
      [publicKey],
    )
  }
})

t.test('what travels is what was recorded', async (t) => {
  const recorded = readVectors('wire.json')
  const now = wireShapes()
  t.equal(now.protocolVersion, recorded.protocolVersion, 'protocolVersion was raised: record its shapes (node test/vectors/make.ts wire)')
  t.same(Object.keys(now.shapes), Object.keys(recorded.shapes), 'the shapes that travel')
  for (const [name, shape] of Object.entries(now.shapes)) {
    t.same(shape, recorded.shapes[name], `${name}: raise protocolVersion, or record it knowingly (node test/vectors/make.ts wire)`)
  }
  t.same(now.paths, recorded.paths, 'paths')
  t.same(now.mediaTypes, recorded.mediaTypes, 'media types')
})

t.test('the hub serves the present version and the one before it at most', async (t) => {
  t.ok(servedVersions.includes(protocolVersion))
  t.ok(servedVersions.every((version) => version === protocolVersion || version === protocolVersion - 1))
})
