import t, { type Test } from 'tap'
import {
  failure,
  openAsk,
  questionOf,
  sealAnswer,
  type ColumnsAnswer,
  type DescribeQuestion,
  type ProposedColumn,
  type Question,
  type TablesAnswer,
} from '../../../../protocol/asks.ts'
import { QianzhiError } from '../../../../protocol/errors.ts'
import { checkSchema, type Schema } from '../../../../protocol/schema.ts'
import { generateSigningKey } from '../../../../protocol/signature.ts'
import { AgentRequests, openRequests } from '../../../../hub/exchange/agent-requests.ts'
import { openCity, type City } from '../../city.ts'
import { enrolled } from '../../office.ts'

const column = (name: string, comment: string, more: Partial<ProposedColumn> = {}): ProposedColumn => ({
  column: name,
  comment,
  native: 'varchar',
  nullable: true,
  key: false,
  type: { type: 'text', length: 100 },
  ...more,
})

const columns: ProposedColumn[] = [
  column('ID', '', { key: true, nullable: false, type: { type: 'integer' }, native: 'bigint' }),
  column('XM', '姓名', { role: 'person-name', nullable: false }),
  column('证件类型', '证件类型', { role: 'certificate-type' }),
  column('ZJHM', '证件号码', { role: 'certificate-number', check: { kind: 'identity-number', when: '证件类型' } }),
  column('zjhm', '另一证件号码', { role: 'certificate-number', check: { kind: 'identity-number' } }),
  column('qz_note', '备注'),
  column('2nd', '第二', { type: { type: 'decimal', precision: 12, scale: 2 } }),
  column('实施机关', '实施机关', { role: 'implementing-agency' }),
  column('done', '办理时间', { role: 'handled-at', type: { type: 'date' } }),
]
const unfit = { column: 'place', comment: '位置', native: 'geometry', nullable: true, key: false }
const described: ColumnsAnswer = { database: 'business', table: 'public.Person', columns: [...columns, unfit], sampled: 200 }
const tables: TablesAnswer = {
  tables: [{ database: 'business', table: 'public.Person', view: false, comment: '人员', rows: 5 }],
  more: false,
  faults: [],
}

interface Answering {
  city: City
  agent: string
  /** The questions that reached the agent. */
  asked: Question[]
}

/** A city whose first agent answers what the hub asks, as it would in its polls. */
async function answering(test: Test, answer: ColumnsAnswer | QianzhiError = described): Promise<Answering> {
  const city = await openCity(test)
  const hubKey = generateSigningKey()
  const asks = new AgentRequests({ store: city.store, wakeups: city.wakeups, hubKey, clock: city.clock })
  city.services.asks = asks
  const { id, key } = await enrolled(city, 'civil')
  const asked: Question[] = []
  const ended = new AbortController()
  const heard = city.wakeups.listen([`agent:${id}`])
  const agent = { id, agency: 'civil', publicKey: key.publicKey }
  const polls = (async () => {
    while (!ended.signal.aborted) {
      for (const { statement } of await openRequests(city.store.query, id)) {
        const ask = openAsk(statement, hubKey.publicKey, id, city.now)!
        const question = questionOf(ask) as DescribeQuestion
        asked.push(question)
        const outcome = question.table === undefined ? { answer: tables } : answer instanceof QianzhiError ? failure(answer) : { answer }
        await asks.answer(agent, sealAnswer(ask, outcome))
      }
      await heard.wait(60_000, ended.signal)
    }
  })()
  test.teardown(async () => {
    ended.abort()
    await polls
    heard.close()
  })
  return { city, agent: id, asked }
}

t.test('a table becomes a draft that lacks only what no table can say', async (t) => {
  const { city, agent, asked } = await answering(t)
  const registrar = city.as('civil', 'registrar')
  t.same((await registrar.get(`/tables?agent=${agent}`)).body, tables)
  const { status, body } = await registrar.post('/tables/proposal', { agent, database: 'business', table: 'public.Person', title: '人员' })
  t.equal(status, 200)
  t.match(asked, [{ kind: 'describe' }, { kind: 'describe', database: 'business', table: 'public.Person' }])
  t.match(body, {
    left: [{ column: 'place', native: 'geometry' }],
    sampled: 200,
    notes: [],
    registration: { state: 'draft', resource: 'civil-0001' },
  })
  const [drafted] = await city.store.query<{ columns: object }>('select columns from registration where id = $1', [body.registration.id])
  t.match(drafted!.columns, { item_3: '证件类型' }, 'the columns that its items were')
  const { content } = body.registration
  t.match(content, { title: '人员', table: 'person', subject: 'person', licence: false, supplyMode: 'front-end' })
  t.notOk(content.producer, 'the only agent needs no naming')
  t.same(content.items.slice(0, 5), [
    { id: 'id', name: 'id', label: 'ID', type: 'integer', key: true, openness: 'internal' },
    { id: 'xm', name: 'xm', label: '姓名', type: 'text', length: 100, required: true, openness: 'internal', role: 'person-name' },
    { id: 'item_3', name: 'item_3', label: '证件类型', type: 'text', length: 100, openness: 'internal', role: 'certificate-type' },
    {
      id: 'zjhm',
      name: 'zjhm',
      label: '证件号码',
      type: 'text',
      length: 100,
      openness: 'internal',
      role: 'certificate-number',
      check: {
        kind: 'identity-number',
        on: 'warn',
        when: { item: 'item_3', equals: ['居民身份证', '身份证', '中华人民共和国居民身份证', '二代身份证', '111', '01'] },
      },
    },
    {
      id: 'zjhm_2',
      name: 'zjhm_2',
      label: '另一证件号码',
      type: 'text',
      length: 100,
      openness: 'internal',
      check: { kind: 'identity-number', on: 'warn' },
    },
  ])
  t.same(
    content.items.slice(5, 7).map(({ id }: any) => id),
    ['c_qz_note', 'c_2nd'],
  )
  const schema: Schema = { resource: 'r', version: 1, title: 'r', agency: 'civil', table: content.table, items: content.items }
  t.equal(checkSchema(schema), schema)
  const { faults } = (await registrar.get(`/registrations/${body.registration.id}/check`)).body
  t.same(faults.map(({ field }: any) => field).toSorted(), ['abstract', 'classification', 'cycle'])
  const acts = await city.store.query(`select act, actor from audit_entry where object = $1 order by id`, [`agent ${agent}`])
  const { actor } = registrar.principal
  t.same(
    acts.filter(({ act }) => String(act).startsWith('table.')),
    [
      { act: 'table.list', actor },
      { act: 'table.propose', actor },
    ],
  )
})

t.test('one of several agents is named; enterprises and licences are recognised', async (t) => {
  const answer: ColumnsAnswer = {
    ...described,
    columns: [
      column('no', '许可证号', { key: true, nullable: false }),
      column('name', '企业名称', { role: 'institution-name' }),
      column('uscc', '统一社会信用代码', { role: 'uscc' }),
      column('by', '发证机关', { role: 'issuing-authority' }),
      column('on', '发证日期', { role: 'issued-at', type: { type: 'date' } }),
    ],
  }
  const { city, agent } = await answering(t, answer)
  await enrolled(city, 'civil')
  const wanted = { agent, database: 'business', table: 'licence', resource: 'licence' }
  const { body } = await city.as('civil', 'agency-it').post('/tables/proposal', wanted)
  t.match(body.registration, { resource: 'licence', content: { title: 'licence', producer: agent, subject: 'enterprise', licence: true } })
})

t.test("only of one's own agents; what the agent refuses is passed on; nothing is drafted", async (t) => {
  const off = await answering(t, new QianzhiError('QZ-ASK-OFF'))
  const wanted = { agent: off.agent, database: 'business', table: 'x' }
  t.match(await off.city.as('civil', 'registrar').post('/tables/proposal', wanted), { status: 403, body: { code: 'QZ-ASK-OFF' } })
  off.asked.length = 0
  t.match(await off.city.as('water', 'registrar').post('/tables/proposal', wanted), { status: 403, body: { code: 'QZ-FORBIDDEN' } })
  t.match(await off.city.as('water', 'agency-it').get(`/tables?agent=${off.agent}`), { status: 403 })
  t.match(await off.city.as('civil', 'registrar').get('/tables?agent=nobody'), { status: 404 })
  t.match(await off.city.as('civil', 'reviewer').get(`/tables?agent=${off.agent}`), { status: 403 })
  t.same(off.asked, [])
  const none = await answering(t, { ...described, columns: [unfit] })
  const refused = await none.city.as('civil', 'registrar').post('/tables/proposal', { ...wanted, agent: none.agent })
  t.match(refused, { status: 422, body: { code: 'QZ-RULE' } })
  t.same((await none.city.as('civil', 'registrar').get('/registrations')).body.items, [])
})

t.test('one draft of each table: asked again, the standing one is answered as people have left it', async (t) => {
  const { city, agent } = await answering(t)
  const registrar = city.as('civil', 'registrar')
  const wanted = { agent, database: 'business', table: 'public.Person' }
  const [first, second] = await Promise.all([registrar.post('/tables/proposal', wanted), registrar.post('/tables/proposal', wanted)])
  const { id } = first.body.registration
  t.equal(second.body.registration.id, id, 'also at the same moment')
  await registrar.post(`/registrations/${id}/change`, { content: { title: '改过的名称' } })
  const again = await registrar.post('/tables/proposal', wanted)
  t.match(again.body, { registration: { id, content: { title: '改过的名称' } }, notes: [{ zh: /已由此表建有登记.*未另建草稿/ }] })
  t.equal((await registrar.get('/registrations')).body.items.length, 1)
  t.not((await registrar.post('/tables/proposal', { ...wanted, table: 'other' })).body.registration.id, id)
  await registrar.post(`/registrations/${id}/discard`)
  t.not((await registrar.post('/tables/proposal', wanted)).body.registration.id, id, 'what was discarded stands no more')
})

t.test("the agency's only machine need not be named, and its people see which there are", async (t) => {
  const { city, agent } = await answering(t)
  const registrar = city.as('civil', 'registrar')
  t.same((await registrar.get('/tables')).body, tables)
  t.match(await registrar.post('/tables/proposal', { database: 'business', table: 'public.Person' }), { status: 200 })
  for (const role of ['registrar', 'user'] as const) {
    const { items } = (await city.as('civil', role).get('/agents')).body
    t.match(items, [{ id: agent, state: 'active', agencyName: /./ }])
    t.strictSame([items[0].morning, items[0].refusedFiles], [undefined, undefined], 'not how it runs')
  }
  t.match((await city.as('civil', 'agency-it').get('/agents')).body.items, [{ id: agent, refusedFiles: [] }])
  t.same((await city.as('water', 'registrar').get('/agents')).body.items, [], 'none of another agency')
  await enrolled(city, 'civil')
  t.match(await registrar.get('/tables'), { status: 422, body: { code: 'QZ-RULE', detail: { zh: /前置机.*civil-/ } } }, 'of two it must be')
  t.match(await city.as('water', 'registrar').get('/tables'), { status: 422, body: { code: 'QZ-RULE' } })
})

t.test("a table's comment is the title; what the agent assumed is passed on", async (t) => {
  const notes = [{ zh: '列 f 按布尔登记', en: 'column f is taken for a boolean' }]
  const { city } = await answering(t, { ...described, comment: '持证人员\n2019 年迁移', notes })
  const registrar = city.as('civil', 'registrar')
  const { body } = await registrar.post('/tables/proposal', { database: 'business', table: 'public.Person' })
  t.match(body, { notes, registration: { content: { title: '持证人员' } } })
})

t.test('a table without a key says so', async (t) => {
  const keyless = { ...described, columns: columns.map((one) => ({ ...one, key: false })) }
  const { city, agent } = await answering(t, keyless)
  const { body } = await city.as('civil', 'registrar').post('/tables/proposal', { agent, database: 'business', table: 'public.Person' })
  t.match(body.notes, [{ zh: /没有主键.*标为主键/, en: /mark the items that tell its rows apart/ }])
})
