/** The agent's way to its hub: what was pinned decides, also through a proxy, and a wrong clock is told as what it is. */
import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer as createProxy } from 'node:http'
import { createServer } from 'node:https'
import { connect, type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as x509 from '@peculiar/x509'
import t from 'tap'
import { HubClient } from '../../../agent/hub/client.ts'
import { ownCertificate } from '../../../hub/tls.ts'
import { QianzhiError, toProblem } from '../../../protocol/errors.ts'
import { verifyRequest } from '../../../protocol/request.ts'
import { generateSigningKey } from '../../../protocol/signature.ts'

const day = 86_400_000
const key = generateSigningKey()
const folder = mkdtempSync(join(tmpdir(), 'qianzhi-client-'))
t.teardown(() => rmSync(folder, { recursive: true }))

const listening = async (server: Server): Promise<number> => {
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => void server.close())
  return (server.address() as AddressInfo).port
}

/** A hub that knows the agent and its own clock; its certificate was made at `made`. */
async function hubOf(name: string, made = new Date(), hosts = ['127.0.0.1']) {
  const data = join(folder, name)
  const { certificate, key: secret } = await ownCertificate(data, hosts, made)
  return { url: await serve(certificate, secret), ca: readFileSync(join(data, 'tls', 'authority.pem'), 'utf8') }
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

/** A certificate of `issuer` by name, signed with `by`, or with its own key. @returns it with its key. */
async function certificateOf(subject: string, issuer: string, { by, ca = false }: { by?: webcrypto.CryptoKey; ca?: boolean } = {}) {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.create({
    subject,
    issuer,
    notBefore: new Date(Date.now() - day),
    notAfter: new Date(Date.now() + day),
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey,
    signingKey: by ?? keys.privateKey,
    extensions: [new x509.BasicConstraintsExtension(ca), new x509.SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }])],
  })
  const secret = x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY')
  return { pem: `${certificate.toString('pem')}\n`, key: keys.privateKey, secret }
}

async function serve(certificate: string, secret: string): Promise<string> {
  const server = createServer({ cert: certificate, key: secret }, (request, answer) => {
    answer.setHeader('date', new Date().toUTCString())
    answer.setHeader('content-type', 'application/json')
    const judged = verifyRequest(
      { method: request.method!, path: request.url!, headers: request.headers, body: Buffer.alloc(0) },
      async () => key.publicKey,
      new Date(),
    )
    judged.then(
      () => answer.end(JSON.stringify({ head: null, epoch: 7 })),
      (error: QianzhiError) => answer.writeHead(401).end(JSON.stringify(toProblem(error))),
    )
  })
  return `https://127.0.0.1:${await listening(server)}`
}

function clientOf(options: { url: string; ca?: string; proxy?: string }, clock = () => new Date()): HubClient {
  const client = new HubClient({ urls: [options.url], key, clock, ca: options.ca, proxy: options.proxy })
  t.teardown(() => client.close())
  return client
}

const codeOf = (client: HubClient) =>
  client.head('villages').then(
    ({ epoch }) => `epoch ${epoch}`,
    (error: QianzhiError) => error.code,
  )

t.test('the pinned authority decides, whatever dates a certificate has', async (t) => {
  const other = await hubOf('other')
  for (const [what, made] of [
    ['now', 0],
    ['not yet', 30 * day],
    ['long ago', -900 * day],
  ] as const) {
    const hub = await hubOf(what, new Date(Date.now() + made))
    t.equal(await codeOf(clientOf(hub)), 'epoch 7', `valid ${what}`)
    t.equal(await codeOf(clientOf({ ...hub, ca: other.ca })), 'QZ-HUB-CERTIFICATE', 'of another authority')
  }
  const named = await hubOf('named', new Date(), ['hub.example.gov.cn'])
  t.equal(await codeOf(clientOf(named)), 'QZ-HUB-CERTIFICATE', 'for another name')
  const forged = await certificateOf('CN=hub', new x509.X509Certificate(other.ca).subject)
  const url = await serve(forged.pem, forged.secret)
  t.equal(await codeOf(clientOf({ url, ca: other.ca })), 'QZ-HUB-CERTIFICATE', 'that only says of whom it is')
})

t.test('of an authority with others below it', async (t) => {
  const root = await certificateOf('CN=root', 'CN=root', { ca: true })
  const other = await certificateOf('CN=other', 'CN=other', { ca: true })
  for (const ca of [true, false]) {
    const below = await certificateOf('CN=below', 'CN=root', { by: root.key, ca })
    const hub = await certificateOf('CN=hub', 'CN=below', { by: below.key })
    const url = await serve(hub.pem + below.pem, hub.secret)
    const found = ca ? 'epoch 7' : 'QZ-HUB-CERTIFICATE'
    t.equal(
      await codeOf(clientOf({ url, ca: other.pem + root.pem })),
      found,
      ca ? 'one of two that are pinned' : 'one that is no authority',
    )
    t.equal(await codeOf(clientOf({ url, ca: other.pem })), 'QZ-HUB-CERTIFICATE')
  }
})

t.test('an agent whose clock is days away is served, and says how far it is', async (t) => {
  const hub = await hubOf('clock')
  for (const off of [-3 * day, 400 * day]) {
    const client = clientOf(hub, () => new Date(Date.now() + off))
    t.equal(await codeOf(client), 'epoch 7')
    t.ok(Math.abs(client.clockOffset + off) < 5000, `${client.clockOffset} ms`)
  }
})

t.test('where nothing is pinned, a certificate that fails by a wrong clock is told as the clock', async (t) => {
  const hub = await hubOf('public', new Date(Date.now() + 30 * day))
  const unpinned = (off: number) => clientOf({ url: hub.url }, () => new Date(Date.now() + off))
  t.equal(await codeOf(unpinned(-3 * day)), 'QZ-CLOCK-AGENT')
  t.equal(await codeOf(unpinned(0)), 'QZ-HUB-CERTIFICATE', 'and one that fails by itself is not')
})

t.test('once the hub has told the time, the clock of the machine may jump', async (t) => {
  let off = 0
  const client = clientOf(await hubOf('jump'), () => new Date(Date.now() + off))
  client.learnTime(new Date(Date.now() + 60_000).toISOString(), performance.now())
  for (off of [366 * day, -366 * day, 0]) {
    t.ok(Math.abs(client.now().getTime() - Date.now() - 60_000) < 1000, `by ${off / day} days`)
    t.ok(Math.abs(client.clockOffset - 60_000 + off) < 1000, 'and that is told')
  }
})

t.test('through a proxy', async (t) => {
  const asked: (string | undefined)[] = []
  const proxy = createProxy()
  proxy.on('connect', (request, socket, head) => {
    asked.push(`${request.url} ${request.headers['proxy-authorization']}`)
    if (request.headers['proxy-authorization'] === undefined) return socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
    const [host, port] = request.url!.split(':')
    const through = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      through.write(head)
      through.pipe(socket).pipe(through)
    })
  })
  const port = await listening(proxy)
  const hub = await hubOf('behind', new Date(Date.now() + 30 * day))
  const at = hub.url.slice('https://'.length)
  t.equal(await codeOf(clientOf({ ...hub, proxy: `http://u%40a:p@127.0.0.1:${port}` })), 'epoch 7')
  t.equal(await codeOf(clientOf({ ...hub, proxy: `http://127.0.0.1:${port}` })), 'QZ-HUB-UNREACHABLE', 'a proxy that refuses')
  t.equal(await codeOf(clientOf({ ...hub, ca: (await hubOf('else')).ca, proxy: `http://u:p@127.0.0.1:${port}` })), 'QZ-HUB-CERTIFICATE')
  t.same(asked, [`${at} Basic ${btoa('u@a:p')}`, `${at} undefined`, `${at} Basic ${btoa('u:p')}`])
})
