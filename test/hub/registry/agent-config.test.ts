/** What the hub writes for the configuration of an agent is what an agent reads. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { readAgentConfig } from '../../../agent/config/config.ts'
import { fileItems } from '../../../protocol/files.ts'
import { addGrant } from '../../../hub/registry/grants/grants.ts'
import { addRoute } from '../../../hub/registry/grants/routes.ts'
import { publishResource } from '../../../hub/registry/publishing/direct-publishing.ts'
import { openCity } from '../city.ts'
import { enrolled, villages } from '../office.ts'

const folder = mkdtempSync(join(tmpdir(), 'qianzhi-lines-'))
t.teardown(() => rmSync(folder, { recursive: true }))

const places = `databases:
  front: { url: postgres://u@h/d }
  业务库: { url: mysql://u@h/d }
folders: { out: { path: ./out }, drop: { path: ./drop } }
`

function read(yaml: string) {
  const file = join(folder, 'qianzhi-agent.yaml')
  writeFileSync(file, places + yaml)
  return readAgentConfig(file)
}

t.test('a source: its table and columns as they were registered', async (t) => {
  const city = await openCity(t)
  const { id } = await enrolled(city, 'civil')
  await publishResource(city, 'admin', { schema: villages() })
  const it = city.as('civil', 'agency-it')
  const lines = async (resource = 'villages') => (await it.get(`/resources/${resource}/agent-config`)).body.yaml as string
  t.match(read(await lines()).sources, [{ resource: 'villages', database: 'front', table: 'villages' }])

  const origin = JSON.stringify([id, '业务库', '户籍: 表'])
  const columns = { code: 'QHDM', name: '名称 "x"', street: 'street', gone: 'x' }
  await city.store.query(
    `insert into registration (agency, resource, content, state, drafted_by, drafted_at, created_at, origin, columns)
     values ('civil', 'villages', '{}', 'published', 'x', now(), now(), $1, $2)`,
    [origin, JSON.stringify(columns)],
  )
  t.match(read(await lines()).sources, [
    { resource: 'villages', database: '业务库', table: '户籍: 表', columns: { code: 'QHDM', name: '名称 "x"' } },
  ])
  t.notMatch(await lines(), /gone|street/)
  t.equal((await city.as('water', 'agency-it').get('/resources/villages/agent-config')).status, 403)

  await publishResource(city, 'admin', { schema: villages((draft) => Object.assign(draft, { resource: 'entered', table: 'entered', title: '填报' })), supplyMode: 'form' }) // prettier-ignore
  t.match(await it.get('/resources/entered/agent-config'), { status: 422, body: { code: 'QZ-RULE' } })
})

t.test('a sink: named by its route where there are several; files go into a folder', async (t) => {
  const city = await openCity(t)
  await enrolled(city, 'civil')
  const [first, second] = [await enrolled(city, 'water'), await enrolled(city, 'water')]
  await publishResource(city, 'admin', { schema: villages() })
  const grant = await addGrant(city, 'admin', { resource: 'villages', agency: 'water', items: ['name'] })
  const it = city.as('water', 'agency-it')
  const lines = async (id = grant.id) => (await it.get(`/grants/${id}/agent-config`)).body.yaml as string
  await addRoute(city, 'admin', grant.id, first.id)
  t.match(read(await lines()).sinks, [{ resource: 'villages', database: 'front', route: undefined }])
  const route = await addRoute(city, 'admin', grant.id, second.id)
  t.match(await lines(), /route: /)
  t.ok(read(await lines()).sinks[0]!.route !== undefined && route.id !== undefined)

  await publishResource(city, 'admin', { schema: villages((draft) => Object.assign(draft, { resource: 'scans', table: 'scans', title: '扫描件', items: fileItems('internal') })) }) // prettier-ignore
  const scans = await addGrant(city, 'admin', { resource: 'scans', agency: 'water', items: ['content'] })
  t.match(read(await lines(scans.id)).sinks, [{ resource: 'scans', folder: 'out', contents: 'any' }])
  await city.store.query(`update access_grant set mode = 'api' where id = $1`, [grant.id])
  t.match(await it.get(`/grants/${grant.id}/agent-config`), { status: 422, body: { code: 'QZ-RULE' } })
  t.equal((await city.as('civil', 'agency-it').get(`/grants/${grant.id}/agent-config`)).status, 403)
})
