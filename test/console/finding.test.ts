/** Finding and proving in the console: lists, catalog, audit, sessions, what a decision needs. */
import t, { type Test } from 'tap'
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
