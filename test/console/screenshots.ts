/**
 * `npm run screenshots [-- --only flows --language en --dark yes --width 1366]`: every page of the console as its role sees it, with its
 * dialogs, in both languages, light and dark, on a small and a large screen; beside them the pages that need no console. PNGs and an
 * index.html in data/screenshots. What is wider than its window, or makes the browser complain, is named at the end.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Page } from 'playwright-core'
import t from 'tap'
import { openPage } from '../../agent/status/page/server.ts'
import { publishResource } from '../../hub/registry/publishing/direct-publishing.ts'
import { roleNames, type Role } from '../../hub/records/roles.ts'
import { statusOf } from '../agent/status/fixture.ts'
import { fillCity } from '../generated/city.ts'
import { agencyRoles } from '../hub/city.ts'
import { villages } from '../hub/office.ts'
import { makeObject, openObjects } from '../hub/objects.ts'
import { openConsole, settled, withVillages, type Choices, type Console, type Seen } from './fixture.ts'

const folder = fileURLToPath(new URL('../../data/screenshots', import.meta.url))
const asked = parseArgs({
  options: { only: { type: 'string' }, language: { type: 'string' }, dark: { type: 'string' }, width: { type: 'string' } },
}).values
/** Pixels below which a page is cut off in its picture. */
const tallest = 2200

interface Way extends Required<Choices> {
  width: number
  height: number
}

const ways = [
  { width: 1366, height: 768 },
  { width: 1920, height: 1080 },
]
  .flatMap((size) => (['zh', 'en'] as const).flatMap((language) => [false, true].map((dark): Way => ({ ...size, language, dark }))))
  .filter(({ language }) => (asked.language ?? language) === language)
  .filter(({ dark }) => asked.dark === undefined || (asked.dark === 'yes') === dark)
  .filter(({ width }) => (asked.width ?? String(width)) === String(width))

const wayName = ({ language, dark, width }: Way) => `${language}-${dark ? 'dark' : 'light'}-${width}`
/** By page: its pictures, by way. */
const pictures = new Map<string, Map<string, string>>()
const remarks = new Set<string>()

/** The whole page, but for a dialog, which is as high as the window. */
async function picture({ page }: { page: Page }, name: string, way: Way): Promise<void> {
  const file = `${name.replaceAll(/[^\w.-]+/g, '_')}-${wayName(way)}.png`
  const within = (await page.locator('[role=dialog]').count()) > 0
  const height = within ? way.height : Math.min(await page.evaluate<number>('document.documentElement.scrollHeight'), tallest)
  const clip = { x: 0, y: 0, width: way.width, height: Math.max(height, way.height) }
  await page.screenshot({ path: `${folder}/${file}`, fullPage: !within, clip })
  pictures.set(name, (pictures.get(name) ?? new Map<string, string>()).set(wayName(way), file))
  const wide = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')
  if (wide > 0) remarks.add(`${name}: ${wide} px wider than ${way.width} (${way.language})`)
}

/** Roles of agencies in civil, which provides and receives; the others at the city. */
const agencyOf = (role: Role) => (agencyRoles.includes(role) ? 'civil' : 'city')
const wanted = (name: string) => name.includes(asked.only ?? '')

/** The desk of each role; each place by the first role that has it, with the first object in it and their first dialogs. */
async function walk(console: Console, way: Way): Promise<void> {
  const taken = new Set<string>()
  for (const role of roleNames) {
    const seen = await open(console, role, way)
    const { page } = seen
    await page.goto(console.origin)
    await page.waitForSelector('nav.side a')
    await settled(page)
    if (wanted(`home ${role}`)) await picture(seen, `home ${role}`, way)
    const places = await page.locator('nav.side a').all()
    const addresses = await Promise.all(places.map((link) => link.getAttribute('href')))
    for (const address of addresses.slice(1) as string[]) {
      if (taken.has(address) || !wanted(address)) continue
      taken.add(address)
      await place(console, seen, address, way)
    }
    for (const line of seen.complaints) remarks.add(`${role}: ${line}`)
    await seen.context.close()
  }
}

async function open(console: Console, role: Role, way: Way): Promise<Seen> {
  const seen = await console.open(agencyOf(role), role, way)
  await seen.page.setViewportSize({ width: way.width, height: way.height })
  return seen
}

async function place({ origin }: Console, seen: Seen, address: string, way: Way): Promise<void> {
  const { page } = seen
  const show = async (path: string, name: string) => {
    await page.goto(origin + path)
    await page.waitForSelector('main h1')
    await settled(page)
    await picture(seen, name, way)
  }
  await show(address, address)
  await dialog(seen, 'main .filters .ant-btn-primary', `${address} new`, way)
  if (new URL(page.url()).pathname === address) await page.keyboard.press('Escape')
  await show(address, address)
  const first = page.locator('main tbody tr.ant-table-row :is(td:first-child, .ant-table-selection-column + td) a').first()
  if ((await first.count()) === 0) return
  await show((await first.getAttribute('href'))!, `${address} one`)
  await dialog(seen, '.desk .actions button:not([disabled])', `${address} act`, way)
}

/** Of what a button opens, where it opens something. */
async function dialog(seen: Seen, button: string, name: string, way: Way): Promise<void> {
  const { page } = seen
  if ((await page.locator(button).count()) === 0) return
  await page.locator(button).first().click()
  await settled(page)
  await picture(seen, name, way)
}

/** What is reached by more than one step, by who does it. */
const steps: readonly { name: string; role: Role; address: string; do?: (page: Page) => Promise<unknown> }[] = [
  { name: 'apply', role: 'user', address: '/resources/r00002/apply' },
  { name: 'rows', role: 'registrar', address: '/resources/halls/rows' },
  { name: 'rows new', role: 'registrar', address: '/resources/halls/rows', do: (page) => page.click('main .ant-btn-primary') },
  { name: 'excel', role: 'registrar', address: '/resources/lists/excel' },
  { name: 'registration', role: 'registrar', address: '/registrations/new' },
  {
    name: 'applications chosen',
    role: 'office',
    address: '/applications?state=reviewing',
    do: (page) => page.check('main thead [type=checkbox]'),
  },
  {
    name: 'registration limits',
    role: 'registrar',
    address: '/registrations?state=draft',
    do: async (page) => {
      await page.click('main tbody a >> nth=0')
      await page.waitForSelector('.item-grid')
      await page.click('.item-grid .tools button >> nth=0')
      await page.click('.item-grid tbody td:last-child button >> nth=0')
    },
  },
  { name: 'query one', role: 'user', address: '/queries/r00000' },
  { name: 'catalog found', role: 'user', address: `/catalog?text=${encodeURIComponent('登记')}` },
  { name: 'search', role: 'office', address: `/search?text=${encodeURIComponent('信息')}` },
  { name: 'search nothing', role: 'user', address: '/search?text=zzzz' },
  { name: 'flows table', role: 'office', address: '/flows?view=table' },
  { name: 'flows one', role: 'office', address: '/flows?agency=civil' },
  { name: 'notices', role: 'office', address: '/notices' },
  { name: 'account', role: 'user', address: '/account' },
  { name: 'password', role: 'user', address: '/account', do: (page) => page.click('main .actions button >> nth=0') },
  { name: 'factor', role: 'user', address: '/account', do: (page) => page.click('main .actions button >> nth=1') },
  { name: 'help', role: 'user', address: '/help' },
  { name: 'wall', role: 'office', address: '/wall' },
  { name: 'people import', role: 'system-admin', address: '/people/import' },
  {
    name: 'people import checked',
    role: 'system-admin',
    address: '/people/import',
    do: async (page) => {
      const head = '单位代码,登录名,姓名,电子邮箱,电话,角色'
      const rows = [head, 'civil,new.one,新一,,,登记员', 'water,new.two,新二,new@example.gov.cn,,']
      await page.setInputFiles('main input[type=file]', { name: 'a.csv', mimeType: 'text/csv', buffer: Buffer.from(rows.join('\n')) })
      await page.waitForSelector('main section tbody')
    },
  },
  { name: 'standard', role: 'office', address: '/standards/new' },
  {
    name: 'calendar',
    role: 'office',
    address: '/calendars',
    do: (page) => page.click('main tbody button >> nth=0'),
  },
  {
    name: 'paper',
    role: 'office',
    address: '/applications?state=reviewing',
    do: async (page) => {
      await page.click('main tbody tr.ant-table-row a >> nth=0')
      await page.waitForSelector('.desk .actions')
      await settled(page)
      await page.emulateMedia({ media: 'print' })
    },
  },
  {
    name: 'rejected',
    role: 'office',
    address: '/applications?state=reviewing',
    do: async (page) => {
      await page.click('main tbody tr.ant-table-row a >> nth=0')
      await page.waitForSelector('.desk .actions')
      await page.keyboard.press('r')
      await page.waitForSelector('[role=dialog]')
      await page.click('[role=dialog] .ant-modal-footer .ant-btn-dangerous')
    },
  },
  { name: 'no page', role: 'user', address: '/nothing' },
  { name: 'refused', role: 'user', address: '/audit' },
]

async function walkSteps(console: Console, way: Way): Promise<void> {
  for (const { name, role, address, do: act } of steps.filter(({ name }) => wanted(name))) {
    const seen = await open(console, role, way)
    await seen.page.goto(console.origin + address)
    // The wall is no page of the frame.
    const ready = () => (name === 'wall' ? seen.page.waitForSelector('.wall .band') : settled(seen.page))
    await ready()
    await act?.(seen.page)
    await ready()
    await picture(seen, name, way)
    await seen.context.close()
  }
}

/** What is shown to whoever is not signed in; and an agent's own page. */
async function walkOutside(console: Console, way: Way, agentPage: string): Promise<void> {
  const addresses = {
    'sign in': `${console.origin}/`,
    activation: `${console.origin}/activate`,
    'open data': `${console.origin}/open`,
    'open data none': `${console.origin}/open/nothing`,
    'agent status': agentPage,
  }
  for (const [name, address] of Object.entries(addresses).filter(([name]) => wanted(name))) {
    const seen = await console.visit(way)
    await seen.page.setViewportSize({ width: way.width, height: way.height })
    await seen.page.goto(address + (name === 'sign in' ? '' : `?lang=${way.language}`))
    await seen.page.waitForSelector(name === 'sign in' ? '#login' : 'h1')
    await picture(seen, name, way)
    await seen.context.close()
  }
}

// The fixtures end with it.
t.setTimeout(0)
rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
const console = await openConsole(t)
await fill(console)
const agentPage = await openPage(0, { status: () => statusOf(), language: 'zh' })
t.teardown(() => agentPage.close())
for (const way of ways) {
  await walk(console, way)
  await walkSteps(console, way)
  await walkOutside(console, way, agentPage.url)
  process.stderr.write(`${wayName(way)}: ${pictures.size} pages\n`)
}
t.end()
writeFileSync(`${folder}/index.html`, index())
process.stderr.write([...remarks, `${folder}/index.html`].join('\n') + '\n')

/** A city at work. */
async function fill(console: Console): Promise<void> {
  const { city } = console
  await withVillages(console)
  const objects = await openObjects(city, { provider: 'civil', receiver: 'water' })
  for (const kind of ['key', 'job', 'reconciliation', 'evaluation', 'standard'] as const) await makeObject(objects, kind)
  const side = { rows: 26842, digest: '', from: '', to: '' }
  const statement = { source: side, target: side, differing: 0, repaired: 0, remaining: 0, outcome: 'equal' }
  await city.store.query(
    `update reconciliation set state = 'equal', ended_at = now(), rows = 26842, statement = $1, source_signature = 'e30.e30.c2lnbmVkLWJ5LXByb3ZpZGVy',
       target_signature = 'e30.e30.c2lnbmVkLWJ5LXJlY2VpdmVy'`,
    [JSON.stringify(statement)],
  )
  const own = ['civil', 'water', 'civil', 'water']
  await fillCity(city.store, { agencies: 24, resources: 60, routes: 90, cases: 8, audit: 300, now: city.now, own })
  for (const [resource, supplyMode, title] of [
    ['halls', 'form', '社区服务大厅名录'],
    ['lists', 'excel', '校外培训机构名单'],
  ] as const) {
    const schema = villages((draft) => Object.assign(draft, { resource, table: resource, title }))
    await publishResource(city, 'admin', { schema, supplyMode })
  }
  const registrar = city.as('civil', 'registrar')
  await registrar.post('/registrations', { resource: 'homes', content: { title: '养老机构名录', items: villages().items } })
  for (let n = 11; n < 30; n++) {
    const values = { code: `4419000030${n}`, name: `第${n}社区服务大厅`, street: '莞城街道' }
    await registrar.post('/resources/halls/rows', { values })
  }
  await city.store.query(`update person set name = '经办人' || id where login like '%-%'`)
}

function index(): string {
  const shown = [...pictures].map(
    ([name, files]) =>
      `<h2>${name}</h2><p>${[...files].map(([way, file]) => `<a href="${file}"><img src="${file}" alt="${name} ${way}" loading="lazy" width="420"></a>`).join(' ')}</p>`,
  )
  return `<!doctype html><meta charset="utf-8"><title>Qianzhi</title><style>body{font-family:system-ui;margin:2rem}img{border:1px solid #999}</style>${shown.join('\n')}`
}
