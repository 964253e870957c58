/** Files read as rows for a reconciliation: both ends tell the same, and what went bad at the receiver is found and mended. */
import { lstatSync, openSync, rmSync, writeFileSync, writeSync, closeSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Row, Rows } from '../../../../agent/database.ts'
import { printOf } from '../../../../agent/folders/files/walk.ts'
import { FolderReading } from '../../../../agent/folders/reading.ts'
import { SinkStore } from '../../../../agent/folders/store/sink-store.ts'
import { partBytes } from '../../../../protocol/files.ts'
import { fileSink, fileSource, Line } from './line.ts'

const readBack = { ...fileSource, route: fileSink.route }

async function all(reading: FolderReading, source: typeof fileSource): Promise<Row[]> {
  const rows: Row[] = []
  for (let after: Row | null = null, more = true; more;) {
    const page: Rows & { last: Row | null } = await reading.rowsAfter(source, after, 10_000)
    rows.push(...page.rows)
    after = page.last
    more = after !== null
  }
  return rows
}

t.test('both ends tell the same rows, and what went bad is mended', async (t) => {
  const line = await Line.open(t)
  const { provider } = line
  for (const name of ['a.bin', 'b/b.bin']) provider.put(name, Buffer.alloc(2.5 * partBytes, name))
  for (let i = 0; i < 100; i++) provider.put(`c/${i}.txt`, String(i))
  provider.put('empty', '')
  await line.mirror()
  const [atSource, atTarget] = [new FolderReading(provider.folder), new FolderReading(line.target)]
  t.teardown(() => Promise.all([atSource.close(), atTarget.close()]))
  const wanted = await all(atSource, fileSource)
  t.equal(wanted.length, 107)
  t.same(await all(atTarget, readBack), wanted)
  t.equal(await atSource.count(fileSource), 107)
  t.equal(await atTarget.count(readBack), 107)
  t.same(
    (
      await atTarget.rowsByKeys(readBack, [
        ['b/b.bin', '1'],
        ['b/b.bin', '9'],
        ['x', '0'],
      ])
    ).rows,
    wanted.filter(([name, part]) => name === 'b/b.bin' && part === '1'),
  )
  t.equal((await atTarget.rowsLike(readBack, { rows: 3, filter: [{ item: 'name', value: 'empty' }] })).rows.length, 1)

  const path = join(line.target.path, 'a.bin')
  const file = openSync(path, 'r+')
  writeSync(file, 'rot', partBytes + 5)
  closeSync(file)
  const store = SinkStore.open(line.target, fileSink.route)
  store.run('update placed set print = ? where name = ?', printOf(lstatSync(path, { bigint: true })), 'a.bin')
  store.close()
  rmSync(join(line.target.path, 'c/7.txt'))
  writeFileSync(join(line.target.path, 'c/8.txt'), 'edited by hand')
  const again = new FolderReading(line.target)
  const missing = wanted.filter((row) => ['a.bin', 'c/7.txt', 'c/8.txt'].includes(row[0]!))
  const found = await all(again, readBack)
  t.same(
    found,
    wanted.filter((row) => !missing.includes(row)),
    'a file that is not what it should be has no rows',
  )
  await again.close()
  await line.apply({ rows: missing, deletes: [], faults: [] })
  t.same(line.delivered(), line.source())
  t.same(line.parts(), [])
})
