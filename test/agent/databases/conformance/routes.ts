/** Delivery over a route's life: a table shared by the providers of a standard, versions of another shape, the end of a grant. */
import type { Test } from 'tap'
import type { Change, Delivery, Removal, Row, SinkTable } from '../../../../agent/database.ts'
import type { Schema } from '../../../../protocol/schema.ts'
import type { Dialect, TestDatabase } from './suite.ts'
import { apply, at, delivered, licence, openSinks, schemaOf, sinkOf, type Filling } from './fixture.ts'

type Sketch = Pick<Change, 'from' | 'to'> & Partial<Change> & { of: Row[] }

const shared = (agency: string, schema: Schema = licence, changes: Partial<SinkTable> = {}): SinkTable =>
  sinkOf(schema, { route: `r-${agency}`, resource: `${agency}.licence`, source: agency, shared: true, ...changes })

const rowsOf = (name: string, count: number, from = 0): Row[] => Array.from({ length: count }, (_, i) => [`k${from + i}`, name, '1.00'])

export function routeConformance(t: Test, engine: Dialect, freshDatabase: () => Promise<TestDatabase>): void {
  const opened = async (t: Test, ...sinks: SinkTable[]): Promise<Filling> => {
    const filling = await openSinks(t, engine, freshDatabase, sinks)
    for (const sink of sinks) await filling.delivery.open(sink)
    return filling
  }

  t.test('providers of a standard share one table, each with its own rows', async (t) => {
    const sinks = ['a', 'b', 'c'].map((agency) => shared(agency))
    const { delivery, test } = await opened(t, ...sinks)
    // All three begin with a snapshot, and their batches come in turns.
    await Promise.all(
      sinks.map(async (sink, n) => {
        await apply(delivery, sink, { from: null, to: at(1), of: rowsOf(sink.source, 300), snapshot: { began: at(1), last: false } })
        const end = { from: at(1), to: at(2), of: rowsOf(sink.source, 10 * n, 300), snapshot: { began: at(1), last: true } }
        t.match(await apply(delivery, sink, end), { deleted: 0, quarantined: 0 })
      }),
    )
    t.equal(await counts(test), 'a 300, b 310, c 320', 'the same keys side by side')
    const [a, b] = sinks as [SinkTable, SinkTable]
    await apply(delivery, a, {
      from: at(2),
      to: at(3),
      of: [
        ['k1', null, null],
        ['k2', 'new', 'bad'],
      ],
      ops: ['d', 'u'],
    })
    t.equal(await counts(test), 'a 299, b 310, c 320')
    t.match((await delivery.open(a)).live, { quarantine: 1 })
    t.match((await delivery.open(b)).live, { quarantine: 0 }, "another's quarantine")
    const again = { from: at(2), to: at(3), of: rowsOf('b2', 5), snapshot: { began: at(3), last: true } }
    t.match(await apply(delivery, b, again), { written: 5, deleted: 305 }, 'a snapshot removes the older rows of its route')
    t.equal(await counts(test), 'a 299, b 5, c 320')
    t.same(await test.query(`select distinct name from delivered where id = 'k1' order by name`), [['b2'], ['c']])
  })

  for (const deletes of ['remove', 'mark'] as const) {
    t.test(`one route of a shared table restarts while others flow (${deletes})`, async (t) => {
      const [a, b, c] = ['a', 'b', 'c'].map((agency) => shared(agency, licence, { deletes })) as [SinkTable, SinkTable, SinkTable]
      const { delivery, test } = await opened(t, a, b, c)
      const live = deletes === 'mark' ? 'where not qz_deleted' : ''
      for (const sink of [a, b, c]) await apply(delivery, sink, { from: null, to: at(1), of: rowsOf(sink.source, 200) })
      const wider = schemaOf([...licence.items, { id: 'extra', type: 'text', length: 9 }], 2)
      const [wideA, wideB] = [shared('a', wider, { deletes }), shared('b', wider, { deletes })]
      const fill = (sink: SinkTable, name: string, count: number) => ({
        from: null,
        to: at(1, 2),
        of: rowsOf(name, count).map((row) => [...row, sink.source]),
        snapshot: { began: at(1, 2), last: true },
      })
      for (const sink of [wideA, wideB]) {
        t.match(await delivery.open(sink), { live: { position: at(1) }, shadow: null })
        await delivery.beginShadow(sink)
      }
      // Both shadows are filled at the same time, and another's live part goes on.
      await Promise.all([
        apply(delivery, wideA, fill(wideA, 'a2', 150), 'shadow'),
        apply(delivery, wideB, fill(wideB, 'b2', 100), 'shadow'),
        apply(delivery, c, { from: at(1), to: at(2), of: rowsOf('c1', 250) }),
      ])
      await apply(
        delivery,
        wideA,
        {
          from: at(1, 2),
          to: at(2, 2),
          of: [
            ['k0', null, null, null],
            ['k9', 'x', 'bad', null],
          ],
          ops: ['d', 'u'],
        },
        'shadow',
      )
      t.equal(await counts(test, live), 'a 200, b 200, c 250', 'nothing is to be seen of them')
      await delivery.swap(wideA)
      t.equal(await counts(test, live), 'a 149, b 200, c 250')
      t.same(await test.query(`select distinct qz_source, name, extra from delivered ${live} order by qz_source`), [
        ['a', 'a2', 'a'],
        ['b', 'b', null],
        ['c', 'c1', null],
      ])
      await delivery.swap(wideB)
      t.equal(await counts(test, live), 'a 149, b 100, c 250')
      t.match(await delivery.open(wideA), { live: { position: at(2, 2), complete: true, quarantine: 1 }, shadow: null })
      await apply(delivery, wideA, { from: at(2, 2), to: at(3, 2), of: [['k9', 'good', '2.00', 'a']] })
      t.same(await test.query(`select qz_source, name from delivered where id = 'k9' order by qz_source`), [
        ['a', 'good'],
        ['b', 'b2'],
        ['c', 'c1'],
      ])
    })
  }

  t.test('a resource that comes to follow a standard keeps its rows', async (t) => {
    const alone = shared('a', licence, { shared: false })
    const { delivery, test } = await opened(t, alone)
    await apply(delivery, alone, { from: null, to: at(1), of: rowsOf('a', 3) })
    const [a, b] = [shared('a'), shared('b')]
    t.match((await delivery.open(a)).live, { position: at(1) })
    await delivery.open(b)
    await apply(delivery, b, { from: null, to: at(1), of: rowsOf('b', 4) })
    await apply(delivery, a, { from: at(1), to: at(2), of: rowsOf('a2', 1) })
    t.equal(await counts(test), 'a 3, b 4')
    await test.query('create table own (id varchar(20) not null primary key, name varchar(100), amount decimal(12,2))')
    await t.rejects(
      delivery.open(shared('c', licence, { table: 'own' })),
      { code: 'QZ-SINK-TABLE' },
      "a receiver's own table without the source in its key",
    )
  })

  t.test('a later version drops, adds and exchanges items and the key', async (t) => {
    const before = sinkOf(licence)
    const filling = await opened(t, before)
    const { delivery, test } = filling
    await apply(delivery, before, {
      from: null,
      to: at(1),
      of: [
        ['a', 'old', '1.00'],
        ['b', 'old', '2.00'],
      ],
    })
    await apply(delivery, before, { from: at(1), to: at(2), of: [['q', 'old', 'bad']] })
    const next = schemaOf(
      [
        { id: 'number', type: 'integer', key: true, required: true },
        { id: 'name', type: 'text', length: 200 },
        { id: 'since', type: 'date', required: true },
      ],
      2,
    )
    const sink = sinkOf(next)
    const { live, shadow } = await delivery.open(sink)
    t.match([live, shadow], [{ position: at(2), items: ['id', 'name', 'amount'], keys: ['id'] }, null], 'the old table waits')
    await delivery.beginShadow(sink)
    const fill = {
      from: null,
      to: at(1, 2),
      of: [
        ['1', 'new', '2026-11-23'],
        ['2', 'new', null],
      ],
      snapshot: { began: at(1, 2), last: true },
    }
    await apply(delivery, sink, fill, 'shadow')
    t.same(await test.query('select id, name from delivered order by id'), [
      ['a', 'old'],
      ['b', 'old'],
    ])
    await delivery.swap(sink)
    t.same(await test.query('select number, name from delivered order by number'), [
      ['1', 'new'],
      ['2', 'new'],
    ])
    t.same(await columnsOf(filling), ['name', 'number', 'since'], 'columns of vanished items are dropped')
    t.match((await delivery.open(sink)).live, { position: at(1, 2), items: ['number', 'name', 'since'], keys: ['number'], quarantine: 0 })
    const change: Sketch = {
      from: at(1, 2),
      to: at(2, 2),
      of: [
        ['2', null, null],
        ['1', '改', null],
        ['3', 'n', null],
      ],
      ops: ['d', 'u', 'u'],
    }
    t.match(await apply(delivery, sink, change), { written: 2, deleted: 1, quarantined: 0 })
    t.same(
      await test.query('select number, name from delivered order by number'),
      [
        ['1', '改'],
        ['3', 'n'],
      ],
      'the new key is the key',
    )
    await t.rejects(apply(delivery, before, { from: at(2), to: at(3), of: [['c', 'x', null]] }))
  })

  t.test('the same items under another key wait for a shadow', async (t) => {
    const before = sinkOf(licence)
    const { delivery, test } = await opened(t, before)
    await apply(delivery, before, { from: null, to: at(1), of: [['a', 'n1', '1.00']] })
    const items = licence.items.map((item) =>
      item.id === 'id' ? { ...item, key: false } : item.id === 'name' ? { ...item, key: true } : item,
    )
    const sink = sinkOf(schemaOf(items, 2))
    await delivery.open(sink)
    await t.rejects(
      apply(delivery, sink, { from: at(1), to: at(2), of: [['a', 'n2', '1.00']] }),
      { code: 'QZ-SINK-TABLE' },
      'the live part is not written',
    )
    await delivery.beginShadow(sink)
    const of: Row[] = [
      ['a', 'n1', '1.00'],
      ['a', 'n2', '2.00'],
    ]
    await apply(delivery, sink, { from: null, to: at(1, 2), of, snapshot: { began: at(1, 2), last: true } }, 'shadow')
    await delivery.swap(sink)
    t.same(await test.query('select id, name, amount from delivered order by name'), of)
  })

  t.test('texts and numbers that get longer follow in place', async (t) => {
    const before = sinkOf(licence)
    const filling = await opened(t, before)
    const { delivery } = filling
    await apply(delivery, before, { from: null, to: at(1), of: rowsOf('n', 1) })
    const items = licence.items.map((item) => {
      if (item.id === 'id') return { ...item, length: 40 }
      return item.id === 'name' ? { ...item, length: 300 } : item.id === 'amount' ? { ...item, precision: 14, scale: 4 } : item
    })
    const longer = sinkOf(schemaOf(items, 2))
    t.match(await delivery.open(longer), { live: { position: at(1) }, shadow: null })
    const of: Row[] = [['k1'.repeat(20), '长'.repeat(250), '1234567890.3456']]
    t.match(await apply(delivery, longer, { from: at(1), to: at(2), of }), { written: 1, quarantined: 0 })
    t.same(await delivered(filling, longer.schema), [['k0', 'n', '1.0000'], ...of])
    await delivery.open(before)
    t.match(await apply(delivery, before, { from: at(2), to: at(3), of: rowsOf('n', 1) }), { written: 1 }, 'and nothing gets shorter')
    t.same(await delivered(filling, longer.schema), [['k0', 'n', '1.0000'], ...of])
  })

  t.test('a table of another name is filled anew, the old one is left; the removal finds both', async (t) => {
    const before = sinkOf(licence)
    const { delivery, test } = await opened(t, before)
    await apply(delivery, before, { from: null, to: at(1), of: rowsOf('old', 2) })
    const sink = sinkOf(licence, { table: 'renamed' })
    t.match(await delivery.open(sink), { live: { position: null, complete: false }, left: 'delivered' })
    t.equal((await delivery.open(sink)).left, undefined, 'said once')
    await apply(delivery, sink, { from: null, to: at(1, 2), of: rowsOf('new', 3), snapshot: { began: at(1, 2), last: true } })
    t.same(await test.query('select distinct name from delivered'), [['old']])
    t.same(await test.query('select count(*), max(name) from renamed'), [['3', 'new']])
    t.same(await removeAll(delivery, sink.route), { rows: 5, tables: ['delivered', 'renamed'], done: true })
    t.same(await test.query('select count(*) from delivered union all select count(*) from renamed'), [['0'], ['0']])
  })

  t.test('a shared table takes another key only where it holds nobody else', async (t) => {
    const [a, b] = [shared('a'), shared('b')]
    const { delivery, test } = await opened(t, a, b)
    for (const sink of [a, b]) await apply(delivery, sink, { from: null, to: at(1), of: rowsOf(sink.source, 2) })
    const next = shared(
      'a',
      schemaOf(
        [
          { id: 'number', type: 'integer', key: true },
          { id: 'name', type: 'text', length: 100 },
        ],
        2,
      ),
    )
    await delivery.open(next)
    await delivery.beginShadow(next)
    await apply(delivery, next, { from: null, to: at(1, 2), of: [['7', 'new']], snapshot: { began: at(1, 2), last: true } }, 'shadow')
    await t.rejects(delivery.swap(next), { code: 'QZ-SINK-TABLE', message: /another table name/ })
    t.equal(await counts(test), 'a 2, b 2', 'nothing has happened to the rows')
    await removeAll(delivery, b.route)
    t.match((await delivery.open(next)).shadow, { position: at(1, 2) }, 'what was loaded is not loaded again')
    await delivery.swap(next)
    t.same(await test.query('select number, name, qz_source from delivered'), [['7', 'new', 'a']])
  })

  t.test('a later grant of a resource goes on in the table of the one before', async (t) => {
    const [first, second] = [sinkOf(licence), sinkOf(licence, { route: 'route-2' })]
    const { delivery, test } = await opened(t, first)
    await apply(delivery, first, { from: null, to: at(1), of: rowsOf('n', 3), snapshot: { began: at(1), last: true } })
    await apply(delivery, first, { from: at(1), to: at(2), of: [['q', 'x', 'bad']] })
    t.match((await delivery.open(second)).live, { position: at(2), complete: true, quarantine: 1 })
    t.equal(await delivery.remove(first.route), null, 'the rows are no longer those of the first')
    await apply(delivery, second, { from: at(2), to: at(3), of: rowsOf('m', 1) })
    t.same(await test.query('select name, count(*) from delivered group by name order by name'), [
      ['m', '1'],
      ['n', '2'],
    ])
    const narrow = sinkOf(licence, { route: 'route-3', columns: sinkOf(licence).columns.slice(0, 2) })
    t.match(
      (await delivery.open(narrow)).live,
      { position: at(3), items: ['id', 'name', 'amount'] },
      'with fewer items: a shadow is needed',
    )
  })

  t.test('at the end of a grant the data of its route goes, in chunks, whatever comes between', async (t) => {
    const [a, b] = [shared('a'), shared('b')]
    const filling = await opened(t, a, b)
    const { delivery, test, database } = filling
    await test.query(`create view readers as select id, qz_source from delivered`)
    for (const sink of [a, b]) await apply(delivery, sink, { from: null, to: at(1), of: rowsOf(sink.source, 6_000) })
    for (const sink of [a, b]) await apply(delivery, sink, { from: at(1), to: at(2), of: [['q', 'x', 'bad']] })
    await delivery.beginShadow(a)
    await apply(delivery, a, { from: null, to: at(1), of: rowsOf('shadow', 10) }, 'shadow')
    t.equal(await delivery.remove('r-nobody'), null)

    t.match(await delivery.remove(a.route), { rows: 5_000, done: false })
    t.equal(await counts(test), 'a 1000, b 6000')
    await t.rejects(delivery.open(shared('a', licence, { route: 'r-later' })), { code: 'QZ-SINK-TABLE', message: /being removed/ })
    // The agent is killed, and told again.
    await delivery.close()
    const later = await database.openDelivery([])
    t.teardown(() => later.close())
    await later.settleRemovals([a.route])
    const done: Removal = { rows: 6_000, tables: ['delivered'], done: true }
    t.same(await removeAll(later, a.route), done)
    t.same(await later.remove(a.route), done, 'told again: the same word')
    t.equal(await counts(test), 'b 6000')
    t.same(await test.query('select count(*) from readers'), [['6000']], "readers' queries do not break")
    t.match((await later.open(b)).live, { position: at(2), quarantine: 1 }, 'the other route is as it was')

    await later.settleRemovals([])
    t.equal(await later.remove(a.route), null, 'nothing is known of it any more')
    t.match(await later.open(a), { live: { position: null, quarantine: 0 }, shadow: null }, 'and it could begin again')
    await apply(later, a, { from: null, to: at(1), of: rowsOf('a', 1) })
    t.equal(await counts(test), 'a 1, b 6000')
    t.same(await removeAll(later, b.route), { ...done })
    t.equal(await counts(test), 'a 1')
  })

  t.test('a removal that is taken back leaves a route that begins again', async (t) => {
    const sink = sinkOf(licence)
    const { delivery, test } = await opened(t, sink)
    await apply(delivery, sink, { from: null, to: at(1), of: rowsOf('n', 6_000) })
    t.match(await delivery.remove(sink.route), { done: false })
    await delivery.settleRemovals([])
    t.match(
      await delivery.open(sinkOf(licence, { route: 'route-2' })),
      { live: { position: null } },
      'nor is anybody else kept from the table',
    )
    t.match(await delivery.open(sink), { live: { position: null } })
    await apply(delivery, sink, { from: null, to: at(1, 2), of: rowsOf('n', 2), snapshot: { began: at(1, 2), last: true } })
    t.same(await test.query('select count(*) from delivered'), [['2']])
  })

  t.test('a database into which nothing was delivered knows no route, and nothing is made in it', async (t) => {
    const { delivery, database } = await openSinks(t, engine, freshDatabase, [])
    await delivery.settleRemovals(['r'])
    t.equal(await delivery.remove('r'), null)
    for (const table of ['qz_route_position', 'qianzhi.route_position']) await t.rejects(database.describe(table))
  })
}

async function removeAll(delivery: Delivery, route: string): Promise<Removal | null> {
  for (;;) {
    const removal = await delivery.remove(route)
    if (!removal || removal.done) return removal
  }
}

/** Rows by source, as `a 3, b 4`. */
async function counts(test: TestDatabase, where = ''): Promise<string> {
  const rows = await test.query(`select qz_source, count(*) from delivered ${where} group by qz_source order by qz_source`)
  return rows.map((row) => row.join(' ')).join(', ')
}

/** The items' columns. */
async function columnsOf({ database }: Filling): Promise<string[]> {
  const columns = await database.describe('delivered')
  return columns
    .map(({ column }) => column)
    .filter((name) => !name.startsWith('qz_'))
    .toSorted()
}

/** Applies rows given as rows. */
