/** What people do once, each in their own part, so that data flows: by the regulation's steps, through the hub's API. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { openClient } from '../../test/support/client.ts'
import type { Exchange, TestAgent } from '../../test/support/exchange.ts'
import type { TestDatabaseServer } from '../../test/support/postgres.ts'
import { City, frontEnd, type Person } from '../../test/support/registry.ts'
import { villageColumns, villagesResource } from './villages.ts'

/** All but `street`, which the receiver asks for in another application, which waits. */
export const granted = villageColumns.filter((column) => column !== 'street')

export type Say = (zh: string, en: string) => void

/** The catalog entry. Art. 6: what is about neither institutions nor persons tells its matter, the implementing agency, and the time of handling. */
const { title, table, items } = villagesResource()
const content = {
  title,
  table,
  classification: '103',
  abstract: '国家统计局公布的统计用区划代码：行政村（社区）一级',
  sharing: 'unconditional',
  cycle: 'realtime',
  supplyMode: 'front-end',
  subject: 'other',
  items: [
    ...items.map((item) => (item.id === 'name' ? { ...item, role: 'matter' } : item)),
    { id: 'agency', name: 'agency', label: '实施机关', type: 'text', length: 100, openness: 'internal', role: 'implementing-agency' },
    { id: 'handled_at', name: 'handled_at', label: '业务办理时间', type: 'timestamp', openness: 'internal', role: 'handled-at' },
  ],
}

/** What people enter in the hub's online form, once a month: nobody did for long, and the receiver's own table of that name has another shape. */
const halls = {
  title: '社区服务大厅名录',
  table: 'halls',
  classification: '103',
  abstract: '全市社区服务大厅的名称和地址',
  sharing: 'unconditional',
  cycle: 'monthly',
  supplyMode: 'form',
  subject: 'other',
  items: [
    { id: 'code', name: 'code', label: '编号', type: 'text', length: 20, key: true, required: true, openness: 'internal' },
    { id: 'name', name: 'name', label: '名称', type: 'text', length: 100, openness: 'internal', role: 'matter' },
    { id: 'agency', name: 'agency', label: '实施机关', type: 'text', length: 100, openness: 'internal', role: 'implementing-agency' },
    { id: 'handled_at', name: 'handled_at', label: '业务办理时间', type: 'timestamp', openness: 'internal', role: 'handled-at' },
  ],
}

/** Ports of the agents' status pages; where one is taken its agent goes on without. */
export const pages = { provider: 8470, receiver: 8471 }

/** @returns the receiving agency's agent, and the office; both agents are running. */
export async function connectAgencies(
  exchange: Exchange,
  a: TestDatabaseServer,
  b: TestDatabaseServer,
  say: Say,
): Promise<{ receiver: TestAgent; office: Person }> {
  say('首个管理员凭一次性链接进入，设立人员和角色…', 'The first administrator comes in by the one-time link, and makes people and roles…')
  const { link } = await exchange.office('first-admin')
  const city = await City.found(exchange.url, String(link))
  await city.agency('statistics', '统计局')
  await city.agency('civil-affairs', '民政局')
  const office = await city.person('city', 'office', '电子政务办工作人员', 'office')
  const registrar = await city.person('statistics', 'registrar', '统计局登记员', 'registrar', 'agency-it')
  const reviewer = await city.person('statistics', 'reviewer', '统计局审核员', 'reviewer')
  const user = await city.person('civil-affairs', 'user', '民政局使用员', 'user', 'agency-it')
  await city.person('city', 'supervisor', '监察员', 'supervisor')
  await city.person('city', 'secrecy', '保密监督员', 'secrecy')
  await city.person('city', 'audit', '审计管理员', 'audit-admin')

  say(
    '两个单位申请前置机，市电子政务办批准，代理凭令牌登记…',
    'Both agencies apply for front-end machines, the office approves, the agents enrol…',
  )
  const provider = await frontEnd(exchange, registrar, office, 'statistics-front', {
    agency: 'statistics',
    databases: { front: { url: a.url() } },
    settings: { page: { port: pages.provider } },
    sources: [{ resource: 'villages', database: 'front', table: 'public.villages' }],
  })
  const receiver = await frontEnd(exchange, user, office, 'civil-affairs-front', {
    agency: 'civil-affairs',
    databases: { front: { url: b.url() } },
    settings: { page: { port: pages.receiver } },
    sinks: ['villages', 'halls'].map((resource) => ({ resource, database: 'front', table: `delivered.${resource}` })),
  })

  say('统计局登记员登记目录，审核员审核并发布…', 'A registrar of statistics registers the resource, a reviewer checks and publishes it…')
  const publish = async (resource: string, entry: object) => {
    const { id } = await registrar.post('/registrations', { resource, content: entry })
    await registrar.post(`/registrations/${id}/submit`, { secrecy: { reviewed: true, by: '统计局登记员', note: '不涉密' } })
    await reviewer.post(`/registrations/${id}/publish`)
  }
  await publish('villages', content)
  await provider.command('setup', '--create-table')

  say('民政局使用员申请 5 个信息项，市电子政务办批准…', 'A user of civil affairs applies for five items, the office approves…')
  const asked = await apply(user, receiver, 'villages', granted)
  await office.post(`/applications/${asked}/approve`)
  await apply(user, receiver, 'villages', villageColumns)
  say(
    '批准即配置完毕；“镇街”未获授权，不会到达民政局：民政局已再次申请，正等待市电子政务办审批。',
    'The approval configures the exchange; "street" is not granted and does not arrive: it has been applied for since, which waits for the office.',
  )
  await publish('halls', halls)
  await registrar.post('/resources/halls/rows', { values: { code: 'H001', name: '岗贝社区服务大厅', agency: '统计局' } })
  const wanted = await apply(user, receiver, 'halls', ['code', 'name'])
  await office.post(`/applications/${wanted}/approve`)
  await inNeedOfAttention(exchange, b)
  provider.program.start()
  receiver.program.start()
  return { receiver, office }
}

/** As if the halls had been published long ago, and as if the receiver had a table of that name already. */
async function inNeedOfAttention(exchange: Exchange, b: TestDatabaseServer): Promise<void> {
  const { password, port } = JSON.parse(readFileSync(join(exchange.folder, 'hub', 'store', 'secret.json'), 'utf8')) as Record<
    string,
    string
  >
  const [store, front] = [await openClient(`postgres://qianzhi:${password}@127.0.0.1:${port}/qianzhi`), await openClient(b.url())]
  await store.query(`update resource set published_at = now() - interval '70 days' where code = 'halls'`)
  await front.query('create schema if not exists delivered')
  await front.query('create table delivered.halls (id integer primary key, hall text)')
  await Promise.all([store.end(), front.end()])
}

/** Art. 7, 16. @returns its number. */
async function apply(user: Person, receiver: TestAgent, resource: string, items: readonly string[]): Promise<string> {
  const { id } = await user.post('/applications', {
    resource,
    mode: 'exchange',
    items,
    purpose: '社会救助对象住址核对',
    basis: '《社会救助暂行办法》第四条',
    agent: receiver.id,
  })
  await user.post(`/applications/${id}/submit`)
  return String(id)
}
