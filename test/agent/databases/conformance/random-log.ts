/** Random transactions, read from the log: at the end the receiver's rows are the table's, whatever a mark would have hidden. */
import type { Test } from 'tap'
import { Random, seedOfThisRun } from '../../../faults/random.ts'
import { longer } from '../../../support/longer.ts'
import { Model, openDatabase, setUp, sourceOf, tableRows, twoKeys } from './fixture.ts'
import type { LoggedEngine } from './log-fixture.ts'

/** Transactions, and those at the end among which there is no TRUNCATE: the rows are told by them alone. */
const [turns, last] = [45, 12]

export function randomLog(t: Test, engine: LoggedEngine): void {
  const { dialect, prepared } = engine

  t.test('random transactions: savepoints, prepared ones, keys changed in place, TRUNCATE', async (t) => {
    const began = seedOfThisRun()
    for (let seed = began; seed < began + (longer ? 2 : 8); seed++) {
      const random = new Random(seed)
      const table = engine.randomTable(random)
      const made = await openDatabase(t, dialect, engine.fresh)
      for (const ddl of table.ddl) await made.test.query(ddl)
      const watched = await setUp(t, made, sourceOf(twoKeys, { capture: 'log' }))
      const writers = []
      for (const settings of table.writers) {
        const writer = await made.test.connect()
        t.teardown(() => writer.close())
        for (const setting of settings) await writer.query(setting)
        writers.push(writer)
      }
      const code = (): string => random.pick(['a', 'b', 'c', 'd', '东', "q''"])
      const changes = [
        () => `insert into licence (region, name, code) values (${random.between(0, 4)}, 'n${random.between(0, 99)}', '${code()}')`,
        () => `update licence set name = 'm${random.between(0, 99)}' where code = '${code()}'`,
        () => `update licence set region = region + 10 where code = '${code()}' and region < 5`,
        () => `update licence set code = concat(code, 'x') where code = '${code()}'`,
        () => `delete from licence where region = ${random.between(0, 14)}`,
        ...table.changes.map((change) => () => change(code())),
      ]
      const model = new Model()
      let marks = 0
      /** What a snapshot does: all is read anew. */
      const readAnew = async (): Promise<void> => {
        await model.drain(watched)
        if (!model.marked) return
        marks++
        model.marked = false
        model.rows.clear()
        for (const row of await tableRows(watched.capture, watched.source)) model.rows.set(JSON.stringify([row[0], row[2]]), row)
      }
      for (let turn = 0; turn < turns; turn++) {
        if (turn === turns - last) {
          await readAnew()
          marks = 0
        }
        const writer = random.pick(writers)
        const branch = random.chance(0.25) ? `x${seed}_${turn}` : undefined
        const truncates = !branch && turn < turns - last
        const saves = !branch || prepared.savepoints
        await writer.query(branch ? prepared.begin(branch) : 'begin')
        for (let n = random.between(1, 4); n > 0; n--) {
          if (truncates && random.chance(0.03)) {
            await writer.query(table.truncate())
            // It may have committed.
            await writer.query('commit')
            await writer.query('begin')
            continue
          }
          if (saves) await writer.query('savepoint s')
          // Two rows may not come to have one key.
          const refused = await writer.query(random.pick(changes)()).then(
            () => false,
            () => true,
          )
          if (saves && (refused || random.chance(0.2))) await writer.query('rollback to s')
        }
        if (!branch) await writer.query(random.pick(['commit', 'commit', 'rollback']))
        else if (random.chance(0.3)) for (const sql of prepared.atOnce(branch)) await writer.query(sql)
        else {
          for (const sql of prepared.prepare(branch)) await writer.query(sql)
          if (random.chance(0.3)) await readAnew()
          await writer.query(prepared.end(branch, random.pick(['commit', 'rollback'])))
        }
        if (random.chance(0.3)) await readAnew()
      }
      await readAnew()
      t.equal(marks, 0, `${table.name}, seed ${seed}: nothing was read anew at last`)
      t.same(model.sorted(), await tableRows(watched.capture, watched.source), `${table.name}, seed ${seed}`)
    }
  })
}
