/** What stands between an agent and its hub: gateways, sign-in pages, proxies. What they say is never taken for the hub's word. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import pino from 'pino'
import t, { type Test } from 'tap'
import { sourceRules } from '../../../agent/config/source-rules.ts'
import { HubClient } from '../../../agent/hub/client.ts'
import { runOutbound } from '../../../agent/outbound.ts'
import { BatchSize } from '../../../agent/outbound/batch-size.ts'
import { DrainWaitersByResource } from '../../../agent/outbound/drain-waiters.ts'
import { openState } from '../../../agent/runtime/state.ts'
import { StatusBoard } from '../../../agent/status/board.ts'
import type { PollRequest } from '../../../protocol/api.ts'
import { openBatch, splitBatch } from '../../../protocol/batch.ts'
import { QianzhiError, toProblem } from '../../../protocol/errors.ts'
import { storedReceipt } from '../../../protocol/receipt.ts'
import { generateSigningKey } from '../../../protocol/signature.ts'
import { licence, openDatabase, sourceOf } from '../databases/conformance/fixture.ts'
import { freshDatabase, sqlite } from '../databases/sqlite/dialect.ts'
import { until } from '../../support/programs.ts'

const key = generateSigningKey()

type Answer = (request: IncomingMessage, response: ServerResponse, body: Buffer) => void

async function listen(test: Test, answer: Answer): Promise<string> {
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => answer(request, response, Buffer.concat(parts)))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  test.teardown(() => void (server.closeAllConnections(), server.close()))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function clientTo(test: Test, urls: string[]): HubClient {
  const client = new HubClient({ urls, key, clock: () => new Date() })
  test.teardown(() => client.close())
  return client
}

const json = { 'content-type': 'application/json' }
const page = '<html><head><title>统一身份认证</title></head><body><form action="/login?token=secret">'
const signal = new AbortController().signal
const polling = { routes: [], wait: 0 } as unknown as PollRequest

t.test('a page, a redirection, a gateway’s own refusal: named with status and server, whatever was asked', async (t) => {
  const cases: [number, Record<string, string>, string, RegExp][] = [
    [200, { 'content-type': 'text/html; charset=utf-8', server: 'WAF/3' }, page, /HTTP 200, server WAF\/3, text\/html.*统一身份认证/],
    [
      302,
      { location: 'https://portal.example/login?user=zhang', server: 'nginx' },
      '',
      /HTTP 302, server nginx.*on to https:\/\/portal.example\/login$/,
    ],
    [502, { 'content-type': 'text/html', server: 'nginx' }, '<title>502 Bad Gateway</title>', /HTTP 502, server nginx.*502 Bad Gateway/],
    [504, { 'content-type': 'application/json' }, '{"message":"upstream timed out"}', /HTTP 504, server -/],
    [403, { 'content-type': 'text/plain' }, 'denied', /HTTP 403/],
  ]
  for (const [status, headers, body, told] of cases) {
    const client = clientTo(t, [await listen(t, (_, response) => void response.writeHead(status, headers).end(body))])
    const calls = {
      receipts: () => client.receipts(['x'], signal),
      sendBatch: () => client.sendBatch(Buffer.from('x'), signal),
      poll: () => client.poll(polling, signal),
      head: () => client.head('r', signal),
    }
    for (const [name, call] of Object.entries<() => Promise<unknown>>(calls))
      await t.rejects(call() as Promise<void>, { code: 'QZ-HUB-GATEWAY', message: told }, `${status} to ${name}`)
    t.match(client.fault?.error, { code: 'QZ-HUB-GATEWAY' })
    t.equal(client.answered, undefined)
  }
})

t.test('the hub’s own answers are its own, and another address is tried behind a gateway', async (t) => {
  const away = await listen(t, (_, response) => void response.writeHead(503, { server: 'lb' }).end('no backend'))
  const hub = await listen(t, ({ url }, response) => {
    if (url!.includes('head')) return void response.writeHead(200, json).end('{"head":null,"epoch":0}')
    const refusal = new QianzhiError('QZ-BATCH-LIMIT', { reason: 'x' })
    response.writeHead(413, { 'content-type': 'application/problem+json' }).end(JSON.stringify(toProblem(refusal)))
  })
  const client = clientTo(t, [away, hub])
  t.same(await client.head('r'), { head: null, epoch: 0 })
  t.equal(client.url, hub)
  await t.rejects(client.sendBatch(Buffer.from('x'), signal), { code: 'QZ-BATCH-LIMIT' }, 'its own 413 is no gateway’s')
})

t.test('a gateway that lets 20 KiB through: batches become smaller, that is remembered, and everything arrives', async (t) => {
  const hubKey = generateSigningKey()
  let rows = 0
  const sizes: number[] = []
  let refused = 0
  const hub = await listen(t, ({ url }, response, body) => {
    if (url!.includes('head')) return void response.writeHead(200, json).end('{"head":null,"epoch":0}')
    if (body.length > 20 << 10) {
      refused++
      return void response.writeHead(413, { 'content-type': 'text/html', server: 'nginx' }).end('<title>413</title>')
    }
    sizes.push(body.length)
    const { manifest, hash } = openBatch(splitBatch(body), () => key.publicKey)
    const { resource, producer, epoch, seq } = manifest
    rows += manifest.rows
    const receipt = storedReceipt.sign({ resource, producer, epoch, seq, hash, time: new Date().toISOString() }, hubKey)
    response.writeHead(200, json).end(JSON.stringify({ receipt }))
  })
  const { test, database } = await openDatabase(t, sqlite, freshDatabase)
  const source = sourceOf(licence)
  await database.run(await database.supplyTable(source))
  await database.run(await database.setupScript(source))
  const noise = Array.from(
    { length: 3_000 },
    (_, i) =>
      `('k${i}', '${Array.from(String(i))
        .map((d) => String.fromCodePoint(0x4e00 + (((Number(d) + 1) * (i + 7) * 7_919) % 20_000)))
        .join('')
        .repeat(12)}', ${i})`,
  )
  for (let at = 0; at < noise.length; at += 500) await test.query(`insert into licence values ${noise.slice(at, at + 500).join(', ')}`)
  const client = clientTo(t, [hub])
  const folder = t.testdir()
  const board = new StatusBoard('1', 'session')
  const batchSize = () => new BatchSize(4 << 20, openState(folder), () => new Date())
  const ending = new AbortController()
  const running = runOutbound(
    {
      database,
      sources: [source],
      agent: 'p',
      key,
      hub: client,
      hubKey: hubKey.publicKey,
      requirePolicy: () => {},
      requestedSnapshots: new Map(),
      operator: { restarts: new Set(), replays: new Set(), confirms: new Set(), pauses: { source: () => false } },
      rules: () => sourceRules({}, 'Asia/Shanghai'),
      folder,
      drainWaiters: new DrainWaitersByResource(),
      checkpoints: { note: () => {} },
      board,
      tellHub: () => {},
      logger: pino({ level: 'silent' }),
      batchSize: batchSize(),
    },
    ending.signal,
  )
  t.teardown(() => ending.abort())
  const report = board.source(source.resource, 'front')
  await until(
    'everything is stored',
    () => {
      if (report.fault && report.fault.code !== 'QZ-HUB-BODY-SIZE') throw new Error(JSON.stringify(report.fault))
      return report.state === 'flowing' && rows >= 3_000
    },
    20,
  )
  ending.abort()
  await running
  t.ok(refused > 0 && refused < 8, `${refused} refused`)
  t.ok(
    sizes.every((size) => size <= 20 << 10),
    `sizes ${sizes.join()}`,
  )
  t.ok(batchSize().limit <= 20 << 10, 'also after a restart')
  t.equal(new BatchSize(4 << 20, openState(folder), () => new Date(Date.now() + 2 * 86_400_000)).limit, 4 << 20, 'until tomorrow')
})
