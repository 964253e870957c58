/** Rows that a person enters arrive in the table of another agency, whose agent verifies them, also where an agent supplied them before. */
import t from 'tap'
import { startPeople, supplyPeople } from '../support/people.ts'
import { until } from '../support/programs.ts'
import { City } from '../support/registry.ts'

t.test('from a front-end machine to forms', async (t) => {
  const scene = await startPeople(2)
  t.teardown(() => scene.end())
  const { exchange, store, target, targetUrl } = scene
  const provider = await supplyPeople(scene)
  const receiver = await exchange.enrol('receiver', {
    agency: 'civil',
    databases: { front: { url: targetUrl } },
    sinks: [{ resource: 'people', database: 'front' }],
  })
  await exchange.grant('people', receiver, ['name', 'born'])
  provider.program.start()
  receiver.program.start()
  const delivered = async () =>
    (await target.query('select id, name from delivered.people order by id').catch(() => [])).map((row) => row.join())
  const arrives = (rows: string[], what: string) => until(what, async () => String(await delivered()) === String(rows))
  await arrives(['1,甲,1', '2,甲,2'], 'the rows of the machine arrive')

  const refusesKey = async () => {
    const [line] = await store.query(`select report ->> 'sinks' from agent where id = '${receiver.id}'`)
    return /QZ-PROVIDER-KEY/.test(String(line))
  }
  /** Another key supplies: the receiver's operator decides whether it may. */
  const trust = async (what: string) => {
    await until(what, refusesKey)
    await receiver.command('trust', 'people')
  }

  const { link } = await exchange.office('first-admin')
  const city = await City.found(exchange.url, String(link))
  const registrar = await city.person('police', 'registrar', '登记员', 'registrar')
  await store.query(`update resource set supply_mode = 'form'`)
  await trust('the hub takes the place of the machine')
  const path = '/resources/people/rows'
  const born = '1949-10-01'
  const { position } = await registrar.post(path, { values: { id: '9223372036854775807', name: ' 𠮷\n', phone: null, born } })
  await arrives(['1,甲,1', '2,甲,2', '9223372036854775807, 𠮷\n'], 'what was entered arrives beside them')
  const changed = await registrar.put(path, { values: { id: '9223372036854775807', name: '' }, seen: position })
  await arrives(['1,甲,1', '2,甲,2', '9223372036854775807,'], 'it is corrected')
  t.same(await target.query(`select born::text, qz_position::text from delivered.people where id > 2`), [
    [born, positionOf(changed['position'])],
  ])
  await registrar.post(`${path}/delete`, { key: { id: '9223372036854775807' }, seen: changed['position'] })
  await arrives(['1,甲,1', '2,甲,2'], 'it is deleted')
  await until('the hub hears that the route goes on', async () => !(await refusesKey()))
  await scene.source.query(`insert into people values (3, '丙')`)
  await store.query(`update resource set supply_mode = 'front-end'`)
  await trust('the machine supplies again')
  await arrives(['1,甲,1', '2,甲,2', '3,丙'], 'what its table holds now')
})

function positionOf(shown: string): string {
  const [epoch, seq] = shown.split('/') as [string, string]
  return String(BigInt(epoch) * 4294967296n + BigInt(seq))
}
