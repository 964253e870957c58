/** The registry: search in a catalog of 20,000 resources, how soon a revocation is in force at a connected agent, and the audit. */
import { existsSync } from 'node:fs'
import { indexResource, searchCatalog } from '../../hub/registry/catalog/search.ts'
import { openStore, type Store } from '../../hub/store/store.ts'
import { Random } from '../faults/random.ts'
import { startPostgres } from '../support/postgres.ts'
import { catalogResource, codeOf, total, typed } from './catalog-words.ts'
import type { BenchOptions } from './main.ts'
import { percentiles } from './percentiles.ts'
import { measureRevocation } from './revocation.ts'
import { measureWaking } from './waking.ts'

const searches = 1_000
const limit = 20

export async function run(options: BenchOptions): Promise<Record<string, number | string>> {
  const search = await measureSearch(options)
  const revocation = await measureRevocation(options)
  const waking = await measureWaking(options)
  return { ...search, ...revocation, ...waking, ...(await audit(options)) }
}

/** Its figures, where that benchmark is there. */
async function audit(options: BenchOptions): Promise<Record<string, number | string>> {
  const file = new URL('./audit.ts', import.meta.url)
  if (!existsSync(file)) return {}
  const bench = (await import(file.href)) as { run: (options: BenchOptions) => Promise<Record<string, number | string>> }
  return bench.run(options)
}

async function measureSearch({ note }: BenchOptions): Promise<Record<string, number>> {
  const server = await startPostgres()
  const store = await openStore(await server.createDatabase())
  try {
    const random = new Random(7)
    await load(store, random)
    const indexed = percentiles(await publications(store, random))
    note(`one more of ${total} resources of 30 items indexed: p50 ${indexed.p50} ms, p95 ${indexed.p95} ms; ${await sizes(store)}`)
    const lookup = percentiles(await lookups(store, random))
    const times = await searchAll(store, random, note)
    const all = percentiles(times)
    note(
      `${times.length} searches: p50 ${all.p50} ms, p95 ${all.p95} ms, longest ${all.longest} ms; a row by its key: p50 ${lookup.p50} ms`,
    )
    return {
      catalogResources: total,
      catalogIndexMsP50: indexed.p50,
      catalogSearchMsP50: all.p50,
      catalogSearchMsP95: all.p95,
      catalogSearchMsLongest: all.longest,
      keyLookupMsP50: lookup.p50,
      keyLookupMsP95: lookup.p95,
      catalogSearchToKeyLookupP50: round(all.p50 / lookup.p50),
      catalogSearchToKeyLookupP95: round(all.p95 / lookup.p95),
    }
  } finally {
    await store.close()
    await server.stop()
  }
}

const indexes = ['catalog_index_head', 'catalog_index_items', 'catalog_index_tokens']

/** All at once: with pending lists, which the vacuum then works off. */
async function load(store: Store, random: Random): Promise<void> {
  for (const index of indexes) await store.query(`alter index ${index} set (fastupdate = on)`)
  for (let n = 0; n < total; n += 500) {
    await store.transaction(async (query) => {
      for (let i = n; i < n + 500; i++) await indexResource(query, catalogResource(random, i))
    })
  }
  for (const index of indexes) await store.query(`alter index ${index} set (fastupdate = off)`)
  await store.query('vacuum analyze catalog_index')
}

async function publications(store: Store, random: Random): Promise<number[]> {
  const times: number[] = []
  for (let n = 0; n < 100; n++) {
    const resource = catalogResource(random, random.between(0, total - 1))
    times.push(await elapsed(() => indexResource(store.query, resource)))
  }
  return times
}

async function sizes(store: Store): Promise<string> {
  const [row] = await store.query<{ rows: string; indexes: string }>(
    `select pg_size_pretty(pg_table_size('catalog_index')) as rows, pg_size_pretty(pg_indexes_size('catalog_index')) as indexes`,
  )
  return `${row!.rows}, indexes ${row!.indexes}`
}

/** The ceiling: one row by its key, as long as nothing is searched. */
async function lookups(store: Store, random: Random): Promise<number[]> {
  const keys = Array.from({ length: searches }, () => codeOf(random.between(0, total - 1)))
  const times: number[] = []
  for (const key of keys)
    times.push(await elapsed(() => store.query('select title, agency, items from catalog_index where resource = $1', [key])))
  return times
}

/** Every kind in turn; each fourth search also turns the page. */
async function searchAll(store: Store, random: Random, note: BenchOptions['note']): Promise<number[]> {
  const kinds = Object.keys(typed)
  const byKind = new Map<string, { times: number[]; found: number }>(kinds.map((kind) => [kind, { times: [], found: 0 }]))
  for (let n = 0; n < searches; n++) {
    const kind = kinds[n % kinds.length]!
    const measured = byKind.get(kind)!
    let search = { ...typed[kind]!(random), limit }
    for (let page = 0; page < (n % 4 === 0 ? 2 : 1); page++) {
      const began = performance.now()
      const { next, total } = await searchCatalog(store.query, search)
      measured.times.push(performance.now() - began)
      measured.found += total.count
      if (next === null) break
      search = { ...search, after: next } as typeof search
    }
  }
  for (const [kind, { times, found }] of byKind) {
    const { p50, p95 } = percentiles(times)
    note(`  ${kind.padEnd(26)} p50 ${p50} ms, p95 ${p95} ms, found ${Math.round(found / times.length)} on average`)
  }
  return [...byKind.values()].flatMap(({ times }) => times)
}

async function elapsed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return performance.now() - began
}

function round(figure: number): number {
  return Number(figure.toFixed(2))
}
