/** Rows that a person enters arrive in the table of another agency, whose agent verifies them, also where an agent supplied them before. */
import t from 'tap'
import { openReconciliation, type ReconciliationProgress } from '../../protocol/reconciliation.ts'
import { runHere } from '../support/commands.ts'
import { people, startPeople, supplyPeople } from '../support/people.ts'
import { until } from '../support/programs.ts'
import { City } from '../support/registry.ts'

/** With what Art. 6 demands of every resource. */
const registered = {
  ...people,
  items: [
    ...people.items.map((item) => (item.id === 'name' ? { ...item, role: 'matter' as const } : item)),
    {
      id: 'agency',
      name: 'agency',
      label: '实施机关',
      type: 'text',
      length: 50,
      openness: 'internal',
      role: 'implementing-agency',
    } as const,
    { id: 'handled', name: 'handled', label: '办理时间', type: 'date', openness: 'internal', role: 'handled-at' } as const,
  ],
}

t.test('from a front-end machine to forms and back, as registrar and reviewer publish it', async (t) => {
  const scene = await startPeople(2, { reconciliation: { every: 0 } })
  t.teardown(() => scene.end())
  const { exchange, store, target, targetUrl } = scene
  await scene.source.query(`alter table people add agency varchar(50) default '公安局', add handled date default '2026-01-01'`)
  const provider = await supplyPeople(scene, registered, { guard: { least: 2 } })
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
  const reviewer = await city.person('police', 'reviewer', '审核员', 'reviewer')
  const described = { classification: '302', abstract: '人口', cycle: 'realtime', subject: 'other' }
  const supplyBy = async (supplyMode: string) => {
    const { id } = await registrar.post('/registrations', { resource: 'people' })
    await registrar.post(`/registrations/${id}/change`, { content: { ...described, supplyMode } })
    await registrar.post(`/registrations/${id}/submit`, { secrecy: { reviewed: true, by: '张三' } })
    await reviewer.post(`/registrations/${id}/publish`)
  }
  await supplyBy('form')
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
  const [epoch] = changed['position'].split('/')
  await supplyBy('excel')
  await t.rejects(registrar.post(path, { values: { id: '4' } }), /QZ-FORM-CLOSED.*EXCEL/)
  await supplyBy('form')
  const [last] = await Promise.all([4, 5, 6].map((id) => registrar.post(path, { values: { id: String(id), name: '填报' } })))
  t.match(last!['position'], new RegExp(`^${epoch}/`), 'the hub goes on, in the epoch that it began')
  await arrives(['1,甲,1', '2,甲,2', '4,填报', '5,填报', '6,填报'], 'and nobody had to trust it anew')
  await until('the hub hears that the route goes on', async () => !(await refusesKey()))
  await until('the hub says how many rows there are', async () => {
    const [line] = await store.query('select head_statement from stream')
    return (JSON.parse(Buffer.from(String(line).split('.')[1]!, 'base64url').toString()) as { rows?: number }).rows === 5
  })

  await t.test('receiver and hub are reconciled: what was altered by hand is found and mended, and both sign', async (t) => {
    const office = await city.person('city', 'office', '办公室', 'office')
    const reconcile = async (...words: string[]) => {
      const command = ['reconcile', 'people', ...words, '--json', '--config', receiver.configFile]
      const { stdout, stderr } = await runHere(['agent/main.ts', ...command], { failing: true })
      if (stdout === '') throw new Error(stderr)
      return (JSON.parse(stdout) as ReconciliationProgress[])[0]!
    }
    const first = await reconcile()
    t.match(first, { state: 'equal', keys: [], statement: { source: { rows: 5 }, target: { rows: 5 }, differing: 0 } })
    await target.query(`update delivered.people set name = '手工' where id = 1`)
    await target.query('delete from delivered.people where id = 2')
    await target.query(
      `insert into delivered.people select 7, '多余', born, qz_source, qz_position, qz_received_at from delivered.people where id = 4`,
    )
    const changes = (state: string) => [`1 changed ${state}`, `2 missing ${state}`, `7 extra ${state}`]
    const states = ({ keys }: ReconciliationProgress) =>
      keys.map(({ key, difference, state }) => `${key.join()} ${difference} ${state}`).toSorted()
    const found = await reconcile('--no-repair')
    t.match(found, { state: 'different', statement: { differing: 3, remaining: 3 } })
    t.same(states(found), changes('remaining'))
    const mended = await reconcile('--repair')
    t.match(mended, { state: 'equal', statement: { repaired: 3, remaining: 0 } })
    t.same(states(mended), changes('repaired'))
    t.same(await delivered(), ['1,甲,1', '2,甲,2', '4,填报', '5,填报', '6,填报'])
    const { sourceAgent, sourceKey, sourceSignature, targetKey, targetSignature } = await office.get(`/reconciliations/${mended.run}`)
    t.equal(sourceAgent, 'hub')
    t.same(openReconciliation(sourceSignature, sourceKey), mended.statement)
    t.same(openReconciliation(targetSignature, targetKey), mended.statement)
    t.equal(openReconciliation(sourceSignature, targetKey), undefined)
    const acts = await store.query(`select details ->> 'rows' from audit_entry where act = 'supply.resend'`)
    t.same(acts, [['2']], 'what travelled again is on record, as nobody’s edit')
  })

  await supplyBy('front-end')
  await trust('the machine supplies again')
  const held = async () => /QZ-GUARD-SNAPSHOT/.test(JSON.stringify((await provider.report())?.sources))
  await until('its table holds two rows of five: what would go waits for a person', held)
  t.equal((await delivered()).length, 5)
  await scene.source.query(`insert into people values (4, '丙')`)
  await provider.command('confirm', 'people')
  await arrives(['1,甲,1', '2,甲,2', '4,丙'], 'what its table holds')
})

function positionOf(shown: string): string {
  const [epoch, seq] = shown.split('/') as [string, string]
  return String(BigInt(epoch) * 4294967296n + BigInt(seq))
}
