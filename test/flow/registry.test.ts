/** By the regulation's own steps, each by the right person: no command, no file edited, makes data flow but an approval. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Agent, request } from 'undici'
import { Receiver } from '../hub/sharing/receiver.ts'
import { openClient } from '../support/client.ts'
import { Exchange } from '../support/exchange.ts'
import { findPostgres } from '../support/postgres.ts'
import { runProgram, until } from '../support/programs.ts'
import { City, frontEnd } from '../support/registry.ts'

const columns = `licence_no varchar(20) primary key, org_name varchar(100) not null, credit_code varchar(18), agency varchar(50),
  issued_on date, valid_until date, handled_at timestamp, note varchar(200)`
const item = (id: string, label: string, more: object) => ({ id, name: id, label, type: 'text', openness: 'internal', ...more })
const content = {
  title: '食品经营许可',
  classification: '302',
  abstract: '本市食品经营许可证的发放情况',
  format: 'database',
  sharing: 'unconditional',
  shareModes: ['query', 'api', 'exchange'],
  cycle: 'realtime',
  supplyMode: 'front-end',
  subject: 'enterprise',
  licence: true,
  table: 'food_licence',
  items: [
    item('licence_no', '许可证编号', { length: 20, key: true, required: true, openness: 'public' }),
    item('org_name', '机构名称', { length: 100, role: 'institution-name' }),
    item('credit_code', '统一社会信用代码', { length: 18, role: 'uscc', check: { kind: 'uscc', on: 'warn' } }),
    item('agency', '发证机关', { length: 50, role: 'issuing-authority' }),
    item('implementing', '实施机关', { length: 50, role: 'implementing-agency' }),
    item('issued_on', '发证日期', { type: 'date', role: 'issued-at' }),
    item('valid_until', '有效期至', { type: 'date', role: 'valid-until' }),
    item('handled_at', '办理时间', { type: 'timestamp', role: 'handled-at' }),
    item('note', '内部备注', { length: 200, openness: 'closed' }),
  ],
}

t.test('from an agency that has data to the table of another that fills', async (t) => {
  const postgres = await findPostgres()
  const receiverOfChanges = await new Receiver().listen(t)
  const authorities = join(t.testdir(), 'receivers.pem')
  writeFileSync(authorities, receiverOfChanges.authority)
  const webhooks = { allow: ['127.0.0.0/8'], ca: authorities, rows: 200 }
  const exchange = await Exchange.start({ hub: { supervision: { everySeconds: 1 }, webhooks } })
  const [sourceUrl, targetUrl] = [await postgres.createDatabase('source'), await postgres.createDatabase('target')]
  const [source, target] = [await openClient(sourceUrl), await openClient(targetUrl)]
  t.teardown(async () => {
    await Promise.all([source.end(), target.end()])
    await exchange.stop()
    await postgres.stop()
  })
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false }, keepAliveTimeout: 1 })
  t.teardown(() => dispatcher.close())
  await source.query(`create table food_licence (${columns})`)
  await source.query(`insert into food_licence select 'JY' || n, '企业' || n, '91441900PDY0001750', '市监局', '2026-01-01', '2031-01-01', '2026-01-01 09:00', '内部' || n
    from generate_series(1, 500) n`)

  const { link } = await exchange.office('first-admin')
  const city = await City.found(exchange.url, String(link))
  await city.agency('market', '市市场监督管理局')
  await city.agency('tax', '市税务局')
  const office = await city.person('city', 'office', '办公室', 'office')
  const auditor = await city.person('city', 'auditor', '审计员', 'audit-admin')
  const registrar = await city.person('market', 'registrar', '登记员', 'registrar', 'agency-it')
  const reviewer = await city.person('market', 'reviewer', '审核员', 'reviewer')
  const user = await city.person('tax', 'user', '使用员', 'user', 'agency-it')

  await t.test('the admin key decides nothing any more', async (t) => {
    await t.rejects(exchange.office('agency', 'add', 'x', 'x'), /QZ-FORBIDDEN/)
  })

  const provider = await frontEnd(exchange, registrar, office, 'market', {
    agency: 'market',
    databases: { front: { url: sourceUrl } },
    sources: [{ resource: 'food-licence', database: 'front', table: 'food_licence', columns: { implementing: 'agency' } }],
  })
  const receiver = await frontEnd(exchange, user, office, 'tax', {
    agency: 'tax',
    databases: { front: { url: targetUrl } },
    sinks: [{ resource: 'food-licence', database: 'front' }],
  })

  const { id } = await registrar.post('/registrations', { resource: 'food-licence', content })
  await registrar.post(`/registrations/${id}/submit`, { secrecy: { reviewed: true, by: '张三' } })
  await reviewer.post(`/registrations/${id}/publish`)
  await provider.command('setup')
  provider.program.start()
  receiver.program.start()

  const applied = await user.post('/applications', {
    resource: 'food-licence',
    mode: 'exchange',
    items: ['licence_no', 'org_name', 'credit_code', 'valid_until'],
    purpose: '税务登记核验',
    basis: '《税收征收管理法》第十五条',
    agent: receiver.id,
    atEnd: 'remove',
  })
  await user.post(`/applications/${applied['id']}/submit`)

  await t.test('the office looks at twenty rows as they would be delivered', async (t) => {
    const preview = await until('the provider answers', () => office.post(`/applications/${applied['id']}/preview`).catch(() => undefined))
    t.equal(preview['rows'].length, 20)
    t.same(preview['items'], ['licence_no', 'org_name', 'credit_code', 'valid_until'])
    t.match(preview['rows'][0], [/^JY/, /^企业/, '91441900PDY0001750', '2031-01-01'])
  })

  const approved = await office.post(`/applications/${applied['id']}/approve`)
  const delivered = 'select licence_no, org_name, credit_code, valid_until::text from delivered.food_licence'
  const count = async () => (await target.query(delivered).catch(() => [])).length
  await until('the rows arrive', async () => (await count()) === 500)
  await source.query(`update food_licence set org_name = '更名' where licence_no = 'JY7'`)
  await source.query(`delete from food_licence where licence_no = 'JY8'`)
  await until('changes follow', async () => {
    const rows = await target.query(`${delivered} where licence_no in ('JY7', 'JY8')`)
    return rows.length === 1 && rows[0]![1] === '更名'
  })

  const granted = async (mode: 'query' | 'api') => {
    const wanted = {
      resource: 'food-licence',
      mode,
      items: ['org_name', 'valid_until'],
      purpose: '税务登记核验',
      basis: '《税收征收管理法》第十五条',
    }
    const { id } = await user.post('/applications', wanted)
    await user.post(`/applications/${id}/submit`)
    await office.post(`/applications/${id}/approve`)
    const { items } = (await user.get('/grants')) as { items: { id: string; mode: string }[] }
    return items.find((grant) => grant.mode === mode)!.id
  }
  let token = ''
  const byApi = async () => {
    const answer = await request(`${exchange.url}/data/v1/food-licence/by-key?licence_no=JY7`, {
      headers: { authorization: `Bearer ${token}` },
      dispatcher,
    })
    return { status: answer.statusCode, body: (await answer.body.json()) as Record<string, unknown> }
  }
  await t.test('the same rows are had by query and by API, each by its own approval (Art. 16)', async (t) => {
    await granted('query')
    await until('the hub has its table', () =>
      user.put('/queries/food-licence/purpose', { purpose: '核验' }).then(
        () => true,
        () => false,
      ),
    )
    const row = await until('the change is in it', async () => {
      const { items } = await user.get('/queries/food-licence/rows?licence_no=JY7')
      return items[0]?.org_name === '更名' ? (items[0] as object) : undefined
    })
    t.same(Object.keys(row), ['licence_no', 'org_name', 'valid_until'])
    const { id, secret } = await user.post(`/grants/${await granted('api')}/credentials`, { name: '税务系统' })
    const answer = await request(`${exchange.url}/oauth2/token`, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
      },
      body: 'grant_type=client_credentials',
      dispatcher,
    })
    token = ((await answer.body.json()) as { access_token: string }).access_token
    t.match(await byApi(), { status: 200, body: { item: row, source: { agency: 'market' } } })
  })

  await t.test('and changes are sent to who cannot ask, signed by the hub', async (t) => {
    const jwks = await request(`${exchange.url}/oauth2/jwks`, { dispatcher })
    receiverOfChanges.keys = ((await jwks.body.json()) as { keys: Receiver['keys'] }).keys
    receiverOfChanges.key = 'licence_no'
    const { items } = (await user.get('/grants')) as { items: { id: string; mode: string }[] }
    const { id } = items.find(({ mode }) => mode === 'api')!
    await user.post(`/grants/${id}/webhooks`, { name: '税务系统', url: receiverOfChanges.url })
    await until('it has a copy', async () => receiverOfChanges.complete)
    t.equal(receiverOfChanges.copy.size, 499)
    await source.query(`update food_licence set org_name = '再更名' where licence_no = 'JY7'`)
    await until('a change follows', async () => receiverOfChanges.copy.get('JY7')?.['org_name'] === '再更名')
    await source.query(`update food_licence set org_name = '更名' where licence_no = 'JY7'`)
    await until('and another', async () => receiverOfChanges.copy.get('JY7')?.['org_name'] === '更名')
    t.same(receiverOfChanges.wrongs, [])
  })

  await t.test(
    'a row that the receiver\u2019s table refuses is the provider\u2019s to answer for, and the answer stands beside the row (Art. 18)',
    async (t) => {
      await target.query(`alter table delivered.food_licence add constraint known check (org_name <> '查无此企业')`)
      await source.query(`update food_licence set org_name = '查无此企业' where licence_no = 'JY9'`)
      const reported = await until('the correction', async () => (await registrar.get('/corrections'))['items'][0])
      t.match(reported, { agency: 'tax', provider: 'market', state: 'reported', fault: { zh: /JY9/ } })
      const listed = async () => JSON.parse((await receiver.command('quarantine', '--json')).stdout)
      const row = (state: RegExp) =>
        until(`it is ${state}`, async () => (await listed()).find(({ correction }: any) => state.test(correction?.state.en)))
      t.match(await row(/reported/), { key: ['JY9'], code: 'QZ-ROW-REFUSED', correction: { id: reported.id } })
      await office.post(`/corrections/${reported.id}/pass`)
      await row(/with the provider/)
      await reviewer.post(`/corrections/${reported.id}/answer`, { result: 'corrected', answer: '企业名称已补正' })
      t.match(await row(/answered/), { key: ['JY9'], correction: { text: '企业名称已补正' } })
      t.match((await receiver.command('quarantine')).stdout, /更正 \d+：已答复：企业名称已补正/)
      await source.query(`update food_licence set org_name = '补正企业' where licence_no = 'JY9'`)
      await until('it has gone in', async () => (await listed()).length === 0)
      await until('it is settled', async () => (await registrar.get(`/corrections/${reported.id}`))['state'] === 'settled')
    },
  )

  await t.test('revoked, delivery stops and the data are removed, with a receipt', async (t) => {
    const grant = approved['grants'][0].id as string
    await office.post(`/grants/${grant}/revoke`, { reason: '用途变化' })
    await until('the delivered table is empty', async () => (await count()) === 0)
    const told = await until('the removal receipt', async () => {
      const { routes } = await office.get(`/grants/${grant}`)
      return routes[0].removed ? routes[0] : undefined
    })
    t.match(told, { removed: { rows: 499 } })
    const sent = async () => (await provider.report())!.sources[0]!.rows
    const before = await sent()
    await source.query(`insert into food_licence (licence_no, org_name) values ('JY900', '新企业')`)
    await until('the hub has the new row', async () => (await sent()) > before)
    await until('the receiver has asked again', async () => (await receiver.report())!.sinks[0]!.fault)
    t.equal(await count(), 0)
  })

  await t.test('what was revoked a publication does not bring back; another approval does', async (t) => {
    await reviewer.put('/resources/food-licence/keep', { keep: 'relay' })
    await reviewer.put('/resources/food-licence/keep', { keep: 'store' })
    const sent = (await provider.report())!.sources[0]!.rows
    await source.query(`insert into food_licence (licence_no, org_name) values ('JY901', '新企业')`)
    await until('the hub has the new row', async () => (await provider.report())!.sources[0]!.rows > sent)
    t.equal(await count(), 0)
    const again = await user.post('/applications', {
      resource: 'food-licence',
      mode: 'exchange',
      items: ['licence_no', 'org_name', 'credit_code', 'valid_until'],
      purpose: '税务登记核验',
      basis: '《税收征收管理法》第十五条',
      agent: receiver.id,
    })
    await user.post(`/applications/${again['id']}/submit`)
    await office.post(`/applications/${again['id']}/approve`)
    await until('the rows arrive again', async () => (await count()) === 501)
  })

  await t.test('what is declared secret flows no more, and leaves those who have it', async (t) => {
    const { content: now } = await registrar.get('/resources/food-licence')
    const items = (now.items as { openness: string }[]).map((one) => ({
      ...one,
      openness: one.openness === 'public' ? 'internal' : one.openness,
    }))
    const secret = { ...now, items, sharing: 'none', sharingConditions: '《保守国家秘密法》第九条', secrecy: true }
    const { id: next } = await registrar.post('/registrations', { resource: 'food-licence', content: secret })
    await registrar.post(`/registrations/${next}/submit`, { secrecy: { reviewed: true, by: '张三' } })
    await reviewer.post(`/registrations/${next}/publish`)
    await until('the delivered table is empty', async () => (await count()) === 0)
    await until('the provider is told to send nothing', async () => {
      return (await provider.report())!.sources[0]!.fault?.code === 'QZ-SUPPLY-NOT-ALLOWED'
    })
    await source.query(`insert into food_licence (licence_no, org_name) values ('JY902', '新企业')`)
    await until('the removal receipts', async () => {
      const { items: grants } = (await office.get('/grants')) as { items: { id: string }[] }
      const all = await Promise.all(grants.map(async (one) => (await office.get(`/grants/${one.id}`)).routes as { removed: unknown }[]))
      return all.flat().every(({ removed }) => removed)
    })
    t.equal(await count(), 0)
    t.match(await byApi(), { status: 403, body: { code: 'QZ-DATA-ENDED' } })
    await until(
      'nothing of it is left at the hub',
      async () => ((await exchange.office('table', 'list')) as unknown as object[]).length === 0,
    )
  })

  await t.test('all of it is on record, and a program that has the export alone can tell', async (t) => {
    const file = join(exchange.folder, 'audit.jsonl')
    await exchange.office('audit', 'export', file)
    const checkpoints = join(exchange.folder, 'checkpoints.json')
    writeFileSync(checkpoints, (await receiver.command('audit', '--json')).stdout)
    const { stdout } = await runProgram(['hub/main.ts', 'audit', 'verify', file, '--checkpoints', checkpoints, '--json'])
    const verified = JSON.parse(stdout) as { count: number; keyExpected: boolean; checkpoints: { matched: number } }
    t.ok(verified.count > 50 && verified.keyExpected && verified.checkpoints.matched > 0, stdout)
    const { items } = await auditor.get('/audit?limit=1000')
    const acts = new Set((items as { act: string }[]).map(({ act }) => act))
    for (const act of [
      'session.open',
      'registration.publish',
      'application.approve',
      'application.preview',
      'grant.revoke',
      'supply',
      'delivery',
    ]) {
      t.ok(acts.has(act), act)
    }
  })
})
