/** Online forms (Art. 15): what people enter becomes batches of the hub's own producer. */
import t from 'tap'
import { blockValues, buildBatch, openBatch, splitBatch, type OpenBatch } from '../../../protocol/batch.ts'
import { openPolicy } from '../../../protocol/policy.ts'
import { openPostgresLog } from '../../../hub/logs/postgres.ts'
import { currentPolicy } from '../../../hub/registry/grants/policy.ts'
import type { Draft } from '../../../hub/registry/catalog/compatibility.ts'
import type { CatalogItem } from '../../../hub/registry/catalog/content.ts'
import { publishResource } from '../../../hub/registry/publishing/direct-publishing.ts'
import { noteAhead, wantSnapshot } from '../../../hub/exchange/streams.ts'
import { enteredResource, streamState } from '../../../hub/supply/entered-resource.ts'
import { openCity, person, secondHub, type Caller, type City } from '../city.ts'
import { enrolled, refusal, supplyBy, villages } from '../office.ts'
import { openDataCity, places } from '../sharing/fixture.ts'

type Test = Pick<typeof t, 'teardown' | 'equal' | 'match' | 'ok'>

async function formCity(
  test: Pick<typeof t, 'teardown'>,
  change: (draft: Draft) => void = () => {},
): Promise<{ city: City; registrar: Caller }> {
  const city = await openCity(test)
  await publishResource(city, 'admin', { schema: villages(change), supplyMode: 'form' })
  return { city, registrar: city.as('civil', 'registrar') }
}

const rowsPath = '/resources/villages/rows'
const row = (code: string, more: object = {}) => ({ values: { code, name: `名称${code}`, street: null, ...more } })

/** Every batch of a stream, read and verified without the product's own reader of tables: the hub's key alone, each after the one before. */
async function wholeChain(city: City, test: Test, keys: readonly string[] = [city.hubKey.publicKey]): Promise<OpenBatch[]> {
  const stored = await openPostgresLog(city.store).read('villages', null, 1 << 30)
  const batches = stored.map(({ bytes }) => {
    for (const key of keys) {
      try {
        return openBatch(splitBatch(bytes), () => key)
      } catch {}
    }
    throw new Error('no key fits')
  })
  let last: OpenBatch | undefined
  for (const batch of batches) {
    const { epoch, seq, prev, snapshot } = batch.manifest
    if (!last || epoch > last.manifest.epoch) test.match({ seq, prev, snapshot }, { seq: 1, prev: null, snapshot: { began: 1 } })
    else test.match({ epoch, seq, prev }, { epoch: last.manifest.epoch, seq: last.manifest.seq + 1, prev: last.hash })
    last = batch
  }
  return batches
}

/** What the stream says, by a replay of its batches. */
function replay(batches: readonly OpenBatch[]): Map<string, Record<string, string | null>> {
  const rows = new Map<string, Record<string, string | null>>()
  const fresh = new Set<string>()
  for (const batch of batches) {
    const { manifest } = batch
    if (manifest.snapshot?.began === manifest.seq) fresh.clear()
    const columns = manifest.blocks.map(({ item }) => [item, blockValues(batch, item)] as const)
    for (let i = 0; i < manifest.rows; i++) {
      const { $op = 'u', ...values } = Object.fromEntries(columns.map(([item, texts]) => [item, texts[i]!]))
      fresh.add(values['code']!)
      if ($op === 'd') rows.delete(values['code']!)
      else rows.set(values['code']!, values)
    }
    if (manifest.snapshot?.last) for (const key of rows.keys()) if (!fresh.has(key)) rows.delete(key)
  }
  return rows
}

const bare = { name: '', openness: 'internal' } as const
const everyKind: CatalogItem[] = [
  { ...bare, id: 'code', label: '证件号码', type: 'text', length: 18, key: true },
  { ...bare, id: 'no', label: '序号', type: 'integer', key: true },
  { ...bare, id: 'name', label: '名称', type: 'text', length: 10 },
  { ...bare, id: 'money', label: '金额', type: 'decimal', precision: 20, scale: 4 },
  { ...bare, id: 'big', label: '大数', type: 'integer' },
  { ...bare, id: 'valid', label: '有效', type: 'boolean' },
  { ...bare, id: 'day', label: '日期', type: 'date' },
  { ...bare, id: 'at', label: '时间', type: 'timestamp' },
  { ...bare, id: 'moment', label: '时刻', type: 'timestamptz' },
  { ...bare, id: 'clock', label: '钟点', type: 'time' },
  { ...bare, id: 'picture', label: '图', type: 'binary' },
  { ...bare, id: 'extra', label: '附加', type: 'json' },
  { ...bare, id: 'note', label: '说明', type: 'text' },
]

void t.test('values of every kind arrive as they were typed', async (t) => {
  const { city, registrar } = await formCity(t, (draft) => {
    draft.items = everyKind.map((item) => ({ ...item, name: item.id }))
  })
  const typed = [
    { code: '44052418800101001X', no: '9223372036854775807', name: '𠮷野家🍜', money: '0.3000', big: '-9223372036854775808', note: '' },
    { code: '000123', no: '-1', name: ' 空 ', money: '-1234567890123456.7891', big: '0', valid: 'true', note: null },
    { code: '0', no: '0', name: '', money: '7', day: '0001-01-01', at: '2026-03-29T02:30:00', moment: '2026-10-25T00:30:00.123456Z' },
    { code: 'Ab', no: '1', clock: '23:59:59.999999', picture: Buffer.from([0, 255, 10]).toString('base64'), extra: '{"b": [1, 2.50]}' },
    { code: 'aB', no: '1', valid: 'false', day: '9999-12-31', note: `行\n'; drop table x; -- \u200b\ttrailing  ` },
  ]
  for (const values of typed) t.match(await registrar.post(rowsPath, { values }), { status: 200, body: { warnings: [] } }, values.code)
  const none = Object.fromEntries(everyKind.map(({ id }) => [id, null]))
  const { body } = await registrar.get(`${rowsPath}?sort=code`)
  t.same(
    body.items.map(({ values }: { values: object }) => values),
    typed.map((values) => ({ ...none, ...values })).toSorted((a, b) => (a.code < b.code ? -1 : 1)),
  )
  t.equal((await wholeChain(city, t)).length, 1 + typed.length)
})

void t.test('one value has one text; what no table could hold is refused', async (t) => {
  const item = (id: string, more: Partial<CatalogItem>): CatalogItem => ({ ...bare, id, name: id, label: id, type: 'decimal', ...more })
  const { registrar } = await formCity(t, (draft) => {
    draft.items = [
      item('code', { precision: 9, scale: 2, key: true }),
      item('money', { precision: 9, scale: 3 }),
      item('clock', { type: 'time' }),
      item('extra', { type: 'json' }),
    ]
  })
  await registrar.post(rowsPath, { values: { code: '007.5', money: '-00.50', clock: '12:00:00.500' } })
  t.match(await registrar.post(rowsPath, { values: { code: '7.500' } }), { status: 409 }, 'the same key')
  t.match((await registrar.get(rowsPath)).body.items, [{ values: { code: '7.50', money: '-0.50', clock: '12:00:00.5' } }])
  const deep = '['.repeat(2000) + ']'.repeat(2000)
  t.match(await registrar.post(rowsPath, { values: { code: '1', extra: deep } }), { status: 422, body: { faults: [{ en: /too large/ }] } })
})

void t.test('a row is entered, corrected and deleted, and its history says by whom', async (t) => {
  const { city, registrar } = await formCity(t)
  t.match((await registrar.get(rowsPath)).body, { items: [] }, 'nothing yet')
  const made = await registrar.post(rowsPath, row('1'))
  t.match(await registrar.post(rowsPath, row('1')), { status: 409, body: { code: 'QZ-CONFLICT' } })
  const changed = await registrar.put(rowsPath, { values: { code: '1', street: '东城' }, seen: made.body.position })
  t.match((await registrar.get(rowsPath)).body, {
    items: [{ values: { code: '1', name: '名称1', street: '东城' }, position: changed.body.position }],
  })
  t.match(await registrar.put(rowsPath, { values: { code: '2' }, seen: made.body.position }), { status: 404 })
  const gone = await registrar.post(`${rowsPath}/delete`, { key: { code: '1' }, seen: changed.body.position })
  t.same((await registrar.get(rowsPath)).body.items, [])
  const actor = registrar.principal.actor
  t.same(
    (await registrar.get(`${rowsPath}/history?code=1`)).body.items.map(({ op, by, position, values }: Record<string, unknown>) => ({
      op,
      by,
      position,
      values,
    })),
    [
      { op: 'delete', by: actor, position: gone.body.position, values: null },
      { op: 'change', by: actor, position: changed.body.position, values: { code: '1', name: '名称1', street: '东城' } },
      { op: 'create', by: actor, position: made.body.position, values: { code: '1', name: '名称1', street: null } },
    ],
  )
  const acts = await city.store.query<{ act: string; actor: string }>(
    `select act, actor, details from audit_entry where act ~ '^(row|supply)[.]' order by id`,
  )
  t.match(
    acts.filter(({ act }) => /take-over|create|change|delete/.test(act)),
    [
      { act: 'supply.take-over', actor: 'hub' },
      { act: 'row.create', actor, details: { rows: 1, position: made.body.position } },
      { act: 'row.change', actor },
      { act: 'row.delete', actor },
    ],
  )
  t.notMatch(JSON.stringify(acts), /东城|名称1/, 'no values')
  t.match(await city.store.query('select person from supply_entry where act = $1', ['row.create']), [
    { person: registrar.principal.person },
  ])
})

void t.test('what two edit at once is told to the second, who did what', async (t) => {
  const { city, registrar } = await formCity(t)
  const other = (await secondHub(t, city)).as('civil', 'registrar')
  const { position } = (await registrar.post(rowsPath, row('1'))).body
  const edit = (who: Caller, name: string, seen = position) => who.put(rowsPath, { values: { code: '1', name }, seen })
  t.match(await edit(registrar, '一'), { status: 200 })
  const late = await edit(other, '二')
  t.match(late, { status: 412, body: { code: 'QZ-REVISION', detail: { zh: /civil registrar 于 .*更正数据行/ } } })
  const { body } = await other.get(rowsPath)
  t.match(body.items, [{ values: { name: '一' } }])
  // A snapshot brings the row again, as it is: nobody has changed it.
  await wantSnapshot(city.store, 'villages', null)
  await city.services.producer.look()
  const [again] = (await registrar.get(rowsPath)).body.items
  t.not(again.position, body.items[0].position)
  const after = await edit(other, '三', body.items[0].position)
  t.match(after, { status: 200 })
  t.match(await edit(other, '四', again.position), { status: 412 })
  t.match(await other.post(`${rowsPath}/delete`, { key: { code: '1' }, seen: after.body.position }), { status: 200 })
  t.match(await edit(registrar, '五', after.body.position), { status: 412, body: { detail: { zh: /删除数据行/ } } })
  await wholeChain(city, t)
})

void t.test('of two hubs that write at once nothing is lost', async (t) => {
  const { city, registrar } = await formCity(t)
  const second = (await secondHub(t, city)).as('civil', 'registrar')
  const codes = Array.from({ length: 40 }, (_, i) => String(i))
  const answers = await Promise.all(codes.map((code, i) => (i % 2 ? registrar : second).post(rowsPath, row(code))))
  t.same([...new Set(answers.map(({ status }) => status))], [200])
  const same = await Promise.all([registrar, second, registrar, second].map((who) => who.post(rowsPath, row('same'))))
  t.same(same.map(({ status }) => String(status)).toSorted(), ['200', '409', '409', '409'], 'one of them was first')
  const batches = await wholeChain(city, t)
  const rows = replay(batches)
  t.same([...rows.keys()].toSorted(), [...codes, 'same'].toSorted())
  const { body } = await registrar.get(`${rowsPath}?limit=1000&count=exact`)
  t.equal(body.count.rows, 41)
  t.same(
    body.items.map(({ values }: { values: object }) => values),
    [...rows.keys()].toSorted().map((code) => rows.get(code)),
  )
  const entries = await city.store.query<{ position: string }>(
    `select epoch || '/' || seq as position, hash from supply_entry where stored order by epoch, seq`,
  )
  t.same(
    entries,
    batches.map(({ manifest: { epoch, seq }, hash }) => ({ position: `${epoch}/${seq}`, hash })),
    'each batch with who brought it, and no entry more',
  )
  t.match(await city.store.query('select count(*) from supply_entry'), [{ count: String(batches.length) }])
})

void t.test('all that is wrong with a row is told at once; what a check warns of is taken', async (t) => {
  const { registrar } = await formCity(t, (draft) => {
    const [code, name, street, phone] = draft.items as CatalogItem[]
    Object.assign(name!, { required: true })
    Object.assign(street!, { dictionary: [{ value: '01', label: '东城' }, { value: '02' }] })
    Object.assign(phone!, { openness: 'internal', check: { kind: 'uscc', on: 'warn' } })
    const card: CatalogItem = { id: 'card', name: 'card', label: '证件', type: 'text', length: 18, openness: 'internal' }
    const secret: CatalogItem = { ...card, id: 'secret', name: 'secret', openness: 'closed' }
    card.check = { kind: 'identity-number', on: 'reject', when: { item: 'street', equals: ['01'] } }
    draft.items = [code!, name!, street!, phone!, card, secret]
  })
  const good = { code: '1', name: '一', street: '01', card: '440524188001010014', phone: '' }
  const bad = await registrar.post(rowsPath, {
    values: { code: 'x'.repeat(13), name: '', street: '03', card: '1', secret: 'x', unknown: '1' },
  })
  t.match(bad, { status: 422, body: { code: 'QZ-ROW-FORM', detail: { zh: /共 5 处/ } } })
  t.same(
    bad.body.faults.map(({ item }: { item: string }) => item),
    ['secret', 'unknown', 'code', 'name', 'street'],
  )
  t.ok(bad.body.faults.every(({ zh, en }: { zh: string; en: string }) => zh && en))
  const check = await registrar.post(rowsPath, { values: { ...good, card: '440524188001010015' } })
  t.match(check, { status: 422, body: { faults: [{ item: 'card', zh: /校验码不对/ }] } })
  t.match(await registrar.post(rowsPath, { values: { ...good, code: '2', street: '02', card: '1' } }), { status: 200 }, 'not checked then')
  t.match(await registrar.post(rowsPath, { values: { ...good, phone: '91310115MA1G4L1WXK' } }), {
    status: 200,
    body: { warnings: [{ item: 'phone', zh: /统一社会信用代码.*校验码不对/ }] },
  })
  t.match((await registrar.get('/resources/villages/form')).body, {
    closed: null,
    items: [
      { id: 'code', input: 'line', required: true, key: true, length: 12 },
      { id: 'name', required: true },
      { id: 'street', input: 'choice', dictionary: [{ value: '01', label: '东城' }, { value: '02' }] },
      { id: 'phone', check: { kind: 'uscc', on: 'warn' } },
      { id: 'card', check: { kind: 'identity-number', on: 'reject', when: { item: 'street' } } },
    ],
  })
})

void t.test('drafts are incomplete, and their own', async (t) => {
  const { city, registrar } = await formCity(t)
  const path = '/resources/villages/drafts'
  const { body: draft } = await registrar.post(path, { values: { name: '岗', code: null } })
  await registrar.post(path, { draft: draft.id, values: { name: '岗贝' } })
  t.match((await registrar.get(path)).body, { items: [{ id: draft.id, values: { name: '岗贝' }, seen: null }] })
  const colleague = await person(city, city.app, 'civil', 'registrar')
  t.same((await colleague.get(path)).body.items, [])
  t.match(await colleague.delete(`${path}/${draft.id}`), { status: 404 })
  t.match(await colleague.post(path, { draft: draft.id, values: {} }), { status: 404 })
  t.match(await registrar.post(rowsPath, { ...row('1'), draft: draft.id }), { status: 200 })
  t.same((await registrar.get(path)).body.items, [], 'it was entered')
  await registrar.post(path, { values: { name: '岗' } })
  await city.store.query('update resource set secrecy = true')
  await city.services.producer.look()
  t.same((await registrar.get(path)).body.items, [], 'nothing stays of what is secret')
})

void t.test('only registrars of the agency enter rows; its reviewers read', async (t) => {
  const { city, registrar } = await formCity(t)
  const { position } = (await registrar.post(rowsPath, row('1'))).body
  const enters = (who: Caller) => [
    who.post(rowsPath, row('2')),
    who.put(rowsPath, { ...row('1'), seen: position }),
    who.post(`${rowsPath}/delete`, { key: { code: '1' }, seen: position }),
    who.post('/resources/villages/drafts', row('1')),
  ]
  const reads = (who: Caller) => ['rows', 'form', 'rows/history?code=1'].map((door) => who.get(`/resources/villages/${door}`))
  const statuses = async (answers: Promise<{ status: number }>[]) => [...new Set((await Promise.all(answers)).map(({ status }) => status))]
  const reviewer = city.as('civil', 'reviewer')
  t.same(await statuses(reads(reviewer)), [200])
  t.same(await statuses(enters(reviewer)), [403])
  for (const [agency, role] of [
    ['civil', 'user'],
    ['civil', 'agency-it'],
    ['water', 'registrar'],
    ['city', 'office'],
    ['city', 'supervisor'],
  ] as const) {
    const who = city.as(agency, role)
    t.same(await statuses([...reads(who), ...enters(who)]), [403], `${agency} ${role}`)
  }
})

void t.test('the supply mode decides who produces; each change of it is a new epoch with what the table holds', async (t) => {
  const { city, provider, send } = await openDataCity(t)
  const registrar = city.as('civil', 'registrar')
  t.match(await registrar.post(rowsPath, row('1')), { status: 409, body: { code: 'QZ-FORM-CLOSED', detail: { zh: /前置交换/ } } })
  t.match((await registrar.get('/resources/villages/form')).body, { closed: { en: /front-end/ }, supplyMode: 'front-end' })
  await supplyBy(city, 'form')
  await city.services.producer.look()
  const held = new Map(places.map(({ code, name, street }) => [code, { code, name, street }]))
  const keys = [city.hubKey.publicKey, provider.agent.publicKey]
  t.same(replay((await wholeChain(city, t, keys)).filter(({ manifest }) => manifest.producer === 'hub')), held, 'in the snapshot alone')
  t.equal(await refusal(send([{ code: '9', name: 'late', street: null }])), 'QZ-SUPPLY-NOT-ALLOWED')
  t.match(await registrar.post(rowsPath, row('1')), { status: 200 })
  const receiver = await enrolled(city, 'water')
  await city.store.query(
    `with granted as (insert into access_grant (id, resource, agency, items, basis) values ('x', 'villages', 'water', '{name}', nextval('decision')))
     insert into route (id, access_grant, agent) values ('x', 'x', $1)`,
    [receiver.id],
  )
  const policyOf = async (agent: string) => {
    const { jws } = await currentPolicy(city.store, city.hubKey, agent, 0, city.now, { days: 30 })
    return openPolicy(jws, city.hubKey.publicKey, agent, 0)
  }
  t.match((await policyOf(receiver.id)).receive, [{ keys: [{ key: city.hubKey.publicKey, from: 1 }] }])
  t.match(await policyOf(provider.agent.id), { supply: [], withheld: [{ resource: 'villages', reason: { zh: /在线填报/ } }] })
  // And back: the agent begins an epoch of its own, and the hub's key counts no longer.
  await supplyBy(city, 'front-end')
  t.match((await policyOf(receiver.id)).receive, [{ keys: [{ key: provider.agent.publicKey }] }])
  provider.epoch = (await wholeChain(city, t, keys)).at(-1)!.manifest.epoch + 1
  await send([{ code: '7', name: 'back', street: null }], 'snapshot')
  t.match((await registrar.get(rowsPath)).body.items, [{ values: { code: '7' } }])
  t.match(await registrar.post(rowsPath, row('1')), { status: 409 })
})

void t.test('a new version begins with a snapshot, new items null', async (t) => {
  const { city, registrar } = await formCity(t)
  t.match(await registrar.post(rowsPath, row('1', { street: '东城' })), { status: 200 })
  const schema = villages((draft) => {
    draft.items.push({ id: 'note', name: 'note', label: '备注', type: 'text', length: 20, openness: 'internal' })
  })
  await publishResource(city, 'admin', { schema })
  await city.services.producer.look()
  const all = await wholeChain(city, t)
  t.match(all.at(-1)!.manifest, { schema: 2, kind: 'snapshot', snapshot: { last: true } })
  t.same(replay(all).get('1'), { code: '1', name: '名称1', street: '东城', note: null })
  t.match(await registrar.post(rowsPath, row('2', { note: '新' })), { status: 200 })
  t.match((await registrar.get(rowsPath)).body.items, [{ values: { code: '1', note: null } }, { values: { code: '2', note: '新' } }])
})

void t.test('a snapshot that was broken off is made anew, and nothing is lost; nor after the hub was put back', async (t) => {
  const { city, registrar } = await formCity(t)
  const headOf = async () => (await openPostgresLog(city.store).heads(['villages'])).get('villages')!
  const entered = async () => (await registrar.get(rowsPath)).body.items.map(({ values }: { values: { code: string } }) => values.code)
  const breakOff = async (schema: number) => {
    const head = await headOf()
    const header = { resource: 'villages', schema, producer: 'hub', epoch: head.epoch + 1, seq: 1, prev: null, kind: 'snapshot' } as const
    const columns = ['code', 'name', 'street'].map((item) => ({ item, values: [] }))
    const batch = buildBatch({ ...header, time: '2026-11-22T00:00:00Z', snapshot: { began: 1, last: false } }, columns, city.hubKey)
    t.ok(await city.exchange.produce(batch, head))
  }
  /** Whoever joins finds a whole snapshot, and nothing unfinished behind it. */
  const isWhole = async (what: string) => {
    const { complete, begun } = await openPostgresLog(city.store).state('villages')
    t.same(begun, complete, what)
  }
  await registrar.post(rowsPath, row('1'))
  await breakOff(1)
  t.match(await registrar.post(rowsPath, row('2')), { status: 200 })
  t.same(await entered(), ['1', '2'])
  await isWhole('of the same version')
  const schema = villages((draft) => {
    draft.items[1]!.length = 120
  })
  await publishResource(city, 'admin', { schema })
  await breakOff(2)
  t.match(await registrar.post(rowsPath, row('3')), { status: 200 })
  t.same(await entered(), ['1', '2', '3'])
  await isWhole('of another version')
  const known = (await headOf()).epoch + 1000
  await city.store.query('update stream set known_epoch = $1', [known])
  await registrar.post(rowsPath, row('4'))
  t.ok((await headOf()).epoch > known, 'receivers ahead of the hub go on with a later epoch')
  const { epoch, seq } = await headOf()
  await noteAhead(city.store, 'villages', { epoch, seq: seq + 5 }, new Date('9999-01-01'))
  await registrar.post(rowsPath, row('5'))
  t.ok((await headOf()).epoch > epoch, 'also where they are ahead within the epoch')
  t.same([...replay(await wholeChain(city, t)).keys()], ['1', '2', '3', '4', '5'])
})

void t.test('a table that is behind its log begins nothing: what it lacks would be lost', async (t) => {
  const { city, registrar } = await formCity(t)
  await registrar.post(rowsPath, row('1'))
  await city.services.producer.catchUp('villages')
  const log = openPostgresLog(city.store)
  const state = async (code: string) => {
    // Somebody else is faster, after the table was looked at.
    await registrar.post(rowsPath, row('2'))
    return log.state(code)
  }
  const resource = await enteredResource(city.store.query, 'villages')
  t.match(await streamState({ store: city.store, log: { ...log, state } }, resource), { next: 'moves' })
})

void t.test('an entry whose process ended is settled by what the log has', async (t) => {
  const { city, registrar } = await formCity(t)
  await registrar.post(rowsPath, row('1'))
  const { query } = city.store
  await query(`update supply_entry set stored = false where act = 'row.create'`)
  await query(
    `insert into supply_entry (resource, epoch, seq, hash, by, at, act, rows) select resource, epoch, seq, 'other', by, at, act, rows from supply_entry`,
  )
  t.same((await registrar.get(`${rowsPath}/history?code=1`)).body.items, [], 'not known yet')
  city.now = new Date(city.now.getTime() + 3_600_000)
  await city.services.producer.look()
  t.match((await registrar.get(`${rowsPath}/history?code=1`)).body.items, [{ op: 'create' }])
  t.match(await query('select act from supply_entry order by id'), [{ act: 'supply.take-over' }, { act: 'row.create' }])
})
