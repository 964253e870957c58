/**
 * Resource tables and reading them: how fast a table follows its stream beside the log that it reads, pages at any depth, single records
 * through token, rights and usage beside a bare route that reads the same row, changes, exports, batch check.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fastify from 'fastify'
import { pino } from 'pino'
import { Agent, request } from 'undici'
import { dataApi, dataServices } from '../../hub/http/data.ts'
import { Refusals } from '../../hub/http/refusals.ts'
import { createServer } from '../../hub/http/server.ts'
import type { CatalogItem } from '../../hub/registry/catalog/content.ts'
import { checkRows } from '../../hub/sharing/checks.ts'
import { secretHash } from '../../hub/sharing/clients.ts'
import { maskKeyOf } from '../../hub/records/masks.ts'
import { Cursors } from '../../hub/sharing/cursors.ts'
import { readQuery } from '../../hub/sharing/filters.ts'
import { readPage } from '../../hub/sharing/pages.ts'
import { sharingLimits } from '../../hub/sharing/reading.ts'
import { openShare } from '../../hub/sharing/share.ts'
import { openReader } from '../../hub/tables/reader.ts'
import { ResourceTables } from '../../hub/tables/tables.ts'
import { ownCertificate } from '../../hub/tls.ts'
import { columnsOf, openBench, Provider } from '../hub/exchange/fixture.ts'
import { buildBatch } from '../../protocol/batch.ts'
import { findPostgres } from '../support/postgres.ts'
import { hubStore } from '../support/hub-store.ts'
import type { BenchOptions } from './main.ts'
import { excelBench } from './excel.ts'
import { percentiles } from './percentiles.ts'

const openness = 'internal' as const
export const items: CatalogItem[] = [
  { id: 'code', name: 'code', label: '编号', type: 'text', length: 18, key: true, openness },
  { id: 'name', name: 'name', label: '名称', type: 'text', length: 60, openness, searchable: true },
  { id: 'street', name: 'street', label: '镇街', type: 'text', length: 60, openness, searchable: true },
  { id: 'amount', name: 'amount', label: '金额', type: 'decimal', precision: 18, scale: 2, openness },
  { id: 'issued', name: 'issued', label: '发证日期', type: 'date', openness, searchable: true },
  ...[1, 2, 3, 4, 5].map((n): CatalogItem => ({ id: `text${n}`, name: `text${n}`, label: `文本${n}`, type: 'text', length: 60, openness })),
]
const perBatch = 5000

export const rowOf = (n: number) => ({
  code: String(n).padStart(18, '0'),
  name: `单位${n % 9973}有限公司`,
  street: `第${n % 32}镇`,
  amount: `${n % 100_000}.50`,
  issued: `20${10 + (n % 15)}-0${1 + (n % 9)}-15`,
  text1: `备注${n}`,
  text2: 'x',
  text3: null,
  text4: `${n * 7}`,
  text5: '许可经营项目',
})

export async function run({ rows, note }: BenchOptions): Promise<Record<string, number | string>> {
  const server = await findPostgres()
  const bench = await openBench(await hubStore(server))
  const { store, log, wakeups, hubKey } = bench
  const clock = () => new Date()
  const logger = pino({ level: 'warn' }, pino.destination(2))
  const provider = new Provider(await bench.agent('provider', 'a'), await bench.resource('people', 'a', { items }))
  const appended = await timed(async () => {
    for (let at = 0; at < rows; at += perBatch) {
      const part = Array.from({ length: Math.min(perBatch, rows - at) }, (_, i) => rowOf(at + i))
      const began = 1
      const header = provider.header({ kind: 'snapshot', snapshot: { began, last: at + perBatch >= rows } })
      await provider.send(bench.exchange, buildBatch(header, columnsOf(provider.schema, part), provider.agent.key))
    }
  })
  note(`made, signed, accepted: ${Math.round(rows / appended)} rows/s`)
  const tables = new ResourceTables({ store, log, wakeups, hubKey, logger, clock })
  const followed = await timed(() => tables.catchUp())
  note(`followed: ${Math.round(rows / followed)} rows/s, indexes included`)
  const changed = Math.min(rows, 200_000)
  for (let at = 0; at < changed; at += perBatch) {
    const part = Array.from({ length: perBatch }, (_, i) => ({ ...rowOf(((at + i) * 3) % rows), text2: 'y' }))
    await provider.send(bench.exchange, buildBatch(provider.header(), columnsOf(provider.schema, part), provider.agent.key))
  }
  const updated = await timed(() => tables.catchUp())
  note(`changes followed: ${Math.round(changed / updated)} rows/s`)
  const reader = openReader(store.url)
  const sharing = {
    store,
    reader,
    cursors: new Cursors(hubKey.privateKey),
    clock,
    maskKey: maskKeyOf(hubKey.privateKey),
    limits: sharingLimits({ requestsPerSecond: 10_000, requestsPerDay: 1_000_000_000 }),
  }
  const asked = { id: 'g', resource: 'people', items: items.map(({ id }) => id) }
  await store.query(`insert into access_grant (id, resource, agency, items, mode, basis) values ('g', 'people', 'a', $1, 'api', 1)`, [
    asked.items,
  ])
  const share = await openShare(store.query, asked)

  const first = await pages(sharing, share, { limit: '100' }, 200)
  const filtered = await pages(sharing, share, { limit: '100', street: '第7镇' }, 100)
  const sorted = await pages(sharing, share, { limit: '100', street: '第7镇', sort: '-issued' }, 100)
  const deep = await pages(sharing, share, { limit: '100', 'code.ge': rowOf(Math.floor(rows * 0.9)).code }, 100)
  note(`page of 100: p95 ${first.toFixed(1)} ms, filtered ${filtered.toFixed(1)} ms, deep ${deep.toFixed(1)} ms`)
  note(`filtered by one item and sorted by another: ${sorted.toFixed(1)} ms`)
  const checked = await timed(() =>
    checkRows(
      sharing,
      share,
      Array.from({ length: 10_000 }, (_, i) => ({ code: rowOf((i * 7) % rows).code, name: 'x' })),
    ),
  )
  note(`batch check of 10,000: ${Math.round(checked * 1000)} ms`)

  const services = dataServices(sharing, { log, hubKey: hubKey.privateKey, issuer: () => 'https://hub.test' })
  const registry = { store, wakeups, clock }
  const certificate = await ownCertificate(mkdtempSync(join(tmpdir(), 'qianzhi-share-')), ['hub.test'], clock())
  const app = await createServer({
    registry,
    logger,
    refusals: new Refusals(store, logger),
    certificate,
    bodyLimit: 1 << 20,
    open: [dataApi(services)],
    agents: [],
  })
  const secret = randomBytes(16).toString('hex')
  await store.query(`insert into api_client (id, access_grant, name, created_by, created_at) values ('c', 'g', 'c', 'bench', now())`)
  await store.query(`insert into api_client_key (client, secret_hash, created_at) values ('c', $1, now())`, [secretHash(secret)])
  const { token } = await services.tokens.issue({ client: 'c', secret })
  const bare = fastify()
  const sql = `select ${items.map(({ id }) => `"${id}"`).join(', ')} from ${share.table.name} where code = $1`
  bare.get('/row', async (request) => {
    const [row] = await reader.rows(share.items, sql, [(request.query as { code: string }).code], 'bare')
    return Object.fromEntries(items.map(({ id }, i) => [id, row![i]!]))
  })
  const headers = { authorization: `Bearer ${token}` }
  const codeAt = (n: number) => rowOf((n * 7919) % rows).code
  const record = (n: number) => app.inject({ url: `/data/v1/people/by-key?code=${codeAt(n)}`, headers })
  const plain = (n: number) => bare.inject({ url: `/row?code=${codeAt(n)}` })
  await rate(record, 500)
  await rate(plain, 500)
  const [records, plains] = [await rate(record, 6000), await rate(plain, 6000)]
  note(`single records: ${Math.round(records)}/s, bare route ${Math.round(plains)}/s`)
  let told = 0
  const changes = await timed(async () => {
    for (let next: string | undefined; ;) {
      const answer = await app.inject({ url: `/data/v1/people/changes?limit=10000${next === undefined ? '' : `&after=${next}`}`, headers })
      const { changes, next: more, complete } = answer.json<{ changes: unknown[]; next: string; complete: boolean }>()
      told += changes.length
      next = more
      if (complete) return
    }
  })
  note(`changes: ${Math.round(told / changes)} rows/s`)
  global.gc?.()
  const before = process.memoryUsage().rss
  let [peak, bytes] = [before, 0]
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as { port: number }
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false } })
  const exported = await timed(async () => {
    const answer = await request(`https://127.0.0.1:${port}/data/v1/people`, { headers: { ...headers, accept: 'text/csv' }, dispatcher })
    for await (const chunk of answer.body) {
      bytes += (chunk as Buffer).length
      peak = Math.max(peak, process.memoryUsage().rss)
    }
  })
  note(
    `export: ${Math.round(Math.min(rows, sharing.limits.exportRows) / exported)} rows/s, ${Math.round(bytes / 2 ** 20)} MiB, memory +${Math.round((peak - before) / 2 ** 20)} MiB (client in the same process)`,
  )
  await dispatcher.close()
  await app.close()
  await services.usage.close()
  await bare.close()
  const excel = await excelBench(bench, { reader, items, rowOf, note })
  await reader.close()
  await bench.close()
  await server.stop()
  return {
    rows,
    followRowsPerSecond: Math.round(rows / followed),
    followRatioToAccept: round(appended / followed),
    changesFollowedPerSecond: Math.round(changed / updated),
    pageMsP95: round(first),
    filteredPageMsP95: round(filtered),
    sortedByAnotherMsP95: round(sorted),
    deepPageMsP95: round(deep),
    recordsPerSecond: Math.round(records),
    recordRatioToBareRoute: round(plains / records),
    changesRowsPerSecond: Math.round(told / changes),
    exportPeakMb: Math.round((peak - before) / 2 ** 20),
    batchCheckMs: Math.round(checked * 1000),
    ...excel,
  }
}

const round = (n: number) => Math.round(n * 100) / 100

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return (performance.now() - began) / 1000
}

/** p95 in milliseconds of so many pages, one behind the other. */
async function pages(
  deps: Parameters<typeof readPage>[0],
  share: Parameters<typeof readPage>[1],
  asked: Record<string, string>,
  most: number,
): Promise<number> {
  const took: number[] = []
  for (let after: string | undefined; took.length < most;) {
    const began = performance.now()
    const page = await readPage(deps, share, readQuery(share, { ...asked, ...(after !== undefined && { after }) }))
    took.push(performance.now() - began)
    if (page.next === undefined) break
    after = page.next
  }
  return percentiles(took).p95
}

/** Requests a second, 32 at once. */
async function rate(ask: (n: number) => Promise<{ statusCode: number; body: string }>, count: number): Promise<number> {
  let next = 0
  const seconds = await timed(() =>
    Promise.all(
      Array.from({ length: 32 }, async () => {
        while (next < count) {
          const answer = await ask(next++)
          if (answer.statusCode !== 200) throw new Error(answer.body)
        }
      }),
    ),
  )
  return count / seconds
}
