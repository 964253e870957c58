/** A receiver of webhooks over HTTPS that keeps a copy, as a careful program would: with a check of signatures of its own. */
import { createHash, createPublicKey, verify, type JsonWebKey } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type t from 'tap'
import { ownCertificate } from '../../../hub/tls.ts'

export type CopiedRow = Record<string, string | null>

export interface Delivered {
  webhook: string
  delivery: number
  resource: string
  from: string | null
  begin: boolean
  next: string
  complete: boolean
  changes: { op: 'upsert' | 'delete'; item: CopiedRow }[]
  source: { agency: string }
}

/** What becomes of one delivery. `lose`: it is taken, and the answer is lost. */
export type Mood = 'take' | 'lose' | 'cut' | 'slow' | number

export class Receiver {
  readonly copy = new Map<string, CopiedRow>()
  /** Every delivery that came, taken or not. */
  readonly seen: Delivered[] = []
  readonly headers: IncomingMessage['headers'][] = []
  /** The item by which it tells rows apart. */
  key = 'code'
  last = 0
  position: string | null = null
  complete = false
  mood: () => Mood = () => 'take'
  /** Told of each delivery before it is answered. */
  noticed: (delivered: Delivered) => unknown = () => {}
  atOnce = 0
  mostAtOnce = 0
  /** What was wrong with what came. */
  readonly wrongs: string[] = []
  keys: JsonWebKey[] = []
  url = ''
  authority = ''

  async listen(test: Pick<typeof t, 'teardown'>, now = new Date(), hosts = ['localhost', '127.0.0.1']): Promise<this> {
    const folder = await mkdtemp(join(tmpdir(), 'qianzhi-receiver-'))
    const { certificate, key } = await ownCertificate(folder, hosts, now)
    this.authority = await readFile(join(folder, 'tls', 'authority.pem'), 'utf8')
    await rm(folder, { recursive: true })
    const server = createServer({ cert: certificate, key }, (request, response) => void this.#take(request, response))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    test.teardown(() => {
      server.closeAllConnections()
      server.close()
    })
    this.url = `https://localhost:${(server.address() as AddressInfo).port}/push?from=hub`
    return this
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.atOnce)
    try {
      const parts: Buffer[] = []
      for await (const part of request) parts.push(part as Buffer)
      const body = Buffer.concat(parts)
      this.headers.push(request.headers)
      const wrong = signatureFault(request, this.url, body, this.keys)
      const delivered = JSON.parse(body.toString()) as Delivered
      this.seen.push(delivered)
      if (wrong !== undefined) this.wrongs.push(wrong)
      const mood = this.mood()
      if (mood === 'take' || mood === 'lose') this.#apply(delivered)
      this.noticed(delivered)
      if (mood === 'slow') return
      if (mood === 'cut' || mood === 'lose') return void request.socket.destroy()
      response.writeHead(mood === 'take' ? 204 : mood, { location: 'https://localhost/elsewhere' }).end()
    } catch (error) {
      this.wrongs.push(String(error))
      request.socket.destroy()
    } finally {
      this.atOnce--
    }
  }

  /** What has been had is left alone; everything else is applied, in the order of numbers. */
  #apply({ delivery, begin, from, next, complete, changes }: Delivered): void {
    if (delivery <= this.last) return
    if (!begin && from !== this.position) this.wrongs.push(`delivery ${delivery} goes on from ${from}, the copy is at ${this.position}`)
    if (begin) this.copy.clear()
    for (const { op, item } of changes) {
      if (op === 'delete') this.copy.delete(item[this.key]!)
      else this.copy.set(item[this.key]!, item)
    }
    this.last = delivery
    this.position = next
    this.complete = complete
  }

  rows(): CopiedRow[] {
    return [...this.copy.values()].toSorted((a, b) => (a[this.key]! < b[this.key]! ? -1 : 1))
  }
}

/** RFC 9421, for what a webhook covers; with nothing of the library that signs. */
export function signatureFault(
  { method, headers }: IncomingMessage,
  url: string,
  body: Buffer,
  keys: readonly JsonWebKey[],
): string | undefined {
  const digest = `sha-256=:${createHash('sha256').update(body).digest('base64')}:`
  if (headers['content-digest'] !== digest) return `content-digest ${String(headers['content-digest'])}`
  const [, label, parameters] = /^([a-z]+)=(\(.*)$/.exec(String(headers['signature-input'])) ?? []
  if (label !== 'qianzhi') return `signature-input ${String(headers['signature-input'])}`
  const [, list = '', more = ''] = /^\(([^)]*)\)(.*)$/.exec(parameters!) ?? []
  const covered = list.split(' ').map((name) => name.replaceAll('"', ''))
  for (const needed of ['@method', '@target-uri', 'content-digest', 'qianzhi-webhook', 'qianzhi-delivery'])
    if (!covered.includes(needed)) return `${needed} is not covered`
  const [, keyid] = /;keyid="([^"]+)"/.exec(more) ?? []
  if (!more.includes(';alg="ed25519"') || !more.includes(';tag="qianzhi-webhook"') || !/;created=\d+/.test(more)) return more
  const jwk = keys.find((key) => (key as { kid?: string }).kid === keyid)
  if (!jwk) return `no key ${keyid}`
  const thumb = createHash('sha256').update(`{"crv":"Ed25519","kty":"OKP","x":"${jwk.x}"}`).digest('base64url')
  if (thumb !== keyid) return 'the key has another thumbprint'
  const valueOf = (name: string) => ({ '@method': method, '@target-uri': url })[name] ?? String(headers[name])
  const base = [...covered.map((name) => `"${name}": ${valueOf(name)}`), `"@signature-params": ${parameters}`].join('\n')
  const signature = /^qianzhi=:(.*):$/.exec(String(headers['signature']))?.[1]
  if (signature === undefined) return `signature ${String(headers['signature'])}`
  const key = createPublicKey({ key: jwk, format: 'jwk' })
  return verify(null, Buffer.from(base), key, Buffer.from(signature, 'base64')) ? undefined : 'the signature does not match'
}
