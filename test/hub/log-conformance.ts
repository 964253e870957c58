import { createHash, randomBytes } from 'node:crypto'
import type { ChainPosition } from '../../protocol/position.ts'
import type { Log, NewBatch } from '../../hub/log.ts'

type Test = typeof import('tap').default

/** A log engine under test. Every call opens the log anew over the same store, as another hub process would. */
export interface LogUnderTest {
  name: string
  open(): Promise<Log>
  /** Makes everything stored so far look this old. */
  age(resource: string, days: number): Promise<void>
  close(): Promise<void>
}

let resources = 0
const freshResource = () => `r${++resources}`

export function newBatch(resource: string, epoch: number, seq: number, more: Partial<NewBatch> = {}): NewBatch {
  const bytes = more.bytes ?? randomBytes(100)
  const hash = createHash('sha256').update(bytes).digest('hex')
  return { resource, epoch, seq, hash, bytes, rows: 1, receipt: `receipt ${epoch}/${seq} ${hash.slice(0, 8)}`, ...more }
}

function positionOf({ epoch, seq, hash }: ChainPosition): ChainPosition {
  return { epoch, seq, hash }
}

/** Appends batches of an epoch, which begins at the log's head. */
async function fill(log: Log, resource: string, batches: NewBatch[]): Promise<NewBatch[]> {
  let head = (await log.state(resource)).head
  for (const batch of batches) {
    await log.append(batch, head)
    head = positionOf(batch)
  }
  return batches
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

/** The contract of hub/log.ts. */
export function testLog(t: Test, start: () => Promise<LogUnderTest>): void {
  void t.test('append is compare-and-set', async (t) => {
    const engine = await start()
    t.teardown(() => engine.close())
    const log = await engine.open()
    const resource = freshResource()
    t.same(await log.state(resource), { head: null, first: null, complete: null, begun: null, snapshotBytes: 0, bytesSince: 0 })
    const [one, two, other] = [newBatch(resource, 5, 1), newBatch(resource, 5, 2), newBatch(resource, 5, 2)]
    t.same(await log.append(two, positionOf(one)), { head: null }, 'nothing follows what is not there')
    t.same(await log.append(one, null), { receipt: one.receipt })
    t.same(await log.append(other, null), { head: positionOf(one) }, 'the stream is not empty any more')
    t.same(await log.append(two, positionOf(one)), { receipt: two.receipt })
    t.same(await log.append({ ...two, receipt: 'later' }, positionOf(one)), { receipt: two.receipt }, 'a repeat gets the first receipt')
    t.same(await log.append(other, positionOf(one)), { head: positionOf(two) })
    t.same(await log.append(other, { ...positionOf(two), hash: one.hash }), { head: positionOf(two) }, 'the hash counts, too')
    t.same((await log.state(resource)).head, positionOf(two))
    t.same(
      (await log.read(resource, null, 1e6)).map(({ seq }) => seq),
      [1, 2],
    )
    t.equal(await log.receipt(resource, positionOf(one)), one.receipt)
    t.equal(await log.receipt(resource, positionOf(other)), undefined)
    t.equal(await log.has(resource, positionOf(two)), true)
    t.equal(await log.has(resource, positionOf(other)), false)
    t.same(await log.heads([resource, 'none']), new Map([[resource, positionOf(two)]]))
  })

  void t.test('of many writers in several processes one wins each place, and nothing is lost or forked', async (t) => {
    const engine = await start()
    t.teardown(() => engine.close())
    const resource = freshResource()
    const processes = await Promise.all(range(1, 3).map(() => engine.open()))
    const won: NewBatch[] = []
    const write = async (log: Log) => {
      for (let head = (await log.state(resource)).head; (head?.seq ?? 0) < 20; head = (await log.state(resource)).head) {
        const batch = newBatch(resource, 1, (head?.seq ?? 0) + 1)
        if ('receipt' in (await log.append(batch, head))) won.push(batch)
      }
    }
    await Promise.all(processes.flatMap((log) => [write(log), write(log)]))
    const stored = await processes[0]!.read(resource, null, 1e6)
    t.same(
      stored.map(({ seq }) => seq),
      range(1, won.length),
    )
    t.same(
      stored.map(({ hash }) => hash),
      won.toSorted((a, b) => a.seq - b.seq).map(({ hash }) => hash),
    )
  })

  void t.test('reads are in order, whole, and bounded in bytes', async (t) => {
    const engine = await start()
    t.teardown(() => engine.close())
    const [log, elsewhere] = [await engine.open(), await engine.open()]
    const resource = freshResource()
    const first = await fill(
      log,
      resource,
      range(1, 12).map((seq) => newBatch(resource, 1, seq, { bytes: randomBytes(1000) })),
    )
    const second = await fill(log, resource, [newBatch(resource, 2, 1, { bytes: randomBytes(300_000) }), newBatch(resource, 2, 2)])
    const all = [...first, ...second]
    for (const reader of [log, elsewhere, elsewhere]) {
      const read = await reader.read(resource, null, 1e9)
      t.same(
        read.map(({ epoch, seq, hash }) => [epoch, seq, hash]),
        all.map(({ epoch, seq, hash }) => [epoch, seq, hash]),
      )
      t.ok(
        read.every(({ bytes }, i) => bytes.equals(all[i]!.bytes)),
        'the bytes are as they came',
      )
    }
    t.same(
      (await log.read(resource, { epoch: 1, seq: 10 }, 2500)).map(({ seq }) => seq),
      [11, 12],
    )
    t.same(
      (await log.read(resource, { epoch: 1, seq: 1 }, 3000)).map(({ seq }) => seq),
      [2, 3, 4],
    )
    t.same(
      (await log.read(resource, { epoch: 1, seq: 1 }, 1)).map(({ seq }) => seq),
      [2],
      'at least one',
    )
    t.same(
      (await elsewhere.read(resource, { epoch: 1, seq: 12 }, 1)).map(({ epoch, seq }) => [epoch, seq]),
      [[2, 1]],
      'over the epoch',
    )
    t.same(await log.read(resource, second[1]!, 1e6), [])
    t.same(await log.read('none', null, 1e6), [])
  })

  void t.test('batches are listed without their bytes, in order, from a place on', async (t) => {
    const engine = await start()
    t.teardown(() => engine.close())
    const log = await engine.open()
    const resource = freshResource()
    const [one, two, three] = await fill(log, resource, [
      newBatch(resource, 1, 1, { rows: 7, snapshot: { began: 1, last: false } }),
      newBatch(resource, 1, 2, { rows: 0 }),
      newBatch(resource, 2, 1, { rows: 9, snapshot: { began: 1, last: true } }),
    ])
    const listed = (batch: NewBatch | undefined) => {
      const { epoch, seq, hash, rows, receipt, snapshot } = batch!
      return { epoch, seq, hash, rows, receipt, ...(snapshot && { snapshot }) }
    }
    t.strictSame(await log.list(resource, null, 10), [listed(one), listed(two), listed(three)])
    t.strictSame(await log.list(resource, { epoch: 1, seq: 1 }, 1), [listed(two)], 'at most so many')
    t.strictSame(await log.list(resource, { epoch: 1, seq: 2 }, 1), [listed(three)], 'over the epoch')
    t.strictSame(await log.list(resource, three!, 10), [])
    t.strictSame(await log.list('none', null, 10), [])
  })

  void t.test('a process never serves what the store does not hold', async (t) => {
    const engine = await start()
    t.teardown(() => engine.close())
    const [here, there] = [await engine.open(), await engine.open()]
    const resource = freshResource()
    const [one, two] = await fill(here, resource, [newBatch(resource, 1, 1), newBatch(resource, 1, 2)])
    await here.read(resource, null, 1e6)
    const three = newBatch(resource, 1, 3)
    await there.append(three, positionOf(two!))
    t.same(
      (await here.read(resource, one!, 1e6)).map(({ hash }) => hash),
      [two!.hash, three.hash],
      'what came elsewhere is there at once',
    )
    await there.trim(resource, { epoch: 1, seq: 3 })
    t.same(
      (await here.read(resource, null, 1e6)).map(({ seq }) => seq),
      [3],
      'what was taken away is gone at once',
    )
  })

  void t.test('state names snapshots and what came since', async (t) => {
    const engine = await start()
    t.teardown(() => engine.close())
    const log = await engine.open()
    const resource = freshResource()
    const snapshot = (seq: number, began: number, last: boolean) => newBatch(resource, 1, seq, { snapshot: { began, last } })
    await fill(log, resource, [snapshot(1, 1, false), newBatch(resource, 1, 2)])
    t.match(await log.state(resource), { first: { epoch: 1, seq: 1 }, complete: null, begun: { began: { epoch: 1, seq: 1 }, ended: null } })
    await fill(log, resource, [snapshot(3, 1, true), newBatch(resource, 1, 4), newBatch(resource, 1, 5)])
    const whole = { began: { epoch: 1, seq: 1 }, ended: { epoch: 1, seq: 3 } }
    t.match(await log.state(resource), { complete: whole, begun: whole, snapshotBytes: 300, bytesSince: 200 })
    await fill(log, resource, [snapshot(6, 6, false)])
    t.match(await log.state(resource), { complete: whole, begun: { began: { epoch: 1, seq: 6 }, ended: null }, bytesSince: 300 })
    await fill(log, resource, [snapshot(7, 6, true)])
    const later = { began: { epoch: 1, seq: 6 }, ended: { epoch: 1, seq: 7 } }
    t.match(await log.state(resource), { complete: later, begun: later, snapshotBytes: 200, bytesSince: 0 })
    await fill(log, resource, [newBatch(resource, 2, 1, { snapshot: { began: 1, last: true } })])
    t.match(await log.state(resource), { complete: { began: { epoch: 2, seq: 1 }, ended: { epoch: 2, seq: 1 } } }, 'in one batch')
  })

  void t.test('trim forgets what is before a place and old enough, never the head', async (t) => {
    const engine = await start()
    t.teardown(() => engine.close())
    const log = await engine.open()
    const resource = freshResource()
    const batches = await fill(
      log,
      resource,
      range(1, 6).map((seq) => newBatch(resource, 3, seq)),
    )
    t.equal(await log.trim(resource, { epoch: 3, seq: 3 }, new Date(Date.now() - 86_400_000)), 0, 'too young')
    await engine.age(resource, 2)
    t.equal(await log.trim(resource, { epoch: 3, seq: 3 }, new Date(Date.now() - 86_400_000)), 2)
    t.same((await log.state(resource)).first, { epoch: 3, seq: 3 })
    t.equal(await log.has(resource, positionOf(batches[1]!)), false)
    t.equal(await log.trim(resource, { epoch: 3, seq: 7 }), 4)
    const head = positionOf(batches[5]!)
    t.match(await log.state(resource), { head, first: null })
    t.equal(await log.has(resource, head), true, 'the head is still known')
    t.same(await log.append({ ...batches[5]!, receipt: 'later' }, batches[4]!), { receipt: batches[5]!.receipt }, 'and its receipt')
    t.same(await log.append(newBatch(resource, 3, 7, { receipt: 'seven' }), head), { receipt: 'seven' }, 'and goes on')
  })
}
