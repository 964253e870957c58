/**
 * Masks of a grant over the whole line, by real programs: what stands in the receiver's table is what a model leaves of the source, through
 * snapshot, changes and deletes, and after each change of the masks; a hub that sends what it should have masked is refused.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { maskKeyOf } from '../../hub/records/masks.ts'
import { joinBatch, splitBatch } from '../../protocol/batch.ts'
import { derivedBlock } from '../../protocol/derived.ts'
import type { Masks } from '../../protocol/masks.ts'
import type { ReconciliationProgress } from '../../protocol/reconciliation.ts'
import type { Item } from '../../protocol/schema.ts'
import { signingKeyFromPem } from '../../protocol/signature.ts'
import { startMiddle } from '../faults/middle.ts'
import { modelMasked } from '../model/masks.ts'
import { openClient, type Client } from '../support/client.ts'
import { runHere } from '../support/commands.ts'
import { Exchange } from '../support/exchange.ts'
import { hubStore } from '../support/hub-store.ts'
import { findMariadb } from '../support/mariadb.ts'
import { findPostgres } from '../support/postgres.ts'
import { until } from '../support/programs.ts'

const server = await findPostgres()
t.teardown(() => server.stop())
const mariadb = await findMariadb()

const openness = 'internal' as const
const items: Item[] = [
  { id: 'id', name: 'id', label: '编号', type: 'integer', key: true, openness },
  { id: 'phone', name: 'phone', label: '电话', type: 'text', length: 20, required: true, openness },
  { id: 'born', name: 'born', label: '出生日期', type: 'date', openness },
  { id: 'address', name: 'address', label: '住址', type: 'text', length: 100, openness },
  { id: 'income', name: 'income', label: '收入', type: 'decimal', precision: 12, scale: 2, openness },
  { id: 'note', name: 'note', label: '备注', type: 'text', length: 100, openness },
]
const granted = items.map(({ id }) => id)

const database = async (test: Test, engine: string): Promise<string> => {
  if (engine === 'PostgreSQL') return server.createDatabase()
  const url = await mariadb!.createDatabase()
  test.teardown(() => mariadb!.dropDatabase(url))
  return url
}

const textOf: Record<string, string> = { born: 'cast(born as char(10))', income: 'cast(income as char(20))' }

async function rowsOf(client: Client, table: string, columns: readonly string[]): Promise<Record<string, string | null>[]> {
  const listed = columns.map((column) => textOf[column] ?? column).join(', ')
  const rows = await client.query(`select ${listed} from ${table} order by id`)
  return rows.map((row) => Object.fromEntries(columns.map((column, i) => [column, row[i] === null ? null : String(row[i]).trim()])))
}

/** Where the items' values stand at the receiver. */
const suffixes = { keep: 'part', year: 'year', district: 'district', hash: 'hash', hide: 'hidden' }

function columnOf(id: string, masks: Masks): string {
  const mask = masks[id]
  return mask ? `${id}_${suffixes[mask.kind]}` : id
}

for (const engine of ['PostgreSQL', 'MariaDB']) {
  const skip = engine === 'MariaDB' && !mariadb ? 'no MariaDB server can be reached' : false
  t.test(`a grant that masks, on ${engine}`, { skip }, async (test) => {
    const urls = { store: await hubStore(server), source: await database(test, engine), target: await database(test, engine) }
    const exchange = await Exchange.start({ hub: { store: urls.store, reconciliation: { every: 0 } } })
    test.teardown(() => exchange.stop())
    const middle = await startMiddle(exchange)
    test.teardown(() => middle.close())
    const clients = await Promise.all(Object.values(urls).map(openClient))
    test.teardown(() => Promise.all(clients.map((client) => client.end())))
    const [store, source, target] = clients as [Client, Client, Client]
    const provider = await exchange.enrol('provider', {
      agency: 'civil',
      databases: { front: { url: urls.source } },
      sources: [{ resource: 'people', database: 'front', table: 'people' }],
      hub: { poll: 2 },
    })
    const receiving = { agency: 'health', databases: { front: { url: urls.target } }, sinks: [{ resource: 'people', database: 'front' }] }
    const receiver = await exchange.enrol('receiver', { ...receiving, hub: { poll: 2 } })
    receiver.configure({ ...receiving, hub: { urls: [middle.url], poll: 2 } })
    await exchange.publish({ resource: 'people', title: '人员', agency: 'civil', table: 'people', items })
    await provider.command('setup', '--create-table')
    const { grant, route } = await exchange.grant('people', receiver, granted)
    const secret = maskKeyOf(signingKeyFromPem(readFileSync(join(exchange.folder, 'hub', 'hub.key'), 'utf8')).privateKey)(grant)
    const table = engine === 'PostgreSQL' ? 'delivered.people' : 'people'

    const mask = (masks: Masks) =>
      store.query('update access_grant set masks = $2 where id = $1', [grant, JSON.stringify({ provider: masks, office: {} })])
    const expected = async (masks: Masks) => {
      const rows = await rowsOf(source, 'people', granted)
      return rows.map((row) =>
        Object.fromEntries(
          granted.map((id) => [columnOf(id, masks), masks[id] ? modelMasked(masks[id], row[id] ?? null, secret) : (row[id] ?? null)]),
        ),
      )
    }
    const arrived = (what: string, masks: Masks) =>
      until(
        what,
        async () => {
          const columns = granted.map((id) => columnOf(id, masks))
          const there = await rowsOf(target, table, columns).catch(() => undefined)
          return JSON.stringify(there) === JSON.stringify(await expected(masks))
        },
        60,
      )

    const first: Masks = { phone: { kind: 'keep', first: 3, last: 4 }, born: { kind: 'year' }, address: { kind: 'district' } }
    await mask(first)
    const values = Array.from({ length: 300 }, (_, i) => {
      const born = i % 7 === 0 ? 'null' : `'19${50 + (i % 50)}-0${1 + (i % 9)}-15'`
      return `(${i}, '138${String(10_000_000 + i * 37)}', ${born}, ${i % 5 === 0 ? 'null' : `'东莞市南城街道第${i}号'`}, ${i}.50, '备注${i}')`
    })
    await source.query(`insert into people values ${values.join(',')}`)
    provider.program.start()
    receiver.program.start()
    await arrived('the first load', first)

    const change = async (from: number) => {
      await source.query(
        `insert into people values (${from}, '13900000000', '2001-02-03', '东城区某路', null, null), (${from + 1}, 'x', null, null, 1, '')`,
      )
      await source.query(`update people set phone = '13700001111', born = null, address = '没有写明' where id = ${from - 300}`)
      await source.query(`update people set note = '只改了备注' where id = ${from - 299}`)
      await source.query(`delete from people where id = ${from - 298}`)
    }
    await change(300)
    await arrived('changes and deletes', first)

    const second: Masks = {
      phone: { kind: 'hash' },
      born: { kind: 'hide' },
      income: { kind: 'hide' },
      note: { kind: 'keep', first: 1, last: 0 },
    }
    await mask(second)
    await arrived('another mask: all is replaced', second)
    for (const column of ['phone_part', 'born_year', 'address_district', 'income', 'note'])
      test.same(
        (await target.query(`select count(${column}) from ${table}`)).map(([n]) => Number(n)),
        [0],
        `${column}: nothing is left`,
      )
    const comments =
      engine === 'PostgreSQL'
        ? `select col_description('delivered.people'::regclass, attnum) from pg_attribute where attrelid = 'delivered.people'::regclass and attname = 'phone_hash'`
        : `select column_comment from information_schema.columns where table_schema = database() and table_name = 'people' and column_name = 'phone_hash'`
    test.same(await target.query(comments), [['电话（脱敏）']], 'the column says that it is derived')
    await change(302)
    await arrived('changes under it', second)

    const runs = await runHere(['agent/main.ts', 'reconcile', 'people', '--json', '--config', provider.configFile], { failing: true })
    const [run] = JSON.parse(runs.stdout) as ReconciliationProgress[]
    test.match(run, { state: 'equal', statement: { items: ['id', 'address'], masked: ['phone', 'born', 'income', 'note'] } })

    const before = await rowsOf(target, table, ['id', 'phone_hash'])
    let lied = 0
    middle.delivery = (delivered) => {
      delivered.batches = delivered.batches.map((one) => {
        const { jws, blocks } = splitBatch(one.bytes)
        const bytes = joinBatch(
          jws,
          blocks.filter(({ item }) => item !== derivedBlock),
        )
        lied++
        return { route: one.route, bytes }
      })
    }
    await source.query(`update people set phone = '13612345678' where id = 10`)
    const fault = await until('it is refused', async () => {
      return (await receiver.report())?.sinks.find((sink) => sink.route === route)?.fault?.code
    })
    test.equal(fault, 'QZ-BATCH-DERIVED')
    test.ok(lied > 0)
    test.same(await rowsOf(target, table, ['id', 'phone_hash']), before, 'nothing of it was taken')
    middle.delivery = undefined
    await arrived('it goes on by itself', second)

    await mask({})
    await arrived('without masks', {})
    test.end()
  })
}
