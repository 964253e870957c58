/** The console of a city's hub in a real browser. */
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createRequire } from 'node:module'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import type { Test } from 'tap'
import { consoleApi } from '../../hub/http/console.ts'
import { publishResource } from '../../hub/registry/publishing/direct-publishing.ts'
import type { Role } from '../../hub/records/roles.ts'
import { openBrowser } from '../support/browser.ts'
import { openCity, type City } from '../hub/city.ts'
import { makeObject, openObjects } from '../hub/objects.ts'
import { objectKinds } from '../../hub/access/relations.ts'
import { enrolled, villages } from '../hub/office.ts'
import { builtConsole } from './built.ts'

export interface Console {
  city: City
  browser: Browser
  origin: string
  /** A browser of somebody who is signed in; `language` and `dark` as they chose. */
  open(agency: string, role: Role, choices?: Choices): Promise<Seen>
  /** Nobody is signed in. */
  visit(choices?: Choices): Promise<Seen>
}

export interface Choices {
  language?: 'zh' | 'en'
  dark?: boolean
}

export interface Seen {
  page: Page
  context: BrowserContext
  /** What the browser complained of: scripts, styles, requests that failed. */
  complaints: string[]
}

/** A city with a resource, and one object of each kind that waits for somebody. */
export async function openConsole(test: Pick<Test, 'teardown'>): Promise<Console> {
  const city = await openCity(test, {}, [consoleApi(await builtConsole())])
  await city.app.listen({ host: '127.0.0.1', port: 0 })
  const origin = `https://127.0.0.1:${(city.app.server.address() as AddressInfo).port}`
  const browser = await openBrowser(test)
  const visit = async ({ language = 'zh', dark = false }: Choices = {}): Promise<Seen> => {
    const context = await browser.newContext({
      ignoreHTTPSErrors: true,
      viewport: { width: 1366, height: 768 },
      locale: language === 'zh' ? 'zh-CN' : 'en-GB',
      colorScheme: dark ? 'dark' : 'light',
      // What moves would be clicked beside.
      reducedMotion: 'reduce',
    })
    const page = await context.newPage()
    page.setDefaultTimeout(20_000)
    const complaints: string[] = []
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(`${page.url()} ${message.text()}`)
    })
    page.on('pageerror', (error) => complaints.push(`${page.url()} ${error.message}`))
    page.on('request', (request) => {
      if (!request.url().startsWith(origin) && !/^(?:data|blob):/.test(request.url())) complaints.push(`asks ${request.url()}`)
    })
    await page.addInitScript(
      `document.addEventListener('securitypolicyviolation', (e) => console.error('policy: ' + e.violatedDirective + ' ' + e.blockedURI))`,
    )
    return { page, context, complaints }
  }
  const open = async (agency: string, role: Role, choices?: Choices): Promise<Seen> => {
    const seen = await visit(choices)
    const { secret } = city.settled[`${agency} ${role}`]!
    await seen.context.addCookies([{ name: 'qz_session', value: secret, url: origin, httpOnly: true, secure: true, sameSite: 'Strict' }])
    return seen
  }
  return { city, browser, origin, open, visit }
}

/** A resource of civil that water asks for, and an agent of each. */
export async function withVillages({ city }: Console): Promise<{ agent: string }> {
  await publishResource(city, 'admin', { schema: villages() })
  await enrolled(city, 'civil')
  const { id } = await enrolled(city, 'water')
  return { agent: id }
}

/** One object of every kind, as it is made first. */
export async function withObjects({ city }: Console): Promise<ReadonlyMap<string, string>> {
  const objects = await openObjects(city, { provider: 'civil', receiver: 'water' })
  const made = new Map<string, string>()
  for (const kind of objectKinds) made.set(kind, await makeObject(objects, kind))
  return made
}

/** Until the page of this address shows all that it asked for. */
export async function settled(page: Page): Promise<void> {
  await page.waitForSelector('main[data-at]')
  // What was clicked, or what the page asks for, is on its way by then.
  await page.evaluate(`new Promise((done) => {
    const drawn = () => document.querySelector('main').dataset.at === location.pathname + location.search
    const look = () => (drawn() ? requestIdleCallback(() => requestAnimationFrame(done)) : requestAnimationFrame(look))
    look()
  })`)
  await page.waitForSelector('main[aria-busy=false]:not(:has(.ant-skeleton))')
}

const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

/** What axe finds that is serious, by rule and place (WCAG 2.2, levels A and AA). */
export async function barriers(page: Page): Promise<string[]> {
  // It stays while the page is not loaded anew.
  if (!(await page.evaluate<boolean>('Boolean(window.axe)'))) await page.evaluate(readFileSync(axePath, 'utf8'))
  return page.evaluate(`(async () => {
    const runOnly = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']
    const { violations } = await axe.run(document, { runOnly, resultTypes: ['violations'] })
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .flatMap(({ id, nodes }) => nodes.map(({ html, any }) => id + ': ' + html.slice(0, 160) + ' ' + (any[0]?.message ?? '')))
  })()`)
}
