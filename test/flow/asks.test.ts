/** What the hub asks of a real agent: descriptions, previews; and the checks that the agent makes of what it sends. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import pino from 'pino'
import t from 'tap'
import { stringify } from 'yaml'
import { blockValues, openBatch, projectBatch, splitBatch } from '../../protocol/batch.ts'
import { checkIdentifier } from '../../protocol/identifiers.ts'
import type { Item } from '../../protocol/schema.ts'
import { loadConfig } from '../../hub/config.ts'
import { startHub, type Hub } from '../../hub/hub.ts'
import { addAgency } from '../../hub/registry/agencies/agencies.ts'
import type { Draft } from '../../hub/registry/catalog/compatibility.ts'
import { publishResource } from '../../hub/registry/publishing/direct-publishing.ts'
import { openClient } from '../support/client.ts'
import { TestAgent } from '../support/exchange.ts'
import { hubStore } from '../support/hub-store.ts'
import { findPostgres } from '../support/postgres.ts'
import { runHere } from '../support/commands.ts'
import { until } from '../support/programs.ts'
import { freePort } from '../support/server.ts'

const item = (id: string, label: string, more: Partial<Item> = {}): Item => {
  return { id, name: id, label, type: 'text', length: 50, openness: 'internal', ...more }
}

function draft(change: (draft: Draft) => void = () => {}): Draft {
  const when = { item: 'kind', equals: ['居民身份证'] }
  const made: Draft = {
    resource: 'people',
    title: '持证人员',
    agency: 'civil',
    table: 'people',
    items: [
      item('id', '编号', { key: true, length: 20 }),
      item('name', '姓名', { role: 'person-name' }),
      item('kind', '证件类型', { role: 'certificate-type' }),
      item('number', '证件号码', { role: 'certificate-number', check: { kind: 'identity-number', on: 'reject', when } }),
      item('employer', '单位信用代码', { check: { kind: 'uscc', on: 'warn' } }),
      item('opinion', '内部意见', { openness: 'closed' }),
    ],
  }
  change(made)
  return made
}

/** Identity numbers of ten people. */
const cards = Array.from({ length: 10 }, (_, i) => {
  const found = Array.from('0123456789X', (last) => `11010519491231${100 + i}${last}`).find(
    (text) => !checkIdentifier('identity-number', text),
  )
  return found!
})
const rows = [
  ...cards.map((card, i) => [`row-${i}`, `人员 ${i}`, '居民身份证', card, '91350100M000100Y43', 'geheim']),
  ['passport', '外籍', '护照', 'E12345678', null, 'geheim'],
  ['warned', '警告', '居民身份证', cards[0]!, '91310115MA1G4L1WXK', 'geheim'],
  ['rejected', '拒绝', '居民身份证', '110105194912310021', null, 'geheim'],
]

async function start(t: { teardown: (fn: () => Promise<unknown>) => unknown }) {
  const postgres = await findPostgres()
  const folder = await mkdtemp(join(tmpdir(), 'qianzhi-asks-'))
  const port = await freePort()
  const file = join(folder, 'qianzhi-hub.yaml')
  const store = await hubStore(postgres)
  await writeFile(file, stringify({ listen: { host: '127.0.0.1', port }, urls: [`https://127.0.0.1:${port}`], store }))
  const log: string[] = []
  const stream = new Writable({ write: (chunk: Buffer, _, done) => (log.push(chunk.toString()), done()) })
  const hub = await startHub(loadConfig(file), { logger: pino({ level: 'trace' }, stream) })
  const url = await postgres.createDatabase('front')
  const client = await openClient(url)
  const agent = new TestAgent('civil', join(folder, 'civil'), { agency: 'civil', databases: {} })
  t.teardown(async () => {
    await agent.program.end()
    await client.end()
    await hub.close()
    await postgres.stop()
    await rm(folder, { recursive: true, force: true })
  })
  const configure = async (more: object = {}) => {
    const databases = { front: { url } }
    const sources = [
      { resource: 'people', database: 'front', table: 'people' },
      { resource: 'later', database: 'front', table: 'people', columns: { full_name: 'name' } },
    ]
    await writeFile(agent.configFile, stringify({ data: './data', log: { level: 'debug' }, hub: { poll: 5 }, databases, sources, ...more }))
  }
  await configure()
  await addAgency(hub.registry, 'test', { code: 'civil', name: '民政局' })
  const { stdout } = await runHere(['hub/main.ts', 'token', 'civil', '--config', file, '--json'])
  await agent.command('enroll', (JSON.parse(stdout) as { token: string }).token, '--name', 'civil')
  const state = JSON.parse(await readFile(join(agent.folder, 'data', 'state.json'), 'utf8')) as { identity: { agent: string } }
  agent.id = state.identity.agent
  return { hub, client, agent, configure, log: () => log.join('') }
}

/** The newest batch's rows, as a route that is granted these items gets them. */
async function carried(hub: Hub, items: readonly string[]): Promise<{ values: (string | null)[][]; ops: string[] }> {
  const [agent] = await hub.registry.store.query<{ key: string }>('select public_key as key from agent')
  const stored = await hub.log.read('people', null, 1 << 30)
  const bytes = projectBatch(splitBatch(stored.at(-1)!.bytes), new Set(items))
  const batch = openBatch(splitBatch(bytes), () => agent!.key)
  const columns = items.map((id) => blockValues(batch, id))
  const ops = batch.manifest.blocks.some((block) => block.item === '$op')
    ? (blockValues(batch, '$op') as string[])
    : columns[0]!.map(() => 'u')
  return { values: columns[0]!.map((_, row) => columns.map((column) => column[row]!)), ops }
}

t.test('a resource is described, previewed, registered, and checked at the agent', async (t) => {
  const { hub, client, agent, configure, log } = await start(t)
  await client.query(
    `create table people (id varchar(20) primary key, name varchar(50), kind varchar(50), number varchar(50), employer varchar(50), opinion varchar(50))`,
  )
  await client.query(`comment on table people is '持证人员'`)
  for (const [column, label] of [
    ['name', '姓名'],
    ['kind', '证件类型'],
    ['number', '号码'],
  ])
    await client.query(`comment on column people.${column} is '${label}'`)
  for (const row of rows) await client.query('insert into people values ($1, $2, $3, $4, $5, $6)', row)
  agent.program.start()
  const { asks } = hub
  const patient = { timeout: 60_000 }

  const { tables } = await asks.ask(agent.id, { kind: 'describe' }, patient)
  t.match(tables, [{ database: 'front', table: 'people', view: false, comment: '持证人员' }])
  const described = await asks.ask(agent.id, { kind: 'describe', table: 'people' }, patient)
  t.equal(described.sampled, rows.length)
  t.match(described.columns, [
    { column: 'id', key: true, type: { type: 'text', length: 20 } },
    { column: 'name', comment: '姓名', role: 'person-name' },
    { column: 'kind', role: 'certificate-type' },
    { column: 'number', native: 'character varying(50)', role: 'certificate-number', check: { kind: 'identity-number', when: 'kind' } },
    {},
    {},
  ])
  for (const value of rows.flat()) if (value !== '护照') t.notMatch(JSON.stringify(described), value ?? '·')
  await t.rejects(asks.ask(agent.id, { kind: 'describe', table: 'nowhere' }, patient), { code: 'QZ-SOURCE-TABLE' })

  const items = ['name', 'number', 'opinion']
  const question = { kind: 'preview', resource: 'people', schema: { ...draft(), version: 1 }, items, rows: 20 } as const
  const seen = await asks.ask(agent.id, question, patient)
  t.same(seen.items, ['id', 'name', 'number'], 'the key is there, the closed item is not')
  t.same(seen.faults, [{ key: ['rejected'], code: 'QZ-ROW-CHECK', item: 'number' }])
  t.equal(seen.warned, 1)
  t.notMatch(JSON.stringify(seen), 'geheim')
  const one = await asks.ask(agent.id, { ...question, filter: [{ item: 'name', value: '外籍' }] }, patient)
  t.same(one.rows, [['passport', '外籍', 'E12345678']])
  for (const [ungranted, value] of [
    ['employer', '91350100M000100Y43'],
    ['opinion', 'geheim'],
  ] as const) {
    await t.rejects(asks.ask(agent.id, { ...question, filter: [{ item: ungranted, value }] }, patient), { code: 'QZ-REQUEST-INVALID' })
  }
  await t.rejects(asks.ask(agent.id, { ...question, resource: 'unknown' }, patient), { code: 'QZ-NOT-FOUND' })

  await publishResource(hub.registry, 'test', { schema: draft() })
  await agent.setUp('people')
  const flowing = await until('the first snapshot is sent', async () => {
    const source = (await agent.report())?.sources.find(({ resource }) => resource === 'people')
    return source?.state === 'flowing' && source.position && source
  })
  t.match(flowing, { quarantine: 1, warned: 1 })
  const batch = await carried(hub, seen.items)
  t.same(
    batch.values.filter((_, i) => batch.ops[i] === 'u'),
    seen.rows,
    'the preview showed what the batch carries',
  )
  t.same(
    batch.values.filter((_, i) => batch.ops[i] === 'c:QZ-ROW-CHECK'),
    [['rejected', null, null]],
  )
  const kept = await client.query('select key_text as key, code, item, reason from qianzhi.source_quarantine')
  t.same(
    kept.map((row) => row.slice(0, 3)),
    [['["rejected"]', 'QZ-ROW-CHECK', 'number']],
  )
  t.notMatch(kept[0]![3], '110105194912310021')

  const published = await publishResource(hub.registry, 'test', { schema: draft((made) => (made.items[3]!.check!.on = 'warn')) })
  t.equal(published.version, 1, 'a check changes without a new version')
  await until('the agent obeys the new check', async () => {
    await client.query(`update people set name = name || '' where id = 'rejected'`)
    const source = (await agent.report())?.sources.find(({ resource }) => resource === 'people')
    return source?.quarantine === 0 && (source.warned ?? 0) > 0
  })
  t.equal((await carried(hub, ['id', 'number'])).values[0]![1], '110105194912310021', 'now it travels')

  await agent.program.end()
  await t.rejects(asks.ask(agent.id, { kind: 'describe' }, { timeout: 200 }), { code: 'QZ-ASK-UNANSWERED' })
  await configure({ describe: false })
  agent.program.start()
  await t.rejects(asks.ask(agent.id, { kind: 'describe' }, patient), { code: 'QZ-ASK-OFF' })
  const later = {
    ...question,
    resource: 'later',
    schema: { ...question.schema, resource: 'later', items: laterItems() },
    items: ['full_name'],
  }
  t.same(
    (await asks.ask(agent.id, { ...later, rows: 2 }, patient)).items,
    ['id', 'full_name'],
    'a draft nobody has approved, with local names',
  )

  const logs = log() + (await readFile(agent.program.log, 'utf8'))
  for (const value of new Set(rows.flat())) if (value) t.notOk(logs.includes(value), `no log holds ${value}`)
  t.same(await hub.registry.store.query('select * from ask'), [])
})

function laterItems(): Item[] {
  return [item('id', '编号', { key: true, length: 20 }), item('full_name', '姓名')]
}

t.test('an agent is asked for its checks and its log, in which no value of a row stands', async (t) => {
  const { hub, client, agent } = await start(t)
  await client.query(
    `create table people (id varchar(20) primary key, name varchar(50), kind varchar(50), number varchar(50), employer varchar(50), opinion varchar(50))`,
  )
  await publishResource(hub.registry, 'test', { schema: draft() })
  await agent.setUp('people')
  for (const row of rows) await client.query('insert into people values ($1, $2, $3, $4, $5, $6)', row)
  agent.program.start()
  await until('rows that cannot be sent are set aside', async () => {
    const source = (await agent.report())?.sources.find(({ resource }) => resource === 'people')
    return (source?.quarantine ?? 0) > 0
  })
  const { checks } = await hub.asks.ask(agent.id, { kind: 'doctor' }, { timeout: 60_000 })
  t.ok(checks.some(({ name, ok }) => name === 'front primary' && ok))
  t.ok(checks.every(({ zh, en }) => zh !== '' && en !== ''))
  const titles = checks.map(({ name, title }) => [name, title!.zh, title!.en].join(' | '))
  t.ok(titles.includes('front primary | front 主库 | front primary'), titles.join('\n'))
  const { lines } = await hub.asks.ask(agent.id, { kind: 'log', lines: 500 })
  const entries = lines.map((line) => JSON.parse(line) as { program: string; msg: string })
  t.same([...new Set(entries.map(({ program }) => program))], ['qianzhi-agent'], 'there are lines, and they are the agent’s own')
  t.ok(
    entries.some(({ msg }) => msg === 'agent started'),
    'from its beginning',
  )
  const text = lines.join('\n')
  for (const secret of rows.flat().filter((value) => value !== null && value !== '居民身份证'))
    t.notOk(text.includes(secret!), `the log holds no ${secret}`)
  t.equal((await hub.asks.ask(agent.id, { kind: 'log', lines: 2 })).lines.length, 2)
  await t.rejects(hub.asks.ask(agent.id, { kind: 'pause', name: 'nothing' }), { name: 'QianzhiError' }, 'nothing of that name')
})
