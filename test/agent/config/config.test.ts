import { mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { readAgentConfig } from '../../../agent/config/config.ts'
import { patternsOverlap } from '../../../agent/config/name-patterns.ts'
import { SendingConfig, sourceRules } from '../../../agent/config/source-rules.ts'
import { patternOf } from '../../../agent/folders/rows/inbox.ts'

const folder = mkdtempSync(join(tmpdir(), 'qianzhi-config-'))
const database = 'databases: { front: { url: "postgres://u@h/d" } }'

const withSource = (line: string): string => `${database}\nsources: [{ resource: r, database: front, table: t, ${line} }]`

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
    ['dataa: x', /dataa.*unknown key.*databases/s],
    ['hub: { url: x }', /hub\.url.*unknown key.*proxy/s],
    ['databases: { front: { url: "postgres://h/d", pase: 5 } }', /databases\.front\.pase.*unknown key.*pace/s],
    ['databases: { front: { url: "db2://h/d" } }', /databases\.front\.url/],
    [`${database}\nsources: [{ resource: r, database: back, table: t }]`, /sources\[0\]\.database.*no back/],
    [`${database}\nsinks: [{ resource: r, database: front }, { resource: r, database: front }]`, /sinks.*named twice/],
    [`${database}\nsources: [{ resource: r, database: front }]`, /table/],
    [withSource('query: select 1'), /sources\[0\]\.query.*compare or watermark/],
    [withSource('capture: watermark'), /sources\[0\]\.watermark.*watermark\.column/],
    [withSource('capture: compare, watermark: { column: c }'), /sources\[0\]\.watermark.*capture: watermark only/],
    [withSource('compare: {}'), /sources\[0\]\.compare.*capture: compare only/],
    [withSource('capture: compare, compare: { schedule: "every night" }'), /sources\[0\]\.compare\.schedule.*cron/],
    [`${withSource('capture: compare')}\ntimezone: Peking`, /timezone.*Asia\/Shanghai/],
    ['hub: { poll: 3600 }', /poll/],
    ['databases: { front: { url: "${env:QIANZHI_TEST_NOT_SET}" } }', /databases\.front\.url.*QIANZHI_TEST_NOT_SET/],
    ['databases: { front: { url: "${vault:x}" } }', /vault/],
    [withSource('guard: true'), /sources\.0\.guard/],
    [withSource('guard: { shar: 0.1 }'), /shar/],
    [withSource('guard: { share: 1.5 }'), /guard/],
    [withSource('snapshot: { window: "20-6" }'), /snapshot\.window/],
    [withSource('snapshot: { window: "24:00-06:00" }'), /snapshot\.window/],
    [withSource('snapshot: { pace: 0 }'), /snapshot\.pace/],
    [withSource('reload: yes-please'), /reload.*wanted here is true or false/],
    [`${database}\nsinks: { auto: front }`, /sinks: .*wanted here is auto, or a list/],
    ['a: [', /yaml/i],
  ]
  for (const [text, expected] of faults) t.throws(() => configured(text), { code: 'QZ-CONFIG', message: expected }, text)
})

t.test('no file can be taken by two sources, nor a folder be there twice', async (t) => {
  const two = (one: string, other: string) =>
    `folders: { in: { path: ./in } }\nsources:\n${[one, other].map((files, n) => `  - { resource: r${n}, folder: in, whole: true, files: '${files}' }\n`).join('')}`
  const overlapping: [string, string][] = [
    ['*.csv', 'chg*.csv'],
    ['*.csv', 'CHG*.csv'],
    ['*', 'a.csv'],
    ['a*', '*a'],
    ['村?.csv', '村*'],
    ['a*b*c', '*bc'],
    ['*', '*'],
  ]
  for (const [one, other] of overlapping)
    t.throws(
      () => configured(two(one, other)),
      { code: 'QZ-CONFIG', message: /sources\[1\]\.files.*can match files of r0/ },
      `${one} ${other}`,
    )
  const apart: [string, string][] = [
    ['村*.csv', '镇*.csv'],
    ['*.csv', '*.xlsx'],
    ['a?.csv', 'a??.csv'],
    ['x*.csv', '*x'],
  ]
  for (const [one, other] of apart) t.equal(configured(two(one, other)).sources.length, 2, `${one} ${other}`)
  const pattern = fc.array(fc.constantFrom('a', 'b', '*', '?'), { minLength: 1, maxLength: 5 }).map((all) => all.join(''))
  const names = ['', 'a', 'b'].flatMap((x) =>
    ['', 'a', 'b'].flatMap((y) => ['', 'a', 'b'].flatMap((z) => ['', 'a', 'b'].map((w) => x + y + z + w))),
  )
  fc.assert(
    fc.property(pattern, pattern, (one, other) => {
      const both = names.some((name) => patternOf(one).test(name) && patternOf(other).test(name))
      return !both || patternsOverlap(one, other)
    }),
    { numRuns: 2000 },
  )
  mkdirSync(join(folder, 'in'))
  symlinkSync(join(folder, 'in'), join(folder, 'link'))
  for (const other of ['./in/', 'in/../in', './link'])
    t.throws(
      () => configured(`folders: { in: { path: ./in }, again: { path: ${other} } }`),
      { message: /folders\.again\.path.*folders\.in too/ },
      other,
    )
})

t.test('how a source is sent', async (t) => {
  const rulesOf = (line: string) => sourceRules(configured(withSource(line)).sources[0]!, 'Asia/Shanghai')
  const guard = { share: 0.2, least: 1000, settle: 600_000 }
  t.same(
    rulesOf('reload: false'),
    { reload: false, guard, snapshot: { timezone: 'Asia/Shanghai' } },
    'the guard is on unless somebody switches it off',
  )
  t.equal(rulesOf('guard: false').guard, undefined)
  t.same(rulesOf('guard: { share: 0.5 }').guard, { ...guard, share: 0.5 })
  t.same(rulesOf('snapshot: { window: "22:30-06:00", pace: 5000 }').snapshot, {
    window: '22:30-06:00',
    pace: 5000,
    timezone: 'Asia/Shanghai',
  })
})

t.test('the example shows every key of how a source is sent, and each of them is right', async (t) => {
  const text = readFileSync('config-examples/agent-provider.yaml', 'utf8')
  const said = Object.keys(SendingConfig).map((key) => new RegExp(`^ *# (${key}: .*)$`, 'm').exec(text)?.[1])
  const source = said.map((line) => `    ${line}`).join('\n')
  t.same(Object.keys(configured(`${database}\nsources:\n  - resource: r\n    database: front\n    table: t\n${source}`).sources[0]!), [
    'resource',
    'database',
    'table',
    ...Object.keys(SendingConfig),
  ])
})
