/** Resource tables against a plain replay of what was sent: random histories, two followers, connections that are killed. */
import fc from 'fast-check'
import { pino } from 'pino'
import t from 'tap'
import type { Item, Schema } from '../../../protocol/schema.ts'
import { checkHealth } from '../../../hub/status/health.ts'
import { listTables } from '../../../hub/tables/records.ts'
import { openReader } from '../../../hub/tables/reader.ts'
import { readChanges } from '../../../hub/sharing/changes.ts'
import { openShare } from '../../../hub/sharing/share.ts'
import { openStore, type Store } from '../../../hub/store/store.ts'
import { ResourceTables } from '../../../hub/tables/tables.ts'
import { hubStore } from '../../support/hub-store.ts'
import { findPostgres } from '../../support/postgres.ts'
import { openBench, person, Provider, type Bench } from '../exchange/fixture.ts'

const server = await findPostgres()
t.teardown(() => server.stop())

type Row = Record<string, string | null>

const openness = 'internal' as const
const items: Item[] = [
  { id: 'region', name: 'region', label: '区划', type: 'text', length: 12, key: true, openness },
  { id: 'no', name: 'no', label: '序号', type: 'integer', key: true, openness },
  { id: 'name', name: 'name', label: '名称', type: 'text', length: 20, openness },
  { id: 'amount', name: 'amount', label: '金额', type: 'decimal', precision: 20, scale: 4, openness },
  { id: 'valid', name: 'valid', label: '有效', type: 'boolean', openness },
  { id: 'day', name: 'day', label: '日期', type: 'date', openness },
  { id: 'at', name: 'at', label: '时间', type: 'timestamp', openness },
  { id: 'moment', name: 'moment', label: '时刻', type: 'timestamptz', openness },
  { id: 'clock', name: 'clock', label: '钟点', type: 'time', openness },
  { id: 'picture', name: 'picture', label: '图', type: 'binary', openness },
  { id: 'extra', name: 'extra', label: '附加', type: 'json', openness },
  { id: 'secret', name: 'secret', label: '内部意见', type: 'text', openness: 'closed' },
]
const keyOf = (row: Row): string => JSON.stringify([row['region'], row['no']])

const text = fc.string({ unit: 'grapheme', maxLength: 8 }).filter((value) => !value.includes('\0'))
const digits = (length: number) => fc.string({ unit: fc.nat(9).map(String), minLength: length, maxLength: length })
const two = (most: number, from = 0) => fc.integer({ min: from, max: most }).map((n) => String(n).padStart(2, '0'))
const day = fc
  .tuple(fc.integer({ min: 1, max: 9999 }), two(12, 1), two(28, 1))
  .map(([y, m, d]) => `${String(y).padStart(4, '0')}-${m}-${d}`)
const fraction = fc.oneof(
  fc.constant(''),
  digits(6)
    .map((f) => f.replace(/0+$/, ''))
    .map((f) => (f ? `.${f}` : '')),
)
const clock = fc.tuple(two(23), two(59), two(59), fraction).map(([h, m, s, f]) => `${h}:${m}:${s}${f}`)
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { freq: 5 })
const values = {
  name: optional(text),
  amount: optional(fc.tuple(fc.constantFrom('', '-'), fc.integer({ min: 1, max: 2 ** 40 }), digits(4)).map(([s, n, f]) => `${s}${n}.${f}`)),
  valid: optional(fc.constantFrom('true', 'false')),
  day: optional(day),
  at: optional(fc.tuple(day, clock).map(([d, c]) => `${d}T${c}`)),
  moment: optional(fc.tuple(day, clock).map(([d, c]) => `${d}T${c}Z`)),
  clock: optional(clock),
  picture: optional(fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes).toString('base64'))),
  extra: optional(fc.json()),
  secret: optional(text),
}
const row = fc.record({
  region: fc.constantFrom('甲', '乙', 'c', 'C '),
  no: fc.constantFrom('1', '2', '-9223372036854775808', '9223372036854775807'),
  ...values,
}) as fc.Arbitrary<Row>
/** What no type allows, and what PostgreSQL would take for something else. */
const wrong: [string, string][] = [
  ['amount', 'NaN'],
  ['day', 'infinity'],
  ['at', 'now'],
  ['valid', 'yes'],
  ['name', '一'.repeat(21)],
  ['moment', '2026-01-01T00:00:00+08:00'],
  ['extra', '['.repeat(60_000) + ']'.repeat(60_000)],
  ['picture', 'no'],
]
const entry = fc.oneof(
  { weight: 8, arbitrary: row },
  { weight: 3, arbitrary: row.map(({ region, no }): Row => ({ region: region!, no: no!, $op: 'd' })) },
  { weight: 1, arbitrary: row.map(({ region, no }): Row => ({ region: region!, no: no!, $op: 'c:QZ-ROW-SIZE' })) },
  { weight: 1, arbitrary: fc.tuple(row, fc.constantFrom(...wrong)).map(([good, [item, value]]): Row => ({ ...good, [item]: value })) },
)
const rows = fc.array(entry, { minLength: 1, maxLength: 6 })
const step = fc.oneof(
  { weight: 6, arbitrary: rows.map((sent) => ({ kind: 'changes' as const, sent })) },
  { weight: 2, arbitrary: fc.array(rows, { minLength: 1, maxLength: 3 }).map((parts) => ({ kind: 'snapshot' as const, parts })) },
  { weight: 1, arbitrary: fc.constant({ kind: 'epoch' as const }) },
  { weight: 1, arbitrary: fc.constantFrom('name', 'amount', 'extra').map((item) => ({ kind: 'version' as const, item })) },
  { weight: 4, arbitrary: fc.constantFrom(0, 1).map((who) => ({ kind: 'follow' as const, who })) },
  { weight: 3, arbitrary: fc.constantFrom(1, 2, 5, 100).map((limit) => ({ kind: 'copy' as const, limit })) },
  { weight: 1, arbitrary: fc.constant({ kind: 'kill' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'rebuild' as const }) },
)

/** What receivers are to have: the rule of SPEC sections 3 and 4, and nothing else. */
class Replay {
  readonly rows = new Map<string, Row>()
  /** Everything that a key's row ever was. */
  readonly states = new Map<string, Set<string>>()
  readonly aside = new Set<string>()
  #met: Set<string> | undefined

  take(sent: readonly Row[], wrong: (row: Row) => boolean, snapshot?: { first: boolean; last: boolean }): void {
    if (snapshot?.first) this.#met = new Set()
    for (const one of new Map(sent.map((row) => [keyOf(row), row])).values()) {
      const key = keyOf(one)
      this.#met?.add(key)
      this.aside.delete(key)
      if (one['$op'] === 'd') this.rows.delete(key)
      else if (one['$op'] || wrong(one)) this.aside.add(key)
      else {
        this.rows.set(key, one)
        this.states.set(key, (this.states.get(key) ?? new Set()).add(JSON.stringify(one)))
      }
    }
    if (!snapshot?.last) return
    for (const key of [...this.rows.keys(), ...this.aside]) {
      if (this.#met!.has(key)) continue
      this.rows.delete(key)
      this.aside.delete(key)
    }
    this.#met = undefined
  }
}

/** What a program keeps by asking for changes again and again. */
class Copy {
  readonly rows = new Map<string, Row>()
  readonly #bench: Bench
  #after: string | undefined

  constructor(bench: Bench) {
    this.#bench = bench
  }

  /** One answer of so many changes. @returns true where it has all that the hub has. */
  async read(limit: number): Promise<boolean> {
    const { query } = this.#bench.store
    try {
      const share = await openShare(query, { id: 'copy', resource: 'people', items: items.map(({ id }) => id) })
      const { changes, next, complete } = await readChanges({ query, log: this.#bench.log }, share, {
        after: this.#after,
        limit,
        select: share.items,
      })
      for (const { op, values } of changes) {
        const named = op === 'upsert' ? share.items : share.keys
        const row: Row = Object.fromEntries(named.map(({ id }, i) => [id, values[i]!]))
        if (op === 'upsert') this.rows.set(keyOf(row), row)
        else this.rows.delete(keyOf(row))
      }
      if (changes.length > limit) throw new Error('more than was asked for')
      this.#after = next
      return complete
    } catch (error) {
      const code = (error as { code?: string }).code
      if (code === 'QZ-DATA-PREPARING') return false
      if (code !== 'QZ-DATA-TRIMMED') throw error
      this.rows.clear()
      this.#after = undefined
      return false
    }
  }
}

async function follower(bench: Bench, store: Store) {
  const deps = { store, log: bench.log, wakeups: bench.wakeups, hubKey: bench.hubKey }
  return new ResourceTables({ ...deps, logger: pino({ level: 'silent' }), clock: () => bench.time.now })
}

/** The rows of the live table as portable texts. */
async function tableRows(bench: Bench, schema: Schema): Promise<Row[]> {
  const [live] = await bench.store.query<{ id: string; items: string[]; rows: string }>(
    `select id, items, rows from resource_table where state = 'live' and resource = $1`,
    [schema.resource],
  )
  if (!live) return []
  const reader = openReader(bench.store.url)
  const columns = schema.items.filter(({ id }) => live.items.includes(id))
  const found = await reader.rows(columns, `select ${columns.map(({ id }) => `"${id}"`).join(', ')} from data.r${live.id}`, [])
  await reader.close()
  t.equal(Number(live.rows), found.length, 'rows are counted as they come and go')
  return found.map((row) => Object.fromEntries(columns.map(({ id }, i) => [id, row[i]!])))
}

void t.test('a resource table is what its stream says, whatever the history', async (t) => {
  let histories = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 25 }), async (steps) => {
      const url = await hubStore(server)
      const bench = await openBench(url)
      const store = await openStore(`${url}?application_name=follower`)
      try {
        await history(t, bench, store, steps)
        histories++
      } finally {
        await store.close()
        await bench.close()
      }
    }),
    { numRuns: Number(process.env['QIANZHI_TEST_RUNS'] ?? 12), endOnFailure: true },
  )
  t.pass(`${histories} histories`)
})

type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

async function history(t: Test, bench: Bench, followersStore: Store, steps: readonly Step[]): Promise<void> {
  const { store, exchange } = bench
  const agent = await bench.agent('provider', 'a')
  let schema = await bench.resource('people', 'a', { items })
  let provider = new Provider(agent, schema)
  const replay = new Replay()
  const followers = [await follower(bench, followersStore), await follower(bench, followersStore)]
  const send = async (sent: readonly Row[], snapshot?: { first: boolean; last: boolean }) => {
    const held = new Set(schema.items.map(({ id }) => id))
    const cut = sent.map((row) => Object.fromEntries(Object.entries(row).filter(([id]) => held.has(id) || id === '$op')))
    const open = cut.map((row) => without(row, 'secret'))
    await provider.send(exchange, snapshot ? provider.snapshot(open, snapshot) : provider.build(open))
    replay.take(cut, (row) => wrong.some(([id, value]) => row[id] === value), snapshot)
  }
  const snapshot = async (parts: readonly Row[][]) => {
    for (const [i, part] of parts.entries()) await send(part, { first: i === 0, last: i === parts.length - 1 })
  }
  const copy = new Copy(bench)
  await store.query(watchSql)
  await snapshot([[]])
  for (const one of steps) {
    if (one.kind === 'changes') await send(one.sent)
    else if (one.kind === 'snapshot') await snapshot(one.parts)
    else if (one.kind === 'follow') await followers[one.who]!.catchUp().catch(() => undefined)
    else if (one.kind === 'copy') await copy.read(one.limit)
    else if (one.kind === 'epoch') {
      provider.epoch++
      await snapshot([[...replay.rows.values()]])
    } else if (one.kind === 'version') {
      schema = await nextVersion(bench, schema, one.item)
      const { epoch, position } = provider
      provider = new Provider(agent, schema, epoch + 1)
      provider.position = position
      replay.states.clear()
      await snapshot([[...replay.rows.values()]])
    } else if (one.kind === 'rebuild') await store.query(`update resource_table set rebuild = true where state = 'live'`)
    else {
      const killing = store.query(killSql)
      await Promise.allSettled([followers[0]!.catchUp(), followers[1]!.catchUp(), killing])
    }
  }
  // What a kill made fail is due again.
  await Promise.all(followers.map((one) => one.catchUp()))
  await followers[0]!.catchUp()
  const found = new Map((await tableRows(bench, schema)).map((row) => [keyOf(row), row]))
  const shown = (row: Row) => {
    const known = schema.items.filter(({ id }) => id !== 'secret').map(({ id }) => [id, row[id] ?? null])
    return JSON.stringify(Object.fromEntries(known))
  }
  const differs = [...replay.rows.keys(), ...found.keys()].filter((key) => {
    const row = found.get(key)
    if (!replay.aside.has(key)) return (row && shown(row)) !== (replay.rows.has(key) ? shown(replay.rows.get(key)!) : undefined)
    return row !== undefined && ![...(replay.states.get(key) ?? [])].some((state) => shown(JSON.parse(state)) === shown(row))
  })
  if (differs.length > 0) {
    const pairs = differs.map((key) => [found.get(key), replay.rows.get(key), replay.aside.has(key)])
    throw new Error(
      `the table differs: ${JSON.stringify(pairs)}; ${JSON.stringify(await store.query('select * from resource_table_fault'))}`,
    )
  }
  for (let answers = 0; !(await copy.read(3)); answers++) if (answers > 1000) throw new Error('the copy never ends')
  const known = (row: Row | undefined) => row && shown(row)
  const apart = [...new Set([...copy.rows.keys(), ...found.keys()])].filter(
    (key) => !replay.aside.has(key) && known(copy.rows.get(key)) !== known(found.get(key)),
  )
  if (apart.length > 0) throw new Error(`the copy differs: ${JSON.stringify(apart.map((key) => [copy.rows.get(key), found.get(key)]))}`)
  const aside = await store.query<{ key: string }>(
    `select key from resource_table_aside a join resource_table t on t.id = a.resource_table where t.state = 'live'`,
  )
  if (JSON.stringify(aside.map(({ key }) => key).toSorted()) !== JSON.stringify([...replay.aside].toSorted()))
    throw new Error(`set aside: ${JSON.stringify(aside)}, not ${JSON.stringify([...replay.aside])}`)
  t.same(await store.query('select * from resource_table_fault'), [])
  t.same(await store.query('select * from went_back'), [], 'no table ever went back')
}

/** Notes each table that is set back to an earlier place. */
const watchSql = `
  create table went_back as select id, epoch, seq from resource_table;
  create function note_back() returns trigger language plpgsql as $$
    begin insert into went_back values (new.id, new.epoch, new.seq); return null; end $$;
  create trigger note_back after update on resource_table for each row when ((new.epoch, new.seq) < (old.epoch, old.seq)) execute function note_back()`

function without(row: Row, item: string): Row {
  return Object.fromEntries(Object.entries(row).filter(([id]) => id !== item))
}

type Test = Pick<typeof t, 'same'>

const killSql = `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'follower'`

/** Without the item, or with it again. */
async function nextVersion({ store }: Bench, before: Schema, item: string): Promise<Schema> {
  const has = before.items.some(({ id }) => id === item)
  const kept = items.filter(({ id }) => (id === item ? !has : before.items.some((one) => one.id === id)))
  const schema = { ...before, version: before.version + 1, items: kept }
  await store.query('insert into resource_version (resource, version, schema) values ($1, $2, $3)', [
    'people',
    schema.version,
    JSON.stringify(schema),
  ])
  await store.query('update resource set version = $2, catalog_version = $2 where code = $1', ['people', schema.version])
  return schema
}

void t.test('what its provider did not sign never gets into a table, and is told', async (t) => {
  const bench = await openBench(await hubStore(server))
  t.teardown(() => bench.close())
  const { store, log, exchange } = bench
  const agent = await bench.agent('provider', 'a')
  const other = await bench.agent('other', 'b')
  const provider = new Provider(agent, await bench.resource('people', 'a'))
  const tables = await follower(bench, store)
  await provider.send(exchange, provider.snapshot([person(1)]))
  await tables.catchUp()
  // As somebody would who can write into the hub's database: the next batch, in good form, by another agency's key.
  const forged = provider.build([person(2)], {}, other.key)
  const { epoch, seq } = forged.manifest
  const receipt = (await log.receipt('people', provider.position!))!
  await log.append({ resource: 'people', epoch, seq, hash: forged.hash, rows: 1, bytes: forged.bytes, receipt }, provider.position)
  await tables.catchUp().catch(() => undefined)
  t.match(await store.query('select resource, code from resource_table_fault'), [{ resource: 'people', code: 'QZ-BATCH-SIGNATURE' }])
  const health = () => checkHealth({ store, log, data: '/', clock: () => bench.time.now, lapse: 7, mail: false, reconciled: 0 })
  t.ok((await health()).problems.some(({ code, en }) => code === 'QZ-BATCH-SIGNATURE' && en.includes('people')))
  t.match(await listTables(store.query), [{ resource: 'people', rows: 1, place: '10/1' }])
  await store.query('delete from log_batch where seq = 2')
  await store.query('update log_stream set seq = 1, hash = $1', [provider.position!.hash])
  await provider.send(exchange, provider.build([person(3)]))
  await tables.catchUp()
  t.match(await listTables(store.query), [{ rows: 2, place: '10/2', fault: null }])
})

void t.test('a key that was set aside by one batch is not any more once the next of the same turn brought a sound row', async (t) => {
  const bench = await openBench(await hubStore(server))
  t.teardown(() => bench.close())
  const { store, exchange } = bench
  const provider = new Provider(
    await bench.agent('provider', 'a'),
    await bench.resource('people', 'a', { items: [items[0]!, items[1]!, items[2]!] }),
  )
  const tables = await follower(bench, store)
  await provider.send(exchange, provider.snapshot([{ region: 'r', no: '1', name: '甲' }]))
  await tables.catchUp()
  await provider.send(exchange, provider.build([{ region: 'r', no: '2', name: '一'.repeat(21) }]))
  await tables.catchUp()
  t.match(await listTables(store.query), [{ rows: 1, aside: 1 }])
  await provider.send(exchange, provider.build([{ region: 'r', no: '2', name: '乙' }]))
  await tables.catchUp()
  t.match(await listTables(store.query), [{ rows: 2, aside: 0 }])
  await provider.send(exchange, provider.build([{ region: 'r', no: '3', name: '一'.repeat(21) }]))
  await provider.send(exchange, provider.build([{ region: 'r', no: '3', name: '丙' }]))
  await tables.catchUp()
  t.match(await listTables(store.query), [{ rows: 3, aside: 0 }], 'both in one turn')
})

void t.test('relayed, withdrawn and secret resources leave no table', async (t) => {
  const bench = await openBench(await hubStore(server))
  t.teardown(() => bench.close())
  const { store, exchange } = bench
  const provider = new Provider(await bench.agent('provider', 'a'), await bench.resource('people', 'a'))
  const tables = await follower(bench, store)
  await provider.send(exchange, provider.snapshot([person(1)]))
  const found = async () => {
    await tables.catchUp()
    await tables.catchUp()
    const [row] = await store.query<{ tables: number }>(
      `select count(*)::int as tables from pg_class where relkind = 'r' and relnamespace = 'data'::regnamespace`,
    )
    return row!.tables
  }
  for (const [over, undo] of [
    [`keep = 'relay'`, `keep = 'store'`],
    [`state = 'withdrawn'`, `state = 'active'`],
    ['secrecy = true', 'secrecy = false'],
  ] as const) {
    t.equal(await found(), 1)
    await store.query(`update resource set ${over}`)
    t.equal(await found(), 0, over)
    await store.query(`update resource set ${undo}`)
  }
})

void t.test('an item that is closed leaves the table, also one that is being filled', async (t) => {
  const bench = await openBench(await hubStore(server))
  t.teardown(() => bench.close())
  const { store, exchange } = bench
  const provider = new Provider(await bench.agent('provider', 'a'), await bench.resource('people', 'a'))
  const tables = await follower(bench, store)
  const columns = async () => {
    await tables.catchUp()
    const rows = await store.query<{ items: string[] }>(`select items from resource_table where state = 'live'`)
    return rows.map(({ items }) => items.join())
  }
  const close = (at: number) =>
    store.query(`with closed as (update resource_version set schema = jsonb_set(schema, '{items,${at},openness}', '"closed"'))
      update resource set catalog_version = catalog_version + 1`)
  await provider.send(exchange, provider.snapshot([person(1)], { last: false }))
  t.same(await columns(), [], 'under way')
  await provider.send(exchange, provider.snapshot([person(2)], { first: false }))
  await close(2)
  t.same(await columns(), ['id,name'])
  await close(1)
  t.same(await columns(), ['id'])
})
