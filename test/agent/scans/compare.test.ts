/** `compare` against a model: whatever is changed, when, and wherever the program ends, one scan at rest makes the receiver equal. */
import fc from 'fast-check'
import t from 'tap'
import { faulty, LineModel } from './model.ts'

const key = (n: number): string => `k${String(n).padStart(5, '0')}`

/** A table of so many rows, loaded by a snapshot. */
async function loaded(rows: number): Promise<LineModel> {
  const line = new LineModel()
  for (let n = 0; n < rows; n++) line.table.set(key(n), 'first')
  await line.snapshot(700)
  t.same(line.differences(), [])
  return line
}

t.test('a snapshot leaves fingerprints behind: the first scan finds nothing, nor does the next', async (t) => {
  for (const broken of [-1, 0, 2]) {
    const line = new LineModel()
    for (let n = 0; n < 5_000; n++) line.table.set(key(n), n % 1000 === 7 ? faulty : 'first')
    await line.snapshot(700, broken)
    for (let scan = 0; scan < 2; scan++) t.same(await line.scan(), { rows: 4_995, changed: 0 }, `broken off after page ${broken}`)
    t.equal(line.queued(), 0)
  }
})

t.test('what changed is queued, and little else', async (t) => {
  const line = await loaded(20_000)
  line.table.set(`${key(500)}a`, 'inserted')
  line.table.set(key(600), 'changed')
  line.table.set(key(700))
  t.same((await line.scan())?.changed, 3)
  await line.drain()
  t.same(line.differences(), [])
  t.same((await line.scan())?.changed, 0)
  for (let n = 0; n < 20_000; n += 1_000) line.table.set(`${key(n)}b`, 'inserted')
  const changed = (await line.scan())!.changed
  t.ok(changed >= 20 && changed < 2_000, `an insert that ends a chunk queues that chunk at most: ${changed}`)
})

t.test('a row that changes between scan and look, and back again, is sent again', async (t) => {
  const line = await loaded(10)
  line.table.set(key(3), 'A')
  await line.scan()
  line.table.during.push(() => line.table.set(key(3), 'B'))
  await line.drain()
  t.equal(line.received.get(`["${key(3)}"]`), 'B')
  line.table.set(key(3), 'A')
  await line.scan()
  await line.drain()
  t.same(line.differences(), [])
  t.same((await line.scan())?.changed, 0)
})

t.test('a row that is there only while it is looked at is deleted again', async (t) => {
  const line = await loaded(10)
  line.table.set(key(3))
  await line.scan()
  line.table.during.push(() => line.table.set(key(3), 'back'))
  await line.drain()
  line.table.set(key(3))
  await line.scan()
  await line.drain()
  t.same(line.differences(), [])
})

t.test('what a snapshot sends counts more than what was sent before it, and less than what is sent after', async (t) => {
  const line = await loaded(10)
  line.table.set(key(3), 'A')
  await line.scan()
  // Page, its end, the queued key, and before the page with that key is read it changes.
  line.table.during.push(
    () => {},
    () => {},
    () => {},
    () => line.table.set(key(3), 'B'),
  )
  await line.snapshot(2, -1, 1)
  t.equal(line.received.get(`["${key(3)}"]`), 'B')
  line.table.set(key(3), 'A')
  await line.scan()
  line.table.set(key(3), 'B')
  await line.snapshot(20)
  line.table.set(key(3), 'A')
  await line.drain()
  t.equal(line.received.get(`["${key(3)}"]`), 'A')
  line.table.set(key(3), 'B')
  await line.scan()
  await line.drain()
  t.same(line.differences(), [])
})

t.test('a key that several rows have becomes a fault, also over the end of a page, and a row again', async (t) => {
  const line = new LineModel()
  for (let n = 0; n < 30; n++) line.table.set(key(n), ...Array.from({ length: (n % 4) + 1 }, (_, i) => `n${i}`))
  for (let limit = 2; limit < 9; limit++) {
    await line.snapshot(limit)
    t.same(line.differences(), [], `pages of ${limit}`)
  }
  t.equal(line.store.state().quarantine, 22)
  for (let n = 0; n < 30; n++) line.table.set(key(n), 'one')
  await line.scan()
  await line.drain()
  t.same(line.differences(), [])
})

t.test('a table that is emptied and filled again', async (t) => {
  const line = await loaded(3_000)
  const keys = [...line.table.rows.keys()]
  for (const one of keys) line.table.set(one)
  await line.scan()
  await line.drain()
  t.same(line.received.size, 0)
  for (const one of keys) line.table.set(one, 'again')
  await line.scan()
  await line.drain()
  t.same(line.differences(), [])
})

const edits = fc.array(
  fc.record({
    n: fc.oneof(fc.integer({ min: 0, max: 15 }), fc.integer({ min: 0, max: 1_500 })),
    name: fc.constantFrom('A', 'A', 'B', 'C', faulty, 'twice', null, null),
  }),
  { maxLength: 30 },
)
const action = fc.oneof(
  fc.record({ kind: fc.constant('edit' as const), edits }),
  fc.record({ kind: fc.constant('scan' as const), edits, pages: fc.constantFrom(1, 2, 9, 9, 9) }),
  fc.record({ kind: fc.constant('send' as const), edits, count: fc.integer({ min: 1, max: 50 }), lost: fc.boolean() }),
  fc.record({
    kind: fc.constant('snapshot' as const),
    edits,
    limit: fc.constantFrom(10, 300, 1_000),
    broken: fc.integer({ min: -1, max: 5 }),
    sends: fc.constantFrom(0, 20),
  }),
  fc.record({ kind: fc.constant('crash' as const), edits: fc.constant([]) }),
)

t.test('random changes, scans, sends and ends of the program', async (t) => {
  const property = fc.asyncProperty(fc.array(action, { maxLength: 25 }), async (actions) => {
    const line = new LineModel()
    for (let n = 0; n < 1_500; n++) line.table.set(key(n), 'first')
    await line.snapshot(700)
    for (const one of actions) {
      const apply = () => {
        for (const { n, name } of one.edits) line.table.set(key(n), ...(name === null ? [] : name === 'twice' ? ['D', 'E'] : [name]))
      }
      if (one.kind === 'edit') apply()
      else line.table.during.push(() => {}, apply)
      if (one.kind === 'scan') await line.scan(one.pages)
      if (one.kind === 'send') await line.send(one.count, one.lost)
      if (one.kind === 'snapshot') await line.snapshot(one.limit, one.broken, one.sends)
      if (one.kind === 'crash') line.crash()
    }
    line.table.during.length = 0
    await line.scan()
    await line.drain()
    if (line.differences().length > 0) throw new Error(`lost: ${line.differences().slice(0, 5).join(' ')}`)
    for (let i = 0; i < 2; i++) await line.scan().then(() => line.drain())
    if ((await line.scan())!.changed > 0) throw new Error('a scan at rest finds changes')
  })
  await fc.assert(property, { numRuns: 80 })
  t.pass()
})
