/** Who supplies a resource, and in which form, is published by the reviewer: where rows would be lost, nothing is (Art. 15). */
import t from 'tap'
import { ResourceTables } from '../../../hub/tables/tables.ts'
import { openPostgresLog } from '../../../hub/logs/postgres.ts'
import { requireResource } from '../../../hub/registry/catalog/resources.ts'
import type { CatalogContent, CatalogItem } from '../../../hub/registry/catalog/content.ts'
import pino from 'pino'
import { openCity, type Answer, type City } from '../city.ts'
import { Provider } from '../exchange/fixture.ts'
import { enrolled } from '../office.ts'
import { licences, register, submitAndPublish } from '../registry/catalog/fixture.ts'

/** Registers a change of what is in force, and publishes it. */
async function change(city: City, content: Partial<CatalogContent>): Promise<Answer> {
  const { body } = await city.as('civil', 'registrar').post('/registrations', { resource: 'ads', content })
  const answer = await submitAndPublish(city, 'civil', body.id as string)
  if (answer.status !== 200) await city.as('civil', 'registrar').post(`/registrations/${body.id}/discard`)
  return answer
}

const faultsOf = ({ status, body }: Answer) => [
  status,
  ...(body.faults ?? []).map(({ field, zh }: { field: string; zh: string }) => `${field} ${zh}`),
]

interface Machine {
  send: (rows: Record<string, string | null>[]) => Promise<void>
}

/** The agency's machine, which supplies what the registration says. */
async function machineOf(test: Pick<typeof t, 'teardown'>, city: City): Promise<Machine> {
  const agent = await enrolled(city, 'civil')
  const { store, wakeups, hubKey, clock, exchange } = city
  const tables = new ResourceTables({ store, wakeups, hubKey, clock, log: openPostgresLog(store), logger: pino({ level: 'silent' }) })
  const { schema } = await requireResource(store.query, 'ads')
  const provider = new Provider({ id: agent.id, agency: 'civil', publicKey: agent.key.publicKey, key: agent.key }, schema)
  return {
    send: async (rows) => {
      await provider.send(exchange, provider.snapshot(rows))
      await tables.catchUp()
    },
  }
}

/** Resource `ads` of civil, which its people enter. */
async function adsByForm(test: Pick<typeof t, 'teardown'>): Promise<City> {
  const city = await openCity(test)
  await register(
    city,
    'civil',
    licences((content) => (content.supplyMode = 'form')),
    { resource: 'ads' },
  )
  return city
}

const ad = (number: string, more: object = {}) => ({
  number,
  holder: '某店',
  uscc: null,
  place: `地点${number}`,
  agency: '民政局',
  handled: '2026-11-01',
  ...more,
})
const path = '/resources/ads/rows'

void t.test('from machine to form only with all rows at the hub', async (t) => {
  const city = await openCity(t)
  t.same(
    faultsOf(
      await register(
        city,
        'civil',
        licences((content) => Object.assign(content, { supplyMode: 'form', keep: 'relay' })),
      ),
    ),
    [422, 'keep 在线表单录入、EXCEL导入的数据存储在中心：keep 应为 store'],
  )
  await register(
    city,
    'civil',
    licences((content) => (content.keep = 'relay')),
    { resource: 'ads' },
  )
  const machine = await machineOf(t, city)
  await machine.send([ad('1'), ad('2')])
  t.match(faultsOf(await change(city, { keep: 'store', supplyMode: 'form' })), [422, /^supplyMode .*先登记 keep 为 store/])
  t.equal((await change(city, { keep: 'store' })).status, 200)
  t.match(faultsOf(await change(city, { supplyMode: 'excel' })), [422, /^supplyMode /], 'not filled yet')
  await machine.send([ad('1'), ad('2'), ad('3')])
  await city.store.query(`insert into resource_table_aside select id, '["9"]', 'QZ-ROW-SIZE', 1 from resource_table`)
  t.match(faultsOf(await change(city, { supplyMode: 'form' })), [422, /有 1 个主键的数据行未能存入/])
  await city.store.query('delete from resource_table_aside')
  const registrar = city.as('civil', 'registrar')
  t.match(await registrar.post(path, { values: ad('4') }), { status: 409, body: { code: 'QZ-FORM-CLOSED' } })
  t.equal((await change(city, { supplyMode: 'form' })).status, 200)
  t.equal((await registrar.post(path, { values: ad('4') })).status, 200)
  const { body } = await registrar.get(path)
  t.same(
    body.items.map(({ values }: { values: { number: string } }) => values.number),
    ['1', '2', '3', '4'],
  )
})

void t.test('back to a machine: which of several must be said', async (t) => {
  const city = await adsByForm(t)
  const [first] = [await enrolled(city, 'civil'), await enrolled(city, 'civil')]
  t.match(faultsOf(await change(city, { supplyMode: 'front-end' })), [422, /^producer .*有 2 台前置机/])
  t.equal((await change(city, { supplyMode: 'front-end', producer: first.id })).status, 200)
})

const keyed = (key: string, more: (item: CatalogItem) => Partial<CatalogItem> = () => ({})) => ({
  items: licences().items.map(({ key: _key, ...item }) => ({
    ...item,
    ...(item.id === key && { key: true }),
    ...more(item),
  })),
})

void t.test('another key: rows keep, under it; what it could not tell apart is refused by name', async (t) => {
  const city = await adsByForm(t)
  const registrar = city.as('civil', 'registrar')
  const put = async (number: string, more: object) => {
    const [{ position }] = (await registrar.get(`${path}?number=${number}`)).body.items
    return registrar.put(path, { values: { number, ...more }, seen: position })
  }
  for (const [number, uscc] of [
    ['1', 'A'],
    ['2', 'A'],
    ['3', null],
    ['4', ''],
    ['5', 'B'],
  ] as const) {
    t.equal((await registrar.post(path, { values: ad(number, { uscc }) })).status, 200)
  }
  t.match(faultsOf(await change(city, keyed('uscc'))), [
    422,
    /^key 信息项 uscc：现有 2 行没有值（3、4），请先更正$/,
    /^key 以 uscc 为主键，现有 2 行重复（现主键为 1、2），请先更正或删除$/,
  ])
  const seen = (await registrar.get(`${path}?number=5`)).body.items[0].position
  for (const number of ['2', '3', '4', '5']) t.equal((await put(number, { uscc: `U${number}` })).status, 200)
  const before = (await openPostgresLog(city.store).heads(['ads'])).get('ads')!
  t.equal((await change(city, keyed('uscc'))).status, 200)
  await city.services.producer.look()
  const { body } = await registrar.get(path)
  t.same(
    body.items.map(({ values }: { values: object }) => values),
    [
      ['1', 'A'],
      ['2', 'U2'],
      ['3', 'U3'],
      ['4', 'U4'],
      ['5', 'U5'],
    ].map(([number, uscc]) => ad(number!, { uscc })),
    'all of them, in the order of the new key',
  )
  t.ok(
    body.items.every(({ position }: { position: string }) => Number(position.split('/')[0]) > before.epoch),
    'in an epoch of its own',
  )
  t.match(await registrar.post(path, { values: ad('1', { uscc: 'U6' }) }), { status: 200 }, 'the number tells no row any more')
  t.match(await registrar.post(path, { values: ad('7', { uscc: 'U6' }) }), { status: 409 })
  t.match(await registrar.put(path, { values: { uscc: 'U5', place: '迟' }, seen }), { status: 412 }, 'what was changed before is not lost')
})

void t.test('values that a new form has no place for, or demands, are refused by name', async (t) => {
  const city = await adsByForm(t)
  const registrar = city.as('civil', 'registrar')
  await registrar.post(path, { values: ad('1', { place: '𠮷𠮷𠮷' }) })
  await registrar.post(path, { values: ad('2', { place: '𠮷𠮷𠮷𠮷' }) })
  await registrar.post(path, { values: ad('3', { holder: null }) })
  await registrar.get(path)
  const sum: CatalogItem = { id: 'fee', name: 'fee', label: '费用', type: 'decimal', precision: 9, scale: 3, openness: 'internal' }
  const withFee = (more: Partial<CatalogItem>) => ({ items: [...keyed('number').items, { ...sum, ...more }] })
  t.match(faultsOf(await change(city, withFee({ required: true }))), [422, /^required 信息项 fee：现有 3 行没有值（1、2、3）/])
  t.equal((await change(city, withFee({}))).status, 200)
  await registrar.post(path, { values: ad('4', { fee: '1.25' }) })
  await registrar.post(path, { values: ad('5', { fee: '123456.7' }) })
  const narrow = withFee({ precision: 7, scale: 2 })
  for (const item of narrow.items) Object.assign(item, item.id === 'place' && { length: 3 }, item.id === 'holder' && { required: true })
  await registrar.get(path)
  t.match(faultsOf(await change(city, narrow)), [
    422,
    /^required 信息项 holder：现有 1 行没有值（3）/,
    /^length 信息项 place：现有 1 行的值不符合新的形式（2）/,
    /^scale 信息项 fee：现有 1 行的值不符合新的形式（5）/,
  ])
})
