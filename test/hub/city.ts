/** The registry's API over a fresh database, with agencies and one person in every role: what tests of operations begin with. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import pino from 'pino'
import t from 'tap'
import { Compile } from 'typebox/compile'
import { QianzhiError } from '../../protocol/errors.ts'
import { Exchange } from '../../hub/exchange.ts'
import { UploadFolder } from '../../hub/jobs/files.ts'
import { HubProducer } from '../../hub/supply/producer.ts'
import { makeAccess } from '../../hub/access/access.ts'
import { generateSigningKey, type SigningKey } from '../../protocol/signature.ts'
import type { Principal } from '../../hub/access/principal.ts'
import { principalOf, openSession } from '../../hub/access/sessions.ts'
import { openPostgresLog } from '../../hub/logs/postgres.ts'
import { maskKeyOf } from '../../hub/records/masks.ts'
import { Cursors } from '../../hub/sharing/cursors.ts'
import { webhookSettings } from '../../hub/sharing/webhooks/settings.ts'
import { sharingLimits } from '../../hub/sharing/reading.ts'
import { EventFeed } from '../../hub/events/feed.ts'
import { eventsApi } from '../../hub/http/events.ts'
import { explainRoute } from '../../hub/lines/explain.ts'
import { readWall } from '../../hub/lines/wall.ts'
import { openReader } from '../../hub/tables/reader.ts'
import { HubClock } from '../../hub/records/clock.ts'
import { roleNames, type Role } from '../../hub/records/roles.ts'
import { reconciliationSettings } from '../../hub/reconciliation/settings.ts'
import { defaultAccess } from '../../hub/access/settings.ts'
import { dataApi, dataServices, type DataServices } from '../../hub/http/data.ts'
import { standardsApi } from '../../hub/http/data-standards.ts'
import { oauthApi } from '../../hub/http/oauth.ts'
import { openApi } from '../../hub/http/open.ts'
import { pagesApi } from '../../hub/http/pages.ts'
import type { Log } from '../../hub/log.ts'
import { Refusals } from '../../hub/http/refusals.ts'
import { apiPrefix, registryApi } from '../../hub/http/registry.ts'
import { createServer, type Api } from '../../hub/http/server.ts'
import { operations } from '../../hub/operations/index.ts'
import type { Operation } from '../../hub/operations/operation.ts'
import type { Services } from '../../hub/operations/services.ts'
import { addAgency } from '../../hub/registry/agencies/agencies.ts'
import { openExport } from '../../hub/supervision/audit/export.ts'
import { ownCertificate } from '../../hub/tls.ts'
import { copyOf, officeAt, type Office } from './office.ts'
import { decides } from '../support/decisions.ts'

/** Roles that people of an agency have; the others belong to the city's own offices. */
export const agencyRoles: readonly Role[] = ['registrar', 'reviewer', 'user', 'agency-it']

export interface Answer {
  status: number
  /** The JSON answer; of an upload or download see `text`. */
  body: any
  text: string
  bytes: Buffer
  headers: Record<string, unknown>
  type: string
}

/** Somebody who calls the API. Paths are below /api/v1. */
export interface Caller {
  principal: Principal
  secret: string
  get(path: string): Promise<Answer>
  /** Who decides looks at the case first, as the console does, unless `seen` says what they saw. */
  post(path: string, body?: unknown, seen?: string): Promise<Answer>
  put(path: string, body?: unknown, seen?: string): Promise<Answer>
  patch(path: string, body?: unknown, seen?: string): Promise<Answer>
  delete(path: string): Promise<Answer>
  upload(path: string, type: string, bytes: Buffer): Promise<Answer>
}

export interface City extends Office {
  app: FastifyInstance
  feed: EventFeed
  /** The person who has this role in this agency (offices: agency `city`). */
  as(agency: string, role: Role): Caller
  /** Calls without credentials. */
  nobody: Caller
  /** Calls with a secret, whosever it is. */
  caller(secret: string): Caller
  services: Services
  exchange: Exchange
  data: DataServices
  hubKey: SigningKey
  /** Who is signed in, by agency and role. */
  settled: Record<string, Settled>
}

/**
 * Agencies civil 民政局, water 水务局, health 卫健局 with a registrar, reviewer, user and agency IT each; agency city 市电子政务办 with the
 * office and every supervising and administrating role, each its own person.
 */
export async function openCity(
  test: Pick<typeof t, 'teardown'>,
  services: Partial<Services> = {},
  more: readonly Api[] = [],
): Promise<City> {
  const { office, filled: settled } = await copyOf(test, 'city', settle)
  return cityOf(test, office, settled!, { services, more })
}

/** Another process of the hub on the same store, at the same time. */
export async function secondHub(test: Pick<typeof t, 'teardown'>, city: City): Promise<City> {
  const office = await officeAt(test, city.url)
  office.clock = () => city.now
  return cityOf(test, office, city.settled, {}, city.hubKey)
}

async function cityOf(
  test: Pick<typeof t, 'teardown'>,
  office: Office,
  settled: Record<string, Settled>,
  { services = {}, more = [] }: { services?: Partial<Services>; more?: readonly Api[] },
  hubKey = generateSigningKey(),
): Promise<City> {
  const reader = openReader(office.url)
  test.teardown(() => reader.close())
  const log = openPostgresLog(office.store)
  const { store, wakeups } = office
  const clock = () => office.clock()
  const parts = { store, log, wakeups, hubKey, clock, logger: pino({ level: 'silent' }) }
  const exchange = new Exchange({ ...parts, policyFor: async () => ({ serial: 1, jws: '' }) })
  test.teardown(() => exchange.close())
  const all: Services = {
    producer: new HubProducer({ ...parts, exchange, reader }),
    uploads: new UploadFolder(join(folder, 'uploads')),
    address: () => ({ urls: ['https://hub.test'], hubKey: 'key' }),
    // People here have no second factor, and hashes cost little.
    access: makeAccess(
      { ...defaultAccess, factor: [], password: { ...defaultAccess.password, cost: 10 } },
      generateSigningKey().privateKey,
    ),
    asks: {
      ask: async (agent) => {
        throw new QianzhiError('QZ-ASK-AWAY', { agent, seen: '-' })
      },
    },
    reconciliation: reconciliationSettings(),
    sharing: {
      store: office.store,
      reader,
      cursors: new Cursors(hubKey.privateKey),
      clock: office.clock,
      limits: sharingLimits(),
      maskKey: maskKeyOf(hubKey.privateKey),
    },
    webhooks: { settings: webhookSettings() },
    log,
    clock: new HubClock(undefined, { wall: () => office.now.getTime(), ticks: () => office.now.getTime() }),
    lapse: 7,
    explain: (route) => explainRoute(office.store, log, route, { now: office.clock() }),
    health: async () => ({ status: 'ok', problems: [], paused: [] }),
    wall: () => readWall({ query: office.store.query, log, now: office.clock(), lapse: 7 }),
    exportAudit: (range) => openExport(office.store, hubKey, range, office.clock),
    ...services,
  }
  const data = dataServices(all.sharing, { log: all.log as Log, hubKey: hubKey.privateKey, issuer: () => 'https://hub.test' })
  test.teardown(() => data.usage.close())
  const logger = pino({ level: 'silent' })
  const feed = new EventFeed(office, logger)
  test.teardown(() => feed.close())
  const refusals = new Refusals(office.store, logger)
  const app = (await createServer({
    registry: office,
    logger,
    refusals,
    certificate: await certificate,
    bodyLimit: 10 << 20,
    open: [
      registryApi(office, all, operations),
      eventsApi(office, all.access.rules, feed),
      oauthApi(data),
      dataApi(data),
      standardsApi(data),
      openApi({ registry: office, hubKey, sharing: all.sharing, address: () => 'https://hub.test' }),
      pagesApi({ registry: office, access: all.access, logger, refusals }),
      ...more,
    ],
    agents: [],
  })) as unknown as FastifyInstance
  await app.ready()
  test.teardown(() => app.close())
  const as = (agency: string, role: Role): Caller => {
    const known = settled[`${agency} ${role}`]
    if (!known) throw new Error(`nobody is ${role} of ${agency}`)
    return caller(app, known.secret, known.principal)
  }
  const unknown: Principal = { actor: 'nobody', person: null, name: '', agency: null, roles: [], via: 'session' }
  const withSecret = (secret?: string) => caller(app, secret, unknown)
  return Object.assign(office, { app, as, nobody: withSecret(), caller: withSecret, services: all, exchange, feed, data, hubKey, settled })
}

const folder = mkdtempSync(join(tmpdir(), 'qianzhi-city-'))
t.teardown(() => rmSync(folder, { recursive: true }))
const certificate = ownCertificate(folder, ['localhost'], new Date('2026-11-22T00:00:00Z'))

interface Settled {
  secret: string
  principal: Principal
}

/** @returns who is signed in, in every city of a run: `agency role`. */
async function settle(office: Office): Promise<Record<string, Settled>> {
  const settled: Record<string, Settled> = {}
  await addAgency(office, 'admin', { code: 'health', name: '卫健局' })
  await addAgency(office, 'admin', { code: 'city', name: '市电子政务办' })
  for (const agency of ['civil', 'water', 'health']) {
    for (const role of agencyRoles) settled[`${agency} ${role}`] = await signedIn(office, agency, role)
  }
  for (const role of roleNames.filter((name) => !agencyRoles.includes(name))) {
    settled[`city ${role}`] = await signedIn(office, 'city', role)
  }
  return settled
}

/** Another person, e.g. a second reviewer. */
export async function person(office: Office, app: FastifyInstance, agency: string, ...roles: Role[]): Promise<Caller> {
  const { secret, principal } = await signedIn(office, agency, ...roles)
  return caller(app, secret, principal)
}

/** Tests turn the office's clock, and sessions are judged by it: they last for ever here. */
async function signedIn(office: Office, agency: string, ...roles: Role[]): Promise<Settled> {
  const { query } = office.store
  const login = `${agency}-${roles.join('-')}-${Math.random().toString(36).slice(2, 8)}`
  const [row] = await query<{ id: string }>(`insert into person (agency, login, name, state) values ($1, $2, $3, 'active') returning id`, [
    agency,
    login,
    `${agency} ${roles.join(' ')}`,
  ])
  for (const role of roles) await query(`insert into person_role (person, role, given_by) values ($1, $2, 'test')`, [row!.id, role])
  const secret = await openSession(query, row!.id, { address: null, now: office.now })
  const principal = await principalOf(office, secret)
  await query(`update session set created_at = '9000-01-01', last_used = '9000-01-01' where person = $1`, [row!.id])
  return { secret, principal }
}

function caller(app: FastifyInstance, secret: string | undefined, principal: Principal): Caller {
  const send = async (
    method: Operation['method'],
    path: string,
    payload?: unknown,
    { type = 'application/json', seen }: { type?: string; seen?: string | undefined } = {},
  ): Promise<Answer> => {
    const answer = await app.inject({
      method,
      url: apiPrefix + path,
      headers: {
        ...(secret && { authorization: `Bearer ${secret}` }),
        ...(payload !== undefined && { 'content-type': type }),
        ...(seen !== undefined && { 'if-match': `"${seen}"` }),
      },
      ...(payload !== undefined && { payload: Buffer.isBuffer(payload) ? payload : JSON.stringify(payload) }),
    })
    const kind = answer.headers['content-type']?.toString() ?? ''
    const body: unknown = /\bjson\b/.test(kind) && answer.body !== '' ? JSON.parse(answer.body) : undefined
    if (answer.statusCode === 200 && !/[?&]format=xlsx\b/.test(path)) checkAnswer(method, path, body)
    return { status: answer.statusCode, body, text: answer.body, bytes: answer.rawPayload, type: kind, headers: answer.headers }
  }
  return {
    principal,
    secret: secret ?? '',
    get: (path) => send('GET', path),
    post: async (path, body = {}, seen) => {
      const looked = seen ?? (decides(path) ? (await send('GET', path.slice(0, path.lastIndexOf('/')))).body.revision : undefined)
      return send('POST', path, body, { seen: looked })
    },
    put: (path, body = {}, seen) => send('PUT', path, body, { seen }),
    patch: (path, body = {}, seen) => send('PATCH', path, body, { seen }),
    delete: (path) => send('DELETE', path),
    upload: (path, type, bytes) => send('POST', path, bytes, { type }),
  }
}

const documented = operations.map(({ method, path, answer }) => {
  const pattern = new RegExp(`^${path.replaceAll(/:\w+/g, '[^/]+')}$`)
  return { method, path, pattern, ...(answer && { shape: Compile(answer) }) }
})

/** What the documentation promises of an answer is what comes. */
function checkAnswer(method: string, path: string, body: unknown): void {
  const plain = path.split('?')[0]!
  const fitting = documented.filter((door) => door.method === method && door.pattern.test(plain))
  const known = fitting.find((door) => door.path === plain) ?? fitting[0]
  if (!known?.shape || known.shape.Check(body)) return
  const [error] = known.shape.Errors(body)
  throw new Error(
    `${method} ${path}: the answer is not what is documented: ${error?.instancePath} ${error?.message}: ${(JSON.stringify(body) as string | undefined)?.slice(0, 500)}`,
  )
}
