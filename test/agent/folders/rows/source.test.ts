/** Files of rows from the folder to the queue: complete, accepted, refused, merged, and never lost, whenever the program ends. */
import { cpSync, existsSync, renameSync, rmSync, statSync, symlinkSync, utimesSync } from 'node:fs'
import { appendFile, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { statFile } from '../../../../agent/folders/rows/inbox.ts'
import { sourceFile } from '../../../../agent/folders/store/stores.ts'
import type { Item } from '../../../../protocol/schema.ts'
import { until } from '../../../support/programs.ts'
import { gb18030 } from '../formats/fixture.ts'
import { FolderLine, rowSource, villageItems } from './line.ts'

const csv = (...rows: string[]): string => ['区划代码,名称,人口', ...rows, ''].join('\r\n')

t.test('the first whole table is a snapshot; the next one is its differences', async (t) => {
  const line = new FolderLine(t, rowSource())
  const capture = await line.start()
  await t.rejects(capture.checkTable(line.source), { code: 'QZ-FOLDER-WAITS' }, 'nothing begins before the first file')
  await line.put('村.csv', csv('1,东村,10', '2,西村,20', '3,南村,'))
  await line.taken(1)
  t.same(await capture.waiting(), new Set(), 'what a snapshot will meet is not queued')
  await line.snapshot(2)
  t.same(line.rows(), ['1 东村 10', '2 西村 20', '3 南村 ∅'])
  t.same(await line.names('done'), ['00000001@villages@村.csv'])
  await line.put('村.csv', csv('1,东村,10', '3,南村,30', '4,北村,40'))
  await line.taken(2)
  t.equal(await line.drain(), 3, 'one changed, one new, one gone')
  t.same(line.rows(), ['1 东村 10', '3 南村 30', '4 北村 40'])
  t.equal(await capture.count(line.source), 3)
  t.same(await line.names(), [])
})

t.test('files of changes add and change, and delete where they say so', async (t) => {
  const line = new FolderLine(t, rowSource({ whole: false }))
  await line.start()
  await line.put('1.csv', csv('1,东村,10', '2,西村,20'))
  await line.taken(1)
  await line.snapshot()
  await line.put('2.csv', 'code,name,people,qz_op\n2,西村,21,u\n1,东村,10,d\n3,南村,30,新增\n')
  await line.taken(2)
  t.equal(await line.drain(), 3)
  t.same(line.rows(), ['2 西村 21', '3 南村 30'])
})

t.test('what was read before a file with bad rows stays; the report names them', async (t) => {
  const line = new FolderLine(t, rowSource())
  await line.start()
  await line.put('1.csv', csv('1,东村,10'))
  await line.taken(1)
  await line.snapshot()
  await line.put('2.csv', csv('1,东村,11', '2,西村,many', '3,,30'))
  await line.refused(1)
  t.equal(await line.drain(), 0)
  t.same(await line.names('rejected'), ['2.csv', '2.csv.report.csv'])
  const report = await readFile(join(line.folder.path, 'rejected', '2.csv.report.csv'), 'utf8')
  t.match(report, /3.*人口.*people/, 'row, header and item')
  t.match(report, /4.*名称.*name/)
  t.equal(line.counts.get('villages')?.taken, 1)
})

t.test('what became of files last, and when the folder was looked at, is told', async (t) => {
  const line = new FolderLine(t, rowSource())
  const counts = () => line.counts.get('villages')!
  const began = Date.now()
  await line.start()
  await until('it was looked at', () => Date.parse(line.counts.get('villages')?.looked ?? '') >= began)
  t.same(counts().settled, [])
  await line.put('1.csv', csv('1,东村,10'))
  await line.taken(1)
  t.match(counts().settled, [{ file: '1.csv', rows: 1, bad: 0, code: undefined }])
  await line.put('2.csv', csv('1,东村,11', '2,西村,many'))
  await line.refused(1)
  await line.put('\u001b[2J\u202e.csv', 'no,header,here')
  await line.refused(2)
  t.match(counts().settled, [
    { file: '\ufffd[2J\ufffd.csv', code: 'QZ-FILE', rows: undefined, bad: undefined },
    { file: '2.csv', code: 'QZ-ROW-VALUE', rows: 2, bad: 1 },
    { file: '1.csv' },
  ])
  const before = counts()
  await until('it is looked at again and again', () => counts().looked! > before.looked!)
  await line.stop()
  line.counts.clear()
  await line.start()
  await line.refused(2)
  t.same(counts().settled, before.settled, 'the same after a restart')
  for (let n = 3; n <= 14; n++) await line.put(`${n}.csv`, csv('1,东村,many'))
  await line.refused(14)
  t.equal(counts().settled!.length, 11, 'the newest ones, and the one that was taken')
  t.match(counts().settled!.at(-1), { file: '1.csv' })
})

t.test('a refusal counts once, whenever the program ends; the same file put in again is another', async (t) => {
  const line = new FolderLine(t, rowSource())
  await line.start()
  await line.put('1.csv', csv('1,东村,many'))
  await line.refused(1)
  const back = () => rename(join(line.folder.path, 'rejected', '1.csv'), join(line.folder.path, '1.csv'))
  await back()
  await line.refused(2)
  await line.stop()
  const told = line.counts.get('villages')!.settled!
  t.equal(new Set(told.map(({ id }) => id)).size, 2)
  // As if the program had ended between writing it down and moving the file.
  await back()
  const { print } = (await statFile(join(line.folder.path, '1.csv'), '1.csv'))!
  const store = new DatabaseSync(sourceFile(line.folder.data, 'villages'))
  store.prepare('update settled set print = ? where id = ?').run(print, told[0]!.id)
  store.close()
  await line.start()
  await until('it is refused again', async () => (await line.names()).length === 0)
  await line.refused(2)
  t.same(line.counts.get('villages')!.settled, told)
  await back()
  await line.refused(3)
})

t.test('good rows of a half-good file are taken where that is configured; the keys of bad ones are set aside', async (t) => {
  const line = new FolderLine(t, rowSource({ faults: 'accept' }))
  const capture = await line.start()
  await line.put('1.csv', csv('1,东村,10', '2,西村,20', '3,南村,30'))
  await line.taken(1)
  await line.snapshot()
  await line.put('2.csv', csv('1,东村,11', '2,西村,many'))
  await line.taken(2)
  t.equal(await line.drain(), 3)
  t.same(line.rows(), ['1 东村 11', '2 西村 20'], 'the bad row stays what it was; what the file lacks is gone')
  t.equal((await capture.state(line.source)).quarantine, 1)
  t.same(await line.names('rejected'), ['2.csv.report.csv'])
  await line.put('3.csv', csv('1,东村,11', '2,西村,22'))
  await line.taken(3)
  await line.drain()
  t.equal((await capture.state(line.source)).quarantine, 0, 'a good row clears it')
  t.same(line.rows(), ['1 东村 11', '2 西村 22'])
})

t.test('a row whose key cannot be read may be any row: then nothing is taken for deleted', async (t) => {
  const line = new FolderLine(t, rowSource({ faults: 'accept' }))
  await line.start()
  await line.put('1.csv', csv('1,东村,10', '2,西村,20'))
  await line.taken(1)
  await line.snapshot()
  await line.put('2.csv', csv('1,东村,11', ',西村,20'))
  await line.taken(2)
  await line.drain()
  t.same(line.rows(), ['1 东村 11', '2 西村 20'])
})

t.test('a key twice in one file is a fault of the second row', async (t) => {
  const line = new FolderLine(t, rowSource())
  await line.start()
  await line.put('1.csv', csv('1,东村,10', '1,东村,11'))
  await line.refused(1)
  t.match(await readFile(join(line.folder.path, 'rejected', '1.csv.report.csv'), 'utf8'), /QZ-ROW-KEY-TWICE/)
})

t.test('a file that grows is not taken before it is complete', async (t) => {
  const line = new FolderLine(t, rowSource(), { stable: 0.3 })
  await line.start()
  await line.put('1.csv', csv('1,东村,10'))
  for (let n = 2; n <= 12; n++) {
    await until('it was looked at', () => (line.counts.get('villages')?.waiting ?? 0) === 1)
    await appendFile(join(line.folder.path, '1.csv'), `${n},村,1\r\n`)
  }
  await line.taken(1)
  await line.snapshot()
  t.equal(line.rows().length, 12)
})

t.test('with ready: done a file waits for its mark', async (t) => {
  const line = new FolderLine(t, rowSource(), { ready: 'done', stable: 0.01 })
  await line.start()
  await line.put('1.csv', csv('1,东村,10'))
  await line.put('2.csv', csv('1,东村,11', '2,西村,20'))
  await line.put('2.csv.done', '')
  await line.taken(1)
  t.same(await line.names(), ['1.csv'], 'the mark goes with its file')
})

t.test('times of another clock decide nothing but the order', async (t) => {
  const line = new FolderLine(t, rowSource(), { ready: 'done' })
  await mkdir(line.folder.path, { recursive: true })
  await line.put('a.csv', csv('1,东村,2'))
  await line.put('b.csv', csv('1,东村,1'))
  const years = 10 * 365 * 86_400
  utimesSync(join(line.folder.path, 'a.csv'), Date.now() / 1000 + years, Date.now() / 1000 + years)
  utimesSync(join(line.folder.path, 'b.csv'), 1000, 1000)
  for (const name of ['a', 'b']) await line.put(`${name}.csv.done`, '')
  await line.start()
  await line.taken(2)
  await line.snapshot()
  t.same(line.rows(), ['1 东村 2'], 'the newer one counts')
})

t.test('a file that is replaced while it is read is read again', async (t) => {
  const line = new FolderLine(t, rowSource())
  await mkdir(line.folder.path, { recursive: true })
  // Of the first file the rows go to another place than those of a later one.
  await line.put('1.csv', csv('0,村,1'))
  await line.start()
  await line.taken(1)
  const many = Array.from({ length: 60_000 }, (_, n) => `${n},村,1`)
  await line.put('2.csv', csv(...many))
  await line.put('.other', csv('1,新村,1'))
  const staged = join(line.folder.data, 'folders', 'villages.sqlite.staged')
  await until('it is being read', () => existsSync(staged))
  renameSync(join(line.folder.path, '.other'), join(line.folder.path, '2.csv'))
  await line.taken(2)
  await line.snapshot()
  t.same(line.rows(), ['1 新村 1'])
})

t.test('a first file that cannot be filled in as it is read: its end is bad, a key is there again, its rows are in no order', async (t) => {
  const good = Array.from({ length: 3000 }, (_, n) => `${10_000 + n},村,1`)
  const line = new FolderLine(t, rowSource())
  const capture = await line.start()
  await line.put('1.csv', csv(...good, '20000,村,many'))
  await line.refused(1)
  await line.put('2.csv', csv(...good, good[0]!))
  await line.refused(2)
  t.match(await readFile(join(line.folder.path, 'rejected', '2.csv.report.csv'), 'utf8'), /3002.*QZ-ROW-KEY-TWICE/s)
  t.equal(await capture.count(line.source), 0, 'nothing is kept of them')
  await t.rejects(capture.checkTable(line.source), { code: 'QZ-FOLDER-WAITS' })
  await line.put('3.csv', csv(...good.toReversed()))
  await line.taken(1)
  t.equal(await capture.count(line.source), 3000)
})

t.test("a file that is written on after it was taken is taken anew, and the writer's pause is learnt", async (t) => {
  const line = new FolderLine(t, rowSource())
  await line.start()
  await line.put('1.csv', csv('1,东村,10', '2,西村,20'))
  await line.taken(1)
  await line.snapshot()
  const file = await open(join(line.folder.path, '2.csv'), 'w')
  await file.write(csv('1,东村,10'))
  await line.taken(2)
  await line.drain()
  t.same(line.rows(), ['1 东村 10'])
  await file.write('2,西村,21\r\n3,南村,30\r\n')
  await line.taken(3)
  await file.close()
  await line.drain()
  t.same(line.rows(), ['1 东村 10', '2 西村 21', '3 南村 30'])
  t.same(await line.names('done'), ['00000001@villages@1.csv', '00000003@villages@2.csv'])
  await line.stop()
  const store = new DatabaseSync(sourceFile(line.folder.data, 'villages'))
  const pause = Number(store.prepare(`select value from learnt where name = 'pause'`).get()!['value'])
  store.close()
  t.ok(pause > line.folder.stable, `files must be at rest for ${pause} seconds from now on`)
})

t.test('a file that is rewritten after it was taken, with its size and time, is taken anew; one before the last is told', async (t) => {
  const line = new FolderLine(t, rowSource({ whole: false }))
  await line.start()
  for (const [n, name] of ['1.csv', '2.csv'].entries()) {
    await line.put(name, csv(`${n},东村,10`))
    await line.taken(n + 1)
  }
  await line.snapshot()
  const last = join(line.folder.path, 'done', '00000002@villages@2.csv')
  const { atime, mtime } = statSync(last)
  const file = await open(last, 'r+')
  await file.write(csv('1,西村,10'))
  await file.close()
  utimesSync(last, atime, mtime)
  await line.taken(3)
  await line.drain()
  t.same(line.rows(), ['0 东村 10', '1 西村 10'])
  await appendFile(join(line.folder.path, 'done', '00000001@villages@1.csv'), '7,北村,70\r\n')
  await line.refused(1)
  t.equal(await line.drain(), 0)
  t.match(await readFile(join(line.folder.path, 'rejected', '1.csv.report.csv'), 'utf8'), /written on after it had been taken/)
  await line.stop()
  await line.start()
  await until('it was looked at', () => line.counts.get('villages')?.looked !== undefined)
  t.equal(line.counts.get('villages')!.refused, 1, 'told once')
})

t.test('a mark that is older than its file is one of an earlier file; a file with a mark must be at rest too', async (t) => {
  const line = new FolderLine(t, rowSource(), { ready: 'done', stable: 0.3 })
  await mkdir(line.folder.path, { recursive: true })
  await line.put('1.csv.done', '')
  await line.put('1.csv', csv('1,东村,10'))
  await line.start()
  for (let n = 2; n <= 5; n++) {
    const { looked } = line.counts.get('villages') ?? {}
    await until(
      'it was looked at',
      () => line.counts.get('villages')?.looked !== undefined && line.counts.get('villages')?.looked !== looked,
    )
    await appendFile(join(line.folder.path, '1.csv'), `${n},村,1\r\n`)
  }
  await line.put('1.csv.done', '')
  await appendFile(join(line.folder.path, '1.csv'), '6,村,1\r\n')
  await line.put('1.csv.done', '')
  await line.taken(1)
  await line.snapshot()
  t.equal(line.rows().length, 6)
})

t.test('files of one time are taken by the numbers in their names; one that is older than what was taken is refused', async (t) => {
  const line = new FolderLine(t, rowSource({ whole: false }))
  await mkdir(line.folder.path, { recursive: true })
  const seconds = Math.floor(Date.now() / 1000) - 60
  const put = async (name: string, at: number, ...rows: string[]) => {
    await line.put(name, csv(...rows))
    utimesSync(join(line.folder.path, name), at, at)
  }
  await put('changes_10.csv', seconds, '1,新村,10')
  await put('changes_9.csv', seconds, '1,旧村,9')
  await line.start()
  await line.taken(2)
  await line.snapshot()
  t.same(line.rows(), ['1 新村 10'])
  await put('changes_8.csv', seconds - 10, '1,老村,8')
  await line.refused(1)
  t.match(await readFile(join(line.folder.path, 'rejected', 'changes_8.csv.report.csv'), 'utf8'), /it is older than changes_10\.csv/)
  t.equal(await line.drain(), 0)
  await line.stop()
  line.source = rowSource({ whole: false, older: 'take' })
  await line.start()
  await put('changes_8.csv', seconds - 10, '1,老村,8')
  await line.taken(3)
})

t.test('a column that a file of changes lacks is not said; what a whole table lacks must have had no values', async (t) => {
  const changes = new FolderLine(t, rowSource({ whole: false }))
  await changes.start()
  await changes.put('1.csv', csv('1,东村,10', '2,西村,20', '3,南村,30'))
  await changes.taken(1)
  await changes.snapshot()
  await changes.put('2.csv', 'code,name,qz_op\n1,新村,u\n4,北村,u\n3,,d\n')
  await changes.put(
    '3.jsonl',
    '{"code":"2","name":"西村二"}\n{"code":"4","name":"北村","people":null}\n{"code":"1","name":"新村","people":11}\n',
  )
  await changes.taken(3)
  await changes.drain()
  t.same(changes.rows(), ['1 新村 11', '2 西村二 20', '4 北村 ∅'])
  const whole = new FolderLine(t, rowSource())
  await whole.start()
  await whole.put('1.csv', 'code,name\n1,东村\n')
  await whole.taken(1)
  await whole.put('2.csv', csv('1,东村,10', '2,西村,'))
  await whole.taken(2)
  await whole.snapshot()
  await whole.put('3.csv', 'code,name\n1,东村\n')
  await whole.refused(1)
  t.match(await readFile(join(whole.folder.path, 'rejected', '3.csv.report.csv'), 'utf8'), /no column 人口 \(people\)/)
  t.equal(await whole.drain(), 0)
})

t.test('in a file of changes the last row of a key counts', async (t) => {
  const line = new FolderLine(t, rowSource({ whole: false }))
  await line.start()
  await line.put('1.csv', csv('1,东村,10', '2,西村,20', '9,老村,90'))
  await line.taken(1)
  await line.snapshot()
  const ops = ['3,南村,30,u', '3,南村,31,u', '3,,,d', '1,,,d', '1,东村,11,u', '2,西村,21,u', '2,西村,22,u', '9,,,d']
  await line.put('2.csv', ['code,name,people,qz_op', ...ops, ''].join('\n'))
  await line.taken(2)
  await line.drain()
  t.same(line.rows(), ['1 东村 11', '2 西村 22'])
  // Of a row that was deleted in between nothing is left; else what a later row does not say is as an earlier one had it.
  await line.put(
    '3.jsonl',
    '{"code":"1","name":"东村","qz_op":"d"}\n{"code":"1","name":"新村","qz_op":"u"}\n{"code":"2","name":"西村","people":23,"qz_op":"u"}\n{"code":"2","name":"西村三","qz_op":"u"}\n',
  )
  await line.taken(3)
  await line.drain()
  t.same(line.rows(), ['1 新村 ∅', '2 西村三 23'])
})

t.test('a file that may be in two encodings is read as those before it', async (t) => {
  const line = new FolderLine(t, rowSource({ whole: false }))
  await line.start()
  await line.put('1.csv', gb18030('code,name,people\n6,女,3\n'))
  await line.refused(1)
  await line.put('2.csv', gb18030('code,name,people\n1,东村,3\n'))
  await line.taken(1)
  await line.put('3.csv', gb18030('code,name,people\n6,女,3\n'))
  await line.taken(2)
  await line.snapshot()
  t.same(line.rows(), ['1 东村 3', '6 女 3'])
})

t.test('a link is refused, and its target is not read', async (t) => {
  const line = new FolderLine(t, rowSource())
  await mkdir(line.folder.path, { recursive: true })
  const outside = join(line.folder.data, '..', 'outside.csv')
  await writeFile(outside, csv('1,东村,10'))
  symlinkSync(outside, join(line.folder.path, 'link.csv'))
  await line.start()
  await line.refused(1)
  t.equal(await readFile(outside, 'utf8'), csv('1,东村,10'))
  t.same(await line.names('rejected'), ['link.csv', 'link.csv.report.csv'])
})

t.test('long, strange and nearly equal names', async (t) => {
  const line = new FolderLine(t, rowSource({ whole: false }))
  await mkdir(line.folder.path, { recursive: true })
  const names = [`${'很'.repeat(80)}.csv`, 'A.csv', 'a.csv', '-rf \n"x".csv', '..csv.csv', '@@.csv']
  for (const [n, name] of names.entries()) await line.put(name, csv(`${n},村,1`))
  await line.put('坏.csv', csv('x,,1'))
  const long = `${'坏'.repeat(80)}.csv`
  await line.put(long, csv('x,,1'))
  await line.start()
  await line.taken(names.filter((name) => !name.startsWith('.')).length)
  await line.refused(2)
  const rejected = await line.names('rejected')
  t.equal(rejected.length, 4)
  t.ok(rejected.every((name) => Buffer.byteLength(name) <= 255))
})

t.test('of two agents on one folder the second is refused', async (t) => {
  const line = new FolderLine(t, rowSource())
  await line.start()
  const second = new FolderLine(t, rowSource(), { path: line.folder.path, agent: 'agent-2' })
  await t.rejects(second.start(), { code: 'QZ-FOLDER-SHARED' })
})

t.test('a share that goes away is no empty folder', async (t) => {
  const line = new FolderLine(t, rowSource())
  const capture = await line.start()
  await line.put('1.csv', csv('1,东村,10'))
  await line.taken(1)
  await line.snapshot()
  const away = `${line.folder.path}.away`
  await rename(line.folder.path, away)
  await mkdir(line.folder.path)
  await until('it is noticed', async () => {
    return capture.backlog(line.source, 1).then(
      () => false,
      (error: { code: string }) => error.code === 'QZ-FOLDER-UNREACHABLE',
    )
  })
  await line.stop()
  await t.rejects(line.start(), { code: 'QZ-FOLDER-UNREACHABLE' }, 'nor at a start is it taken for a new one')
  t.same(await line.names(), [])
  await rm(line.folder.path, { recursive: true })
  await rename(away, line.folder.path)
  await line.start()
  await line.put('2.csv', csv('1,东村,11'))
  await line.taken(2)
  await line.drain()
  t.same(line.rows(), ['1 东村 11'])
})

t.test('an accepted file that was not merged is merged at the next start', async (t) => {
  const line = new FolderLine(t, rowSource())
  await line.start()
  await line.put('1.csv', csv('1,东村,10'))
  await line.taken(1)
  await line.snapshot()
  await line.stop()
  // As if the program had ended right after the move.
  await writeFile(join(line.folder.path, 'done', '00000002@villages@2.csv'), csv('1,东村,11', '2,西村,20'))
  await line.start()
  await line.taken(2)
  await line.drain()
  t.same(line.rows(), ['1 东村 11', '2 西村 20'])
})

t.test('a file that took the name of the checked one before the move is checked itself', async (t) => {
  const line = new FolderLine(t, rowSource())
  await line.start()
  await line.put('1.csv', csv('1,东村,10'))
  await line.taken(1)
  await line.snapshot()
  await line.stop()
  // As if the program had ended between the move and the look at what was moved.
  const moved = '00000002@villages@2.csv'
  const store = new DatabaseSync(sourceFile(line.folder.data, 'villages'))
  store.prepare(`insert or replace into learnt values ('accepting', ?)`).run(JSON.stringify({ name: moved, content: 'another' }))
  store.close()
  await writeFile(join(line.folder.path, 'done', moved), csv('2,西村,many'))
  await line.start()
  await line.refused(1)
  t.same(await line.names('done'), ['00000001@villages@1.csv'])
  t.equal(await line.drain(), 0, 'nothing of it is merged')
  await line.put('2.csv', csv('1,东村,11'))
  await line.taken(2)
})

t.test("a file's print changes when it is written again with its size and time", async (t) => {
  const path = join(t.testdir({ 'a.csv': 'one' }), 'a.csv')
  const before = (await statFile(path, 'a.csv'))!
  const { atime, mtime } = statSync(path)
  await writeFile(path, 'two')
  utimesSync(path, atime, mtime)
  t.not((await statFile(path, 'a.csv'))!.print, before.print)
})

t.test('a data folder of yesterday takes what lies in done/ again', async (t) => {
  const line = new FolderLine(t, rowSource())
  await line.start()
  await line.put('1.csv', csv('1,东村,10', '2,西村,20'))
  await line.taken(1)
  await line.snapshot()
  await line.stop()
  const copy = `${line.folder.data}.copy`
  cpSync(line.folder.data, copy, { recursive: true })
  await line.start()
  await line.put('2.csv', csv('1,东村,11', '3,南村,30'))
  await line.taken(2)
  await line.drain()
  await line.stop()
  rmSync(line.folder.data, { recursive: true })
  renameSync(copy, line.folder.data)
  await line.start()
  await line.taken(2)
  await line.drain()
  t.same(line.rows(), ['1 东村 11', '3 南村 30'])
})

t.test('a row that was forgotten with the data folder is not taken for deleted', async (t) => {
  const line = new FolderLine(t, rowSource({ whole: false }))
  const capture = await line.start()
  await line.put('1.csv', csv('1,东村,10'))
  await line.taken(1)
  await line.snapshot()
  line.received.set('["9"]', '9 旧村 90')
  const { position } = await capture.state(line.source)
  await capture.requeue(line.source, [['9']], position!)
  await line.drain()
  t.same(line.rows(), ['1 东村 10', '9 旧村 90'])
  t.match(await line.database.quarantine('villages', 10), [{ key: ['9'], code: 'QZ-ROW-UNKNOWN' }])
})

t.test('another schema: what is kept follows it, and says what it cannot be', async (t) => {
  const line = new FolderLine(t, rowSource())
  await line.start()
  await line.put('1.csv', csv('1,东村,10', '2,西西西村,20'))
  await line.taken(1)
  await line.snapshot()
  await line.stop()
  const area: Item = { id: 'area', name: 'area', label: '面积', type: 'decimal', precision: 8, scale: 2, openness: 'public' }
  const shorter = villageItems.map((item) => (item.id === 'name' ? { ...item, length: 3 } : item))
  line.source = rowSource({}, [shorter[0]!, area, shorter[1]!], 2)
  const capture = await line.start()
  await line.snapshot()
  t.same(line.rows(), ['1 ∅ 东村', '2 西西西村 20'], 'the second keeps what it was until it is put right')
  t.equal((await capture.state(line.source)).quarantine, 1)
})

t.test('a full or read-only place: nothing is half taken, and it goes on when there is room', async (t) => {
  const line = new FolderLine(t, rowSource())
  await line.start()
  await line.put('1.csv', csv('1,东村,10'))
  await line.taken(1)
  await line.snapshot()
  // A folder in the file's place: the staging area cannot be made.
  const staged = join(line.folder.data, 'folders', 'villages.sqlite.staged')
  await mkdir(staged)
  const keep = await open(join(staged, 'x'), 'w')
  await keep.close()
  await line.put('2.csv', csv('1,东村,11'))
  await until('it says so', async () =>
    line.capture!.backlog(line.source, 1).then(
      () => false,
      () => true,
    ),
  )
  t.same(await line.names(), ['2.csv'])
  await rm(staged, { recursive: true })
  await line.taken(2)
  await line.drain()
  t.same(line.rows(), ['1 东村 11'])
})
