/** A workbook of many rows is taken while the hub is killed again and again: all its rows arrive at another agency, once. */
import t from 'tap'
import { people, startPeople } from '../support/people.ts'
import { until } from '../support/programs.ts'
import { City, type Json, type Person } from '../support/registry.ts'
import { workbook, type Cell } from '../support/workbook.ts'

const xlsx = 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet'
const path = '/resources/people/excel'
const rows = 14_000

t.test('through kills of the hub', async (t) => {
  const scene = await startPeople(0)
  t.teardown(() => scene.end())
  const { exchange, store, target, targetUrl } = scene
  await exchange.office('agency', 'add', 'police', 'police')
  await exchange.publish(people)
  await store.query(`update resource set supply_mode = 'excel'`)
  const receiver = await exchange.enrol('receiver', {
    agency: 'civil',
    databases: { front: { url: targetUrl } },
    sinks: [{ resource: 'people', database: 'front' }],
  })
  await exchange.grant('people', receiver, ['name', 'born'])
  receiver.program.start()
  const { link } = await exchange.office('first-admin')
  const city = await City.found(exchange.url, String(link))
  const registrar = await city.person('police', 'registrar', '登记员', 'registrar')

  const name = (n: number, round: number) => `${round === 2 && n % 3 === 0 ? '乙' : '甲'} ${n}`
  const file = (from: number, to: number, round: number) =>
    workbook([
      ['编号* (id)', '姓名 (name)', '电话 (phone)', '出生日期 (born)'],
      ...Array.from({ length: to - from }, (_, i): Cell[] => [String(from + i), name(from + i, round), null, '1949-10-01']),
    ])
  const stored = async (job: string) => Number((await store.query(`select count(*) from supply_entry where job = ${job} and stored`))[0])
  /** Killed after the first, the third and the fifth of its batches. */
  const taken = async (who: Person, checked: Json, more: object): Promise<Json> => {
    const { id } = await who.post(`${path}/import`, { check: checked['id'], ...more })
    for (const batches of [1, 3, 5]) {
      await until(`${batches} batches of the import`, async () => (await stored(id)) >= batches || (await ended(who, id)))
      await exchange.hub.end('SIGKILL')
      exchange.hub.start()
      await exchange.ready()
    }
    return until('the import has ended', () => ended(who, id), 120)
  }
  const checked = async (bytes: Buffer): Promise<Json> => {
    const { id } = await registrar.upload(`${path}/check`, xlsx, bytes)
    return until('the check has ended', () => ended(registrar, id))
  }

  const first = await taken(registrar, await checked(file(0, rows, 1)), { mode: 'upsert' })
  t.match(first, { state: 'done', result: { rows, created: rows, changed: 0, same: 0, deleted: 0 } }, JSON.stringify(first))
  const second = await checked(file(5000, rows + 5000, 2))
  const changes = Array.from({ length: rows - 5000 }, (_, i) => i + 5000).filter((n) => n % 3 === 0).length
  t.match(second, { result: { created: 5000, changed: changes, absent: 5000, standing: rows } })
  const replaced = await taken(registrar, second, { mode: 'replace', deletes: 5000 })
  t.match(replaced, { state: 'done', result: { created: 5000, changed: changes, deleted: 5000 } }, JSON.stringify(replaced))
  const expected = Array.from({ length: rows }, (_, i) => `${i + 5000},${name(i + 5000, 2)},1949-10-01`)
  const delivered = async () =>
    (await target.query('select id, name, born::text from delivered.people order by id').catch(() => [])).map((row) => row.join())
  await until('all that was taken is delivered', async () => String(await delivered()) === String(expected), 120)
  t.match(await checked(file(5000, rows + 5000, 2)), { result: { same: rows, created: 0, changed: 0, absent: 0 } }, 'and stands')
})

async function ended(who: Person, id: string): Promise<Json | undefined> {
  const job = await who.get(`/jobs/${id}`)
  return ['done', 'failed', 'cancelled'].includes(job['state'] as string) ? job : undefined
}
