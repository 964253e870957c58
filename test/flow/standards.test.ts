/**
 * A standard, through the registry with real programs: agencies adopt it, one application covers them and later ones, all deliver into
 * one table; then one of them publishes a version that breaks what was granted, and the receiver accepts it.
 */
import t from 'tap'
import { openClient, type Client } from '../support/client.ts'
import { Exchange, type TestAgent } from '../support/exchange.ts'
import { findPostgres } from '../support/postgres.ts'
import { until } from '../support/programs.ts'
import { City, frontEnd, type Json, type Person } from '../support/registry.ts'

const item = (id: string, label: string, more: object = {}) => ({
  id,
  name: id,
  label,
  type: 'text',
  length: 60,
  openness: 'internal',
  ...more,
})
const form = {
  title: '行政许可（双公示）',
  abstract: '各单位作出的行政许可决定',
  subject: 'other',
  licence: false,
  table: 'licences',
  classification: '104',
  cycle: 'daily',
  items: [
    item('number', '文号', { key: true, required: true }),
    item('matter', '许可事项', { role: 'matter' }),
    item('agency', '许可机关', { role: 'implementing-agency' }),
    item('handled_on', '许可日期', { type: 'date', length: undefined, role: 'handled-at' }),
    item('note', '备注'),
  ].map((one) => JSON.parse(JSON.stringify(one)) as object),
  optional: ['note'],
}

interface Provider {
  client: Client
  registrar: Person
  reviewer: Person
  agent: TestAgent
  resource: string
}

t.test('one standard, several providers, one table', async (t) => {
  const postgres = await findPostgres()
  const exchange = await Exchange.start()
  const clients: Client[] = []
  const database = async (name: string) => {
    const url = await postgres.createDatabase(name)
    const client = await openClient(url)
    clients.push(client)
    return { url, client }
  }
  t.teardown(async () => {
    await Promise.all(clients.map((client) => client.end()))
    await exchange.stop()
    await postgres.stop()
  })
  const { link } = await exchange.office('first-admin')
  const city = await City.found(exchange.url, String(link))
  const office = await city.person('city', 'office', '办公室', 'office')
  await office.post('/standards', { code: 'licences', form })
  await office.post('/standards/licences/publish')

  /** An agency with rows of its own adopts the standard. */
  async function adopter(code: string, sharing: 'unconditional' | 'conditional'): Promise<Provider> {
    await city.agency(code, code)
    const registrar = await city.person(code, `${code}.registrar`, '登记员', 'registrar', 'agency-it')
    const reviewer = await city.person(code, `${code}.reviewer`, '审核员', 'reviewer')
    const { url, client } = await database(code)
    await client.query(
      `create table licences (number varchar(60) primary key, matter varchar(60), agency varchar(60), handled_on date, note varchar(60))`,
    )
    await client.query(`insert into licences select n::text, '许可' || n, $1, '2026-11-01' from generate_series(1, 50) n`, [code])
    const { id, resource, content } = await registrar.post('/standards/licences/adopt', { resource: `${code}.licences` })
    const conditions = sharing === 'conditional' ? { sharingConditions: '经本单位同意' } : {}
    await registrar.post(`/registrations/${id}/change`, { content: { ...content, sharing, ...conditions, supplyMode: 'front-end' } })
    await publish(registrar, reviewer, id as string)
    const agent = await frontEnd(exchange, registrar, office, code, {
      agency: code,
      databases: { front: { url } },
      sources: [{ resource, database: 'front', table: 'licences' }],
    })
    await agent.command('setup')
    agent.program.start()
    return { client, registrar, reviewer, agent, resource: resource as string }
  }

  const civil = await adopter('civil', 'unconditional')
  const water = await adopter('water', 'conditional')
  await city.agency('tax', '税务局')
  const user = await city.person('tax', 'user', '使用员', 'user', 'agency-it')
  const { url, client: target } = await database('target')
  const receiver = await frontEnd(exchange, user, office, 'tax', {
    agency: 'tax',
    databases: { front: { url } },
    sinks: [{ standard: 'licences', database: 'front' }],
  })
  receiver.program.start()

  const reasons = { purpose: '核验许可', basis: '《税收征收管理法》第十五条' }
  const { id } = await user.post('/applications', {
    standard: 'licences',
    mode: 'exchange',
    items: ['number', 'matter', 'note'],
    agent: receiver.id,
    ...reasons,
  })
  await user.post(`/applications/${id}/submit`)
  await water.reviewer.post(`/applications/${id}/consent`)
  await office.post(`/applications/${id}/approve`)

  const counts = async () => {
    const rows = await target.query('select qz_source, count(*) from delivered.licences group by 1 order by 1').catch(() => [])
    return rows.map(([source, count]) => `${source} ${count}`).join()
  }
  await until('both fill one table', async () => (await counts()) === 'civil 50,water 50')

  await t.test('a later adopter is granted by itself', async () => {
    await adopter('health', 'unconditional')
    await until('its rows join', async () => (await counts()) === 'civil 50,health 50,water 50')
  })

  await t.test('a version that takes an item away holds that grant alone, until the receiver accepts', async (t) => {
    const { id: next, content } = await civil.registrar.post('/registrations', { resource: civil.resource })
    const items = (content.items as Json[]).filter((one) => one['id'] !== 'note')
    await civil.registrar.post(`/registrations/${next}/change`, { content: { ...content, items }, replace: true })
    await publish(civil.registrar, civil.reviewer, next as string)
    const grants = (await user.get('/grants'))['items'] as Json[]
    t.same(grants.map(({ resource, state }) => `${resource} ${state}`).toSorted(), [
      'civil.licences held',
      'health.licences active',
      'water.licences active',
    ])
    await water.client.query(`insert into licences (number, matter, note) values ('51', '新许可', '备注')`)
    await civil.client.query(`insert into licences (number, matter) values ('51', '新许可')`)
    await until('the others flow on', async () => (await counts()) === 'civil 50,health 50,water 51')
    const held = grants.find(({ state }) => state === 'held')!
    t.match(held['reason'], { zh: /接收单位 tax/, en: /receiver tax/ }, 'it says whom it waits for')
    await user.post(`/grants/${held['id']}/accept`, { items: ['number', 'matter'] })
    await until('it goes on with the new version', async () => (await counts()) === 'civil 51,health 50,water 51')
  })
})

async function publish(registrar: Person, reviewer: Person, id: string): Promise<void> {
  await registrar.post(`/registrations/${id}/submit`, { secrecy: { reviewed: true, by: '张三' } })
  await reviewer.post(`/registrations/${id}/publish`)
}
