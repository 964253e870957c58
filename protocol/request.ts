import { hash, sign, verify } from 'node:crypto'
import { httpbis } from 'http-message-signatures'
import { protocolVersion, versionHeader } from './api.ts'
import { QianzhiError, reasonOf } from './errors.ts'
import { same, type LocalizedText } from './localized.ts'
import { publicKeyObject, type SigningKey } from './signature.ts'

/**
 * Signatures of agent requests (RFC 9421, alg ed25519) with Content-Digest (RFC 9530, sha-256). They cover method, path, query, body
 * and protocol version. The authority is not covered: proxies may rewrite it; the TLS connection is what names the hub. A request that
 * arrives a second time changes nothing (every agent request is idempotent), so no nonces are remembered.
 */
const covered = ['@method', '@path', '@query', 'content-digest', versionHeader]

export interface RequestToSign {
  method: string
  /** Path and query. */
  path: string
  body: Uint8Array
}

export type Headers = Record<string, string>

/** The headers that make the request a signed one. `created` is the agent's idea of the hub's time. */
export async function signRequest(request: RequestToSign, key: SigningKey, created: Date): Promise<Headers> {
  const headers = { [versionHeader]: String(protocolVersion), 'content-digest': contentDigest(request.body) }
  if (usualPath.test(request.path)) {
    const params = `${usualFields};created=${Math.floor(created.getTime() / 1000)};keyid="${key.id}";alg="ed25519"`
    const signature = sign(null, usualBase(request, headers['content-digest'], headers[versionHeader], params), key.privateKey)
    return { ...headers, Signature: `sig=:${signature.toString('base64')}:`, 'Signature-Input': `sig=${params}` }
  }
  const signer = { id: key.id, alg: 'ed25519', sign: async (data: Buffer) => sign(null, data, key.privateKey) }
  const signed = await httpbis.signMessage(
    { key: signer, fields: covered, params: ['created', 'keyid', 'alg'], paramValues: { created } },
    { method: request.method, url: absolute(request.path), headers },
  )
  return signed.headers
}

/**
 * The signature base (RFC 9421 section 2.5) of requests as agents make them, written at once: the library, which knows every form, takes four
 * times as long. Whatever is written otherwise goes through it.
 */
function usualBase({ method, path }: Pick<RequestToSign, 'method' | 'path'>, digest: string, version: string, params: string): Buffer {
  const query = path.indexOf('?')
  const [own, asked] = query < 0 ? [path, '?'] : [path.slice(0, query), path.slice(query)]
  return Buffer.from(
    `"@method": ${method}\n"@path": ${own}\n"@query": ${asked}\n"content-digest": ${digest}\n"${versionHeader}": ${version}\n"@signature-params": ${params}`,
  )
}

const usualFields = `(${covered.map((name) => `"${name}"`).join(' ')})`
/** Of which no URL parser makes another. */
const usualPath = /^(?:\/[\w-][\w.-]*)+(?:\?[\w.=&~-]+)?$/
const usualMethod = /^[A-Z]{3,7}$/
const usualInput = /^sig=(\((?:"[@a-z-]+" ?){5}\);created=(\d{1,12});keyid="([\w-]+)";alg="ed25519")$/
const usualSignature = /^sig=:([A-Za-z0-9+/]{86}==):$/
const usualDigest = /^sha-256=:[A-Za-z0-9+/]{43}=:$/
const usualVersion = /^\d{1,6}$/

interface UsualRequest {
  keyId: string
  created: number
  base: Buffer
  signature: Buffer
}

/** Undefined where the request is signed in another way, which need not be wrong. */
function usualRequest({ method, path, headers }: Omit<ReceivedRequest, 'body'>): UsualRequest | undefined {
  const field = (name: string): string => (typeof headers[name] === 'string' ? headers[name] : '')
  const [digest, version] = [field('content-digest'), field(versionHeader)]
  const [input, signature] = [usualInput.exec(field('signature-input')), usualSignature.exec(field('signature'))]
  if (!input?.[1]!.startsWith(`${usualFields};`) || !signature) return undefined
  if (!usualPath.test(path) || !usualMethod.test(method) || !usualDigest.test(digest) || !usualVersion.test(version)) return undefined
  return {
    keyId: input[3]!,
    created: Number(input[2]),
    base: usualBase({ method, path }, digest, version, input[1]!),
    signature: Buffer.from(signature[1]!, 'base64'),
  }
}

export interface ReceivedRequest extends RequestToSign {
  headers: Record<string, string | string[] | undefined>
}

/** Seconds by which `created` may differ from the hub's clock. */
export const clockTolerance = 300

/** `verifyBody` and `verifyHead`. */
export async function verifyRequest(request: ReceivedRequest, publicKeyOf: (keyId: string) => Promise<string>, now: Date): Promise<string> {
  verifyBody(request)
  return (await verifyHead(request, publicKeyOf, now)).keyId
}

/** Whether the body is the one that the signature covers. Throws QZ-REQUEST-SIGNATURE. */
export function verifyBody({ headers, body }: Pick<ReceivedRequest, 'headers' | 'body'>): void {
  if (headers['content-digest'] !== contentDigest(body))
    throw invalid({ zh: 'Content-Digest 与正文不符', en: 'Content-Digest does not match the body' })
}

/**
 * Who signed the request and when, told before its body was read. `publicKeyOf` may throw its own coded error for a key that is unknown or
 * revoked. Throws QZ-REQUEST-SIGNATURE, QZ-REQUEST-CLOCK.
 */
export async function verifyHead(
  request: Omit<ReceivedRequest, 'body'>,
  publicKeyOf: (keyId: string) => Promise<string>,
  now: Date,
): Promise<{ keyId: string; created: Date }> {
  const usual = usualRequest(request)
  if (usual) {
    const created = checkClock(new Date(usual.created * 1000), now)
    const key = publicKeyObject(await publicKeyOf(usual.keyId))
    if (verify(null, usual.base, key, usual.signature)) return { keyId: usual.keyId, created }
    throw invalid(mismatch)
  }
  let keyId = ''
  let created = now
  /** Whose key it is could not be found out: no fault of the signature's. */
  let unasked: { error: unknown } | undefined
  const keyLookup = async (params: { keyid?: string; created?: unknown }) => {
    if (keyId) throw invalid({ zh: '签名多于一个', en: 'more than one signature' })
    created = checkClock(params.created, now)
    keyId = params.keyid ?? ''
    const publicKey = await publicKeyOf(keyId).catch((error: unknown) => {
      unasked = { error }
      throw error
    })
    const key = publicKeyObject(publicKey)
    return { id: keyId, algs: ['ed25519'], verify: async (data: Buffer, signature: Buffer) => verify(null, data, key, signature) }
  }
  const message = { method: request.method, url: absolute(request.path), headers: definedHeaders(request.headers) }
  try {
    const config = {
      keyLookup,
      requiredFields: covered,
      requiredParams: ['created', 'keyid', 'alg'],
      tolerance: clockTolerance,
      notAfter: now,
    }
    if (await httpbis.verifyMessage(config, message)) return { keyId, created }
  } catch (error) {
    if (unasked) throw unasked.error
    throw error instanceof QianzhiError ? error : invalid(same(reasonOf(error)), error)
  }
  throw invalid(mismatch)
}

const mismatch: LocalizedText = { zh: '签名不符或没有签名', en: 'it does not match, or there is none' }

function invalid(reason: LocalizedText, cause?: unknown): QianzhiError {
  return new QianzhiError('QZ-REQUEST-SIGNATURE', { reason }, { cause })
}

function checkClock(created: unknown, now: Date): Date {
  const seconds = created instanceof Date ? (created.getTime() - now.getTime()) / 1000 : Number(created) - now.getTime() / 1000
  if (Number.isFinite(seconds) && Math.abs(seconds) <= clockTolerance) return new Date(now.getTime() + seconds * 1000)
  throw new QianzhiError('QZ-REQUEST-CLOCK', { seconds: Number.isFinite(seconds) ? Math.round(seconds) : '?' })
}

/** RFC 9530. */
export function contentDigest(body: Uint8Array): string {
  return `sha-256=:${hash('sha256', body, 'base64')}:`
}

function absolute(path: string): string {
  return `https://qianzhi.invalid${path}`
}

function definedHeaders(headers: ReceivedRequest['headers']): Record<string, string | string[]> {
  return Object.fromEntries(Object.entries(headers).filter((entry): entry is [string, string | string[]] => entry[1] !== undefined))
}
