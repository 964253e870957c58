import { createHash, sign, verify } from 'node:crypto'
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
  const signer = { id: key.id, alg: 'ed25519', sign: async (data: Buffer) => sign(null, data, key.privateKey) }
  const signed = await httpbis.signMessage(
    { key: signer, fields: covered, params: ['created', 'keyid', 'alg'], paramValues: { created } },
    { method: request.method, url: absolute(request.path), headers },
  )
  return signed.headers
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
  throw invalid({ zh: '签名不符或没有签名', en: 'it does not match, or there is none' })
}

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
  return `sha-256=:${createHash('sha256').update(body).digest('base64')}:`
}

function absolute(path: string): string {
  return `https://qianzhi.invalid${path}`
}

function definedHeaders(headers: ReceivedRequest['headers']): Record<string, string | string[]> {
  return Object.fromEntries(Object.entries(headers).filter((entry): entry is [string, string | string[]] => entry[1] !== undefined))
}
