/** What comes in by form, Excel, folder, MariaDB or PostgreSQL goes out by exchange, query, API and as open data: every value as it was. */
import { mkdirSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { Agent, request } from 'undici'
import type { Item } from '../../protocol/schema.ts'
import { openClient, type Client } from '../support/client.ts'
import { Exchange } from '../support/exchange.ts'
import { hubStore } from '../support/hub-store.ts'
import { findMariadb } from '../support/mariadb.ts'
import { findPostgres } from '../support/postgres.ts'
import { until } from '../support/programs.ts'
import { City } from '../support/registry.ts'
import { workbook } from '../support/workbook.ts'

type Row = (string | null)[]

const item = (id: string, more: Pick<Item, 'type'> & Partial<Item>): Item => ({ id, name: id, label: id, openness: 'public', ...more })
const items = [
  item('k', { type: 'text', length: 18, key: true }),
  item('n', { type: 'integer' }),
  item('d', { type: 'decimal', precision: 20, scale: 17 }),
  item('name', { type: 'text', length: 200 }),
  item('ok', { type: 'boolean' }),
  item('day', { type: 'date' }),
  item('at', { type: 'timestamp' }),
  item('moment', { type: 'timestamptz' }),
]
const ids = items.map(({ id }) => id)

/** 0.1 + 0.2 as it is counted in binary; the hour that Berlin skips, the one it has twice, the first days of summer time in Shanghai. */
const rows: Row[] = [
  [
    '441900199001011234',
    '9223372036854775807',
    '0.30000000000000004',
    ' 尾随 ',
    'true',
    '1986-05-04',
    '1986-05-04T00:30:00',
    '1986-05-03T16:30:00Z',
  ],
  [
    '44190019900101123X',
    '-9223372036854775808',
    '-0.30000000000000004',
    '𠮷野家🍜',
    'false',
    '9999-12-31',
    '2026-03-29T02:30:00',
    '2026-10-25T00:30:00.123456Z',
  ],
  ['000123', '9007199254740993', '1', '=1+1', null, '1000-01-01', '9999-12-31T23:59:59.999999', '2026-10-25T01:30:00Z'],
  ['00123', '0', null, '', null, null, null, null],
  ['123', null, '100.5', null, 'true', '2024-02-29', '2026-11-22T08:30:00.5', null],
  ['Ab', '-1', '0', "\\N'; drop table x; --", null, null, null, null],
  ['aB', '1', '0.00000000000000001', '前\n后\t"“', null, null, null, null],
]

/** Of two texts of one value one: what engines pad. Knows nothing of the product's canonical forms. */
function plain(row: Row): Row {
  return row.map((value, i) => {
    const { type } = items[i]!
    if (value === null || !['decimal', 'timestamp', 'timestamptz'].includes(type)) return value
    return value.replace(/(\.\d*?)0+(Z?)$/, '$1$2').replace(/\.(Z?)$/, '$1')
  })
}

const byKey = (all: readonly Row[]): Row[] => all.map(plain).toSorted(([a], [b]) => (a! < b! ? -1 : 1))

interface Way {
  code: string
  /** `resource publish` is told more. */
  words?: string[]
  source?: object
  put: () => Promise<void>
  /** What the way itself cannot say. */
  expected?: (row: Row) => Row
}

t.test('five ways in, four ways out', async (t) => {
  const postgres = await findPostgres()
  const mariadb = await findMariadb()
  const [storeUrl, sourceUrl, targetUrl] = [
    await hubStore(postgres),
    await postgres.createDatabase('source'),
    await postgres.createDatabase('target'),
  ]
  const mariaUrl = await mariadb?.createDatabase()
  const exchange = await Exchange.start({ hub: { store: storeUrl } })
  const clients: Client[] = []
  const client = async (url: string) => {
    const opened = await openClient(url)
    clients.push(opened)
    return opened
  }
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false }, keepAliveTimeout: 1 })
  t.teardown(async () => {
    await Promise.all([dispatcher.close(), ...clients.map((one) => one.end())])
    await exchange.stop()
    if (mariaUrl) await mariadb!.dropDatabase(mariaUrl)
    await postgres.stop()
  })
  const insert = async (url: string, table: string) => {
    const database = await client(url)
    const mysql = database.engine === 'mysql'
    if (mysql) await database.query(`set time_zone = '+00:00'`)
    for (const row of rows) {
      const values = row.map((value, i) => {
        if (value === null) return null
        if (items[i]!.type === 'boolean' && mysql) return value === 'true' ? '1' : '0'
        return mysql && /^\d{4}-.*T/.test(value) ? value.replace('T', ' ').replace('Z', '') : value
      })
      await database.query(`insert into ${table} values (${values.map((_, i) => (mysql ? '?' : `$${i + 1}`)).join(', ')})`, values)
    }
  }
  const folder = join(exchange.folder, 'provider', 'drop')
  mkdirSync(folder, { recursive: true })
  const ways: Way[] = [
    {
      code: 'by-form',
      words: ['--supply', 'form'],
      put: async () => {
        for (const row of rows)
          await registrar.post('/resources/by-form/rows', { values: Object.fromEntries(row.map((value, i) => [ids[i]!, value])) })
      },
    },
    {
      code: 'by-excel',
      words: ['--supply', 'excel'],
      // An empty cell has no value.
      expected: (row) => row.map((value) => (value === '' ? null : value)),
      put: async () => {
        const book = workbook([ids, ...rows])
        const job = async (id: string) =>
          until('the job has ended', async () => {
            const found = await registrar.get(`/jobs/${id}`)
            return !['queued', 'running'].includes(found['state']) && found
          })
        const checked = await job(
          (
            await registrar.upload(
              '/resources/by-excel/excel/check',
              'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
              book,
            )
          )['id'],
        )
        t.match(checked, { state: 'done', result: { rows: rows.length, rejects: 0 } }, JSON.stringify(checked))
        const taken = await job((await registrar.post('/resources/by-excel/excel/import', { check: checked['id'], mode: 'upsert' }))['id'])
        t.match(taken, { state: 'done' }, JSON.stringify(taken))
      },
    },
    {
      code: 'by-folder',
      source: { folder: 'drop', whole: true, files: '*.jsonl' },
      put: async () => {
        const lines = rows.map((row) => JSON.stringify(Object.fromEntries(row.map((value, i) => [ids[i]!, value]))))
        await writeFile(join(folder, 'rows.tmp'), lines.join('\n'))
        await rename(join(folder, 'rows.tmp'), join(folder, 'rows.jsonl'))
      },
    },
    { code: 'by-postgres', source: { database: 'front', table: 'by_postgres' }, put: () => insert(sourceUrl, 'by_postgres') },
    ...(mariaUrl
      ? [{ code: 'by-mariadb', source: { database: 'maria', table: 'by_mariadb' }, put: () => insert(mariaUrl, 'by_mariadb') }]
      : []),
  ]
  const provider = await exchange.enrol('provider', {
    agency: 'provider',
    databases: { front: { url: sourceUrl }, ...(mariaUrl && { maria: { url: mariaUrl } }) },
    folders: { drop: { path: 'drop', stable: 0.3, look: 1 } },
    sources: ways.flatMap(({ code, source }) => (source ? [{ resource: code, ...source }] : [])),
  })
  const receiver = await exchange.enrol('receiver', {
    agency: 'receiver',
    databases: { front: { url: targetUrl } },
    sinks: ways.map(({ code }) => ({ resource: code, database: 'front' })),
  })
  const store = await client(storeUrl)
  for (const { code, words = [] } of ways) {
    await exchange.publish({ resource: code, title: code, agency: 'provider', table: code.replace('-', '_'), items }, ...words)
    await exchange.grant(code, receiver, ids)
    for (const mode of ['query', 'api'])
      await store.query(
        `insert into access_grant (id, resource, agency, items, mode, basis) values ($1, $2, 'receiver', $3, $4, nextval('decision'))`,
        [`${code}-${mode}`, code, ids, mode],
      )
  }
  for (const { code, source } of ways) if (source) await provider.command('setup', code, '--create-table')
  provider.program.start()
  receiver.program.start()
  const { link } = await exchange.office('first-admin')
  const city = await City.found(exchange.url, String(link))
  const registrar = await city.person('provider', 'registrar', '登记员', 'registrar')
  const reviewer = await city.person('provider', 'reviewer', '审核员', 'reviewer')
  const office = await city.person('city', 'office', '办公室', 'office')
  const user = await city.person('receiver', 'user', '使用员', 'user', 'agency-it')
  for (const { put } of ways) await put()

  const target = await client(targetUrl)
  const columns = items.map(({ id, type }) => {
    if (type === 'timestamp') return `to_char(${id}, 'YYYY-MM-DD"T"HH24:MI:SS.US')`
    if (type === 'timestamptz') return `to_char(${id} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
    return type === 'boolean' ? `${id}::text` : type === 'date' ? `to_char(${id}, 'YYYY-MM-DD')` : id
  })
  const load = async (path: string, headers: Record<string, string> = {}) => {
    const answer = await request(`${exchange.url}${path}`, { headers, dispatcher })
    const body = await answer.body.text()
    if (answer.statusCode !== 200) throw new Error(`${path}: ${answer.statusCode} ${body}`)
    return JSON.parse(body) as Record<string, any>
  }
  const token = async (code: string) => {
    const { id, secret } = await user.post(`/grants/${code}-api/credentials`, { name: code })
    const authorization = `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`
    const headers = { 'content-type': 'application/x-www-form-urlencoded', authorization }
    const answer = await request(`${exchange.url}/oauth2/token`, {
      method: 'POST',
      headers,
      body: 'grant_type=client_credentials',
      dispatcher,
    })
    return ((await answer.body.json()) as { access_token: string }).access_token
  }
  const rowsOf = (found: readonly Record<string, string | null>[]): Row[] => found.map((row) => ids.map((id) => row[id] ?? null))
  for (const { code, expected = (row: Row) => row } of ways) {
    await t.test(code, async (t) => {
      const wanted = byKey(rows.map(expected))
      const delivered = () => target.query(`select ${columns.join(', ')} from delivered.${code.replace('-', '_')}`)
      await until('the rows arrive', async () => (await delivered().catch(() => [])).length === rows.length)
      t.same(byKey(await delivered()), wanted, 'by exchange')
      await until('the hub has its table', () =>
        user.put(`/queries/${code}/purpose`, { purpose: '核验' }).then(
          () => true,
          () => false,
        ),
      )
      const queried = await until('it has the rows', async () => {
        const { items: found } = await user.get(`/queries/${code}/rows`)
        return found.length === rows.length && (found as Record<string, string | null>[])
      })
      t.same(byKey(rowsOf(queried)), wanted, 'by query')
      const { items: read } = await load(`/data/v1/${code}`, { authorization: `Bearer ${await token(code)}` })
      t.same(byKey(rowsOf(read)), wanted, 'by API')
      const { id } = await reviewer.post('/openings', { resource: code })
      await office.post(`/openings/${id}/release`)
      t.same(byKey(rowsOf((await load(`/open/${code}/data.json`))['items'])), wanted, 'as open data')
    })
  }
  t.test('MariaDB', { skip: mariadb ? false : 'no MariaDB is reachable (QIANZHI_TEST_MARIADB_URL)' }, async () => {})
})
