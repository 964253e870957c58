import { mkdir, readFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { hostname } from 'node:os'
import type { Logger } from 'pino'
import { QianzhiError, reasonOf } from '../protocol/errors.ts'
import type { SigningKey } from '../protocol/signature.ts'
import { makeAccess, type Access } from './access/access.ts'
import { activationLink, inviteFirst } from './registry/people/invitations.ts'
import { AgentRequests } from './exchange/agent-requests.ts'
import type { HubConfig } from './config.ts'
import { HubClock } from './records/clock.ts'
import { clockProblems, lastKnownTime, startClockWatch } from './supervision/clock-watch.ts'
import { Exchange } from './exchange.ts'
import { explainRoute } from './lines/explain.ts'
import { checkHealth, healthApi, healthDetails, keepHealth } from './status/health.ts'
import { startRetention } from './exchange/retention.ts'
import { adminApi } from './http/admin.ts'
import { agentApi } from './http/agent.ts'
import { carrying } from './registry/machines/agents.ts'
import { auditRoutes } from './http/audit.ts'
import { dataApi, dataServices } from './http/data.ts'
import { standardsApi } from './http/data-standards.ts'
import { enrolApi } from './http/enrol.ts'
import { EventFeed } from './events/feed.ts'
import { eventsApi } from './http/events.ts'
import { oauthApi } from './http/oauth.ts'
import { firstAdminRoutes } from './http/first-admin.ts'
import { Refusals } from './http/refusals.ts'
import { openApi, openConnections } from './http/open.ts'
import { reconciliationApi } from './http/reconciliation.ts'
import { consoleApi } from './http/console.ts'
import { pagesApi } from './http/pages.ts'
import { registryApi } from './http/registry.ts'
import { tableRoutes } from './http/tables.ts'
import { createServer, type HttpServer } from './http/server.ts'
import { loadAdminKey, loadHubKey } from './store/durable-files.ts'
import type { Log } from './log.ts'
import { openLog } from './logs/index.ts'
import { operations } from './operations/index.ts'
import { keepWall } from './operations/wall.ts'
import type { Services } from './operations/services.ts'
import { ReconciliationRunner, type OwnRun } from './reconciliation/runner.ts'
import { fillNameForms } from './registry/catalog/name-forms.ts'
import { keepGrants } from './registry/grants/grant-queries.ts'
import { attendToReports } from './registry/grants/refusals.ts'
import { currentPolicy } from './registry/grants/policy.ts'
import type { Registry } from './records/registry.ts'
import { startEmbedded } from './store/embedded.ts'
import { openStore, type Store } from './store/store.ts'
import { openExport } from './supervision/audit/export.ts'
import { startAudit } from './supervision/audit/audit.ts'
import { startMail } from './supervision/mail.ts'
import { startSupervision } from './supervision/supervision.ts'
import { recordSupply } from './supervision/supply.ts'
import { ownCertificate, restoreAuthority, type OwnCertificate, type ServerCertificate } from './tls.ts'
import { maskKeyOf } from './records/masks.ts'
import { Cursors } from './sharing/cursors.ts'
import type { Sharing } from './sharing/reading.ts'
import { recordUsage } from './sharing/usage.ts'
import { UploadFolder } from './jobs/files.ts'
import { JobRunner } from './jobs/runner.ts'
import { auditJob } from './jobs/audit.ts'
import { excelJobs } from './supply/excel/jobs.ts'
import { WebhookSender } from './sharing/webhooks/sender.ts'
import { OwnSource } from './supply/own-source.ts'
import { HubProducer } from './supply/producer.ts'
import { openReader } from './tables/reader.ts'
import { ResourceTables } from './tables/tables.ts'
import { WakeupRelay, Wakeups } from './store/wakeups.ts'

export interface HubDependencies {
  logger: Logger
  clock?: () => Date
  /** The operator has said that the authority which agents pinned is lost. */
  newAuthority?: boolean
}

export interface Hub {
  port: number
  /** Public addresses. */
  urls: readonly string[]
  hubKey: SigningKey
  adminKey: string
  registry: Registry
  log: Log
  access: Access
  /** Where nobody is known here yet: the link that makes the first administrator. To be shown, and not logged. */
  firstAdmin: { link: string; expires: Date } | null
  /** Asks agents for previews and descriptions. */
  asks: AgentRequests
  /** Settles when the data folder was lost to another hub: close this one. */
  lost: Promise<QianzhiError>
  /** Ends in the order in which data flows: no more requests, then housekeeping, then the audit, then the store. */
  close(): Promise<void>
}

const day = 86_400_000

/** Constructs and starts the hub. What was started is stopped again where a later part fails. */
export async function startHub(config: HubConfig, dependencies: HubDependencies): Promise<Hub> {
  const stops: (() => Promise<unknown>)[] = []
  const close = async () => {
    for (const stop of stops.splice(0).toReversed()) await stop()
  }
  try {
    return await start(config, dependencies, stops, close)
  } catch (error) {
    await close().catch((failure: unknown) => dependencies.logger.error({ err: failure }, 'hub not stopped in order'))
    throw error
  }
}

async function start(
  config: HubConfig,
  { logger, clock: machine, newAuthority = false }: HubDependencies,
  stops: (() => Promise<unknown>)[],
  close: () => Promise<void>,
): Promise<Hub> {
  await mkdir(config.data, { recursive: true, mode: 0o700 })
  const wakeups = new Wakeups()
  const { store, lost } = await openOwnOrShared(config, logger, wakeups, stops)
  await fillNameForms(store)
  const hubKey = await loadHubKey(config.data)
  await checkHubKey(store, hubKey)
  const adminKey = await loadAdminKey(config.data)
  const hubClock = new HubClock(await lastKnownTime(store.query), machine && { wall: () => machine().getTime() })
  const clock = () => hubClock.now()
  const registry: Registry = { store, wakeups, clock, applications: config.applications }
  const log = await openLog(store, clock)
  const rules = config.log
  const audit = await startAudit({ store, log, logger })
  stops.push(() => audit.stop())
  const { checkpoint, recorded } = audit
  const policyFor = (agent: string, reported: number) => currentPolicy(store, hubKey, agent, reported, clock(), config.policy, checkpoint())
  const clockWatch = startClockWatch({ store, clock: hubClock, logger })
  stops.push(() => clockWatch.stop())
  const tables = new ResourceTables({ store, log, wakeups, hubKey, logger, clock })
  tables.start()
  stops.push(() => tables.stop())
  const stored = (resource: string) => tables.note(resource)
  const exchange = new Exchange({ store, log, hubKey, wakeups, policyFor, checkpoint, stored, clock, logger, limits: config.limits })
  stops.push(() => exchange.close())
  const asks = new AgentRequests({ store, wakeups, hubKey, clock })
  const housekeeping = startRetention({ store, log, wakeups, recorded, rules, logger, clock })
  stops.push(() => housekeeping.stop())
  const catchUp = async (signal?: AbortSignal) => {
    await recordSupply({ store, log }, signal)
    await recordUsage(store, clock())
    await keepGrants(registry)
    await attendToReports(registry, logger, signal)
  }
  const supervision = await startSupervision({ store, settings: config.supervision, catchUp, logger, clock })
  stops.push(() => supervision.stop())
  const mailer = config.mail && startMail({ store, config: config.mail, logger, clock })
  stops.push(async () => mailer?.stop())

  const certificate = await loadCertificate(config, clock())
  if ('authority' in certificate) await checkAuthority(store, config.data, certificate.authority, newAuthority)
  const urls: string[] = [...config.urls]
  const access = makeAccess(config.access, hubKey.privateKey)
  const lookAtHealth = () =>
    checkHealth({
      store,
      data: config.data,
      clock,
      log,
      clockProblems: () => clockProblems(hubClock),
      lapse: config.log.lapse,
      mail: config.mail !== undefined,
      reconciled: config.reconciliation.every,
    })
  const health = keepHealth(lookAtHealth)
  const wall = keepWall(() => ({ query: store.query, log, now: clock(), lapse: config.log.lapse }))
  const reader = openReader(store.url, { logger })
  stops.push(() => reader.close())
  const sharing: Sharing = {
    store,
    reader,
    cursors: new Cursors(hubKey.privateKey),
    clock,
    limits: config.sharing,
    maskKey: maskKeyOf(hubKey.privateKey),
  }
  const publicReader = openReader(store.url, { logger, connections: openConnections })
  stops.push(() => publicReader.close())
  const data = dataServices(sharing, { log, hubKey: hubKey.privateKey, issuer: () => urls[0]! })
  stops.push(() => data.usage.close())
  const webhooks = { settings: config.webhooks, hubKey, clock }
  const sender = new WebhookSender({ ...sharing, ...webhooks, log, usage: data.usage, logger })
  sender.start()
  stops.push(() => sender.stop())
  const producer = new HubProducer({ store, log, exchange, reader, wakeups, hubKey, clock, logger })
  producer.start()
  stops.push(() => producer.stop())
  const uploads = new UploadFolder(join(config.data, 'uploads'))
  const kinds = { ...excelJobs({ store, log, reader, producer }), 'audit.verify': auditJob({ store, clock }) }
  const jobs = new JobRunner({ store, wakeups, uploads, kinds, settings: config.jobs, clock, logger })
  jobs.start()
  stops.push(() => jobs.stop())
  const ownSource = (run: OwnRun) => new OwnSource({ store, reader, producer, hubKey, clock }, run)
  const reconciliations = new ReconciliationRunner({ store, asks, wakeups, settings: config.reconciliation, logger, clock, ownSource })
  stops.push(() => reconciliations.stop())
  const services: Services = {
    producer,
    uploads,
    access,
    asks,
    sharing,
    webhooks,
    log,
    lapse: config.log.lapse,
    reconciliation: config.reconciliation,
    clock: hubClock,
    address: () => ({ urls, hubKey: hubKey.publicKey, ...('authority' in certificate && { authority: certificate.authority }) }),
    explain: (route) => explainRoute(store, log, route, { now: clock(), lapse: config.log.lapse }),
    health: () => health.current(),
    wall: () => wall.current(),
    exportAudit: async (range) => {
      await audit.sealNow()
      return openExport(store, hubKey, range, clock)
    },
  }
  const feed = new EventFeed(registry, logger)
  stops.push(async () => feed.close())
  const refusals = new Refusals(store, logger)
  stops.push(() => refusals.close())
  const app = await createServer({
    registry,
    logger,
    refusals,
    certificate,
    bodyLimit: config.limits.batchBytes + (1 << 20),
    proxies: config.proxies,
    open: [
      healthApi(health),
      enrolApi(registry, policyFor),
      adminApi({
        registry,
        adminKey,
        ...services,
        housekeep: () => housekeeping.run(),
        furtherRoutes: [
          healthDetails(lookAtHealth),
          auditRoutes(registry, services.exportAudit),
          tableRoutes(registry, stored),
          firstAdminRoutes(registry, access, () => urls[0]!),
        ],
      }),
      registryApi(registry, services, operations),
      eventsApi(registry, access.rules, feed),
      oauthApi(data),
      dataApi(data),
      standardsApi(data),
      openApi({ registry, hubKey, sharing: { ...sharing, reader: publicReader }, address: () => urls[0]! }),
      pagesApi({ registry, access, logger, refusals }),
      consoleApi(),
    ],
    agents: [agentApi(exchange, asks, carrying(registry)), reconciliationApi({ store, wakeups, clock, settings: config.reconciliation })],
  })
  stops.push(() => app.close())
  const port = await listen(app, config)
  if (urls.length === 0) urls.push(`https://${hostname().toLowerCase()}:${port}`)
  const first = await inviteFirst(registry, access.rules, { once: true })
  const firstAdmin = first && { link: activationLink(urls[0]!, first.secret), expires: first.expires }
  stops.push(renewDaily(config, app, clock, logger))
  return { port, urls, hubKey, adminKey, registry, log, access, firstAdmin, asks, lost, close }
}

async function openOwnOrShared(
  config: HubConfig,
  logger: Logger,
  wakeups: Wakeups,
  stops: (() => Promise<unknown>)[],
): Promise<{ store: Store; lost: Promise<QianzhiError> }> {
  if (config.store === undefined) {
    const embedded = await startEmbedded(config.data, { logger })
    stops.push(() => embedded.stop())
    const store = await openStore(embedded.url, { owner: embedded.ownerUrl, shared: false, logger })
    stops.push(() => store.close())
    await relay(embedded.url, wakeups, logger, stops, false)
    return { store, lost: embedded.lost }
  }
  const store = await openStore(config.store, { owner: config.storeOwner, shared: true, logger })
  stops.push(() => store.close())
  await relay(config.store, wakeups, logger, stops, true)
  return { store, lost: new Promise(() => {}) }
}

async function relay(url: string, wakeups: Wakeups, logger: Logger, stops: (() => Promise<unknown>)[], send: boolean): Promise<void> {
  const relay = new WakeupRelay(url, wakeups, logger)
  stops.push(() => relay.close())
  await relay.start({ send })
}

/** Agents pin the hub's key: a store must never be served with another one than it began with (QZ-CONFIG). */
async function checkHubKey(store: Store, hubKey: SigningKey): Promise<void> {
  await store.query(`insert into setting (key, value) values ('hub_key', $1) on conflict do nothing`, [hubKey.publicKey])
  const [row] = await store.query<{ value: string }>(`select value from setting where key = 'hub_key'`)
  if (row?.value === hubKey.publicKey) return
  const reason = {
    zh: '此数据库属于另一把中心密钥，请把原数据目录中的 hub.key 复制过来',
    en: 'this store belongs to another hub key: copy hub.key here from the data folder it was used with',
  }
  throw new QianzhiError('QZ-CONFIG', { key: 'data', reason })
}

/** Agents pin the hub's own authority: one that is made anew by itself would lock them all out (QZ-FILE-DAMAGED). */
async function checkAuthority(store: Store, data: string, authority: string, accepted: boolean): Promise<void> {
  const kept = accepted ? 'on conflict (key) do update set value = $1' : 'on conflict do nothing'
  await store.query(`insert into setting (key, value) values ('authority', $1) ${kept}`, [authority])
  const [row] = await store.query<{ value: string }>(`select value from setting where key = 'authority'`)
  if (row?.value === authority) return
  throw new QianzhiError('QZ-FILE-DAMAGED', {
    file: join(data, 'tls', 'authority.key'),
    reason: { zh: '不是各代理登记时的那一个', en: 'it is not the one that agents enrolled with' },
    remedy: {
      zh: `${restoreAuthority.zh}；无法恢复时执行一次 qianzhi-hub start --new-authority，各代理须重新登记`,
      en: `${restoreAuthority.en}; if it is lost, start once with qianzhi-hub start --new-authority: each agent must enrol again`,
    },
  })
}

async function loadCertificate(config: HubConfig, now: Date): Promise<ServerCertificate | OwnCertificate> {
  if (!config.tls) {
    const hosts = config.urls.map((url) => new URL(url).hostname.replace(/^\[|\]$/g, ''))
    return ownCertificate(config.data, [hostname(), 'localhost', '127.0.0.1', '::1', ...hosts], now)
  }
  const read = async (key: 'certificate' | 'key') => {
    const path = config.tls![key]
    return readFile(path, 'utf8').catch((error: unknown) => {
      throw new QianzhiError(
        'QZ-CONFIG',
        { key: `tls.${key}`, reason: { zh: `无法读取 ${path}：${reasonOf(error)}`, en: `${path} cannot be read: ${reasonOf(error)}` } },
        { cause: error },
      )
    })
  }
  return { certificate: await read('certificate'), key: await read('key') }
}

async function listen(app: HttpServer, { listen }: HubConfig): Promise<number> {
  try {
    await app.listen({ ...listen })
  } catch (error) {
    const key = `listen ${listen.host}:${listen.port}`
    throw new QianzhiError(
      'QZ-CONFIG',
      { key, reason: { zh: `无法监听：${reasonOf(error)}`, en: `cannot be listened on: ${reasonOf(error)}` } },
      { cause: error },
    )
  }
  return (app.server.address() as AddressInfo).port
}

/** A certificate that was renewed, by us or in its file, is taken up without a restart. */
function renewDaily(config: HubConfig, app: HttpServer, clock: () => Date, logger: Logger): () => Promise<void> {
  const renew = async () => {
    const { certificate, key } = await loadCertificate(config, clock())
    app.server.setSecureContext({ cert: certificate, key })
  }
  const timer = setInterval(() => {
    renew().catch((error: unknown) => logger.error({ err: error }, 'certificate not renewed'))
  }, day)
  timer.unref()
  return async () => clearInterval(timer)
}
