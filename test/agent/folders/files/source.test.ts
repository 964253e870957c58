/** A folder whose files are themselves supplied: what is taken, when, and what is not. */
import {
  appendFileSync,
  chmodSync,
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { FileCounts, FolderSettings, Row } from '../../../../agent/database.ts'
import { FileSource } from '../../../../agent/folders/files/source.ts'
import { partBytes } from '../../../../protocol/files.ts'
import type { LocalizedText } from '../../../../protocol/localized.ts'
import { schemaOf } from '../../databases/conformance/fixture.ts'
import { fileSource, folderIn, hashOf, Provider, temporary } from './line.ts'

async function provide(t: Test, settings: Partial<FolderSettings> = {}): Promise<Provider> {
  const provider = new Provider(await folderIn(temporary(t), 'source', settings))
  t.teardown(() => provider.files.close())
  return provider
}

/** Keys that are queued, as `name/part`, and no more after it. */
async function queued(provider: Provider): Promise<string[]> {
  const { keys, done } = await provider.take()
  done()
  return keys.map(([name, part]) => `${name}#${part}`)
}

/** What the parts of a file say, and its bytes. */
function assembled(rows: readonly Row[], name: string): { parts: number; sha256: Set<string>; bytes: Buffer } {
  const own = rows.filter((row) => row[0] === name).toSorted((a, b) => Number(a[1]) - Number(b[1]))
  return {
    parts: own.length,
    sha256: new Set(own.map((row) => row[5]!)),
    bytes: Buffer.concat(own.map((row) => Buffer.from(row[6]!, 'base64'))),
  }
}

t.test('when the folder was last looked at to the end is told', async (t) => {
  const told: FileCounts[] = []
  const provider = await provide(t, { note: (_, counts) => void told.push(counts) })
  const began = Date.now()
  await provider.look()
  const { looked } = told.at(-1)!
  t.ok(Date.parse(looked!) >= began)
  const { path } = provider.folder
  renameSync(path, `${path}.away`)
  await t.rejects(provider.look(), { code: 'QZ-FOLDER-UNREACHABLE' })
  t.equal(told.at(-1)!.looked, looked, 'a look that failed is none')
})

t.test('a file is taken when it has not changed for a while', async (t) => {
  const provider = await provide(t)
  provider.put('许可证/2026/食品.pdf', 'one')
  t.equal(await provider.look(), 2000, 'it may be complete then')
  provider.clock += 1999
  await provider.look()
  t.notOk(provider.files.store.hasEntries())
  provider.put('许可证/2026/食品.pdf', 'one and more')
  provider.clock += 1
  await provider.look()
  provider.clock += 1999
  await provider.look()
  t.notOk(provider.files.store.hasEntries(), 'it grew: the wait begins anew')
  provider.clock += 1
  t.equal(await provider.look(), undefined)
  const { piece } = await provider.take()
  t.same(piece.deletes, [])
  t.match(piece.rows, [
    ['许可证/2026/食品.pdf', '0', '1', '12', /Z$/, hashOf('one and more'), Buffer.from('one and more').toString('base64')],
  ])
  t.equal(provider.queued, 1)
})

t.test('the machine’s clock and the times of files do not count', async (t) => {
  const provider = await provide(t)
  provider.put('future.pdf', 'x')
  utimesSync(join(provider.folder.path, 'future.pdf'), 4_000_000_000, 4_000_000_000)
  provider.put('past.pdf', 'x')
  utimesSync(join(provider.folder.path, 'past.pdf'), new Date(-5000), new Date(-5000))
  await provider.settle()
  const { piece } = await provider.take()
  t.same(
    piece.rows.map((row) => [row[0], row[4]]),
    [
      ['future.pdf', '2096-10-02T07:06:40Z'],
      ['past.pdf', '1970-01-01T00:00:00Z'],
    ],
  )
})

t.test('with marks a file at rest is taken as soon as its mark is there, and marks are no files', async (t) => {
  const provider = await provide(t, { ready: 'done' })
  provider.put('a.pdf', 'a')
  await provider.settle()
  t.notOk(provider.files.store.hasEntries())
  provider.put('a.pdf.done', '')
  await provider.look()
  t.same(await queued(provider), ['a.pdf#0'])
})

t.test('a mark that is older than its file is one of an earlier file', async (t) => {
  const provider = await provide(t, { ready: 'done' })
  provider.put('a.pdf', 'a')
  provider.put('a.pdf.done', '')
  await provider.settle()
  t.same(await queued(provider), ['a.pdf#0'])
  provider.put('a.pdf', 'half of')
  await provider.settle()
  t.notOk(provider.files.store.hasEntries(), 'the next version is being written')
  provider.put('a.pdf', 'half of it, and the rest')
  provider.put('a.pdf.done', '')
  await provider.settle()
  t.same(await queued(provider), ['a.pdf#0'])
})

t.test('an emptied subfolder keeps its files until it is removed; a few that go are deletes', async (t) => {
  let counts: FileCounts | undefined
  const provider = await provide(t, { note: (_, told) => void (counts = told) })
  const names = Array.from({ length: 20 }, (_, n) => `share/${n}.pdf`)
  for (const name of [...names, 'few/1.pdf', 'few/2.pdf', 'a.pdf']) provider.put(name, name)
  await provider.settle()
  await queued(provider)
  for (const name of [...names, 'few/1.pdf', 'few/2.pdf']) rmSync(join(provider.folder.path, name))
  await provider.settle()
  t.same(await queued(provider), ['few/1.pdf#0', 'few/2.pdf#0'])
  t.match(counts?.untaken, [{ file: 'share/', reason: { en: /its files stay/ } }])
  for (const name of names.slice(1)) provider.put(name, name)
  await provider.settle()
  t.same(await queued(provider), ['share/0.pdf#0'], 'they are back, but for one')
  t.equal(counts?.untaken, undefined)
  provider.remove('share')
  await provider.settle()
  t.equal((await queued(provider)).length, 19)
})

t.test('large files come in parts of one version; what changed is all sent, what is beyond the end deleted', async (t) => {
  const provider = await provide(t)
  const first = Buffer.alloc(2.5 * partBytes, 'first')
  provider.put('scan.tif', first)
  provider.put('empty.txt', '')
  provider.put('exact.bin', Buffer.alloc(partBytes, 7))
  await provider.settle()
  t.equal(await provider.files.count(), 5)
  const { piece } = await provider.take()
  t.same(assembled(piece.rows, 'scan.tif'), { parts: 3, sha256: new Set([hashOf(first)]), bytes: first })
  t.same(assembled(piece.rows, 'exact.bin').parts, 1)
  t.same(assembled(piece.rows, 'empty.txt'), { parts: 1, sha256: new Set([hashOf('')]), bytes: Buffer.alloc(0) })
  await queued(provider)
  const second = Buffer.alloc(1.5 * partBytes, 'second')
  provider.put('scan.tif', second)
  await provider.settle()
  const shorter = await provider.take()
  t.same(shorter.piece.deletes, [['scan.tif', '2']])
  t.same(assembled(shorter.piece.rows, 'scan.tif'), { parts: 2, sha256: new Set([hashOf(second)]), bytes: second })
  await queued(provider)
  provider.remove('scan.tif')
  await provider.look()
  const gone = await provider.take()
  t.same(gone.piece, {
    rows: [],
    faults: [],
    deletes: [
      ['scan.tif', '0'],
      ['scan.tif', '1'],
    ],
  })
})

t.test('a file that was touched is not sent again; one put back with its old time and size is', async (t) => {
  const provider = await provide(t)
  provider.put('a.pdf', 'content')
  await provider.settle()
  const { piece } = await provider.take()
  await queued(provider)
  const path = join(provider.folder.path, 'a.pdf')
  utimesSync(path, 1_000_000, 1_000_000)
  await provider.settle()
  t.notOk(provider.files.store.hasEntries())
  t.same((await provider.files.rowsAfter(null, 10)).rows, piece.rows, 'its row is what was sent')
  const { atime, mtime } = statSync(path)
  writeFileSync(path, 'CONTENT')
  utimesSync(path, atime, mtime)
  await provider.settle()
  t.same(await queued(provider), ['a.pdf#0'])
})

t.test('a restart finds nothing new where nothing is', async (t) => {
  const provider = await provide(t)
  for (const name of ['a', 'b/c', 'b/d', 'b-e', 'é']) provider.put(name, name)
  await provider.settle()
  t.same((await queued(provider)).toSorted(), ['a#0', 'b-e#0', 'b/c#0', 'b/d#0', 'é#0'])
  provider.restart()
  await provider.settle()
  t.notOk(provider.files.store.hasEntries())
  provider.remove('b/c')
  provider.put('b/cc', 'new')
  await provider.settle()
  t.same((await queued(provider)).toSorted(), ['b/c#0', 'b/cc#0'])
})

t.test('hidden files, those of other programs on their way, and other patterns are passed over', async (t) => {
  const folder = await folderIn(temporary(t), 'source')
  const provider = new Provider(folder, { ...fileSource, files: { ...fileSource.files!, names: '*.pdf' } })
  t.teardown(() => provider.files.close())
  for (const name of [
    'a.pdf',
    '.b.pdf',
    '~$c.pdf',
    'd.pdf.part',
    'e.pdf.crdownload',
    'f.pdf.tmp',
    '.git/g.pdf',
    'h.txt',
    'done/i.pdf',
    'J.PDF',
  ])
    provider.put(name, name)
  await provider.settle()
  t.same((await queued(provider)).toSorted(), ['J.PDF#0', 'a.pdf#0', 'done/i.pdf#0'])
})

t.test('a file that changes while it is sent is told as such, does not hold up others, and follows when it is at rest', async (t) => {
  const provider = await provide(t)
  const old = Buffer.alloc(3 * partBytes, 'old')
  provider.put('big.tif', old)
  provider.put('other.pdf', 'other')
  await provider.settle()
  const changed = Buffer.concat([old.subarray(0, partBytes), Buffer.from('longer'), old.subarray(partBytes)])
  provider.put('big.tif', changed)
  const { piece, done } = await provider.take()
  t.same(
    piece.rows.map(([name]) => name),
    ['other.pdf'],
  )
  t.same(piece.deletes, [])
  t.match(piece.faults, [
    { key: ['big.tif', '0'], code: 'QZ-ROW-VALUE', item: 'content', reason: { zh: /发生变化/, en: /changed/ } },
    { key: ['big.tif', '1'] },
    { key: ['big.tif', '2'] },
  ])
  done()
  t.equal(provider.files.store.state().quarantine, 3)
  await provider.settle()
  const again = await provider.take()
  t.same(assembled(again.piece.rows, 'big.tif'), { parts: 4, sha256: new Set([hashOf(changed)]), bytes: changed })
  again.done()
  t.equal(provider.files.store.state().quarantine, 0)
})

t.test('a file that is put back as it was sends again exactly what could not be read', async (t) => {
  const provider = await provide(t)
  const content = Buffer.alloc(3 * partBytes, 'x')
  provider.put('a.bin', content)
  await provider.settle()
  const path = join(provider.folder.path, 'a.bin')
  const first = await provider.take(1)
  first.done()
  renameSync(path, `${path}.away`)
  const second = await provider.take(1)
  t.match(second.piece.faults, [{ key: ['a.bin', '1'] }])
  second.done()
  renameSync(`${path}.away`, path)
  const third = await provider.take(1)
  t.match(third.piece.faults, [{ key: ['a.bin', '2'] }], 'renaming left its mark on the file')
  third.done()
  await provider.settle()
  t.same(await queued(provider), ['a.bin#1', 'a.bin#2'])
})

t.test('a file that grows while it is hashed, or shrinks, is not taken', async (t) => {
  const provider = await provide(t)
  const path = join(provider.folder.path, 'log.bin')
  writeFileSync(path, Buffer.alloc(64 << 20, 1))
  await provider.look()
  provider.clock += 2000
  const look = provider.look()
  const file = openSync(path, 'r+')
  const writer = setInterval(() => writeSync(file, 'more', 0), 1)
  await look
  clearInterval(writer)
  t.notOk(provider.files.store.hasEntries())
  await provider.look()
  provider.clock += 2000
  const shrinking = provider.look()
  const cutter = setInterval(() => ftruncateSync(file, 5), 1)
  await shrinking
  clearInterval(cutter)
  closeSync(file)
  t.notOk(provider.files.store.hasEntries())
  await provider.settle()
  t.same(await queued(provider), ['log.bin#0'])
})

t.test('no link is followed: not a file’s, not a folder’s, not one that takes a folder’s place later', async (t) => {
  const provider = await provide(t)
  const outside = join(provider.folder.data, '..', 'outside')
  mkdirSync(outside)
  writeFileSync(join(outside, 'secret.pdf'), 'secret')
  symlinkSync(outside, join(provider.folder.path, 'folder'))
  symlinkSync(join(outside, 'secret.pdf'), join(provider.folder.path, 'secret.pdf'))
  symlinkSync('.', join(provider.folder.path, 'loop'))
  provider.put('real/secret.pdf', 'mine')
  await provider.settle()
  t.same(await queued(provider), ['real/secret.pdf#0'])
  rmSync(join(provider.folder.path, 'real'), { recursive: true })
  symlinkSync(outside, join(provider.folder.path, 'real'))
  t.match((await provider.files.rowsAfter(null, 10)).rows, [], 'nothing outside is read')
  await provider.look()
  const { piece } = await provider.take()
  t.same(piece.deletes, [['real/secret.pdf', '0']])
})

t.test('a folder that a link takes the place of during the walk leads nowhere', async (t) => {
  const provider = await provide(t)
  const outside = join(provider.folder.data, '..', 'outside')
  mkdirSync(outside)
  provider.put('real/a.pdf', 'mine')
  await provider.settle()
  await queued(provider)
  renameSync(join(provider.folder.path, 'real'), join(outside, 'moved'))
  symlinkSync(join(outside, 'moved'), join(provider.folder.path, 'real'))
  const { rows, faults } = await provider.files.rowsByKeys([['real/a.pdf', '0']])
  t.same(rows, [], 'even the same file, moved out, is not read')
  t.match(faults, [{ key: ['real/a.pdf', '0'] }])
})

t.test('names that no folder should have are told, and the others go on', async (t) => {
  const provider = await provide(t)
  const [long, bidi] = [`${'a'.repeat(120)}/${'b'.repeat(120)}`, 'exe.\u202Efdp']
  for (const name of [long, bidi, 'con.txt', 'a\\b', 'a:b', 'dot.', 'new\nline', 'good.pdf']) provider.put(name, 'x')
  writeFileSync(Buffer.concat([Buffer.from(`${provider.folder.path}/`), Buffer.from([0xb1, 0xed, 0xb8, 0xf1])]), 'GB18030')
  await provider.settle()
  const { piece, done } = await provider.take()
  t.same(
    piece.rows.map(([name]) => name),
    ['good.pdf'],
  )
  const reasons = new Map(piece.faults.map(({ key, reason }) => [key[0], reason as LocalizedText]))
  t.match(reasons.get(long)?.en, /190/)
  t.match(reasons.get(bidi)?.en, /control/)
  t.match(reasons.get('con.txt')?.en, /Windows/)
  t.match(reasons.get('a\\b')?.en, /\\/)
  t.match(reasons.get(String.raw`\xB1\xED\xB8\xF1`)?.en, /encoded/)
  t.equal(reasons.size, 8)
  done()
  t.equal(provider.files.store.state().quarantine, 8)
  t.match((await provider.files.rowsAfter(null, 100)).faults, { length: 8 }, 'a snapshot tells them too')
  provider.restart()
  await provider.settle()
  t.notOk(provider.files.store.hasEntries(), 'once is enough')
  provider.remove('con.txt')
  await provider.look()
  const gone = await provider.take()
  t.same(gone.piece.deletes, [['con.txt', '0']])
  gone.done()
  t.equal(provider.files.store.state().quarantine, 7)
})

t.test('names that differ only by case or composition are different files', async (t) => {
  const provider = await provide(t)
  const names = ['A.pdf', 'a.pdf', 'é', 'e\u0301']
  for (const name of names) provider.put(name, name)
  await provider.settle()
  t.same((await queued(provider)).length, 4)
})

t.test('a share that goes away is no deletion', async (t) => {
  const provider = await provide(t)
  provider.put('a.pdf', 'a')
  provider.put('sub/b.pdf', 'b')
  await provider.settle()
  await queued(provider)
  const { path } = provider.folder
  renameSync(path, `${path}.away`)
  await t.rejects(provider.look(), { code: 'QZ-FOLDER-UNREACHABLE' })
  mkdirSync(path)
  await t.rejects(provider.look(), { code: 'QZ-FOLDER-UNREACHABLE' }, 'its empty mount point')
  await t.rejects(provider.files.rowsByKeys([['a.pdf', '0']]), { code: 'QZ-FOLDER-UNREACHABLE' }, 'nothing is said of a file')
  await t.rejects(provider.files.check(), { code: 'QZ-FOLDER-UNREACHABLE' })
  t.notOk(provider.files.store.hasEntries())
  rmSync(path, { recursive: true })
  renameSync(`${path}.away`, path)
  provider.remove('a.pdf')
  await provider.settle()
  t.same(await queued(provider), ['a.pdf#0'])
})

t.test('a share that goes away while it is walked is no deletion', async (t) => {
  const provider = await provide(t)
  for (let i = 0; i < 300; i++) provider.put(`${i % 10}/${i}.pdf`, 'x')
  await provider.settle()
  while (provider.files.store.hasEntries()) await queued(provider)
  const { path } = provider.folder
  const { signal } = new AbortController()
  let folders = 0
  signal.throwIfAborted = () => {
    if (++folders !== 5) return
    renameSync(path, `${path}.away`)
    mkdirSync(path)
  }
  await t.rejects(provider.files.look(signal), { code: 'QZ-FOLDER-UNREACHABLE' })
  t.ok(folders > 5, 'it was on its way')
  t.notOk(provider.files.store.hasEntries())
  t.equal(await provider.files.count(), 300)
})

t.test('a folder that cannot be read says nothing of its files; a locked file waits, others go on', async (t) => {
  const provider = await provide(t)
  provider.put('locked/a.pdf', 'a')
  provider.put('z.pdf', 'z')
  await provider.settle()
  await queued(provider)
  const uid = process.geteuid!()
  const { path, data } = provider.folder
  chmodSync(path, 0o777)
  chmodSync(data, 0o777)
  chmodSync(join(path, 'locked'), 0o700)
  provider.put('new.pdf', 'new')
  provider.put('private.pdf', 'private')
  chmodSync(join(path, 'private.pdf'), 0o600)
  chmodSync(join(path, '.qianzhi.json'), 0o666)
  chmodSync(join(data, '..'), 0o755)
  await asAnother(uid, () => provider.settle())
  t.same(await queued(provider), ['new.pdf#0'], 'the locked ones wait')
  t.equal(await asAnother(uid, () => provider.look()), 1000)
  await provider.look()
  t.same(await queued(provider), ['private.pdf#0'])
})

/** Root reads everything: another user has to look. */
async function asAnother<T>(uid: number, work: () => Promise<T>): Promise<T> {
  if (uid === 0) process.seteuid!(65534)
  try {
    return await work()
  } finally {
    process.seteuid!(uid)
  }
}

t.test('only a file resource with all its items is supplied', async (t) => {
  const folder = await folderIn(temporary(t), 'source')
  const options = { folder, queued: () => undefined, logger: folder.logger }
  const other = schemaOf([{ id: 'id', type: 'text', length: 20, key: true }])
  for (const source of [
    { ...fileSource, resource: 'one', schema: other },
    { ...fileSource, resource: 'two', columns: fileSource.columns.slice(0, 6) },
  ]) {
    const files = new FileSource(source, options)
    await t.rejects(files.check(), { code: 'QZ-SOURCE-TABLE' })
    files.close()
  }
  const files = new FileSource(fileSource, options)
  await files.check()
  files.close()
})

t.test('a snapshot reads the rows in pages, each of exactly so many', async (t) => {
  const provider = await provide(t)
  provider.put('a.bin', Buffer.alloc(2.5 * partBytes))
  provider.put('b/empty', '')
  provider.put('c.bin', Buffer.alloc(1.5 * partBytes))
  await provider.settle()
  const keys: string[] = []
  let after: Row | null = null
  for (const size of [2, 2, 2, 0]) {
    const page: { rows: Row[]; last: Row | null } = await provider.files.rowsAfter(after, 2)
    t.equal(page.rows.length, size)
    keys.push(...page.rows.map(([name, part]) => `${name}#${part}`))
    after = page.last
  }
  t.same(keys, ['a.bin#0', 'a.bin#1', 'a.bin#2', 'b/empty#0', 'c.bin#0', 'c.bin#1'])
  t.equal(after, null)
  t.same((await provider.files.rowsAfter(['a.zzz', '5'], 1)).last, ['b/empty', '0'], 'from a key that is gone')
})

t.test('appended logs and many small files are found in one look', async (t) => {
  const provider = await provide(t)
  for (let i = 0; i < 600; i++) provider.put(`${i % 7}/${i}.txt`, String(i))
  await provider.settle()
  t.equal(await provider.files.count(), 600)
  t.equal(provider.queued >= 3, true, 'a step at a time')
  const { rows } = await provider.files.rowsAfter(null, 1000)
  t.equal(rows.length, 600)
  appendFileSync(join(provider.folder.path, '3/3.txt'), 'more')
  while (provider.files.store.hasEntries()) await queued(provider)
  await provider.settle()
  t.same(await queued(provider), ['3/3.txt#0'])
  t.equal(readFileSync(join(provider.folder.path, '3/3.txt'), 'utf8'), '3more')
})
