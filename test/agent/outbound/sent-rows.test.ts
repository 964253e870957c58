/** What the agent remembers of what it sent may only ever cause a row to be sent once more. */
import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import type { Row, SourceTable } from '../../../agent/database.ts'
import type { BatchDraft } from '../../../agent/outbound/packing.ts'
import { SentRows } from '../../../agent/outbound/sent-rows.ts'
import type { ChainPosition } from '../../../protocol/position.ts'

const openness = 'internal' as const
const items = [
  { id: 'k', name: 'k', label: 'k', type: 'text', length: 50, key: true, openness },
  { id: 'v', name: 'v', label: 'v', type: 'text', openness },
] as SourceTable['schema']['items']
const source: SourceTable = {
  resource: 'r',
  table: 'r',
  schema: { resource: 'r', version: 1, title: 'r', agency: 'a', table: 'r', items },
  columns: items.map((item) => ({ item, column: item.name })),
  capture: 'triggers',
  zeroDates: 'refuse',
  valueLimit: 1 << 20,
  queueLimit: 1 << 30,
}
const quiet = pino({ level: 'silent' })
const at = (seq: number, fork = 0): ChainPosition => ({ epoch: 1, seq, hash: (seq * 16 + fork).toString(16).padStart(64, '0') })
const draft = (part: Partial<BatchDraft>): BatchDraft => ({ rows: [], deletes: [], faults: [], entries: [], ...part })
const whole = (...rows: Row[]) => draft({ rows, snapshot: { first: true, last: true, after: null } })

function folder(t: Test): string {
  const made = mkdtempSync(join(tmpdir(), 'qianzhi-sent-'))
  t.teardown(() => rmSync(made, { recursive: true, force: true }))
  return made
}

function opened(in_: string, position: ChainPosition | null, table = source, prints = true): SentRows {
  const sent = new SentRows(in_, table, prints, quiet)
  sent.begin(position)
  return sent
}

/** What would be sent of rows and missing keys that were read now; nothing of it travels. */
function wouldSend(sent: SentRows, rows: Row[], deletes: Row[] = []): { rows: Row[]; deletes: Row[] } {
  const changed = sent.withoutUnchanged(draft({ rows, deletes }))
  sent.drop(changed)
  return { rows: changed.rows, deletes: changed.deletes }
}

t.test('rows that were sent so, and deletes of what was never sent, are not sent again', async (t) => {
  const sent = opened(folder(t), null)
  t.teardown(() => sent.close())
  t.same(wouldSend(sent, [['a', '1']], [['b']]), { rows: [['a', '1']], deletes: [['b']] }, 'nothing is known yet')
  sent.record(null, at(1), whole(['a', '1'], ['b', null]))
  const read: Row[] = [
    ['a', '1'],
    ['b', ''],
    ['c', '1'],
  ]
  t.same(wouldSend(sent, read, [['d']]), { rows: read.slice(1), deletes: [] })
  sent.record(at(1), at(2), draft({ rows: [['b', '']], deletes: [['a']] }))
  t.same(wouldSend(sent, [['b', '']], [['a'], ['b']]), { rows: [], deletes: [['b']] }, 'a delete goes once')
  sent.record(at(2), at(3), draft({ faults: [{ key: ['b'], code: 'QZ-ROW-VALUE' }] }))
  t.same(wouldSend(sent, [['b', '']], [['b']]), { rows: [['b', '']], deletes: [['b']] }, 'what could not be sent goes in any case')
  sent.record(at(3), at(4), draft({ rows: [['b', '']] }))
  sent.forget([['b']])
  t.same(wouldSend(sent, [['b', '']]).rows, [['b', '']], 'somebody asked for it')
})

t.test('a row that went back to what it was while the other state travels', async (t) => {
  const sent = opened(folder(t), null)
  t.teardown(() => sent.close())
  sent.record(null, at(1), whole(['a', 'A']))
  const flight = sent.withoutUnchanged(draft({ rows: [['a', 'B']] }))
  t.same(wouldSend(sent, [['a', 'A']]).rows, [['a', 'A']], 'the receivers are about to have B')
  sent.record(at(1), at(2), flight)
  sent.drop(flight)
  t.same(wouldSend(sent, [['a', 'A']]).rows, [['a', 'A']])
  t.same(wouldSend(sent, [['a', 'B']]).rows, [])
  const gone = sent.withoutUnchanged(draft({ deletes: [['a']] }))
  t.same(wouldSend(sent, [['a', 'B']]).rows, [['a', 'B']])
  sent.drop(gone)
})

t.test('keys that are not unique travel with all their rows', async (t) => {
  const sent = opened(folder(t), null)
  t.teardown(() => sent.close())
  sent.record(null, at(1), whole(['a', '1'], ['a', '2']))
  const both: Row[] = [
    ['a', '1'],
    ['a', '2'],
  ]
  t.same(wouldSend(sent, both).rows, both)
})

t.test('it counts for one position of one shape of the table only', async (t) => {
  const sends = (in_: string, position: ChainPosition | null, table = source) => {
    const sent = opened(in_, position, table)
    const { rows, deletes } = wouldSend(sent, [['a', '1']], [['z']])
    sent.close()
    return rows.length + deletes.length
  }
  const prepared = () => {
    const in_ = folder(t)
    const sent = opened(in_, null)
    sent.record(null, at(1), whole(['a', '1']))
    sent.close()
    return in_
  }
  t.equal(sends(prepared(), at(1)), 0, 'the position that the source database has')
  for (const other of [null, at(2), { ...at(1), epoch: 2 }, at(1, 1)]) t.equal(sends(prepared(), other), 2, JSON.stringify(other))
  t.equal(sends(prepared(), at(1), { ...source, schema: { ...source.schema, version: 2 } }), 2, 'another version')
  t.equal(sends(prepared(), at(1), { ...source, table: 'other' }), 2, 'another table')
  t.equal(sends(prepared(), at(1), { ...source, columns: source.columns.toReversed() }), 2, 'other columns')
  const broken = prepared()
  writeFileSync(join(broken, 'sent', 'r.sqlite'), 'no database')
  for (const end of ['-wal', '-shm']) rmSync(join(broken, 'sent', `r.sqlite${end}`), { force: true })
  t.equal(sends(broken, at(1)), 2, 'a file that is none')
  const stepped = opened(prepared(), at(1))
  stepped.record(at(5), at(6), draft({ rows: [['b', '1']] }))
  t.same(wouldSend(stepped, [['a', '1']]).rows, [['a', '1']], 'a step that it did not see')
  stepped.close()
})

t.test(
  'while a snapshot begins, nothing that was sent before it is held equal: its end takes from receivers what it did not hold',
  async (t) => {
    const sent = opened(folder(t), null)
    const before = whole(['a', '1'], ['d', '1'])
    sent.reread(before)
    sent.record(null, at(1), before)
    sent.drop(before)
    t.same(wouldSend(sent, [['d', '1']]).rows, [])
    const again = whole(['a', '1'])
    sent.reread(again)
    t.same(wouldSend(sent, [['d', '1']]).rows, [['d', '1']])
    sent.record(at(1), at(2), again)
    sent.drop(again)
    t.same(wouldSend(sent, [['d', '1']]).rows, [['d', '1']])
    sent.close()
  },
)

t.test('the number of rows outlives what the fingerprints do not', async (t) => {
  const in_ = folder(t)
  const sent = opened(in_, null, source, false)
  t.equal(sent.rows, undefined)
  t.ok(sent.needsCount)
  sent.record(null, at(1), draft({ rows: [['a', '1']], snapshot: { first: true, last: false, after: ['a'] } }))
  t.equal(sent.snapshotRows, 1)
  sent.close()
  const again = opened(in_, at(1), source, false)
  t.equal(again.snapshotRows, 1, 'a snapshot is counted over restarts')
  again.record(at(1), at(2), draft({ rows: [['b', '1']], snapshot: { first: false, last: true, after: ['b'] } }))
  t.equal(again.rows, 2)
  again.counted(5_000)
  t.notOk(again.needsCount)
  again.counted(10)
  t.equal(again.rows, 5_000, 'a count only raises it: the table may be loading')
  again.record(at(2), at(3), draft({ deletes: [['a'], ['b']] }))
  t.equal(again.rows, 4_998)
  again.close()
  const restored = opened(in_, at(1), source, false)
  t.equal(restored.rows, 4_998)
  restored.close()
  const moved = opened(in_, at(1), { ...source, table: 'other' }, false)
  t.equal(moved.rows, undefined)
  moved.close()
})

/**
 * A source, its queue, what the hub has, and an agent that reads, sends and crashes, as agent/outbound/stream.ts does it. The receiver must
 * be equal to the source whenever nothing is queued.
 */
class World {
  readonly folder = mkdtempSync(join(tmpdir(), 'qianzhi-sent-'))
  rows = new Map<string, string>()
  queue = new Set<string>()
  position: ChainPosition | null = null
  snapshotNeeded = true
  readonly hub: { keys: Row[]; at: ChainPosition; first: boolean }[] = []
  readonly receiver = new Map<string, string>()
  sent!: SentRows
  flight: { draft: BatchDraft; at: ChainPosition; keys: string[] } | undefined
  forks = 0
  suppressed = 0
  backup:
    | { rows: Map<string, string>; queue: Set<string>; position: ChainPosition | null; snapshotNeeded: boolean; folder?: string }
    | undefined

  constructor() {
    this.begin()
  }

  write(key: string, value: string | null): void {
    if (value === null) this.rows.delete(key)
    else this.rows.set(key, value)
    this.queue.add(key)
  }

  /** Reads what is queued, and sends it; before it the flight lands. */
  read(keys: readonly string[]): void {
    const all = keys.filter((key) => this.queue.has(key))
    const rows = all.filter((key) => this.rows.has(key)).map((key) => [key, this.rows.get(key)!] as const)
    const read = draft({ rows, deletes: all.filter((key) => !this.rows.has(key)).map((key) => [key]) })
    const changed = this.snapshotNeeded ? this.snapshot() : this.sent.withoutUnchanged(read)
    if (!changed.snapshot) this.suppressed += all.length - changed.rows.length - changed.deletes.length
    const done = this.snapshotNeeded ? [...this.queue] : all
    this.land()
    for (const key of done) this.queue.delete(key)
    if (changed.snapshot || changed.rows.length + changed.deletes.length > 0) this.launch(changed, done)
  }

  snapshot(): BatchDraft {
    const snapshot = whole(...[...this.rows].map(([key, value]) => [key, value]))
    this.sent.reread(snapshot)
    return snapshot
  }

  launch(sent: BatchDraft, keys: string[]): void {
    const seq = (this.hub.at(-1)?.at.seq ?? 0) + 1
    this.flight = { draft: sent, at: at(seq, this.forks), keys }
    this.hub.push({
      keys: [...sent.rows.map(([key]) => [key!]), ...sent.deletes],
      at: this.flight.at,
      first: sent.snapshot?.first ?? false,
    })
    if (sent.snapshot) this.receiver.clear()
    for (const [key, value] of sent.rows) this.receiver.set(key!, value!)
    for (const [key] of sent.deletes) this.receiver.delete(key!)
  }

  /** The source's transaction; then what was sent is remembered, unless it crashes between. */
  land(crash = false): void {
    if (!this.flight) return
    const { draft: sent, at: to } = this.flight
    const from = this.position
    this.flight = undefined
    this.position = to
    if (sent.snapshot) this.snapshotNeeded = false
    if (crash) return
    this.sent.record(from, to, sent)
    this.sent.drop(sent)
  }

  /** What was in flight is at the hub, and the source does not know of it: its keys are queued again when the agent begins. */
  crash(): void {
    if (this.flight) for (const key of this.flight.keys) this.queue.add(key)
    this.flight = undefined
    this.sent.close()
  }

  begin(): void {
    this.sent = opened(this.folder, this.position)
    const known = this.hub.findIndex(({ at: place }) => place.hash === this.position?.hash)
    for (const { keys, at: to, first } of this.position === null ? [] : this.hub.slice(known + 1)) {
      for (const [key] of keys) this.queue.add(key!)
      this.position = to
      // What a snapshot took from the receiver is named by no key.
      if (first) {
        this.snapshotNeeded = true
        this.sent.forgetAll()
      }
      this.sent.forget(keys, to)
    }
    if (this.position === null) this.snapshotNeeded = true
  }

  startAgain(): void {
    this.crash()
    this.begin()
  }

  /** After the source's transaction, before what was sent is remembered. */
  crashBetween(): void {
    this.land(true)
    this.startAgain()
  }

  save(alsoFolder: boolean): void {
    this.land()
    this.sent.close()
    const { rows, queue, position, snapshotNeeded } = this
    this.backup = { rows: new Map(rows), queue: new Set(queue), position, snapshotNeeded }
    if (alsoFolder) {
      this.backup.folder = mkdtempSync(join(tmpdir(), 'qianzhi-sent-'))
      cpSync(this.folder, this.backup.folder, { recursive: true })
    }
    this.begin()
  }

  restore(): void {
    if (!this.backup) return
    this.crash()
    const { rows, queue, position, snapshotNeeded, folder: saved } = this.backup
    Object.assign(this, { rows: new Map(rows), queue: new Set(queue), position, snapshotNeeded })
    if (saved) {
      rmSync(this.folder, { recursive: true })
      cpSync(saved, this.folder, { recursive: true })
    }
    this.begin()
  }

  lose(): void {
    this.crash()
    rmSync(join(this.folder, 'sent'), { recursive: true, force: true })
    this.begin()
  }

  end(): void {
    this.sent.close()
    for (const one of [this.folder, this.backup?.folder]) if (one && existsSync(one)) rmSync(one, { recursive: true })
  }
}

const keys = ['a', 'b', 'c', 'd']
const key = fc.constantFrom(...keys)
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('write' as const), key, value: fc.constantFrom('A', 'B', null) }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('read' as const), keys: fc.uniqueArray(key, { minLength: 1 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('land' as const, 'crash' as const, 'crash-between' as const, 'lose' as const) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom('save' as const, 'save-all' as const, 'restore' as const, 'snapshot' as const) }),
  },
)

t.test('no change is ever lost, whatever is written, crashes, is lost or restored', async (t) => {
  let suppressed = 0
  const run = (steps: readonly (typeof step extends fc.Arbitrary<infer S> ? S : never)[]) => {
    const world = new World()
    try {
      for (const one of steps) {
        if (one.do === 'write') world.write(one.key, one.value)
        else if (one.do === 'read') world.read(one.keys)
        else if (one.do === 'land') world.land()
        else if (one.do === 'crash') world.startAgain()
        else if (one.do === 'crash-between') world.crashBetween()
        else if (one.do === 'lose') world.lose()
        else if (one.do === 'restore') world.restore()
        else if (one.do === 'snapshot') world.snapshotNeeded = true
        else world.save(one.do === 'save-all')
      }
      world.read(keys)
      world.read(keys)
      world.land()
      suppressed += world.suppressed
      return isDeepStrictEqual(world.receiver, world.rows)
    } finally {
      world.end()
    }
  }
  fc.assert(fc.property(fc.array(step, { minLength: 20, maxLength: 40 }), run), { numRuns: 300 })
  t.ok(suppressed > 0, `${suppressed} rows and deletes were not sent again`)
})
