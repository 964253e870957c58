/** An agent's part in a reconciliation: what it reads, when, and what it signs. Its databases are real. */
import pino from 'pino'
import t, { type Test } from 'tap'
import { openPostgres } from '../../../agent/databases/postgres/engine.ts'
import type { Database, Rows } from '../../../agent/database.ts'
import { DrainWaitersByResource } from '../../../agent/outbound/drain-waiters.ts'
import { isWithin } from '../../../agent/config/hours.ts'
import { Reconciler } from '../../../agent/reconciliation/reconciler.ts'
import { staleKeys } from '../../../agent/reconciliation/reading.ts'
import type { ReconciledTable } from '../../../agent/reconciliation/table.ts'
import { positionNumber } from '../../../protocol/position.ts'
import { QianzhiError } from '../../../protocol/errors.ts'
import { setFault, StatusBoard } from '../../../agent/status/board.ts'
import { RowHasher } from '../../../protocol/digest.ts'
import type { Policy } from '../../../protocol/policy.ts'
import {
  openReconciliation,
  outcomeOf,
  stepAnswer,
  type ReconcileQuestion,
  type ReconciliationStatement,
  type Step,
  type StepName,
} from '../../../protocol/reconciliation.ts'
import type { Item, Schema } from '../../../protocol/schema.ts'
import { generateSigningKey } from '../../../protocol/signature.ts'
import { schemaOf, sourceOf } from '../databases/conformance/fixture.ts'
import { openClient } from '../../support/client.ts'
import { findPostgres } from '../../support/postgres.ts'
import { until } from '../../support/programs.ts'

const server = await findPostgres()
t.teardown(() => server.stop())

const item = (id: string, more: Partial<Item> = {}): Item => ({
  id,
  name: id,
  label: id,
  type: 'text',
  length: 50,
  openness: 'internal',
  ...more,
})
const schema: Schema = {
  resource: 'people',
  version: 1,
  title: '人员',
  agency: 'civil',
  table: 'people',
  items: [
    item('id', { key: true, length: 20 }),
    item('name'),
    item('salary', { type: 'decimal', precision: 10, scale: 2, length: undefined as never }),
    item('opinion', { openness: 'closed' }),
  ],
}
const position = { epoch: 1, seq: 1, hash: 'a'.repeat(64) }
const salt = '0'.repeat(32)

/** What the database's own answers are altered to on their way to the reconciliation. */
type Alter = (read: Rows) => Rows
interface Altered {
  pages?: Alter
  keys?: Alter
}

async function open(
  test: Test,
  reconcile: { window?: string; pace?: number } = {},
  { rows = 25_000, ...alter }: Altered & { rows?: number } = {},
) {
  const url = await server.createDatabase()
  const client = await openClient(url)
  test.teardown(() => client.end())
  await client.query('create table people (id varchar(20) primary key, name varchar(50), salary numeric, opinion text)')
  await client.query(`insert into people select 'p' || n, 'name ' || n, n / 100.0, 'geheim' from generate_series(1, ${rows}) n`)
  const database = await openPostgres({ name: 'front', url, pace: 50 })
  alterReadings(database, alter)
  const databases = new Map<string, Database>([['front', database]])
  const board = new StatusBoard('1', 'session')
  Object.assign(board.source('people', 'front'), { state: 'flowing', position })
  let policy: Policy | undefined = {
    v: 1,
    agent: 'a',
    agency: 'civil',
    serial: 1,
    issued: '',
    expires: '',
    supply: [{ schema, items: ['id', 'name', 'salary'], keep: 'store' }],
    receive: [],
  }
  const key = generateSigningKey()
  const config = {
    sources: [{ resource: 'people', database: 'front', table: 'people', capture: 'compare' as const }],
    sinks: [],
    databases: { front: { url } },
    timezone: 'Asia/Shanghai',
    reconcile,
  }
  const drainWaiters = new DrainWaitersByResource()
  const now = new Date('2026-11-24T18:00:00Z')
  const reconciling = new Reconciler({
    config,
    databases,
    policy: () => policy,
    board,
    drainWaiters,
    key,
    now: () => now,
    logger: pino({ level: 'silent' }),
    removeRows: async () => 0,
    signed: () => {},
  })
  test.teardown(() => reconciling.stop())
  const ask = async <N extends StepName>(name: N, step: Step & { do: N }, more: Partial<ReconcileQuestion> = {}) =>
    stepAnswer(
      name,
      await reconciling.answer({
        kind: 'reconcile',
        run: '7',
        route: 'r',
        resource: 'people',
        side: 'source',
        schema: 1,
        items: ['id', 'name'],
        salt,
        step,
        ...more,
      }),
    )
  return {
    client: Object.assign(client, { url }),
    board,
    drainWaiters,
    ask,
    key,
    reconciling,
    revoke: () => (policy = { ...policy!, supply: [] }),
  }
}

function alterReadings(database: Database, { pages = (read) => read, keys = (read) => read }: Altered): void {
  const openReading = database.openReading.bind(database)
  database.openReading = async () => {
    const reading = await openReading()
    const [rowsAfter, rowsByKeys] = [reading.rowsAfter.bind(reading), reading.rowsByKeys.bind(reading)]
    reading.rowsAfter = async (...asked) => {
      const { last, ...read } = await rowsAfter(...asked)
      return { ...pages(read), last }
    }
    reading.rowsByKeys = async (...asked) => {
      const { missing, ...read } = await rowsByKeys(...asked)
      return { ...keys(read), missing }
    }
    return reading
  }
}

async function digested({ ask }: Awaited<ReturnType<typeof open>>) {
  for (;;) {
    const answer = await ask('digest', { do: 'digest' })
    if (answer.done) return answer
  }
}

t.test('only granted items are hashed; closed ones and others change nothing', async (t) => {
  const one = await open(t)
  const first = await digested(one)
  t.equal(first.rows, 25_000)
  await one.client.query(`update people set opinion = 'other', salary = 0`)
  const again = await one.ask('digest', { do: 'digest' }, { run: '8' })
  t.match(again, { done: true, digest: first.digest })
  await one.client.query(`update people set name = 'x' where id = 'p77'`)
  t.not(((await one.ask('digest', { do: 'digest' }, { run: '9' })) as typeof first).digest, first.digest)
  await t.rejects(one.ask('digest', { do: 'digest' }, { run: '10', items: ['id', 'name', 'opinion'] }), { code: 'QZ-RECONCILE-NOT-NOW' })
  await t.rejects(one.ask('digest', { do: 'digest' }, { run: '10', schema: 2 }), { code: 'QZ-RECONCILE-NOT-NOW' })
  await t.rejects(one.ask('digest', { do: 'digest' }, { run: '10', side: 'target' }), { code: 'QZ-ROUTE-ENDED' })
})

t.test('a reading that the database does not confirm is named: rows passed over, values cut, a key twice', async (t) => {
  t.notOk('doubt' in (await digested(await open(t, {}, { rows: 900 }))), 'a right one')
  const skipping = await open(t, {}, { rows: 900, pages: ({ rows, faults }) => ({ rows: rows.filter(([id]) => id !== 'p77'), faults }) })
  t.match(await digested(skipping), { rows: 899, doubt: 'rows' })

  const cut: Alter = ({ rows, faults }) => ({ rows: rows.map(([id, name, ...more]) => [id!, name?.slice(0, 6) ?? null, ...more]), faults })
  t.match(
    await digested(await open(t, {}, { rows: 900, pages: cut, keys: cut })),
    { rows: 900, doubt: 'values' },
    'read alike wherever it is read',
  )

  const twice = await open(t, {}, { rows: 900 })
  await twice.client.query('create table child () inherits (people)')
  await twice.client.query(`insert into child values ('p5', 'another', 0, '')`)
  t.match(await digested(twice), { rows: 899, doubt: 'keys' }, 'set aside, and never equal')
})

t.test('values that the receiver’s mapping does not keep are hashed as it leaves them, in sums and when looked at again', async (t) => {
  const one = await open(t, {}, { rows: 900 })
  const narrowed = [{ item: 'name', trim: true, values: ['name 7'] }]
  await one.client.query(`update people set name = ' name 7 ' where id = 'p7'`)
  const asked = await one.ask('digest', { do: 'digest' }, { narrowed })
  await one.ask('collect', { do: 'collect', bits: 0, buckets: [0] }, { narrowed })
  const looked = await drained(one, one.ask('recheck', { do: 'recheck', round: 1, keys: [['p7'], ['p8']] }, { narrowed }))
  await one.client.query(`update people set name = case when id = 'p7' then 'name 7' end`)
  const left = await one.ask('digest', { do: 'digest' }, { run: '8' })
  t.equal(asked.done && asked.digest, left.done && left.digest)
  await one.ask('collect', { do: 'collect', bits: 0, buckets: [0] }, { run: '8' })
  const again = await drained(one, one.ask('recheck', { do: 'recheck', round: 1, keys: [['p7'], ['p8']] }, { run: '8' }))
  t.same(looked.done && looked.hashes, again.done && again.hashes)
  t.same(await one.ask('narrowing', { do: 'narrowing' }), { narrowed: [] }, 'a source keeps all')
})

t.test('who writes meanwhile raises no doubt, nor keeps a wrong reading from being found', async (t) => {
  for (const skips of [false, true]) {
    let [written, n] = [Promise.resolve<unknown>(undefined), 0]
    const one = await open(
      t,
      {},
      {
        rows: 900,
        pages: ({ rows, faults }) => {
          n++
          const changes = `insert into people values ('new ${n}', '', 0, ''); delete from people where id in ('p1${n}', 'p2${n}')`
          written = written.then(() => one.client.query(`${changes}; update people set name = 'm' || name where id like 'p%5'`))
          return { rows: skips ? rows.filter(([id]) => id !== 'p77') : rows, faults }
        },
      },
    )
    const { doubt } = await digested(one)
    await written
    t.equal(doubt, skips ? 'rows' : undefined)
  }
})

t.test('nothing is signed that this side has not measured, or that does not follow', async (t) => {
  const one = await open(t)
  const { done: _done, position: _position, ...measured } = await digested(one)
  const counts = { differing: 0, more: false, settled: 0, moving: 0, quarantined: 0, repaired: 0, remaining: 0 }
  const statement: ReconciliationStatement = {
    run: '7',
    route: 'r',
    resource: 'people',
    schema: 1,
    items: ['id', 'name'],
    salt,
    position,
    time: '2026-11-24T18:00:00.000Z',
    source: measured,
    target: measured,
    ...counts,
    outcome: outcomeOf({ ...counts, source: measured, target: measured }),
  }
  const other = { ...measured, digest: 'f'.repeat(32) }
  const wrong: [string, Partial<ReconciliationStatement>][] = [
    ['rows', { source: { ...measured, rows: measured.rows - 1 } }],
    ['digest', { source: other }],
    ['time', { source: { ...measured, from: '2026-11-23T00:00:00.000Z' } }],
    ['items', { items: ['id'] }],
    ['route', { route: 'other' }],
    ['salt', { salt: '1'.repeat(32) }],
    ['a doubt left out', { target: { ...measured, doubt: 'rows' } }],
    ['an outcome that does not follow', { target: other, differing: 1, remaining: 1, outcome: 'equal' }],
    ['other rows called equal', { target: other }],
    ['fewer rows called equal', { target: { ...measured, rows: measured.rows - 1 } }],
    ['counts that do not add up', { target: other, differing: 3, settled: 1 }],
    ['differences between equal tables', { differing: 1, settled: 1 }],
  ]
  for (const [what, change] of wrong) {
    await t.rejects(one.ask('sign', { do: 'sign', statement: { ...statement, ...change } }), { code: 'QZ-RECONCILE-NUMBERS' }, what)
  }
  const { signature } = await one.ask('sign', { do: 'sign', statement })
  t.same(openReconciliation(signature, one.key.publicKey), statement)
  await t.rejects(one.ask('sign', { do: 'sign', statement }), { code: 'QZ-RECONCILE-LOST' }, 'the run is over')
})

t.test('a step without the one before, a loading source, an ended grant', async (t) => {
  const one = await open(t)
  await t.rejects(one.ask('buckets', { do: 'buckets', bits: 0, from: 0 }), { code: 'QZ-RECONCILE-LOST' })
  Object.assign(one.board.source('people', 'front'), { state: 'loading' })
  await t.rejects(one.ask('digest', { do: 'digest' }), { code: 'QZ-RECONCILE-NOT-NOW' })
  Object.assign(one.board.source('people', 'front'), { state: 'flowing' })
  const later = await one.ask('digest', { do: 'digest' }, { salt: '1'.repeat(32) })
  t.match(later, { done: true, rows: 25_000 }, 'a run that was put off is begun anew with another salt')
  await t.rejects(one.ask('buckets', { do: 'buckets', bits: 0, from: 0 }), { code: 'QZ-RECONCILE-LOST' }, 'the former one is over')
  const reading = one.ask('digest', { do: 'digest' })
  one.revoke()
  await t.rejects(reading, { code: 'QZ-SUPPLY-NOT-ALLOWED' }, 'between two pages')
})

t.test('collected rows, their keys, and the way until what is queued has passed', async (t) => {
  const one = await open(t)
  await digested(one)
  const { buckets } = await one.ask('buckets', { do: 'buckets', bits: 7, from: 0 })
  const bytes = Buffer.from(buckets, 'base64')
  t.equal(bytes.length, 128 * 20)
  const collected = await one.ask('collect', { do: 'collect', bits: 7, buckets: [3, 5] })
  t.match(collected, { done: true, entries: bytes.readUInt32BE(60) + bytes.readUInt32BE(100) })
  const entries = Buffer.from((await one.ask('entries', { do: 'entries', from: 0 })).entries, 'base64')
  const hash = entries.toString('base64url', 0, 16)
  const { keys } = await one.ask('keys', { do: 'keys', hashes: [hash, 'A'.repeat(22)] })
  t.equal(keys.length, 1, 'what is not among them has no key')
  const recheck = one.ask('recheck', { do: 'recheck', round: 1, keys: [...keys, ['nobody']] })
  const waiters = one.drainWaiters.of('people')
  let answered = false
  void recheck.then(() => (answered = true))
  await until('what was queued has passed', () => {
    waiters.sawEnd(new Set())
    waiters.stored([], position)
    return answered
  })
  const found = await recheck
  t.match(found, { done: true, position, faults: [null, null] })
  t.same(found.done && found.hashes, [entries.toString('base64url', 16, 32), null])
})

/** Steps whose answers wait until what was queued has passed. */
async function drained<T>({ drainWaiters }: Awaited<ReturnType<typeof open>>, step: Promise<T>): Promise<T> {
  const waiters = drainWaiters.of('people')
  let answered = false
  void step.then(() => (answered = true))
  await until('what was queued has passed', () => {
    waiters.takeResends()
    waiters.sawEnd(new Set())
    waiters.stored([], position)
    return answered
  })
  return step
}

t.test('the total is of what was read, the keys that were followed as they were read last', async (t) => {
  const one = await open(t)
  await digested(one)
  const keys = ['p7', 'p8', 'p9', 'new', 'nobody'].map((id) => [id])
  const hasher = new RowHasher([{ id: 'id', type: 'text', key: true }], salt)
  const buckets = [...new Set(keys.map((key) => hasher.bucket(hasher.keyText(key)) >> 9))]
  await one.ask('collect', { do: 'collect', bits: 7, buckets })
  await one.client.query(`delete from people where id = 'p7'`)
  await one.client.query(`update people set name = 'changed' where id in ('p8', 'p9')`)
  await one.client.query(`insert into people values ('new', 'x', 0, '')`)
  await drained(one, one.ask('recheck', { do: 'recheck', round: 1, keys }))
  const now = await one.ask('digest', { do: 'digest' }, { run: '8' })
  t.match(await one.ask('total', { do: 'total', without: [] }), now.done && { rows: now.rows, digest: now.digest })
  await one.client.query(`delete from people where id = 'p9'`)
  const without = await one.ask('digest', { do: 'digest' }, { run: '10' })
  t.match(await one.ask('total', { do: 'total', without: [['p9']] }), without.done && { rows: without.rows, digest: without.digest })
})

t.test('of keys that somebody names only those with rows are sent again; at the others the source says that it has none', async (t) => {
  const one = await open(t)
  await digested(one)
  const resent: unknown[] = []
  const waiters = one.drainWaiters.of('people')
  const resend = waiters.resend.bind(waiters)
  waiters.resend = (keys) => {
    resent.push(...keys)
    resend(keys)
  }
  const repaired = await drained(one, one.ask('repair', { do: 'repair', keys: [['p1'], ['nobody'], ['p2']] }))
  t.match(repaired, { done: true, absent: [['nobody']] })
  t.same(resent, [['p1'], ['p2']])
  await t.rejects(
    one.ask('remove', { do: 'remove', keys: [['p1']], before: position }),
    { code: 'QZ-REQUEST-INVALID' },
    'a source removes nothing',
  )
})

t.test('a repair whose source is held meanwhile ends with the fault', async (t) => {
  const one = await open(t)
  await digested(one)
  const repair = one.ask('repair', { do: 'repair', keys: [['p1']] })
  const held = t.rejects(repair, { code: 'QZ-RECONCILE-NOT-NOW', message: /QZ-SOURCE-LOCKED/ })
  setFault(one.board.source('people', 'front'), new QianzhiError('QZ-SOURCE-LOCKED', { table: 'people', reason: 'x' }), new Date())
  await held
})

t.test('a receiver removes only rows that came no later than the source’s word', async (t) => {
  const { client } = await open(t)
  const database = await openPostgres({ name: 'front', url: client.url, pace: 50 })
  t.teardown(() => database.close())
  await client.query('create table got (id varchar(20) primary key, qz_position bigint)')
  const at = (seq: number) => positionNumber({ epoch: 3, seq })
  await client.query(`insert into got values ('old', ${at(7)}), ('same', ${at(8)}), ('later', ${at(9)}), ('hand', null)`)
  const whole = sourceOf(schemaOf([{ id: 'id', type: 'text', length: 20, key: true }]), { table: 'got', capture: 'compare' })
  const table: ReconciledTable = { side: 'target', database: 'front', table: whole, items: [], whole, places: [0] }
  const reading = await database.openReading()
  t.teardown(() => reading.close())
  const keys = ['old', 'same', 'later', 'hand', 'nobody'].map((id) => [id])
  const [before, applied] = [
    { epoch: 3, seq: 8 },
    { epoch: 3, seq: 12 },
  ]
  const stale = async (positions: boolean, upTo = applied) => {
    const found = await staleKeys(reading, table, keys, { before, applied: upTo, positions })
    return new Set(found.map(([id]) => id))
  }
  t.same(await stale(true), new Set(['hand', 'old', 'same']))
  t.same(await stale(false), new Set(), 'without positions nothing, if anything came since')
  t.same(await stale(false, before), new Set(['hand', 'later', 'old', 'same']))
})

t.test('the window is the city’s, also over midnight; the pace is kept', async (t) => {
  const at = (time: string) => new Date(`2026-11-24T${time}:00+08:00`)
  for (const [window, time, inside] of [
    ['22:00-06:00', '23:59', true],
    ['22:00-06:00', '00:00', true],
    ['22:00-06:00', '06:00', false],
    ['22:00-06:00', '21:59', false],
    ['01:00-05:00', '01:00', true],
    ['01:00-05:00', '05:00', false],
  ] as const)
    t.equal(isWithin(window, at(time), 'Asia/Shanghai'), inside, `${window} ${time}`)
  const closed = await open(t, { window: '03:00-04:00' })
  await t.rejects(closed.ask('digest', { do: 'digest' }), { code: 'QZ-RECONCILE-NOT-NOW' })
  const slow = await open(t, { window: '01:00-04:00', pace: 20_000 })
  const began = performance.now()
  t.match(await slow.ask('digest', { do: 'digest' }), { done: true, rows: 25_000 })
  t.ok(performance.now() - began >= 1_000, 'more than a second for 25,000 rows')
})

t.test('a waiter is told only when everything that was queued before is stored, and no snapshot is due', async (t) => {
  const waiters = new DrainWaitersByResource().of('x')
  const ending = new AbortController()
  let passed: unknown
  void waiters.drained(ending.signal).then((at) => (passed = at))
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  waiters.stored(['before'], position)
  await turn()
  t.equal(passed, undefined, 'the queue was not looked at to its end')
  waiters.sawEnd(new Set(['a', 'b']))
  waiters.stored(['a'], position)
  await turn()
  t.equal(passed, undefined)
  waiters.forgot()
  waiters.stored(['b'], position)
  await turn()
  t.equal(passed, undefined, 'what was thrown away is taken again')
  waiters.sawEnd(new Set(['b']))
  waiters.stored(['b'], null)
  await turn()
  t.equal(passed, undefined, 'a snapshot is on its way')
  waiters.stored([], position)
  await turn()
  t.same(passed, position)
  waiters.resend([['k']])
  const later = waiters.drained(ending.signal)
  waiters.sawEnd(new Set())
  t.same(waiters.takeResends(), [['k']])
  ending.abort(new Error('stopped'))
  await t.rejects(later, { message: 'stopped' }, 'keys that are to be sent again are not yet queued')
})
