import { createPrivateKey, createPublicKey, generateKeyPairSync, hash, sign, verify, type KeyObject } from 'node:crypto'

/**
 * Signatures of manifests, receipts, head statements and policies: compact JWS (RFC 7515) with `alg: EdDSA` over Ed25519
 * (RFC 8037). `typ` keeps one kind of statement from being taken for another. Public keys travel as the base64url `x` of their JWK.
 */
export type StatementType =
  | 'qz-batch'
  | 'qz-receipt'
  | 'qz-head'
  | 'qz-policy'
  | 'qz-key'
  | 'qz-audit'
  | 'qz-ask'
  | 'qz-reconciliation'
  | 'qz-file'
  | 'qz-open'
  | 'qz-derived'

export interface SigningKey {
  /** RFC 7638 thumbprint of the public key. */
  id: string
  /** Raw public key, base64url (the JWK's `x`). */
  publicKey: string
  privateKey: KeyObject
}

export function generateSigningKey(): SigningKey {
  return signingKey(generateKeyPairSync('ed25519').privateKey)
}

/** Reads a PKCS#8 PEM private key. */
/** Throws where it is no Ed25519 private key. */
export function signingKeyFromPem(pem: string): SigningKey {
  const key = createPrivateKey(pem)
  if (key.asymmetricKeyType !== 'ed25519') throw new TypeError(`a key of type ${key.asymmetricKeyType}`)
  return signingKey(key)
}

export function signingKeyToPem(key: SigningKey): string {
  return key.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
}

function signingKey(privateKey: KeyObject): SigningKey {
  const publicKey = createPublicKey(privateKey).export({ format: 'jwk' }).x!
  return { id: keyId(publicKey), publicKey, privateKey }
}

/** JWK thumbprint (RFC 7638, members of RFC 8037 section 2), base64url. */
export function keyId(publicKey: string): string {
  let id = keyIds.get(publicKey)
  if (id === undefined) {
    id = hash('sha256', `{"crv":"Ed25519","kty":"OKP","x":"${publicKey}"}`, 'base64url')
    if (keyIds.size > 1000) keyIds.clear()
    keyIds.set(publicKey, id)
  }
  return id
}

const keyIds = new Map<string, string>()

const keyObjects = new Map<string, KeyObject>()

/** The key object of a base64url public key; making one costs more than a verification, so a few are remembered. */
export function publicKeyObject(publicKey: string): KeyObject {
  let key = keyObjects.get(publicKey)
  if (!key) {
    key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: publicKey }, format: 'jwk' })
    if (keyObjects.size > 1000) keyObjects.clear()
    keyObjects.set(publicKey, key)
  }
  return key
}

export function signStatement(key: SigningKey, typ: StatementType, payload: object): string {
  const header = Buffer.from(JSON.stringify({ alg: 'EdDSA', kid: key.id, typ })).toString('base64url')
  const input = `${header}.${Buffer.from(JSON.stringify(payload)).toString('base64url')}`
  return `${input}.${sign(null, Buffer.from(input), key.privateKey).toString('base64url')}`
}

/** The key id that a statement names, unverified: to find the key to verify it with. Undefined where it is no statement of this type. */
export function statementKeyId(jws: string, typ: StatementType): string | undefined {
  const header = decodeJson(jws.slice(0, jws.indexOf('.')))
  const fits = header?.['alg'] === 'EdDSA' && header['typ'] === typ && !('crit' in header)
  return fits && typeof header['kid'] === 'string' ? header['kid'] : undefined
}

/** The payload if `publicKey` signed this statement as this type, else undefined. */
export function verifyStatement(jws: string, typ: StatementType, publicKey: string): unknown {
  const parts = jws.split('.')
  if (parts.length !== 3 || statementKeyId(jws, typ) !== keyId(publicKey)) return undefined
  const signature = Buffer.from(parts[2]!, 'base64url')
  if (signature.length !== 64 || signature.toString('base64url') !== parts[2]) return undefined
  const signed = verify(null, Buffer.from(`${parts[0]}.${parts[1]}`), publicKeyObject(publicKey), signature)
  return signed ? decodeJson(parts[1]!) : undefined
}

/** The payload of a statement without any check of its signature: only for what is verified elsewhere. */
export function readStatement(jws: string): Record<string, unknown> | undefined {
  return decodeJson(jws.split('.')[1] ?? '')
}

function decodeJson(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString())
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

export function sha256(data: string | Uint8Array): string {
  return hash('sha256', data, 'hex')
}
