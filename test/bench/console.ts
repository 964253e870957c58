/**
 * The console of a whole city: 500 agencies, 20,000 resources of 30 items, 3,000 routes, 200 open cases of each kind, `rows` entries of the
 * audit, in the store of the real hub; then how soon its answers, its pages and its end come.
 */
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { Agent, request } from 'undici'
import { build } from 'vite'
import { addDays, dayOf } from '../../hub/records/calendar.ts'
import { openStore } from '../../hub/store/store.ts'
import { seal } from '../../hub/supervision/audit/sealer.ts'
import { bookmark } from '../../hub/supervision/duties/facts.ts'
import { fillCity, large } from '../generated/city.ts'
import { Exchange } from '../support/exchange.ts'
import { startPostgres } from '../support/postgres.ts'
import { launchBrowser, noBrowser } from '../support/browser.ts'
import { until } from '../support/programs.ts'
import { City, password } from '../support/registry.ts'
import type { BenchOptions } from './main.ts'

const watchers = 50
const insecure = new Agent({ connect: { rejectUnauthorized: false }, connections: 100, bodyTimeout: 0 })

/** What pages ask for, of a city of that size; each is asked this many times. */
const asked = {
  home: '/todo?limit=50',
  counts: '/todo/counts',
  search: `/catalog?limit=20&text=${encodeURIComponent('许可')}&facets=classification,agency,sharing`,
  applications: '/applications',
  corrections: '/corrections?state=reported',
  resources: '/resources',
  lines: '/lines',
  flows: '/flows',
  duties: '/duties',
  dutiesOverdue: '/duties?state=overdue',
  deadlines: '/deadlines',
  cases: '/cases?limit=100',
  statistics: '/statistics/delivery?by=agency',
  statisticsDuties: '/statistics/duties',
  agents: '/agents',
  agencies: '/agencies?limit=1000&sort=name',
} as const
const times = 7

export async function run({ rows: audit, note }: BenchOptions): Promise<Record<string, number>> {
  await build({ configFile: fileURLToPath(new URL('../../hub/console/vite.config.ts', import.meta.url)), logLevel: 'error' })
  const server = await startPostgres({ settings: { shared_buffers: '256MB', max_wal_size: '2GB' } })
  const url = await server.createDatabase()
  const exchange = await Exchange.start({ hub: { store: url, access: { factor: [] } } })
  const store = await openStore(url)
  try {
    const city = await City.found(exchange.url, String((await exchange.office('first-admin'))['link']))
    await city.person('city', 'office', '工作人员', 'office')
    await city.person('city', 'auditor', '审计管理员', 'audit-admin')
    await exchange.hub.end()
    await fillCity(store, { ...large, audit, now: new Date(), note })
    await seal(store)
    // The days before are judged: a hub that was not away for two hundred days.
    await store.query(`insert into setting (key, value) values ($1, $2) on conflict (key) do update set value = excluded.value`, [
      bookmark,
      addDays(dayOf(new Date()), -1),
    ])
    await store.query('vacuum analyze')
    // Heard of until the end.
    await store.query(`update agent set last_seen = last_seen + interval '3 hours'`)
    exchange.hub.start()
    await exchange.ready()
    const office = await tokenOf(exchange.url, 'office')
    const answers = await measureAnswers(exchange.url, office, note)
    const pages = await measurePages(exchange.url, office, note)
    const verified = await measureVerification(exchange.url, await tokenOf(exchange.url, 'auditor'), note)
    const stopped = await measureStop(exchange, office, note)
    return { auditEntries: audit, ...answers, ...pages, ...verified, ...stopped }
  } finally {
    await exchange.stop()
    await store.close()
    await server.stop()
  }
}

async function tokenOf(url: string, login: string): Promise<string> {
  const { body } = await request(`${url}/api/v1/session`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ login, password }),
    dispatcher: insecure,
  })
  return ((await body.json()) as { token: string }).token
}

async function ask(url: string, token: string, path: string, method: 'GET' | 'POST' = 'GET'): Promise<any> {
  const headers = { authorization: `Bearer ${token}`, ...(method === 'POST' && { 'content-type': 'application/json' }) }
  const { statusCode, body } = await request(`${url}/api/v1${path}`, {
    method,
    headers,
    ...(method === 'POST' && { body: '{}' }),
    dispatcher: insecure,
  })
  const text = await body.text()
  if (statusCode !== 200) throw new Error(`${path}: ${statusCode} ${text}`)
  return JSON.parse(text)
}

const median = (values: readonly number[]) => Math.round(values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!)

async function measureAnswers(url: string, token: string, note: BenchOptions['note']): Promise<Record<string, number>> {
  const figures: Record<string, number> = {}
  for (const [name, path] of Object.entries(asked)) {
    const took: number[] = []
    for (let n = 0; n < times; n++) {
      const began = performance.now()
      await ask(url, token, path)
      took.push(performance.now() - began)
    }
    note(`  ${path.padEnd(70)} first ${Math.round(took[0]!)} ms, median ${median(took)} ms, longest ${Math.round(Math.max(...took))} ms`)
    figures[`${name}Ms`] = median(took)
  }
  const [slowest] = Object.entries(figures).toSorted(([, a], [, b]) => b - a)
  note(`slowest: ${slowest![0]} ${slowest![1]}`)
  return { ...figures, slowestMs: slowest![1] }
}

async function measurePages(url: string, token: string, note: BenchOptions['note']): Promise<Record<string, number>> {
  if (noBrowser) {
    note(noBrowser)
    return {}
  }
  const browser = await launchBrowser()
  try {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1366, height: 768 } })
    await context.addCookies([{ name: 'qz_session', value: token, url, httpOnly: true, secure: true, sameSite: 'Strict' }])
    const page = await context.newPage()
    const interactive: number[] = []
    for (let n = 0; n < 3; n++) {
      const began = performance.now()
      await page.goto(url)
      await page.waitForSelector('main tbody tr.chosen a')
      interactive.push(performance.now() - began)
    }
    await page.goto(`${url}/flows`)
    await page.waitForSelector('main .curve', { state: 'attached' })
    const frames = await framesOf(page)
    note(`home page interactive after ${interactive.map(Math.round).join(', ')} ms; the map moves at ${frames} frames a second`)
    return { homeInteractiveMsFirst: Math.round(interactive[0]!), homeInteractiveMs: median(interactive), mapFramesPerSecond: frames }
  } finally {
    await browser.close()
  }
}

/** While thirty of its curves move, and the pointer passes over them. */
async function framesOf(page: Page): Promise<number> {
  await page.evaluate(`[...document.querySelectorAll('.curve')].slice(0, 30).forEach((one) => one.classList.add('moving'))`)
  const counted = page.evaluate<number>(`new Promise((done) => {
    let frames = 0
    const began = performance.now()
    const next = () => { frames++; performance.now() - began < 5000 ? requestAnimationFrame(next) : done(frames / (performance.now() - began) * 1000) }
    requestAnimationFrame(next)
  })`)
  for (let at = 0; at < 40; at++) await page.mouse.move(350 + at * 20, 150 + (at % 10) * 50)
  return Math.round(await counted)
}

async function measureVerification(url: string, token: string, note: BenchOptions['note']): Promise<Record<string, number>> {
  const began = performance.now()
  await ask(url, token, '/audit/verify', 'POST')
  const last = await until(
    'the audit is verified',
    async () => {
      const { job, last } = await ask(url, token, '/audit/verification')
      return job?.state !== 'queued' && job?.state !== 'running' && last
    },
    600,
  )
  const seconds = (performance.now() - began) / 1000
  note(`${last.count} entries verified in ${seconds.toFixed(1)} s, ${last.intact ? 'whole' : 'NOT WHOLE'}`)
  return { auditVerifySeconds: Number(seconds.toFixed(1)), auditVerifyEntriesPerSecond: Math.round(last.count / seconds) }
}

/** Until the program has ended, with that many consoles open. */
async function measureStop(exchange: Exchange, token: string, note: BenchOptions['note']): Promise<Record<string, number>> {
  const headers = { authorization: `Bearer ${token}`, accept: 'text/event-stream' }
  const streams = await Promise.all(
    Array.from({ length: watchers }, async () => {
      const { statusCode, body } = await request(`${exchange.url}/api/v1/events`, { headers, dispatcher: insecure })
      if (statusCode !== 200) throw new Error(`events: ${statusCode}`)
      body.on('error', () => undefined).resume()
      return body
    }),
  )
  const closed = Promise.all(streams.map((body) => (body.closed ? Promise.resolve() : once(body, 'close').then(() => undefined))))
  const began = performance.now()
  await exchange.hub.end()
  const seconds = (performance.now() - began) / 1000
  await closed
  note(`the hub stops with ${watchers} open consoles in ${seconds.toFixed(2)} s`)
  return { stopSecondsWithConsoles: Number(seconds.toFixed(2)) }
}
