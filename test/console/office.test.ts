/** What the office keeps up in the browser: the calendar of working days, the classes, the data standards. */
import t from 'tap'
import { noBrowser } from '../support/browser.ts'
import { barriers, openConsole, settled } from './fixture.ts'

t.test('a year of the calendar is put, pasted at once, and corrected', { skip: noBrowser }, async (t) => {
  const console = await openConsole(t)
  const office = await console.open('city', 'office')
  const { page, complaints } = office
  const known = async () =>
    (await console.city.as('city', 'office').get('/calendars')).body.items as {
      year: number
      holidays: string[]
      source: string
      from: string
    }[]
  const year = Math.max(...(await known()).map((one) => one.year)) + 1
  await page.goto(`${console.origin}/calendars`)
  await page.click(`main .ant-btn-primary:has-text("${year}")`)
  await page.waitForSelector('[role=dialog]')
  t.equal(await page.inputValue('#year'), String(year), 'the year that comes next')
  t.same(await barriers(page), [], 'the dialog')
  await page.fill('#source', '通知')
  await page.click('#holidays')
  await page.keyboard.insertText(`${year}-01-01/${year}-01-03 ${year}-05-01`)
  await page.keyboard.press('Enter')
  await page.click('#workdays')
  await page.keyboard.insertText(`${year}-13-40`)
  await page.keyboard.press('Enter')
  await page.click('[role=dialog] .ant-btn-primary')
  await page.waitForSelector('[role=dialog] [role=alert]')
  t.notOk(
    (await known()).some((one) => one.year === year),
    'what is no day is refused',
  )
  await page.click('#workdays')
  await page.keyboard.press('Backspace')
  await page.click('[role=dialog] .ant-btn-primary')
  await page.waitForSelector('[role=dialog]', { state: 'detached' })
  t.match(
    (await known()).find((one) => one.year === year),
    {
      source: '通知',
      holidays: [`${year}-01-01/${year}-01-03`, `${year}-05-01`],
      from: 'office',
    },
  )
  await page.waitForSelector(`main tbody tr:has-text("${year}"):has-text("市电子政务办填报")`)
  await settled(page)
  t.same(await barriers(page), [])
  await page.click('main tbody tr:first-child button')
  await page.fill('#source', '更正通知')
  await page.click('[role=dialog] .ant-btn-primary')
  await page.waitForSelector('[role=dialog]', { state: 'detached' })
  t.match(
    (await known()).find((one) => one.year === year),
    { source: '更正通知', holidays: [/01-01/, /05-01/] },
  )
  t.same(complaints.filter((line) => !/400/.test(line)), []) // prettier-ignore
  const user = await console.open('civil', 'user', { language: 'en', dark: true })
  await user.page.goto(`${console.origin}/calendars`)
  await user.page.waitForSelector('main tbody tr.ant-table-row')
  t.equal(await user.page.locator('main button').count(), 0, 'the office alone puts it')
  t.same(await barriers(user.page), [])
})

t.test('a class is added below another', { skip: noBrowser }, async (t) => {
  const console = await openConsole(t)
  const { page, complaints } = await console.open('city', 'office', { language: 'en', dark: true })
  await page.goto(console.origin)
  await page.click('nav.side a[href="/classifications"]')
  await page.waitForSelector('main tbody tr.ant-table-row')
  await page.fill('main .filters input', '302')
  await page.click('main tbody tr:has-text("302") button')
  await page.fill('#code', '302001')
  await page.fill('#zh', '市民政局')
  await page.fill('#en', 'civil affairs bureau')
  t.same(await barriers(page), [])
  await page.click('[role=dialog] .ant-btn-primary')
  await page.waitForSelector('[role=dialog]', { state: 'detached' })
  await page.waitForSelector('main tbody tr:has-text("civil affairs bureau")')
  t.same(await console.city.store.query(`select parent, zh from classification where code = '302001'`), [{ parent: '302', zh: '市民政局' }])
  await settled(page)
  t.same(await barriers(page), [])
  t.same(complaints, [])
})

t.test('a standard is drafted with pasted items, changed, published', { skip: noBrowser }, async (t) => {
  const console = await openConsole(t)
  const { page, complaints } = await console.open('city', 'office')
  await page.goto(`${console.origin}/standards`)
  await page.click('main .ant-btn-primary')
  await page.waitForURL(/\/standards\/new$/)
  await page.fill('#code', 'permits')
  await page.fill('#title', '行政许可')
  await page.fill('#abstract', '各单位作出的行政许可')
  await page.fill('#table', 'permits')
  await page.click('#subject')
  await page.click('.ant-select-item >> nth=0')
  await page.click('.item-grid .tools button >> nth=0')
  const rows = [
    ['标识', '名称', '类型', '长度', '主键', '公开属性'],
    ['number', '许可证号', '文本', '60', '是', '对外公开'],
    ['note', '备注', '文本', '500', '否', '对内公开'],
    ['nameless', '', '', '', '否', '对内公开'],
  ]
  await page.evaluate(`(() => {
    const data = new DataTransfer()
    data.setData('text/plain', ${JSON.stringify(rows.map((row) => row.join('\t')).join('\n'))})
    document.activeElement.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }))
  })()`)
  await page.click('main form .ant-btn-primary')
  await page.waitForSelector('main form [role=alert]')
  t.match(await page.locator('main form [role=alert]').innerText(), /信息项 · 第 3 行 · 信息项名称：未填写/, 'where it is wrong, in words')
  await page.click('.item-grid tbody tr:nth-child(4) .handle input')
  await page.click('.item-grid .tools button >> nth=1')
  await page.check('#optional input')
  t.same(await barriers(page), [], 'drafting')
  await page.click('main form .ant-btn-primary')
  await page.waitForURL(/\/standards\/permits$/)
  const read = async () => (await console.city.as('city', 'office').get('/standards/permits')).body
  t.match((await read()).draft, { title: '行政许可', optional: ['note'], items: [{ id: 'number', key: true }, { id: 'note' }] })
  await page.click('main a[href="/standards/permits/change"]')
  await page.fill('#title', '行政许可（双公示）')
  await page.click('main form .ant-btn-primary')
  await page.waitForURL(/\/standards\/permits$/)
  t.match((await read()).draft, { title: '行政许可（双公示）', items: [{ id: 'number' }, { id: 'note' }] }, 'the items are kept')
  await page.click('.desk .ant-btn-primary')
  await page.click('[role=dialog] .ant-btn-primary')
  await page.waitForSelector('[role=dialog]', { state: 'detached' })
  t.match(await read(), { state: 'published', form: { title: '行政许可（双公示）' } })
  await settled(page)
  t.same(await barriers(page), [])
  t.same(complaints.filter((line) => !/400/.test(line)), []) // prettier-ignore
})

t.test('the office confirms that the clock is right, with a reason on record', { skip: noBrowser }, async (t) => {
  const console = await openConsole(t)
  const health = { status: 'degraded', problems: [{ code: 'QZ-CLOCK-JUMPED', zh: '时钟不对', en: 'the clock jumped' }], paused: [] }
  const open = async (role: 'office' | 'supervisor') => {
    const seen = await console.open('city', role)
    await seen.page.route('**/api/v1/health', (route) => route.fulfill({ json: health }))
    await seen.page.goto(`${console.origin}/system`)
    await seen.page.waitForSelector('main tbody:has-text("时钟不对")')
    return seen
  }
  const supervisor = await open('supervisor')
  t.equal(await supervisor.page.locator('main .ant-btn-primary').count(), 0, 'the office alone')
  const { page, complaints } = await open('office')
  await page.click('main .ant-btn-primary')
  await page.fill('#reason', '已核对')
  t.same(await barriers(page), [])
  await page.click('[role=dialog] .ant-btn-primary')
  await page.waitForSelector('[role=dialog]', { state: 'detached' })
  t.match(await console.city.store.query(`select details from audit_entry where act = 'clock.confirm'`), [
    { details: { reason: '已核对' } },
  ])
  t.same(complaints, [])
})
