import type { Server } from 'node:https'
import { AjvCompiler, type BuildCompilerFromPool } from '@fastify/ajv-compiler'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import fastify, {
  type FastifyInstance,
  type FastifyPluginAsync,
  type FastifyPluginOptions,
  type FastifyReply,
  type FastifyRequest,
  type RawReplyDefaultExpression,
  type RawRequestDefaultExpression,
} from 'fastify'
import type { Logger } from 'pino'
import { servedVersions, versionHeader } from '../../protocol/api.ts'
import { batchMediaType } from '../../protocol/batch.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import { verifyBody, verifyHead, verifyRequest } from '../../protocol/request.ts'
import { AgentKeys, type KeyHolder } from '../registry/machines/agent-keys.ts'
import type { Registry } from '../records/registry.ts'
import type { ServerCertificate } from '../tls.ts'
import { answerError, type Refusals } from './refusals.ts'
import { bytesOf, InFlight, inFlightLimits } from './in-flight.ts'
import { secureAnswer } from './security-headers.ts'
import { checkTexts } from './texts.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Behind the signature hook: who signed the request. */
    agent: { id: string; agency: string; publicKey: string; signed: number }
    /** The body's bytes as they came: what Content-Digest covers. Empty where there is none. */
    rawBody: Buffer
  }
}

export type HttpServer = FastifyInstance<
  Server,
  RawRequestDefaultExpression<Server>,
  RawReplyDefaultExpression<Server>,
  never,
  TypeBoxTypeProvider
>
export type Api = FastifyPluginAsync<FastifyPluginOptions, Server, TypeBoxTypeProvider>

export interface ServerDeps {
  registry: Registry
  logger: Logger
  refusals: Refusals
  certificate: ServerCertificate
  /** Most bytes of a body: a batch is the largest. */
  bodyLimit: number
  /** Whose word on who asks counts (`X-Forwarded-For`): addresses and networks. */
  proxies?: readonly string[]
  /** Open to everybody, or with a check of their own. */
  open: readonly Api[]
  /** Behind the agents' request signatures, under /agent/v1. */
  agents: readonly Api[]
}

/** The HTTPS server. Bodies are judged as they are: nothing is converted, nothing left out. */
export async function createServer(deps: ServerDeps): Promise<HttpServer> {
  const app: HttpServer = fastify({
    https: { cert: deps.certificate.certificate, key: deps.certificate.key, minVersion: 'TLSv1.2' },
    bodyLimit: deps.bodyLimit,
    trustProxy: deps.proxies?.length ? [...deps.proxies] : false,
    // Longer than the pause between two polls, so that a connection carries them all.
    keepAliveTimeout: 90_000,
    requestTimeout: 120_000,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 200 },
    // What cannot be read as a request at all, such as a path that is not UTF-8.
    frameworkErrors: (error, request, reply) => void answerError(error, request, reply as FastifyReply, deps.logger, deps.refusals),
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: true, allErrors: false } },
    schemaController: { compilersFactory: { buildValidator: compiledWhenUsed(compilers) } },
  }).withTypeProvider<TypeBoxTypeProvider>() as unknown as HttpServer
  keepRawBodies(app)
  endConnections(app)
  app.addHook('onSend', secureAnswer)
  app.setErrorHandler((error, request, reply) => answerError(error, request, reply, deps.logger, deps.refusals))
  // Before a body is read.
  app.addHook('onRequest', async (request) => {
    if (request.is404) throw new QianzhiError('QZ-NOT-FOUND', { what: `${request.method} ${request.url.slice(0, 200)}` })
  })
  app.addHook('preValidation', checkTexts)
  // Agents learn the time from it: the hub's own, which a clock that jumped does not change.
  app.addHook('onSend', async (_request, reply) => void reply.header('date', deps.registry.clock().toUTCString()))
  for (const api of deps.open) await app.register(api)
  await app.register(async (signed) => {
    signed.addHook('onRequest', checkVersion)
    const keys = new AgentKeys(deps.registry)
    signed.addHook('onRequest', (request) => identify(request, deps.registry.clock(), keys))
    // Before a body is read.
    const inFlight = new InFlight(inFlightLimits(deps.bodyLimit))
    signed.addHook('onRequest', async (request, reply) => {
      reply.raw.once('close', inFlight.begin(request.agent.id, bytesOf(request)))
    })
    signed.addHook('preValidation', async (request) => {
      if (request.rawBody === noBody) verifyBody({ headers: request.headers, body: noBody })
    })
    for (const api of deps.agents) await signed.register(api)
  })
  return app
}

/** One for all servers of a process: each shape is compiled once. */
const compilers = AjvCompiler()

/** A shape is compiled by the first request that it judges: all of them at once are a third of the work of a start. */
function compiledWhenUsed(compilers: BuildCompilerFromPool): BuildCompilerFromPool {
  return (...options) => {
    const compile = compilers(...options)
    return (route) => {
      let compiled: ReturnType<typeof compile> | undefined
      const judge = (value: unknown) => (compiled ??= compile(route))(value)
      // All that the server asks of it.
      return Object.defineProperty(judge, 'errors', { get: () => compiled?.errors }) as ReturnType<typeof compile>
    }
  }
}

const noBody = Buffer.alloc(0)

function keepRawBodies(app: HttpServer): void {
  app.decorateRequest('rawBody')
  app.decorateRequest('agent')
  app.addHook('onRequest', async (request) => void (request.rawBody = noBody))
  app.removeAllContentTypeParsers()
  const parseJson = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request: FastifyRequest, body: Buffer, done) => {
    keep(request, body)
    // Nothing is no body, whatever type it is said to have.
    if (body.length === 0) done(null, undefined)
    else void parseJson(request, body.toString('utf8'), done)
  })
  app.addContentTypeParser(batchMediaType, { parseAs: 'buffer' }, (request: FastifyRequest, body: Buffer, done) => {
    keep(request, body)
    done(null, body)
  })
}

/** A body that is not the signed one is not parsed. Throws QZ-REQUEST-SIGNATURE. */
function keep(request: FastifyRequest, body: Buffer): void {
  if (request.agent) verifyBody({ headers: request.headers, body })
  request.rawBody = body
}

/** Milliseconds that a request under way may still take when the server ends. */
const endPatience = 10_000

/** When the server ends, a connection ends with the answer to the request that is under way on it, or at the end of patience. */
function endConnections(app: HttpServer): void {
  let ending = false
  app.addHook('preClose', async () => {
    ending = true
    setTimeout(() => app.server.closeAllConnections(), endPatience).unref()
  })
  app.addHook('onSend', async (_request, reply) => {
    if (ending) void reply.header('connection', 'close')
  })
}

/** Throws QZ-VERSION. */
export async function checkVersion(request: FastifyRequest): Promise<void> {
  const version = String(request.headers[versionHeader] ?? '-')
  if (servedVersions.some((served) => String(served) === version)) return
  throw new QianzhiError('QZ-VERSION', { version: version.slice(0, 20), supported: servedVersions.join(', ') })
}

/**
 * Sets `request.agent` to who signed (RFC 9421), before the body is read: what others send costs nothing. Throws QZ-REQUEST-SIGNATURE,
 * QZ-REQUEST-CLOCK, QZ-AGENT-UNKNOWN, QZ-AGENT-REVOKED.
 */
async function identify(request: FastifyRequest, now: Date, keys: AgentKeys): Promise<void> {
  let agent: KeyHolder | undefined
  const { created } = await verifyHead(
    { method: request.method, path: request.url, headers: request.headers },
    async (keyId) => {
      agent = await keys.holderOf(keyId)
      return agent.publicKey
    },
    now,
  )
  request.agent = { ...agent!, signed: created.getTime() }
}

export async function verifySignature(request: FastifyRequest, now: Date, publicKeyOf: (keyId: string) => Promise<string>): Promise<void> {
  const received = { method: request.method, path: request.url, body: request.rawBody, headers: request.headers }
  await verifyRequest(received, publicKeyOf, now)
}
