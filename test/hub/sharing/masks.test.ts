import fc from 'fast-check'
import t from 'tap'
import { splitBatch } from '../../../protocol/batch.ts'
import { maskOf, type Mask } from '../../../protocol/masks.ts'
import { openShare, requireStill } from '../../../hub/sharing/share.ts'
import { openDataCity, places } from './fixture.ts'

const secret = Buffer.alloc(32, 7)

void t.test('what is kept of a value is never more than was said, and never all of it', async (t) => {
  const text = fc.string({ unit: 'grapheme', maxLength: 12 })
  fc.assert(
    fc.property(text, fc.nat(6), fc.nat(6), (value, first, last) => {
      const shown = Array.from(maskOf({ kind: 'keep', first, last }, secret)(value)!)
      const [whole, open] = [Array.from(value), shown.filter((one, i) => one !== '*' && one === Array.from(value)[i])]
      if (shown.length !== whole.length) throw new Error('its length tells where nothing else does')
      if (open.length > first + last) throw new Error(`${value}: ${shown.join('')}`)
      if (whole.length > 0 && whole.every((one) => one !== '*') && !shown.includes('*')) throw new Error(`${value} is shown whole`)
    }),
  )
  const shown = (mask: Mask, value: string) => maskOf(mask, secret)(value)
  t.equal(shown({ kind: 'keep', first: 3, last: 4 }, '13800138000'), '138****8000')
  t.equal(shown({ kind: 'keep', first: 1, last: 0 }, '张三'), '张*')
  t.equal(shown({ kind: 'year' }, '1949-12-31'), '1949')
  t.equal(shown({ kind: 'district' }, '广东省东莞市南城街道鸿福路99号'), '广东省东莞市南城街道')
  t.equal(shown({ kind: 'district' }, '不详'), null)
  t.equal(shown({ kind: 'hide' }, 'x'), null)
  const hash = shown({ kind: 'hash' }, 'x')
  t.equal(shown({ kind: 'hash' }, 'x'), hash)
  t.not(maskOf({ kind: 'hash' }, Buffer.alloc(32, 8))('x'), hash, 'another grant, another hash')
})

void t.test('no door shows what is masked', async (t) => {
  const { city, grant } = await openDataCity(t)
  const [query, api] = [await grant('query', ['name', 'street']), await grant('api', ['name', 'street'])]
  const reviewer = city.as('civil', 'reviewer')
  const masks = { masks: { name: { kind: 'keep', first: 1, last: 0 } } }
  for (const id of [query, api])
    t.match(await reviewer.put(`/grants/${id}/masks`, masks), { status: 200, body: { provider: masks.masks, office: {} } })
  const user = city.as('water', 'user')
  await user.put('/queries/villages/purpose', { purpose: '核验' })
  const { id, secret } = (await user.post(`/grants/${api}/credentials`, { name: 'x' })).body as { id: string; secret: string }
  const { token } = await city.data.tokens.issue({ client: id, secret })
  const call = (path: string, accept = 'application/json') =>
    city.app.inject({ url: `/data/v1/villages${path}`, headers: { authorization: `Bearer ${token}`, accept } })
  const answers = [
    await user.get('/queries/villages/rows'),
    await user.get('/queries/villages/row?code=441900003001'),
    await user.get('/queries/villages/export'),
    ...(await Promise.all([
      call(''),
      call('/by-key?code=441900003001'),
      call('/changes'),
      call('', 'text/csv'),
      call('', 'application/x-ndjson'),
      call('/changes', 'application/x-ndjson'),
    ])),
  ].map((answer) => ('text' in answer ? answer.text : answer.body))
  const names = places.flatMap(({ name }) => (name === null ? [] : [name!]))
  for (const [i, text] of answers.entries()) {
    for (const name of names) t.notOk(text.includes(name), `answer ${i}: ${name}`)
    t.match(text, '岗***', `answer ${i} shows what it may`)
  }
  const excel = await user.get('/queries/villages/export?format=xlsx')
  t.equal(excel.status, 200)
  for (const proof of [(await user.get('/queries/villages/proof?position=10/1')).bytes, (await call('/proof?position=10/1')).rawPayload])
    t.same(
      splitBatch(proof)
        .blocks.map(({ item }) => item)
        .toSorted(),
      ['code', 'street'],
    )
  for (const path of ['?name=x', '?name.like=x*', '?sort=name', '?name.null=true']) {
    t.equal((await call(path)).statusCode, 400, path)
    t.equal((await user.get(`/queries/villages/rows${path}`)).status, 400, path)
  }
  t.match(await user.post('/queries/villages/check', { rows: [{ code: '441900003001', name: '岗贝社区' }] }), { status: 400 })
  const document = (await call('/openapi.json')).json<{ paths: object; components: { schemas: { Row: { properties: object } } } }>()
  t.match(document.paths, { '/villages/proof': { get: { parameters: [{ name: 'position' }] } } })
  t.match(document.components.schemas.Row.properties, { name: { description: /masked/ } })

  const tag = String((await call('')).headers['etag'])
  await reviewer.put(`/grants/${api}/masks`, { masks: { name: { kind: 'hide' } } })
  city.data.views.forget(id)
  t.not((await call('')).headers['etag'], tag, 'another mask, another tag')
  await reviewer.put(`/grants/${api}/masks`, masks)

  const second = await grant('query', ['name'])
  t.match((await user.get('/queries/villages/row?code=441900003001')).body, { item: { name: '岗贝社区' } }, 'another grant shows it whole')
  await city.store.query(`update access_grant set state = 'revoked' where id = $1`, [second])
  t.match((await user.get('/queries/villages/row?code=441900003001')).body, { item: { name: '岗***' } })
})

void t.test('each side sets its own masks, and the provider’s stand', async (t) => {
  const { city, grant } = await openDataCity(t)
  const api = await grant('api', ['name', 'street'])
  const [office, reviewer] = [city.as('city', 'office'), city.as('civil', 'reviewer')]
  const put = (who: typeof office, masks: object, id = api) => who.put(`/grants/${id}/masks`, { masks })
  await put(reviewer, { name: { kind: 'hide' } })
  await put(office, { name: { kind: 'keep', first: 9, last: 9 }, street: { kind: 'district' } })
  t.match((await put(office, {})).body, { provider: { name: { kind: 'hide' } }, office: {} }, 'the office lifts its own alone')
  t.match(await put(city.as('water', 'user'), {}), { status: 403 })
  t.match(await put(city.as('health', 'reviewer'), {}), { status: /403|404/ })
  for (const masks of [
    { code: { kind: 'hash' } },
    { name: { kind: 'year' } },
    { phone: { kind: 'hide' } },
    { name: { kind: 'rot13' } },
    { name: { kind: 'keep', first: -1, last: 0 } },
  ])
    t.match(await put(reviewer, masks), { status: 400 }, JSON.stringify(masks))
  await city.store.query(
    `insert into access_grant (id, resource, agency, items, mode, basis) values ('e', 'villages', 'water', '{name}', 'exchange', nextval('decision'))`,
  )
  t.match(await put(reviewer, { name: { kind: 'hide' } }, 'e'), { status: 200, body: { provider: { name: { kind: 'hide' } } } })
})

void t.test('a file that is being read ends where an item goes, or is masked otherwise', async (t) => {
  const { city, grant } = await openDataCity(t)
  await grant('query', ['name', 'street'])
  const opened = (items: string[], masks: Record<string, Mask> = {}) =>
    openShare(city.store.query, { id: 'g', resource: 'villages', items, masks, secret })
  const { items } = await opened(['name', 'street'])
  requireStill(await opened(['name', 'street']), items)
  for (const share of [await opened(['street']), await opened(['name', 'street'], { name: { kind: 'hide' } })])
    t.throws(() => requireStill(share, items), { code: 'QZ-DATA-ENDED' })
})

void t.test('what a later version made a key, or of another type, is not shown whole: nothing is', async (t) => {
  const { city } = await openDataCity(t)
  const { query } = city.store
  const opened = (mask: Mask) =>
    openShare(query, { id: 'g', resource: 'villages', items: ['name', 'street'], masks: { name: mask }, secret })
  const at = `(select (n - 1)::text from resource_version, jsonb_array_elements(schema -> 'items') with ordinality i (item, n)
    where resource = 'villages' and item ->> 'id' = 'name')`
  const become = (more: object) =>
    query(
      `update resource_version set schema = jsonb_set(schema, array['items', ${at}], schema #> array['items', ${at}] || $1) where resource = 'villages'`,
      [more],
    )
  t.ok((await opened({ kind: 'hide' })).items.some(({ mask }) => mask))
  await become({ type: 'integer' })
  await t.rejects(opened({ kind: 'keep', first: 1, last: 0 }), { code: 'QZ-DATA-ENDED', details: { reason: { en: /name .* only texts/ } } })
  await become({ type: 'text', key: true })
  await t.rejects(opened({ kind: 'hide' }), { code: 'QZ-DATA-ENDED', details: { reason: { en: /a key cannot be masked/ } } })
})
