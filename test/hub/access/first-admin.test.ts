/** A hub on its first day: the trial with the admin key, then people, to whom the decisions belong from there on. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { Agent, request } from 'undici'
import { stringify } from 'yaml'
import { loadConfig } from '../../../hub/config.ts'
import { adminKeyPath, authorityPath } from '../../../hub/store/durable-files.ts'
import { villages } from '../office.ts'
import { runHere } from '../../support/commands.ts'
import { Program, runProgram, until } from '../../support/programs.ts'
import { freePort } from '../../support/server.ts'

t.test('from the printed link to people who decide', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'qianzhi-first-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'qianzhi-hub.yaml')
  const port = await freePort()
  await writeFile(
    file,
    stringify({
      listen: { host: '127.0.0.1', port },
      proxies: ['127.0.0.0/8'],
      urls: ['https://hub.test'],
      logLevel: 'info',
      access: { factor: [] },
    }),
  )
  const command = async (...words: string[]) => {
    const run = words[0]!.endsWith('-admin') ? runProgram : runHere
    const { stdout, stderr, code } = await run(['hub/main.ts', ...words, '--config', file, '--json'], { failing: true })
    return { code, error: stderr, json: (stdout ? JSON.parse(stdout) : {}) as Record<string, string> }
  }
  const log = join(folder, 'hub.log')
  const program = new Program(['hub/main.ts', 'start', '--config', file, '--lang', 'en'], log)
  program.start()
  t.teardown(() => program.end('SIGKILL'))
  await until('the hub answers', async () => (await command('health')).json['status'] === 'ok')
  const link = /https:\/\/hub\.test\/activate#([\w-]+)/
  // It answers a moment before it says so.
  const printed = await until('the link is printed', async () => link.exec(await readFile(log, 'utf8')) ?? undefined)

  t.equal((await command('agency', 'add', 'civil', '民政局')).code, 0, 'the trial without people goes on')
  await writeFile(join(folder, 'villages.yaml'), stringify(villages()))
  t.equal((await command('resource', 'publish', join(folder, 'villages.yaml'))).code, 0)

  const made = link.exec((await command('first-admin')).json['link']!)
  t.ok(made)
  const dispatcher = new Agent({ connect: { ca: await readFile(authorityPath(loadConfig(file).data), 'utf8') } })
  t.teardown(() => dispatcher.close())
  const post = async (path: string, body: object) => {
    const headers = { 'content-type': 'application/json', 'x-forwarded-for': '198.51.100.7, 203.0.113.9' }
    const answer = await request(`https://127.0.0.1:${port}/api/v1${path}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
      dispatcher,
    })
    return { status: answer.statusCode, body: (await answer.body.json()) as Record<string, unknown> }
  }
  const first = { login: 'admin.li', name: '李管理', agency: { code: 'civil', name: '民政局' } }
  const password = 'Kapok-tree-41'
  t.equal((await post('/activation', { secret: printed[1], password, first })).status, 403, 'replaced by the newer link')
  t.equal((await post('/activation', { secret: made![1], password, first })).status, 200)
  t.match(await post('/session', { login: 'admin.li', password }), { status: 200, body: { roles: ['system-admin'], due: null } })

  const key = (await readFile(adminKeyPath(loadConfig(file).data), 'utf8')).trim()
  const admin = async (method: 'GET' | 'POST', path: string, body: object | null = null) => {
    const headers = { authorization: `Bearer ${key}`, ...(method === 'POST' && { 'content-type': 'application/json' }) }
    const asked = { method, headers, dispatcher, ...(method === 'POST' && { body: JSON.stringify(body) }) }
    const answer = await request(`https://127.0.0.1:${port}/admin/v1/${path}`, asked)
    return { status: answer.statusCode, text: await answer.body.text() }
  }
  for (const [path, body] of [
    ['agencies', { code: 'water', name: '水务局' }],
    ['tokens', { agency: 'civil', hours: 1 }],
    ['resources', { schema: villages() }],
    ['grants', { resource: 'villages', agency: 'civil', items: ['name'] }],
    ['grants/villages.civil/items', { items: ['name'] }],
    ['grants/villages.civil/revoke', null],
    ['routes', { grant: 'villages.civil', agent: 'agent' }],
    ['agents/agent/revoke', null],
    ['first-admin', null],
  ] as const)
    t.match(await admin('POST', path, body), { status: 403, text: /QZ-FORBIDDEN/ }, path)
  const refused = (await command('token', 'civil')).error
  t.match(refused, /QZ-FORBIDDEN.*qianzhi-hub token.*前置机申请|QZ-FORBIDDEN.*qianzhi-hub token.*Machine applications/s, 'says where to go')
  t.notMatch(refused, /POST|\/v1/, 'by the words of who asked')
  t.match((await admin('POST', 'grants/villages.civil/items', { items: ['name'] })).text, /qianzhi-hub grant items/)
  t.match((await admin('POST', 'grants', { resource: 'villages', agency: 'civil', items: ['name'] })).text, /qianzhi-hub grant add/)
  const reset = link.exec((await command('reset-admin', 'admin.li')).json['link']!)
  t.equal((await post('/session', { login: 'admin.li', password })).status, 200, 'until the link is used the password is the old one')
  t.equal((await post('/activation', { secret: reset![1], password: 'Kapok-tree-42' })).status, 200)
  t.equal((await post('/session', { login: 'admin.li', password })).status, 401)
  const signedIn = await post('/session', { login: 'admin.li', password: 'Kapok-tree-42' })
  t.equal(signedIn.status, 200)
  const notices = await request(`https://127.0.0.1:${port}/api/v1/notices`, {
    headers: { authorization: `Bearer ${String(signedIn.body['token'])}` },
    dispatcher,
  })
  t.match(await notices.body.text(), /admin\.li.*请核实/, 'the administrators are told')
  t.match((await command('reset-admin', 'nobody')).error, /QZ-NOT-FOUND/)
  for (const path of ['agencies', 'resources', 'grants', 'routes', 'agents']) t.equal((await admin('GET', path)).status, 200, path)
  t.equal((await admin('POST', 'housekeeping')).status, 200)
  const exported = join(folder, 'audit.jsonl')
  t.equal((await command('audit', 'export', exported)).code, 0)
  const audit = await readFile(exported, 'utf8')
  t.match(audit, 'person.create-first')
  t.match(audit, 'person.readmit')
  t.match(audit, 'QZ-FORBIDDEN', 'what was refused is on record')
  t.match(audit, '203.0.113.9', 'behind a proxy that is named the address is that of who asks')
  t.notMatch(audit, '198.51.100.7', 'and not what who asks says of it')
  for (const secret of [password, printed[1]!, made![1]!]) t.notMatch(audit, secret)

  await program.end('SIGTERM')
  program.start()
  await until('the hub answers', async () => (await command('health')).json['status'] === 'ok')
  t.equal((await readFile(log, 'utf8')).match(new RegExp(link, 'g'))?.length, 1, 'no link at a start with people')
})
