/** What every engine must do that reads a source's changes from the server's log (`capture: log`), besides what it does by triggers. */
import type { Test } from 'tap'
import type { SourceTable } from '../../../../agent/database.ts'
import { seedOfThisRun } from '../../../faults/random.ts'
import { longer } from '../../../support/longer.ts'
import { at, licence, Model, openDatabase, schemaOf, setUp, sortRows, sourceOf, tableRows, twoKeys } from './fixture.ts'
import { byLog, drained, openedLog, plain, sessionOf, urlOf, type LoggedEngine } from './log-fixture.ts'
import { logThread } from './log-thread.ts'
import { randomLog } from './random-log.ts'
import type { Session } from './suite.ts'

const none: ReadonlySet<string> = new Set()

export function logConformance(t: Test, engine: LoggedEngine): void {
  const { dialect, prepared } = engine
  const opened = (t: Test, ddl = plain) => openedLog(t, engine, ddl)
  const watched = async (t: Test, ddl = plain, source = byLog()) => setUp(t, await opened(t, ddl), source)
  const rows = (count: number, from: number) => Array.from({ length: count }, (_, i) => `('k${from + i}', null, 0)`).join(', ')

  async function prepare(writer: Session, id: string, sql: string): Promise<void> {
    for (const statement of [prepared.begin(id), sql, ...prepared.prepare(id)]) await writer.query(statement)
  }

  t.test('nothing of ours is at the table', async (t) => {
    const made = await watched(t)
    t.same(await made.test.query(engine.triggers), [['0']])
    await made.test.query(`insert into licence values ('a', '甲', 1)`)
    t.same((await drained(made)).sorted(), [['a', '甲', '1.00']])
  })

  randomLog(t, engine)
  logThread(t, engine)

  t.test('the keys that are queued are those that a trigger writes', async (t) => {
    // Half of them, another one each time.
    const first = seedOfThisRun() % 2
    const kinds = [...dialect.keyColumns, ...engine.keyColumns].filter((_, i) => !longer || i % 2 === first)
    const { test, database } = await openDatabase(t, dialect, engine.fresh)
    const sources: SourceTable[] = []
    for (const [i, { column, item }] of kinds.entries()) {
      const schema = schemaOf([
        { id: 'id', key: true, required: true, ...item },
        { id: 'name', type: 'text', length: 20 },
      ])
      for (const capture of ['log', 'triggers'] as const) {
        const [resource, table] = [`r.${capture}.${i}`, `${capture}_${i}`]
        await test.query(`create table ${table} (name varchar(20), id ${column} not null primary key)`)
        sources.push(sourceOf({ ...schema, resource }, { resource, table, capture }))
      }
    }
    for (const source of sources) await database.run(await database.setupScript(source))
    const capture = await database.openCapture(sources)
    t.teardown(() => capture.close())
    for (const [i, { column, values, item }] of kinds.entries())
      for (const value of values) {
        const literal = column.startsWith('bit') ? value : dialect.literal(item.type, value)
        for (const table of [`log_${i}`, `triggers_${i}`]) await test.query(`insert into ${table} (id) values (${literal})`).catch(() => {})
      }
    await capture.backlog(sources[0]!, 1)
    for (let i = 0; i < kinds.length; i++) {
      const [log, triggers] = [sources[2 * i]!, sources[2 * i + 1]!]
      const [found, expected] = [await test.query(engine.queued(log)), await test.query(engine.queued(triggers))]
      t.ok(expected.length >= 1, kinds[i]!.column)
      t.same(found.map(String).toSorted(), expected.map(String).toSorted(), kinds[i]!.column)
    }
  })

  for (const twice of [false, true]) {
    const what = twice ? 'prepared transaction' : 'transaction'
    t.test(`a ${what} that others do not see yet is not queued`, { skip: !engine.hold && 'the server has no such state' }, async (t) => {
      const { test, capture, source } = await watched(t)
      const writer = await sessionOf(t, { test })
      const insert = `insert into licence values ('a', null, null)`
      if (twice) {
        await prepare(writer, 'held', insert)
        t.same(await capture.waiting(), none, 'nor while it is prepared')
      } else for (const sql of ['begin', insert]) await writer.query(sql)
      const held = await engine.hold!(t, test, writer)
      const committed = writer.query(twice ? prepared.end('held', 'commit') : 'commit')
      while (!(await held.isLogged()));
      t.same(await test.query('select * from licence'), [], 'others do not see it')
      const taken = capture.take(source, 10, none)
      for (let looks = 0; looks < 200 || (await held.isLookedAt?.()) === false; looks++)
        if (!t.same(await test.query(engine.queued(source)), [], 'nor is it queued')) return
      await held.go()
      await committed
      t.same((await taken).keys, [['a']])
      t.same((await drained({ capture, source })).sorted(), [['a', null, null]])
    })
  }

  t.test('what was committed before it was asked for is taken', async (t) => {
    const { test, capture, source } = await watched(t)
    for (let turn = 0; turn < 30; turn++) {
      await test.query(`insert into licence values ('k${turn}', null, null)`)
      const { keys, entries } = await capture.take(source, 10, none)
      t.same(keys, [[`k${turn}`]])
      await capture.mark(source, { entries })
      t.equal((await capture.backlog(source, 10)).entries, 0)
      await test.query(`update licence set amount = ${turn} where id = 'k${turn}'`)
      t.equal((await capture.backlog(source, 10)).entries, 1)
      await capture.mark(source, { entries: (await capture.take(source, 10, none)).entries })
    }
  })

  t.test('what was written while no agent ran is read when one comes, and what was prepared', async (t) => {
    const { test, database, capture, source } = await watched(t)
    const writer = await sessionOf(t, { test })
    await prepare(writer, 'early', `insert into licence values ('prepared', null, 1)`)
    await test.query(`insert into licence values ('a', null, 1)`)
    const model = await drained({ capture, source })
    t.same(model.sorted(), [['a', null, '1.00']])
    await capture.close()
    await test.query(`insert into licence values ('b', null, 2)`)
    await test.query(`update licence set amount = 3 where id = 'a'`)
    await writer.query(prepared.end('early', 'commit'))
    const next = await database.openCapture([source])
    t.teardown(() => next.close())
    await drained({ capture: next, source }, model)
    t.notOk(model.marked)
    t.same(model.sorted(), await tableRows(next, source))
    t.equal(model.rows.size, 3)
  })

  t.test('two sources of one table, each by its own key', async (t) => {
    const { test, database } = await opened(
      t,
      'create table licence (region bigint not null, name varchar(100), code varchar(20) not null, primary key (region, code), unique (code))',
    )
    for (const sql of engine.whole) await test.query(sql)
    const one = sourceOf(twoKeys, { capture: 'log' })
    const items = twoKeys.items.map((item) => ({ ...item, key: item.id === 'code' }))
    const other = sourceOf({ ...schemaOf(items), resource: 'scjg.other' }, { capture: 'log', resource: 'scjg.other' })
    for (const source of [one, other]) await database.run(await database.setupScript(source))
    const capture = await database.openCapture([one, other])
    t.teardown(() => capture.close())
    const coverage = await capture.triggerFingerprint(one)
    await database.run(await database.setupScript(other))
    t.equal(await capture.triggerFingerprint(one), coverage, 'the other one’s set-up is none of its business')
    await test.query(`insert into licence values (1, 'n', 'a')`)
    t.same(sortRows((await capture.take(one, 10, none)).keys), [['1', 'a']])
    t.same(sortRows((await capture.take(other, 10, none)).keys), [['a']])
  })

  t.test('a table that is altered, renamed and emptied while the log is read', async (t) => {
    const { test, capture, source } = await watched(t)
    const model = new Model()
    let written = 0
    const insert = (table = 'licence') => test.query(`insert into ${table} (id) values ('k${written++}')`)
    const alterations: Record<string, () => Promise<unknown>> = {
      'a column more': () => test.query('alter table licence add column extra varchar(10)'),
      'a longer column': () => test.query(engine.widen('extra')),
      'a column less': () => test.query('alter table licence drop column extra'),
      emptied: () => test.query('truncate table licence'),
      'another name for a while': async () => {
        await test.query('alter table licence rename to gone')
        await insert('gone')
        await capture.backlog(source, 1)
        await test.query('alter table gone rename to licence')
      },
    }
    // The last one again and again: the log tells of it before it has wholly happened.
    const turns = [...Object.keys(alterations), ...Array.from({ length: 20 }, () => 'another name for a while')]
    for (const what of turns) {
      const alter = alterations[what]!
      await insert()
      await alter()
      await insert()
      await capture.checkTable(source)
      await drained({ capture, source }, model)
      // A mark is a snapshot.
      if (model.marked) {
        model.rows.clear()
        for (const row of await tableRows(capture, source)) model.rows.set(JSON.stringify([row[0]]), row)
      }
      t.same(model.sorted(), await tableRows(capture, source), what)
      model.marked = false
      await insert()
      await drained({ capture, source }, model)
      t.same([model.marked, model.sorted()], [false, await tableRows(capture, source)], `${what}: it goes on by its keys`)
    }
  })

  t.test('a full queue becomes one mark', async (t) => {
    const { test, capture, source } = await watched(t, plain, byLog({ queueLimit: 1 }))
    const entries: number[] = []
    for (let n = 0; n < 5; n++) {
      await test.query(`insert into licence values ${rows(600, n * 600)}`)
      entries.push((await capture.backlog(source, 10_000)).entries)
    }
    t.equal(entries[4], entries[2], `no more than one: ${entries.join(', ')}`)
    t.ok((await capture.take(source, 10_000, none)).marked)
    t.ok(await capture.collapse(source))
    await test.query(`update licence set name = 'x' where id = 'k7'`)
    const { keys, marked } = await capture.take(source, 10, none)
    t.same({ keys, marked }, { keys: [['k7']], marked: false })
  })

  t.test('a large transaction, and small ones beside it', async (t) => {
    const made = await watched(t)
    const writer = await sessionOf(t, made)
    const digits = Array.from({ length: 10 }, (_, i) => `select ${i} as d`).join(' union all ')
    const from = ['a', 'b', 'c', 'e', 'f'].map((name) => `(${digits}) ${name}`).join(', ')
    await writer.query('begin')
    await writer.query(`insert into licence select concat('big', a.d, b.d, c.d, e.d, f.d), repeat('x', 50), 1 from ${from} where f.d < 6`)
    await made.test.query(`insert into licence values ('small', null, null)`)
    const model = await drained(made)
    t.equal(model.rows.size, 1)
    await writer.query('commit')
    while ((await model.step(made, 20_000)).entries.length > 0);
    t.equal(model.rows.size, 60_001)
  })

  t.test('doctor says that the log could be read', async (t) => {
    const { database } = await opened(t)
    await database.run(await database.setupScript(sourceOf(licence)))
    t.match((await database.doctor([sourceOf(licence)], [])).map(({ en }) => en).join('\n'), /capture: log/)
  })

  t.test('the run-time user needs no more than set-up gives', async (t) => {
    const { test, database } = await opened(t)
    const user = `runner_${Math.random().toString(36).slice(2, 8)}`
    await test.query(engine.makeUser(user))
    const source = byLog()
    await database.run(await database.setupScript(source, user))
    const own = await dialect.open({ name: 'front', url: urlOf(test, user), pace: 5 })
    t.teardown(() => own.close())
    t.same(
      (await own.doctor([source], [])).filter(({ ok }) => !ok),
      [],
    )
    let capture = await own.openCapture([source])
    await capture.record(source, { from: null, to: at(1), entries: [], snapshot: null, faults: [], sent: [] })
    const writer = await sessionOf(t, { test })
    await prepare(writer, user, `insert into licence values ('a', null, null)`)
    await writer.query(prepared.end(user, 'commit'))
    const model = await drained({ capture, source })
    t.same([model.rows.size, model.marked], [1, false])
    await capture.close()
    await Object.values(await engine.spoil(test))[0]!()
    capture = await own.openCapture([source])
    await test.query(`insert into licence values ('b', null, null)`)
    await drained({ capture, source }, model)
    t.same([model.rows.size, model.marked], [2, false], 'also with a thread of its own beginning')
    await capture.close()
  })
}
