/** What the office decides acts at once: revoked, suspended, tightened, widened, expired. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { filesHold } from '../../config-examples/demo/search.ts'
import { villageColumns, villagesResource } from '../../config-examples/demo/villages.ts'
import { HubClient } from '../../agent/hub/client.ts'
import { openKey } from '../../agent/runtime/state.ts'
import { blockValues, openBatch, splitBatch } from '../../protocol/batch.ts'
import { openClient, tableRows } from '../support/client.ts'
import { startPostgres } from '../support/postgres.ts'
import { until } from '../support/programs.ts'
import { equal, faulted, flowing, logged, logLength, makeLine, sinkOf, sourceOf, start, startLine, Writer, type Line } from './line.ts'

const server = await startPostgres()
t.teardown(() => server.stop())

t.test('a line, and its grant', async (test) => {
  const line = await startLine(test, { server })
  await test.test('the hub is away for a while: an agent with a valid policy goes on by itself', async (away) => {
    const writer = new Writer(line)
    await line.exchange.hub.end('SIGKILL')
    await faulted(() => sinkOf(line), 'QZ-HUB-UNREACHABLE')
    for (const agent of [line.provider, line.receiver]) {
      await agent.program.end()
      agent.program.start()
    }
    await faulted(() => sourceOf(line), 'QZ-HUB-UNREACHABLE')
    line.exchange.hub.start()
    await line.exchange.ready()
    await flowing(line)
    await writer.stop()
    await equal(away, line)
  })

  await test.test('the log is set back by two batches, and nobody writes: the provider begins a new epoch', async (back) => {
    for (const city of ['一', '二', '三']) {
      await line.source.query(`update villages set city = '${city}'`)
      await equal(back, line)
    }
    const from = logLength(line.provider)
    await line.store.query(
      `with kept as (select resource, epoch, seq, hash, receipt from log_batch order by epoch desc, seq desc offset 2 limit 1),
         gone as (delete from log_batch b using kept k where (b.epoch, b.seq) > (k.epoch, k.seq))
       update log_stream s set epoch = k.epoch, seq = k.seq, hash = k.hash, receipt = k.receipt from kept k`,
    )
    await line.exchange.office('housekeeping')
    await until('the provider has seen it', () => logged(line.provider, 'a new epoch begins', from))
    await flowing(line)
    await line.source.query(`update villages set city = '四'`)
    await equal(back, line)
    back.match(readFileSync(line.exchange.hub.log, 'utf8'), 'QZ-LOG-BACK', 'the hub says so')
  })

  await test.test('is suspended and resumed: nothing is lost', async (suspended) => {
    const writer = new Writer(line)
    await line.exchange.office('grant', 'suspend', line.grant, '--reason', '核查')
    await faulted(() => sinkOf(line), 'QZ-ROUTE-ENDED')
    suspended.match((await sinkOf(line))?.fault?.en, /suspended/)
    await providerGoesOn(line)
    await line.exchange.office('grant', 'resume', line.grant)
    await flowing(line)
    await writer.stop()
    await equal(suspended, line)
  })

  await test.test('is revoked: no row comes after the receiver was told', async (revoked) => {
    const writer = new Writer(line)
    await line.exchange.office('grant', 'revoke', line.grant, '--reason', '事由')
    await faulted(() => sinkOf(line), 'QZ-ROUTE-ENDED')
    // Whichever comes first: the hub's answer or its policy, both say why.
    revoked.match((await sinkOf(line))?.fault?.en, /revoked/)
    revoked.ok(await until('the log says so', () => logged(line.receiver, 'QZ-ROUTE-ENDED')), 'and its log says so')
    const rows = await tableRows(line.target, line.table, villageColumns)
    await providerGoesOn(line)
    await writer.stop()
    revoked.strictSame(await tableRows(line.target, line.table, villageColumns), rows, 'the table stays as it was')
    const asked = await fetchAll(line)
    revoked.strictSame([asked.batches.length, asked.codes], [0, ['QZ-ROUTE-ENDED']], 'who asks for the route all the same gets nothing')
    await line.receiver.program.end()
    line.receiver.program.start()
    await faulted(() => sinkOf(line), 'QZ-ROUTE-ENDED')
  })
})

t.test('an agent is revoked: nobody deals with it', async (test) => {
  const line = await startLine(test, { server })
  const [from, known] = [logLength(line.receiver), logLength(line.provider)]
  await line.exchange.office('agent', 'revoke', line.receiver.id)
  await until('the receiver is refused', () => logged(line.receiver, '"code":"QZ-AGENT-REVOKED"', from))
  await faulted(() => sinkOf(line), 'QZ-AGENT-REVOKED')
  const rows = await tableRows(line.target, line.table, villageColumns)
  const writer = new Writer(line)
  await providerGoesOn(line)
  test.strictSame(await tableRows(line.target, line.table, villageColumns), rows, 'nothing is delivered to it')
  await line.exchange.office('agent', 'revoke', line.provider.id)
  await until('the provider is refused', () => logged(line.provider, '"code":"QZ-AGENT-REVOKED"', known))
  await faulted(() => sourceOf(line), 'QZ-AGENT-REVOKED')
  const { seq } = (await sourceOf(line))!.position!
  const { changes } = writer
  await until('the application goes on writing', () => writer.changes > changes + 20)
  await writer.stop()
  test.equal((await sourceOf(line))!.position!.seq, seq, 'nothing is stored of it')
})

t.test('items', async (test) => {
  const items = villageColumns.filter((item) => item !== 'street')
  const line = await makeLine(test, { server, items, resource: marked() })
  start(line)
  await flowing(line)
  await line.source.query(`update villages set street = '街道机密' || code, city = '地市标记' || code`)
  await until('all is delivered', async () => (await count(line, `city = '地市标记' || code`)) === 500)

  await test.test('not granted: they are nowhere at the receiver', async (search) => {
    const streets = (await line.source.query('select street from villages')).map(([street]) => street!)
    const cities = (await line.source.query('select city from villages')).map(([city]) => city!)
    await line.target.query('checkpoint')
    const [oid] = (await line.target.query('select oid from pg_database where datname = current_database()'))[0]!
    const database = join(server.dataDir, 'base', oid!)
    search.equal(filesHold(database, streets) + filesHold(line.receiver.folder, streets), 0)
    search.ok(filesHold(database, cities) > 100, 'what was granted is found by the same search')
  })

  await test.test('a grant gains one: readers see the old rows, then whole new ones', async (gains) => {
    const reader = await openClient(line.options.receiver.databases['front']!.url)
    gains.teardown(() => reader.end())
    const seen = { looks: 0, halves: 0, empty: 0, done: false }
    const reading = (async () => {
      while (!seen.done) {
        const names = (await reader.query(columnsSql, [line.table.split('.')[1]])).map(([name]) => name)
        const street = names.includes('street') ? `count(*) filter (where street is null)` : '0'
        // The table may be another by now, which is no fault: it is read again.
        const [found] = await reader.query(`select count(*), ${street} from ${line.table}`).catch(() => [undefined])
        if (!found) continue
        seen.looks++
        if (Number(found[0]) < 500) seen.empty++
        if (Number(found[1]) > 0) seen.halves++
      }
    })()
    const [[items]] = (await line.store.query(`select array_to_string(items, ',') from access_grant where id = $1`, [line.grant])) as [
      [string],
    ]
    await line.exchange.office('grant', 'items', line.grant, `${items},street`)
    await until('the new item is there', async () => (await count(line, `street = '街道机密' || code`)) === 500)
    seen.done = true
    await reading
    gains.ok(seen.looks > 10, `${seen.looks} looks`)
    gains.strictSame({ halves: seen.halves, empty: seen.empty }, { halves: 0, empty: 0 })
    await flowing(line)
    const writer = new Writer(line)
    await providerGoesOn(line)
    await writer.stop()
    await equal(gains, line)
  })

  await test.test('openness is tightened: stored batches too come without the item', async (tightened) => {
    const stored = await fetchAll(line)
    tightened.ok(stored.items.has('street') && stored.values.some((value) => value.startsWith('街道机密')), 'it was delivered until now')
    await line.provider.program.end()
    const draft = marked()
    await line.exchange.publish({
      ...draft,
      items: draft.items.map((item) => (item.id === 'street' ? { ...item, openness: 'closed' as const } : item)),
    })
    const now = await fetchAll(line)
    tightened.ok(now.batches.length > 0, 'the stored batches are delivered')
    tightened.notOk(now.items.has('street'), 'without the item')
    tightened.notOk(now.values.some((value) => value.startsWith('街道机密')))
    line.provider.program.start()
    await until('no value is left of it', async () => (await count(line, 'street is not null')) === 0)
    await flowing(line)
    const rest = villageColumns.filter((column) => column !== 'street')
    const expected = await tableRows(line.source, 'villages', rest)
    await until('the rest is equal', async () => (await tableRows(line.target, line.table, rest)).join() === expected.join())
  })
})

t.test('a policy', async (test) => {
  // Eight seconds; it is renewed when half of them are over.
  const line = await startLine(test, { server, hub: { policy: { days: 8 / 86_400 } } })
  const away = [line.links.providerHub, line.links.receiverHub]
  const writer = new Writer(line)
  const from = [line.provider, line.receiver].map(logLength)
  for (const link of away) link.drop()
  await faulted(() => sourceOf(line), 'QZ-HUB-UNREACHABLE')
  for (const [i, agent] of [line.provider, line.receiver].entries()) {
    await until(`${agent.name} holds`, () => logged(agent, '"code":"QZ-POLICY-EXPIRED"', from[i]))
  }
  const rows = await tableRows(line.target, line.table, villageColumns)
  const { changes } = writer
  await until('changes queue up', () => writer.changes > changes + 20)
  test.strictSame(await tableRows(line.target, line.table, villageColumns), rows, 'nothing is applied')
  const queued = await line.source.query(`select count(*) from qianzhi.source_quarantine`)
  test.strictSame(queued, [['0']], 'nothing is given up')
  for (const link of away) link.resume()
  await flowing(line)
  await writer.stop()
  await equal(test, line, 'a new policy, and all flows')
})

const columnsSql = `select column_name from information_schema.columns where table_schema = 'delivered' and table_name = $1`

function marked() {
  const resource = villagesResource()
  return {
    ...resource,
    items: resource.items.map((item) => (item.id === 'city' || item.id === 'street' ? { ...item, length: 200 } : item)),
  }
}

async function count({ target, table }: Line, where: string): Promise<number> {
  return Number((await target.query(`select count(*) from ${table} where ${where}`).catch(() => [[0]]))[0]![0])
}

/** The provider supplies several batches from now on. */
async function providerGoesOn(line: Line): Promise<void> {
  const before = (await sourceOf(line))!.position!
  await until('the provider supplies more', async () => {
    const now = (await sourceOf(line))?.position
    return now && (now.epoch > before.epoch || now.seq > before.seq + 4)
  })
}

interface Fetched {
  batches: Buffer[]
  codes: (string | undefined)[]
  items: Set<string>
  values: string[]
}

/** All that the hub gives for the route from its beginning, asked for with the receiver's own key. */
async function fetchAll(line: Line, test: Test = t): Promise<Fetched> {
  const ca = readFileSync(join(line.exchange.folder, 'hub', 'tls', 'authority.pem'), 'utf8')
  const key = openKey(join(line.receiver.folder, 'data'))
  const hub = new HubClient({ urls: [line.exchange.url], key, ca, clock: () => new Date() })
  test.teardown(() => hub.close())
  const report = { version: '0', session: 'test', clockOffset: 0, sources: [], sinks: [] }
  const routes = [{ route: line.route, after: null, credit: 64 << 20 }]
  const { header, batches } = await hub.poll({ policy: 0, routes, heads: [], report, wait: 0 }, AbortSignal.timeout(20_000))
  const producer = openKey(join(line.provider.folder, 'data')).publicKey
  const opened = batches.map(({ bytes }) => openBatch(splitBatch(bytes), () => producer))
  return {
    batches: batches.map(({ bytes }) => bytes),
    codes: header.routes.map(({ code }) => code),
    items: new Set(opened.flatMap(({ blocks }) => blocks.map(({ item }) => item))),
    values: opened.flatMap((batch) => batch.blocks.flatMap(({ item }) => blockValues(batch, item).filter((value) => value !== null))),
  }
}
