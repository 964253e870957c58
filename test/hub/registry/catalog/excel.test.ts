import t from 'tap'
import { readWorkbook } from '../../../../protocol/excel/read.ts'
import { writeWorkbook } from '../../../../protocol/excel/write.ts'
import { excelType } from '../../../../hub/operations/operation.ts'
import { valueNamed } from '../../../../hub/registry/catalog/labels.ts'
import { itemColumns } from '../../../../hub/registry/catalog/sheets.ts'
import { openCity, type Answer } from '../../city.ts'
import { licences, register, submitAndPublish, textItem } from './fixture.ts'

type Sheets = Record<string, (string | null)[][]>

async function sheetsOf(bytes: Buffer): Promise<Sheets> {
  const workbook = await readWorkbook(bytes)
  const sheets: Sheets = {}
  for (const sheet of workbook.sheets.filter(({ hidden }) => !hidden)) {
    sheets[sheet.name] = (await Array.fromAsync(sheet.rows())).map(({ cells }) => [...cells])
  }
  workbook.close()
  return sheets
}

/** The workbook with some cells changed. */
function rewritten(
  sheets: Sheets,
  change: (set: (sheet: string, row: number, header: string, value: string | null) => void) => void,
): Promise<Buffer> {
  const copy = structuredClone(sheets)
  change((sheet, row, header, value) => {
    const at = copy[sheet]![0]!.findIndex((cell) => cell?.replace('*', '') === header)
    copy[sheet]![row]![at] = value
  })
  return writeWorkbook({
    sheets: Object.entries(copy).map(([name, [headers, ...rows]]) => ({
      name,
      columns: headers!.map((header) => ({ header: header! })),
      rows,
    })),
  })
}

const rich = licences((c) => {
  c.sharing = 'conditional'
  c.sharingConditions = '须经同意'
  c.shareModes = ['query', 'exchange']
  c.openWithConditions = '注明来源'
  c.region = '441900'
  c.keywords = ['广告', '许可']
  c.storedClosed = ['phone']
  c.items[2]!.check = { kind: 'uscc', on: 'reject' }
  c.items.push(
    textItem('phone', '电话', { openness: 'closed' }),
    { id: 'fee', name: 'fee', label: '费用', type: 'decimal', precision: 12, scale: 2, openness: 'public', required: true },
    textItem('idno', '证件号码', { check: { kind: 'identity-number', on: 'warn', when: { item: 'place', equals: ['身份证', '111'] } } }),
  )
})

t.test('what is exported is imported again, cell for cell, as drafts', async (t) => {
  const city = await openCity(t)
  const registrar = city.as('civil', 'registrar')
  t.equal((await register(city, 'civil', rich, { resource: 'ads' })).status, 200)
  const exported = await city.as('water', 'user').get('/catalog/export?agency=civil')
  t.match(exported, { status: 200, type: excelType })
  const sheets = await sheetsOf(exported.bytes)
  const [headers, row] = sheets['信息资源 Resources']!
  t.ok(headers!.includes('信息资源名称') && headers!.includes('更新周期'))
  t.ok(row!.includes('有条件共享') && row!.includes('数据查询、数据交换') && row!.includes('302000/000001') && row!.includes('每日'))
  t.match(await registrar.upload('/catalog/import', excelType, exported.bytes), {
    status: 200,
    body: { items: [{ resource: 'ads', outcome: 'unchanged', registration: null }] },
  })

  const longer = await rewritten(sheets, (set) => {
    set('信息资源 Resources', 1, '信息资源摘要', '新摘要')
    set('信息项 Items', 4, '数据长度', '300')
  })
  const { body } = await registrar.upload('/catalog/import', excelType, longer)
  t.match(body.items, [{ resource: 'ads', outcome: 'created', faults: 0 }])
  const id = body.items[0].registration as string
  const { changes, state } = (await registrar.get(`/registrations/${id}`)).body
  t.equal(state, 'draft', 'nothing is published')
  t.match(changes, {
    added: [],
    removed: [],
    metadata: [{ field: 'abstract' }],
    changed: [{ item: 'place', fields: [{ field: 'length', after: 300 }] }],
  })
  t.equal((await registrar.get('/resources/ads')).body.catalogVersion, 1)
  t.equal((await registrar.upload('/catalog/import', excelType, longer)).body.items[0].outcome, 'unchanged', 'the same file again')
  t.match((await registrar.upload('/catalog/import', excelType, exported.bytes)).body.items, [{ outcome: 'changed', registration: id }])
  await registrar.upload('/catalog/import', excelType, longer)
  t.equal((await submitAndPublish(city, 'civil', id)).status, 200)
  t.same((await registrar.get('/resources/ads')).body.content, {
    ...rich,
    abstract: '新摘要',
    items: rich.items.map((item) => (item.id === 'place' ? { ...item, length: 300 } : item)),
  })
})

t.test('an emptied cell is emptied; a column that is not there changes nothing', async (t) => {
  const city = await openCity(t)
  const registrar = city.as('civil', 'registrar')
  await register(city, 'civil', rich, { resource: 'ads' })
  const sheets = await sheetsOf((await registrar.get('/catalog/export?agency=civil')).bytes)
  const emptied = await rewritten(sheets, (set) => {
    set('信息资源 Resources', 1, '开放条件', null)
    set('信息资源 Resources', 1, '关键字', null)
    set('信息资源 Resources', 1, '信息资源摘要', null)
  })
  const { body } = await registrar.upload('/catalog/import', excelType, emptied)
  t.match(body.items, [{ resource: 'ads', outcome: 'created', faults: 1 }], 'an abstract there must be')
  const { content } = (await registrar.get(`/registrations/${body.items[0].registration}`)).body
  t.match(content, { keywords: [], region: '441900', items: { length: rich.items.length } })
  t.notOk('openWithConditions' in content || 'abstract' in content)
  t.match((await registrar.upload('/catalog/import', excelType, emptied)).body.items, [{ outcome: 'unchanged' }])
  const [headers, row] = sheets['信息资源 Resources']!
  const at = headers!.indexOf('行政区划代码')
  const without = { ...sheets, '信息资源 Resources': [headers!, row!].map((line) => line.toSpliced(at, 1)) }
  t.match((await registrar.upload('/catalog/import', excelType, await rewritten(without, () => {}))).body.items, [
    { outcome: 'changed', faults: 0 },
  ])
  const again = (await registrar.get(`/registrations/${body.items[0].registration}`)).body.content
  t.match(again, { region: '441900', openWithConditions: '注明来源' })
})

t.test('new resources from the template: what is missing waits in the draft', async (t) => {
  const city = await openCity(t)
  const registrar = city.as('civil', 'registrar')
  const template = await registrar.get('/catalog/template')
  const sheets = await sheetsOf(template.bytes)
  t.notOk(sheets['信息资源 Resources']![0]!.includes('信息资源代码'), 'the template asks only for what is entered')
  for (const name of Object.keys(sheets)) sheets[name]!.push(sheets[name]![0]!.map(() => null))
  const filled = await rewritten(sheets, (set) => {
    set('信息资源 Resources', 1, '资源标识', 'new-one')
    set('信息资源 Resources', 1, '信息资源名称', '新资源')
    set('信息资源 Resources', 1, '记载主体', '自然人')
    set('信息资源 Resources', 1, '许可资质资格', '否')
    set('信息项 Items', 1, '资源标识', 'new-one')
    set('信息项 Items', 1, '信息项标识', 'idno')
    set('信息项 Items', 1, '信息项名称', '身份证号')
    set('信息项 Items', 1, '数据类型', '文本')
    set('信息项 Items', 1, '基本元数据', '身份证件号码')
  })
  const { body } = await registrar.upload('/catalog/import', excelType, filled)
  t.match(body.items, [{ resource: 'new-one', outcome: 'created' }])
  t.ok(body.items[0].faults > 3)
  const draft = (await registrar.get(`/registrations/${body.items[0].registration}`)).body
  t.match(draft.content, {
    title: '新资源',
    subject: 'person',
    items: [{ id: 'idno', name: 'idno', type: 'text', role: 'certificate-number' }],
  })
})

t.test('every fault is named with its cell, and nothing is kept', async (t) => {
  const city = await openCity(t)
  await register(city, 'civil', rich, { resource: 'ads' })
  const sheets = await sheetsOf((await city.as('civil', 'user').get('/catalog/export')).bytes)
  const faulty = await rewritten(sheets, (set) => {
    set('信息资源 Resources', 1, '更新周期', '每年')
    set('信息资源 Resources', 1, '行政区划代码', '东莞')
    set('信息资源 Resources', 1, '许可资质资格', '也许')
    set('信息项 Items', 2, '数据长度', '很长')
    set('信息项 Items', 3, '列名', '机构')
    set('信息项 Items', 4, '资源标识', 'other')
    set('信息项 Items', 5, '信息项标识', null)
  })
  const refused = await city.as('civil', 'registrar').upload('/catalog/import', excelType, faulty)
  t.match(refused, { status: 422, body: { code: 'QZ-EXCEL' } })
  const { zh } = refused.body.detail
  t.match(refused.body.faults[0], { at: /^信息资源 Resources!\w+2$/, zh: /须为/, en: /[a-z]/ }, 'each fault by itself, too')
  t.match(zh, /信息资源 Resources!\w+2: “每年”须为：实时、每日/)
  t.match(zh, /信息资源 Resources!\w+2: 须填“是”或“否”/)
  t.match(zh, /信息项 Items!\w+3: 不是整数/)
  t.match(zh, /信息项 Items!A5: .*没有此资源/)
  t.match(zh, /信息项 Items!\w+6: 必填/)
  const shape = await rewritten(sheets, (set) => {
    set('信息资源 Resources', 1, '行政区划代码', '东莞')
    set('信息项 Items', 3, '列名', '机构')
  })
  const shaped = (await city.as('civil', 'registrar').upload('/catalog/import', excelType, shape)).body.detail.zh
  t.match(shaped, /信息资源 Resources!\w+2: 不符合要求/)
  t.match(shaped, /信息项 Items!C4: 不符合要求|信息项 Items!D4: 不符合要求/)
  t.same((await city.as('civil', 'registrar').get('/registrations?state=draft')).body.items, [])

  const others = (answer: Answer) => answer.body.detail.zh as string
  t.match(others(await city.as('water', 'registrar').upload('/catalog/import', excelType, await rewritten(sheets, () => {}))), /不是本单位/)
  const { body } = await city.as('civil', 'registrar').post('/registrations', { resource: 'ads' })
  await city.as('civil', 'registrar').post(`/registrations/${body.id}/submit`, { secrecy: { reviewed: true, by: 'x' } })
  t.match(others(await city.as('civil', 'registrar').upload('/catalog/import', excelType, await rewritten(sheets, () => {}))), /正在审核/)
  t.equal((await city.as('civil', 'reviewer').upload('/catalog/import', excelType, await rewritten(sheets, () => {}))).status, 403)
})

t.test('words and lists in half-width and full-width forms mean the same', async (t) => {
  for (const word of ['日期时间(时区)', '日期时间\uff08时区\uff09']) t.equal(valueNamed('type', word), 'timestamptz', word)
  const { cell } = itemColumns.find(({ key }) => key === 'dictionary')!
  const value = ['1', '2', '3', '4', '5'].map((value) => ({ value, label: `l${value}` }))
  t.same(cell.read('1=l1、2\uff1dl2\uff0c3=l3\uff1b4=l4,5=l5'), { value })
})

t.test('the open part as DCAT: only public items, only what is shared and in force', async (t) => {
  const city = await openCity(t)
  await register(city, 'civil', rich, { resource: 'ads' })
  const hidden = licences((c) => {
    c.title = '内部'
    for (const item of c.items) item.openness = 'internal'
  })
  await register(city, 'civil', hidden, { resource: 'hidden' })
  const answer = await city.as('water', 'user').get('/catalog/dcat')
  t.match(answer.type, /application\/ld\+json/)
  const [agencyScope, ...more] = JSON.parse(answer.text)['dcat:dataset']
  t.same(more, [])
  t.match(agencyScope, {
    'dct:identifier': '302000/000001',
    'dct:publisher': { 'foaf:name': { '@value': '民政局' } },
    'dct:accrualPeriodicity': { '@id': /DAILY$/ },
    'dct:accessRights': { 'dct:description': { '@value': '注明来源' } },
  })
  t.same(
    agencyScope['csvw:column'].map((column: any) => column['csvw:name']),
    ['holder', 'fee'],
  )
  await city.as('city', 'secrecy').post('/resources/ads/stop', { reason: '核查' })
  t.same(JSON.parse((await city.as('water', 'user').get('/catalog/dcat')).text)['dcat:dataset'], [])
})
