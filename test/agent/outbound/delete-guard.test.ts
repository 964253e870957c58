import t from 'tap'
import type { Row } from '../../../agent/database.ts'
import { DeleteGuard } from '../../../agent/outbound/delete-guard.ts'

const minute = 60_000
const rules = { share: 0.2, least: 100, settle: 10 * minute }

/** A table of which only the number of rows matters, and a clock. */
function table(rows: number, known?: number, whole = false) {
  const world = { rows, now: 0, counts: 0, known }
  const guard = new DeleteGuard(rules, { resource: 'r', whole, known: () => world.known, now: () => world.now })
  const count = async () => (world.counts++, world.rows)
  const empty = async () => true
  return {
    world,
    guard,
    /** An application deletes rows, and the stream has read them. */
    deletes: (n: number) => ((world.rows -= n), guard.allows(n, count)),
    reads: (n: number) => guard.allows(n, count),
    examine: (level = empty) => ((world.now += 2_000), guard.examine(count, level)),
  }
}

t.test('few deletes go, without a count', async (t) => {
  const { deletes, world, guard } = table(10_000)
  t.ok(await deletes(99))
  t.equal(world.counts, 0)
  t.ok(await deletes(99), 'together they are more, but below the share')
  t.equal(guard.fault, undefined)
})

t.test('a table deleted in one piece waits from the first read on', async (t) => {
  const { world, reads, guard, examine } = table(0, 10_000)
  t.notOk(await reads(1_000))
  t.match(guard.fault, { code: 'QZ-GUARD-DELETES', details: { before: 10_000, rows: 0 } })
  t.notOk(await reads(1), 'a single delete waits too')
  world.rows = 9_000
  t.notOk(await examine(), 'it may go on loading')
  t.equal(guard.fault?.details['rows'], 9_000)
  world.rows = 10_000
  t.ok(await examine(), 'all rows are there again')
  t.equal(guard.fault, undefined)
})

t.test('one deleted in small steps waits when they pass the share together', async (t) => {
  const { deletes, world } = table(1_000)
  let gone = 0
  while (await deletes(20)) {
    gone += 20
    world.now += 2_000
    if (gone > 1_000) break
  }
  t.equal(gone, 200)
  const slow = table(1_000)
  for (let i = 0; i < 20; i++) {
    t.ok(await slow.deletes(40), 'what goes over days is no reload')
    slow.world.now += rules.settle
  }
})

t.test('a count that is older than the deletes makes nothing of them pass, nor the table larger than it was', async (t) => {
  const { world, deletes, guard, examine } = table(1_000, 1_000)
  let gone = 0
  while (await deletes(20)) {
    gone += 20
    world.known! -= 20
  }
  t.equal(world.counts, 2, 'it is counted again before anything is held')
  t.equal(gone, 200)
  t.match(guard.fault, { details: { before: 1_000, rows: 780 } })
  world.rows = 1_000
  t.ok(await examine(), 'all rows are there again')
})

t.test('where rows come and go no delete is held, however many there are', async (t) => {
  const { world, reads, guard } = table(1_000, 1_000)
  for (let i = 0; i < 40; i++) {
    t.ok(await reads(50))
    world.now += i % 2 === 0 ? 2_000 : 10
  }
  t.equal(guard.fault, undefined)
})

t.test('what is missing goes when it has been below the share for a while', async (t) => {
  const { world, reads, examine, guard } = table(0, 1_000)
  await reads(200)
  world.rows = 850
  t.notOk(await examine())
  world.now += rules.settle
  t.ok(await examine())
  t.ok(await reads(150), 'and is not held again')
  t.equal(guard.fault, undefined)
})

t.test('a table that stays shrunken waits for a person', async (t) => {
  const { world, reads, examine } = table(0, 1_000)
  await reads(200)
  world.rows = 700
  for (let days = 0; days < 30; days++) {
    world.now += 86_400_000
    t.notOk(await examine())
  }
})

t.test('a confirmation frees the deletes that were shown, once', async (t) => {
  const { world, guard } = table(5_000, 5_000)
  const keys = (from: number, to: number): Row[] => Array.from({ length: to - from }, (_, i) => [String(from + i)])
  const reads = (deletes: Row[], present: Row[] = []) => guard.filter(deletes, present, async () => world.rows)
  world.rows = 3_000
  t.same(await reads(keys(0, 2_000)), [])
  guard.confirm()
  t.equal(guard.fault, undefined)
  t.same(await reads(keys(0, 1_000)), keys(0, 1_000))
  world.known = 3_000
  world.rows = 500
  t.same(
    await reads([...keys(1_000, 2_000), ...keys(2_000, 4_500)]),
    keys(1_000, 2_000),
    'what is deleted later waits, though traffic went on',
  )
  t.match(guard.fault, { code: 'QZ-GUARD-DELETES', details: { rows: 500 } })
  t.same(await reads(keys(0, 7)), keys(0, 7), 'what has gone already may go again')
  t.same(await reads([], keys(0, 7)), [])
  t.same(await reads(keys(0, 7)), [], 'but for rows that were there again meanwhile')
})

t.test('what was counted and not read before a confirmation goes up to that number, until the end of the queue is seen', async (t) => {
  const { world, guard } = table(500, 5_000)
  const reads = (deletes: number) =>
    guard.filter(
      Array.from({ length: deletes }, () => [String(world.counts++)]),
      [],
      async () => world.rows,
    )
  await reads(1_000)
  guard.confirm()
  t.equal((await reads(3_000)).length, 3_000)
  guard.sawEnd()
  t.equal((await reads(400)).length, 0)
})

t.test('a confirmed end is that of one snapshot', (t) => {
  const { guard } = table(0, 1_000)
  t.notOk(guard.allowsEnd(100))
  guard.confirm()
  t.ok(guard.allowsEnd(100))
  guard.snapshotMoved()
  t.notOk(guard.allowsEnd(100))
  t.end()
})

t.test('where it is not known what the receivers have, a snapshot does not end by itself', async (t) => {
  const { guard, world, examine } = table(5_000)
  t.notOk(guard.allowsEnd(5_000))
  t.match(guard.fault, { code: 'QZ-GUARD-UNKNOWN', details: { rows: 5_000 } })
  world.rows = 100_000
  t.notOk(await examine())
  guard.confirm()
  t.ok(guard.allowsEnd(5_000))
})

t.test('counts are few', async (t) => {
  const { world, reads, examine } = table(0, 1_000)
  for (let i = 0; i < 1_000; i++) await reads(200)
  t.equal(world.counts, 1)
  world.now += 500
  await examine()
  t.equal(world.counts, 2)
})

t.test('a snapshot of a table that is being loaded does not end', async (t) => {
  const { world, guard, examine } = table(0, 1_000)
  t.ok(guard.allowsEnd(850), 'within the share')
  t.notOk(guard.allowsEnd(0))
  t.match(guard.fault, { code: 'QZ-GUARD-SNAPSHOT', details: { before: 1_000, rows: 0 } })
  t.ok(guard.holdsEnd)
  world.rows = 1_000
  t.notOk(await examine(async () => false), 'what came back has not travelled yet')
  t.ok(await examine())
  t.ok(guard.allowsEnd(0))
  guard.snapshotMoved()
  t.notOk(guard.allowsEnd(0), 'the next one is judged anew')
  guard.confirm()
  t.ok(guard.allowsEnd(0))
})

t.test('where the guard is off nothing waits', async (t) => {
  const off = new DeleteGuard(undefined, { resource: 'r', known: () => 1_000 })
  t.ok(off.allowsEnd(0))
  t.ok(await off.allows(1_000_000, async () => t.fail('no count') as never))
  t.notOk(off.active)
})

t.test('a file of the whole table that is empty, or has lost more than half, waits whatever the size', async (t) => {
  for (const [before, after] of [
    [185, 0],
    [185, 92],
    [3, 1],
    [1, 0],
  ] as const) {
    const { deletes, guard, world, examine } = table(before, before, true)
    t.notOk(await deletes(before - after), `${before} to ${after}`)
    t.match(guard.fault, { code: 'QZ-GUARD-DELETES', details: { before, rows: after } })
    world.rows = before
    t.ok(await examine(), 'the next file has them again')
  }
  t.ok(await table(185, 185, true).deletes(92), 'half of them')
  t.notOk(table(0, 185, true).guard.allowsEnd(0), 'the end of a snapshot too')
  t.ok(await table(185, 185).deletes(99), 'other sources as before')
})
