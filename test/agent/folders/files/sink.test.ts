/** Parts of files delivered as files: whole or not at all, under names that are safe, and nothing that is not the route's own touched. */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Row } from '../../../../agent/database.ts'
import { FileSink } from '../../../../agent/folders/files/sink.ts'
import { TargetFolder } from '../../../../agent/folders/files/target-folder.ts'
import { removeRoute } from '../../../../agent/folders/removal.ts'
import { SinkStore } from '../../../../agent/folders/store/sink-store.ts'
import { partBytes, partsOf, partValues } from '../../../../protocol/files.ts'
import { smallDisk } from '../../../support/small-disk.ts'
import { schemaOf } from '../../databases/conformance/fixture.ts'
import { changeOf, contentsOf, fileSink, folderIn, hashOf, Line, placeAt, temporary, type Piece } from './line.ts'

const none: Piece = { rows: [], deletes: [], faults: [] }

/** Rows of a file, as a provider may sign them whatever is true. */
function rowsOf(name: string, content: Buffer | string, claims: { sha256?: string; size?: number } = {}): Row[] {
  const bytes = Buffer.from(content)
  const parts = partsOf(bytes.length)
  return Array.from({ length: parts }, (_, part) => {
    const piece = bytes.subarray(part * partBytes, (part + 1) * partBytes)
    const size = claims.size ?? bytes.length
    const file = { name, part, parts, size, modified: '2026-05-01T08:30:00.5Z', sha256: claims.sha256 ?? hashOf(bytes) }
    return Object.values(partValues(file, piece))
  })
}

t.test('files of every size are mirrored: new, changed, shorter, longer, gone', async (t) => {
  const line = await Line.open(t)
  const { provider } = line
  provider.put('许可证/2026/食品.pdf', 'licence')
  provider.put('empty', '')
  provider.put('large.tif', Buffer.alloc(5.5 * partBytes, 'one'))
  provider.put('exact.bin', Buffer.alloc(2 * partBytes, 'e'))
  await line.mirror(2)
  t.same(line.delivered(), line.source())
  t.same(line.parts(), [], 'nothing is left beside')
  const timeOf = (folder: string) => Math.floor(statSync(join(folder, 'empty')).mtimeMs)
  t.equal(timeOf(line.target.path), timeOf(provider.folder.path), 'with their time')
  provider.put('large.tif', Buffer.alloc(1.5 * partBytes, 'two'))
  provider.put('empty', Buffer.alloc(3 * partBytes, 'not any more'))
  provider.put('exact.bin', '')
  provider.remove('许可证')
  await line.mirror(2)
  t.same(line.delivered(), line.source())
  t.notOk(existsSync(join(line.target.path, '许可证')), 'the empty folder goes too')
  t.same(line.parts(), [])
  t.same(line.quarantine(), [])
})

t.test('a file stays the old one until the new one is whole', async (t) => {
  const line = await Line.open(t)
  const { provider } = line
  provider.put('a.bin', Buffer.alloc(3 * partBytes, 'old'))
  await line.mirror()
  const old = line.delivered()
  provider.put('a.bin', Buffer.alloc(4 * partBytes, 'new'))
  await provider.settle()
  for (let part = 0; part < 3; part++) {
    const { piece, done } = await provider.take(1)
    await line.apply(piece)
    done()
    t.same(line.delivered(), old)
    await line.reopen()
  }
  await line.flow()
  t.same(line.delivered(), line.source())
})

t.test('going back to the old content while the new one comes leaves the old file', async (t) => {
  const line = await Line.open(t)
  const { provider } = line
  const old = Buffer.alloc(3 * partBytes, 'old')
  provider.put('a.bin', old)
  await line.mirror()
  provider.put('a.bin', Buffer.alloc(3 * partBytes, 'new'))
  await provider.settle()
  const { piece, done } = await provider.take(2)
  await line.apply(piece)
  done()
  t.equal(line.parts().length, 1)
  provider.put('a.bin', old)
  await line.mirror(1)
  t.same(line.delivered(), { 'a.bin': hashOf(old) })
  t.same(line.parts(), [])
})

t.test('deletes of the last parts before the new version, and of all', async (t) => {
  const line = await Line.open(t)
  await line.apply({ ...none, rows: rowsOf('a.bin', Buffer.alloc(3 * partBytes, 'old')) })
  const old = line.delivered()
  await line.apply({ ...none, deletes: [['a.bin', '2']] })
  t.same(line.delivered(), old, 'a file with parts left stays')
  await line.apply({ ...none, rows: rowsOf('a.bin', Buffer.alloc(2 * partBytes, 'new')) })
  t.same(line.delivered(), { 'a.bin': hashOf(Buffer.alloc(2 * partBytes, 'new')) })
  await line.apply({ ...none, deletes: [['a.bin', '0']] })
  t.same(Object.keys(line.delivered()), ['a.bin'])
  t.same(await line.apply({ ...none, deletes: [['a.bin', '1']] }), { written: 0, deleted: 1, quarantined: 0, quarantine: 0 })
  t.same(line.delivered(), {})
})

t.test('what is not what the provider signed never appears', async (t) => {
  const line = await Line.open(t)
  const applied = await line.apply({ ...none, rows: rowsOf('a.bin', 'forged', { sha256: hashOf('signed') }) })
  t.same(applied, { written: 1, deleted: 0, quarantined: 1, quarantine: 1 })
  t.same(line.delivered(), {})
  t.match(line.quarantine(), [
    { key: ['a.bin', '0'], code: 'QZ-ROW-REFUSED', item: 'sha256', reason: { zh: /SHA-256/, en: /SHA-256/ }, kept: false },
  ])
  t.same(line.parts(), [])
  const mixed = [rowsOf('b.bin', Buffer.alloc(2 * partBytes, '1'))[0]!, rowsOf('b.bin', Buffer.alloc(2 * partBytes, '2'))[1]!]
  await line.apply({ ...none, rows: mixed })
  t.same(line.delivered(), {}, 'parts of two versions are no file')
  for (const row of [
    rowsOf('c.bin', 'short', { size: 9 })[0]!,
    rowsOf('c.bin', 'x', { size: -1 })[0]!,
    rowsOf('c.bin', 'x', { sha256: '../../etc' })[0]!,
    rowsOf('c.bin', 'x').map(([name, , ...rest]) => [name!, '7', ...rest])[0]!,
    ['c.bin', '0', null, null, null, null, null],
  ]) {
    await line.apply({ ...none, rows: [row] })
    t.match(line.quarantine().at(-1), { key: ['c.bin', '0'], item: 'content' })
  }
  await line.apply({ ...none, rows: rowsOf('a.bin', 'signed') })
  await line.apply({ ...none, rows: rowsOf('c.bin', '') })
  t.same(line.delivered(), { 'a.bin': hashOf('signed'), 'c.bin': hashOf('') })
  t.same(line.quarantine(), [], 'the right one clears it')
})

t.test('names of a provider lead nowhere but into the folder', async (t) => {
  const line = await Line.open(t)
  const outside = mkdtempSync(join(line.target.path, '..', 'outside-'))
  symlinkSync(outside, join(line.target.path, 'link'))
  mkdirSync(join(line.target.path, 'real'))
  symlinkSync(join(outside, 'x'), join(line.target.path, 'real', 'target.pdf'))
  const names = [
    '../up.pdf',
    'a/../../up.pdf',
    '/etc/up.pdf',
    'C:/up.pdf',
    'C:up.pdf',
    'a\\..\\up.pdf',
    'nul',
    'COM1.txt',
    'a/aux.pdf/b',
    'trailing.',
    'trailing ',
    'a//b',
    '',
    'new\nline',
    'nul\0byte',
    'stream.pdf:hidden',
    '.qianzhi.json',
    '.qianzhi-parts/x',
    'a/.hidden',
    'bidi\u202Efdp.exe',
    'lone\ud800',
    'link/through.pdf',
    'real/target.pdf',
    `${'汉'.repeat(90)}.pdf`,
  ]
  const applied = await line.apply({ ...none, rows: names.flatMap((name) => rowsOf(name, 'bad')) })
  t.same(line.delivered(), {})
  t.same(applied, { written: 3, deleted: 0, quarantined: names.length, quarantine: names.length })
  t.same(existsSync(join(line.target.path, '..', 'up.pdf')), false)
  t.same(existsSync(join(outside, 'through.pdf')), false)
  t.ok(lstatSync(join(line.target.path, 'real', 'target.pdf')).isSymbolicLink())
  for (const fault of line.quarantine()) t.match(fault, { code: 'QZ-ROW-REFUSED', item: 'name', reason: { zh: /./, en: /./ } })
  await line.apply({ ...none, deletes: names.map((name) => [name, '0']) })
  t.same(line.quarantine(), [], 'gone at the provider: nothing to be told')
  t.ok(existsSync(join(line.target.path, '.qianzhi.json')))
})

t.test('what is not the route’s is neither overwritten nor removed', async (t) => {
  const line = await Line.open(t)
  writeFileSync(join(line.target.path, 'mine.pdf'), 'mine')
  mkdirSync(join(line.target.path, 'folder.pdf'))
  writeFileSync(join(line.target.path, 'plain'), 'a file')
  writeFileSync(join(line.target.path, 'same.pdf'), 'same')
  const names = ['mine.pdf', 'folder.pdf', 'plain/below.pdf', 'same.pdf', 'good.pdf']
  const applied = await line.apply({ ...none, rows: names.flatMap((name) => rowsOf(name, name === 'same.pdf' ? 'same' : 'theirs')) })
  t.match(applied, { written: 5, quarantined: 3, quarantine: 3 })
  t.same(readFileSync(join(line.target.path, 'mine.pdf'), 'utf8'), 'mine')
  t.match(
    line
      .quarantine()
      .map(({ key, kept }) => [key[0]!, kept] as const)
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
    [
      ['folder.pdf', true],
      ['mine.pdf', true],
      ['plain/below.pdf', true],
    ],
  )
  t.match(await line.sink.replay('live'), { tried: 3, applied: 0, quarantine: 3 })
  renameSync(join(line.target.path, 'mine.pdf'), join(line.target.path, 'ours.pdf'))
  rmSync(join(line.target.path, 'plain'))
  t.same(await line.sink.replay('live'), { tried: 3, applied: 2, quarantine: 1 })
  t.match(line.delivered(), { 'mine.pdf': hashOf('theirs'), 'plain/below.pdf': hashOf('theirs'), 'same.pdf': hashOf('same') })
  await line.apply({ ...none, deletes: names.map((name) => [name, '0']) })
  t.same(line.delivered(), { 'ours.pdf': hashOf('mine') })
  t.ok(statSync(join(line.target.path, 'folder.pdf')).isDirectory())
  t.same(line.quarantine(), [])
  t.same(line.parts(), [])
})

t.test('a file that a person puts at the name while the new one is verified stays', async (t) => {
  const root = t.testdir({ parts: { whole: 'theirs' }, out: { 'a.pdf': 'mine' } })
  const folder = new TargetFolder(join(root, 'out'))
  await folder.prepare(join(root, 'parts'))
  t.match(await folder.place(join(root, 'parts', 'whole'), 'a.pdf', true), {
    busy: false,
    reason: { en: /another file of this name is there/ },
  })
  t.equal(readFileSync(join(root, 'out', 'a.pdf'), 'utf8'), 'mine')
  t.equal(await folder.place(join(root, 'parts', 'whole'), 'b.pdf', true), undefined)
  t.same([existsSync(join(root, 'parts', 'whole')), readFileSync(join(root, 'out', 'b.pdf'), 'utf8')], [false, 'theirs'])
})

t.test('a file makes room for a folder of its name, and the other way round, in any order', async (t) => {
  const line = await Line.open(t)
  await line.apply({ ...none, rows: rowsOf('a', 'file') })
  await line.apply({ ...none, rows: rowsOf('a/b', 'below'), deletes: [['a', '0']] })
  t.same(line.delivered(), { 'a/b': hashOf('below') })
  await line.apply({ ...none, rows: rowsOf('a', 'file again') })
  t.match(line.quarantine(), [{ key: ['a', '0'], kept: true }])
  await line.apply({ ...none, deletes: [['a/b', '0']] })
  t.same(line.delivered(), { a: hashOf('file again') }, 'what was in its way went in a later batch')
  t.same(line.quarantine(), [])
})

t.test('names that differ only by case: both where the folder tells them apart, else the first', async (t) => {
  const apart = await Line.open(t)
  const rows = ['A.pdf', 'a.pdf'].flatMap((name) => rowsOf(name, name))
  await apart.apply({ ...none, rows })
  t.same(Object.keys(apart.delivered()), ['A.pdf', 'a.pdf'], 'this file system tells them apart')
  const folding = await Line.open(t, { folds: true })
  await folding.apply({ ...none, rows })
  t.equal(Object.keys(folding.delivered()).length, 1)
  const [first] = Object.keys(folding.delivered())
  const second = first === 'A.pdf' ? 'a.pdf' : 'A.pdf'
  t.match(folding.quarantine(), [
    { key: [second, '0'], reason: { zh: new RegExp(`${first}.*写法`), en: new RegExp(`${first}.*spelling`) } },
  ])
  await folding.apply({ ...none, rows: [...rowsOf('É.pdf', '1')] })
  await folding.apply({ ...none, rows: [...rowsOf('e\u0301.pdf', '1')] })
  t.match(folding.quarantine(), { length: 2 })
  await folding.apply({ ...none, deletes: [[first!, '0']] })
  t.match(Object.keys(folding.delivered()), [second, 'É.pdf'], 'the other one follows when it is gone')
})

t.test('a snapshot brings what is missing, takes away what is no more, and writes nothing that is there', async (t) => {
  const line = await Line.open(t)
  const { provider } = line
  for (const name of ['a.pdf', 'b/b.pdf', 'c.bin']) provider.put(name, Buffer.alloc(1.5 * partBytes, name))
  await line.mirror()
  await line.apply({ ...none, rows: rowsOf('stale.pdf', 'stale') })
  const before = lstatSync(join(line.target.path, 'c.bin')).ino
  provider.put('new.pdf', 'new')
  await provider.settle()
  await line.snapshot()
  t.same(line.delivered(), line.source())
  t.equal(lstatSync(join(line.target.path, 'c.bin')).ino, before)
  rmSync(join(line.target.path, 'a.pdf'))
  truncateSync(join(line.target.path, 'c.bin'), 7)
  chmodSync(join(line.target.path, 'b/b.pdf'), 0o640)
  utimesSync(join(line.target.path, 'b/b.pdf'), 1, 1)
  await line.snapshot()
  t.same(line.delivered(), line.source(), 'files that were damaged are mended')
  t.same(line.parts(), [])
})

t.test('a file that cannot be sent stays in a snapshot, and is forgotten when the next one does not tell of it', async (t) => {
  const line = await Line.open(t)
  await line.apply({ ...none, rows: [...rowsOf('a.pdf', 'a'), ...rowsOf('b.pdf', 'b')] })
  const fault = { key: ['a.pdf', '0'], code: 'QZ-ROW-VALUE' } as const
  await line.apply({ ...none, faults: [fault] }, { began: placeAt(2), last: true })
  t.same(line.delivered(), { 'a.pdf': hashOf('a') })
  t.match(line.quarantine(), [{ key: ['a.pdf', '0'], code: 'QZ-ROW-VALUE' }])
  await line.apply({ ...none, rows: rowsOf('b.pdf', 'b') }, { began: placeAt(3), last: true })
  t.same(line.delivered(), { 'b.pdf': hashOf('b') })
  t.same(line.quarantine(), [])
})

t.test('a shadow is filled beside and put in place at once; what it does not hold goes', async (t) => {
  const line = await Line.open(t)
  const { provider } = line
  for (const name of ['same.bin', 'changed.bin', 'gone.bin']) provider.put(name, Buffer.alloc(1.5 * partBytes, name))
  await line.mirror()
  const old = line.delivered()
  const live = line.at
  provider.put('changed.bin', Buffer.alloc(2.5 * partBytes, 'changed'))
  provider.put('new.bin', 'new')
  provider.remove('gone.bin')
  await provider.settle()
  await line.sink.beginShadow()
  line.at = null
  await line.snapshot('shadow', 3)
  t.same(line.delivered(), old)
  t.equal(line.parts().length, 2, 'only what is not there yet is kept beside')
  await line.reopen()
  t.same(line.at, live)
  await line.sink.swap()
  t.same(line.delivered(), line.source())
  t.same(line.parts(), [])
  await line.sink.beginShadow()
  line.at = null
  await line.apply(
    { ...none, rows: rowsOf('half.bin', Buffer.alloc(2 * partBytes)).slice(0, 1) },
    { began: placeAt(1), last: false },
    'shadow',
  )
  t.equal(line.parts().length, 1)
  await line.sink.beginShadow()
  t.same(line.parts(), [], 'a shadow that is begun anew leaves nothing')
})

t.test('batches that do not follow change nothing', async (t) => {
  const line = await Line.open(t)
  await line.apply({ ...none, rows: rowsOf('a.pdf', 'a') })
  const wrong = changeOf({ ...none, rows: rowsOf('b.pdf', 'b') }, placeAt(9), placeAt(10))
  await t.rejects(line.sink.apply('live', line.sink.prepare(wrong)), { code: 'QZ-CHAIN-BROKEN' })
  t.same(line.delivered(), { 'a.pdf': hashOf('a') })
  t.same(line.parts(), [])
})

t.test('a share that is away, or another agent’s, is not written into', async (t) => {
  const line = await Line.open(t)
  const { path } = line.target
  renameSync(path, `${path}.away`)
  mkdirSync(path)
  await t.rejects(line.apply({ ...none, rows: rowsOf('a.pdf', 'a') }), { code: 'QZ-FOLDER-UNREACHABLE' })
  t.same(line.delivered(), {})
  rmSync(path, { recursive: true })
  renameSync(`${path}.away`, path)
  await line.reopen()
  t.equal(line.at, null)
  await line.apply({ ...none, rows: rowsOf('a.pdf', 'a') })
  t.same(line.delivered(), { 'a.pdf': hashOf('a') })
})

t.test('a full disk holds the route, loses nothing, and it goes on when there is room', async (t) => {
  const disk = smallDisk(t, process.geteuid!())
  if (!disk) return t.comment('nothing may be mounted here')
  const target = { ...(await folderIn(temporary(t), 'target')), path: join(disk.folder, 'target') }
  mkdirSync(target.path)
  writeFileSync(join(target.path, '.qianzhi.json'), readFileSync(join(target.data, '..', 'target', '.qianzhi.json')))
  const sink = new FileSink(fileSink, target)
  await sink.open()
  const content = Buffer.alloc(8 * partBytes, 'x')
  const rows = rowsOf('a.bin', content)
  disk.fill()
  const first = sink.prepare(changeOf({ ...none, rows: rows.slice(0, 4) }, null, placeAt(1)))
  await t.rejects(sink.apply('live', first), { code: 'QZ-FOLDER-UNREACHABLE', message: /disk is full/ })
  await sink.close()
  const again = new FileSink(fileSink, target)
  t.teardown(() => again.close())
  await t.rejects(
    again.open().then(() => again.apply('live', again.prepare(changeOf({ ...none, rows: rows.slice(0, 4) }, null, placeAt(1))))),
    { code: 'QZ-FOLDER-UNREACHABLE' },
  )
  disk.free()
  t.equal((await again.open()).live.position, null)
  await again.apply('live', again.prepare(changeOf({ ...none, rows: rows.slice(0, 4) }, null, placeAt(1))))
  await again.apply('live', again.prepare(changeOf({ ...none, rows: rows.slice(4) }, placeAt(1), placeAt(2))))
  t.equal(hashOf(readFileSync(join(target.path, 'a.bin'))), hashOf(content))
})

t.test('only a file resource with all its items is delivered', async (t) => {
  const folder = await folderIn(temporary(t), 'target')
  const other = schemaOf([{ id: 'id', type: 'text', length: 20, key: true }])
  for (const sink of [
    { ...fileSink, route: 'r1', schema: other },
    { ...fileSink, route: 'r2', columns: fileSink.columns.slice(0, 6) },
    { ...fileSink, route: 'r3', deletes: 'mark' as const },
  ]) {
    const files = new FileSink(sink, folder)
    await t.rejects(files.open(), { code: 'QZ-SINK-TABLE' })
    await files.close()
  }
})

t.test('a data folder that was lost, or is older: files that are what they should be are the route’s again', async (t) => {
  const line = await Line.open(t)
  const { provider } = line
  for (const name of ['a.pdf', 'b.pdf']) provider.put(name, name)
  await line.mirror()
  await line.sink.close()
  rmSync(line.target.data, { recursive: true })
  line.sink = new FileSink(fileSink, line.target)
  line.at = (await line.sink.open()).live.position
  t.equal(line.at, null)
  await line.snapshot()
  t.same(line.quarantine(), [])
  provider.remove('a.pdf')
  await line.mirror()
  t.same(line.delivered(), line.source())
})

t.test('the files of an ended route go, and what it had gathered', async (t) => {
  const line = await Line.open(t)
  writeFileSync(join(line.target.path, 'mine.pdf'), 'mine')
  const rows = [
    ...rowsOf('half.bin', Buffer.alloc(2 * partBytes)).slice(0, 1),
    ...rowsOf('mine.pdf', 'theirs'),
    ...rowsOf('sub/a.pdf', 'a'),
  ]
  await line.apply({ ...none, rows })
  await line.sink.close()
  t.match(await removeRoute(fileSink.route, line.target), { rows: 1, tables: ['sub/a.pdf'], done: true })
  t.same(line.delivered(), { 'mine.pdf': hashOf('mine') })
  t.notOk(existsSync(join(line.target.path, '.qianzhi-parts')))
  line.sink = new FileSink(fileSink, line.target)
})

t.test('a later route of the resource goes on in the files of the one before', async (t) => {
  const target = await folderIn(temporary(t), 'target')
  const snapshot = { began: placeAt(1), last: true }
  const bring = async (sink: FileSink, files: Record<string, string>) => {
    await sink.open()
    const rows = Object.entries(files).flatMap(([name, content]) => rowsOf(name, content))
    return sink.apply('live', sink.prepare(changeOf({ ...none, rows }, null, placeAt(1), snapshot)))
  }
  const before = new FileSink(fileSink, target)
  await bring(before, { same: 'same', changed: 'old', gone: 'gone' })
  await before.close()
  writeFileSync(join(target.path, 'theirs'), 'theirs')
  const later = new FileSink({ ...fileSink, route: 'route-2' }, target)
  t.teardown(() => later.close())
  t.match(await bring(later, { same: 'same', changed: 'new', theirs: 'ours' }), { quarantined: 1 })
  t.same(contentsOf(target.path), { same: hashOf('same'), changed: hashOf('new'), theirs: hashOf('theirs') })
  await removeRoute(fileSink.route, target)
  t.same(Object.keys(contentsOf(target.path)), ['changed', 'same', 'theirs'], 'they are not of the ended one any more')
})

t.test('a folder’s place taken by a link: nothing behind it is replaced or removed', async (t) => {
  const line = await Line.open(t)
  await line.apply({ ...none, rows: [...rowsOf('d/a.pdf', 'a'), ...rowsOf('d/b.pdf', 'b')] })
  const moved = join(line.target.path, '..', 'moved')
  renameSync(join(line.target.path, 'd'), moved)
  symlinkSync(moved, join(line.target.path, 'd'))
  await line.apply({ ...none, deletes: [['d/a.pdf', '0']], rows: rowsOf('d/b.pdf', 'b changed') })
  t.equal(readFileSync(join(moved, 'a.pdf'), 'utf8'), 'a')
  t.equal(readFileSync(join(moved, 'b.pdf'), 'utf8'), 'b')
  t.match(line.quarantine(), [{ key: ['d/b.pdf', '0'], item: 'name' }])
})

t.test('a file that is edited in the instant in which it is shown is not taken for the provider’s', async (t) => {
  const line = await Line.open(t)
  const { provider } = line
  provider.put('a.pdf', 'right')
  const path = join(line.target.path, 'a.pdf')
  const mirrored = line.mirror()
  while (!existsSync(path)) await new Promise(setImmediate)
  writeFileSync(path, 'wrong')
  await mirrored
  const store = SinkStore.read(line.target, fileSink.route)!
  const shown = store.get('select print from placed')!['print']
  store.close()
  t.equal(shown, '', 'the next look reads it')
  provider.put('b.pdf', 'right')
  await line.mirror()
  const other = SinkStore.read(line.target, fileSink.route)!
  t.not(other.get(`select print from placed where name = 'b.pdf'`)!['print'], '', 'what nobody edited is known by its looks')
  other.close()
})
