import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { EnrolToken } from '../../protocol/api.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import { hasActive } from '../access/separation.ts'
import { addAgency, listAgencies } from '../registry/agencies/agencies.ts'
import { listAgents, revokeAgent } from '../registry/machines/agents.ts'
import type { Draft } from '../registry/catalog/compatibility.ts'
import { issueToken } from '../registry/machines/enrolment.ts'
import { addGrant, listGrants, setGrantItems, setGrantState } from '../registry/grants/grants.ts'
import { change, type Registry } from '../records/registry.ts'
import type { HubClock } from '../records/clock.ts'
import { clockState, confirmClock } from '../supervision/clock-watch.ts'
import { grantFlow } from '../registry/grants/grant-workflow.ts'
import { applyEvent } from '../registry/workflow.ts'
import { theAdmin } from '../access/principal.ts'
import { ReasonBody } from '../operations/shapes.ts'
import { publishResource } from '../registry/publishing/direct-publishing.ts'
import { supplyModes } from '../registry/catalog/content.ts'
import { listResources } from '../registry/catalog/resources.ts'
import { addRoute, listRoutes } from '../registry/grants/routes.ts'
import { tokenText } from '../registry/machines/token-text.ts'
import { firstAdminPath, resetAdminPath } from './first-admin.ts'
import { rebuildPath } from './tables.ts'
import type { Api } from './server.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Behind the doors of the admin key. */
    byAdminKey?: boolean
  }
}

export interface AdminDeps {
  registry: Registry
  adminKey: string
  /** What tokens carry besides their secret. */
  address: () => Omit<EnrolToken, 'secret'>
  explain: (route: string) => Promise<object>
  /** Trims logs and asks for snapshots now. */
  housekeep: () => Promise<unknown>
  clock: HubClock
  /** Further doors behind the admin key. */
  furtherRoutes?: readonly Api[]
}

const actor = 'admin'
const closed = { additionalProperties: false }
const Code = Type.String({ minLength: 1, maxLength: 64 })
const ById = Type.Object({ id: Code })
const Reason = Type.Union([Type.Object({ reason: Type.Optional(Type.String({ maxLength: 500 })) }, closed), Type.Null()])

const housekeepingPath = '/admin/v1/housekeeping'
/** Where the clock is held nobody may be able to sign in: codes of second factors go by the time. */
const confirmClockPath = '/admin/v1/clock/confirm'
/** What changes something and yet is the operation of the machine. */
const ofTheMachine = new Set([housekeepingPath, firstAdminPath, resetAdminPath, confirmClockPath, rebuildPath])

/**
 * The office's API on trial, for whoever holds the admin key; once there are people it is left with looking and with operating the
 * machine. Lists are `{items}`.
 */
export function adminApi(deps: AdminDeps): Api {
  return async (app) => {
    app.addHook('onRequest', async (request) => checkKey(request, deps.adminKey))
    app.addHook('onRequest', (request) => checkNoPeople(request, deps.registry))
    await app.register(agencyRoutes(deps))
    await app.register(catalogRoutes(deps))
    await app.register(grantRoutes(deps))
    await app.register(exchangeRoutes(deps))
    await app.register(clockRoutes(deps))
    for (const doors of deps.furtherRoutes ?? []) await app.register(doors)
  }
}

/** Throws QZ-ADMIN-KEY. Hashes are compared, so that neither time nor length tells anything. */
function checkKey(request: FastifyRequest, adminKey: string): void {
  const hash = (text: string) => createHash('sha256').update(text).digest()
  if (!timingSafeEqual(hash(request.headers.authorization ?? ''), hash(`Bearer ${adminKey}`))) throw new QianzhiError('QZ-ADMIN-KEY')
  request.byAdminKey = true
}

/** Decisions are people's as soon as there are people (Art. 21). Throws QZ-FORBIDDEN. */
async function checkNoPeople({ method, routeOptions: { url } }: FastifyRequest, { store }: Registry): Promise<void> {
  if (method === 'GET' || method === 'HEAD' || ofTheMachine.has(url ?? '') || !(await hasActive(store.query, 'system-admin'))) return
  const [, of = '', ...rest] = (url ?? '').slice('/admin/v1'.length).split('/')
  const { command, place } = doneAt[of] ?? { command: of, place: { zh: '工作台', en: 'My desk' } }
  // `grant revoke` is `/grants/:id/revoke`, `grant add` is `/grants`.
  const called = command.endsWith(' ') ? command + (rest[1] ?? 'add') : command
  const zh = `qianzhi-hub ${called}（已有系统管理员，请在浏览器中登录控制台，到“${place.zh}”办理）`
  const en = `qianzhi-hub ${called} (there is a system administrator: sign in to the console and do it at "${place.en}")`
  throw new QianzhiError('QZ-FORBIDDEN', { operation: { zh, en } })
}

/** By what follows the prefix: the command that asks for it, and the place of the console where people do it. */
const doneAt: Readonly<Record<string, { command: string; place: LocalizedText }>> = {
  agencies: { command: 'agency add', place: { zh: '机关单位', en: 'Agencies' } },
  tokens: { command: 'token', place: { zh: '前置机申请', en: 'Machine applications' } },
  agents: { command: 'agent revoke', place: { zh: '前置机', en: 'Machines' } },
  resources: { command: 'resource publish', place: { zh: '目录登记', en: 'Registrations' } },
  grants: { command: 'grant ', place: { zh: '共享申请”或“已获授权', en: 'Applications" or "Grants' } },
  routes: { command: 'route add', place: { zh: '共享申请', en: 'Applications' } },
}

const NewAgency = Type.Object({ code: Code, name: Type.String({ minLength: 1, maxLength: 200 }) }, closed)
const NewToken = Type.Object({ agency: Code, hours: Type.Number({ exclusiveMinimum: 0, maximum: 720 }) }, closed)

function agencyRoutes({ registry, address }: AdminDeps): Api {
  return async (app) => {
    app.get('/admin/v1/agencies', async () => ({ items: await listAgencies(registry) }))
    app.post('/admin/v1/agencies', { schema: { body: NewAgency } }, (request) => addAgency(registry, actor, request.body))
    app.post('/admin/v1/tokens', { schema: { body: NewToken } }, async (request) => {
      const { secret, expires } = await issueToken(registry, actor, request.body.agency, request.body.hours)
      return { token: tokenText(address(), secret), expires }
    })
    app.get('/admin/v1/agents', () => listAgents(registry, null, { limit: '1000' }))
    app.post('/admin/v1/agents/:id/revoke', { schema: { params: ById, body: Reason } }, async (request) => {
      await revokeAgent(registry, actor, request.params.id, request.body?.reason ?? '')
      return { id: request.params.id, state: 'revoked' }
    })
  }
}

const Publication = Type.Object(
  {
    schema: Type.Unsafe<Draft>({ type: 'object' }),
    keep: Type.Optional(Type.Enum(['store', 'relay'])),
    storedClosed: Type.Optional(Type.Array(Code, { maxItems: 400 })),
    producer: Type.Optional(Code),
    supplyMode: Type.Optional(Type.Enum([...supplyModes])),
  },
  closed,
)

function catalogRoutes({ registry, housekeep }: AdminDeps): Api {
  return async (app) => {
    app.get('/admin/v1/resources', async () => ({ items: await listResources(registry) }))
    app.post('/admin/v1/resources', { schema: { body: Publication } }, (request) => publishResource(registry, actor, request.body))
    app.post(housekeepingPath, async () => (await housekeep()) ?? {})
  }
}

function clockRoutes({ registry, clock }: AdminDeps): Api {
  return async (app) => {
    app.get('/admin/v1/clock', async () => clockState(clock))
    app.post(confirmClockPath, { schema: { body: ReasonBody } }, (request) =>
      confirmClock(registry.store, clock, theAdmin, request.body.reason),
    )
  }
}

const NewGrant = Type.Object(
  {
    id: Type.Optional(Code),
    resource: Code,
    agency: Code,
    items: Type.Array(Code, { minItems: 1, maxItems: 400 }),
    until: Type.Optional(Type.String({ maxLength: 40 })),
    atEnd: Type.Optional(Type.Enum(['keep', 'remove'])),
  },
  closed,
)

function grantRoutes({ registry }: AdminDeps): Api {
  return async (app) => {
    app.get('/admin/v1/grants', async () => ({ items: await listGrants(registry) }))
    app.post('/admin/v1/grants', { schema: { body: NewGrant } }, (request) => {
      const { until, ...grant } = request.body
      return addGrant(registry, actor, { ...grant, validTo: until === undefined ? undefined : endOf(until) })
    })
    app.post('/admin/v1/grants/:id/items', { schema: { params: ById, body: Type.Pick(NewGrant, ['items'], closed) } }, (request) =>
      setGrantItems(registry, actor, request.params.id, request.body.items),
    )
    for (const [verb, state] of [
      ['suspend', 'suspended'],
      ['resume', 'active'],
      ['revoke', 'revoked'],
    ] as const) {
      app.post(`/admin/v1/grants/:id/${verb}`, { schema: { params: ById, body: Reason } }, (request) =>
        setGrantState(registry, actor, request.params.id, state, request.body?.reason ?? ''),
      )
    }
    app.post('/admin/v1/grants/:id/reinstate', { schema: { params: ById, body: ReasonBody } }, ({ params: { id }, body: input }) =>
      change(registry, (query, affectedAgents) =>
        applyEvent(grantFlow, 'reinstate', id, { registry, query, affectedAgents, principal: theAdmin, input }),
      ),
    )
  }
}

/** A date means to the end of that day where the hub stands. */
function endOf(until: string): Date {
  const end = new Date(/^\d{4}-\d\d-\d\d$/.test(until) ? `${until}T23:59:59.999` : until)
  if (Number.isNaN(end.getTime()))
    throw new QianzhiError('QZ-REQUEST-INVALID', { reason: { zh: `until 不是时间：${until}`, en: `until is no time: ${until}` } })
  return end
}

const NewRoute = Type.Object({ grant: Code, agent: Code }, closed)

function exchangeRoutes({ registry, explain }: AdminDeps): Api {
  return async (app) => {
    app.get('/admin/v1/routes', async () => ({ items: await listRoutes(registry) }))
    app.post('/admin/v1/routes', { schema: { body: NewRoute } }, (request) =>
      addRoute(registry, actor, request.body.grant, request.body.agent),
    )
    app.get('/admin/v1/routes/:id/explain', { schema: { params: ById } }, (request) => explain(request.params.id))
  }
}
