/** A provider inside a gap: what it writes, and what it makes of what comes in. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import type { BuiltBatch } from '../../../protocol/batch.ts'
import { gapRequest, type GapRequest } from '../../../protocol/gap.ts'
import { storedReceipt } from '../../../protocol/receipt.ts'
import { generateSigningKey } from '../../../protocol/signature.ts'
import { batchFileName, statementText } from '../../../agent/gaps/files.ts'
import { GapSupply } from '../../../agent/gaps/supply.ts'
import { smallDisk } from '../../support/small-disk.ts'
import { listed, makeKeys, makeStream, positionOf, temporaryFolder } from './fixture.ts'

const keys = makeKeys()

function makeSupply(t: Test, root = temporaryFolder(t), data = join(root, 'data')) {
  const [out, back] = [join(root, 'out'), join(root, 'in')]
  mkdirSync(out, { recursive: true })
  mkdirSync(back, { recursive: true })
  const folder = (path: string) => ({ path, ready: 'stable' as const, stable: 1, look: 1 })
  const open = () => {
    const supply = new GapSupply({
      gap: { in: folder(back), out: folder(out), applied: 'remove', grace: 1000, again: 1000, copies: { days: 1, bytes: 1 << 30 } },
      identity: { agent: 'provider-1', hubKey: keys.hub.publicKey, outer: keys.outer.publicKey },
      key: keys.provider,
      data,
      logger: pino({ level: 'silent' }),
      clock: () => new Date(),
    })
    t.teardown(() => supply.close())
    return supply
  }
  return { out, back, data, root, open, files: () => listed(join(out, 'people')) }
}

const names = (stream: readonly BuiltBatch[]) => stream.map(({ manifest }) => batchFileName(manifest))

function bring(back: string, name: string, statement: string): void {
  mkdirSync(dirname(join(back, name)), { recursive: true })
  writeFileSync(join(back, name), statementText(statement, {}))
}

function stored(batch: BuiltBatch, key = keys.hub): string {
  return storedReceipt.sign({ resource: 'people', producer: 'provider-1', ...positionOf(batch), time: new Date().toISOString() }, key)
}

const ask = (wanted: Pick<GapRequest, 'batches' | 'snapshot'>, key = keys.outer) =>
  gapRequest.sign({ kind: 'gap-request', route: 'people', ...wanted, time: new Date().toISOString() }, key)

t.test('a batch is a file, and its own receipt says so', async (t) => {
  const place = makeSupply(t)
  const supply = place.open()
  const stream = makeStream(keys, 3)
  t.same(await supply.head('people'), { head: null, epoch: 0 })
  for (const batch of stream) {
    const { receipt } = await supply.sendBatch(batch.bytes)
    t.match(storedReceipt.open(receipt, keys.provider.publicKey), { resource: 'people', producer: 'provider-1', ...positionOf(batch) })
  }
  t.strictSame(place.files(), names(stream))
  t.ok(stream[1]!.bytes.equals(readFileSync(join(place.out, 'people', names(stream)[1]!))))
  t.same(await supply.head('people'), { head: positionOf(stream[2]!), epoch: 5 })
  t.ok((await supply.sendBatch(stream[2]!.bytes)).receipt, 'the same again')
  t.strictSame(
    await supply.own('people', positionOf(stream[0]!)),
    stream.slice(1).map(({ bytes }) => bytes),
  )
  await t.rejects(supply.sendBatch(makeStream(keys, 4)[3]!.bytes), { code: 'QZ-BATCH-HEAD' }, 'another past')
  const next = makeStream(keys, 1, { epoch: 6 })
  await supply.sendBatch(next[0]!.bytes)
  t.same(await supply.head('people'), { head: positionOf(next[0]!), epoch: 6 })
  supply.renew('people')
  t.same(await supply.head('people'), { head: null, epoch: 0 })
  await t.rejects(supply.sendBatch(makeStream(keys, 2, { epoch: 6 })[1]!.bytes), { code: 'QZ-BATCH-HEAD' })
})

t.test('what was decided before a crash, or a full disk, is written after it', async (t) => {
  const disk = smallDisk(t, process.getuid!())
  if (!disk) return void t.pass('no small disk', { skip: 'a tmpfs cannot be mounted here' })
  const place = makeSupply(t, join(disk.folder, 'gap'), join(temporaryFolder(t), 'data'))
  const supply = place.open()
  const stream = makeStream(keys, 3)
  await supply.sendBatch(stream[0]!.bytes)
  disk.fill()
  await t.rejects(supply.sendBatch(stream[1]!.bytes), { code: 'QZ-FOLDER-UNREACHABLE' })
  t.strictSame(place.files(), names(stream.slice(0, 1)))
  supply.close()
  disk.free()
  const again = place.open()
  t.same((await again.head('people')).head, positionOf(stream[1]!), 'the stream goes on from what it decided')
  t.strictSame(place.files(), names(stream.slice(0, 2)), 'and its file is there')
})

t.test('the outside asks for batches and for snapshots, and brings receipts', async (t) => {
  const place = makeSupply(t)
  const supply = place.open()
  const stream = makeStream(keys, 6, { begins: 4 })
  for (const batch of stream) await supply.sendBatch(batch.bytes)
  const folder = join(place.out, 'people')
  rmSync(folder, { recursive: true })
  bring(place.back, 'requests/people/1.json', ask({ batches: [{ epoch: 5, from: 2, to: 3 }] }))
  bring(place.back, 'REQUESTS/PEOPLE/2.JSON', ask({ batches: [{ epoch: 5, from: 5, to: 5 }] }, generateSigningKey()))
  t.strictSame(await supply.take(place.back), [])
  t.strictSame(place.files(), names(stream.slice(1, 3)), 'a stranger is not served')
  t.strictSame(listed(join(place.back, 'requests', 'people')), [])

  bring(place.back, 'receipts/people/1.json', stored(stream[2]!, generateSigningKey()))
  await supply.take(place.back)
  t.equal((await supply.own('people', { epoch: 5, seq: 0 })).length, 6, 'only the hub says what it has')
  bring(place.back, 'receipts/people/1.json', stored(stream[2]!))
  await supply.take(place.back)
  t.equal((await supply.own('people', { epoch: 5, seq: 0 })).length, 3, 'copies of what the hub has go')

  bring(place.back, 'requests/people/3.json', ask({ snapshot: { after: { epoch: 5, seq: 6 } } }))
  t.strictSame(await supply.take(place.back), [{ resource: 'people', after: { epoch: 5, seq: 6 } }])
  t.equal((await supply.take(place.back)).length, 1, 'until there is one')
  const later = makeStream(keys, 1, { epoch: 9 })
  await supply.sendBatch(later[0]!.bytes)
  t.strictSame(await supply.take(place.back), [])

  bring(place.back, 'requests/people/4.json', ask({ batches: [{ epoch: 5, from: 1, to: 2 }] }))
  await supply.take(place.back)
  t.equal((await supply.head('people')).head, null, 'what is not kept any more can only be followed by a new epoch')
})

t.test('a machine that was put back to an older state learns from the hub how far it was', async (t) => {
  const place = makeSupply(t)
  const supply = place.open()
  const [stream] = [makeStream(keys, 5)]
  for (const batch of stream.slice(0, 2)) await supply.sendBatch(batch.bytes)
  bring(place.back, 'receipts/people/1.json', stored(stream[4]!))
  await supply.take(place.back)
  t.same((await supply.head('people')).head, positionOf(stream[4]!))
  await t.rejects(supply.sendBatch(stream[2]!.bytes), { code: 'QZ-BATCH-HEAD' })
  bring(place.back, 'requests/people/1.json', ask({ snapshot: { after: { epoch: 5, seq: 5 }, epoch: true } }))
  t.equal((await supply.take(place.back)).length, 1)
  t.equal((await supply.head('people')).head, null)
})

t.test('a request that comes once more when the hub has everything asks for nothing', async (t) => {
  const place = makeSupply(t)
  const supply = place.open()
  const stream = makeStream(keys, 3)
  for (const batch of stream) await supply.sendBatch(batch.bytes)
  const request = gapRequest.sign(
    { kind: 'gap-request', route: 'people', batches: [{ epoch: 5, from: 2, to: 3 }], time: new Date(Date.now() - 1000).toISOString() },
    keys.outer,
  )
  bring(place.back, 'requests/people/1.json', request)
  bring(place.back, 'receipts/people/1.json', stored(stream[2]!))
  t.strictSame(await supply.take(place.back), [])
  t.same((await supply.head('people')).head, positionOf(stream[2]!), 'no new epoch is begun for it')
})
