/** Rows delivered into a folder: a batch and its position go in together, bad rows are set aside by key, files show only complete tables. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import type { Change, Row } from '../../../../agent/database.ts'
import { listQuarantine } from '../../../../agent/folders/quarantine.ts'
import { FolderReading } from '../../../../agent/folders/reading.ts'
import { verifyProvider } from '../../../../protocol/file-manifest.ts'
import { keyItems } from '../../../../protocol/schema.ts'
import { at, licence, schemaOf, sourceOf, twoKeys } from '../../databases/conformance/fixture.ts'
import {
  apply,
  fileSink,
  filesIn,
  filled,
  manifestOf,
  manifestWhen,
  openDelivery,
  providerKey,
  readRows,
  sha256Of,
  Stream,
  type Filled,
} from './sink-fixture.ts'

const csv = 'scjg.licence.csv'
const rowsOf = async (reading: FolderReading, schema = licence, route = 'route-1'): Promise<Row[]> =>
  (await reading.rowsAfter({ ...sourceOf(schema), route, capture: 'compare' }, null, 10_000)).rows
const stored = async ({ folder }: Filled, schema = licence): Promise<Row[]> => rowsOf(new FolderReading(folder), schema)

t.test('upserts, deletes and the position go in together', async (t) => {
  const sink = fileSink(twoKeys)
  const opened = await filled(t, sink)
  const { delivery } = opened
  const stream = new Stream(twoKeys)
  const first = stream.next([
    ['1', 'x', 'a'],
    ['1', 'y', 'b'],
    ['2', null, 'a'],
  ])
  t.same(await apply(opened, sink, first), { written: 3, deleted: 0, quarantined: 0, quarantine: 0 })
  const second = stream.next(
    [
      ['1', 'z', 'a'],
      ['2', null, 'a'],
      ['9', null, 'none'],
    ],
    { ops: ['u', 'd', 'd'] },
  )
  t.match(await apply(opened, sink, second), { written: 1, deleted: 1, quarantined: 0 })
  t.same(await stored(opened, twoKeys), [
    ['1', 'z', 'a'],
    ['1', 'y', 'b'],
  ])
  t.same((await delivery.open(sink)).live.position, second.to)
})

t.test('a batch is applied only from where the route is', async (t) => {
  const sink = fileSink()
  const opened = await filled(t, sink)
  const stream = new Stream()
  const first = stream.next([['a', '甲', '1.00']])
  await apply(opened, sink, first)
  await t.rejects(apply(opened, sink, { ...first, columns: [['b'], [''], ['1.00']] }), { code: 'QZ-CHAIN-BROKEN' })
  await t.rejects(apply(opened, sink, { ...first, from: { ...first.to, hash: at(7).hash }, to: at(2) }), { code: 'QZ-CHAIN-BROKEN' })
  t.same(await stored(opened), [['a', '甲', '1.00']])
  t.same((await opened.delivery.open(sink)).live.position, first.to)
})

t.test('a key twice in one batch: the later one holds', async (t) => {
  const sink = fileSink()
  const opened = await filled(t, sink)
  const stream = new Stream()
  await apply(opened, sink, stream.next(Array.from({ length: 600 }, (_, i) => ['a', `n${i}`, null])))
  t.same(await stored(opened), [['a', 'n599', null]])
  await apply(
    opened,
    sink,
    stream.next(
      [
        ['a', 'x', null],
        ['a', null, null],
      ],
      { ops: ['u', 'd'] },
    ),
  )
  t.same(await stored(opened), [])
})

t.test('rows that a file cannot hold are set aside by key, cleared by a later batch, and tried again', async (t) => {
  const sink = fileSink(licence, { format: { kind: 'excel', timezone: 'UTC' } })
  const opened = await filled(t, sink)
  const { folder, delivery } = opened
  const stream = new Stream()
  const long = 'x'.repeat(32_768)
  await apply(
    opened,
    sink,
    stream.next(
      [
        ['k0', 'n', '0.00'],
        ['k1', 'n', '1.00'],
        ['k2', 'n', '2.00'],
      ],
      { snapshot: 'only' },
    ),
  )
  const bad = stream.next([
    ['k0', 'new', '0.00'],
    ['k1', long, '1.00'],
    ['k2', 'nul\0', '2.00'],
  ])
  t.match(await apply(opened, sink, bad), { written: 1, quarantined: 2, quarantine: 2 })
  t.same(
    (await stored(opened)).map((row) => row[1]),
    ['new', 'n', 'n'],
    'the old rows stay',
  )
  const listed = listQuarantine(folder, sink.route, 10)
  t.match(listed, [
    {
      end: 'sink',
      route: 'route-1',
      resource: 'scjg.licence',
      key: ['k1'],
      code: 'QZ-ROW-REFUSED',
      item: 'name',
      reason: { zh: /32767 个字符/, en: /32767 characters/ },
      kept: true,
    },
    { key: ['k2'] },
  ])
  t.equal(listQuarantine(folder, sink.resource, 10).length, 2, 'by its resource too')
  t.equal(listQuarantine(folder, undefined, 1).length, 1, 'no more than asked for')
  t.same(listQuarantine(folder, 'another', 10), [])
  const manifest = await manifestWhen(opened, 'scjg.licence.xlsx', ({ to }) => to.hash === bad.to.hash)
  t.equal(manifest.quarantine, 2, 'the manifest says that rows are missing')

  const cannot = stream.next(
    [
      ['k0', null, null],
      ['k2', null, null],
    ],
    { ops: ['c:QZ-ROW-TOO-LARGE', 'd'] },
  )
  t.match(await apply(opened, sink, cannot), { deleted: 1, quarantined: 1, quarantine: 2 })
  t.same(
    await delivery.replay(sink, 'live'),
    { tried: 1, applied: 0, quarantine: 2 },
    'still refused; what the provider could not send is not tried',
  )
  const asText = fileSink()
  t.match(await delivery.open(asText), { live: { position: cannot.to, quarantine: 2 } })
  t.same(await delivery.replay(asText, 'live'), { tried: 1, applied: 1, quarantine: 1 }, 'CSV holds it')
  t.same(
    (await stored(opened)).map(([id, name]) => [id, name]),
    [
      ['k0', 'new'],
      ['k1', long],
    ],
  )
  t.match(await apply(opened, asText, stream.next([['k0', 'good', null]])), { quarantined: 0, quarantine: 0 })
  t.same((await delivery.open(asText)).live.quarantine, 0)
})

t.test('a row that something newer has touched is never brought back', async (t) => {
  const sink = fileSink()
  const opened = await filled(t, sink)
  const stream = new Stream()
  await apply(
    opened,
    sink,
    stream.next([
      ['a', '\0', '1.00'],
      ['b', '\0', '1.00'],
    ]),
  )
  await apply(
    opened,
    sink,
    stream.next(
      [
        ['a', 'newer', '2.00'],
        ['b', null, null],
      ],
      { ops: ['u', 'd'] },
    ),
  )
  t.same(await opened.delivery.replay(sink, 'live'), { tried: 0, applied: 0, quarantine: 0 })
  t.same(await stored(opened), [['a', 'newer', '2.00']])
})

t.test('at its end a snapshot removes the older rows, quarantined keys excepted as long as it met them', async (t) => {
  const sink = fileSink()
  const opened = await filled(t, sink)
  const { delivery } = opened
  const stream = new Stream()
  await apply(opened, sink, stream.next(['a', 'b', 'c', 'd', 'e'].map((id) => [id, 'old', '1.00'])))
  await apply(
    opened,
    sink,
    stream.next([
      ['a', '\0', null],
      ['never', '\0', null],
    ]),
  )
  const begins = stream.next([['c', 'new', '1.00']], { snapshot: 'first' })
  t.match(await apply(opened, sink, begins), { quarantine: 2 })
  t.match((await delivery.open(sink)).live, { snapshot: { epoch: 1, seq: 3 }, complete: false })
  t.equal((await stored(opened)).length, 5)
  const end = stream.next(
    [
      ['b', '\0', 'x'],
      ['f', 'new', '1.00'],
    ],
    { snapshot: 'last' },
  )
  t.match(await apply(opened, sink, end), { written: 1, deleted: 3, quarantined: 1, quarantine: 1 })
  t.same(
    (await stored(opened)).map((row) => row.slice(0, 2)),
    [
      ['b', 'old'],
      ['c', 'new'],
      ['f', 'new'],
    ],
  )
  t.match((await delivery.open(sink)).live, { position: end.to, snapshot: null, complete: true })
})

t.test('deletes that mark keep the row, in the file too, and an upsert brings it back', async (t) => {
  const sink = fileSink(licence, {}, { deletes: 'mark' })
  const opened = await filled(t, sink)
  const stream = new Stream()
  await apply(
    opened,
    sink,
    stream.next(
      [
        ['a', '甲', '1.00'],
        ['b', null, null],
      ],
      { snapshot: 'only' },
    ),
  )
  const gone = stream.next([['a', null, null]], { ops: ['d'] })
  t.match(await apply(opened, sink, gone), { deleted: 1 })
  await manifestWhen(opened, csv, ({ to }) => to.hash === gone.to.hash)
  t.same(await readRows(opened.folder, csv), [
    ['id', 'name', 'amount', 'qz_source', 'qz_deleted'],
    ['a', '甲', '1.00', 'scjg', 'true'],
    ['b', null, null, 'scjg', 'false'],
  ])
  t.same(await stored(opened), [['b', null, null]])
  await apply(opened, sink, stream.next([['a', 'A', null]]))
  t.equal((await stored(opened)).length, 2)
  const snapshot = stream.next([['a', 'A', null]], { snapshot: 'only' })
  t.match(await apply(opened, sink, snapshot), { deleted: 1 })
  await manifestWhen(opened, csv, ({ to }) => to.hash === snapshot.to.hash)
  t.same(
    (await readRows(opened.folder, csv)).map((row) => row.at(-1)),
    ['qz_deleted', 'false', 'true'],
  )
})

t.test('an incomplete table is never shown; a complete one is, in the order of keys, and anew after changes', async (t) => {
  const sink = fileSink(twoKeys)
  const opened = await filled(t, sink)
  const { folder, delivery } = opened
  const stream = new Stream(twoKeys)
  // Another route, whose files show that there was time enough for one.
  const beside = { ...licence, resource: 'scjg.beside' }
  const other = fileSink(beside, {}, { route: 'route-2' })
  const otherStream = new Stream(beside)
  await delivery.open(other)
  const passes = async (change: Change) => {
    await apply(opened, other, change)
    await manifestWhen(opened, 'scjg.beside.csv', ({ to }) => to.hash === change.to.hash)
  }
  const first: Row[] = [
    ['10', 'x', 'b'],
    ['9', 'x', 'c'],
  ]
  await apply(opened, sink, stream.next(first, { snapshot: 'first' }))
  await passes(otherStream.next([['a', null, null]], { snapshot: 'only' }))
  await delivery.open(sink)
  await apply(opened, sink, stream.next([['10', 'y', 'a']], { snapshot: 'goes on' }))
  await passes(otherStream.next([['b', null, null]]))
  t.same(filesIn(folder), ['scjg.beside.csv', 'scjg.beside.csv.manifest.json'])
  const end = stream.next([['-2', null, 'z']], { snapshot: 'last' })
  await apply(opened, sink, end)
  const manifest = await manifestWhen(opened, 'scjg.licence.csv')
  t.match(manifest, {
    agent: 'receiver-1',
    route: 'route-1',
    source: 'scjg',
    kind: 'whole',
    number: 1,
    rows: 4,
    previous: null,
    from: null,
    to: end.to,
    batches: 3,
    sha256: sha256Of(folder, csv),
    items: [{ id: 'region', type: 'integer', header: 'region' }, { id: 'name' }, { id: 'code' }],
    provider: [end.manifest],
  })
  t.same(await readRows(folder, csv), [
    ['region', 'name', 'code', 'qz_source'],
    ['-2', null, 'z', 'scjg'],
    ['9', 'x', 'c', 'scjg'],
    ['10', 'y', 'a', 'scjg'],
    ['10', 'x', 'b', 'scjg'],
  ])
  const change = stream.next([['9', null, 'c']], { ops: ['d'] })
  await apply(opened, sink, change)
  const next = await manifestWhen(opened, csv, ({ number }) => number === 2)
  t.match(next, { previous: manifest.sha256, from: end.to, to: change.to, rows: 3, batches: 1 })
  const same = stream.next([['10', 'y', 'a']])
  await apply(opened, sink, same)
  await delivery.open(sink)
  t.equal(manifestOf(folder, csv)!.number, 2, 'rows that are as they were make no file')
  t.same(filesIn(folder), ['scjg.beside.csv', 'scjg.beside.csv.manifest.json', csv, `${csv}.manifest.json`])
})

t.test('an empty table is a file with a header', async (t) => {
  const sink = fileSink()
  const opened = await filled(t, sink)
  await apply(opened, sink, new Stream().next([], { snapshot: 'only' }))
  t.match(await manifestWhen(opened, csv), { rows: 0 })
  t.equal((await readRows(opened.folder, csv)).length, 1)
})

t.test('changes are gathered', async (t) => {
  const sink = fileSink(licence, { gather: 3600 })
  const opened = await filled(t, sink)
  const stream = new Stream()
  await apply(opened, sink, stream.next([['a', 'x', null]], { snapshot: 'only' }))
  await manifestWhen(opened, csv)
  for (let i = 0; i < 5; i++) await apply(opened, sink, stream.next([['a', `x${i}`, null]]))
  await opened.delivery.open(sink)
  t.equal(manifestOf(opened.folder, csv)!.number, 1)
  const hasty = fileSink(licence, { gather: 0 })
  await opened.delivery.open(hasty)
  t.match(await manifestWhen(opened, csv, ({ number }) => number === 2), { batches: 5 })
})

t.test('a shadow is filled beside the live rows and takes their place at once', async (t) => {
  const sink = fileSink()
  const opened = await filled(t, sink)
  const { delivery, folder } = opened
  const stream = new Stream()
  await apply(
    opened,
    sink,
    stream.next(
      [
        ['a', 'old', '1.00'],
        ['b', 'old', '1.00'],
      ],
      { snapshot: 'only' },
    ),
  )
  await manifestWhen(opened, csv)
  const wider = schemaOf([{ id: 'extra', type: 'text', length: 9 }, ...licence.items], 2)
  const wide = fileSink(wider)
  t.match((await delivery.open(wide)).live, { schemaVersion: 1, items: ['id', 'name', 'amount'] })
  await delivery.beginShadow(wide)
  const dropped = new Stream(wider, 2)
  await apply(opened, wide, dropped.next([[null, 'z', 'dropped', null]], { snapshot: 'first' }), 'shadow')
  await delivery.beginShadow(wide)
  t.match((await delivery.open(wide)).shadow, {
    position: null,
    complete: false,
    schemaVersion: 2,
    items: ['extra', 'id', 'name', 'amount'],
  })
  const refill = new Stream(wider, 2)
  const fill = refill.next(
    [
      ['x', 'a', 'new', '1.00'],
      [null, 'c', 'new', null],
    ],
    { snapshot: 'only' },
  )
  await apply(opened, wide, fill, 'shadow')
  const more = refill.next([[null, 'q', '\0', null]])
  await apply(opened, wide, more, 'shadow')
  t.equal((await readRows(folder, csv))[1]![1], 'old')
  await delivery.swap(wide)
  t.match(await manifestWhen(opened, csv, ({ number }) => number === 2), {
    to: more.to,
    schema: 2,
    provider: [more.manifest],
    quarantine: 1,
  })
  t.same(await readRows(folder, csv), [
    ['extra', 'id', 'name', 'amount', 'qz_source'],
    ['x', 'a', 'new', '1.00', 'scjg'],
    [null, 'c', 'new', null, 'scjg'],
  ])
  const { live, shadow } = await delivery.open(wide)
  t.match(live, { position: more.to, complete: true, schemaVersion: 2, quarantine: 1 })
  t.equal(shadow, null)
  const sorted = fileSink(schemaOf(licence.items.concat(wider.items[0]!), 3))
  t.match((await delivery.open(sorted)).live, { schemaVersion: 3 }, 'the same items in another order are the same shape')
  await apply(opened, sorted, { ...refill.next([[null, 'q', 'good', '1.00']]), columns: [['q'], ['good'], ['1.00'], [null]] })
  await manifestWhen(opened, csv, ({ schema, rows }) => schema === 3 && rows === 3)
  t.same(
    (await readRows(folder, csv)).map((row) => row.slice(0, 4)),
    [
      ['id', 'name', 'amount', 'extra'],
      ['a', 'new', '1.00', 'x'],
      ['c', 'new', null, null],
      ['q', 'good', '1.00', null],
    ],
  )
})

t.test('two routes in one folder write two files; at the end of a grant its own go', async (t) => {
  const other = { ...licence, resource: 'scjg.other' }
  const [one, two] = [fileSink(), fileSink(other, {}, { route: 'route-2' })]
  const opened = await openDelivery(t)
  const { delivery, folder } = opened
  const streams = [new Stream(), new Stream(other)] as const
  await delivery.open(one)
  await delivery.open(two)
  await apply(opened, one, streams[0].next([['a', null, null]], { snapshot: 'only' }))
  await apply(
    opened,
    two,
    streams[1].next(
      [
        ['b', null, null],
        ['c', null, null],
      ],
      { snapshot: 'only' },
    ),
  )
  await manifestWhen(opened, csv)
  await manifestWhen(opened, 'scjg.other.csv')
  writeFileSync(join(folder.path, 'ours.txt'), 'x')
  t.equal(await delivery.remove('route-9'), null)
  const done = { rows: 2, tables: ['scjg.other.csv'], done: true }
  t.same(await delivery.remove('route-2'), done)
  t.same(filesIn(folder), ['ours.txt', csv, `${csv}.manifest.json`])
  await delivery.close()
  const later = await openDelivery(t, folder)
  await later.delivery.settleRemovals(['route-2'])
  t.same(await later.delivery.remove('route-2'), done, 'told again: the same word')
  await later.delivery.settleRemovals([])
  t.equal(await later.delivery.remove('route-2'), null)
  t.match(await later.delivery.open(two), { live: { position: null } }, 'and it could begin again')
  t.match((await later.delivery.open(one)).live, { position: streams[0].position })
})

t.test('the delivered rows are read back for a reconciliation', async (t) => {
  const sink = fileSink(twoKeys)
  const opened = await filled(t, sink)
  const stream = new Stream(twoKeys)
  const rows: Row[] = Array.from({ length: 250 }, (_, i) => [`${i - 100}`, `n${i}`, `c${i % 7}`])
  await apply(opened, sink, stream.next(rows, { snapshot: 'only' }))
  const reading = new FolderReading(opened.folder)
  const source = { ...sourceOf(twoKeys), route: sink.route, capture: 'compare' as const }
  t.equal(await reading.count(source), 250)
  const found: Row[] = []
  for (let after: Row | null = null; ;) {
    const page: Awaited<ReturnType<typeof reading.rowsAfter>> = await reading.rowsAfter(source, after, 100)
    found.push(...page.rows)
    if (!page.last) break
    after = page.last
  }
  t.same(found, rows)
  t.same(
    (
      await reading.rowsByKeys(source, [
        ['5', 'c0'],
        ['-100', 'c0'],
        ['777', 'x'],
      ])
    ).rows,
    [rows[105], rows[0]],
  )
  t.same(
    keyItems(twoKeys).map(({ id }) => id),
    ['region', 'code'],
  )
  const unknown = { ...source, route: 'another' }
  await t.rejects(reading.count(unknown), { code: 'QZ-SOURCE-TABLE' })
  await reading.close()
})

t.test('what somebody else put into the folder is not written over, and says so', async (t) => {
  const sink = fileSink()
  const opened = await filled(t, sink)
  const { delivery, folder } = opened
  writeFileSync(join(folder.path, csv), 'theirs')
  await apply(opened, sink, new Stream().next([['a', null, null]], { snapshot: 'only' }))
  const { until } = await import('../../../support/programs.ts')
  const failure = await until('the check fails', () =>
    delivery.check().then(
      () => undefined,
      (error: Error) => error,
    ),
  )
  t.match(failure, { code: 'QZ-FOLDER-UNREACHABLE', message: new RegExp(`${csv}.*move it away`) })
  t.equal(readFileSync(join(folder.path, csv), 'utf8'), 'theirs')
  t.notOk(existsSync(join(folder.path, `.${csv}.qz-tmp`)))
  await delivery.open(sink)
  t.match((await delivery.open(sink)).live, { complete: true }, 'rows go on')
})

t.test('a file is of the batch that its manifest names, however many come while it is written', async (t) => {
  const sink = fileSink(licence, { gather: 3600 })
  const opened = await filled(t, sink)
  const stream = new Stream()
  const rows = Array.from({ length: 20_000 }, (_, i) => [`k${i}`, 'n', null])
  await apply(opened, sink, stream.next([['a', '1', null], ...rows], { snapshot: 'only' }))
  for (let seq = 2; !existsSync(join(opened.folder.path, csv)); seq++) {
    await setImmediate()
    await apply(opened, sink, stream.next([['a', String(seq), null]]))
  }
  const manifest = await manifestWhen(opened, csv)
  const found = (await readRows(opened.folder, csv)).find(([key]) => key === 'a')
  t.equal(found![1], String(manifest.to.seq))
  t.equal(
    verifyProvider(manifest, () => providerKey.publicKey),
    1,
  )
})
