import { createHash, sign } from 'node:crypto'
import { clockTolerance, signRequest, type Headers } from '../../protocol/request.ts'
import type { SigningKey } from '../../protocol/signature.ts'
import type { Keys } from './make.ts'
import type { Vectors } from './read.ts'

type RequestVector = Vectors['requests.json'][number]

const now = new Date('2026-11-22T08:30:00Z')

export async function requestVectors({ provider, other }: Keys): Promise<RequestVector[]> {
  const post = { method: 'POST', path: '/agent/v1/poll', body: Buffer.from('{"policy":0}') }
  const get = { method: 'GET', path: '/agent/v1/head?resource=licence', body: Buffer.alloc(0) }
  const at = (seconds: number) => new Date(now.getTime() + seconds * 1000)
  const headers = await signRequest(post, provider, now)
  const vector = (name: string, expected: string, change: Partial<typeof post> & { headers?: Headers } = {}): RequestVector => {
    const { body, ...rest } = { ...post, headers, ...change }
    return { name, ...rest, body: body.toString('base64'), now: now.toISOString(), expected }
  }
  const refused = (name: string, change: Parameters<typeof vector>[2]) => vector(name, 'QZ-REQUEST-SIGNATURE', change)
  const without = (name: string) => Object.fromEntries(Object.entries(headers).filter(([header]) => header !== name))
  const names = Object.fromEntries(Object.keys(headers).map((name) => [name.toLowerCase(), name]))
  return [
    vector('POST with a body', 'accept'),
    vector('GET with a query', 'accept', { ...get, headers: await signRequest(get, provider, now) }),
    vector('as late as may be', 'accept', { headers: await signRequest(post, provider, at(-clockTolerance)) }),
    vector('as early as may be', 'accept', { headers: await signRequest(post, provider, at(clockTolerance)) }),
    vector('too late', 'QZ-REQUEST-CLOCK', { headers: await signRequest(post, provider, at(-clockTolerance - 1)) }),
    vector('too early', 'QZ-REQUEST-CLOCK', { headers: await signRequest(post, provider, at(clockTolerance + 1)) }),
    vector('key that nobody knows', 'QZ-AGENT-UNKNOWN', { headers: await signRequest(post, other, now) }),
    refused('another body', { body: Buffer.from('{"policy":1}') }),
    refused('another method', { method: 'PUT' }),
    refused('another path', { path: '/agent/v1/receipts' }),
    refused('a query added', { path: '/agent/v1/poll?x=1' }),
    refused('another version', { headers: { ...headers, 'qianzhi-version': '2' } }),
    refused('no version', { headers: without('qianzhi-version') }),
    refused('no digest', { headers: without('content-digest') }),
    refused('no signature', { headers: without(names['signature']!) }),
    refused('no signature input', { headers: without(names['signature-input']!) }),
    refused('signature input that cannot be read', { headers: { ...headers, [names['signature-input']!]: 'sig=(((' } }),
    refused('path not covered', { headers: byHand(post, ['@method', '@query', 'content-digest', 'qianzhi-version'], provider) }),
    refused('body not covered', { headers: byHand(post, ['@method', '@path', '@query', 'qianzhi-version'], provider) }),
    refused('another algorithm named', { headers: byHand(post, allFields, provider, { alg: 'hmac-sha256' }) }),
    refused("another key's signature", { headers: byHand(post, allFields, other, { keyid: provider.id }) }),
    vector('signed by hand', 'accept', { headers: byHand(post, allFields, provider) }),
    refused('two signatures', { headers: twice(byHand(post, allFields, provider), byHand(post, allFields, other)) }),
  ]
}

const allFields = ['@method', '@path', '@query', 'content-digest', 'qianzhi-version']

/** A valid signature of `first` beside one of `second`: neither may be taken for the request's. */
function twice(first: Headers, second: Headers): Headers {
  const both = (name: string) => `${first[name]}, ${second[name]!.replace('sig=', 'sig2=')}`
  return { ...first, signature: both('signature'), 'signature-input': both('signature-input') }
}

function byHand(
  request: { method: string; path: string; body: Buffer },
  fields: readonly string[],
  key: SigningKey,
  { alg = 'ed25519', keyid = key.id } = {},
): Headers {
  const values: Record<string, string> = {
    '@method': request.method,
    '@path': request.path,
    '@query': '?',
    'content-digest': `sha-256=:${createHash('sha256').update(request.body).digest('base64')}:`,
    'qianzhi-version': '1',
  }
  const list = fields.map((field) => `"${field}"`).join(' ')
  const parameters = `(${list});created=${now.getTime() / 1000};keyid="${keyid}";alg="${alg}"`
  const base = [...fields.map((field) => `"${field}": ${values[field]}`), `"@signature-params": ${parameters}`].join('\n')
  const signature = sign(null, Buffer.from(base), key.privateKey).toString('base64')
  return {
    'content-digest': values['content-digest']!,
    'qianzhi-version': '1',
    'signature-input': `sig=${parameters}`,
    signature: `sig=:${signature}:`,
  }
}
