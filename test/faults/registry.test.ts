/** The hub is killed while decisions are made: what was answered stands, nothing is half done, and the audit's chain is whole. */
import { join } from 'node:path'
import t from 'tap'
import { Exchange } from '../support/exchange.ts'
import { runProgram } from '../support/programs.ts'
import { City, type Json, type Person } from '../support/registry.ts'

const item = (id: string, label: string, more: object = {}) => ({
  id,
  name: id,
  label,
  type: 'text',
  length: 50,
  openness: 'internal',
  ...more,
})
const content = {
  title: '行政许可',
  classification: '302',
  abstract: '行政许可决定',
  sharing: 'unconditional',
  cycle: 'quarterly',
  supplyMode: 'front-end',
  subject: 'other',
  table: 'licences',
  items: [
    item('code', '编号', { key: true, required: true }),
    item('matter', '事项内容', { role: 'matter' }),
    item('agency', '实施机关', { role: 'implementing-agency' }),
    item('handled_at', '办理时间', { role: 'handled-at' }),
  ],
}

t.test('a hub that is killed while the office approves', async (t) => {
  const exchange = await Exchange.start()
  t.teardown(() => exchange.stop())
  const { link } = await exchange.office('first-admin')
  const city = await City.found(exchange.url, String(link))
  await city.agency('market', '市场监督管理局')
  await city.agency('tax', '税务局')
  const office = await city.person('city', 'office', '办公室', 'office')
  const registrar = await city.person('market', 'registrar', '登记员', 'registrar')
  const reviewer = await city.person('market', 'reviewer', '审核员', 'reviewer')
  const user = await city.person('tax', 'user', '使用员', 'user')
  const resources = Array.from({ length: 20 }, (_, n) => `licences-${n}`)
  for (const resource of resources) await publish(registrar, reviewer, resource)
  const ids: string[] = []
  for (const resource of resources) ids.push(await submit(user, resource, 'query'), await submit(user, resource, 'api'))

  const answered = new Set<string>()
  for (let round = 0; round < 4; round++) {
    const left = ids.filter((one) => !answered.has(one))
    const work = left.map(async (one) => {
      await office.post(`/applications/${one}/approve`)
      answered.add(one)
      if (answered.size % 5 === 0) await exchange.hub.end('SIGKILL')
    })
    await Promise.allSettled(work)
    await exchange.hub.end('SIGKILL')
    exchange.hub.start()
    await exchange.ready()
    const states = new Map<string, Json>()
    for (const one of ids) states.set(one, await user.get(`/applications/${one}`))
    const history = async (one: string) => ((await user.get(`/history/application/${one}`))['items'] as Json[]).at(-1)!['to']
    for (const [one, { state, grants }] of states) {
      if (answered.has(one)) t.equal(state, 'approved', `${one} was answered, and stands`)
      t.equal((grants as Json[]).length, state === 'approved' ? 1 : 0, `${one} is ${state}: all of it or nothing`)
      t.equal(await history(one), state)
      if (state === 'approved') answered.add(one)
    }
  }
  t.ok(answered.size > 5, `${answered.size} of ${ids.length} approved over four kills`)

  const file = join(exchange.folder, 'audit.jsonl')
  await exchange.office('audit', 'export', file)
  const { code } = await runProgram(['hub/main.ts', 'audit', 'verify', file, '--json'])
  t.equal(code, 0, 'the chain is whole')
})

async function publish(registrar: Person, reviewer: Person, resource: string): Promise<void> {
  const own = { ...content, title: `${content.title} ${resource}`, table: resource.replace('-', '_') }
  const { id } = await registrar.post('/registrations', { resource, content: own })
  await registrar.post(`/registrations/${id}/submit`, { secrecy: { reviewed: true, by: '张三' } })
  await reviewer.post(`/registrations/${id}/publish`)
}

/** Not for exchange, which would need a machine. */
async function submit(user: Person, resource: string, mode: 'query' | 'api'): Promise<string> {
  const reasons = { purpose: '核验', basis: '《行政许可法》第四十条' }
  const { id } = await user.post('/applications', { resource, mode, items: ['code', 'matter'], ...reasons })
  await user.post(`/applications/${id}/submit`)
  return String(id)
}
