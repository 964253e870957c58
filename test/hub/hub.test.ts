import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import pino from 'pino'
import t from 'tap'
import { Agent, request } from 'undici'
import { stringify } from 'yaml'
import { agentPaths, decodeDelivery, type EnrolToken, type PollRequest } from '../../protocol/api.ts'
import { signRequest } from '../../protocol/request.ts'
import { generateSigningKey } from '../../protocol/signature.ts'
import { loadConfig } from '../../hub/config.ts'
import { startHub } from '../../hub/hub.ts'
import { authorityPath } from '../../hub/store/durable-files.ts'
import { runHere } from '../support/commands.ts'
import { Program, runProgram, until } from '../support/programs.ts'
import { hubStore } from '../support/hub-store.ts'
import { findPostgres } from '../support/postgres.ts'
import { freePort } from '../support/server.ts'
import { refusal, villages } from './office.ts'

const logger = pino({ level: 'silent' })

async function configured(t: { teardown: (fn: () => Promise<void>) => unknown }, more: object = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'qianzhi-hub-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'qianzhi-hub.yaml')
  await writeFile(file, stringify({ listen: { host: '127.0.0.1', port: await freePort() }, logLevel: 'warn', ...more }))
  const office = async (...words: string[]) => {
    const { stdout, stderr, code } = await runProgram(['hub/main.ts', ...words, '--config', file, '--json'], { failing: true })
    return { code, stdout, error: stderr, json: (code === 0 || stdout ? JSON.parse(stdout) : {}) as Record<string, unknown> }
  }
  return { folder, file, office, config: loadConfig(file) }
}

t.test('a hub from the first start to a waiting agent, and its end', async (t) => {
  const { folder, file, office, config } = await configured(t)
  const program = new Program(['hub/main.ts', 'start', '--config', file], join(folder, 'hub.log'))
  t.match((await office('agency', 'list')).error, /QZ-HUB-UNREACHABLE.*qianzhi-hub start/, 'not running yet')
  program.start()
  t.teardown(() => program.end('SIGKILL'))
  await until('the hub answers', () => runHere(['hub/main.ts', 'health', '--config', file]))

  t.equal((await office('agency', 'add', 'civil', '民政局')).json['name'], '民政局')
  t.equal((await office('agency', 'add', 'water', '水务局')).code, 0)
  t.match((await office('agency', 'add', 'water', 'x')).error, /QZ-CONFLICT/)
  await writeFile(join(folder, 'villages.yaml'), stringify(villages()))
  t.equal((await office('resource', 'publish', join(folder, 'villages.yaml'), '--store-closed', 'phone')).json['version'], 1)
  t.equal(
    (await office('grant', 'add', '--resource', 'villages', '--agency', 'water', '--items', 'name,street', '--until', '2999-12-31')).json[
      'id'
    ],
    'villages.water',
  )

  const { json } = await office('token', 'water')
  const token = JSON.parse(Buffer.from(String(json['token']).slice(5), 'base64url').toString()) as EnrolToken
  const ca = await readFile(authorityPath(config.data), 'utf8')
  const dispatcher = new Agent({ connect: { ca } })
  t.teardown(() => dispatcher.close())
  const key = generateSigningKey()
  const post = async (path: string, value: object) => {
    const body = JSON.stringify(value)
    const headers = {
      ...(await signRequest({ method: 'POST', path, body: Buffer.from(body) }, key, new Date())),
      'content-type': 'application/json',
    }
    return request(`https://127.0.0.1:${config.listen.port}${path}`, { method: 'POST', headers, body, dispatcher })
  }
  const enrolled = (await (
    await post(agentPaths.enrol, { secret: token.secret, publicKey: key.publicKey, name: 'front-end' })
  ).body.json()) as { agent: string }
  t.match(enrolled.agent, /^water-/)
  t.equal((await office('route', 'add', 'villages.water', enrolled.agent)).json['id'], 'villages.water')
  t.match((await office('explain', 'villages.water')).json, { resource: 'villages' })
  t.match(JSON.stringify((await office('route', 'list')).json), /villages\.water/)

  const poll = async (policy: number, wait: number) => {
    const report = { version: '1', session: 's', clockOffset: 0, sources: [], sinks: [] }
    const asked: PollRequest = { policy, routes: [{ route: 'villages.water', after: null, credit: 1000 }], heads: [], report, wait }
    return decodeDelivery(Buffer.from(await (await post(agentPaths.poll, asked)).body.arrayBuffer())).header
  }
  const serialOf = (policy: string) => (JSON.parse(Buffer.from(policy.split('.')[1]!, 'base64url').toString()) as { serial: number }).serial
  const serial = serialOf((await poll(0, 0)).policy!)
  await poll(serial, 0)
  const waiting = poll(serial, 60)
  await office('grant', 'suspend', 'villages.water', '--reason', 'audit')
  const changed = (await waiting).policy
  t.ok(changed, 'a change of the registry reaches the waiting poll')
  const text = await runProgram(['hub/main.ts', 'explain', 'villages.water', '--config', file])
  t.match(text.stdout, 'villages.water')

  await poll(serialOf(changed!), 0)
  const last = poll(serialOf(changed!), 60)
  await setTimeout(500)
  const began = Date.now()
  await Promise.all([program.end('SIGTERM'), t.resolves(last, 'a waiting poll is answered at the end')])
  t.ok(Date.now() - began < 20_000, 'and does not hold it up')
})

t.test('two hubs on one data folder', async (t) => {
  const { config, file } = await configured(t)
  const first = await startHub(config, { logger })
  const other = { ...config, listen: { ...config.listen, port: await freePort() } }
  t.equal(await refusal(startHub(other, { logger })), 'QZ-DATA-LOCKED')
  await first.close()
  const year = 366 * 86_400_000
  const second = await startHub(config, { logger, clock: () => new Date(Date.now() + year) })
  t.equal(second.hubKey.id, first.hubKey.id, 'the key is kept')

  const said = (...words: string[]) => runHere(['hub/main.ts', ...words, '--config', file], { failing: true })
  const ahead = () => Math.round((second.registry.clock().getTime() - Date.now()) / year)
  t.equal(ahead(), 0, 'a clock that went a year ahead while it stood still is not believed')
  t.match(await said('health'), { code: 1, stdout: /QZ-CLOCK-JUMPED/ })
  t.match(await said('clock', 'show'), { code: 1, stdout: /QZ-CLOCK-JUMPED/ })
  t.match(await said('clock', 'confirm'), { code: 2 }, 'not without a reason')
  t.match(await said('clock', 'confirm', '--reason', 'checked'), { code: 0 })
  t.equal(ahead(), 1)
  await second.close()
})

t.test('hubs that share a store must have one key', async (t) => {
  const server = await findPostgres()
  t.teardown(() => server.stop())
  const store = await hubStore(server)
  const { config } = await configured(t, { store })
  const stranger = await configured(t, { store })
  const first = await startHub(config, { logger })
  const twin = await startHub({ ...config, listen: { ...config.listen, port: await freePort() } }, { logger })
  const heard = twin.registry.wakeups.listen(['agent:x'])
  first.registry.wakeups.wake('agent:x')
  t.equal(await heard.wait(5000), true, 'wakes are relayed')
  t.equal(await refusal(startHub(stranger.config, { logger })), 'QZ-CONFIG')
  await twin.close()
  await first.close()
})

t.test('a port that is taken is a clear error, and leaves nothing running', async (t) => {
  const { config } = await configured(t)
  const first = await startHub(config, { logger })
  t.teardown(() => first.close())
  const other = await configured(t)
  t.equal(await refusal(startHub({ ...other.config, listen: config.listen }, { logger })), 'QZ-CONFIG')
  const again = await startHub(other.config, { logger })
  await again.close()
})
