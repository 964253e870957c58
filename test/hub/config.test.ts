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

t.test('what is wrong is named, with the remedy, in both languages', async (t) => {
  for (const [text, ...words] of [
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
    ['data: [', 'hub.yaml:'],
    ['data: a\ndata: b', 'hub.yaml:2', 'unique'],
    ['- a', 'object'],
  ] as const) {
    const said = await refused(text)
    for (const word of words) t.match(said, new RegExp(word), `${text}: ${said}`)
  }
})
