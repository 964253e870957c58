/** What is not ours stays: whatever a receiver keeps in, on and around a delivered table survives all that delivery does with it. */
import type { Test } from 'tap'
import type { Applied, Row, SinkTable } from '../../../../agent/database.ts'
import type { Dialect, TestDatabase } from './suite.ts'
import { apply, at, licence, openSinks, schemaOf, sinkOf } from './fixture.ts'

export function ownConformance(t: Test, engine: Dialect, freshDatabase: () => Promise<TestDatabase>): void {
  const wider = schemaOf([...licence.items, { id: 'extra', type: 'text', length: 9 }], 2)
  const all = sinkOf(licence)
  const changes: Record<string, SinkTable> = {
    'a restart': all,
    'a version with a further item': sinkOf(wider),
    'a grant of fewer items': { ...all, columns: all.columns.slice(0, 2) },
  }
  for (const [what, next] of Object.entries(changes)) {
    t.test(`${what} leaves the receiver's rows, columns, values, triggers, indexes and references as they are`, async (t) => {
      const { test, delivery } = await openSinks(t, engine, freshDatabase, [all])
      await test.query(
        `create table delivered (id varchar(20) not null primary key, name varchar(100), amount decimal(12,2), remark varchar(20))`,
      )
      await test.query(`insert into delivered values ('local', 'ours', 7, 'r')`)
      await test.query('create index by_remark on delivered (remark)')
      await delivery.open(all)
      const of: Row[] = ['a', 'b', 'c'].map((id) => [id, 'old', '1.00'])
      await apply(delivery, all, { from: null, to: at(1), of })
      await test.query(`update delivered set remark = id where id <> 'local'`)
      await engine.referTo(test, 'refers', 'a')
      for (const statement of engine.refusingTrigger('delivered')) await test.query(statement)

      await delivery.open(next)
      await delivery.beginShadow(next)
      const fill = ['a', 'b', 'd'].map((id): Row => [id, 'new', '2.00', 'x'].slice(0, next.columns.length))
      await apply(delivery, next, { from: null, to: at(1, 2), of: fill, snapshot: { began: at(1, 2), last: true } }, 'shadow')
      await delivery.swap(next)
      t.same(await test.query('select id, name, remark, qz_source from delivered order by id'), [
        ['a', 'new', 'a', 'scjg'],
        ['b', 'new', 'b', 'scjg'],
        ['d', 'new', null, 'scjg'],
        ['local', 'ours', 'r', null],
      ])
      const refused: Row = ['e', 'refused', '1.00', 'x'].slice(0, next.columns.length)
      t.match(await apply(delivery, next, { from: at(1, 2), to: at(2, 2), of: [refused] }), { quarantined: 1 }, 'the trigger')
      await t.rejects(test.query('create index by_remark on delivered (remark)'), 'the index')
      t.match(
        await apply(delivery, next, { from: at(2, 2), to: at(3, 2), of: [fill[0]!], ops: ['d'] }),
        { quarantined: 1 },
        'the reference',
      )

      await test.query('drop table refers')
      while (!(await delivery.remove(next.route))!.done);
      t.same(await test.query('select id, name, remark from delivered'), [['local', 'ours', 'r']])
    })
  }

  const coded = schemaOf([
    { id: 'id', type: 'text', length: 20, key: true, required: true },
    { id: 'code', type: 'text', length: 20 },
    { id: 'name', type: 'text', length: 100 },
  ])
  for (const empty of [true, false]) {
    t.test(`a further unique index over a column that ${empty ? 'may' : 'may not'} be null loses no row, and keeps none out`, async (t) => {
      const sink = sinkOf(coded)
      const filling = await openSinks(t, engine, freshDatabase, [sink])
      const { test, delivery } = filling
      await test.query(
        `create table delivered (id varchar(20) not null primary key, code varchar(20)${empty ? '' : ' not null'}, name varchar(100), remark varchar(20))`,
      )
      const warned = async () => (await filling.database.doctor([], [sink])).some(({ en }) => en.includes('further unique indexes (code)'))
      t.notOk(await warned())
      await test.query(engine.addUnique?.('delivered', 'code', 'by_code') ?? 'alter table delivered add constraint by_code unique (code)')
      t.ok(await warned(), 'told by doctor')
      await delivery.open(sink)
      let seq = 0
      const put = async (of: Row[], ops?: ('u' | 'd')[], count?: Partial<Applied>): Promise<void> => {
        const applied = await apply(delivery, sink, { from: seq === 0 ? null : at(seq), to: at(++seq), of, ...(ops && { ops }) })
        t.match(applied, { quarantined: 0, quarantine: 0, ...count })
      }
      const rows = () => test.query('select id, code, remark from delivered order by id')
      await put([
        ['1', 'X', null],
        ['2', 'Y', null],
        ['3', 'Z', null],
      ])
      await test.query('update delivered set remark = id')
      await put(
        [
          ['1', null, null],
          ['11', 'X', null],
        ],
        ['d', 'u'],
      )
      t.same(await rows(), [
        ['11', 'X', null],
        ['2', 'Y', '2'],
        ['3', 'Z', '3'],
      ])
      await put([
        ['11', 'Y', null],
        ['2', 'Z', null],
        ['3', 'W', null],
      ])
      await put([
        ['2', 'W', null],
        ['3', 'Z', null],
      ])
      t.same(
        await rows(),
        [
          ['11', 'Y', null],
          ['2', 'W', '2'],
          ['3', 'Z', '3'],
        ],
        'a chain, and a swap',
      )
      await put([['12', 'Y', null]], undefined, { quarantined: 1, quarantine: 1 })
      t.same((await rows()).length, 3, 'no row is written over because of another index')
      await put([['11', null, null]], ['d'], { quarantine: 1 })
      t.match(await delivery.replay(sink, 'live'), { applied: 1, quarantine: 0 })
      const many = Array.from({ length: 300 }, (_, i): Row => [`m${i}`, `c${i}`, 'n'])
      await put(many)
      await put(
        [...many.map((row): Row => [row[0]!, null, null]), ...many.map((row): Row => [`n${row[0]!}`, row[1]!, 'n'])],
        [...many.map(() => 'd' as const), ...many.map(() => 'u' as const)],
      )
      t.same(await test.query(`select count(*) from delivered where id like 'nm%'`), [['300']])
    })
  }

  t.test('rows of the receiver with a delivered key stay, and the delivered row is set aside, until they are taken over', async (t) => {
    const filling = await openSinks(t, engine, freshDatabase, [all])
    const { test, delivery, database } = filling
    await test.query(
      'create table delivered (id varchar(20) not null primary key, name varchar(100), amount decimal(12,2), remark varchar(20))',
    )
    const rows = () => test.query('select id, name, remark, qz_source from delivered order by id')
    await test.query(`insert into delivered values ('a', 'ours', 7, 'r'), ('z', 'ours', 7, 'r')`)
    const said = async (sink: SinkTable) => (await database.doctor([], [sink])).map(({ en }) => en).join('; ')
    t.match(await said(all), /holds 2 rows of the receiver's own: .*is set aside; takeOver: true/, 'told by doctor')
    t.match(await said({ ...all, takeOver: true }), /become the route's/)
    t.match(await delivery.open(all), { local: 2 }, 'told when it is opened')
    const of: Row[] = ['a', 'b'].map((id) => [id, 'new', '1.00'])
    t.match(await apply(delivery, all, { from: null, to: at(1), of }), { written: 1, quarantined: 1 })
    const own = [
      ['a', 'ours', 'r', null],
      ['b', 'new', null, 'scjg'],
      ['z', 'ours', 'r', null],
    ]
    t.same(await rows(), own)
    const [aside] = await database.quarantine(all.route, 10)
    t.match(aside, { key: ['a'], reason: { en: /takeOver/ } })
    t.match(await apply(delivery, all, { from: at(1), to: at(2), of: [of[0]!], ops: ['d'] }), { deleted: 0 })
    t.same(await rows(), own, 'a delete of it concerns no row of ours')
    const many = Array.from({ length: 300 }, (_, i): Row => [i === 7 ? 'z' : `k${i}`, 'n', null])
    t.match(await apply(delivery, all, { from: at(2), to: at(3), of: many }), { written: 299, quarantined: 1 })
    const taking = { ...all, takeOver: true }
    await delivery.open(taking)
    t.match(await delivery.replay(taking, 'live'), { applied: 1, quarantine: 0 })
    t.match(await apply(delivery, taking, { from: at(3), to: at(4), of: [of[0]!] }), { written: 1 })
    t.same(
      (await rows()).filter(([id]) => id === 'a' || id === 'z'),
      [
        ['a', 'new', 'r', 'scjg'],
        ['z', 'n', 'r', 'scjg'],
      ],
    )
  })

  const exact = engine.comparesCase === true && `${engine.name} compares texts by their bytes`
  t.test('of two keys that the receiver takes for one the second is set aside, or the table is refused', { skip: exact }, async (t) => {
    const filling = await openSinks(t, engine, freshDatabase, [all])
    const { test, delivery, database } = filling
    const { type, prepare } = engine.caseInsensitive
    for (const statement of prepare) await test.query(statement)
    await test.query(`create table delivered (id ${type} not null primary key, name varchar(100), amount decimal(12,2))`)
    const refused = await delivery.open(all).then(
      () => undefined,
      (error: unknown) => error,
    )
    if (refused) return t.match(refused, { code: 'QZ-SINK-TABLE' })
    const first: Row[] = ['abc', 'x'].map((id) => [id, 'first', '1.00'])
    await apply(delivery, all, { from: null, to: at(1), of: first })
    const second: Row[] = ['ABC', 'd', 'D'].map((id) => [id, 'second', '1.00'])
    t.match(await apply(delivery, all, { from: at(1), to: at(2), of: second }), { written: 1, quarantined: 2 })
    t.same(await test.query('select id, name from delivered order by id'), [
      ['abc', 'first'],
      ['d', 'second'],
      ['x', 'first'],
    ])
    t.match((await database.quarantine(all.route, 10))[0], { reason: { en: /takes it for/ } })
    t.match(await apply(delivery, all, { from: at(2), to: at(3), of: [['ABC', null, null]], ops: ['d'] }), { deleted: 0, quarantine: 1 })
    t.equal((await test.query('select id from delivered')).length, 3, 'nor is it deleted by the other')
  })

  t.test('a row that the receiver refuses at a swap or at the end of a snapshot is set aside alone', async (t) => {
    const filling = await openSinks(t, engine, freshDatabase, [all])
    const { test, delivery } = filling
    await delivery.open(all)
    const of: Row[] = Array.from({ length: 200 }, (_, i) => [`k${i}`, 'old', '1.00'])
    await apply(delivery, all, { from: null, to: at(1), of })
    const check = engine.addCheck?.('delivered', 'wanted', 'name', `<> 'refused'`)
    for (const statement of check ?? [`alter table delivered add constraint wanted check (name <> 'refused')`]) await test.query(statement)
    await engine.referTo(test, 'refers', 'k9')
    await delivery.beginShadow(all)
    const fill = of.filter(([id]) => id !== 'k9' && id !== 'k10').map(([id]): Row => [id!, id === 'k7' ? 'refused' : 'new', '2.00'])
    fill.push(['added', 'refused', null], ['fine', 'new', null])
    await apply(delivery, all, { from: null, to: at(1, 2), of: fill, snapshot: { began: at(1, 2), last: true } }, 'shadow')
    await delivery.swap(all)
    t.same((await filling.database.quarantine(all.route, 10)).map(({ key }) => key.join()).toSorted(), ['added', 'k7', 'k9'])
    t.match((await delivery.open(all)).live, { position: at(1, 2), quarantine: 3 })
    const [[fresh]] = (await test.query(`select count(*) from delivered where name = 'new'`)) as [[string]]
    t.equal(Number(fresh), 198)
    t.same(await test.query(`select id from delivered where id in ('k9', 'k10', 'added', 'fine') order by id`), [['fine'], ['k9']])
  })

  const noSilence = !engine.silentTriggers && `triggers of ${engine.name} are not tried`
  t.test('a row that a trigger drops, alters or keeps without an error is set aside', { skip: noSilence }, async (t) => {
    const { test, delivery, database } = await openSinks(t, engine, freshDatabase, [all])
    await delivery.open(all)
    await apply(delivery, all, { from: null, to: at(1), of: [['kept', 'n', null]] })
    for (const statement of engine.silentTriggers!('delivered')) await test.query(statement)
    for (const [n, count] of [3, 200].entries()) {
      const of: Row[] = Array.from({ length: count }, (_, i) => [`${n}-${i}`, i === 1 ? 'altered' : i === 2 ? 'dropped' : 'n', null])
      t.match(await apply(delivery, all, { from: at(n + 1), to: at(n + 2), of }), { written: count - 2, quarantined: 2 })
    }
    const aside = (await database.quarantine(all.route, 10)).map(({ key }) => key.join()).toSorted()
    t.same(aside, ['0-1', '0-2', '1-1', '1-2'])
    t.same(await test.query(`select count(*) from delivered where name <> 'n' or id = 'elsewhere'`), [['0']])
    const deleted = await apply(delivery, all, { from: at(3), to: at(4), of: [['kept', null, null]], ops: ['d'] })
    const [[there]] = (await test.query(`select count(*) from delivered where id = 'kept'`)) as [[string]]
    t.equal(deleted.quarantined, Number(there), 'a delete that did not happen')
  })

  const noCode = !engine.oddTrigger && `${engine.name} has no codes that a trigger may choose`
  t.test('what a trigger refuses under a code that no list names is set aside alone', { skip: noCode }, async (t) => {
    const { test, delivery } = await openSinks(t, engine, freshDatabase, [all])
    await delivery.open(all)
    for (const statement of engine.oddTrigger!('delivered')) await test.query(statement)
    const of: Row[] = Array.from({ length: 120 }, (_, i) => [`k${i}`, i === 7 ? 'odd' : 'n', null])
    t.match(await apply(delivery, all, { from: null, to: at(1), of }), { written: 119, quarantined: 1 })
  })

  const noSpelling = !engine.otherSpelling && `names of ${engine.name} are not tried`
  t.test('one table under two spellings is one table', { skip: noSpelling }, async (t) => {
    const { test, delivery } = await openSinks(t, engine, freshDatabase, [all])
    await delivery.open(all)
    await apply(delivery, all, { from: null, to: at(1), of: [['a', 'n', null]] })
    const table = engine.otherSpelling!(test.url)
    const other = { ...all, route: 'other', resource: 'other.licence', table }
    await t.rejects(delivery.open(other), { code: 'QZ-SINK-TABLE', message: /delivered already/ })
    const { live, left } = await delivery.open({ ...all, table })
    t.match([live.position, left], [at(1), undefined], 'nor does a route begin anew that writes the name otherwise')
  })

  /** A table of the receiver's whose rows refer to one another. */
  async function treeOf(t: Test) {
    const text = { type: 'text', length: 20 } as const
    const tree = sinkOf(
      schemaOf([
        { id: 'id', ...text, key: true, required: true },
        { id: 'parent', ...text },
      ]),
    )
    const { test, delivery } = await openSinks(t, engine, freshDatabase, [tree])
    await test.query(
      `create table delivered (id varchar(20) not null primary key, parent varchar(20), constraint fk_within foreign key (parent) references delivered (id))`,
    )
    await delivery.open(tree)
    return { tree, test, delivery }
  }

  t.test('rows that refer to one another, and to themselves, are removed', async (t) => {
    const { tree, test, delivery } = await treeOf(t)
    const parents = { a: null, b: 'a', c: 'b', d: 'c', self: 'self', x: null, y: 'x' }
    t.match(await apply(delivery, tree, { from: null, to: at(1), of: Object.entries(parents) }), { quarantine: 0 })
    await test.query(`update delivered set parent = 'y' where id = 'x'`)
    while (!(await delivery.remove(tree.route))!.done);
    t.same(await test.query('select count(*) from delivered'), [['0']])
  })

  t.test('of rows that refer to earlier ones more than a chunk holds are removed', async (t) => {
    const { tree, test, delivery } = await treeOf(t)
    const id = (n: number) => `n${String(n).padStart(5, '0')}`
    // First parents, then their children, some of whose keys come before theirs.
    const rows = Array.from({ length: 6_000 }, (_, n) => [id(n), n < 50 ? null : id((n * 7919) % 50)])
    t.match(await apply(delivery, tree, { from: null, to: at(1), of: rows }), { quarantine: 0 })
    while (!(await delivery.remove(tree.route))!.done);
    t.match(await delivery.remove(tree.route), { rows: 6_000, done: true })
    t.same(await test.query('select count(*) from delivered'), [['0']])
  })

  t.test('a removal that the receiver refuses names the table, and removes what it can', async (t) => {
    const { test, delivery } = await openSinks(t, engine, freshDatabase, [all])
    await delivery.open(all)
    const ids = Array.from({ length: 300 }, (_, i) => `k${String(i).padStart(3, '0')}`)
    const kept = ['k000', 'k007', 'k150', 'k299']
    await apply(delivery, all, { from: null, to: at(1), of: ids.map((id) => [id, 'n', null]) })
    for (const id of kept) await engine.referTo(test, `refers_${id}`, id)
    const whole = async () => {
      while (!(await delivery.remove(all.route))!.done);
    }
    await t.rejects(whole(), { code: 'QZ-SINK-TABLE' })
    t.same((await test.query('select id from delivered order by id')).flat(), kept, 'what nobody refers to is gone')
    await delivery.check()
    for (const id of kept) await test.query(`drop table refers_${id}`)
    await whole()
    t.same(await test.query('select count(*) from delivered'), [['0']])
  })
}

/** Applies rows given as rows. */
