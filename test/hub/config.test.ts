import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { QianzhiError } from '../../protocol/errors.ts'
import { loadConfig } from '../../hub/config.ts'

const folder = await mkdtemp(join(tmpdir(), 'qianzhi-config-'))
const file = join(folder, 'hub.yaml')
t.teardown(() => rm(folder, { recursive: true }))

async function load(text: string, env: NodeJS.ProcessEnv = {}) {
  await writeFile(file, text)
  return loadConfig(file, { env })
}

async function refused(text: string): Promise<string> {
  try {
    await load(text)
    return 'not refused'
  } catch (error) {
    return error instanceof QianzhiError ? `${error.code} ${error.text('zh')} ${error.text('en')}` : String(error)
  }
}

t.test('everything has a default', async (t) => {
  const config = await load('')
  t.match(config, {
    data: join(folder, 'data'),
    listen: { host: '0.0.0.0', port: 8443 },
    urls: [],
    policy: { days: 30 },
    log: { retention: 7, lapse: 7, snapshotFactor: 2 },
  })
  t.notOk('store' in config || 'tls' in config)
  t.ok(Object.isFrozen(config) && Object.isFrozen(config.listen))
  t.same(loadConfig(join(folder, 'none.yaml'), { optional: true }).listen, config.listen)
  t.throws(() => loadConfig(join(folder, 'none.yaml')), /QZ-CONFIG|none\.yaml/)
})

t.test('the example is a configuration', async (t) => {
  t.equal(loadConfig('config-examples/hub.yaml').language, 'zh')
  t.ok(hostname())
})

t.test('references are resolved in every text', async (t) => {
  await writeFile(join(folder, 'password'), 'p@ss\n')
  const config = await load('store: postgres://u:${file:password}@${env:HOST}/q\nurls: ["https://${env:HOST}:1/"]', { HOST: 'h' })
  t.equal(config.store, 'postgres://u:p%40ss@h/q')
  t.same(config.urls, ['https://h:1'])
})

t.test('supervision and mail', async (t) => {
  const { supervision, mail } = await load('')
  t.match(supervision, { everySeconds: 60, years: [], deadlines: { 'application-reply': { days: 10, extension: 5, warn: 2 } } })
  t.equal(mail, undefined)
  await writeFile(join(folder, 'year.yaml'), 'year: 2027\nsource: test\nholidays: [2027-01-01/2027-01-03]\nworkdays: []')
  const config = await load(
    'supervision: {calendars: [year.yaml], deadlines: {delivery: {days: 30}}, duties: {warnHours: {daily: 3}}}\n' +
      'mail: {url: "smtps://q:${env:PW}@mail.test", from: "平台 <q@city.test>"}',
    { PW: 'a@b' },
  )
  t.match(config.supervision.years, [{ year: 2027, holidays: ['2027-01-01/2027-01-03'] }])
  t.match(config.supervision.deadlines.delivery, { days: 30, extension: null, warn: 2 })
  t.match(config.supervision.duties, { warnHours: { daily: 3, weekly: 48 }, realtime: 'quarterly' })
  t.match(config.mail, { url: 'smtps://q:a%40b@mail.test', from: '平台 <q@city.test>' })
  await writeFile(join(folder, 'wrong.yaml'), 'year: 2027\nsource: test\nholidays: [2026-12-31]\nworkdays: []')
  const example = loadConfig('config-examples/hub.yaml').supervision
  t.same({ ...example, years: [] }, { ...supervision }, 'the example says the defaults')
})

t.test('what is wrong is named, with the remedy, in both languages', async (t) => {
  for (const [text, ...words] of [
    ['proxies: [10.0.0.0/33]', 'QZ-CONFIG', 'proxies.0', '网段', 'no network'],
    ['proxies: [proxy.local]', 'QZ-CONFIG', 'proxies.0'],
    ['lsten: {port: 1}', 'QZ-CONFIG', 'lsten', '未知', 'unknown key', 'listen'],
    ['listen: {prt: 1}', 'listen.prt', 'host, port'],
    ['listen: {port: x}', 'listen.port', 'number|integer'],
    ['listen: {port: 99999}', 'listen.port'],
    ['store: mysql://x', 'store'],
    ['urls: ["http://x"]', 'urls.0'],
    ['tls: {certificate: a}', 'tls'],
    ['language: fr', 'language'],
    ['store: ${env:NOPE}', 'store', 'NOPE', '未设置', 'not set'],
    ['store: ${file:nope}', 'store', 'nope'],
    ['store: ${vault:x}', 'store', 'vault'],
    ['supervision: {calendars: [none.yaml]}', 'none.yaml'],
    ['supervision: {calendars: [wrong.yaml]}', 'calendar 2027', '2026-12-31'],
    ['supervision: {deadlines: {delivry: {days: 3}}}', 'supervision.deadlines.delivry', 'delivery'],
    ['mail: {url: "http://x", from: "a@b"}', 'mail.url'],
    ['mail: {url: "smtp://x", from: "nobody"}', 'mail.from'],
    ['data: [', 'hub.yaml:'],
    ['data: a\ndata: b', 'hub.yaml:2', 'unique'],
    ['- a', '映射', 'a mapping'],
  ] as const) {
    const said = await refused(text)
    for (const word of words) t.match(said, new RegExp(word), `${text}: ${said}`)
  }
})
