import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { QianzhiError } from '../../protocol/errors.ts'
import { home } from './pages/home.ts'
import { sendPage } from './pages/page.ts'
import type { Api } from './server.ts'

/** As `npm run build` makes it; it is not there in a clone that was not built. */
const built = fileURLToPath(new URL('../console/dist/', import.meta.url))

/** First parts of addresses that programs call, or that have pages of their own: what is not found there is no page of the console. */
const others = new Set(['.well-known', 'activate', 'admin', 'agent', 'api', 'assets', 'data', 'docs', 'health', 'oauth2', 'open'])

/**
 * Nothing runs but the console's own files, and styles only with the nonce of the page; style attributes are what its tables measure by. Forms
 * go nowhere, nothing is shown inside another page.
 */
function policyWith(nonce: string): string {
  return [
    `default-src 'none'`,
    `script-src 'self'`,
    `style-src-elem 'self' 'nonce-${nonce}'`,
    `style-src-attr 'unsafe-inline'`,
    `img-src 'self' data: blob:`,
    `font-src 'self'`,
    `connect-src 'self'`,
    `base-uri 'none'`,
    `form-action 'none'`,
    `frame-ancestors 'none'`,
    `object-src 'none'`,
  ].join('; ')
}

/** The console: one page for all its addresses, and the files that it is made of. Where it was not built, `/` says what this is. */
export function consoleApi(folder = built): Api {
  const index = existsSync(`${folder}index.html`) ? readFileSync(`${folder}index.html`, 'utf8') : undefined
  return async (app) => {
    const plain = app as unknown as FastifyInstance
    if (index === undefined) {
      plain.get('/', { schema: { hide: true } }, (request, reply) => sendPage(request, reply, 200, home))
      return
    }
    await plain.register(fastifyStatic, {
      root: `${folder}assets`,
      prefix: '/assets/',
      preCompressed: true,
      index: false,
      decorateReply: false,
      // Their names change with what they hold.
      immutable: true,
      maxAge: '365d',
    })
    const page = (_request: FastifyRequest, reply: FastifyReply) => {
      const nonce = randomBytes(16).toString('base64')
      return reply
        .header('content-security-policy', policyWith(nonce))
        .header('cache-control', 'no-store')
        .type('text/html; charset=utf-8')
        .send(index.replace('%NONCE%', nonce))
    }
    const icon = readFileSync(`${folder}favicon.svg`)
    plain.get('/favicon.svg', { schema: { hide: true } }, (_request, reply) => reply.type('image/svg+xml').send(icon))
    plain.get('/', { schema: { hide: true } }, page)
    plain.get('/*', { schema: { hide: true } }, (request, reply) => {
      const [first = ''] = request.url.slice(1).split(/[/?]/)
      if (others.has(first)) throw new QianzhiError('QZ-NOT-FOUND', { what: `${request.method} ${request.url.slice(0, 200)}` })
      return page(request, reply)
    })
  }
}
