/** Bringing to the hub what came out of a gap: in order, once, and saying what is in the way. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import type { DeliveryHeader, PollRequest } from '../../../protocol/api.ts'
import { openBatch, splitBatch, type BuiltBatch } from '../../../protocol/batch.ts'
import { QianzhiError } from '../../../protocol/errors.ts'
import { gapRequest, gapStatement } from '../../../protocol/gap.ts'
import { signPolicy } from '../../../protocol/policy.ts'
import type { ChainPosition } from '../../../protocol/position.ts'
import { storedReceipt } from '../../../protocol/receipt.ts'
import { GapCarrier } from '../../../agent/gaps/carrier.ts'
import { batchFileName } from '../../../agent/gaps/files.ts'
import { StatusBoard } from '../../../agent/status/board.ts'
import { until } from '../../support/programs.ts'
import { listed, makeKeys, makeStream, policyFor, positionOf, temporaryFolder } from './fixture.ts'

const keys = makeKeys()

/** A hub of one stream, by the rules of the real one. */
function makeOutside(t: Test, { back = true } = {}) {
  const root = temporaryFolder(t)
  const folder = (name: string) => ({ path: join(root, name), ready: 'stable' as const, stable: 0.3, look: 1 })
  for (const name of ['arrived', 'back']) mkdirSync(join(root, name))
  const board = new StatusBoard('test', 's')
  const hub = {
    head: null as ChainPosition | null,
    got: [] as number[],
    snapshots: [] as DeliveryHeader['snapshots'],
    away: false,
    told: undefined as PollRequest['report'] | undefined,
    policy: signPolicy(policyFor(keys), keys.hub),
  }
  const carrier = new GapCarrier({
    carried: 'provider-1',
    name: 'arrived',
    folder: folder('arrived'),
    grace: 200,
    board,
    key: keys.outer,
    data: join(root, 'data'),
    ...(back && { back: folder('back') }),
    identity: { agent: 'outer-1', agency: 'police', urls: [], hubKey: keys.hub.publicKey },
    logger: pino({ level: 'silent' }),
    hub: {
      now: () => new Date(),
      async head(resource) {
        if (resource !== 'people') throw new QianzhiError('QZ-SUPPLY-NOT-ALLOWED', { resource })
        return { head: hub.head, epoch: hub.head?.epoch ?? 0 }
      },
      async poll({ report }) {
        hub.told = report
        const header = { time: new Date().toISOString(), snapshots: hub.snapshots, routes: [], batches: [], policy: hub.policy }
        return { header, batches: [] }
      },
      async sendBatch(bytes) {
        if (hub.away) throw new QianzhiError('QZ-HUB-UNREACHABLE', { url: 'x', reason: 'y' })
        const { manifest, hash } = openBatch(splitBatch(bytes), (id) => (id === keys.provider.id ? keys.provider.publicKey : undefined))
        const { epoch, seq, prev, resource, producer } = manifest
        const fits = seq === 1 ? epoch > (hub.head?.epoch ?? 0) : prev === hub.head?.hash
        if (!fits && hub.head?.hash !== hash) throw new QianzhiError('QZ-BATCH-HEAD', { position: `${epoch}/${seq}`, head: '-' })
        hub.head = { epoch, seq, hash }
        hub.got.push(seq)
        return { receipt: storedReceipt.sign({ resource, producer, epoch, seq, hash, time: new Date().toISOString() }, keys.hub) }
      },
    },
  })
  const path = join(root, 'arrived', 'PEOPLE')
  return {
    hub,
    carrier,
    board,
    arrived: join(root, 'arrived'),
    look: () => carrier.look(AbortSignal.timeout(5000)),
    report: () => board.sources.get('people'),
    deliver(batch: BuiltBatch, bytes: Uint8Array = batch.bytes) {
      mkdirSync(path, { recursive: true })
      writeFileSync(join(path, batchFileName(batch.manifest).toUpperCase()), bytes)
    },
    files: () => listed(path),
    back: (...names: string[]) => join(root, 'back', ...names),
    rejected: () => listed(join(root, 'arrived', 'rejected', 'people')),
    /** The one request that waits for the inside. */
    request() {
      const [name] = listed(join(root, 'back', 'requests', 'people'))
      const text = name && readFileSync(join(root, 'back', 'requests', 'people', name), 'utf8')
      return text ? gapRequest.open((JSON.parse(text) as { statement: string }).statement, keys.outer.publicKey) : undefined
    },
  }
}

t.test('batches are brought in order, once, and what the hub says goes in', async (t) => {
  const outside = makeOutside(t)
  const stream = makeStream(keys, 5)
  for (const batch of stream) outside.deliver(batch)
  await outside.look()
  t.strictSame(outside.hub.got, [1, 2, 3, 4, 5])
  t.strictSame(outside.files(), [])
  outside.deliver(stream[2]!)
  await outside.look()
  t.strictSame(outside.hub.got, [1, 2, 3, 4, 5], 'what the hub has is not brought again')
  t.strictSame(outside.files(), [])
  t.match(outside.report(), { state: 'flowing', position: positionOf(stream[4]!), waiting: 0 })
  const [receipt] = listed(outside.back('receipts', 'people'))
  const text = readFileSync(outside.back('receipts', 'people', receipt!), 'utf8')
  t.match(storedReceipt.open((JSON.parse(text) as { statement: string }).statement, keys.hub.publicKey), { seq: 5 })
  const gap = JSON.parse(readFileSync(outside.back('gap.json'), 'utf8')) as { statement: string }
  t.match(gapStatement.open(gap.statement, keys.outer.publicKey), { agent: 'provider-1', policy: outside.hub.policy })
})

t.test('what is missing is named and asked for', async (t) => {
  const outside = makeOutside(t)
  const stream = makeStream(keys, 8)
  for (const n of [0, 1, 4, 5, 7]) outside.deliver(stream[n]!)
  await outside.look()
  t.notOk(outside.report()!.fault, 'it may still come')
  await until('it is named', async () => (await outside.look(), outside.report()?.fault?.code === 'QZ-GAP-LOST'))
  t.match(outside.report()!.fault!.en, /5-3\.\.4 5-7/)
  t.match(outside.request(), {
    route: 'people',
    batches: [
      { epoch: 5, from: 3, to: 4 },
      { epoch: 5, from: 7, to: 7 },
    ],
  })
  for (const n of [2, 3, 6]) outside.deliver(stream[n]!)
  await outside.look()
  t.equal(outside.hub.got.length, 8)
  t.match(outside.report(), { state: 'flowing', fault: undefined })
})

t.test('half a file is waited for, a broken one set aside', async (t) => {
  const outside = makeOutside(t)
  const stream = makeStream(keys, 2)
  outside.deliver(stream[0]!, stream[0]!.bytes.subarray(0, 60))
  await outside.look()
  t.strictSame(outside.rejected(), [])
  t.match(outside.report()!.fault, { code: 'QZ-BATCH-FORMAT' })
  outside.deliver(stream[0]!)
  await outside.look()
  t.strictSame(outside.hub.got, [1])
  outside.deliver(stream[1]!, stream[1]!.bytes.subarray(0, 60))
  await until('it is set aside', async () => (await outside.look(), outside.rejected().length === 1))
  t.strictSame(outside.files(), [])
})

t.test('a hub that is away is waited for', async (t) => {
  const outside = makeOutside(t)
  outside.deliver(makeStream(keys, 1)[0]!)
  outside.hub.away = true
  const failure = await outside.look().catch((error: QianzhiError) => error)
  t.match(failure, { code: 'QZ-HUB-UNREACHABLE' })
  outside.carrier.failed(failure as QianzhiError)
  t.match(outside.report(), { state: 'held', fault: { code: 'QZ-HUB-UNREACHABLE' } })
  t.equal(outside.files().length, 1)
  outside.hub.away = false
  await outside.look()
  t.match(outside.report(), { state: 'flowing', fault: undefined })
})

t.test('another past than the hub has: a new epoch is asked for', async (t) => {
  const outside = makeOutside(t)
  const [ours, other] = [makeStream(keys, 3), makeStream(keys, 4)]
  for (const batch of ours.slice(0, 2)) outside.deliver(batch)
  await outside.look()
  outside.deliver(other[2]!)
  await until('it is asked for', async () => (await outside.look(), outside.request() !== undefined))
  t.match(outside.request(), { route: 'people', snapshot: { after: { epoch: 5, seq: 2 }, epoch: true } })
  await until('it is named', async () => (await outside.look(), outside.report()?.fault?.code === 'QZ-GAP-RENEW'))
  outside.deliver(makeStream(keys, 1, { epoch: 6 })[0]!)
  await until('it is gone on with', async () => (await outside.look(), outside.hub.head?.epoch === 6))
  await outside.look()
  t.match(outside.report(), { state: 'flowing' })
  t.strictSame(outside.files(), [], 'what was of the other past goes')
})

t.test('a machine inside that was put back says other things at places that the hub has: a new epoch is asked for at once', async (t) => {
  const outside = makeOutside(t)
  const ours = makeStream(keys, 4)
  for (const batch of ours) outside.deliver(batch)
  await outside.look()
  // Put back to its second batch, it goes on from there.
  const other = makeStream(keys, 3, { items: ['id', 'name', 'since'] })
  for (const batch of [ours[1]!, other[2]!]) outside.deliver(batch)
  await outside.look()
  t.match(outside.report(), { state: 'held', fault: { code: 'QZ-GAP-RENEW' } })
  t.match(outside.request(), { route: 'people', snapshot: { after: { epoch: 5, seq: 4 }, epoch: true } })
  t.strictSame(outside.hub.got, [1, 2, 3, 4])
  t.equal(outside.rejected().length, 1)
  await outside.look()
  t.match(outside.report()!.fault, { code: 'QZ-GAP-RENEW' }, 'as long as there is no new epoch')
  outside.deliver(makeStream(keys, 1, { epoch: 6 })[0]!)
  await outside.look()
  t.match(outside.report(), { state: 'flowing', fault: undefined, position: { epoch: 6 } })
})

t.test('without a way in the operator is told what the hub wants', async (t) => {
  const outside = makeOutside(t, { back: false })
  outside.hub.snapshots = [{ resource: 'people', after: null }]
  outside.deliver(makeStream(keys, 1)[0]!)
  await outside.look()
  t.match(outside.report()!.fault, { code: 'QZ-GAP-RENEW' })
})

t.test('what the hub does not take of one resource holds up no other', async (t) => {
  const outside = makeOutside(t)
  for (const name of ['aaa', 'not a resource']) {
    mkdirSync(join(outside.arrived, name))
    writeFileSync(join(outside.arrived, name, '0000000005-0000000001.qzb'), 'x')
  }
  for (const batch of makeStream(keys, 2)) outside.deliver(batch)
  await outside.look()
  t.strictSame(outside.hub.got, [1, 2])
  t.match(outside.board.sources.get('aaa'), { state: 'held', fault: { code: 'QZ-SUPPLY-NOT-ALLOWED' } })
  t.match(outside.report(), { state: 'flowing', fault: undefined })
  t.notOk(outside.board.sources.has('not a resource'))
})

t.test('the morning line of the agent that brings is not told for the other', async (t) => {
  const outside = makeOutside(t)
  const all = { level: 0, all: 0 }
  const line = { day: '2026-01-01', time: '2026-01-01T00:30:00Z', sources: all, routes: all, waiting: 0, quarantine: 0, held: 0, paused: 0 }
  outside.board.morning = { at: '08:30', timezone: 'Asia/Shanghai', line }
  await outside.look()
  t.match(outside.hub.told, { version: 'test', sinks: [], morning: undefined })
})
