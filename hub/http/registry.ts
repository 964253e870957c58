import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import cookie from '@fastify/cookie'
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteShorthandOptions } from 'fastify'
import { QianzhiError } from '../../protocol/errors.ts'
import { authorise, reachOf } from '../access/authorise.ts'
import type { Principal } from '../access/principal.ts'
import { relationsOf } from '../access/relations.ts'
import { principalOf } from '../access/sessions.ts'
import type { AccessRules } from '../access/settings.ts'
import { withNames } from '../operations/names.ts'
import { FileAnswer, uploadTypes, type Call, type Operation } from '../operations/operation.ts'
import type { Services } from '../operations/services.ts'
import type { Registry } from '../records/registry.ts'
import { isList, listFile } from './list-file.ts'
import { documentation, routeSchema } from './openapi.ts'
import { problemOf } from './refusals.ts'
import type { Api } from './server.ts'
import { displayCookie, sessionCookie, signInDoors } from './sign-in.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Behind the registry's doors: who asks. */
    principal: Principal
  }
}

export const apiPrefix = '/api/v1'

/**
 * The registry's API: each operation behind the same four checks, in this order: who asks (401), whether their roles have the right at
 * all (403), whether it reaches this object (404, 403), and whether what they sent has the right shape (400).
 */
export function registryApi(registry: Registry, services: Services, operations: readonly Operation[]): Api {
  return async (app) => {
    const plain = app as unknown as FastifyInstance
    await plain.register(cookie)
    await documentation(plain)
    app.decorateRequest('principal')
    acceptUploads(plain, operations)
    await signInDoors(plain, registry, services)
    for (const operation of operations.filter(({ upload }) => !upload?.streamed)) addRoute(plain, registry, services, operation)
    await plain.register(async (streaming) => {
      for (const operation of operations.filter(({ upload }) => upload?.streamed)) {
        streaming.removeContentTypeParser(operation.upload!.type)
        streaming.addContentTypeParser(operation.upload!.type, (_request: FastifyRequest, body: IncomingMessage, done) => done(null, body))
        addRoute(streaming, registry, services, operation)
      }
    })
  }
}

function acceptUploads(app: FastifyInstance, operations: readonly Operation[]): void {
  const types = new Set(operations.flatMap(({ upload }) => (upload ? uploadTypes(upload) : [])))
  for (const type of types) {
    app.addContentTypeParser(type, { parseAs: 'buffer' }, (_request: FastifyRequest, body: Buffer, done) => done(null, body))
  }
}

function addRoute(app: FastifyInstance, registry: Registry, services: Services, operation: Operation): void {
  const options: RouteShorthandOptions = {
    schema: routeSchema(operation),
    bodyLimit: operation.upload?.limit ?? 2 << 20,
    serializerCompiler: () => (value) => JSON.stringify(value),
    onRequest: async (request) => {
      request.principal = await identify(registry, request, services.access.rules)
      authoriseRole(request.principal, operation)
    },
    preValidation: async (request) => {
      checkUpload(request, operation)
      // Nothing said is said by no body as well as by an empty one.
      if (operation.body && !operation.upload && request.body === undefined) request.body = {}
      await authoriseObject(registry, request, operation)
    },
  }
  app.route({ ...options, method: operation.method, url: apiPrefix + operation.path, handler: answer })

  async function answer(request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    const { principal, params, query, body } = request
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort())
    const agencyScope = reachOf(principal, operation.name).has('any') ? null : principal.agency
    const seen = seenBy(request)
    const call: Call = {
      registry,
      services,
      principal,
      agencyScope,
      params,
      query,
      body,
      seen,
      told: (error) => problemOf(error, request).detail,
      signal: gone.signal,
    }
    const asFile = isList(operation) && (query as { format?: string }).format === 'xlsx'
    const value = asFile ? await listFile(operation, call) : await operation.run(call)
    void reply.header('cache-control', 'no-store')
    if (typeof value === 'object' && value && 'revision' in value) void reply.header('etag', `"${String(value.revision)}"`)
    if (!(value instanceof FileAnswer)) return withNames(registry.store.query, value ?? {}, operation.rows)
    void reply.type(value.type)
    void reply.header('x-content-type-options', 'nosniff')
    void reply.header('content-disposition', `attachment; filename*=UTF-8''${encodeURIComponent(value.name)}`)
    return reply.send(value.content)
  }
}

/** One strong validator, as answers give it; `*` says nothing of what was seen. Throws QZ-REQUEST-INVALID. */
function seenBy({ headers }: FastifyRequest): string | undefined {
  const match = headers['if-match']
  if (match === undefined || match.trim() === '*') return undefined
  const seen = /^\s*"([^"]*)"\s*$/.exec(match)?.[1]
  if (seen !== undefined) return seen
  throw new QianzhiError('QZ-REQUEST-INVALID', {
    reason: {
      zh: 'If-Match 须为一个带引号的 ETag，如 "12.9f1c02ab"',
      en: 'If-Match must be one ETag with its quotes, such as "12.9f1c02ab"',
    },
  })
}

/** Set to 1 on what a page asks by itself, without its user: that does not prolong the session. */
export const backgroundHeader = 'qz-background'

/** Set to 1 by a wall screen: its key counts, and no session. */
const displayHeader = 'qz-display'

/** By `Authorization: Bearer` (programs), or a cookie: the session's (the console), a wall screen's. Throws QZ-SIGN-IN, QZ-API-ADDRESS. */
export async function identify(registry: Registry, request: FastifyRequest, rules?: AccessRules): Promise<Principal> {
  const secret = secretOf(request)
  if (secret === undefined) throw new QianzhiError('QZ-SIGN-IN', { reason: { zh: '请求没有凭证', en: 'the request has no credentials' } })
  const quiet = request.headers[backgroundHeader] === '1'
  return { ...(await principalOf(registry, secret, rules, { quiet, address: request.ip })), ip: request.ip }
}

export function secretOf(request: FastifyRequest): string | undefined {
  const bearer = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1]
  if (bearer !== undefined) return bearer
  // A wall screen says so: beside it somebody may be signed in.
  if (request.headers[displayHeader] === '1' || (request.query as Record<string, unknown>)['display'] === '1') {
    return request.cookies[displayCookie]
  }
  const kept = request.cookies[sessionCookie]
  if (kept !== undefined) checkOrigin(request)
  return kept
}

/** A cookie goes along with whatever page sends the request: what changes something must come from our own pages. */
function checkOrigin(request: FastifyRequest): void {
  if (request.method === 'GET' || request.method === 'HEAD') return
  const { origin, host } = request.headers
  if (origin !== undefined && URL.canParse(origin) && new URL(origin).host === host) return
  throw new QianzhiError('QZ-SIGN-IN', { reason: { zh: '请求来自其他网站', en: 'the request comes from another site' } })
}

/** Who must choose another password, or set up the second factor, may do what is for oneself, and nothing else before. */
function authoriseRole(principal: Principal, { name }: Operation): void {
  if (!/^(?:me\.|session\.close)/.test(name)) requireNothingDue(principal)
  if (reachOf(principal, name).size === 0) throw new QianzhiError('QZ-FORBIDDEN', { operation: name })
}

/** Other media types are read as something else than bytes. */
function checkUpload({ body }: FastifyRequest, { upload }: Operation): void {
  if (!upload || (upload.streamed ? body instanceof Readable : Buffer.isBuffer(body))) return
  throw new QianzhiError('QZ-REQUEST-INVALID', {
    reason: { zh: `正文类型须为 ${uploadTypes(upload).join(' 或 ')}`, en: `Content-Type must be ${uploadTypes(upload).join(' or ')}` },
  })
}

/** Throws QZ-PASSWORD-DUE, QZ-FACTOR-DUE. */
export function requireNothingDue({ due }: Principal): void {
  if (due) throw new QianzhiError(due === 'password' ? 'QZ-PASSWORD-DUE' : 'QZ-FACTOR-DUE')
}

async function authoriseObject(registry: Registry, request: FastifyRequest, { name, objectKind }: Operation): Promise<void> {
  if (!objectKind) return
  const { id } = request.params as { id: string }
  authorise(request.principal, name, await relationsOf(registry.store.query, objectKind, id))
}
