import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { readAgentConfig } from '../../agent/config.ts'

const folder = mkdtempSync(join(tmpdir(), 'qianzhi-config-'))
const database = 'databases: { front: { url: "postgres://u@h/d" } }'

const source = (more: string): string => `${database}\nsources: [{ resource: r, database: front, table: t, ${more} }]`

function configured(text: string) {
  const file = join(folder, 'qianzhi-agent.yaml')
  writeFileSync(file, text)
  return readAgentConfig(file)
}

t.test('defaults and references', async (t) => {
  process.env['QIANZHI_TEST_SECRET'] = 'p@ss/w:rd%'
  writeFileSync(join(folder, 'secret'), 'from file\n')
  const config = configured(
    'databases: { a: { url: "mysql://u:${env:QIANZHI_TEST_SECRET}@h/d" }, b: { url: "postgres://u:${file:secret}@h/d" } }',
  )
  t.equal(config.data, join(folder, 'data'))
  t.equal(config.databases['a']!.url, 'mysql://u:p%40ss%2Fw%3Ard%25@h/d', 'a reference inside a URL is percent-encoded')
  t.equal(new URL(config.databases['b']!.url).password, 'from%20file', 'the last line break of a file is not part of it')
  t.ok(Object.isFrozen(config) && Object.isFrozen(config.databases))
})

t.test('faults name the key', async (t) => {
  const faults: [string, RegExp][] = [
    ['dataa: x', /dataa.*未知.*unknown key.*databases/s],
    ['hub: { url: x }', /hub\.url.*unknown key.*proxy/s],
    ['databases: { front: { url: "postgres://h/d", pase: 5 } }', /databases\.front\.pase.*unknown key.*pace/s],
    ['databases: { front: { url: "db2://h/d" } }', /databases\.front\.url/],
    [`${database}\nsources: [{ resource: r, database: back, table: t }]`, /sources\[0\]\.database.*no back/],
    [`${database}\nsinks: [{ resource: r, database: front }, { resource: r, database: front }]`, /sinks.*named twice/],
    [`${database}\nsources: [{ resource: r, database: front }]`, /table/],
    [source('query: select 1'), /sources\[0\]\.query.*compare or watermark/],
    [source('capture: watermark'), /sources\[0\]\.watermark.*watermark\.column/],
    [source('capture: compare, watermark: { column: c }'), /sources\[0\]\.watermark.*capture: watermark only/],
    [source('compare: {}'), /sources\[0\]\.compare.*capture: compare only/],
    [source('capture: compare, compare: { schedule: "every night" }'), /sources\[0\]\.compare\.schedule.*cron/],
    [`${source('capture: compare')}\ntimezone: Peking`, /timezone.*Asia\/Shanghai/],
    ['hub: { poll: 3600 }', /poll/],
    ['databases: { front: { url: "${env:QIANZHI_TEST_NOT_SET}" } }', /databases\.front\.url.*QIANZHI_TEST_NOT_SET/],
    ['databases: { front: { url: "${vault:x}" } }', /vault/],
    ['a: [', /yaml/i],
  ]
  for (const [text, expected] of faults) t.throws(() => configured(text), { code: 'QZ-CONFIG', message: expected }, text)
})
