/** Supervising in the browser: figures drawn and as a table, the board of duties, and the way from a number to an order. */
import { buffer } from 'node:stream/consumers'
import { Workbook } from '@cj-tech-master/excelts'
import t from 'tap'
import { publishResource } from '../../hub/registry/publishing/direct-publishing.ts'
import { publishedAt, villages } from '../hub/office.ts'
import { noBrowser } from '../support/browser.ts'
import { barriers, openConsole, settled } from './fixture.ts'

t.test('from a number of the board over its list to an order that knows what it is about', { skip: noBrowser }, async (t) => {
  const console = await openConsole(t)
  const { city, origin } = console
  const { query } = city.store
  for (const agency of ['civil', 'water', 'health']) {
    await publishResource(city, 'admin', { schema: villages((draft) => Object.assign(draft, { resource: agency, agency, title: `${agency} 名录` })) }) // prettier-ignore
    await publishedAt(city, agency, 'weekly', new Date('2020-01-01T00:00:00Z'))
  }
  await query(`insert into setting (key, value) values ('duties_judged_to', '2026-11-21')`)
  await query(`insert into duty_mark (resource, period, mark, agency, ends, at) select agency, period, mark, agency, ends::date, '2026-11-17' from (values
    ('civil', '2026-W45', 'updated', '2026-11-08'), ('civil', '2026-W46', 'overdue', '2026-11-15'), ('water', '2026-W46', 'overdue', '2026-11-15'),
    ('water', '2026-W45', 'overdue', '2026-11-08'), ('health', '2026-W46', 'excused', '2026-11-15')) m (agency, period, mark, ends)`)
  const { page, complaints } = await console.open('city', 'supervisor')
  await page.goto(origin)
  await page.click('.side a:has-text("更新监督")')
  await page.waitForSelector('.board .cell a')
  const rows = await page.locator('.board tbody tr[data-row-key]').allInnerTexts()
  t.match(rows, [/^水务局\s+2/, /^民政局\s+1/, /^卫健局\s+0/], 'the worst first')
  t.same(await barriers(page), [])
  await page.click('a[aria-label^="民政局 2026-W46"]')
  await page.waitForURL(/\/duties\?agency=civil&period=2026-W46&state=overdue$/)
  await page.waitForSelector('main:not(:has(.board)) tbody tr[data-row-key]')
  t.equal(await page.locator('main tbody tr[data-row-key]').count(), 1)
  const download = page.waitForEvent('download')
  await page.click('.filters a:has-text("导出")')
  const file = await download
  t.match(file.suggestedFilename(), /^数据更新义务.*\.xlsx$/)
  const book = new Workbook()
  await book.xlsx.load(await buffer(await file.createReadStream()))
  t.equal(book.worksheets[0]!.rowCount, 2, 'the heading, and what the filter shows')
  await page.click('main tbody a:has-text("责令改正")')
  await page.waitForSelector('[role=dialog] #agency')
  const filled = await page.evaluate<string[]>(`['period', 'text'].map((id) => document.querySelector('[role=dialog] #' + id).value)`)
  t.match(filled, ['2026-W46', /civil 名录.*2026-W46.*2026-11-15/])
  for (const [id, words] of [['agency', '民政局'], ['resource', 'civil 名录']]) await page.waitForSelector(`[role=dialog] .ant-form-item:has(#${id}):has-text("${words}")`) // prettier-ignore
  t.match(await page.locator('[role=dialog] .ant-form-item:has(#cause)').innerText(), /不及时更新公开的政务信息内容和目录/)
  t.same(await barriers(page), [])
  await page.fill('[role=dialog] #due', '2026-12-01')
  await page.click('[role=dialog] .ant-btn-primary')
  await page.waitForSelector('[role=dialog]', { state: 'detached' })
  await page.waitForSelector('main tbody tr:has-text("civil 名录")')
  t.equal(new URL(page.url()).search, '', 'what it began with is not asked again')
  t.match(await query('select agency, resource, period, cause, due::text from rectification_order'), [{ agency: 'civil', resource: 'civil', period: '2026-W46', cause: 'update', due: '2026-12-01' }]) // prettier-ignore
  t.same(complaints, [])

  const registrar = await console.open('water', 'registrar', { language: 'en', dark: true })
  await registrar.page.goto(`${origin}/board`)
  await registrar.page.waitForSelector('.board .cell a')
  t.equal(await registrar.page.locator('.board tbody tr[data-row-key]').count(), 1, 'their own alone')
  await registrar.page.click('.board .cell a >> nth=0')
  await registrar.page.waitForSelector('main:not(:has(.board)) tbody tr[data-row-key]')
  t.equal(await registrar.page.locator('main a:has-text("order")').count(), 0, 'who may not order is not led to it')
  t.same(await barriers(registrar.page), [])
  await registrar.page.click('main tbody a:has-text("Nothing changed")')
  await registrar.page.waitForSelector('[role=dialog] #period')
  t.same(await barriers(registrar.page), [])
  await registrar.page.click('[role=dialog] .ant-btn-primary')
  await registrar.page.waitForSelector('[role=dialog]', { state: 'detached' })
  t.match(await query('select kind, resource, period, state from declaration'), [
    { kind: 'no-change', resource: 'water', state: 'drafted' },
  ])

  // An evaluation from its beginning to its paper.
  const office = await console.open('city', 'office')
  await office.page.goto(`${origin}/evaluations`)
  await office.page.click('.filters .ant-btn-primary')
  await office.page.fill('[role=dialog] #period', '2026-Q4')
  await office.page.click('[role=dialog] .ant-btn-primary')
  await office.page.click('main tbody a')
  await office.page.waitForSelector('main .columns tbody details')
  await office.page.click('main tr[data-row-key=civil] summary')
  t.match(await office.page.locator('main tr[data-row-key=civil]').innerText(), /应更新次数\s+\d+/)
  await office.page.click('main tr[data-row-key=civil] button')
  await office.page.fill('[role=dialog] #advice', '请按时更新')
  await office.page.click('[role=dialog] .ant-btn-primary')
  await office.page.waitForSelector('main tbody td:text-is("请按时更新")')
  t.same(await barriers(office.page), [])
  await office.page.waitForSelector('.paper td:has-text("写改进意见")', { state: 'attached' })
  t.match(await office.page.locator('.paper').textContent(), /办理流程.*汇总评估.*写改进意见/, 'its course is on paper')
  t.same([...registrar.complaints, ...office.complaints], [])
})

t.test(
  'statistics: what is drawn stands in the table, and is what SQL says; the address keeps what was chosen',
  { skip: noBrowser },
  async (t) => {
    const console = await openConsole(t)
    const { city, origin } = console
    const { query } = city.store
    for (const agency of ['civil', 'water'])
      await publishResource(city, 'admin', {
        schema: villages((draft) => Object.assign(draft, { resource: agency, agency, title: agency })),
      })
    await query(`insert into supply_day (resource, day, batches, changed_rows, same_rows, snapshot_rows)
    select r.code, d::date, 1 + floor(random() * 9), floor(random() * 99), 3, 1 from resource r, generate_series('2026-10-01'::date, '2026-11-22', interval '1 day') d where random() < .6`)
    const { page, complaints } = await console.open('city', 'office')
    await page.goto(`${origin}/statistics?from=2026-11-01&to=2026-11-20`)
    await page.waitForSelector('.chart .lines polyline')
    const sum = async (what: string, more = '') => {
      const [found] = await query<{ n: string }>(`select sum(${what})::text as n from supply_day s join resource r on r.code = s.resource where day between '2026-11-01' and '2026-11-20' ${more}`) // prettier-ignore
      return found!.n
    }
    const summary = () => page.locator('.ant-table-summary td').allInnerTexts()
    t.same((await summary()).slice(1, 5), [await sum('changed_rows'), await sum('snapshot_rows'), await sum('same_rows'), await sum('batches')]) // prettier-ignore
    const points = await page.getAttribute('.lines polyline', 'points')
    t.equal(points!.split(' ').length, 20, 'each day, those without rows, too')
    t.match(await page.getAttribute('.lines', 'aria-label'), new RegExp(await sum('changed_rows')))
    const days = await query<{ n: string }>(`select coalesce(sum(changed_rows), 0)::text as n from generate_series('2026-11-01'::date, '2026-11-20', interval '1 day') d left join supply_day s on s.day = d::date group by d order by d`) // prettier-ignore
    const most = Math.max(...days.map(({ n }) => Number(n)))
    const heights = points!.split(' ').map((point) => Number(point.split(',')[1]))
    t.same(heights.map((y) => Math.round(((160 - y) / 146) * most)), days.map(({ n }) => Number(n)), 'drawn as high as it is') // prettier-ignore
    t.same(await barriers(page), [])
    await page.click('.ant-segmented-item:has-text("按单位")')
    await page.waitForSelector('main tbody .bar')
    await page.reload()
    await page.waitForSelector('main tbody .bar')
    const civil = await page.locator('main tbody tr:has-text("民政局") td').allInnerTexts()
    t.equal(civil[1], await sum('changed_rows', `and agency = 'civil'`))
    await page.click('.ant-segmented-item:has-text("更新义务")')
    await page.waitForSelector('main .ant-empty, main tbody:has-text("这一期间没有")')
    await settled(page)
    t.match(page.url(), /from=2026-11-01&to=2026-11-20&by=agency&what=duties$/)
    t.same(await barriers(page), [])
    t.same(complaints, [])
    const registrar = await console.open('water', 'registrar', { language: 'en', dark: true })
    await registrar.page.goto(`${origin}/statistics?by=agency`)
    await registrar.page.waitForSelector('main tbody .bar')
    t.equal(await registrar.page.locator('main tbody tr[data-row-key]').count(), 1, 'their own alone')
    t.same(await barriers(registrar.page), [])
  },
)
