/** Finding and proving in the console: lists, catalog, audit, sessions, what a decision needs. */
import t, { type Test } from 'tap'
import { addGrant } from '../../hub/registry/grants/grants.ts'
import { noBrowser } from '../support/browser.ts'
import { barriers, openConsole, settled, withVillages, type Console, type Seen } from './fixture.ts'

/** Nothing serious for who sees or hears badly, and no complaint of the browser. */
async function isClean(t: Test, { page, complaints }: Seen, where: string): Promise<void> {
  t.same(await barriers(page), [], `${where}: barriers`)
  t.same(complaints, [], `${where}: complaints`)
}

async function withCorrections({ city }: Console, many: number): Promise<void> {
  await city.store.query(
    `insert into correction (agency, resource, items, fault, state, created_at)
     select case when n % 2 = 0 then 'water' else 'health' end, 'villages', '{}', 'x', case when n % 3 = 0 then 'closed' else 'reported' end,
       timestamptz '2026-11-01' + n * interval '1 minute' from generate_series(1, $1) n`,
    [many],
  )
}

t.test('a list: filtered and ordered by its address, counted, page after page', { skip: noBrowser }, async (t) => {
  const console = await openConsole(t)
  await withVillages(console)
  await withCorrections(console, 1_260)
  const seen = await console.open('city', 'office')
  const { page } = seen
  const count = () => page.locator('.filters [role=status]').innerText()
  const rows = () => page.locator('main tbody tr.ant-table-row').count()
  const first = () => page.locator('main tbody tr.ant-table-row >> nth=0').locator('td >> nth=0').innerText()
  await page.goto(`${console.origin}/corrections`)
  await settled(page)
  t.match(await count(), /^1000\+/, 'more than are counted')
  t.same([await rows(), await first()], [50, '1260'])
  await page.click('main p button')
  await page.waitForFunction(`document.querySelectorAll('main tbody tr.ant-table-row').length === 100`)
  await page.click('th.ant-table-column-has-sorters >> nth=0')
  await page.waitForURL(/sort=id/)
  await settled(page)
  t.equal(await first(), '1', 'the oldest first')
  await page.click('.filters .ant-select >> nth=0')
  await page.click('.ant-select-dropdown .ant-select-item >> text=\u529e\u7ed3')
  await page.keyboard.press('Escape')
  await settled(page)
  t.match(page.url(), /state=closed/)
  t.match(await count(), /^420 /)
  await page.reload()
  await settled(page)
  t.match([await count(), await first()], [/^420 /, '3'], 'the address keeps it')
  await isClean(t, seen, 'a list')
  await page.context().close()
})

t.test('the catalog: facets with counts, what one has already, suggestions; the header finds everything', { skip: noBrowser }, async (t) => {
  const console = await openConsole(t)
  await withVillages(console)
  await addGrant(console.city, 'admin', { resource: 'villages', agency: 'water', items: ['name'] })
  const seen = await console.open('water', 'user')
  const { page } = seen
  await page.goto(`${console.origin}/catalog`)
  await settled(page)
  t.match(await page.locator('.faceted aside').innerText(), /民政局\s*1/, 'its agency, counted')
  t.match(await page.locator('.faceted article').innerText(), /已获授权/, 'what one has is marked')
  await page.click('.faceted aside button:has-text("已获授权")')
  await page.waitForURL(/mine=grant/)
  await settled(page)
  t.equal(await page.locator('.faceted article').count(), 1)
  await isClean(t, seen, 'catalog')
  await page.fill('.filters input[type=search] >> nth=0', '街')
  await page.click('.ant-select-item:has-text("街道")')
  await page.waitForURL(/text=/)
  await settled(page)
  t.equal(await page.locator('.faceted article').count(), 1, 'found by the item that was suggested')
  await page.locator('main h1').click()
  await page.keyboard.press('/')
  await page.keyboard.type('村居')
  await page.keyboard.press('Enter')
  await page.waitForURL(/\/search\?text=/)
  await page.waitForSelector('main h2')
  await settled(page)
  t.same(await page.locator('main h2').allInnerTexts().then((all) => all.map((one) => one.split(' ')[0])), ['资源', '授权'])
  await isClean(t, seen, 'search')
  const dark = await console.open('civil', 'registrar', { dark: true, language: 'en' })
  for (const path of ['/catalog', '/search?text=1', '/resources']) {
    await dark.page.goto(console.origin + path)
    await settled(dark.page)
    await isClean(t, dark, path)
  }
  t.match(await dark.page.locator('main').innerText(), /My resources[^]*2 internal|My resources[^]*1 internal/i)
})
