/** Remembering, locking and set-up: what the source database holds for the agent, and who may touch it. */
import type { Test } from 'tap'
import type { Dialect, TestDatabase } from './suite.ts'
import { at, capturedAs, licence, openDatabase, schemaOf, sortRows, sourceOf, tableRows, twoKeys, watch } from './fixture.ts'

export function setupConformance(t: Test, engine: Dialect, freshDatabase: () => Promise<TestDatabase>): void {
  const watched = (t: Test, source = sourceOf(licence)) => watch(t, engine, freshDatabase, source)

  t.test('after set-up a snapshot is needed; set-up and teardown can be repeated', async (t) => {
    const opened = await openDatabase(t, engine, freshDatabase)
    const { database, test } = opened
    const source = capturedAs(engine, sourceOf(licence))
    await database.run(await database.supplyTable(source))
    const before = await database.openCapture([source])
    await t.rejects(before.triggerFingerprint(source), { code: 'QZ-SOURCE-NOT-SET-UP' })
    await before.close()
    await database.run(await database.setupScript(source))
    await database.run(await database.setupScript(source))
    const capture = await database.openCapture([source])
    t.match(await capture.state(source), { position: null, snapshot: 'needed', coverage: '', quarantine: 0 })
    await capture.checkTable(source)
    await capture.close()
    await database.run(await database.teardownScript(source))
    await database.run(await database.teardownScript(source))
    await test.query(`insert into licence values ('a', null, null)`)
    const after = await database.openCapture([source])
    await t.rejects(after.triggerFingerprint(source), { code: 'QZ-SOURCE-NOT-SET-UP' })
    await after.close()
  })

  t.test('record moves the position only from where it is', async (t) => {
    const { test, capture, source } = await watched(t)
    await test.query(`insert into licence values ('a', null, null)`)
    const { entries } = await capture.take(source, 10, new Set())
    const step = { entries, faults: [], sent: [] }
    await t.rejects(capture.record(source, { ...step, from: null, to: at(2) }), { code: 'QZ-CHAIN-BROKEN' })
    await t.rejects(capture.record(source, { ...step, from: { ...at(1), hash: at(9).hash }, to: at(2) }), { code: 'QZ-CHAIN-BROKEN' })
    t.same((await capture.state(source)).position, at(1))
    t.same((await capture.take(source, 10, new Set())).entries, entries, 'nothing was deleted')
    await capture.record(source, { ...step, from: at(1), to: at(2) })
    await t.rejects(capture.record(source, { ...step, from: at(1), to: at(2) }), { code: 'QZ-CHAIN-BROKEN' })
    t.same((await capture.state(source)).position, at(2))
    t.same((await capture.take(source, 10, new Set())).entries, [])
  })

  t.test('the snapshot state, the coverage and the quarantine are remembered', async (t) => {
    const { database, capture, source } = await watched(t, sourceOf(twoKeys))
    const snapshot = { began: { epoch: 1, seq: 2 }, after: ['7', `a'"\\,{}`] }
    const faults = [
      { key: ['1', 'x'], code: 'QZ-ROW-TOO-LARGE' as const, item: 'name' },
      { key: ['2', 'y'], code: 'QZ-ROW-VALUE' as const, item: 'name', reason: 'zero date' },
    ]
    await capture.record(source, { from: at(1), to: at(2), entries: [], snapshot, faults, sent: [] })
    await capture.mark(source, { coverage: 'abc' })
    await capture.close()
    const again = await database.openCapture([source])
    t.teardown(() => again.close())
    t.match(await again.state(source), { position: at(2), snapshot, coverage: 'abc', quarantine: 2 })
    await again.record(source, { from: at(2), to: at(3), entries: [], faults: [faults[1]!], sent: [['1', 'x']] })
    t.match(await again.state(source), { position: at(3), snapshot, quarantine: 1 })
    await again.mark(source, { snapshot: 'needed' })
    t.match(await again.state(source), { snapshot: 'needed', coverage: 'abc' })
    await again.record(source, { from: at(3), to: at(1, 2), entries: [], snapshot: null, faults: [], sent: [['2', 'y']] })
    t.match(await again.state(source), { position: at(1, 2), snapshot: null, quarantine: 0 })
  })

  t.test('requeue puts keys back and sets the position', async (t) => {
    const { test, capture, source } = await watched(t, sourceOf(twoKeys))
    await test.query(`insert into licence values (1, 'x', 'a')`)
    const { entries } = await capture.take(source, 10, new Set())
    await capture.record(source, { from: at(1), to: at(2), entries, faults: [], sent: [] })
    const keys = Array.from({ length: 1500 }, (_, i) => [String(i), `c"'\\${i}`])
    await capture.requeue(source, [['1', 'a'], ...keys], at(5))
    t.same((await capture.state(source)).position, at(5))
    const back = await capture.take(source, 5000, new Set())
    t.same(sortRows(back.keys), sortRows([['1', 'a'], ...keys]))
    t.same((await capture.rowsByKeys(source, back.keys)).rows, [['1', 'x', 'a']])
  })

  t.test('a second agent is kept out until the first has gone', async (t) => {
    const { test, database, capture, source } = await watched(t)
    const second = await engine.open({ name: 'front', url: test.url, pace: 5 })
    t.teardown(() => second.close())
    await t.rejects(second.openCapture([source]), { code: 'QZ-AGENT-CLONED' })
    await capture.close()
    const next = await second.openCapture([source])
    await t.rejects(database.openCapture([source]), { code: 'QZ-AGENT-CLONED' })
    await next.close()
    const delivery = await second.openDelivery([])
    await t.rejects(database.openDelivery([]), { code: 'QZ-AGENT-CLONED' })
    await delivery.close()
  })

  t.test('an unreachable server is a coded error', async (t) => {
    const url = engine.nowhere ?? (await freshDatabase()).url.replace(/:\d+\//, ':1/')
    const database = await engine.open({ name: 'front', url, pace: 5 })
    await t.rejects(database.openCapture([]), { code: 'QZ-DB-UNREACHABLE' })
    await t.rejects(database.openDelivery([]), { code: 'QZ-DB-UNREACHABLE' })
    await database.close()
  })

  t.test('coverage changes when triggers go, and when they come back', async (t) => {
    const { test, database, capture, source } = await watched(t)
    const first = await capture.triggerFingerprint(source)
    t.equal(await capture.triggerFingerprint(source), first, 'stable while nothing changes')
    await test.query(`insert into licence values ('a', null, null)`)
    t.equal(await capture.triggerFingerprint(source), first)
    const gap = () => capture.triggerFingerprint(source).catch((error: { code: string }) => error.code)
    await engine.dropTriggers(test, 'licence')
    t.equal(await gap(), 'QZ-SOURCE-NOT-SET-UP')
    await database.run(await database.setupScript(source))
    const second = await capture.triggerFingerprint(source)
    t.not(second, first)
    if (!engine.disableTriggers) return
    await engine.disableTriggers(test, 'licence')
    t.not(await gap(), second)
    await database.run(await database.setupScript(source))
    t.not(await capture.triggerFingerprint(source), second)
  })

  t.test('coverage changes when rows may have changed under a change of the column', async (t) => {
    const { test, capture, source } = await watched(t)
    const first = await capture.triggerFingerprint(source)
    await test.query(`alter table licence drop column amount`)
    await test.query(`alter table licence add column amount decimal(12,2) default 3`)
    t.not(await capture.triggerFingerprint(source), first)
  })

  const primary =
    engine.capture === 'tracking'
      ? `${engine.name} tracks the primary key only`
      : engine.capture === 'log' && 'the log is read for the keys of the sources that the capture was opened with'
  t.test('triggers that were made for another key cover nothing, until set-up runs again', { skip: primary }, async (t) => {
    const { database, test, capture, source } = await watched(t, sourceOf(twoKeys))
    await capture.triggerFingerprint(source)
    await test.query(engine.addUnique?.('licence', 'code', 'other') ?? `alter table licence add constraint other unique (code)`)
    for (const changed of [['code'], ['code', 'region']]) {
      const items = [...twoKeys.items].toReversed().map((item) => ({ ...item, key: changed.includes(item.id) }))
      const next = sourceOf(schemaOf(items, 2))
      await capture.checkTable(next)
      await t.rejects(capture.triggerFingerprint(next), { code: 'QZ-SOURCE-NOT-SET-UP', message: /setup/ }, changed.join())
      await database.run(await database.setupScript(next))
      await capture.triggerFingerprint(next)
      await test.query(`insert into licence values (1, 'n', '${changed.join('-')}')`)
      const { keys } = await capture.take(next, 10, new Set())
      t.same(keys, [changed.length === 1 ? ['code'] : ['code-region', '1']])
    }
    await t.rejects(capture.triggerFingerprint(source), { code: 'QZ-SOURCE-NOT-SET-UP' })
  })

  t.test('chunks in key order resume after any key', async (t) => {
    const { test, capture, source } = await watched(t, sourceOf(twoKeys))
    const rows = Array.from({ length: 50 }, (_, i) => `(${i % 5}, 'n', '${'abcdefghij'[i % 10]}${i}')`)
    await test.query(`insert into licence values ${rows.join(',')}`)
    const all = await tableRows(capture, source)
    t.equal(all.length, 50)
    for (const chunk of [1, 7, 50]) t.same(await tableRows(capture, source, chunk), all)
    const first = await capture.rowsAfter(source, null, 10)
    t.equal(first.rows.length, 10)
    t.same(first.last, [first.rows[9]![0], first.rows[9]![2]])
    await test.query(`delete from licence where region = ${first.last![0]} and code = '${first.last![1]}'`)
    const rest = await capture.rowsAfter(source, first.last, 100)
    t.equal(rest.rows.length, 40, 'the key to resume after need not be there')
    t.same(await capture.rowsAfter(source, rest.last, 100), { rows: [], faults: [], last: null })
  })

  t.test('tables that cannot supply without loss are refused by name', async (t) => {
    const opened = await openDatabase(t, engine, freshDatabase)
    const { database, test } = opened
    const capture = await database.openCapture([])
    t.teardown(() => capture.close())
    await t.rejects(capture.checkTable(sourceOf(licence, { table: 'no_such_table' })), { code: 'QZ-SOURCE-TABLE' })
    await t.rejects(database.describe('no_such_table'), { code: 'QZ-SOURCE-TABLE' })
    await test.query('create table without_key (id varchar(20) not null, name varchar(20), amount decimal(12,2))')
    await t.rejects(capture.checkTable(sourceOf(licence, { table: 'without_key' })), { code: 'QZ-SOURCE-TABLE' })
    await test.query('create table no_column (id varchar(20) not null primary key, name varchar(20))')
    await t.rejects(capture.checkTable(sourceOf(licence, { table: 'no_column' })), { code: 'QZ-SOURCE-TABLE' })
    for (const [i, { column, ...item }] of engine.lossy.entries()) {
      await test.query(`create table lossy_${i} (id varchar(20) not null primary key, ${engine.quote('值')} ${column})`)
      const schema = schemaOf([
        { id: 'id', type: 'text', length: 20, key: true },
        { id: 'v', ...item },
      ])
      const columns = [
        { item: schema.items[0]!, column: 'id' },
        { item: schema.items[1]!, column: '值' },
      ]
      const source = sourceOf(schema, { table: `lossy_${i}`, columns })
      await t.rejects(capture.checkTable(source), { code: 'QZ-SOURCE-TYPE' }, `${column} as ${item.type}`)
      await t.rejects(database.setupScript(source), { code: 'QZ-SOURCE-TYPE' }, 'at set-up too')
    }
    await test.query('create view seen as select id, name, amount from without_key')
    const seen = capturedAs(engine, sourceOf(licence, { table: 'seen' }))
    await t.rejects(capture.checkTable(seen), { code: 'QZ-SOURCE-TABLE' })
    await t.rejects(database.setupScript(seen), { code: 'QZ-SOURCE-TABLE' }, 'a view')
  })

  t.test('describe tells columns, keys and nulls', async (t) => {
    const { database } = await watched(t, sourceOf(twoKeys))
    const columns = await database.describe('licence')
    t.match(columns, [
      { column: 'region', nullable: false, key: true },
      { column: 'name', nullable: true, key: false },
      { column: 'code', nullable: false, key: true },
    ])
    t.ok(columns.every((column) => column.type.length > 0))
  })

  t.test('doctor finds a healthy set-up healthy, and missing triggers not', async (t) => {
    const { test, database, source } = await watched(t)
    const bad = async () => (await database.doctor([source], [])).filter((check) => !check.ok)
    t.same(await bad(), [])
    await engine.dropTriggers(test, 'licence')
    t.match(await bad(), [{ en: /setup --print/ }], 'told with what to do')
  })

  t.test('capture reads on after a set-up made again under it', async (t) => {
    const { test, database, capture, source } = await setUpTwice()
    await test.query(`insert into licence values ('a', null, null)`)
    t.same((await capture.take(source, 10, new Set())).keys, [['a']])
    t.equal((await capture.state(source)).snapshot, 'needed')
    t.ok(database)

    async function setUpTwice() {
      const made = await watched(t)
      await made.database.run(await made.database.setupScript(made.source))
      return made
    }
  })
}
