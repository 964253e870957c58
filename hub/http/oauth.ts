/** The token endpoint of the API (RFC 6749 section 4.4, RFC 7523), its metadata (RFC 8414) and the key that its tokens, and deliveries to webhooks, are verified with. */
import { exportJWK } from 'jose'
import { createPublicKey } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { QianzhiError } from '../../protocol/errors.ts'
import { keyId } from '../../protocol/signature.ts'
import { writeAudit } from '../records/audit.ts'
import { assertionAlgorithms } from '../sharing/clients.ts'
import { requireWithin } from '../records/networks.ts'
import { tokenPath, tokenSeconds, type Proof } from '../sharing/tokens.ts'
import type { DataServices } from './data.ts'
import type { Api } from './server.ts'

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** Errors are answered as RFC 6749 section 5.2 has it, with our own code and words beside. */
export function oauthApi(services: DataServices): Api {
  return async (typed) => {
    const app = typed as unknown as FastifyInstance
    app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string', bodyLimit: 16_384 }, (_request, body, done) => {
      done(null, new URLSearchParams(body as string))
    })
    app.get('/.well-known/oauth-authorization-server', async () => {
      const issuer = services.issuer()
      return {
        issuer,
        token_endpoint: `${issuer}${tokenPath}`,
        jwks_uri: `${issuer}/oauth2/jwks`,
        grant_types_supported: ['client_credentials'],
        token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
        token_endpoint_auth_signing_alg_values_supported: assertionAlgorithms,
        response_types_supported: [],
      }
    })
    app.get('/oauth2/jwks', async () => {
      const jwk = await exportJWK(createPublicKey(services.hubKey))
      return { keys: [{ ...jwk, kid: keyId(jwk.x!), use: 'sig', alg: 'EdDSA' }] }
    })
    app.post(tokenPath, async (request, reply) => {
      void reply.header('cache-control', 'no-store')
      const { token, client } = await services.tokens.issue(proofOf(request))
      // An address that may not read gets no token either.
      const view = await services.views.of(client)
      requireWithin(view.networks, request.ip)
      await writeAudit(services.store.query, { actor: client, via: 'client', ip: request.ip, act: 'api.token', object: view.grant })
      return { access_token: token, token_type: 'Bearer', expires_in: tokenSeconds }
    })
    app.addHook('onError', async (request, reply, error) => {
      if (request.url.startsWith(tokenPath)) challenge(reply, error)
    })
  }
}

function challenge(reply: FastifyReply, error: unknown): void {
  if (error instanceof QianzhiError && error.kind.status === 401) void reply.header('www-authenticate', 'Basic realm="qianzhi"')
}

/** How the client proves itself, by header or body. Throws QZ-API-CLIENT, QZ-REQUEST-INVALID. */
function proofOf({ headers, body }: FastifyRequest): Proof {
  const form = body instanceof URLSearchParams ? body : new URLSearchParams()
  if (form.get('grant_type') !== 'client_credentials') {
    throw new QianzhiError('QZ-REQUEST-INVALID', {
      reason: { zh: '正文须为表单，grant_type=client_credentials', en: 'the body must be a form with grant_type=client_credentials' },
    })
  }
  const basic = /^Basic ([A-Za-z0-9+/=]+)$/.exec(headers.authorization ?? '')?.[1]
  if (basic !== undefined) {
    const [client = '', secret = ''] = Buffer.from(basic, 'base64').toString().split(':', 2).map(decoded)
    return { client, secret }
  }
  const assertion = form.get('client_assertion')
  if (assertion !== null && form.get('client_assertion_type') === assertionType) return { assertion }
  const [client, secret] = [form.get('client_id'), form.get('client_secret')]
  if (client !== null && secret !== null) return { client, secret }
  throw new QianzhiError('QZ-API-CLIENT', { reason: { zh: '没有凭证', en: 'it sent none' } })
}

/** Names and passwords of Basic are form-encoded (RFC 6749 section 2.3.1). */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text
  }
}
