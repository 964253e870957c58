import type { CookieSerializeOptions } from '@fastify/cookie'
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { activate, viewInvitation } from '../registry/people/invitations.ts'
import { principalOf } from '../access/sessions.ts'
import { signIn } from '../access/sign-in.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import { FactorCode, Password } from '../operations/access.ts'
import type { Services } from '../operations/services.ts'
import { AgencyCode, closed, nullable, Text } from '../operations/shapes.ts'
import type { Registry } from '../records/registry.ts'
import type { HttpServer } from './server.ts'

export const sessionCookie = 'qz_session'
export const displayCookie = 'qz_display'

/** Read by no script, sent over TLS alone, never along with what another site sends; it ends with the browser, the session by its rules. */
const cookieOptions: CookieSerializeOptions = { path: '/', httpOnly: true, secure: true, sameSite: 'strict' }

/** A screen stays what it is when its machine starts anew; the key ends by itself. */
const displayOptions: CookieSerializeOptions = { ...cookieOptions, maxAge: 365 * 86_400 }

const Credentials = Type.Object(
  { login: Type.String({ minLength: 1, maxLength: 100 }), password: Password, code: Type.Optional(FactorCode) },
  closed,
)

const SignedIn = Type.Object({
  token: Type.String(),
  person: Type.String(),
  name: Type.String(),
  agency: Type.String(),
  roles: Type.Array(Type.String()),
  due: nullable(Type.Enum(['password', 'factor'])),
})

const Secret = Type.String({ minLength: 1, maxLength: 100 })
const First = Type.Object({ login: Text(40), name: Text(100), agency: Type.Object({ code: AgencyCode, name: Text(200) }, closed) }, closed)
const Activation = Type.Object({ secret: Secret, password: Password, first: Type.Optional(First) }, closed)
const Invited = Type.Object({
  person: nullable(Type.String()),
  login: nullable(Type.String()),
  name: nullable(Type.String()),
  agency: nullable(Type.String()),
})

const open = { security: [], tags: ['登录'] }

/** The doors of those who are not signed in: the session, as a cookie and in the answer for programs, and the link that sets a password. */
export async function signInDoors(plain: FastifyInstance, registry: Registry, { access }: Services): Promise<void> {
  const app = plain as unknown as HttpServer
  const limited = { bodyLimit: 4096 }
  app.post(
    '/api/v1/session',
    { ...limited, schema: { ...open, summary: '登录', description: 'sign in', body: Credentials, response: { 200: SignedIn } } },
    async (request, reply) => {
      const signedIn = await signIn(registry, access, request.body, request.ip, request.headers['user-agent'])
      void reply.setCookie(sessionCookie, signedIn.token, cookieOptions).header('cache-control', 'no-store')
      return signedIn
    },
  )
  app.post(
    '/api/v1/display',
    {
      ...limited,
      schema: {
        ...open,
        summary: '打开大屏',
        description: 'open a wall screen by its key',
        body: Type.Object({ secret: Secret }, closed),
        response: { 200: Type.Object({ name: Type.String() }) },
      },
    },
    async (request, reply) => {
      access.throttle.take(request.ip, registry.clock())
      const { name, roles } = await principalOf(registry, request.body.secret, access.rules, { address: request.ip })
      if (!roles.includes('display'))
        throw new QianzhiError('QZ-SIGN-IN', { reason: { zh: '不是大屏密钥', en: 'no key of a wall screen' } })
      void reply.setCookie(displayCookie, request.body.secret, displayOptions).header('cache-control', 'no-store')
      return { name }
    },
  )
  app.post(
    '/api/v1/activation',
    { ...limited, schema: { ...open, summary: '激活', description: 'set a password by a link', body: Activation } },
    async (request) => activate(registry, access, request.body, request.ip),
  )
  app.post(
    '/api/v1/activation/view',
    {
      ...limited,
      schema: {
        ...open,
        summary: '查看激活链接',
        description: 'whom a link is for',
        body: Type.Object({ secret: Secret }, closed),
        response: { 200: Invited },
      },
    },
    async (request) => {
      access.throttle.take(request.ip, registry.clock())
      return viewInvitation(registry, request.body.secret)
    },
  )
}
