/** The outer side of a gap: what it tells the inside, and what it makes of what comes back. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { gapHead, gapRequest, gapStatement, type GapRequest } from '../../../protocol/gap.ts'
import { signPolicy } from '../../../protocol/policy.ts'
import { appliedReceipt, removalReceipt } from '../../../protocol/receipt.ts'
import type { BuiltBatch } from '../../../protocol/batch.ts'
import { generateSigningKey } from '../../../protocol/signature.ts'
import type { SinkTable } from '../../../agent/database.ts'
import { BatchSink } from '../../../agent/gaps/batch-sink.ts'
import { claimFolder } from '../../../agent/folders/store/owner.ts'
import { batchFileName, statementText } from '../../../agent/gaps/files.ts'
import { acceptKey, GapOutlet } from '../../../agent/gaps/outlet.ts'
import { StatusBoard } from '../../../agent/status/board.ts'
import { Wake } from '../../../agent/runtime/wake.ts'
import { listed, makeKeys, makeStream, policyFor, positionOf, route, schema, temporaryFolder } from './fixture.ts'

const keys = makeKeys()

async function makeOutside(t: Test) {
  const root = temporaryFolder(t)
  const [out, back, data] = [join(root, 'out'), join(root, 'back'), join(root, 'data')]
  for (const folder of [out, back, data]) mkdirSync(folder)
  const folder = (path: string) => ({ url: `folder:${path}`, folder: { path, ready: 'stable' as const, stable: 1, look: 1 } })
  const columns = schema.items.slice(0, 2).map((item) => ({ item, column: item.name }))
  const sink: SinkTable = {
    route,
    resource: 'people',
    table: 'people',
    schema,
    columns,
    source: 'police',
    deletes: 'remove',
    shared: false,
    files: {
      contents: 'batches',
      write: 'whole',
      headers: 'labels',
      formulas: 'keep',
      gather: 60,
      format: { timezone: 'Asia/Shanghai' },
      copies: { days: 30, bytes: 1 << 30 },
    },
  }
  const logger = pino({ level: 'silent' })
  const settings = { path: out, data, agent: 'outer-1', ready: 'stable' as const, stable: 1, look: 1, sign: () => '', logger }
  await claimFolder(settings)
  const written = new BatchSink(sink, settings)
  t.teardown(() => written.close())
  await written.open()
  const board = new StatusBoard('test', 's')
  const report = board.sink(route, { resource: 'people', database: 'out', table: 'people' })
  const outside = {
    out,
    back,
    data,
    report,
    restarts: 0,
    renewals: 0,
    policy: signPolicy(policyFor(keys), keys.hub),
    logged: [] as string[],
    async write(stream: readonly BuiltBatch[]) {
      for (const batch of stream) {
        const { snapshot, epoch, rows } = batch.manifest
        const change = { from: report.position, to: positionOf(batch), rows, columns: [], bytes: batch.bytes }
        await written.apply('live', {
          change: { ...change, ...(snapshot && { snapshot: { began: { epoch, seq: snapshot.began }, last: snapshot.last } }) },
        })
        report.position = positionOf(batch)
      }
    },
    bring(name: string, statement: string) {
      const path = join(back, name)
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, statementText(statement, {}))
      return path
    },
  }
  const outlet = new GapOutlet({
    config: {
      data,
      databases: { out: folder(out), back: folder(back) },
      sinks: [{ resource: 'people', database: 'out', folder: 'out', contents: 'batches', back: 'back' }],
    },
    identity: { agent: 'outer-1', agency: 'bureau', urls: [], hubKey: keys.hub.publicKey },
    key: keys.outer,
    policy: () => outside.policy,
    routes: () => [{ id: route, sink, restart: () => void outside.restarts++, renew: () => void outside.renewals++ }],
    policyChanged: new Wake(),
    board,
    now: () => new Date(),
    logger: Object.assign(logger, { warn: (_: object, text: string) => void outside.logged.push(text) }),
  })
  return Object.assign(outside, { look: () => outlet.look() })
}

function statementIn(path: string): string {
  return (JSON.parse(readFileSync(path, 'utf8')) as { statement: string }).statement
}

function receipt(batch: BuiltBatch, key = keys.inner): string {
  const counts = { batches: 1, written: 1, deleted: 0, quarantined: 0, quarantine: 0 }
  return appliedReceipt.sign({ route, ...positionOf(batch), time: new Date().toISOString(), ...counts }, key)
}

function request(wanted: Pick<GapRequest, 'batches' | 'snapshot'>, key = keys.inner): string {
  return gapRequest.sign({ kind: 'gap-request', route, ...wanted, time: new Date().toISOString() }, key)
}

t.test('the inside is told the policy and how far each route is', async (t) => {
  const outside = await makeOutside(t)
  await outside.write(makeStream(keys, 2))
  await outside.look()
  const statement = gapStatement.open(statementIn(join(outside.out, 'gap.json')), keys.outer.publicKey)
  t.match(statement, {
    agent: 'outer-1',
    agency: 'bureau',
    hubKey: keys.hub.publicKey,
    publicKey: keys.outer.publicKey,
    policy: outside.policy,
  })
  t.match(gapHead.open(statementIn(join(outside.out, route, 'head.json')), keys.outer.publicKey), { route, epoch: 5, seq: 2 })
  outside.policy = signPolicy(policyFor(keys, { serial: 2 }), keys.hub)
  await outside.look()
  t.match(gapStatement.open(statementIn(join(outside.out, 'gap.json')), keys.outer.publicKey), { policy: outside.policy })
})

t.test('a share that is gone is not made the agent\u2019s own anew', async (t) => {
  const outside = await makeOutside(t)
  await outside.write(makeStream(keys, 1))
  renameSync(outside.out, `${outside.out}.away`)
  mkdirSync(outside.out)
  await outside.look()
  t.match(outside.logged, [/.qianzhi.json/, /.qianzhi.json/], 'of the policy and of the route')
  t.strictSame(readdirSync(outside.out), [])
})

t.test('receipts count from the accepted key only', async (t) => {
  const outside = await makeOutside(t)
  const stream = makeStream(keys, 4)
  await outside.write(stream)
  const file = outside.bring('receipts/r1/5-2.1.json', receipt(stream[1]!))
  await outside.look()
  t.match(outside.logged, [/QZ-GAP-KEY|trust-gap back/], 'somebody has to accept the key')
  t.notOk(outside.report.confirmed)
  t.ok(outside.report.unconfirmed)
  t.ok(existsSync(file), 'it is kept until then')
  acceptKey(outside.data, 'back', keys.inner.publicKey)
  await outside.look()
  t.match(outside.report.confirmed, { epoch: 5, seq: 2 })
  t.notOk(existsSync(file))
  t.strictSame(listed(join(outside.out, route)), [...stream.slice(2).map(({ manifest }) => batchFileName(manifest)), 'head.json'])
  const forged = outside.bring('RECEIPTS/R1/5-4.1.JSON', receipt(stream[3]!, generateSigningKey()))
  await outside.look()
  t.match(outside.report.confirmed, { seq: 2 })
  t.notOk(existsSync(forged))
  outside.bring('RECEIPTS/R1/5-4.2.JSON', receipt(stream[3]!))
  await outside.look()
  t.match(outside.report.confirmed, { seq: 4 })
  t.notOk(outside.report.unconfirmed)
})

t.test('what the inside asks for is written again, or fetched from the hub anew', async (t) => {
  const outside = await makeOutside(t)
  acceptKey(outside.data, 'back', keys.inner.publicKey)
  const stream = makeStream(keys, 6, { begins: 4 })
  await outside.write(stream)
  const path = join(outside.out, route)
  const names = (from: number, to: number) => stream.slice(from - 1, to).map(({ manifest }) => batchFileName(manifest))
  const ask = async (statement: string) => {
    rmSync(path, { recursive: true })
    const file = outside.bring('requests/r1/request.1.json', statement)
    await outside.look()
    t.notOk(existsSync(file))
    return listed(path).filter((name) => name !== 'head.json')
  }
  t.strictSame(await ask(request({ batches: [{ epoch: 5, from: 2, to: 3 }] })), names(2, 3))
  t.strictSame(await ask(request({ snapshot: { after: null } })), names(4, 6))
  t.strictSame(await ask(request({ snapshot: { after: { epoch: 5, seq: 3 } } })), names(4, 6))
  t.equal(outside.restarts, 0)
  mkdirSync(path, { recursive: true })
  t.strictSame(await ask(request({ snapshot: { after: { epoch: 5, seq: 4 } } })), [])
  t.equal(outside.renewals, 1, 'there is no snapshot so late')
  mkdirSync(path, { recursive: true })
  outside.bring('receipts/r1/5-5.1.json', receipt(stream[4]!))
  await outside.look()
  t.strictSame(await ask(request({ batches: [{ epoch: 5, from: 5, to: 6 }] })), names(6, 6))
  t.equal(outside.restarts, 1, 'one of them is not kept any more')
  t.strictSame(await ask(request({ batches: [{ epoch: 5, from: 1, to: 6 }] }, generateSigningKey())), [], 'a stranger is not served')
  t.strictSame([outside.restarts, outside.renewals], [1, 1])
})

t.test('a request that comes once more when all is applied inside fetches nothing', async (t) => {
  const outside = await makeOutside(t)
  acceptKey(outside.data, 'back', keys.inner.publicKey)
  const stream = makeStream(keys, 3)
  await outside.write(stream)
  const asked = { batches: [{ epoch: 5, from: 2, to: 3 }], time: new Date(Date.now() - 1000).toISOString() }
  outside.bring('requests/r1/request.1.json', gapRequest.sign({ kind: 'gap-request', route, ...asked }, keys.inner))
  outside.bring('receipts/r1/5-3.1.json', receipt(stream[2]!))
  await outside.look()
  t.equal(outside.restarts, 0)
})

t.test('that data was removed inside counts from the accepted key only', async (t) => {
  const outside = await makeOutside(t)
  acceptKey(outside.data, 'back', keys.inner.publicKey)
  const removed = { route, removed: 3, tables: ['inner/people'], time: new Date().toISOString() }
  outside.bring('receipts/r1/removed.1.json', removalReceipt.sign(removed, keys.inner))
  await outside.look()
  t.strictSame(outside.logged, [])
  outside.bring('receipts/r1/removed.2.json', removalReceipt.sign(removed, generateSigningKey()))
  await outside.look()
  t.match(outside.logged, [/trust-gap back/])
})
