/** One name, one thing; one datum, one source: also of two that come at the same moment, and in whatever way a name is written. */
import t from 'tap'
import type { CatalogContent } from '../../../hub/registry/catalog/content.ts'
import { fillNameForms } from '../../../hub/registry/catalog/name-forms.ts'
import { openCity, type Answer, type City } from '../city.ts'
import { licences, secrecy, submitAndPublish, textItem } from './catalog/fixture.ts'

const rounds = 20
/** Of each two answers. */
const onlyOne = new Set(['200,422'])

/** A registration that waits for its reviewer. */
async function submitted(city: City, agency: string, content: CatalogContent): Promise<string> {
  const registrar = city.as(agency, 'registrar')
  const { body } = await registrar.post('/registrations', { content })
  const answer = await registrar.post(`/registrations/${body.id}/submit`, { secrecy })
  if (answer.status !== 200) throw new Error(answer.text)
  return `/registrations/${body.id}/publish`
}

const statuses = (answers: readonly Answer[]) => answers.map(({ status }) => status).toSorted((a, b) => a - b)

t.test('names and sources', async (t) => {
  const city = await openCity(t)
  const office = city.as('city', 'office')

  await t.test('two agencies of one name at the same moment', async (t) => {
    const outcomes: number[][] = []
    for (let i = 0; i < rounds; i++) {
      const made = [`第${i}业务局`, `第 ${i} 業務\u200b局`].map((name, j) => office.post('/agencies', { code: `race-${i}-${j}`, name }))
      outcomes.push(statuses(await Promise.all(made)))
    }
    t.same(new Set(outcomes.map(String)), onlyOne, `${rounds} rounds`)
  })

  await t.test('an agency takes the name of none that there is', async (t) => {
    const refused = { status: 422, body: { code: 'QZ-RULE', detail: { zh: /民政局.*civil/, en: /civil/ } } }
    t.match(await office.post('/agencies', { code: 'second', name: '民＋政局' }), refused)
    t.match(await office.patch('/agencies/water', { name: '民政局 ' }), refused)
    await office.post('/agencies', { code: 'gone', name: '旧局' })
    await office.patch('/agencies/gone', { state: 'closed' })
    t.equal((await office.post('/agencies', { code: 'heir', name: '舊局' })).status, 200, 'that of a closed one is free')
    t.match(await office.patch('/agencies/gone', { state: 'active' }), { status: 422, body: { detail: { en: /heir/ } } })
    t.match(await office.patch('/agencies/gone', { state: 'active', name: '旧局二' }), { status: 200 })
  })

  await t.test('one title, and one source, at the same moment', async (t) => {
    const titles: number[][] = []
    const sources: number[][] = []
    for (let i = 0; i < rounds; i++) {
      const own = (label: string, title: string) =>
        licences((c) => {
          c.title = title
          c.items[3] = textItem('place', label)
        })
      const twice = [own(`甲项${i}`, `许可证${i}`), own(`乙项${i}`, `許可證 ${i}`)]
      const doors = await Promise.all(twice.map((content) => submitted(city, 'civil', content)))
      titles.push(statuses(await Promise.all(doors.map((door) => city.as('civil', 'reviewer').post(door)))))
      const both = await Promise.all([
        submitted(city, 'civil', own(`占道面积${i}`, `民政${i}`)),
        submitted(city, 'water', own(`占道+面積${i}`, `水务${i}`)),
      ])
      sources.push(statuses(await Promise.all([city.as('civil', 'reviewer').post(both[0]), city.as('water', 'reviewer').post(both[1])])))
    }
    t.same(new Set(titles.map(String)), onlyOne, `titles, ${rounds} rounds`)
    t.same(new Set(sources.map(String)), onlyOne, `sources, ${rounds} rounds`)
  })

  await t.test('what is stopped or withdrawn is the source of nothing', async (t) => {
    const of = (title: string) =>
      licences((c) => {
        c.title = title
        c.items[3] = textItem('place', '停用来源')
      })
    const first = await submitted(city, 'civil', of('先行'))
    const { resource } = (await city.as('civil', 'reviewer').post(first)).body
    const registrar = city.as('water', 'registrar')
    const { body: draft } = await registrar.post('/registrations', { content: of('后来') })
    const check = async () => (await registrar.get(`/registrations/${draft.id}/check`)).body.faults.length as number
    t.equal(await check(), 1)
    await city.as('city', 'secrecy').post(`/resources/${resource}/stop`, { reason: '核查' })
    t.equal(await check(), 0, 'stopped')
    await city.as('city', 'secrecy').post(`/resources/${resource}/release`, { reason: '已核查' })
    t.equal(await check(), 1, 'released')
    await city.as('civil', 'reviewer').post(`/resources/${resource}/withdraw`, { reason: '不再办理' })
    t.equal(await check(), 0, 'withdrawn')
    t.equal((await submitAndPublish(city, 'water', draft.id)).status, 200)
  })

  await t.test('what was named before is compared too', async (t) => {
    const { query } = city.store
    await query(`insert into agency (code, name) values ('old-1', '園林局'), ('old-2', '园林局')`)
    await query(`update resource set title_form = null`)
    await query(`update catalog_item set label = '占道面积 0' where label = '占道面积0'`)
    await query(`delete from setting where key = 'name-form'`)
    await fillNameForms(city.store)
    t.same(await query(`select code, name_form from agency where code like 'old-%' order by 1`), [
      { code: 'old-1', name_form: '园林局' },
      { code: 'old-2', name_form: null },
    ])
    t.match(await query(`select object from notice where kind = 'agency-name'`), [{ object: 'agency old-2' }], 'the office is told')
    t.same(await query(`select from resource where title_form is null`), [])
    t.equal((await query(`select from catalog_item where label = '占道面积0'`)).length, 1)
    const [older] = await query<{ code: string; agency: string; title: string }>(
      `select code, agency, title from resource where state = 'active' order by published_at, code limit 1`,
    )
    const title = older!.title.replace('a', '\u0430')
    await query(`insert into resource (code, agency, title, version, published_at) values ('twice', $1, $2, 1, now())`, [
      older!.agency,
      title,
    ])
    await query(`delete from setting where key = 'name-form'`)
    await fillNameForms(city.store)
    t.match(await query(`select title_form from resource where code = 'twice'`), [{ title_form: null }], 'the older keeps it')
    t.match(
      await query(`select agency, role from notice where kind = 'resource-title' and object = 'resource twice' order by agency, role`),
      [{ agency: older!.agency, role: 'registrar' }, { agency: older!.agency, role: 'reviewer' }, { role: 'office' }],
    )
    await t.rejects(
      query(`update resource set title_form = (select title_form from resource where code = $1) where code = 'twice'`, [older!.code]),
      /resource_title_form/,
      'whatever happens at the same moment',
    )
    t.match(await office.post('/agencies', { code: 'old-3', name: '園 林局' }), { status: 422 })
    await query(`update resource set title_form = null`)
    await fillNameForms(city.store)
    t.not((await query(`select from resource where title_form is null`)).length, 0, 'once only')
  })
})
