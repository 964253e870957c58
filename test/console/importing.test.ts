/** People and agencies from a file: looked at, shown, taken as a whole, by whose job it is. */
import iconv from 'iconv-lite'
import t from 'tap'
import { workbook } from '../support/workbook.ts'
import { noBrowser } from '../support/browser.ts'
import { barriers, openConsole, settled, type Seen } from './fixture.ts'

const head = ['单位代码', '登录名', '姓名', '电子邮箱', '电话', '角色']

async function choose({ page }: Seen, rows: string[][]): Promise<void> {
  await page.setInputFiles('main input[type=file]', { name: 'rows.xlsx', mimeType: 'application/octet-stream', buffer: workbook(rows) })
}

t.test('people from a file, their roles by another administrator', { skip: noBrowser }, async (t) => {
  const console = await openConsole(t)
  const { city, origin } = console
  const people = () => city.store.query<{ login: string }>(`select login from person where login like 'new.%' order by login`)
  const system = await console.open('city', 'system-admin')
  await system.page.goto(`${origin}/people`)
  await system.page.click('main a[href="/people/import"]')
  await system.page.waitForSelector('main input[type=file]', { state: 'attached' })
  await choose(system, [head, ['civil', 'new.one', '新一', '', '', '登记员'], ['nowhere', 'new.two', '新二', '不是邮箱']])
  await system.page.waitForSelector('main .fault-list')
  const faults = await system.page.locator('main .fault-list li').allInnerTexts()
  t.match(faults, [/A3：没有在用的单位 nowhere/, /D3：不是邮箱地址/])
  t.equal(await system.page.locator('main section').count(), 0, 'nothing to confirm')
  t.same(await barriers(system.page), [], 'faults')
  const rows = [head, ['civil', 'new.one', '新一', '', '', '登记员'], ['water', 'new.two', '新二', 'new@example.gov.cn']]
  await choose(system, rows)
  await system.page.waitForSelector('main section .ant-btn-primary')
  t.match(await system.page.locator('main section .number').innerText(), /新增 2 · 修改 0 · 不变 0/)
  t.same(await people(), [], 'looked at, and nobody is made')
  t.same(await barriers(system.page), [], 'looked at')
  // By keyboard.
  await system.page.focus('main section .ant-btn-primary')
  await system.page.keyboard.press('Enter')
  await system.page.waitForSelector('[role=dialog]')
  t.same(await people(), [])
  await system.page.keyboard.press('Enter')
  await system.page.waitForSelector('main section code.link')
  t.same(await people(), [{ login: 'new.one' }, { login: 'new.two' }])
  t.equal(await system.page.locator('main section code.link').count(), 2, 'their links')
  t.same(await barriers(system.page), [], 'taken')
  // The same from CSV, as a spreadsheet of a Chinese office saves it.
  const csv = iconv.encode(rows.map((cells) => cells.join(',')).join('\r\n'), 'gb18030')
  const sent = system.page.waitForRequest((request) => request.method() === 'POST')
  await system.page.setInputFiles('main input[type=file]', { name: '人员.csv', mimeType: 'application/vnd.ms-excel', buffer: csv })
  t.equal((await sent).headers()['content-type'], 'text/csv')
  await system.page.waitForSelector('main section:has-text("无需导入")')
  t.same(system.complaints.filter((line) => !/422/.test(line)), []) // prettier-ignore

  const security = await console.open('city', 'security-admin', { language: 'en', dark: true })
  await security.page.goto(`${origin}/people/import`)
  await security.page.waitForSelector('main input[type=file]', { state: 'attached' })
  await choose(security, rows)
  await security.page.waitForSelector('main section .ant-btn-primary')
  const shown = await security.page.locator('main section tbody').innerText()
  t.match(shown, /roles — → registrar/)
  await security.page.click('main section .ant-btn-primary')
  await security.page.click('[role=dialog] .ant-btn-primary')
  await security.page.waitForSelector('main section .ant-alert-success')
  const [one] = await city.store.query<{ roles: string[] }>(
    `select array(select role from person_role where person = p.id) as roles from person p where login = 'new.one'`,
  )
  t.same(one?.roles, ['registrar'])
  t.same(await barriers(security.page), [])
  t.same(security.complaints, [])
  const acts = await city.store.query<{ act: string }>(
    `select act from audit_entry where act in ('person.create', 'person.roles') and at > now() - interval '1 hour' and outcome = 'done'`,
  )
  t.ok(acts.length >= 3, 'on record')

  const user = await console.open('civil', 'user')
  await user.page.goto(`${origin}/people`)
  await settled(user.page)
  t.equal(await user.page.locator('main a[href="/people/import"]').count(), 0, 'not whose job it is')
})

t.test('agencies from a file', { skip: noBrowser }, async (t) => {
  const console = await openConsole(t)
  const { city, origin } = console
  const office = await console.open('city', 'office', { language: 'en' })
  await office.page.goto(`${origin}/agencies/import`)
  await office.page.waitForSelector('main input[type=file]', { state: 'attached' })
  await choose(office, [
    ['Agency code', 'Agency name', 'Parent code'],
    ['civil', '民政局', 'city'],
    ['street', '东城街道', ''],
  ])
  await office.page.waitForSelector('main section .ant-btn-primary')
  t.match(await office.page.locator('main section tbody').innerText(), /agency above — → city/)
  t.same(await city.store.query(`select from agency where code = 'street'`), [], 'looked at')
  await office.page.click('main section .ant-btn-primary')
  await office.page.click('[role=dialog] .ant-btn-primary')
  await office.page.waitForSelector('main section .ant-alert-success')
  t.same(await city.store.query(`select name from agency where code = 'street'`), [{ name: '东城街道' }])
  t.same(await barriers(office.page), [])
  t.same(office.complaints, [])
})
