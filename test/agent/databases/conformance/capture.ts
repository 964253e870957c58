/** Capture: what the application writes reaches the agent, exactly once remembered, and the application does not notice. */
import type { Test } from 'tap'
import type { Capture, SourceTable, StreamStep } from '../../../../agent/database.ts'
import type { Dialect, Session, TestDatabase } from './suite.ts'
import { at, capturedAs, licence, Model, setUp, openDatabase, sortRows, sourceOf, tableRows, twoKeys, watch, schemaOf } from './fixture.ts'

export function captureConformance(t: Test, engine: Dialect, freshDatabase: () => Promise<TestDatabase>): void {
  const watched = (t: Test, source = sourceOf(licence)) => watch(t, engine, freshDatabase, source)

  t.test('insert, update and delete travel; an untouched queue is empty', async (t) => {
    const { test, capture, source } = await watched(t)
    const model = new Model()
    t.same(await capture.waiting(), new Set())
    await test.query(`insert into licence values ('a', '甲', 1.50), ('b', '乙', 2), ('c', null, null)`)
    t.same(await capture.waiting(), new Set([source.resource]))
    const take = await model.step({ capture, source })
    t.same(sortRows(take.keys), [['a'], ['b'], ['c']])
    t.notOk(take.marked)
    t.same(model.sorted(), [
      ['a', '甲', '1.50'],
      ['b', '乙', '2.00'],
      ['c', null, null],
    ])
    t.same(await capture.waiting(), new Set())
    await test.query(`update licence set name = '𠮷' where id = 'a'`)
    await test.query(`delete from licence where id = 'b'`)
    await model.drain({ capture, source })
    t.same(model.sorted(), [
      ['a', '𠮷', '1.50'],
      ['c', null, null],
    ])
  })

  t.test('a key that changes leaves its old key behind as a delete', async (t) => {
    const { test, capture, source } = await watched(t, sourceOf(twoKeys))
    const model = new Model()
    await test.query(`insert into licence values (1, 'x', 'a'), (1, 'y', 'b')`)
    await test.query(`update licence set code = 'c', region = 2 where code = 'a'`)
    await test.query(`update licence set code = 'B' where code = 'b'`)
    await model.drain({ capture, source })
    t.same(model.sorted(), [
      ['1', 'y', 'B'],
      ['2', 'x', 'c'],
    ])
    await test.query(`update licence set code = 'b' where code = 'B'`)
    const take = await model.step({ capture, source })
    t.same(sortRows(take.keys), [
      ['1', 'B'],
      ['1', 'b'],
    ])
    t.same(model.sorted(), await tableRows(capture, source))
  })

  t.test('key columns may be called like anything that a trigger has names of its own for', async (t) => {
    const names = [
      'n',
      'found',
      'k1',
      'a_k1',
      'failed',
      'id',
      'marked',
      'cause',
      'at',
      'tg_op',
      'new',
      'old',
      's',
      'part',
      'qz_k1',
      'qz_new',
      'ceiling',
    ]
    for (const some of [names.slice(0, 6), names.slice(6, 12), names.slice(12)]) {
      const opened = await openDatabase(t, engine, freshDatabase)
      const { test } = opened
      const schema = schemaOf([
        ...some.map((id) => ({ id, type: 'integer' as const, key: true, required: true })),
        { id: 'v', type: 'integer' as const },
      ])
      await opened.database.run(await opened.database.supplyTable(sourceOf(schema)))
      const { capture, source } = await setUp(t, opened, capturedAs(engine, sourceOf(schema)))
      const model = new Model()
      const key = (n: number) => some.map((_, i) => String(n + i)).join(', ')
      await test.query(`insert into licence values (${key(1)}, 1), (${key(2)}, 2), (${key(3)}, 3)`)
      await test.query(`update licence set ${engine.quote(some[0]!)} = 9, v = 4 where v = 2`)
      await test.query('delete from licence where v = 3')
      await model.drain({ capture, source })
      t.notOk(model.marked, some.join(', '))
      t.same(model.sorted(), await tableRows(capture, source))
      t.equal(model.sorted().length, 2)
    }
  })

  const unlike =
    engine.capture === 'tracking'
      ? `${engine.name} tracks rows by their keys as they compare`
      : engine.comparesCase === true && `${engine.name} has no columns that compare without case`
  t.test('where the source compares keys without case, a change of case only is a delete and an upsert', { skip: unlike }, async (t) => {
    const opened = await openDatabase(t, engine, freshDatabase)
    for (const statement of engine.caseInsensitive.prepare) await opened.test.query(statement)
    await opened.test.query(
      `create table licence (id ${engine.caseInsensitive.type} not null primary key, name varchar(100), amount decimal(12,2))`,
    )
    const { test, capture, source } = await setUp(t, opened, sourceOf(licence))
    const model = new Model()
    await test.query(`insert into licence values ('002x', '甲', 1)`)
    await model.drain({ capture, source })
    await test.query(`update licence set id = '002X' where id = '002x'`)
    const take = await model.step({ capture, source })
    t.same(sortRows(take.keys), [['002X'], ['002x']])
    t.same(model.sorted(), [['002X', '甲', '1.00']])
    t.equal((await capture.rowsByKeys(source, [['002X'], ['002x']])).rows.length, 1)
  })

  const alone = engine.oneWriter === true && `in ${engine.name} nobody else writes while a transaction is open`
  t.test('what is rolled back is not seen; what commits late is', { skip: alone }, async (t) => {
    const { test, capture, source } = await watched(t)
    const model = new Model()
    const [late, gone] = await sessions(t, test, 2)
    await late!.query('begin')
    await late!.query(`insert into licence values ('late', null, null)`)
    await gone!.query('begin')
    await gone!.query(`insert into licence values ('gone', null, null)`)
    await gone!.query('rollback')
    await test.query(`insert into licence values ('early', null, null)`)
    await model.drain({ capture, source })
    t.same([...model.rows.keys()], ['["early"]'])
    await late!.query('commit')
    await model.drain({ capture, source })
    t.same([...model.rows.keys()].toSorted(), ['["early"]', '["late"]'])
  })

  t.test('a statement over many rows is taken in parts', async (t) => {
    const { test, capture, source } = await watched(t)
    const model = new Model()
    const rows = Array.from({ length: 2500 }, (_, i) => `('k${i}', 'n', ${i})`)
    await test.query(`insert into licence values ${rows.join(',')}`)
    const take = await model.step({ capture, source }, 500)
    t.ok(take.keys.length >= 1 && take.keys.length <= 1500, `about 500: ${take.keys.length}`)
    await model.drain({ capture, source })
    t.equal(model.rows.size, 2500)
    await test.query(`update licence set amount = amount + 1`)
    await test.query(`delete from licence where amount > 1000`)
    await model.drain({ capture, source })
    t.same(model.sorted(), await tableRows(capture, source, 100))
    t.equal(model.rows.size, 1000)
  })

  t.test('a row changed often is one key, and what is in flight is not taken again', async (t) => {
    const { test, capture, source } = await watched(t)
    for (let i = 0; i < 20; i++) await test.query(i ? `update licence set amount = ${i}` : `insert into licence values ('hot', null, 0)`)
    const first = await capture.take(source, 1000, new Set())
    t.same(first.keys, [['hot']])
    t.same((await capture.take(source, 1000, new Set(first.entries))).entries, [])
    await test.query(`insert into licence values ('cold', null, 0)`)
    const second = await capture.take(source, 1000, new Set(first.entries))
    t.same(second.keys, [['cold']])
    await capture.record(source, { from: at(1), to: at(2), entries: first.entries, faults: [], sent: [] })
    t.same((await capture.take(source, 1000, new Set())).entries, second.entries)
  })

  t.test('TRUNCATE leaves a mark', { skip: !engine.seesTruncate && `${engine.name} hides TRUNCATE` }, async (t) => {
    const { test, capture, source } = await watched(t)
    await test.query(`insert into licence values ('a', null, null)`)
    await test.query('truncate table licence')
    const take = await capture.take(source, 1000, new Set())
    t.ok(take.marked)
    t.same(take.keys, [['a']])
    await capture.mark(source, { snapshot: 'needed', entries: take.entries })
    t.equal((await capture.state(source)).snapshot, 'needed')
    t.same(await capture.waiting(), new Set())
  })

  t.test('eight writers at once lose nothing', async (t) => {
    const { test, capture, source } = await watched(t)
    const model = new Model()
    const writers = await sessions(t, test, 8)
    const work = { running: true }
    const done = Promise.all(writers.map((session, i) => write(session, i))).finally(() => (work.running = false))
    while (work.running) await model.step({ capture, source }, 200)
    await done
    await model.drain({ capture, source })
    t.same(model.sorted(), await tableRows(capture, source))
    t.ok(model.rows.size > 100)
  })

  const numbered =
    (engine.capture === 'tracking' || engine.capture === 'log') && `${engine.name} numbers changes when they commit: nothing is skipped`
  t.test('a full queue becomes a mark, and collapses only when no skipped transaction is open', { skip: numbered }, async (t) => {
    const { test, capture, source } = await watched(t, sourceOf(licence, { queueLimit: 1 }))
    const [open] = await sessions(t, test, 1)
    const many = (from: number) => Array.from({ length: 2000 }, (_, i) => `('${from + i}', null, null)`).join(',')
    for (let i = 0; i < 5; i++) await test.query(`insert into licence values ${many(i * 2000)}`)
    const full = await capture.backlog(source, 1000)
    await open!.query('begin')
    await open!.query(`insert into licence values ('skipped', null, null)`)
    t.notOk(await capture.collapse(source), 'a transaction that wrote nothing down is open')
    await open!.query('commit')
    t.ok((await allEntries(capture, source)).marked)
    t.ok((await capture.backlog(source, 1000)).entries <= full.entries + 1)
    t.ok(await capture.collapse(source))
    t.equal((await capture.state(source)).snapshot, 'needed')
    t.equal((await capture.backlog(source, 1000)).entries, 0)
    await test.query(`update licence set name = 'x' where id = 'skipped'`)
    t.same((await capture.take(source, 10, new Set())).keys, [['skipped']])
  })

  const together = engine.capture === 'log' && `${engine.name} queues together what is committed together`
  t.test('backlog counts to its bound and knows the oldest entry', { skip: together }, async (t) => {
    const { test, capture, source } = await watched(t)
    t.same(await capture.backlog(source, 10), { entries: 0, bytes: (await capture.backlog(source, 10)).bytes })
    const before = Date.now()
    for (let i = 0; i < 5; i++) await test.query(`insert into licence values ('${i}', null, null)`)
    const backlog = await capture.backlog(source, 3)
    t.equal(backlog.entries, 3)
    t.equal((await capture.backlog(source, 100)).entries, 5)
    t.ok(Math.abs(backlog.oldest!.getTime() - before) < 10_000, backlog.oldest!.toISOString())
  })

  t.test('idle returns when something is queued, and at once when aborted', async (t) => {
    const { test, capture, source } = await watched(t)
    for (let round = 0; round < 3; round++) {
      const woken = waitFor(capture, source)
      await test.query(`insert into licence values ('${round}', null, null)`)
      await woken
      const take = await capture.take(source, 10, new Set())
      t.same(take.keys, [[String(round)]])
      await capture.record(source, { from: at(round + 1), to: at(round + 2), entries: take.entries, faults: [], sent: [] })
      await capture.idle(true, new AbortController().signal)
    }
    const abort = new AbortController()
    const started = Date.now()
    const waiting = (async () => {
      while (!abort.signal.aborted) await capture.idle(false, abort.signal)
    })()
    abort.abort()
    await waiting
    t.ok(Date.now() - started < 1000)
  })

  t.test('a snapshot leaves in the quarantine only what it or a later batch refused', async (t) => {
    const { capture, source } = await watched(t)
    const faults = (...ids: string[]) => ids.map((id) => ({ key: [id], code: 'QZ-ROW-VALUE' as const, item: 'name' }))
    let seq = 1
    const quarantine = async (ids: string[], snapshot?: StreamStep['snapshot']) => {
      const step = { from: at(seq), to: at(++seq), entries: [], faults: faults(...ids), sent: [] }
      await capture.record(source, snapshot === undefined ? step : { ...step, snapshot })
      return (await capture.state(source)).quarantine
    }
    t.equal(await quarantine(['gone', 'bad']), 2)
    const began = at(3)
    t.equal(await quarantine(['bad'], { began, after: ['bad'] }), 1)
    t.equal(await quarantine(['changed']), 2, 'a batch of changes between')
    t.equal(await quarantine(['middle'], { began, after: ['middle'] }), 3)
    t.equal(await quarantine(['last'], null), 4)
    await capture.mark(source, { snapshot: 'needed' })
    t.equal(await quarantine(['bad'], null), 1, 'a snapshot of one batch')
  })

  t.test('names that need quoting', async (t) => {
    const schema = schemaOf([
      { id: 'id', type: 'text', length: 20, key: true, required: true },
      { id: 'name', type: 'text', length: 20 },
    ])
    const odd = sourceOf(
      { ...schema, resource: 'a-b.c_d' },
      {
        resource: 'a-b.c_d',
        table: engine.oddTable ?? '许可 证`"',
        columns: schema.items.map((item, i) => ({ item, column: i ? `名'称` : 'Order' })),
      },
    )
    const { database, test, capture, source } = await watched(t, odd)
    await test.query(`insert into ${engine.quote(source.table)} values ('a', 'x')`)
    const model = new Model()
    await model.drain({ capture, source })
    t.same(model.sorted(), [['a', 'x']])
    await database.run(await database.teardownScript(source))
  })
}

async function sessions(t: Test, test: TestDatabase, count: number): Promise<Session[]> {
  const made = await Promise.all(Array.from({ length: count }, () => test.connect()))
  t.teardown(() => Promise.all(made.map((session) => session.close())))
  return made
}

async function waitFor(capture: Capture, source: SourceTable): Promise<void> {
  const never = new AbortController().signal
  while (!(await capture.waiting()).has(source.resource)) await capture.idle(false, never)
}

async function allEntries(capture: Capture, source: SourceTable) {
  const entries = new Set<string>()
  let marked = false
  for (;;) {
    const take = await capture.take(source, 1000, entries)
    if (take.entries.length === 0) return { entries, marked }
    marked ||= take.marked
    for (const entry of take.entries) entries.add(entry)
  }
}

/** One writer's hundred transactions over a common set of keys and some of its own. Deadlocks are the application's, not ours. */
async function write(session: Session, writer: number): Promise<void> {
  let state = writer * 7919 + 1
  const random = (n: number) => (state = (state * 48271) % 2147483647) % n
  for (let i = 0; i < 60; i++) {
    await session.query('begin')
    await session.query(`insert into licence values ('w${writer}-${i}', 'n${random(9)}', ${random(100)})`)
    if (random(2)) await session.query(`update licence set amount = amount + 1 where id = 'w${writer}-${random(i + 1)}'`)
    if (random(3) === 0) await session.query(`delete from licence where id = 'w${writer}-${random(i + 1)}'`)
    if (random(4) === 0) await session.query(`update licence set id = 'm${writer}-${i}' where id = 'w${writer}-${random(i + 1)}'`)
    await session.query(random(5) === 0 ? 'rollback' : 'commit')
  }
}
