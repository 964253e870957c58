import { createHash, sign } from 'node:crypto'
import fc from 'fast-check'
import { httpbis } from 'http-message-signatures'
import t from 'tap'
import nacl from 'tweetnacl'
import { QianzhiError } from '../../protocol/errors.ts'
import { signRequest, verifyRequest, type Headers, type ReceivedRequest } from '../../protocol/request.ts'
import { signingKeyFromPem } from '../../protocol/signature.ts'
import { readVectors, vectorKey } from '../vectors/read.ts'

const provider = signingKeyFromPem(vectorKey('provider').pem)

async function knownKey(id: string): Promise<string> {
  if (id === provider.id) return provider.publicKey
  throw new QianzhiError('QZ-AGENT-UNKNOWN', { agent: id })
}

async function outcome(request: ReceivedRequest, now: Date): Promise<string> {
  try {
    const id = await verifyRequest(request, knownKey, now)
    return id === provider.id ? 'accept' : `accepted as ${id}`
  } catch (error) {
    return error instanceof QianzhiError ? error.code : `no coded error: ${String(error)}`
  }
}

/** Verifies as RFC 9421 section 3.2 says, from the raw header fields, with tweetnacl. */
function verifiedByHand({ method, path, headers, body }: { method: string; path: string; headers: Headers; body: Buffer }): boolean {
  const field = (name: string) => Object.entries(headers).find(([key]) => key.toLowerCase() === name)![1]
  const parameters = field('signature-input').replace(/^sig=/, '')
  const signature = Buffer.from(/^sig=:(.*):$/.exec(field('signature'))![1]!, 'base64')
  const [pathname, query] = path.split('?')
  const digest = createHash('sha256').update(body).digest('base64')
  const base = [
    `"@method": ${method}`,
    `"@path": ${pathname}`,
    `"@query": ?${query ?? ''}`,
    `"content-digest": sha-256=:${digest}:`,
    `"qianzhi-version": ${field('qianzhi-version')}`,
    `"@signature-params": ${parameters}`,
  ].join('\n')
  return nacl.sign.detached.verify(Buffer.from(base), signature, Buffer.from(provider.publicKey, 'base64url'))
}

t.test('requests of the vectors', async (t) => {
  for (const { name, expected, now, ...request } of readVectors('requests.json')) {
    const body = Buffer.from(request.body, 'base64')
    t.equal(await outcome({ ...request, body }, new Date(now)), expected, name)
    if (expected === 'accept') t.ok(verifiedByHand({ ...request, body }), `${name}: verified by hand`)
  }
})

t.test('header names in any case, several headers as a list, others left alone', async (t) => {
  const { name: _, expected: __, now, ...request } = readVectors('requests.json')[0]!
  const lower = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name.toLowerCase(), value]))
  const headers = { ...lower, accept: ['a', 'b'], 'x-missing': undefined, 'user-agent': 'x' }
  t.equal(await outcome({ ...request, headers, body: Buffer.from(request.body, 'base64') }, new Date(now)), 'accept')
})

t.test('a store that is away is no fault of the signature', async (t) => {
  const now = new Date('2026-11-24T00:00:00Z')
  const sent = { method: 'GET', path: '/x', body: Buffer.alloc(0) }
  const headers = await signRequest(sent, provider, now)
  const away = () => Promise.reject(new Error('terminating connection due to administrator command'))
  await t.rejects(verifyRequest({ ...sent, headers }, away, now), { message: /terminating connection/ })
})

t.test('the hub clock alone decides, not the clock of the machine', async (t) => {
  const then = new Date('2050-01-01T00:00:00Z')
  const request = { method: 'POST', path: '/agent/v1/poll', body: Buffer.from('{}') }
  const headers = await signRequest(request, provider, then)
  t.equal(await outcome({ ...request, headers }, then), 'accept')
  t.equal(await outcome({ ...request, headers }, new Date()), 'QZ-REQUEST-CLOCK')
})

t.test('property: what is signed is accepted, and accepted by hand', async () => {
  const segment = fc.stringMatching(/^[a-z0-9._~-]{1,10}$/).filter((text) => !/^\.+$/.test(text))
  const request = fc.record({
    method: fc.constantFrom('GET', 'POST'),
    path: fc
      .tuple(fc.array(segment, { minLength: 1, maxLength: 4 }), fc.array(fc.tuple(segment, fc.nat()), { maxLength: 3 }))
      .map(([path, query]) => `/${path.join('/')}${query.length ? '?' : ''}${query.map(([name, value]) => `${name}=${value}`).join('&')}`),
    body: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  })
  await fc.assert(
    fc.asyncProperty(request, async (request) => {
      const now = new Date('2026-11-22T08:30:00Z')
      const headers = await signRequest(request, provider, now)
      return (await outcome({ ...request, headers }, now)) === 'accept' && verifiedByHand({ ...request, headers })
    }),
    { numRuns: 100 },
  )
})

t.test('property: what was altered on its way is accepted exactly where it verifies by hand', async (t) => {
  const now = new Date('2026-11-22T08:30:00Z')
  let accepted = 0
  const fields = ['method', 'path', 'body', 'content-digest', 'qianzhi-version', 'Signature', 'Signature-Input'] as const
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...fields),
      fc.nat(),
      fc.constantFrom('', 'a', '"', '/', '.', '%', '0', '=', '?', ';'),
      async (field, at, letter) => {
        const sent = { method: 'POST', path: '/agent/v1/batches/x?y=1', body: Buffer.from('{"a":1}') }
        const headers: Headers = { ...(await signRequest(sent, provider, now)) }
        const alter = (text: string) => text.slice(0, at % text.length) + letter + text.slice((at % text.length) + 1)
        const request = { ...sent, headers }
        if (field === 'method' || field === 'path') request[field] = alter(sent[field])
        else if (field === 'body') request.body = Buffer.from(alter('{"a":1}'))
        else headers[field] = alter(headers[field]!)
        const verdict = await outcome(request, now)
        if (verdict === 'accept') accepted++
        return verdict === 'accept' ? verifiedByHand(request) : verdict.startsWith('QZ-')
      },
    ),
    { numRuns: 300 },
  )
  t.ok(accepted > 0, `${accepted} were as they had been sent`)
})

t.test('property: the library and the way written at once sign and verify alike', async (t) => {
  const now = new Date('2026-11-22T08:30:00Z')
  const signer = { id: provider.id, alg: 'ed25519', sign: async (data: Buffer) => sign(null, data, provider.privateKey) }
  for (const path of ['/agent/v1/poll', '/a?b=c', '/a%20b', '/a?b=%20', '/a?b', '/a/', '/a?', '/a//b', '/.a']) {
    const ours = await signRequest({ method: 'POST', path, body: Buffer.from('x') }, provider, now)
    const { Signature: _, 'Signature-Input': __, ...headers } = ours
    const theirs = await httpbis.signMessage(
      {
        key: signer,
        fields: ['@method', '@path', '@query', 'content-digest', 'qianzhi-version'],
        params: ['created', 'keyid', 'alg'],
        paramValues: { created: now },
      },
      { method: 'POST', url: `https://hub.invalid${path}`, headers },
    )
    t.same(theirs.headers, ours, path)
    t.equal(await outcome({ method: 'POST', path, body: Buffer.from('x'), headers: ours }, now), 'accept', path)
  }
})
