import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type DetailedPeerCertificate, type TLSSocket } from 'node:tls'
import t from 'tap'
import { authorityPath } from '../../hub/store/durable-files.ts'
import { fingerprint, ownCertificate } from '../../hub/tls.ts'

const day = 86_400_000
const now = new Date()
const hosts = ['localhost', '127.0.0.1', '::1', 'hub.example.gov.cn']

async function folder(t: { teardown: (fn: () => Promise<void>) => unknown }): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'qianzhi-tls-'))
  t.teardown(() => rm(path, { recursive: true }))
  return path
}

t.test('an agent can pin the authority by what the server sends', async (t) => {
  const data = await folder(t)
  const { certificate, key, authority } = await ownCertificate(data, hosts, now)
  const server = createServer({ cert: certificate, key }).listen(0, '127.0.0.1')
  t.teardown(() => void server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const ca = await readFile(authorityPath(data), 'utf8')
  t.equal(fingerprint(ca), authority)
  for (const servername of ['localhost', 'hub.example.gov.cn']) {
    const socket = connect({ port, host: '127.0.0.1', servername, ca })
    await once(socket, 'secureConnect')
    t.ok(socket.authorized, servername)
    t.equal(issuerOf(socket), authority.toUpperCase())
    socket.destroy()
  }
  const stranger = connect({ port, host: '127.0.0.1', servername: 'other.example', ca })
  const [error] = (await once(stranger, 'error')) as [Error]
  t.match(error.message, /altnames/)
})

function issuerOf(socket: TLSSocket): string {
  const certificate: DetailedPeerCertificate = socket.getPeerCertificate(true)
  return certificate.issuerCertificate.fingerprint256.replaceAll(':', '')
}

t.test('certificates are kept, and made again when hosts change or the end is near', async (t) => {
  const data = await folder(t)
  const first = await ownCertificate(data, hosts, now)
  t.same(await ownCertificate(data, hosts, new Date(now.getTime() + 300 * day)), first)
  t.same(await ownCertificate(data, hosts.slice(1), now), first, 'a host less is no matter')
  const more = await ownCertificate(data, [...hosts, 'new.example'], now)
  t.not(more.certificate, first.certificate)
  t.equal(more.authority, first.authority, 'the authority stays')
  const later = await ownCertificate(data, hosts, new Date(now.getTime() + 350 * day))
  t.not(later.certificate, more.certificate)
  t.equal(later.authority, first.authority)
  for (const name of ['authority.key', 'server.pem']) t.equal((await stat(join(data, 'tls', name))).mode & 0o077, 0, name)
})

t.test('hubs that start at once agree on one authority', async (t) => {
  const data = await folder(t)
  const all = await Promise.all([1, 2, 3].map(() => ownCertificate(data, hosts, now)))
  t.equal(new Set(all.map(({ authority }) => authority)).size, 1)
})
