/**
 * Access tokens of the API: OAuth 2.0 client credentials (RFC 6749 section 4.4), by a secret or a signed assertion (RFC 7523), given as
 * JWTs (RFC 9068) that the hub signs. A token says who calls; what that client may read is looked up with each request.
 */
import { createPublicKey, randomUUID, type KeyObject } from 'node:crypto'
import { decodeJwt, importJWK, jwtVerify, SignJWT, type JWK } from 'jose'
import { QianzhiError } from '../../protocol/errors.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import type { Store } from '../store/store.ts'
import { assertionAlgorithms, secretHash } from './clients.ts'

export interface TokensDeps {
  store: Pick<Store, 'query'>
  /** Signs tokens; all processes of a hub have the same. */
  hubKey: KeyObject
  /** The hub's first public address. */
  issuer: () => string
  clock: () => Date
}

/** Where programs get tokens, and what these are for. */
export const [tokenPath, dataPath] = ['/oauth2/token', '/data/v1']
/** Seconds that a token is good for. */
export const tokenSeconds = 900
/** Seconds that an assertion may be good for, and that clocks may differ by. */
const [longestAssertion, tolerance] = [600, 60]
/** Tokens that are not verified again. */
const remembered = 5000

export type Proof = { secret: string; client: string } | { assertion: string }

export class Tokens {
  readonly #deps: TokensDeps
  readonly #publicKey: KeyObject
  readonly #known = new Map<string, { client: string; ends: number }>()

  constructor(deps: TokensDeps) {
    this.#deps = deps
    this.#publicKey = createPublicKey(deps.hubKey)
  }

  /** What tokens are for. */
  get audience(): string {
    return `${this.#deps.issuer()}${dataPath}`
  }

  /** Throws QZ-API-CLIENT. */
  async issue(proof: Proof): Promise<{ token: string; client: string }> {
    const client = 'secret' in proof ? await this.#bySecret(proof) : await this.#byAssertion(proof.assertion)
    const now = seconds(this.#deps.clock())
    const token = await new SignJWT({ client_id: client })
      .setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt' })
      .setIssuer(this.#deps.issuer())
      .setSubject(client)
      .setAudience(this.audience)
      .setIssuedAt(now)
      .setExpirationTime(now + tokenSeconds)
      .setJti(randomUUID())
      .sign(this.#deps.hubKey)
    return { token, client }
  }

  /** The client that a token was given to. Throws QZ-API-TOKEN. */
  async clientOf(token: string): Promise<string> {
    const now = this.#deps.clock()
    const known = this.#known.get(token)
    if (known && known.ends > seconds(now)) return known.client
    try {
      const { payload } = await jwtVerify(token, this.#publicKey, {
        issuer: this.#deps.issuer(),
        audience: this.audience,
        typ: 'at+jwt',
        algorithms: ['EdDSA'],
        requiredClaims: ['exp', 'sub', 'client_id'],
        currentDate: now,
      })
      if (this.#known.size >= remembered) this.#known.clear()
      this.#known.set(token, { client: payload.sub!, ends: payload.exp! })
      return payload.sub!
    } catch (error) {
      const expired = (error as { code?: unknown }).code === 'ERR_JWT_EXPIRED'
      throw new QianzhiError('QZ-API-TOKEN', {
        reason: expired
          ? { zh: '已过期，请重新获取', en: 'it has expired: get another' }
          : { zh: '签名或内容不符', en: 'its signature or content is wrong' },
      })
    }
  }

  async #bySecret({ client, secret }: { client: string; secret: string }): Promise<string> {
    const { store, clock } = this.#deps
    const [found] = await store.query(
      `select from api_client_key k join api_client c on c.id = k.client
       where k.secret_hash = $1 and c.id = $2 and c.ended_at is null and (k.ends_at is null or k.ends_at > $3)`,
      [secretHash(secret), client, clock()],
    )
    if (!found) throw unknown({ zh: '编号或密钥不符，或已失效', en: 'id or secret is wrong, or has ended' })
    return client
  }

  /** Signed by a key of the client, for this hub, for minutes, and used once. */
  async #byAssertion(assertion: string): Promise<string> {
    const { store, clock } = this.#deps
    const now = clock()
    const client = claimedClient(assertion)
    const keys = await store.query<{ jwk: JWK }>(
      `select k.jwk from api_client_key k join api_client c on c.id = k.client
       where c.id = $1 and k.jwk is not null and c.ended_at is null and (k.ends_at is null or k.ends_at > $2) order by k.id desc`,
      [client, now],
    )
    for (const { jwk } of keys) {
      const claims = await this.#verified(assertion, client, jwk).catch(() => undefined)
      if (!claims) continue
      const { jti, exp, iat } = claims
      if (typeof jti !== 'string' || jti === '' || jti.length > 200) throw unknown({ zh: '断言须有 jti', en: 'the assertion needs a jti' })
      if (exp! - Math.max(iat ?? 0, seconds(now)) > longestAssertion)
        throw unknown({ zh: `断言的有效期超过 ${longestAssertion} 秒`, en: `the assertion is good for more than ${longestAssertion} s` })
      await store.query('delete from api_assertion where client = $1 and ends_at < $2', [client, now])
      const ends = new Date((exp! + tolerance) * 1000)
      const fresh = await store.query(
        'insert into api_assertion (client, jti, ends_at) values ($1, $2, $3) on conflict do nothing returning 1',
        [client, jti, ends],
      )
      if (fresh.length === 0) throw unknown({ zh: '断言已使用过', en: 'the assertion was used before' })
      return client
    }
    throw unknown({ zh: '断言的签名、受众或时间不符', en: 'signature, audience or times of the assertion are wrong' })
  }

  async #verified(assertion: string, client: string, jwk: JWK) {
    const issuer = this.#deps.issuer()
    const algorithm = jwk.kty === 'RSA' ? 'RS256' : jwk.kty === 'EC' ? 'ES256' : 'EdDSA'
    const { payload } = await jwtVerify(assertion, await importJWK(jwk, algorithm), {
      issuer: client,
      subject: client,
      audience: [issuer, `${issuer}${tokenPath}`],
      algorithms: assertionAlgorithms,
      requiredClaims: ['exp', 'jti'],
      clockTolerance: tolerance,
      currentDate: this.#deps.clock(),
    })
    return payload
  }
}

function claimedClient(assertion: string): string {
  try {
    return decodeJwt(assertion).sub ?? ''
  } catch {
    throw unknown({ zh: '断言不是 JWT', en: 'the assertion is no JWT' })
  }
}

function seconds(time: Date): number {
  return Math.floor(time.getTime() / 1000)
}

function unknown(reason: LocalizedText): QianzhiError {
  return new QianzhiError('QZ-API-CLIENT', { reason })
}
