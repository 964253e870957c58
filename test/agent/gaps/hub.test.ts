/** The hub of an agent behind a one-way gap: files as they come through, in any order, twice, in pieces, forged. */
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { gapRequest } from '../../../protocol/gap.ts'
import { appliedReceipt } from '../../../protocol/receipt.ts'
import { generateSigningKey } from '../../../protocol/signature.ts'
import { batchFileName } from '../../../agent/gaps/files.ts'
import { until } from '../../support/programs.ts'
import { listed, makeInside, makeStream, policyFor, positionOf, route, type Inside } from './fixture.ts'

/** Polls until a route is told this code. */
async function told(inside: Inside, code: string, ask: Parameters<Inside['poll']>[0]) {
  return until(`${code} is told`, async () => (await inside.poll(ask, 0.2)).header.routes.find((said) => said.code === code), 10)
}

function statementIn(folder: string): string {
  const [name, ...more] = listed(folder)
  if (!name || more.length > 0) throw new Error(`not one file: ${listed(folder).join()}`)
  return (JSON.parse(readFileSync(join(folder, name), 'utf8')) as { statement: string }).statement
}

function receiptFor(inside: Inside, batch: ReturnType<typeof makeStream>[number]): string {
  const counts = { batches: 1, written: 1, deleted: 0, quarantined: 0, quarantine: 0 }
  return appliedReceipt.sign({ route, ...positionOf(batch), time: new Date().toISOString(), ...counts }, inside.keys.inner)
}

t.test('batches are given in their order, however they came', async (t) => {
  const inside = makeInside(t)
  await inside.hand(inside.policy!)
  const stream = makeStream(inside.keys, 12)
  for (const batch of stream.toReversed()) inside.deliver(batch)
  // Old gaps write names in capital letters, and everything may come twice.
  inside.deliver(stream[3]!, `${route.toUpperCase()}/${batchFileName(stream[3]!.manifest).toUpperCase()}`)
  const { header, batches } = await inside.poll()
  t.strictSame(
    batches.map(({ bytes }) => bytes),
    stream.map(({ bytes }) => bytes),
  )
  t.strictSame(header.routes, [])
  const rest = await inside.poll({ after: positionOf(stream[8]!) })
  t.strictSame(
    rest.batches.map(({ bytes }) => bytes),
    stream.slice(9).map(({ bytes }) => bytes),
  )
  const little = await inside.poll({ credit: 1 })
  t.equal(little.batches.length, 1, 'no more than there is room for')
  t.equal((await inside.poll({ credit: 0 })).batches.length, 0)
})

t.test('the policy comes first, and only from the pinned keys', async (t) => {
  const inside = makeInside(t)
  inside.policy = undefined
  await t.rejects(inside.poll(), { code: 'QZ-GAP-STATEMENT' }, 'there is no gap.json yet')
  const policy = policyFor(inside.keys, { serial: 7 })
  const stranger = generateSigningKey()
  await inside.hand(policy, stranger)
  await t.rejects(inside.poll(), { code: 'QZ-GAP-STATEMENT' }, 'another outer agent')
  await inside.hand(policy, inside.keys.outer, stranger)
  await t.rejects(inside.poll(), { code: 'QZ-POLICY-SIGNATURE' }, 'another hub')
  await inside.hand(policy)
  inside.deliver(makeStream(inside.keys, 1)[0]!)
  const { header, batches } = await inside.poll()
  t.ok(header.policy)
  t.equal(batches.length, 0, 'what follows is judged by the new policy')
  inside.policy = policy
  t.equal((await inside.poll()).batches.length, 1)
})

t.test('what is missing is named, and asked for where there is a way out', async (t) => {
  const inside = makeInside(t)
  await inside.hand(inside.policy!)
  const stream = makeStream(inside.keys, 6)
  for (const n of [0, 1, 4, 5]) inside.deliver(stream[n]!)
  const after = positionOf(stream[1]!)
  t.strictSame((await inside.poll({ after })).header.routes, [], 'it may still come')
  const said = await told(inside, 'QZ-GAP-MISSING', { after })
  t.match(said.details, { route, batches: '5-3..4' })
  const request = gapRequest.open(statementIn(join(inside.out, 'requests', route)), inside.keys.inner.publicKey)
  t.match(request, { route, batches: [{ epoch: 5, from: 3, to: 4 }] })
  inside.deliver(stream[3]!)
  t.match((await told(inside, 'QZ-GAP-MISSING', { after })).details, { batches: '5-3' })
  inside.deliver(stream[2]!)
  const { header, batches } = await inside.poll({ after })
  t.equal(batches.length, 4)
  t.strictSame(header.routes, [])
})

t.test('a missing end shows by what the outside says of how far it is', async (t) => {
  const inside = makeInside(t)
  await inside.hand(inside.policy!)
  const stream = makeStream(inside.keys, 4)
  for (const batch of stream.slice(0, 2)) inside.deliver(batch)
  await inside.head(stream[3]!, generateSigningKey())
  const after = positionOf(stream[1]!)
  await inside.poll({ after }, 0.6)
  t.strictSame((await inside.poll({ after }, 0.6)).header.routes, [], 'a forged word on it counts nothing')
  await inside.head(stream[3]!)
  t.match((await told(inside, 'QZ-GAP-MISSING', { after })).details, { batches: '5-3..4' })
  const [lost] = makeStream(inside.keys, 3, { epoch: 6, snapshot: 3 }).slice(2)
  inside.deliver(lost!)
  t.match((await told(inside, 'QZ-GAP-MISSING', { after: positionOf(stream[3]!) })).details, { batches: '6-1..2' })
})

t.test('all holes are named at once', async (t) => {
  const inside = makeInside(t)
  await inside.hand(inside.policy!)
  const stream = makeStream(inside.keys, 12)
  for (const n of [0, 2, 3, 6, 7]) inside.deliver(stream[n]!)
  await inside.head(stream[10]!)
  const said = await told(inside, 'QZ-GAP-MISSING', { after: positionOf(stream[0]!) })
  t.match(said.details, { batches: '5-2 5-5..6 5-9..11' })
})

t.test('without a beginning a snapshot is asked for; a later one is gone on with', async (t) => {
  const inside = makeInside(t)
  await inside.hand(inside.policy!)
  const stream = makeStream(inside.keys, 8, { begins: 6, snapshot: 2 })
  inside.deliver(stream[2]!)
  t.match((await told(inside, 'QZ-GAP-SNAPSHOT', {})).details, { route })
  const request = gapRequest.open(statementIn(join(inside.out, 'requests', route)), inside.keys.inner.publicKey)
  t.match(request, { route, snapshot: { after: null } })
  // The second part of a snapshot says where that began.
  rmSync(join(inside.in, route), { recursive: true })
  inside.deliver(stream[6]!)
  t.match((await told(inside, 'QZ-GAP-MISSING', {})).details, { batches: '5-6' })
  inside.deliver(stream[5]!)
  inside.deliver(stream[7]!)
  t.equal((await inside.poll()).batches.length, 3)
  t.equal((await inside.poll({ after: positionOf(stream[1]!) })).batches.length, 3, 'from before it too')
  t.equal((await inside.poll({ after: positionOf(stream[1]!), broken: 'QZ-CHAIN-BROKEN' })).batches.length, 3)
})

t.test('a stream with another past is not gone on with', async (t) => {
  const inside = makeInside(t)
  await inside.hand(inside.policy!)
  const [ours, other] = [makeStream(inside.keys, 3), makeStream(inside.keys, 3)]
  inside.deliver(other[2]!)
  await told(inside, 'QZ-GAP-SNAPSHOT', { after: positionOf(ours[1]!) })
  t.pass('a snapshot is needed')
})

t.test('half files are waited for', async (t) => {
  const inside = makeInside(t, { stable: 600 })
  await inside.hand(inside.policy!)
  const [batch] = makeStream(inside.keys, 1)
  mkdirSync(join(inside.in, route))
  const place = join(inside.in, route, batchFileName(batch!.manifest))
  writeFileSync(place, batch!.bytes.subarray(0, 100))
  t.equal((await inside.poll()).batches.length, 0)
  t.strictSame(inside.rejected(), [], 'it is perhaps still being written')
  writeFileSync(place, batch!.bytes)
  t.equal((await inside.poll()).batches.length, 1)
})

t.test('broken and foreign files are refused with the reason', async (t) => {
  const inside = makeInside(t)
  await inside.hand(inside.policy!)
  const stream = makeStream(inside.keys, 3)
  const name = (n: number) => batchFileName(stream[n]!.manifest)
  mkdirSync(join(inside.in, route))
  inside.deliver(stream[0]!)
  t.equal((await inside.poll()).batches.length, 1)

  const after = positionOf(stream[0]!)
  const altered = Buffer.from(stream[1]!.bytes)
  altered[altered.length - 1]! ^= 1
  writeFileSync(join(inside.in, route, name(1)), altered)
  await until('it is refused', async () => (await inside.poll({ after }, 0.2)) && inside.rejected().length > 0, 10)
  t.strictSame(inside.rejected(), [name(1), `${name(1)}.txt`])
  t.match(readFileSync(join(inside.in, 'rejected', route, `${name(1)}.txt`), 'utf8'), /QZ-BATCH-BLOCK[^]*数据块[^]*Block/)

  const forged = makeStream({ ...inside.keys, provider: generateSigningKey() }, 2)[1]!
  inside.deliver(forged)
  await until(
    'it is refused',
    async () => (await inside.poll({ after }, 0.2)) && inside.rejected().length > 1 && !listed(join(inside.in, route)).includes(name(1)),
    10,
  )
  t.match(readFileSync(join(inside.in, 'rejected', route, `${name(1)}.txt`), 'utf8'), /QZ-BATCH-SIGNATURE/)

  inside.deliver(stream[2]!, `${route}/${name(1)}`)
  await until(
    'a batch under another name is refused',
    async () => (await inside.poll({ after }, 0.2)) && !listed(join(inside.in, route)).includes(name(1)),
    10,
  )
  writeFileSync(join(inside.in, 'outside.qzb'), stream[1]!.bytes)
  symlinkSync(join(inside.in, 'outside.qzb'), join(inside.in, route, name(1)))
  t.equal((await inside.poll({ after }, 0.6)).batches.length, 0, 'a link is not followed')
  rmSync(join(inside.in, route, name(1)))
  inside.deliver(stream[1]!)
  inside.deliver(stream[2]!)
  t.equal((await inside.poll({ after })).batches.length, 2, 'the true ones are taken')
})

t.test('batches from before an item was granted wait for those that have it', async (t) => {
  const inside = makeInside(t)
  inside.policy = policyFor(inside.keys, { serial: 2, items: ['id', 'name', 'phone'] })
  await inside.hand(inside.policy)
  const stream = makeStream(inside.keys, 2)
  for (const batch of stream) inside.deliver(batch)
  t.equal((await inside.poll()).batches.length, 0)
  t.match((await told(inside, 'QZ-GAP-MISSING', {})).details, { batches: '5-1..2' }, 'they are asked for anew')
  t.strictSame(inside.rejected(), [])
  for (const batch of makeStream(inside.keys, 2, { items: ['id', 'name', 'phone'] })) inside.deliver(batch)
  t.equal((await inside.poll()).batches.length, 2)
})

t.test('a later schema version waits for the policy', async (t) => {
  const inside = makeInside(t)
  await inside.hand(inside.policy!)
  inside.deliver(makeStream(inside.keys, 1, { schema: 2 })[0]!)
  await told(inside, 'QZ-GAP-STATEMENT', {})
  t.strictSame(inside.rejected(), [])
  inside.policy = policyFor(inside.keys, { serial: 2, version: 2 })
  t.equal((await inside.poll()).batches.length, 1)
})

t.test('files go when what they hold is applied and not asked for again', async (t) => {
  for (const applied of ['remove', 'done'] as const) {
    const inside = makeInside(t, { gap: { applied } })
    await inside.hand(inside.policy!)
    const stream = makeStream(inside.keys, 3)
    for (const batch of stream) inside.deliver(batch)
    const names = stream.map(({ manifest }) => batchFileName(manifest))
    await inside.poll({ after: positionOf(stream[2]!) })
    t.strictSame(listed(join(inside.in, route)), names, 'received is not applied')
    await inside.hub.receipts([receiptFor(inside, stream[1]!)], AbortSignal.timeout(5000))
    await inside.poll()
    t.strictSame(listed(join(inside.in, route)), names, 'a table that is filled anew needs them')
    await inside.poll({ after: positionOf(stream[2]!) })
    t.strictSame(listed(join(inside.in, route)), names.slice(2))
    t.strictSame(listed(join(inside.in, 'done', route)), applied === 'done' ? names.slice(0, 2) : [])
  }
})

t.test('what came for a policy that is on its way is kept for it', async (t) => {
  const inside = makeInside(t)
  await inside.hand(inside.policy!)
  const stream = makeStream(inside.keys, 2)
  for (const batch of stream) inside.deliver(batch)
  const after = positionOf(stream[1]!)
  await inside.hub.receipts([receiptFor(inside, stream[1]!)], AbortSignal.timeout(5000))
  await inside.poll({ after })
  t.strictSame(listed(join(inside.in, route)), [])
  const wide = makeStream(inside.keys, 2, { items: ['id', 'name', 'phone'] })
  for (const batch of wide) inside.deliver(batch)
  await inside.poll({ after })
  inside.policy = policyFor(inside.keys, { serial: 2, items: ['id', 'name', 'phone'] })
  await inside.hand(inside.policy)
  t.equal((await inside.poll()).batches.length, 2, 'the table is filled anew from it')
  for (const batch of stream) inside.deliver(batch)
  await until(
    'what nobody wants goes in the end',
    async () => (await inside.poll({ after }), listed(join(inside.in, route)).length === 0),
    10,
  )
})

t.test('receipts go out as files, the newest one of each route', async (t) => {
  const inside = makeInside(t)
  const stream = makeStream(inside.keys, 2)
  const folder = join(inside.out, 'receipts', route)
  for (const batch of stream) {
    await inside.hub.receipts([receiptFor(inside, batch)], AbortSignal.timeout(5000))
    t.match(appliedReceipt.open(statementIn(folder), inside.keys.inner.publicKey), { route, ...positionOf(batch) })
  }
  const forged = makeInside(t)
  await inside.hub.receipts([receiptFor(forged, stream[0]!)], AbortSignal.timeout(5000))
  t.match(appliedReceipt.open(statementIn(folder), inside.keys.inner.publicKey), { seq: 2 }, 'only its own')
})

t.test('a folder that is gone is told, and gone on with', async (t) => {
  const inside = makeInside(t)
  await inside.hand(inside.policy!)
  inside.deliver(makeStream(inside.keys, 1)[0]!)
  t.equal((await inside.poll()).batches.length, 1)
  const { renameSync } = await import('node:fs')
  renameSync(inside.in, `${inside.in}.away`)
  await t.rejects(inside.poll(), { code: 'QZ-FOLDER-UNREACHABLE' })
  mkdirSync(inside.in)
  await t.rejects(inside.poll(), { code: 'QZ-FOLDER-UNREACHABLE' }, 'an empty mount point is not the folder')
  rmSync(inside.in, { recursive: true })
  renameSync(`${inside.in}.away`, inside.in)
  t.equal((await inside.poll()).batches.length, 1)
})

t.test('a poll is held until something comes', async (t) => {
  const inside = makeInside(t)
  await inside.hand(inside.policy!)
  await inside.poll()
  const waiting = inside.poll({}, 15)
  inside.deliver(makeStream(inside.keys, 1)[0]!)
  const started = performance.now()
  t.equal((await waiting).batches.length, 1)
  t.ok(performance.now() - started < 5000)
})

t.test('what needs the hub itself is refused', async (t) => {
  const { hub } = makeInside(t, { gap: {} })
  for (const call of [hub.reconcile(), hub.reconciliation(), hub.answer()] as Promise<unknown>[])
    await t.rejects(call, { code: 'QZ-GAP-ONE-WAY' })
})
