/** Lists as workbooks: every list gives what its filter finds, as texts that no program takes for anything else, in words, and on record. */
import { Workbook, type Worksheet } from '@cj-tech-master/excelts'
import t from 'tap'
import { isList, listFile, maxListRows } from '../../../hub/http/list-file.ts'
import { memberWords } from '../../../hub/http/member-words.ts'
import { objectKinds } from '../../../hub/access/relations.ts'
import { operations } from '../../../hub/operations/index.ts'
import type { Operation } from '../../../hub/operations/operation.ts'
import { excelType } from '../../../hub/operations/operation.ts'
import { roleNames } from '../../../hub/records/roles.ts'
import { addGrant } from '../../../hub/registry/grants/grants.ts'
import { addRoute } from '../../../hub/registry/grants/routes.ts'
import { notify } from '../../../hub/records/notices.ts'
import { buffer } from 'node:stream/consumers'
import type { Readable } from 'node:stream'
import { agencyRoles, openCity, type Answer, type Caller, type City } from '../city.ts'
import { makeObject, openObjects } from '../objects.ts'

const lists = operations.filter(isList)
const formula = '=HYPERLINK("http://x";"x")'
const identity = '110101199003074578'

async function sheetsOf(bytes: Buffer): Promise<{ lines: Worksheet; notes: Worksheet }> {
  const book = new Workbook()
  await book.xlsx.load(bytes)
  const [lines, notes] = book.worksheets
  return { lines: lines!, notes: notes! }
}

/** Rows, the heading first. */
function rowsOf(sheet: Worksheet): unknown[][] {
  const rows: unknown[][] = []
  sheet.eachRow({ includeEmpty: true }, (row) => rows.push((row.values as unknown[]).slice(1)))
  return rows
}

/** Cases of every kind between civil, whose name is a formula, and water, whose name is a long number. */
async function fill(city: City): Promise<void> {
  const { query } = city.store
  await query(`update agency set name = case code when 'civil' then $1 when 'water' then $2 else name end`, [formula, identity])
  const objects = await openObjects(city, { provider: 'civil', receiver: 'water' })
  for (const kind of objectKinds) for (let n = 0; n < 3; n++) await makeObject(objects, kind)
  const grant = await addGrant(city, 'admin', { resource: objects.resource, agency: 'water', items: ['name'] })
  await addRoute(city, 'admin', grant.id, objects.agent)
  await query(`update application set submitted_at = created_at, state = 'reviewing' where submitted_at is null`)
  await query(`update api_key set expires_at = '2027-01-01' where expires_at = 'infinity'`)
  await query(`update resource set published_at = '2026-01-01'`)
  await query(`update resource set title = $1 where code = $2`, [formula, objects.resource])
  await query(`insert into deadline (kind, object, agency, role, started_at, days, due) values ('correction', 'correction 1', 'civil', 'office', now(), 10, '2026-12-01')`)
  for (const role of ['office', 'registrar'] as const) await notify(query, { to: { role }, kind: 'clock', object: 'x', zh: formula, en: identity }) // prettier-ignore
} // prettier-ignore

/** Whoever of the city sees most of a list. */
async function reader(city: City, path: string): Promise<{ who: Caller; found: Answer } | undefined> {
  const all = roleNames.map((role) => (agencyRoles.includes(role) ? city.as('civil', role) : city.as('city', role)))
  const answers = []
  for (const who of all) answers.push({ who, found: await who.get(`${path}?limit=100`) })
  return answers.filter(({ found }) => found.status === 200).toSorted((a, b) => b.found.body.items.length - a.found.body.items.length)[0]
}

const pathOf = ({ path }: Operation, resource: string) => path.replace(':id', resource)

t.test('every list: as many lines as the list itself, no formula, no digit lost, in both languages', async (t) => {
  const city = await openCity(t)
  await fill(city)
  const [{ code: resource }] = (await city.store.query<{ code: string }>('select code from resource order by code limit 1')) as [{ code: string }] // prettier-ignore
  t.ok(lists.length >= 27, `${lists.length} lists`)
  const withNone: string[] = []
  let planted = 0
  for (const operation of lists) {
    const { name } = operation
    const path = pathOf(operation, resource)
    const { who, found } = (await reader(city, path))!
    const { items } = found.body
    if (items.length === 0) withNone.push(name)
    for (const language of ['zh', 'en']) {
      // Of the audit an export is a line itself.
      const { total } = (await who.get(`${path}?limit=1`)).body
      const file = await who.get(`${path}?format=xlsx&language=${language}`)
      t.equal(file.status, 200, `${name}: ${file.text.slice(0, 200)}`)
      t.equal(file.type, excelType)
      const { lines, notes } = await sheetsOf(file.bytes)
      const [heading = [], ...rows] = rowsOf(lines)
      t.equal(rows.length, total.count, `${name}: all of them`)
      t.ok(heading.every((one) => language === 'zh' ? /\p{Script=Han}|^ID|IP/u.test(String(one)) : !/\p{Script=Han}/u.test(String(one))), `${name}: ${heading.join()}`) // prettier-ignore
      t.equal(new Set(heading).size, heading.length, `${name}: no heading twice: ${heading.join()}`)
      for (const cell of rows.flat()) {
        if (typeof cell === 'object' && cell !== null) t.fail(`${name}: ${JSON.stringify(cell)} is no text`)
        if (typeof cell === 'number' && !Number.isSafeInteger(cell)) t.ok(Number.isFinite(cell))
      }
      const texts = JSON.stringify(items)
      for (const text of [formula, identity]) {
        const shown = ['Name', 'title', language].some((member) => texts.includes(`${member}":${JSON.stringify(text)}`))
        if (!shown) continue
        planted++
        t.ok(rows.flat().includes(text), `${name}: ${text} as a text`)
      }
      t.match(rowsOf(notes).flat().join(), who.principal.name)
    }
  }
  t.ok(planted > 50, `${planted} times one of the two was there`)
  t.same(withNone, ['supply.batches'], 'the others have lines')
})

t.test('what it holds: the filter, names beside codes, states in words, the city’s time, numbers as numbers', async (t) => {
  const city = await openCity(t)
  await fill(city)
  const office = city.as('city', 'office')
  const query = 'agency=water&state=reviewing&sort=-id'
  const { items } = (await office.get(`/applications?${query}`)).body
  t.ok(items.length > 1)
  const read = async (language: string) => rowsOf((await sheetsOf((await office.get(`/applications?${query}&format=xlsx&language=${language}`)).bytes)).lines) // prettier-ignore
  const [zh = [], ...rows] = await read('zh')
  const [en = [], first = []] = await read('en')
  const cell = (row: unknown[], heading: unknown[], name: string) => row[heading.indexOf(name)]
  t.same(rows.map((row) => cell(row, zh, '编号')), items.map(({ id }: { id: string }) => id), 'in its order') // prettier-ignore
  t.match([cell(rows[0]!, zh, '单位'), cell(rows[0]!, zh, '单位代码'), cell(rows[0]!, zh, '状态')], [identity, 'water', '待审核'])
  t.match([cell(first, en, 'agency'), cell(first, en, 'agency (code)'), cell(first, en, 'state')], [identity, 'water', 'with the office'])
  t.match(cell(rows[0]!, zh, '提交时间'), /^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d$/)
  const [heading = [], line = []] = rowsOf((await sheetsOf((await office.get('/lines?format=xlsx')).bytes)).lines)
  t.equal(cell(line, heading, '今日行数'), 0, 'a number')
  t.equal((await office.get('/applications?format=csv')).status, 400)
  t.equal((await city.as('city', 'audit-admin').get('/applications?format=xlsx')).status, 403)
  const own = await city.as('health', 'registrar').get('/applications?format=xlsx')
  t.equal(rowsOf((await sheetsOf(own.bytes)).lines).length, 1, 'nothing that is not theirs')
})

t.test('on record: who, what, by which filter', async (t) => {
  const city = await openCity(t)
  const office = city.as('city', 'office')
  await office.get('/orders?agency=civil&text=x&format=xlsx')
  const { items } = (await city.as('city', 'audit-admin').get('/audit?act=list.export')).body
  t.match(items, [
    { actor: office.principal.actor, object: 'list order.list', details: { filters: { agency: 'civil', text: 'x' }, total: 0 } },
  ])
  t.equal(items.length, 1)
  await office.get('/orders')
  t.equal(
    (await city.as('city', 'audit-admin').get('/audit?act=list.export')).body.items.length,
    1,
    'a list that is only looked at is none',
  )
})

t.test('what is more than it may hold is said to be missing', async (t) => {
  const city = await openCity(t)
  t.equal(maxListRows, 50_000)
  await city.store.query(`insert into demand (agency, title, what, why, basis, state, created_at) select 'water', 'd' || n, 'x', 'x', 'x', 'submitted', now() from generate_series(1, 12000) n`)
  const operation = operations.find(({ name }) => name === 'demand.list')!
  const { principal } = city.as('city', 'office')
  const call = (query: object) => ({ registry: city, services: city.services, principal, agencyScope: null, params: {}, query, body: undefined, seen: undefined, told: () => ({ zh: '', en: '' }), signal: new AbortController().signal })
  for (const [most, count, cut] of [[11_000, 11_000, true], [12_000, 12_000, false], [50_000, 12_000, false]] as const) {
    const { content } = await listFile(operation, call({ format: 'xlsx', language: 'en', text: 'd' }), { most })
    const { lines, notes } = await sheetsOf(await buffer(content as Readable))
    const rows = rowsOf(lines)
    t.equal(rows.length - 1, count)
    t.equal(new Set(rows.map(([id]) => id)).size, rows.length, 'none twice')
    const told = rowsOf(notes).flat().join()
    t.equal(/incomplete.*more than 11000/.test(told), cut, told)
    t.match(told, `lines,${count}`)
  }
}) // prettier-ignore

t.test('each heading has words', async (t) => {
  const flat = lists.flatMap(({ name, answer }) => Object.keys((answer as any).properties.items.items.properties).map((member) => [name, member] as const)) // prettier-ignore
  const without = flat.filter(([, member]) => !memberWords[member] && !member.endsWith('Name') && !['revision', 'actions', 'link', 'sha256', 'matched', 'opennessCounts', 'notes', 'weights', 'request', 'statement', 'secrecyReview', 'form'].includes(member)) // prettier-ignore
  t.same(without, [])
})
