/** Who supplies a resource, and in which form, is published by the reviewer: where rows would be lost, nothing is (Art. 15). */
import t from 'tap'
import { ResourceTables } from '../../../hub/tables/tables.ts'
import { openPostgresLog } from '../../../hub/logs/postgres.ts'
import { requireResource } from '../../../hub/registry/catalog/resources.ts'
import type { CatalogContent } from '../../../hub/registry/catalog/content.ts'
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
  const city = await openCity(t)
  await register(
    city,
    'civil',
    licences((content) => (content.supplyMode = 'form')),
    { resource: 'ads' },
  )
  const [first] = [await enrolled(city, 'civil'), await enrolled(city, 'civil')]
  t.match(faultsOf(await change(city, { supplyMode: 'front-end' })), [422, /^producer .*有 2 台前置机/])
  t.equal((await change(city, { supplyMode: 'front-end', producer: first.id })).status, 200)
})
