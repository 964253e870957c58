/** Taking a checked workbook: what may be taken, by whom, when, and what becomes of two at once. */
import t from 'tap'
import { buffer } from 'node:stream/consumers'
import { Readable } from 'node:stream'
import { Workbook } from '@cj-tech-master/excelts'
import { blockValues, openBatch, splitBatch } from '../../../../protocol/batch.ts'
import { readWorkbook } from '../../../../protocol/excel/read.ts'
import { openPostgresLog } from '../../../../hub/logs/postgres.ts'
import { person } from '../../city.ts'
import { supplyBy } from '../../office.ts'
import { openDataCity, places } from '../../sharing/fixture.ts'
import { workbook, type Cell } from '../../../support/workbook.ts'
import { check, excelCity, header, path, runnerOf, secondExcelHub, standing, take, xlsx, type ExcelCity } from './fixture.ts'

const rowsOf = (from: number, to: number, name = '名'): Cell[][] =>
  Array.from({ length: to - from }, (_, i): Cell[] => [String(from + i).padStart(4, '0'), `${name}${from + i}`, null])
const book = (...rows: Cell[][]) => workbook([header, ...rows])
const codes = async (excel: ExcelCity) => (await standing(excel)).map(({ code }) => code)

async function filled(test: Parameters<typeof excelCity>[0], count: number): Promise<ExcelCity> {
  const excel = await excelCity(test)
  await take(excel, await check(excel, book(...rowsOf(0, count))))
  return excel
}

void t.test('replacing the whole deletes what the file has not, and asks where that is much', async (t) => {
  const excel = await filled(t, 100)
  const few = await check(excel, book(...rowsOf(0, 10)))
  t.match(few.result, { same: 10, standing: 100, absent: 90 })
  t.match(await take(excel, few, 'replace'), {
    status: 409,
    code: 'QZ-IMPORT-DELETES',
    details: { deletes: 90, rows: 100 },
    detail: { zh: /现有 100 行中的 90 行.*删除的行数 90/ },
  })
  t.match(await take(excel, few, 'replace', { deletes: 89 }), { code: 'QZ-IMPORT-DELETES' })
  t.equal((await codes(excel)).length, 100)
  t.match(await take(excel, few, 'replace', { deletes: 90 }), { state: 'done', result: { same: 10, deleted: 90, batches: 1 } })
  t.same(
    await codes(excel),
    rowsOf(0, 10).map(([code]) => code),
  )
  const most = await check(excel, book(...rowsOf(1, 12)))
  t.match(await take(excel, most, 'replace'), { state: 'done', result: { created: 2, deleted: 1 } }, 'a tenth is not asked')
  const added = await check(excel, book(...rowsOf(20, 21)))
  t.match(await take(excel, added), { state: 'done', result: { created: 1, deleted: 0 } }, 'upsert deletes nothing')
  t.equal((await codes(excel)).length, 12)
  const empty = await check(excel, book())
  t.match(empty.result, { rows: 0, absent: 12, warnings: 2 })
  t.match(await take(excel, empty, 'replace'), { code: 'QZ-IMPORT-DELETES' })
  t.match(await take(excel, empty, 'replace', { deletes: 12 }), { state: 'done', result: { deleted: 12 } })
  t.same(await codes(excel), [])
})

void t.test('what has changed since the check is not taken over', async (t) => {
  const excel = await filled(t, 5)
  const mine = await check(excel, book(['0001', '我', null]))
  const colleague = { ...excel, registrar: await person(excel.city, excel.city.app, 'civil', 'registrar') }
  const theirs = await check(colleague, book(['0001', '他', null]))
  t.match(await take(colleague, theirs), { state: 'done', result: { changed: 1 } })
  t.match(await take(excel, mine), { code: 'QZ-IMPORT-REFUSED', detail: { zh: /数据已有变动（civil registrar，/ } })
  t.match(await standing(excel), [{}, { code: '0001', name: '他' }])
  const again = await check(excel, book(['0001', '我', null]))
  t.not(again.id, mine.id, 'the same file is checked anew')
  t.match(await take({ ...excel, registrar: colleague.registrar }, again), { status: 404 }, 'by whoever checked it')
  t.match(await take(excel, again), { state: 'done' })
  const later = await check(excel, book(['0002', '我', null]))
  await excel.city.store.query(
    `update resource_version set schema = jsonb_set(schema, '{items,1,dictionary}', '[{"value": "甲"}]') where resource = 'villages'`,
  )
  t.match(await take(excel, later), { code: 'QZ-IMPORT-REFUSED', detail: { zh: /目录已有变更/ } })
  t.match((await check(excel, book(['0002', '我', null]))).result, { rejects: 1 })
})

void t.test('of two people who import at once the second is told, and nothing is lost in silence', async (t) => {
  const excel = await filled(t, 10)
  const other = await secondExcelHub(t, excel.city)
  other.registrar = await person(other.city, other.city.app, 'civil', 'registrar')
  const [mine, theirs] = [await check(excel, book(...rowsOf(0, 10, '甲'))), await check(other, book(...rowsOf(0, 10, '乙')))]
  const asked = await Promise.all([
    excel.registrar.post(`${path}/import`, { check: mine.id, mode: 'upsert' }),
    other.registrar.post(`${path}/import`, { check: theirs.id, mode: 'upsert' }),
  ])
  t.same(
    asked.map(({ status }) => status).toSorted((a, b) => a - b),
    [200, 409],
  )
  t.match(asked.find(({ status }) => status === 409)!.body, { code: 'QZ-IMPORT-REFUSED', detail: { zh: /civil registrar 的导入正在进行/ } })
  await Promise.all([excel.runner.settle(), other.runner.settle()])
  const winner = asked[0].status === 200 ? '甲' : '乙'
  t.same(new Set((await standing(excel)).map(({ name }) => name![0])), new Set([winner]))
  const loser = asked[0].status === 200 ? { ...other, checked: theirs } : { ...excel, checked: mine }
  t.match(await take(loser, loser.checked), { code: 'QZ-IMPORT-REFUSED', detail: { zh: /数据已有变动/ } })
})

void t.test('the same file, person and resource is one job, however often and at however many hubs it is sent', async (t) => {
  const excel = await filled(t, 1)
  const other = await secondExcelHub(t, excel.city)
  const file = book(...rowsOf(0, 50))
  const sent = await Promise.all([excel, other, excel, other].map(({ registrar }) => registrar.upload(`${path}/check`, xlsx, file)))
  t.same(new Set(sent.map(({ body }) => body.id)).size, 1)
  t.equal((await excel.city.store.query('select from job_file')).length, 2, 'and one file')
  await excel.runner.settle()
  const { id } = sent[0]!.body
  t.match(await excel.registrar.upload(`${path}/check`, xlsx, file), { body: { id, state: 'done' } })
  const colleague = await person(excel.city, excel.city.app, 'civil', 'registrar')
  t.not((await colleague.upload(`${path}/check`, xlsx, file)).body.id, id)
  const imports = await Promise.all(
    [excel, other, excel].map(({ registrar }) => registrar.post(`${path}/import`, { check: id, mode: 'upsert' })),
  )
  t.same(new Set(imports.map(({ body }) => body.id)).size, 1)
  await Promise.all([excel.runner.settle(), other.runner.settle()])
  t.match(await take(excel, { id }), { state: 'done', id: imports[0]!.body.id, result: { created: 49, same: 1 } })
  t.equal((await excel.city.store.query(`select from supply_entry where act = 'row.import'`)).length, 2)
})

void t.test('who may', async (t) => {
  const excel = await filled(t, 2)
  const { city } = excel
  const checked = await check(excel, book(['9', '九', null]))
  for (const who of [
    city.as('water', 'registrar'),
    city.as('civil', 'user'),
    city.as('civil', 'reviewer'),
    city.as('city', 'office'),
    city.nobody,
  ]) {
    t.match((await who.upload(`${path}/check`, xlsx, book())).status, /40[13]/)
    t.match((await who.post(`${path}/import`, { check: checked.id, mode: 'upsert' })).status, /40[13]/)
    t.match((await who.get(`${path}/marked?check=${checked.id}`)).status, /40[13]/)
  }
  for (const who of [city.as('water', 'registrar'), city.as('civil', 'user'), city.as('water', 'reviewer')]) {
    t.match(await who.get(`/jobs/${checked.id}`), { status: 403 })
    t.match(await who.post(`/jobs/${checked.id}/cancel`), { status: 403 })
    t.same((await who.get('/jobs')).body.items, [])
  }
  const ids = (await excel.registrar.get('/jobs')).body.items.map(({ id }: { id: string }) => id)
  t.equal(ids.length, 3)
  for (const role of ['reviewer', 'agency-it'] as const) t.equal((await city.as('civil', role).get('/jobs')).body.items.length, 3, role)
  t.match(await city.as('civil', 'reviewer').get(`/jobs/${checked.id}`), { status: 200, body: { resource: 'villages' } })
  t.same(
    (await excel.registrar.get(`/jobs?sort=id&limit=2`)).body.items.map(({ id }: { id: string }) => id),
    ids.toReversed().slice(0, 2),
  )
  t.equal((await excel.registrar.get('/jobs?kind=excel.import&state=done&resource=villages')).body.items.length, 1)
  const key = (await city.as('city', 'security-admin').post('/keys', { agency: 'civil', name: '程序', role: 'registrar' })).body.secret
  if (key) t.match(await city.caller(key).upload(`${path}/check`, xlsx, book()), { status: 403 }, 'no machine')
  const acts = await city.store.query<{ act: string }>(
    `select act, actor, details from audit_entry where act ~ '^(excel|row)[.]' order by id`,
  )
  t.match(acts, [
    { act: 'excel.check', details: { job: ids[2], file: '村居名录.xlsx', sha256: /^[0-9a-f]{64}$/ } },
    { act: 'excel.import', details: { check: ids[2], mode: 'upsert' } },
    { act: 'row.import', actor: excel.registrar.principal.actor, details: { rows: 2, job: ids[1], file: '村居名录.xlsx' } },
    { act: 'excel.check' },
  ])
})

void t.test('forms and Excel do not both supply', async (t) => {
  const excel = await filled(t, 2)
  const rows = '/resources/villages/rows'
  t.match(await excel.registrar.post(rows, { values: { code: '5' } }), {
    status: 409,
    body: { code: 'QZ-FORM-CLOSED', detail: { zh: /EXCEL 导入/ } },
  })
  t.match((await excel.registrar.get('/resources/villages/form')).body, { closed: { en: /by Excel/ } })
  const checked = await check(excel, book(['9', '九', null]))
  await supplyBy(excel.city, 'form')
  t.match(await excel.registrar.upload(`${path}/check`, xlsx, book()), {
    status: 409,
    body: { code: 'QZ-FORM-CLOSED', detail: { zh: /在线表单/ } },
  })
  t.match(await take(excel, checked), { code: 'QZ-FORM-CLOSED' })
  t.match(await excel.registrar.post(rows, { values: { code: '5' } }), { status: 200 })
  t.match((await excel.registrar.get('/resources/villages/form')).body, { closed: null })
  await supplyBy(excel.city, 'excel')
  t.match(await take(excel, checked), { code: 'QZ-IMPORT-REFUSED' }, 'a row was entered since')
})

void t.test('the marked copy has the cells as they were, and what is wrong', async (t) => {
  const excel = await excelCity(t)
  const cells = ['  x ', '=1+1', '_x0041_', '\ttab\nline', '𠮷野家🍜', `'"<&>`, '00012']
  const file = workbook(
    [
      ['填报单位：民政局'],
      ['名称 (name)', '区划代码* (code)', '街道'],
      ...cells.map((cell, i): Cell[] => [cell, i % 2 ? String(i) : null, null]),
      [],
      ['x'.repeat(101), { n: '1.5' }, null],
    ],
    [['模板标识', 'qianzhi-template/1 villages 1 0123456789ab']].slice(1),
  )
  const checked = await check(excel, file)
  t.match(checked.result, { rejects: 5 })
  const marked = await excel.registrar.get(`${path}/marked?check=${checked.id}`)
  t.match(marked, { status: 200, type: xlsx })
  t.match(decodeURIComponent(String(marked.headers['content-disposition'])), /村居名录-检查意见\.xlsx/)
  const copy = new Workbook()
  await copy.xlsx.load(marked.bytes)
  t.same(
    copy.worksheets.map(({ name }) => name),
    ['数据', '表2', '检查结果'],
  )
  const own = await readWorkbook(marked.bytes)
  const rows = []
  for await (const row of own.sheets[0]!.rows()) rows.push(row.cells)
  own.close()
  const missing = '区划代码* (code)：必填'
  t.same(rows, [
    ['填报单位：民政局'],
    ['名称 (name)', '区划代码* (code)', '街道', '检查意见'],
    ...cells.map((cell, i) => (i % 2 ? [cell, String(i)] : [cell, null, null, missing])),
    ['x'.repeat(101), '1.5', null, '名称 (name)：超过 100 个字符'],
  ])
  t.match(JSON.stringify(copy.getWorksheet('检查结果')!.getSheetValues()), /超过 100 个字符/)
  // Corrected in the copy, it is taken: its own columns are not read.
  const sheet = copy.worksheets[0]!
  for (let row = 3; row <= 9; row++) if (sheet.getCell(row, 2).text === '') sheet.getCell(row, 2).value = `n${row}`
  sheet.getCell('A11').value = 'short'
  const again = await check(excel, Buffer.from(await copy.xlsx.writeBuffer()))
  t.match(again.result, { rejects: 0, warnings: 0, created: 8, template: 1 }, JSON.stringify(again.result))
  const odd = await check(
    excel,
    workbook([
      ['a', 'b'],
      ['1', '2'],
    ]),
  )
  const raw = await excel.registrar.get(`${path}/marked?check=${odd.id}&language=en`)
  t.match(JSON.stringify((await loaded(raw.bytes)).worksheets.map((one) => one.getSheetValues())), /"a".*"1".*there is no header/)
})

void t.test('the marked copy keeps formats, widths and sheets, and is marked again in the same places', async (t) => {
  const excel = await excelCity(t)
  const given = new Workbook()
  const sheet = given.addWorksheet('我的数据', { views: [{ state: 'frozen', ySplit: 1 }] })
  sheet.addRow(header)
  sheet.addRow(['1', '甲', new Date('2026-11-22T00:00:00Z')])
  sheet.addRow([null, '乙', 3.5])
  sheet.addRow(['1', '丙', '', 'note'])
  sheet.getColumn(2).width = 37
  sheet.getRow(3).height = 44
  sheet.getCell('B2').style = {
    font: { bold: true, color: { argb: 'FFCC0000' } },
    fill: { type: 'pattern', pattern: 'solid', fgColor: { argb: 'FFFFFF00' } },
  }
  sheet.getCell('C2').numFmt = 'yyyy-mm-dd'
  sheet.getCell('C3').numFmt = '0.000'
  const notes = given.addWorksheet('说明')
  notes.addRow(['给同事的话', { formula: 'SUM(1,2)', result: 3 }])
  notes.getColumn(1).width = 61
  const file = Buffer.from(await given.xlsx.writeBuffer())
  const mark = async (bytes: Buffer) => {
    const checked = await check(excel, bytes)
    const answer = await excel.registrar.get(`${path}/marked?check=${checked.id}`)
    t.equal(answer.status, 200)
    return { bytes: answer.bytes, book: await loaded(answer.bytes), result: checked.result }
  }
  const plain = await loaded(file)
  const first = await mark(file)
  const second = await mark(first.bytes)
  for (const { book: copy } of [first, second]) {
    t.same(
      copy.worksheets.map(({ name }) => name),
      ['我的数据', '说明', '检查结果'],
    )
    for (const [name, rows, columns] of [
      ['我的数据', 4, 3],
      ['说明', 1, 2],
    ] as const) {
      const [here, there] = [copy.getWorksheet(name)!, plain.getWorksheet(name)!]
      for (let row = 1; row <= rows; row++)
        for (let column = 1; column <= columns; column++) {
          const place = `${name} ${row} ${column}`
          t.same(here.getCell(row, column).style, there.getCell(row, column).style, `${place}: its format`)
          t.same(here.getCell(row, column).value, there.getCell(row, column).value, `${place}: its value`)
        }
      for (let column = 1; column <= columns; column++) t.equal(here.getColumn(column).width, there.getColumn(column).width)
      t.same(here.views, there.views)
    }
    t.equal(copy.getWorksheet('我的数据')!.getRow(3).height, 44)
    t.equal(copy.getWorksheet('我的数据')!.getCell('D1').text, '检查意见')
    t.match(copy.getWorksheet('我的数据')!.getCell('D3').text, /必填/)
  }
  const remarks = first.book.getWorksheet('我的数据')!
  t.match([remarks.getCell('D4').text, remarks.getCell('E4').text], ['note', /主键与第 2 行相同/], 'behind what stands there')
  t.equal(second.book.getWorksheet('我的数据')!.getCell('F1').text, '', 'no second column of remarks')
})

async function loaded(bytes: Buffer): Promise<Workbook> {
  const book = new Workbook()
  await book.xlsx.load(await buffer(Readable.from([bytes])))
  return book
}

void t.test('what was brought is listed, by form, file and the hub itself', async (t) => {
  const excel = await filled(t, 3)
  await take(excel, await check(excel, book(...rowsOf(2, 4), ['0000', '改', null])), 'replace', { deletes: 1 })
  await supplyBy(excel.city, 'form')
  await excel.registrar.post('/resources/villages/rows', { values: { code: '5' } })
  const list = '/resources/villages/brought'
  const { items } = (await excel.registrar.get(list)).body
  t.match(items, [
    { act: 'row.create', by: excel.registrar.principal.actor, file: null, rows: 1, created: 1 },
    { act: 'row.import', file: '村居名录.xlsx', sha256: /^[0-9a-f]{64}$/, rows: 3, batches: 2, created: 1, changed: 1, deleted: 1 },
    { act: 'row.import', rows: 3, created: 3, batches: 1 },
    { act: 'supply.take-over', by: 'hub', rows: 0 },
  ])
  t.equal(items.length, 4)
  const pages = []
  for (let after = ''; ;) {
    const page = (await excel.registrar.get(`${list}?limit=1${after}`)).body
    pages.push(...page.items)
    if (page.next === null) break
    after = `&after=${page.next}`
  }
  t.same(pages, items)
  t.match(await excel.city.as('civil', 'reviewer').get(list), { status: 200 })
  t.match(await excel.city.as('water', 'reviewer').get(list), { status: 403 })
  const history = (await excel.registrar.get('/resources/villages/rows/history?code=0000')).body.items
  t.match(history, [
    { op: 'change', values: { name: '改' } },
    { op: 'create', by: excel.registrar.principal.actor },
  ])
})

void t.test('where a machine supplied before, its rows stand', async (t) => {
  const { city } = await openDataCity(t)
  await supplyBy(city, 'excel')
  const excel = { city, registrar: city.as('civil', 'registrar'), runner: runnerOf(t, city) }
  const kept = places[0]!
  const checked = await check(excel, book([kept['code']!, kept['name']!, '改'], ['new', '新', null]))
  t.match(checked.result, { created: 1, changed: 1, standing: 4, absent: 3 })
  await city.services.producer.look()
  t.match(await city.store.query('select act from supply_entry'), [{ act: 'supply.take-over' }])
  t.match(await take(excel, checked, 'replace', { deletes: 3 }), { state: 'done', result: { created: 1, changed: 1, deleted: 3 } })
  t.same(await standing(excel), [
    { ...kept, street: '改' },
    { code: 'new', name: '新', street: null },
  ])
})

void t.test('what a machine sends between check and import is not taken over', async (t) => {
  const { city, send } = await openDataCity(t)
  const mode = (to: string) => city.store.query(`update resource set supply_mode = $1 where code = 'villages'`, [to])
  await mode('excel')
  const excel = { city, registrar: city.as('civil', 'registrar'), runner: runnerOf(t, city) }
  const checked = await check(excel, book(['new', '新', null]))
  await mode('front-end')
  await send([{ ...places[0]!, name: '机' }])
  await mode('excel')
  t.match(await take(excel, checked), { code: 'QZ-IMPORT-REFUSED', detail: { zh: /数据已有变动（批次/ } })
  await city.services.producer.look()
  t.match(await take(excel, checked), { code: 'QZ-IMPORT-REFUSED' }, 'also behind the take-over')
})

void t.test('numbers that a machine wrote with other zeros are the same', async (t) => {
  const excel = await excelCity(t, (draft) => {
    const number = { type: 'decimal', precision: 9, scale: 2, openness: 'internal' } as const
    draft.items = [
      { ...number, id: 'part', name: 'part', label: '部分', key: true },
      { ...number, id: 'money', name: 'money', label: '金额' },
    ]
  })
  const file = workbook([
    ['part', 'money'],
    ['7.5', '1.5'],
    ['8', null],
  ])
  await take(excel, await check(excel, file))
  t.equal((await standing(excel)).length, 2)
  const [table] = await excel.city.store.query<{ id: string }>(`select id from resource_table where state = 'live'`)
  await excel.city.store.query(`update data.r${table!.id} set part = 7.5, money = 1.50 where part = 7.5`)
  const again = await check(excel, file)
  t.match(again.result, { same: 2, created: 0, changed: 0, absent: 0, standing: 2 })
  const other = workbook([
    ['part', 'money'],
    ['07.50', '2'],
    ['8', null],
  ])
  t.match(await take(excel, await check(excel, other), 'replace'), { state: 'done', result: { changed: 1, deleted: 0 } })
  const [{ bytes } = { bytes: Buffer.alloc(0) }] = (await openPostgresLog(excel.city.store).read('villages', null, 1 << 30)).slice(-1)
  const batch = openBatch(splitBatch(bytes), () => excel.city.hubKey.publicKey)
  t.same(blockValues(batch, 'part'), ['7.5'], 'its key stays as it is written')
})
