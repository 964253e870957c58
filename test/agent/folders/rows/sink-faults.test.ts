/** What can be wrong with a folder that is written into: nothing is lost, nothing half is shown, nothing foreign is touched. */
import {
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Delivery } from '../../../../agent/database.ts'
import { listQuarantine } from '../../../../agent/folders/quarantine.ts'
import { removeRoute } from '../../../../agent/folders/removal.ts'
import { SinkStore } from '../../../../agent/folders/store/sink-store.ts'
import { putInPlace, renameNew, writeTemporary } from '../../../../agent/folders/store/durable-write.ts'
import { until } from '../../../support/programs.ts'
import { smallDisk } from '../../../support/small-disk.ts'
import { licence } from '../../databases/conformance/fixture.ts'
import { apply, fileSink, filesIn, filled, freshFolder, manifestOf, manifestWhen, openDelivery, readRows, Stream } from './sink-fixture.ts'

const file = 'scjg.licence.csv'
const failureOf = (delivery: Delivery) =>
  until('the check fails', () =>
    delivery.check().then(
      () => undefined,
      (error: Error) => error,
    ),
  )

t.test('a full disk: the old file stays, and the new one comes when there is room', async (t) => {
  const base = freshFolder(t)
  const disk = smallDisk(t, process.getuid!())
  if (!disk) return void t.pass('no small disk', { skip: 'a tmpfs cannot be mounted here' })
  const folder = { ...base, path: join(disk.folder, 'out') }
  const sink = fileSink()
  const opened = await openDelivery(t, folder)
  const { delivery } = opened
  await delivery.open(sink)
  const stream = new Stream()
  await apply(opened, sink, stream.next([['a', 'old', null]], { snapshot: 'only' }))
  const old = await manifestWhen(opened, file)
  disk.fill()
  const rows = Array.from({ length: 20_000 }, (_, i) => [`k${i}`, 'x'.repeat(90), '1.00'])
  await apply(opened, sink, stream.next(rows))
  t.match(await failureOf(delivery), { code: 'QZ-FOLDER-UNREACHABLE', message: /the disk is full/ })
  t.equal((await readRows(folder, file)).length, 2, 'the old file is whole')
  t.same(filesIn(folder), [file, `${file}.manifest.json`], 'nothing is left of the new one')
  const more = stream.next([['b', null, null]])
  t.match(await apply(opened, sink, more), { written: 1 }, 'rows go on')
  disk.free()
  const next = await manifestWhen(opened, file, ({ to }) => to.hash === more.to.hash)
  t.match(next, { rows: 20_002, previous: old.sha256, number: 2, batches: 2 })
  await until('it is well again', () => delivery.check().then(() => true))
})

t.test('a share that goes away, and comes back', async (t) => {
  const sink = fileSink()
  const opened = await filled(t, sink)
  const { delivery, folder } = opened
  const stream = new Stream()
  await apply(opened, sink, stream.next([['a', 'x', null]], { snapshot: 'only' }))
  await manifestWhen(opened, file)
  renameSync(folder.path, `${folder.path}.gone`)
  mkdirSync(folder.path)
  const change = stream.next([['b', 'x', null]])
  await apply(opened, sink, change)
  t.match(await failureOf(delivery), { code: 'QZ-FOLDER-UNREACHABLE' })
  t.same(filesIn(folder), [], 'nothing is written where the share was')
  await t.rejects(delivery.open(sink), { code: 'QZ-FOLDER-UNREACHABLE' })
  rmSync(folder.path, { recursive: true })
  renameSync(`${folder.path}.gone`, folder.path)
  t.match(await delivery.open(sink), { live: { position: change.to } })
  t.match(await manifestWhen(opened, file, ({ number }) => number === 2), { rows: 2 })
})

t.test('a file that another program has open is tried again, and then said', async (t) => {
  const folder = freshFolder(t)
  mkdirSync(folder.path, { recursive: true })
  const write = () => writeTemporary(folder.path, 'x.csv', pieces('new'))
  const busy = Object.assign(new Error('busy'), { code: 'EBUSY' })
  await write()
  let tries = 0
  await putInPlace(folder.path, 'x.csv', undefined, async (from, to) => {
    if (++tries < 3) throw busy
    renameSync(from, to)
  })
  t.equal(readFileSync(join(folder.path, 'x.csv'), 'utf8'), 'new')
  await write()
  await t.rejects(
    putInPlace(folder.path, 'x.csv', undefined, () => Promise.reject(busy)),
    { code: 'EBUSY' },
  )
  const closing = AbortSignal.abort()
  await t.rejects(
    putInPlace(folder.path, 'x.csv', closing, () => Promise.reject(busy)),
    { name: 'AbortError' },
  )
})

t.test('a rename that replaces nothing, and one that was stopped in the middle', async (t) => {
  const [from, to] = ['from', 'to'].map((name) => join(t.testdir(), name)) as [string, string]
  writeFileSync(from, 'ours')
  writeFileSync(to, 'theirs')
  await t.rejects(renameNew(from, to), { code: 'EEXIST' })
  t.same(
    [from, to].map((path) => readFileSync(path, 'utf8')),
    ['ours', 'theirs'],
  )
  unlinkSync(to)
  linkSync(from, to)
  await renameNew(from, to)
  t.notOk(existsSync(from))
  t.equal(readFileSync(to, 'utf8'), 'ours')
})

t.test('a file that a person puts at the name while the first one is written stays', async (t) => {
  const sink = fileSink()
  const opened = await filled(t, sink)
  const { delivery, folder } = opened
  await apply(opened, sink, new Stream().next([['a', 'x', null]], { snapshot: 'only' }))
  const made = await manifestWhen(opened, file)
  const bytes = readFileSync(join(folder.path, file))
  await delivery.close()
  // As if the program had ended before the move, and a person had been faster than it.
  const store = SinkStore.open(folder, sink.route)
  const { number, kind, from, to, batches, time, provider } = made
  const making = { number, kind, from, to, batches, time, provider, fresh: true, manifest: made }
  store.run('update output set making = ?, sha256 = null', JSON.stringify(making))
  store.close()
  writeFileSync(join(folder.path, `.${file}.qz-tmp`), bytes)
  writeFileSync(join(folder.path, file), 'mine')
  rmSync(join(folder.path, `${file}.manifest.json`))
  const again = await openDelivery(t, folder)
  await again.delivery.open(sink)
  t.match(await failureOf(again.delivery), { code: 'QZ-FOLDER-UNREACHABLE', message: /did not write: move it away/ })
  t.equal(readFileSync(join(folder.path, file), 'utf8'), 'mine')
  renameSync(join(folder.path, file), join(folder.path, 'mine.csv'))
  await again.delivery.open(sink)
  t.same(await manifestWhen(again, file), made)
  t.same(readFileSync(join(folder.path, file)), bytes)
})

t.test('a whole table that was deleted or edited in the folder is written anew', async (t) => {
  const sink = fileSink()
  const opened = await openDelivery(t, { ...freshFolder(t), look: 0.1 })
  await opened.delivery.open(sink)
  const path = join(opened.folder.path, file)
  await apply(opened, sink, new Stream().next([['a', 'x', null]], { snapshot: 'only' }))
  await manifestWhen(opened, file)
  const rows = readFileSync(path, 'utf8')
  writeFileSync(path, rows.replace('x', 'y'))
  await manifestWhen(opened, file, ({ number }) => number === 2)
  t.equal(readFileSync(path, 'utf8'), rows)
  unlinkSync(path)
  await manifestWhen(opened, file, ({ number }) => number === 3)
  t.equal(readFileSync(path, 'utf8'), rows)
  rmSync(`${path}.manifest.json`)
  await manifestWhen(opened, file, ({ number }) => number === 4)
  await opened.delivery.close()
  unlinkSync(path)
  const again = await openDelivery(t, opened.folder)
  await again.delivery.open(sink)
  await manifestWhen(again, file, ({ number }) => number === 5)
  t.equal(readFileSync(path, 'utf8'), rows, 'also while the agent was down')
})

t.test('an edit in the instant in which the file is shown is no less one', async (t) => {
  const sink = fileSink()
  const opened = await openDelivery(t, { ...freshFolder(t), look: 0.1 })
  await opened.delivery.open(sink)
  const path = join(opened.folder.path, file)
  await apply(opened, sink, new Stream().next([['a', 'x', null]], { snapshot: 'only' }))
  while (!existsSync(path)) await new Promise(setImmediate)
  const rows = readFileSync(path, 'utf8')
  writeFileSync(path, rows.replace('x', 'y'))
  await manifestWhen(opened, file, ({ number }) => number === 2)
  t.equal(readFileSync(path, 'utf8'), rows)
})

t.test('a file that a reader took before its manifest came is shown again with the same content', async (t) => {
  const sink = fileSink(licence, { write: 'increments', gather: 3600 })
  const opened = await filled(t, sink)
  const { delivery, folder } = opened
  const stream = new Stream()
  await apply(opened, sink, stream.next([['a', 'x', null]], { snapshot: 'only' }))
  await manifestWhen(opened, 'scjg.licence.000001.whole.csv')
  const [change, later] = [stream.next([['b', 'x', null]]), stream.next([['b', 'y', null]])]
  await apply(opened, sink, change)
  const hasty = fileSink(licence, { write: 'increments', gather: 0 })
  await delivery.open(hasty)
  const name = 'scjg.licence.000002.changes.csv'
  const made = await manifestWhen(opened, name)
  await delivery.close()
  // As a stop between the two leaves it: the file in its place, the manifest not, and the reader has taken it.
  const store = SinkStore.open(folder, sink.route)
  const making = {
    number: 2,
    kind: 'changes',
    from: made.from,
    to: made.to,
    batches: 1,
    time: made.time,
    provider: made.provider,
    manifest: made,
  }
  store.run('update output set making = ?, sha256 = ?', JSON.stringify(making), made.previous)
  const order = Buffer.from('2b\0')
  store.run('insert into change (number, key, op, row) values (2, ?, ?, ?)', order, 'u', JSON.stringify([null, 'b', 'x']))
  store.close()
  for (const left of [name, `${name}.manifest.json`]) unlinkSync(join(folder.path, left))
  const again = await openDelivery(t, folder)
  await again.delivery.open(sink)
  await apply(again, sink, later)
  t.same(await manifestWhen(again, name), made)
  t.same((await readRows(folder, name))[1], ['u', 'b', 'x', null, 'scjg'])
})

t.test('another format: all rows anew, under the next number, with what is left of before taken away', async (t) => {
  const sink = fileSink(licence, { write: 'increments' })
  const opened = await filled(t, sink)
  const { delivery, folder } = opened
  const stream = new Stream()
  await apply(opened, sink, stream.next([['a', 'x', null]], { snapshot: 'only' }))
  const first = await manifestWhen(opened, 'scjg.licence.000001.whole.csv')
  writeFileSync(join(folder.path, '.scjg.licence.000007.changes.csv.qz-tmp'), 'left by a crash')
  writeFileSync(join(folder.path, '.theirs.csv.qz-tmp'), 'of another route')
  const lines = fileSink(licence, { write: 'increments', format: { kind: 'jsonl', timezone: 'UTC' } })
  await delivery.open(lines)
  t.match(await manifestWhen(opened, 'scjg.licence.000002.whole.jsonl'), { previous: first.sha256, kind: 'whole' })
  t.same(
    filesIn(folder).filter((name) => name.startsWith('.')),
    ['.theirs.csv.qz-tmp'],
  )
  await delivery.open(fileSink())
  t.match(await manifestWhen(opened, file), { number: 3 })
})

t.test('a symbolic link in a file\u2019s place is never followed', async (t) => {
  const sink = fileSink()
  const opened = await filled(t, sink)
  const { folder } = opened
  const stream = new Stream()
  await apply(opened, sink, stream.next([['a', 'x', null]], { snapshot: 'only' }))
  await manifestWhen(opened, file)
  const outside = join(folder.path, '..', 'outside.txt')
  writeFileSync(outside, 'theirs')
  unlinkSync(join(folder.path, file))
  symlinkSync(outside, join(folder.path, file))
  symlinkSync(outside, join(folder.path, `.${file}.qz-tmp`))
  await apply(opened, sink, stream.next([['b', 'x', null]]))
  await manifestWhen(opened, file, ({ number }) => number === 2)
  t.equal(readFileSync(outside, 'utf8'), 'theirs')
  t.notOk(statSync(join(folder.path, file)).isSymbolicLink())
  t.equal((await readRows(folder, file)).length, 3)
})

t.test('a removal takes nothing that lies outside', async (t) => {
  const sink = fileSink()
  const opened = await filled(t, sink)
  const { folder, delivery } = opened
  await apply(opened, sink, new Stream().next([['a', 'x', null]], { snapshot: 'only' }))
  await manifestWhen(opened, file)
  await delivery.close()
  const outside = join(folder.path, '..', 'outside')
  mkdirSync(outside)
  writeFileSync(join(outside, 'theirs.txt'), 'x')
  mkdirSync(join(folder.path, 'sub'))
  writeFileSync(join(folder.path, 'sub', 'ours.txt'), 'x')
  symlinkSync(outside, join(folder.path, 'link'))
  const store = SinkStore.open(folder, sink.route)
  for (const name of ['../outside/theirs.txt', 'link/theirs.txt', '/etc/hostname', 'sub', 'sub/ours.txt', '', '.'])
    store.run('insert into written (file) values (?)', name)
  store.close()
  t.match(await removeRoute(sink.route, folder), { rows: 1, tables: [file, 'sub/ours.txt'], done: true })
  t.ok(existsSync(join(outside, 'theirs.txt')))
  t.ok(readlinkSync(join(folder.path, 'link')))
  t.same(filesIn(folder), ['link'], 'an emptied folder goes too')
})

t.test('the end of a route leaves what a later one of the resource has written, and no half of its own', async (t) => {
  const sink = fileSink()
  const later = { ...sink, route: 'route-2' }
  const opened = await filled(t, sink)
  const { folder, delivery } = opened
  await apply(opened, sink, new Stream().next([['a', 'x', null]], { snapshot: 'only' }))
  await manifestWhen(opened, file)
  await delivery.close()
  const second = await openDelivery(t, folder)
  await second.delivery.open(later)
  await apply(second, later, new Stream(licence, 2).next([['b', 'x', null]], { snapshot: 'only' }))
  await manifestWhen(second, file, ({ route }) => route === later.route)
  writeFileSync(join(folder.path, `.${file}.qz-tmp`), 'left by a crash')
  t.match(await second.delivery.remove(sink.route), { rows: 1, tables: [], done: true })
  t.same(filesIn(folder), [file, `${file}.manifest.json`])
  t.same(listQuarantine(folder, undefined, 10), [], 'until the receipt is taken there is nothing to be read of it')
  t.match(await second.delivery.remove(later.route), { rows: 1, tables: [file] })
  t.same(filesIn(folder), [])
})

t.test('a resource that is called as a device of Windows is', async (t) => {
  const device = { ...licence, resource: 'con.licence' }
  const sink = fileSink(device)
  const opened = await filled(t, sink)
  await apply(opened, sink, new Stream(device).next([], { snapshot: 'only' }))
  t.match(await manifestWhen(opened, '_con.licence.csv'), { resource: 'con.licence' })
})

t.test('a clock that is put back does not keep changes waiting', async (t) => {
  const sink = fileSink(licence, { gather: 0.2 })
  const opened = await filled(t, sink)
  const { folder, delivery } = opened
  const stream = new Stream()
  await apply(opened, sink, stream.next([['a', 'x', null]], { snapshot: 'only' }))
  await manifestWhen(opened, file)
  await delivery.close()
  const store = SinkStore.open(folder, sink.route)
  store.run('update output set changed = ?', Date.now() + 365 * 86_400_000)
  store.close()
  const later = await openDelivery(t, folder)
  await later.delivery.open(sink)
  await manifestWhen(later, file, ({ number }) => number === 2)
  t.ok(manifestOf(folder, file))
})

t.test('a data folder that was put back to an older copy: no number is given twice', async (t) => {
  const sink = fileSink(licence, { write: 'increments' })
  const opened = await filled(t, sink)
  const { folder, delivery } = opened
  const stream = new Stream()
  await apply(opened, sink, stream.next([['a', 'x', null]], { snapshot: 'only' }))
  await manifestWhen(opened, 'scjg.licence.000001.whole.csv')
  await delivery.close()
  cpSync(folder.data, `${folder.data}.older`, { recursive: true })
  const later = await openDelivery(t, folder)
  await later.delivery.open(sink)
  const [second, third] = [stream.next([['b', 'x', null]]), stream.next([['c', 'x', null]])]
  for (const change of [second, third]) {
    await apply(later, sink, change)
    await manifestWhen(later, `scjg.licence.00000${change.to.seq}.changes.csv`)
  }
  await later.delivery.close()
  const shown = readFileSync(join(folder.path, 'scjg.licence.000002.changes.csv'))
  rmSync(folder.data, { recursive: true })
  renameSync(`${folder.data}.older`, folder.data)
  const again = await openDelivery(t, folder)
  await again.delivery.open(sink)
  await manifestWhen(again, 'scjg.licence.000004.whole.csv')
  await apply(again, sink, second)
  await manifestWhen(again, 'scjg.licence.000005.changes.csv')
  t.same(readFileSync(join(folder.path, 'scjg.licence.000002.changes.csv')), shown)
})

async function* pieces(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text)
}
