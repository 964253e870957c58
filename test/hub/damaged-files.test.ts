/** Each file that a hub keeps: empty, half, garbage, gone, an older copy. It is healed or named with its remedy; nothing is taken in its place. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import t from 'tap'
import type { QianzhiError } from '../../protocol/errors.ts'
import { loadConfig } from '../../hub/config.ts'
import { startHub } from '../../hub/hub.ts'
import { ensureCluster } from '../../hub/store/cluster.ts'
import { hubStore } from '../support/hub-store.ts'
import { findPostgres } from '../support/postgres.ts'

const server = await findPostgres()
t.teardown(() => server.stop())
const folder = mkdtempSync(join(tmpdir(), 'qianzhi-files-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const data = join(folder, 'hub')
const logger = pino({ level: 'silent' })
const config = {
  ...loadConfig('/nowhere.yaml', { optional: true }),
  data,
  store: await hubStore(server),
  listen: { host: '127.0.0.1', port: 0 },
}

/** What comes of a start: the code and what it says, or what the hub serves with. */
async function start(newAuthority = false): Promise<string> {
  try {
    const hub = await startHub(config, { logger, newAuthority })
    await hub.close()
    return `${hub.hubKey.id} ${readFileSync(join(data, 'tls', 'authority.pem'), 'utf8')}`
  } catch (error) {
    const { code, details = {} } = error as Partial<QianzhiError>
    const place = details['file'] ?? details['key']
    return `${code} ${typeof place === 'string' ? place : ''}`
  }
}

const intact = await start()
cpSync(data, join(folder, 'kept'), { recursive: true })
const damages = {
  empty: () => '',
  half: (text: string) => text.slice(0, text.length / 2),
  garbage: (text: string) => 'x'.repeat(text.length),
  gone: () => undefined,
}

const named = (file: string) => `QZ-FILE-DAMAGED ${join(data, file)}`
const files: Record<string, { gone: string; else: string }> = {
  'hub.key': { gone: 'QZ-CONFIG data', else: named('hub.key') },
  'admin.key': { gone: intact, else: named('admin.key') },
  'tls/authority.key': { gone: named('tls/authority.key'), else: named('tls/authority.key') },
  'tls/authority.pem': { gone: intact, else: intact },
  'tls/server.pem': { gone: intact, else: intact },
}

for (const [file, expected] of Object.entries(files)) {
  t.test(file, async (t) => {
    for (const [name, damage] of Object.entries(damages)) {
      rmSync(data, { recursive: true })
      cpSync(join(folder, 'kept'), data, { recursive: true })
      const content = damage(readFileSync(join(data, file), 'utf8'))
      rmSync(join(data, file))
      if (content !== undefined) writeFileSync(join(data, file), content)
      const said = await start()
      t.equal(said, name === 'gone' ? expected.gone : expected.else, name)
      if (said.startsWith('QZ-') && content !== undefined) t.equal(readFileSync(join(data, file), 'utf8'), content, 'left as it was')
    }
  })
}

t.test('a lost authority is replaced at the word of the operator alone', async (t) => {
  rmSync(join(data, 'tls'), { recursive: true })
  t.equal(await start(), named('tls/authority.key'))
  const after = await start(true)
  t.not(after, intact)
  t.equal(await start(), after)
})

t.test('the password of the embedded PostgreSQL', async (t) => {
  for (const text of ['', '{"password":', 'null', '{}']) {
    const store = mkdtempSync(join(folder, 'store-'))
    writeFileSync(join(store, 'secret.json'), text)
    await t.rejects(ensureCluster(store), { code: 'QZ-FILE-DAMAGED', details: { file: join(store, 'secret.json') } }, text)
  }
})
