/** Where granted routes go: named sinks, `auto`, or nowhere, which says what to write. */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { parse } from 'yaml'
import { readAgentConfig } from '../../../agent/config/config.ts'
import { sinkMissing, sinksInForce, tableOf, unplaced } from '../../../agent/config/granted.ts'
import { receivesFor, sinkTable } from '../../../agent/config/tables.ts'
import { fileItems } from '../../../protocol/files.ts'
import type { Policy, Receive } from '../../../protocol/policy.ts'
import { codePattern, identifierPattern, type Item } from '../../../protocol/schema.ts'

const folder = mkdtempSync(join(tmpdir(), 'qianzhi-granted-'))
const code: Item = { id: 'code', name: 'code', label: '编码', type: 'integer', key: true, openness: 'internal' }

function receive(route: string, resource: string, more: Partial<Receive> = {}, items = [code]): Receive {
  const schema = { resource, version: 1, title: resource, agency: 'civil', table: 'rows_of_it', items }
  return { route, grant: `g-${route}`, schema, items: items.map(({ id }) => id), keys: [], ...more }
}

const policyOf = (...receives: Receive[]) => ({ receive: receives, supply: [] }) as unknown as Policy

function configured(text: string) {
  const file = join(folder, 'qianzhi-agent.yaml')
  writeFileSync(file, text)
  return readAgentConfig(file)
}

const postgres = 'databases: { front: { url: "postgres://u@h/d" } }'

/** Route, place and table of everything that is received. */
function places(text: string, policy: Policy) {
  const config = configured(text)
  const sinks = sinksInForce(config, policy)
  return sinks.flatMap((sink) =>
    receivesFor(policy, sink, sinks).map((one) => {
      const { table, ownTable = false } = sinkTable(sink, one, config)
      return [one.route, sink.database, table, ownTable]
    }),
  )
}

t.test('auto gives each granted resource a table of its own, and named sinks win', async (t) => {
  const policy = policyOf(
    receive('r1', 'villages'),
    receive('r2', 'civil.roads'),
    receive('r3', 'villages'),
    receive('r4', 'permits-a', { standard: 'permits', shared: true }),
    receive('r5', 'permits-b', { standard: 'permits', shared: true }),
  )
  const made = [
    ['r1', 'front', 'delivered.villages', true],
    ['r2', 'front', `delivered.${tableOf('civil.roads')}`, true],
    ['r4', 'front', 'delivered.permits', true],
    ['r5', 'front', 'delivered.permits', true],
  ]
  t.same(places(`${postgres}\nsinks: auto`, policy), made)
  t.match(tableOf('civil.roads'), /^civil_roads_[0-9a-f]{8}$/)
  const own = '{ resource: villages, database: front, table: own.villages }'
  t.same(places(`${postgres}\nsinks: [${own}, { auto: front, schema: city }]`, policy), [
    ['r1', 'front', 'own.villages', false],
    ['r2', 'front', `city.${tableOf('civil.roads')}`, true],
    ['r3', 'front', 'city.villages', true],
    ['r4', 'front', 'city.permits', true],
    ['r5', 'front', 'city.permits', true],
  ])
  const mariadb = 'databases: { front: { url: "mysql://u@h/d" } }\nsinks: auto'
  t.same(places(mariadb, policyOf(receive('r1', 'villages'))), [['r1', 'front', 'villages', true]])
})

t.test('auto of a folder takes rows and files; of a database no files', async (t) => {
  const policy = policyOf(receive('r1', 'villages'), receive('r2', 'scans', {}, fileItems('internal')))
  const config = configured('folders: { out: { path: ./out } }\nsinks: [{ auto: out, format: excel }]')
  t.match(sinksInForce(config, policy), [
    { route: 'r1', folder: 'out', contents: 'rows', format: 'excel' },
    { route: 'r2', folder: 'out', contents: 'any' },
  ])
  const database = configured(`${postgres}\nsinks: auto`)
  t.same(
    unplaced(database, policy).map(({ route }) => route),
    ['r2'],
  )
  t.match(sinkMissing(database, policy.receive[1]!).text('en'), /folders: .*sinks: … - \{ resource: scans, folder: out, contents: any \}/)
})

t.test('a route without a sink gives the lines that are right for this configuration', async (t) => {
  const told = (text: string, one: Receive) => {
    const config = configured(text)
    t.same(unplaced(config, policyOf(one)), [one])
    return sinkMissing(config, one).details['lines'] as string
  }
  const villages = receive('r1', 'villages')
  const lines = told(postgres, villages)
  t.same(parse(lines), { sinks: [{ resource: 'villages', database: 'front', table: 'delivered.rows_of_it' }] })
  t.same(places(`${postgres}\n${lines}`, policyOf(villages)), [['r1', 'front', 'delivered.rows_of_it', false]], 'and they do it')
  t.match(told('databases: { local: { url: "mysql://u@h/d" } }', villages), /database: local, table: rows_of_it/)
  const taken = `${postgres}\nsinks: [{ resource: other, database: front, table: delivered.rows_of_it }]`
  t.match(told(taken, villages), /^sinks: … - \{ resource: villages, database: front, table: delivered\.r1 \}$/)
  const standard = receive('r1', 'a', { standard: 'permits', shared: true })
  t.match(told(postgres, standard), /standard: permits/)
  t.match(told('', villages), /^databases: \{ front/)
  const inside = configured(`${postgres}\nhub: { gap: { in: in } }\nfolders: { in: { path: ./in } }`)
  t.same(unplaced(inside, policyOf(villages)), [], 'behind a gap the sink may be outside')
})

t.test('what auto cannot be is refused, and named', async (t) => {
  const faults: [string, RegExp][] = [
    ['sinks: auto', /sinks: auto needs exactly one database/],
    ['databases: { a: { url: "mysql://h/d" }, b: { url: "mysql://h/e" } }\nsinks: auto', /name one/],
    [`${postgres}\nsinks: [{ auto: back }]`, /sinks\[0\]\.auto.*back/],
    [`${postgres}\nsinks: [{ auto: front }, { auto: front }]`, /sinks\[1\]\.auto.*one auto/],
    [`${postgres}\nsinks: [{ auto: front, table: t }]`, /sinks\[0\]\.table.*not for auto/],
    [`${postgres}\nsinks: [{ auto: front, headers: names }]`, /sinks\[0\]\.headers.*for folders/],
    [`${postgres}\nsinks: [{ resource: r, database: front, schema: s }]`, /sinks\[0\]\.schema.*for auto/],
    ['folders: { out: { path: ./out } }\nsinks: [{ auto: out, schema: s }]', /sinks\[0\]\.schema.*for databases/],
    [`${postgres}\nsinks: [{ resource: r, database: front, tabel: s }]`, /sinks\.0\.tabel.*unknown key.*takeOver/s],
    [`${postgres}\nsinks: [{ resource: r, database: front, deletes: no }]`, /sinks\.0\.deletes/],
  ]
  for (const [text, expected] of faults) t.throws(() => configured(text), { message: expected }, text)
})

t.test('no two codes have one table', async (t) => {
  const codes = fc.stringMatching(new RegExp(codePattern))
  const seen = new Map<string, string>()
  const identifier = new RegExp(identifierPattern)
  const cases = fc.sample(codes, { numRuns: 20_000, seed: 7 })
  const wrong = cases.filter((one) => {
    const table = tableOf(one)
    const other = seen.get(table)
    seen.set(table, one)
    return !identifier.test(table) || (other !== undefined && other !== one)
  })
  t.same(wrong, [], `${seen.size} codes`)
})
