/** Supplying in the browser: rows by form, a workbook by Excel; and a resource from its registration by hand to its publication. */
import t from 'tap'
import { publishResource } from '../../hub/registry/publishing/direct-publishing.ts'
import { runnerOf, standing } from '../hub/supply/excel/fixture.ts'
import { villages } from '../hub/office.ts'
import { workbook } from '../support/workbook.ts'
import { noBrowser } from '../support/browser.ts'
import { barriers, openConsole } from './fixture.ts'

const rowsOf = async (console: Awaited<ReturnType<typeof openConsole>>) =>
  (await standing({ registrar: console.city.as('civil', 'registrar') })).map(({ code, name }) => `${code} ${name}`)

t.test('a row is entered, corrected, deleted; who comes too late is told', { skip: noBrowser }, async (t) => {
  const console = await openConsole(t)
  await publishResource(console.city, 'admin', { schema: villages(), supplyMode: 'form' })
  const { page, complaints } = await console.open('civil', 'registrar')
  await page.goto(`${console.origin}/resources/villages`)
  await page.click('.desk .ant-btn-primary')
  await page.waitForURL(/\/rows$/)
  const save = async () => {
    await page.click('[role=dialog] .ant-btn-primary')
    await page.waitForSelector('[role=dialog]', { state: 'detached' })
  }
  await page.click('main .ant-btn-primary')
  await page.fill('#code', '441900003001')
  await page.fill('#name', '岗贝社区')
  t.same(await barriers(page), [])
  await save()
  t.same(await rowsOf(console), ['441900003001 岗贝社区'])

  await page.click('main tbody button')
  await page.fill('#name', '岗贝社区居委会')
  await save()
  t.same(await rowsOf(console), ['441900003001 岗贝社区居委会'])

  // Somebody else is faster.
  await page.click('main tbody button')
  await page.waitForSelector('[role=dialog]')
  const registrar = console.city.as('civil', 'registrar')
  const [{ position }] = (await registrar.get('/resources/villages/rows')).body.items
  const values = { code: '441900003001', name: '别人改的' }
  t.equal((await registrar.put('/resources/villages/rows', { values, seen: position })).status, 200)
  await page.fill('#name', '晚了一步')
  await page.click('[role=dialog] .ant-btn-primary')
  await page.waitForSelector('[role=dialog] [role=alert]')
  t.same(await rowsOf(console), ['441900003001 别人改的'], 'nothing is lost')
  await page.keyboard.press('Escape')
  await page.reload()
  await page.click('main tbody button')
  await page.click('[role=dialog] .ant-btn-dangerous')
  await page.click('.ant-modal-confirm .ant-btn-dangerous')
  await page.waitForSelector('[role=dialog]', { state: 'detached' })
  t.same(await rowsOf(console), [])
  t.same(complaints.filter((line) => !/409|412/.test(line)), []) // prettier-ignore
})

t.test('a workbook is checked, mended, taken', { skip: noBrowser }, async (t) => {
  const console = await openConsole(t)
  const { city } = console
  await publishResource(city, 'admin', { schema: villages(), supplyMode: 'excel' })
  const runner = runnerOf(t, city)
  const { page, complaints } = await console.open('civil', 'registrar', { language: 'en' })
  await page.goto(`${console.origin}/resources/villages`)
  await page.click('.desk .ant-btn-primary')
  await page.waitForURL(/\/excel$/)
  const upload = async (rows: string[][]) => {
    const buffer = workbook([['区划代码', '名称', '街道'], ...rows])
    await page.setInputFiles('input[type=file]', { name: 'rows.xlsx', mimeType: 'application/octet-stream', buffer })
    await page.waitForSelector(`main section >> nth=${rows.length - 1}`)
    await runner.settle()
  }
  await upload([['', '没有代码', '']])
  await page.waitForSelector('main .fault-list li')
  t.equal(await page.locator('main section .ant-btn-primary').count(), 0, 'what is wrong cannot be taken')
  t.same(await barriers(page), [])
  await upload([['441900003001', '岗贝社区', '莞城'], ['441900003002', '北隅社区', '莞城']]) // prettier-ignore
  await page.click('main section .ant-btn-primary')
  await page.click('[role=dialog] .ant-btn-primary')
  await page.waitForSelector('[role=dialog]', { state: 'detached' })
  await runner.settle()
  await page.waitForSelector('main section:has-text("Import") .number:has-text("new 2")')
  t.same(await rowsOf(console), ['441900003001 岗贝社区', '441900003002 北隅社区'])
  t.same(complaints, [])
})

t.test('registered by hand, submitted, published by another person', { skip: noBrowser }, async (t) => {
  const console = await openConsole(t)
  const { page, complaints } = await console.open('civil', 'registrar')
  await page.goto(`${console.origin}/registrations`)
  await page.click('main .ant-btn-primary')
  await page.fill('#resource', 'halls')
  await page.fill('#title', '社区服务大厅')
  await page.click('main .ant-btn-primary')
  await page.waitForURL(/\/registrations\/\d+$/)
  const { pathname } = new URL(page.url())
  await page.waitForSelector('.fault-list li')
  const faults = page.locator('.fault-list li')
  t.ok((await faults.count()) > 3, 'all that is missing is listed')
  const choose = async (field: string, option: string) => {
    await page.click(`#${field}`)
    await page.click(`.ant-select-dropdown:visible .ant-select-item-option:has-text("${option}")`)
  }
  await page.fill('#abstract', '全市社区服务大厅的名称和地址')
  await page.fill('#classification', '103')
  await page.click('.ant-select-dropdown:visible .ant-select-item-option:has-text("103 ")')
  await choose('sharing', '无条件共享')
  await choose('cycle', '每月')
  await choose('supplyMode', '在线表单录入')
  await choose('subject', '其他')
  const items = [
    { id: 'code', label: '编号', type: 'text', length: '20', key: true, role: '' },
    { id: 'matter', label: '事项', type: 'text', length: '100', role: 'matter' },
    { id: 'agency', label: '实施机关', type: 'text', length: '100', role: 'implementing-agency' },
    { id: 'handled_at', label: '办理时间', type: 'timestamp', length: '', role: 'handled-at' },
  ]
  const rows = page.locator('.rows tbody tr')
  for (const [at, { id, label, type, length, key, role }] of items.entries()) {
    await page.click('button:has-text("增加一行") >> nth=0')
    const row = rows.nth(at)
    await row.getByLabel('信息项标识', { exact: true }).fill(id)
    await row.getByLabel('信息项名称', { exact: true }).fill(label)
    await row.getByLabel('数据类型', { exact: true }).selectOption(type)
    if (length !== '') await row.getByLabel('数据长度', { exact: true }).fill(length)
    if (key) await row.getByLabel('主键', { exact: true }).check()
    await row.getByLabel('公开属性', { exact: true }).selectOption('internal')
    if (role !== '') await row.getByLabel('基本元数据', { exact: true }).selectOption(role)
  }
  await page.click('main form [type=submit]')
  await page.waitForSelector('form [role=status]:has-text("已保存")')
  await page.waitForSelector('.fault-list', { state: 'detached' })
  t.same(await barriers(page), [])
  await page.click('.desk .ant-btn-primary')
  await page.fill('[role=dialog] [id$=by]', '张三')
  await page.click('[role=dialog] [type=checkbox]')
  await page.click('[role=dialog] .ant-btn-primary')
  await page.waitForSelector('[role=dialog]', { state: 'detached' })
  // There is no machine to ask for its tables.
  t.same(complaints.filter((line) => !/422/.test(line)), []) // prettier-ignore

  const reviewer = await console.open('civil', 'reviewer')
  await reviewer.page.goto(console.origin + pathname)
  await reviewer.page.click('.desk .ant-btn-primary')
  await reviewer.page.click('[role=dialog] .ant-btn-primary')
  await reviewer.page.waitForSelector('[role=dialog]', { state: 'detached' })
  const found = await console.city.as('water', 'user').get('/resources/halls')
  t.match(found.body, { state: 'active', content: { title: '社区服务大厅', supplyMode: 'form', items: items.map(({ id }) => ({ id })) } })
  t.same(reviewer.complaints, [])
})
