/** Registering in the browser: the grid of items, pasted, changed together, taken back; what is typed is saved by itself. */
import t from 'tap'
import type { Page } from 'playwright-core'
import { consoleMeta } from '../../hub/console/build-meta.ts'
import { noBrowser } from '../support/browser.ts'
import { until } from '../support/programs.ts'
import { publishResource } from '../../hub/registry/publishing/direct-publishing.ts'
import { villages } from '../hub/office.ts'
import { licences, register } from '../hub/registry/catalog/fixture.ts'
import { barriers, openConsole, type Console } from './fixture.ts'

const { values } = consoleMeta()
const types = ['text', 'integer', 'date', 'decimal'] as const

/** Forty columns of a table as somebody keeps them in a spreadsheet. */
const listed = Array.from({ length: 40 }, (_, at) => ({
  id: `item_${at}`,
  label: `\u4fe1\u606f${at}`,
  type: types[at % types.length]!,
  key: at === 0,
  openness: at % 7 === 0 ? 'public' : 'internal',
}))
const yesNo = (yes: boolean) => (yes ? '\u662f' : '\u5426')
const asPasted = [
  ['\u4fe1\u606f\u9879\u6807\u8bc6', '\u540d\u79f0', '\u7c7b\u578b', '\u4e3b\u952e', '\u516c\u5f00\u5c5e\u6027'],
  ...listed.map(({ id, label, type, key, openness }) => [
    id,
    label,
    values['type']![type]!.zh,
    yesNo(key),
    values['openness']![openness]!.zh,
  ]),
]
  .map((cells) => cells.join('\t'))
  .join('\r\n')

const console = noBrowser ? undefined : await openConsole(t)
let drafts = 0

async function draft({ city }: Console, items: object[] = []): Promise<string> {
  const registrar = city.as('civil', 'registrar')
  const { body } = await registrar.post('/registrations', { resource: `halls_${++drafts}`, content: { title: `Halls ${drafts}`, items } })
  return String(body.id)
}

const stored = async ({ city }: Console, id: string) => (await city.as('civil', 'registrar').get(`/registrations/${id}`)).body.content

/** What the clipboard holds comes as the browser gives it. */
const paste = (page: Page, text: string) =>
  page.evaluate(`{
    const data = new DataTransfer()
    data.setData('text/plain', ${JSON.stringify(text)})
    const place = document.activeElement.closest('.item-grid') ? document.activeElement : document.querySelector('.item-grid .rows')
    place.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }))
  }`)

const saved = (page: Page) => page.waitForSelector('form [role=status]:text-matches("\u5df2\u4fdd\u5b58|Saved")')
const changed = (page: Page) => page.waitForSelector('form [role=status]:text-matches("\u672a\u4fdd\u5b58|not saved|\u6b63\u5728|Saving")')

t.test('forty rows pasted, changed together, taken back, saved by itself', { skip: noBrowser }, async (t) => {
  const id = await draft(console!)
  const { page, complaints } = await console!.open('civil', 'registrar')
  await page.goto(`${console!.origin}/registrations/${id}`)
  await page.waitForSelector('.item-grid')
  await paste(page, asPasted)
  await page.waitForSelector('.item-grid tbody tr >> nth=39')
  await saved(page)
  const inDraft = async () => (await stored(console!, id)).items as typeof listed
  t.same(
    (await inDraft()).map(({ id, label, type, key, openness }) => ({ id, label, type, key: key ?? false, openness })),
    listed,
    'as it was listed',
  )
  t.same(await barriers(page), [])

  const openness = page.locator('.item-grid .tools select >> nth=0')
  await page.check('.item-grid tbody tr:nth-child(2) .handle input')
  await page.check('.item-grid tbody tr:nth-child(3) .handle input')
  await openness.selectOption('closed')
  await changed(page)
  await saved(page)
  const closed = async () => (await inDraft()).filter((item) => item.openness === 'closed').map((item) => item.id)
  t.same(await closed(), ['item_1', 'item_2'], 'of those that are chosen')
  await page.focus('.item-grid .rows')
  await page.keyboard.press('Control+z')
  await changed(page)
  await saved(page)
  t.same(await closed(), [], 'taken back')
  await page.keyboard.press('Control+z')
  await page.waitForSelector('.item-grid tbody tr', { state: 'detached' })
  t.same(complaints, [])
})

t.test('by keyboard only: cells, rows, a new row; all of it before submitting', { skip: noBrowser }, async (t) => {
  const id = await draft(console!, [{ id: 'code', label: 'Code', type: 'text', openness: 'internal' }])
  const { page, complaints } = await console!.open('civil', 'registrar', { language: 'en' })
  await page.goto(`${console!.origin}/registrations/${id}`)
  await page.focus('.item-grid tbody button')
  const { keyboard } = page
  await page.waitForSelector('tr.editing input:focus')
  await keyboard.press('Control+a')
  await keyboard.type('hall_code')
  await keyboard.press('Enter')
  await page.waitForSelector('tr.editing:nth-child(2) input:focus')
  await keyboard.type('name')
  await keyboard.press('Tab')
  await keyboard.type('Name of the hall')
  await keyboard.press('ArrowUp')
  await page.waitForSelector('tr.editing:nth-child(1)')
  // Nothing waits for the pause: what was typed goes before the dialog opens.
  await page.click('.desk button')
  await page.waitForSelector('[role=dialog]')
  const { items } = await stored(console!, id)
  t.match(items, [
    { id: 'hall_code', label: 'Code' },
    { id: 'name', name: 'name', label: 'Name of the hall', openness: 'internal' },
  ])
  t.same(await barriers(page), [])
  t.same(complaints, [])
})

t.test('what is to be mended leads to its place; a text of blanks is none; what few need is put away', { skip: noBrowser }, async (t) => {
  const { city, origin } = console!
  await register(city, 'water', licences(), { resource: 'water_ads' })
  const content = licences((c) => {
    c.contact = { phone: '22830000' } as never
    c.items.push({ id: 'bz', name: 'bz', label: 'bz', type: 'text', length: 100, openness: 'internal' })
  })
  const { body } = await city.as('civil', 'registrar').post('/registrations', { resource: 'civil_ads', content })
  const id = String(body.id)
  const { page, complaints } = await console!.open('civil', 'registrar')
  await page.goto(`${origin}/registrations/${id}`)
  await page.waitForSelector('.item-grid')
  t.match(await page.locator('.item-grid .tools').innerText(), /其中 1 项的名称还是标识/)
  const isOpen = async () => (await page.locator('details.more-fields').getAttribute('open')) !== null
  t.equal(await isOpen(), true, 'something is wrong in it')
  await page.click('details.more-fields summary')
  t.equal(await isOpen(), false)
  t.same(await barriers(page), [])
  await page.click('.fault-list button:has-text("联系人填写不全")')
  t.equal(await isOpen(), true)

  await page.click('.fault-list button:has-text("重复采集")')
  await page.waitForSelector('#exceptions input')
  t.equal(await page.inputValue('#exceptions tbody tr:nth-child(1) input >> nth=0'), 'place', 'the exception is begun')
  await page.click('.fault-list button:has-text("重复采集")')
  t.equal(await page.locator('#exceptions tbody tr').count(), 1, 'once')
  await saved(page)
  t.same((await stored(console!, id)).exceptions, [{ item: 'place' }], 'half of it is kept')

  await page.fill('#abstract', ' \n ')
  await changed(page)
  await saved(page)
  t.notOk('abstract' in (await stored(console!, id)))
  await page.click('.desk .ant-btn-primary')
  await page.waitForSelector('[role=dialog]')
  t.match(await page.locator('[role=dialog]').innerText(), /还有 \d 处待改/)
  await page.click('[role=dialog] .ant-btn:not(.ant-btn-primary) >> nth=0')
  await page.waitForSelector('[role=dialog]', { state: 'detached' })
  await page.fill('#exceptions tbody tr input >> nth=1', '《户外广告条例》第五条')
  await page.fill('#abstract', '户外广告设置许可')
  await page.fill('#contact_name', '张三')
  await page.waitForSelector('.fault-list', { state: 'detached' })
  t.same(complaints, [])
})

t.test('two people at one draft: who comes second is told, and nothing is lost', { skip: noBrowser }, async (t) => {
  const id = await draft(console!)
  const { page, complaints } = await console!.open('civil', 'registrar')
  await page.goto(`${console!.origin}/registrations/${id}`)
  await page.waitForSelector('.item-grid')
  const registrar = console!.city.as('civil', 'registrar')
  t.equal((await registrar.post(`/registrations/${id}/change`, { content: { abstract: 'theirs' } })).status, 200)
  await page.fill('#abstract', 'mine')
  await page.waitForSelector('form [role=alert]')
  t.match(await page.locator('form [role=alert]').innerText(), /QZ-REVISION/)
  t.equal((await stored(console!, id)).abstract, 'theirs')
  t.equal(await page.inputValue('#abstract'), 'mine', 'what was typed is still there to be copied')
  await page.click('form .wide:has([role=alert]) button >> nth=-1')
  await until('theirs is shown', async () => (await page.inputValue('#abstract')) === 'theirs')
  await page.fill('#abstract', 'both')
  await saved(page)
  t.equal((await stored(console!, id)).abstract, 'both')
  t.same(complaints.filter((line) => !/409|412/.test(line)), []) // prettier-ignore
})

t.test('four hundred items: one row has inputs, and typing changes one row', { skip: noBrowser }, async (t) => {
  const items = Array.from({ length: 400 }, (_, at) => ({ id: `i${at}`, label: `L${at}`, type: 'text', openness: 'internal' }))
  const id = await draft(console!, items)
  const { page, complaints } = await console!.open('civil', 'registrar')
  await page.goto(`${console!.origin}/registrations/${id}`)
  await page.click('.item-grid tbody tr:nth-child(200) td:nth-child(3)')
  await page.waitForSelector('tr.editing input:focus')
  t.ok((await page.locator('.item-grid tbody :is(input:not(.handle input), select)').count()) < 30)
  await page.evaluate(`{
    window.touched = new Set()
    const rows = [...document.querySelectorAll('.item-grid tbody tr')]
    new MutationObserver((changes) => changes.forEach(({ target }) => touched.add(rows.indexOf((target.nodeType === 1 ? target : target.parentElement).closest('tr')))))
      .observe(document.querySelector('.item-grid tbody'), { subtree: true, childList: true, characterData: true, attributes: true })
  }`)
  await page.keyboard.type('new')
  await changed(page)
  t.same(await page.evaluate('[...touched].filter((at) => at !== 199)'), [], 'no other row is drawn')
  t.same(complaints, [])
})

t.test('no machine yet: it says how one comes to be, and which other ways there are', { skip: noBrowser }, async (t) => {
  const { page, complaints } = await console!.open('civil', 'registrar')
  await page.goto(`${console!.origin}/registrations/new`)
  await page.waitForSelector('main p:has-text("本单位还没有在用的前置机")')
  t.notMatch(await page.locator('main').innerText(), /GET |POST |agent/)
  t.same(await barriers(page), [])
  t.same(complaints, [])
})

t.test('the only values of an item: what is wrong with them is said, what another item has is taken', { skip: noBrowser }, async (t) => {
  const { city, origin } = console!
  const sex = { id: 'sex', name: 'sex', label: '性别', type: 'text', length: 1, openness: 'internal' } as const
  const listed = [
    { value: '1', label: '男' },
    { value: '2', label: '女' },
  ]
  const form = JSON.stringify({ title: '人口标准', items: [{ ...sex, dictionary: listed }] })
  await city.store.query(`insert into standard (code, state, version, form) values ('people', 'published', 1, $1)`, [form])
  const id = await draft(console!, [sex])
  const { page, complaints } = await console!.open('civil', 'registrar')
  await page.goto(`${origin}/registrations/${id}`)
  await page.click('.item-grid tbody td:last-child button')
  const text = page.locator('[role=dialog] textarea')
  await text.fill('1 男\n1 女\n未知')
  await page.waitForSelector('[role=dialog] [role=alert]')
  t.match(await page.locator('[role=dialog] [role=alert]').innerText(), /第 2 行：值 1 重复[^]*第 3 行：值 未知 超过长度 1/)
  t.ok(await page.isDisabled('[role=dialog] .ant-btn-primary'))
  t.same(await barriers(page), [])
  await page.click('[role=dialog] button:has-text("查找目录和标准")')
  await page.click('[role=dialog] button:has-text("采用此字典")')
  t.equal(await text.inputValue(), '1 男\n2 女')
  await page.click('[role=dialog] .ant-btn-primary')
  await page.waitForSelector('.item-grid tbody td:last-child:has-text("字典 2 值")')
  await saved(page)
  t.same((await stored(console!, id)).items[0].dictionary, listed)
  t.same(complaints, [])
})

t.test('a change of what is in force: the reviewer sees what it changes', { skip: noBrowser }, async (t) => {
  const { city, origin } = console!
  await publishResource(city, 'admin', { schema: villages() })
  const { items } = villages()
  const changed = items.filter(({ id }) => id !== 'street').map((item) => (item.id === 'name' ? { ...item, label: '村居全称' } : item))
  const [{ id }] = (await city.store.query<{ id: string }>(
    `insert into registration (agency, resource, base, content, state, drafted_by, drafted_at, created_at)
     select 'civil', 'villages', number, jsonb_set(content, '{items}', $1), 'submitted', 'nobody', now(), now()
     from catalog_version where resource = 'villages' returning id`,
    [JSON.stringify(changed)],
  )) as [{ id: string }]
  const { page, complaints } = await console!.open('civil', 'reviewer')
  await page.goto(`${origin}/registrations/${id}`)
  await page.waitForSelector('.diff tbody tr')
  const rows = await page.locator('.diff tbody tr').allInnerTexts()
  t.match(rows.join('\n'), /✕ 删除信息项\s+街道[^]*◐ 修改信息项\s+村居全称 · 信息项名称\s+名称\s+村居全称/)
  t.same(await barriers(page), [])
  t.same(complaints, [])
})
