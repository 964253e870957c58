/** Batches written into a folder as they came, with copies for what a gap loses. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import type { BuiltBatch } from '../../../protocol/batch.ts'
import type { ChainPosition } from '../../../protocol/position.ts'
import { generateSigningKey, signStatement } from '../../../protocol/signature.ts'
import type { Change, FolderSettings, GapCopyRules, SinkTable } from '../../../agent/database.ts'
import { BatchSink } from '../../../agent/gaps/batch-sink.ts'
import { claimFolder } from '../../../agent/folders/store/owner.ts'
import { sinkFile, SinkStore } from '../../../agent/folders/store/sink-store.ts'
import { openFolderDelivery } from '../../../agent/folders/delivery.ts'
import { GapCopies } from '../../../agent/gaps/copies.ts'
import { exportBatches, readRange } from '../../../agent/gaps/export.ts'
import { batchFileName, folderOf, placeOfName, putFile } from '../../../agent/gaps/files.ts'
import { smallDisk } from '../../support/small-disk.ts'
import { listed, makeKeys, makeStream, positionOf, route, schema, temporaryFolder } from './fixture.ts'

const keys = makeKeys()

async function makeFolder(t: Test, path?: string): Promise<FolderSettings> {
  const root = temporaryFolder(t)
  const folder = path ?? join(root, 'out')
  mkdirSync(folder, { recursive: true })
  const key = generateSigningKey()
  const sign: FolderSettings['sign'] = (typ, payload) => signStatement(key, typ, payload)
  const data = join(root, 'data')
  await claimFolder({ path: folder, agent: 'outer-1', data })
  return {
    path: folder,
    data,
    agent: 'outer-1',
    ready: 'stable',
    stable: 1,
    look: 60,
    sign,
    logger: pino({ level: 'silent' }),
  }
}

function sinkFor(copies: GapCopyRules = { days: 30, bytes: 1 << 30 }): SinkTable {
  const format = { timezone: 'Asia/Shanghai' }
  const columns = schema.items.slice(0, 2).map((item) => ({ item, column: item.name }))
  return {
    route,
    resource: 'people',
    table: 'people',
    schema,
    columns,
    source: 'police',
    deletes: 'remove',
    shared: false,
    files: { contents: 'batches', write: 'whole', headers: 'labels', formulas: 'keep', gather: 60, format, copies },
  }
}

function changeOf({ bytes, manifest }: BuiltBatch, to: ChainPosition, from: ChainPosition | null): Change {
  const { snapshot, epoch, rows } = manifest
  return {
    from,
    to,
    rows,
    columns: [],
    bytes,
    ...(snapshot && { snapshot: { began: { epoch, seq: snapshot.began }, last: snapshot.last } }),
  }
}

async function applyAll(
  sink: BatchSink,
  stream: readonly BuiltBatch[],
  from: ChainPosition | null = null,
  part: 'live' | 'shadow' = 'live',
) {
  let at = from
  for (const batch of stream) {
    await sink.apply(part, sink.prepare(changeOf(batch, positionOf(batch), at)))
    at = positionOf(batch)
  }
}

async function openSink(t: Test, folder: FolderSettings, table = sinkFor()) {
  const sink = new BatchSink(table, folder)
  t.teardown(() => sink.close().catch(() => undefined))
  return { sink, ...(await sink.open()) }
}

function namesOf(stream: readonly BuiltBatch[]): string[] {
  return stream.map(({ manifest }) => batchFileName(manifest))
}

t.test('each batch is a file, byte for byte, and the position moves with it', async (t) => {
  const folder = await makeFolder(t)
  const stream = makeStream(keys, 3, { snapshot: 2 })
  const { sink, live, shadow } = await openSink(t, folder)
  t.match(live, { position: null, complete: false, items: ['id', 'name'] })
  t.equal(shadow, null)
  await applyAll(sink, stream)
  t.strictSame(listed(join(folder.path, route)), namesOf(stream))
  for (const batch of stream) t.ok(batch.bytes.equals(readFileSync(join(folder.path, route, batchFileName(batch.manifest)))))
  await sink.close()
  const again = await openSink(t, folder)
  t.match(again.live, { position: positionOf(stream[2]!), complete: true, snapshot: null })
  await t.rejects(applyAll(again.sink, stream.slice(0, 1)), { code: 'QZ-CHAIN-BROKEN' }, 'compare and set')
  t.equal(sink.prepare(changeOf(stream[0]!, positionOf(stream[0]!), null)).change.rows, 1)
  t.strictSame(await again.sink.replay(), { tried: 0, applied: 0, quarantine: 0 })
})

t.test('a share that is gone is not taken for an empty folder', async (t) => {
  const folder = await makeFolder(t)
  const stream = makeStream(keys, 2)
  const { sink } = await openSink(t, folder)
  await applyAll(sink, stream.slice(0, 1))
  renameSync(folder.path, `${folder.path}.away`)
  mkdirSync(folder.path)
  const second = () => applyAll(sink, stream.slice(1), positionOf(stream[0]!))
  await t.rejects(second(), { code: 'QZ-FOLDER-UNREACHABLE' })
  t.strictSame(listed(join(folder.path, route)), [], 'nothing is handed to where it was')
  rmSync(folder.path, { recursive: true })
  renameSync(`${folder.path}.away`, folder.path)
  await second()
  t.strictSame(listed(join(folder.path, route)), namesOf(stream))
})

t.test('a crash between file and position writes the file again', async (t) => {
  const folder = await makeFolder(t)
  const stream = makeStream(keys, 2)
  const { sink } = await openSink(t, folder)
  await applyAll(sink, stream.slice(0, 1))
  // As it stands after the file of the second batch, and in the middle of one.
  writeFileSync(join(folder.path, route, namesOf(stream)[1]!), stream[1]!.bytes)
  writeFileSync(join(folder.path, route, '.0000000005-0000000003.qzb.qz-tmp'), 'half')
  await sink.close()
  const again = await openSink(t, folder)
  t.match(again.live, { position: positionOf(stream[0]!) })
  t.notOk(again.live.position?.seq === 2)
  await applyAll(again.sink, stream.slice(1), positionOf(stream[0]!))
  t.strictSame(listed(join(folder.path, route)), namesOf(stream))
  t.throws(() => readFileSync(join(folder.path, route, '.0000000005-0000000003.qzb.qz-tmp')), { code: 'ENOENT' })
})

t.test('killed while it writes, it goes on without a hole', { skip: process.platform === 'win32' }, async (t) => {
  const folder = await makeFolder(t)
  const stream = makeStream(keys, 400)
  const script = `
    import { BatchSink } from ${JSON.stringify(import.meta.resolve('../../../agent/gaps/batch-sink.ts'))}
    import { readFileSync } from 'node:fs'
    const { table, folder, changes } = JSON.parse(readFileSync(0, 'utf8'))
    const sink = new BatchSink(table, folder)
    const { live } = await sink.open()
    if (process.env.KILL_AFTER) setTimeout(() => process.kill(process.pid, 'SIGKILL'), Number(process.env.KILL_AFTER))
    for (const change of changes.slice(live.position?.seq ?? 0)) await sink.apply('live', { change: { ...change, bytes: Buffer.from(change.bytes, 'base64') } })
    await sink.close()
    process.stdout.write('end')`
  let from: ChainPosition | null = null
  const changes = stream.map((batch) => {
    const change = { ...changeOf(batch, positionOf(batch), from), bytes: batch.bytes.toString('base64') }
    from = positionOf(batch)
    return change
  })
  const input = JSON.stringify({ table: sinkFor(), folder: { ...folder, logger: undefined }, changes })
  let killed = 0
  for (let wait = 5; ; wait += 60) {
    const { stdout, signal } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      input,
      env: { ...process.env, KILL_AFTER: String(wait) },
    })
    if (signal === 'SIGKILL') killed++
    if (stdout.toString() === 'end') break
  }
  t.ok(killed > 0, `killed ${killed} times`)
  t.strictSame(listed(join(folder.path, route)), namesOf(stream))
  for (const batch of stream)
    if (!batch.bytes.equals(readFileSync(join(folder.path, route, batchFileName(batch.manifest))))) t.fail(batchFileName(batch.manifest))
  const { live } = await openSink(t, folder)
  t.match(live, { position: positionOf(stream[399]!) })
})

t.test('what is lost is written again from copies, until the inside has confirmed it', async (t) => {
  const folder = await makeFolder(t)
  const stream = makeStream(keys, 6, { begins: 3 })
  const { sink } = await openSink(t, folder)
  await applyAll(sink, stream)
  const path = join(folder.path, route)
  rmSync(path, { recursive: true })
  const store = SinkStore.open(folder, route)
  t.teardown(() => store.close())
  const copies = new GapCopies(store)
  const { written, missing } = await exportBatches(copies, path, { epoch: 5, from: 2, to: 3 })
  t.equal(written.length, 2)
  t.strictSame(missing, [])
  t.strictSame(listed(path), namesOf(stream.slice(1, 3)))
  t.ok(stream[1]!.bytes.equals(readFileSync(join(path, namesOf(stream)[1]!))))
  t.ok(copies.oldest)
  t.strictSame(copies.snapshotBegin(null, positionOf(stream[5]!)), { epoch: 5, seq: 3 }, 'the newest snapshot that is whole')
  t.equal(copies.snapshotBegin({ epoch: 5, seq: 3 }, positionOf(stream[5]!)), undefined)

  const time = new Date().toISOString()
  const confirm = (n: number, time: string) => store.transaction(() => copies.confirm({ ...positionOf(stream[n]!), time }))
  t.equal(confirm(3, time)?.length, 4)
  t.equal(confirm(5, time), undefined, 'an older word, or the same')
  t.match(copies.confirmed, { epoch: 5, seq: 4, time })
  t.match(await exportBatches(copies, path, { epoch: 5, from: 3, to: 6 }), {
    written: [{ seq: 5 }, { seq: 6 }],
    missing: [{ seq: 3 }, { seq: 4 }],
  })
  const foreign = { ...positionOf(stream[4]!), hash: '0'.repeat(64), time: new Date(Date.now() + 1000).toISOString() }
  t.equal(
    store.transaction(() => copies.confirm(foreign)),
    undefined,
    'of another stream',
  )
  t.equal(confirm(5, new Date(Date.now() + 2000).toISOString())?.length, 2)
  t.equal(copies.oldest, undefined)
})

t.test('copies are bounded by bytes and by days', async (t) => {
  const folder = await makeFolder(t)
  const stream = makeStream(keys, 10)
  const size = stream[9]!.bytes.length
  const { sink } = await openSink(t, folder)
  await applyAll(sink, stream)
  await sink.close()
  await openSink(t, folder, sinkFor({ days: 30, bytes: size * 3.5 }))
  const store = SinkStore.open(folder, route)
  t.teardown(() => store.close())
  const copies = new GapCopies(store)
  t.strictSame(
    copies.after({ epoch: 0, seq: 0 }).map(({ seq }) => seq),
    [8, 9, 10],
  )
  t.equal(listed(join(folder.path, route)).length, 10, 'files that the gap has not taken stay')
  store.run('update gap_copy set at = at - 40 * 86400000 where seq < 10')
  await openSink(t, folder)
  t.strictSame(
    copies.after({ epoch: 0, seq: 0 }).map(({ seq }) => seq),
    [10],
  )
  t.strictSame(listed(join(folder.path, route)), [...namesOf(stream.slice(0, 7)), ...namesOf(stream.slice(9))], 'what is too old goes')
})

t.test('other items: a shadow writes its batches in the place of the old ones', async (t) => {
  const folder = await makeFolder(t)
  const stream = makeStream(keys, 3)
  const { sink } = await openSink(t, folder)
  await applyAll(sink, stream)
  const wider = { ...sinkFor(), columns: schema.items.map((item) => ({ item, column: item.name })) }
  await sink.close()
  const again = await openSink(t, folder, wider)
  await again.sink.beginShadow()
  const wide = makeStream(keys, 3, { items: ['id', 'name', 'phone'] })
  await applyAll(again.sink, wide.slice(0, 2), null, 'shadow')
  await again.sink.close()
  const third = await openSink(t, folder, wider)
  t.match(third.live, { position: positionOf(stream[2]!) })
  t.match(third.shadow, { position: positionOf(wide[1]!), items: ['id', 'name', 'phone'] })
  await applyAll(third.sink, wide.slice(2), positionOf(wide[1]!), 'shadow')
  await third.sink.swap()
  t.ok(wide[0]!.bytes.equals(readFileSync(join(folder.path, route, namesOf(wide)[0]!))))
  t.match((await third.sink.open()).live, { position: positionOf(wide[2]!), items: ['id', 'name', 'phone'] })
})

t.test('a full disk moves nothing, and is gone on with', async (t) => {
  const disk = smallDisk(t, process.getuid!())
  if (!disk) return void t.pass('no small disk', { skip: 'a tmpfs cannot be mounted here' })
  const folder = await makeFolder(t, join(disk.folder, 'out'))
  const stream = makeStream(keys, 2)
  const { sink } = await openSink(t, folder)
  await applyAll(sink, stream.slice(0, 1))
  disk.fill()
  await t.rejects(applyAll(sink, stream.slice(1), positionOf(stream[0]!)), { code: 'QZ-FOLDER-UNREACHABLE', message: /disk is full/ })
  t.strictSame(listed(join(folder.path, route)), namesOf(stream.slice(0, 1)))
  disk.free()
  await applyAll(sink, stream.slice(1), positionOf(stream[0]!))
  t.strictSame(listed(join(folder.path, route)), namesOf(stream))
})

t.test('names', async (t) => {
  t.equal(batchFileName({ epoch: 12, seq: 3 }), '0000000012-0000000003.qzb')
  t.strictSame(placeOfName('0000000012-0000000003.QZB'), { epoch: 12, seq: 3 })
  for (const name of ['1-0.qzb', '1-1.qzb.part', 'a-1.qzb', '99999999999-1.qzb', '1-1']) t.equal(placeOfName(name), undefined, name)
  for (const name of ['..', 'a/b', 'con', 'nul.x', 'done', 'rejected', 'a.', 'A'])
    t.throws(() => folderOf('/x', name), { code: 'QZ-CONFIG' }, name)
  t.strictSame(readRange('12-3..9'), { epoch: 12, from: 3, to: 9 })
  t.strictSame(readRange('12-3'), { epoch: 12, from: 3, to: 3 })
  t.match(readRange('12'), { epoch: 12, from: 1 })
  for (const text of ['', '12-', '12-9..3', '12-0', 'x']) t.equal(readRange(text), undefined, text)
})

t.test('a file that is written twice at once is whole, and nothing is left beside it', async (t) => {
  const path = join(temporaryFolder(t), 'x.qzb')
  const contents = Array.from({ length: 8 }, (_, i) => Buffer.alloc(1 << 20, i))
  await Promise.all(contents.map((content) => putFile(path, content)))
  const found = readFileSync(path)
  t.ok(contents.some((content) => content.equals(found)))
  t.strictSame(readdirSync(dirname(path)), ['x.qzb'])
})

t.test('a route that cannot be opened again keeps no other from being closed', async (t) => {
  const folder = await makeFolder(t)
  const delivery = await openFolderDelivery(folder)
  await delivery.open(sinkFor())
  const file = sinkFile(folder, route)
  rmSync(file)
  mkdirSync(file)
  await t.rejects(delivery.open(sinkFor()))
  await t.resolves(delivery.close())
})
