import { Type } from 'typebox'
import { everyReach, reachOf } from '../access/authorise.ts'
import { endSession, listSessions, sessionList } from '../access/sessions.ts'
import { pageOf, queryOf } from '../records/listing.ts'
import { Settings, shownSettings } from './settings.ts'
import type { Reach } from '../access/rights.ts'
import { beginFactor, changePassword, confirmFactor, readMe, signOut } from '../registry/people/own-account.ts'
import { operation, type Operation } from './operation.ts'
import { closed, NoBody, nullable } from './shapes.ts'

export const Password = Type.String({ minLength: 1, maxLength: 200 })
export const FactorCode = Type.String({ pattern: '^[0-9]{6}$' })
const Done = Type.Object({}, closed)

const Me = Type.Object(
  {
    person: nullable(Type.String()),
    login: nullable(Type.String()),
    name: Type.String(),
    agency: nullable(Type.String()),
    agencyName: nullable(Type.String()),
    roles: Type.Array(Type.String()),
    email: nullable(Type.String()),
    phone: nullable(Type.String()),
    lastSignIn: nullable(Type.String()),
    passwordExpires: nullable(Type.String()),
    hasFactor: Type.Boolean(),
    needsFactor: Type.Boolean(),
    due: nullable(Type.Enum(['password', 'factor'])),
  },
  closed,
)

/** By operation (`operationId`): to any object, those of the own agency, those about data that it provides or receives, or one's own alone. */
const Rights = Type.Object(
  {
    roles: Type.Array(Type.String()),
    can: Type.Record(Type.String(), Type.Array(Type.Enum(['any', 'own', 'provider', 'receiver', 'self'] satisfies Reach[]))),
  },
  closed,
)

const Session = Type.Object({
  id: Type.String(),
  person: Type.String(),
  personName: Type.String(),
  agency: Type.String(),
  created: Type.String(),
  lastUsed: Type.String(),
  address: nullable(Type.String()),
  browser: nullable(Type.String()),
  current: Type.Boolean(),
})
const SessionId = Type.Object({ id: Type.String({ pattern: '^[0-9]{1,18}$' }) })

/** What everybody does for oneself. Signing in stands in http/sign-in.ts: nobody is known there yet. */
export const accessOperations: readonly Operation[] = [
  operation({
    name: 'me.read',
    method: 'GET',
    path: '/me',
    text: { zh: '当前用户', en: 'who is signed in' },
    answer: Me,
    run: ({ registry, services, principal }) => readMe(registry, services.access, principal),
  }),
  operation({
    name: 'rights.list',
    method: 'GET',
    path: '/rights',
    text: { zh: '当前用户可执行的操作及其范围', en: 'what the caller may do, and to whose objects' },
    answer: Rights,
    run: async ({ principal }) => ({ roles: [...principal.roles], can: everyReach(principal) }),
  }),
  operation({
    name: 'me.password',
    method: 'POST',
    path: '/me/password',
    text: { zh: '更换口令', en: 'choose another password' },
    body: Type.Object({ password: Password, next: Password, code: Type.Optional(FactorCode) }, closed),
    answer: Done,
    example: { password: 'Old-Password-1', next: 'New-Password-2' },
    run: ({ registry, services, principal, body }) => changePassword(registry, services.access, principal, body),
  }),
  operation({
    name: 'me.factor-begin',
    method: 'POST',
    path: '/me/factor',
    text: { zh: '开始设置动态验证码', en: 'begin to set up the second factor' },
    body: Type.Object({ code: Type.Optional(FactorCode) }, closed),
    answer: Type.Object({ secret: Type.String(), uri: Type.String() }, closed),
    example: {},
    run: ({ registry, services, principal, body }) => beginFactor(registry, services.access, principal, body.code),
  }),
  operation({
    name: 'me.factor-confirm',
    method: 'POST',
    path: '/me/factor/confirm',
    text: { zh: '以验证码确认设置', en: 'confirm the second factor by a code of it' },
    body: Type.Object({ code: FactorCode }, closed),
    answer: Done,
    example: { code: '123456' },
    run: ({ registry, services, principal, body }) => confirmFactor(registry, services.access, principal, body.code),
  }),
  operation({
    name: 'session.list',
    method: 'GET',
    path: '/sessions',
    text: { zh: '登录会话：本人的，安全管理员可见全部', en: "one's own sessions; for security administrators everybody's" },
    query: queryOf(sessionList),
    answer: pageOf(Session),
    run: ({ registry, services, principal, query }) =>
      listSessions(registry, principal, { all: reachOf(principal, 'session.list').has('any'), rules: services.access.rules }, query),
  }),
  operation({
    name: 'session.end',
    method: 'POST',
    path: '/sessions/:id/end',
    objectKind: 'session',
    text: { zh: '结束登录会话', en: 'end a session' },
    params: SessionId,
    body: NoBody,
    answer: Done,
    run: async ({ registry, principal, params }) => {
      await endSession(registry, principal, params.id)
      return {}
    },
  }),
  operation({
    name: 'settings.read',
    method: 'GET',
    path: '/settings',
    text: { zh: '平台设置中本人可知的部分', en: 'those of the settings that are for the caller to know' },
    answer: Settings,
    run: async ({ registry, services, principal }) => shownSettings(registry, services, principal.roles),
  }),
  operation({
    name: 'session.close',
    method: 'POST',
    path: '/session/close',
    text: { zh: '退出登录', en: 'sign out' },
    body: NoBody,
    answer: Done,
    run: ({ registry, principal }) => signOut(registry, principal, false),
  }),
  operation({
    name: 'session.close-all',
    method: 'POST',
    path: '/session/close-all',
    text: { zh: '在所有设备上退出登录', en: 'sign out everywhere' },
    body: NoBody,
    answer: Done,
    run: ({ registry, principal }) => signOut(registry, principal, true),
  }),
]
