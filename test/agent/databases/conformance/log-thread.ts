/** What a log that is read has of its own: a thread, which goes on where it was left, or is lost, and which sources move onto and off. */
import type { Test } from 'tap'
import type { SourceTable } from '../../../../agent/database.ts'
import { at, licence, Model, setUp, sourceOf, tableRows } from './fixture.ts'
import { byLog, drained, openedLog, plain, sessionOf, type LoggedEngine } from './log-fixture.ts'

const none: ReadonlySet<string> = new Set()

export function logThread(t: Test, engine: LoggedEngine): void {
  const { dialect } = engine
  const opened = (t: Test) => openedLog(t, engine)

  t.test('a killed reader repeats, and loses nothing', async (t) => {
    const { test, database, capture, source } = await setUp(t, await opened(t), byLog())
    const model = new Model()
    for (let n = 0; n < 5; n++) {
      await test.query(`insert into licence values ${Array.from({ length: 14 }, (_, i) => `('k${n * 14 + i}', null, 0)`).join(', ')}`)
      await test.query(`update licence set amount = ${n} where id like 'k%${n}'`)
      if (n % 2) await drained({ capture, source }, model)
    }
    await dialect.endOthers!(test)
    await engine.endStreams?.(test)
    await t.rejects(model.drain({ capture, source }), { code: 'QZ-DB-UNREACHABLE' })
    await capture.close()
    await test.query(`delete from licence where id = 'k3'`)
    const next = await database.openCapture([source])
    t.teardown(() => next.close())
    model.seq = (await next.state(source)).position!.seq
    await drained({ capture: next, source }, model)
    t.notOk(model.marked)
    t.same(model.sorted(), await tableRows(next, source))
    t.equal(model.rows.size, 69)
  })

  t.test('closed while applications write, it goes on where it was', async (t) => {
    const { test, database, source, ...first } = await setUp(t, await opened(t), byLog())
    const writers = await Promise.all([1, 2, 3].map(() => sessionOf(t, { test })))
    const ending = new AbortController()
    const writing = writers.map(async (writer, w) => {
      for (let n = 0; !ending.signal.aborted; n++) await writer.query(`insert into licence values ('${w} ${n}', null, 0)`)
    })
    let { capture } = first
    const coverage = await capture.triggerFingerprint(source)
    const model = new Model()
    for (let turn = 0; turn < 8; turn++) {
      await model.step({ capture, source })
      await capture.close()
      capture = await database.openCapture([source])
    }
    ending.abort()
    await Promise.all(writing)
    await drained({ capture, source }, model)
    t.notOk(model.marked)
    t.equal(await capture.triggerFingerprint(source), coverage)
    t.same(model.sorted(), await tableRows(capture, source))
    await capture.close()
  })

  t.test('a thread that was lost is a new coverage: a snapshot, no loss', async (t) => {
    const own = await engine.own(t)
    const { test, database } = await openedLog(t, { dialect, fresh: own.fresh })
    const { capture, source } = await setUp(t, { test, database }, byLog())
    let coverage = await capture.triggerFingerprint(source)
    await capture.close()
    const spoil = await engine.spoil(test)
    for (const [what, happen] of Object.entries(spoil)) {
      await happen()
      const next = await database.openCapture([source])
      const found = await next.triggerFingerprint(source)
      t.not(found, coverage, what)
      t.equal(await next.triggerFingerprint(source), found, 'and stands')
      await test.query(`insert into licence values ('${what}', null, null)`)
      const { keys, entries } = await next.take(source, 100, none)
      t.same(keys, [[what]], 'it goes on')
      await next.mark(source, { entries })
      await next.close()
      coverage = found
    }
    const again = await database.openCapture([source])
    t.equal(await again.triggerFingerprint(source), coverage, 'a clean restart is none')
    await again.close()
    await test.query(`insert into licence values ('never read', null, null)`)
    const byTriggers = sourceOf(licence)
    await database.run(await database.setupScript(byTriggers))
    await Object.values(spoil)[0]!()
    let next = await database.openCapture([byTriggers])
    const found = await next.triggerFingerprint(byTriggers)
    t.not(found, coverage, 'a move to triggers does not hide it')
    await next.close()
    next = await database.openCapture([byTriggers])
    t.equal(await next.triggerFingerprint(byTriggers), found, 'once')
    await next.close()
  })

  t.test('a server that breaks down', async (t) => {
    const own = await engine.own(t)
    const { test, database } = await openedLog(t, { dialect, fresh: own.fresh })
    const { capture, source } = await setUp(t, { test, database }, byLog())
    const coverage = await capture.triggerFingerprint(source)
    await test.query(`insert into licence values ('a', null, null)`)
    await own.kill('SIGKILL')
    await t.rejects(drained({ capture, source }), { code: 'QZ-DB-UNREACHABLE' })
    await capture.close()
    await own.restart()
    const fresh = await dialect.open({ name: 'front', url: test.url, pace: 5 })
    t.teardown(() => fresh.close())
    const next = await fresh.openCapture([source])
    t.equal(await next.triggerFingerprint(source), coverage)
    const { keys, marked } = await next.take(source, 10, none)
    t.same({ keys, marked }, { keys: [['a']], marked: engine.marksAfterCrash })
    await next.close()
  })

  t.test('from triggers to the log and back: the queue, the place and the coverage stay, and nothing is lost', async (t) => {
    const { test, database } = await opened(t)
    const byTriggers = sourceOf(licence)
    await database.run(await database.setupScript(byTriggers))
    let capture = await database.openCapture([byTriggers])
    await capture.record(byTriggers, { from: null, to: at(1), entries: [], snapshot: null, faults: [], sent: [] })
    const coverage = await capture.triggerFingerprint(byTriggers)
    const model = new Model()
    const insert = (id: string) => `insert into licence values ('${id}', null, null)`
    await test.query(insert('a'))
    for (const [turn, source] of [byLog(), byTriggers, byLog(), byTriggers].entries()) {
      await test.query(insert(`running ${turn}`))
      await capture.close()
      await test.query(insert(`before ${turn}`))
      const writer = await sessionOf(t, { test })
      await writer.query('begin')
      await writer.query(insert(`open ${turn}`))
      const moving = database.run(await database.setupScript(source))
      await test.query(insert(`during ${turn}`))
      await writer.query('commit')
      await moving
      await test.query(insert(`after ${turn}`))
      capture = await database.openCapture([source])
      t.equal(await capture.triggerFingerprint(source), coverage, `${source.capture}: the same coverage`)
      t.equal((await capture.state(source)).snapshot, null)
      await test.query(`update licence set name = 'x' where id = 'a'`)
      await drained({ capture, source }, model)
      t.notOk(model.marked)
      t.same(model.sorted(), await tableRows(capture, source))
      t.equal(model.rows.size, 1 + 5 * (turn + 1))
      t.equal((await test.query(engine.triggers))[0]![0] !== '0', source.capture === 'triggers')
      if (engine.held) t.same(await test.query(engine.held), [[source.capture === 'log' ? '1' : '0']])
    }
    await capture.close()
    for (const [turn, source] of [byLog(), byTriggers, byLog()].entries()) {
      await test.query(insert(`alone ${turn}`))
      await database.run(await database.setupScript(source))
    }
    await test.query(insert('last'))
    capture = await database.openCapture([byLog()])
    model.seq = (await capture.state(byLog())).position!.seq
    await drained({ capture, source: byLog() }, model)
    t.same(model.sorted(), await tableRows(capture, byLog()), 'there and back while no agent ran')
    await test.query(engine.widen('name'))
    t.not(await capture.triggerFingerprint(byLog()), coverage, 'what is altered later is seen')
    await capture.close()
  })

  t.test('a source that the log was not read for while it was read for others has a new coverage', async (t) => {
    const { test, database } = await opened(t)
    await test.query(plain.replace('licence', 'other'))
    const one = byLog()
    const other = sourceOf({ ...licence, resource: 'scjg.other' }, { capture: 'log', resource: 'scjg.other', table: 'other' })
    for (const source of [one, other]) await database.run(await database.setupScript(source))
    let written = 0
    const coverages = async (...sources: SourceTable[]) => {
      const capture = await database.openCapture(sources)
      const found = []
      for (const source of sources) found.push(await capture.triggerFingerprint(source))
      for (const table of ['licence', 'other']) await test.query(`insert into ${table} values ('k${written++}', null, null)`)
      await capture.backlog(sources[0]!, 1)
      await capture.close()
      return found
    }
    const both = await coverages(one, other)
    t.same(await coverages(one, other), both)
    t.same(await coverages(one), [both[0]])
    const again = await coverages(one, other)
    t.equal(again[0], both[0])
    t.not(again[1], both[1])
    t.same(await coverages(one, other), again)
  })
}
