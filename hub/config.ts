import { isIP } from 'node:net'
import { dirname, resolve } from 'node:path'
import { Type, type Static } from 'typebox'
import { readerLimits } from '../protocol/batch.ts'
import { QianzhiError } from '../protocol/errors.ts'
import { deepFreeze, readConfiguration, type ReadingOptions } from '../protocol/configuration.ts'
import { makeCalendar } from './records/calendar.ts'
import type { MailConfig } from './supervision/mail.ts'
import { SupervisionFile, supervisionSettings, type SupervisionSettings } from './records/settings.ts'
import { AccessFile, accessRules, type AccessRules } from './access/settings.ts'
import { ReconciliationFile, reconciliationSettings, type ReconciliationSettings } from './reconciliation/settings.ts'
import { jobSettings, JobsFile, type JobSettings } from './jobs/settings.ts'
import { webhookSettings, WebhooksFile, type WebhookSettings } from './sharing/webhooks/settings.ts'
import { SharingFile, sharingLimits, type SharingLimits } from './sharing/reading.ts'
import { CalendarYear } from './records/calendars/year.ts'

const closed = { additionalProperties: false }
const days = Type.Number({ exclusiveMinimum: 0, maximum: 3650 })

/** The configuration file as it is written; everything has a default. */
const ConfigFile = Type.Object(
  {
    data: Type.Optional(Type.String({ minLength: 1 })),
    listen: Type.Optional(
      Type.Object(
        { host: Type.Optional(Type.String({ minLength: 1 })), port: Type.Optional(Type.Integer({ minimum: 0, maximum: 65535 })) },
        closed,
      ),
    ),
    proxies: Type.Optional(Type.Array(Type.String(), { minItems: 1, maxItems: 50 })),
    urls: Type.Optional(Type.Array(Type.String({ pattern: '^https://[^/]+/?$' }), { minItems: 1, maxItems: 20 })),
    store: Type.Optional(Type.String({ pattern: '^postgres(ql)?://' })),
    storeOwner: Type.Optional(Type.String({ pattern: '^postgres(ql)?://' })),
    tls: Type.Optional(Type.Object({ certificate: Type.String({ minLength: 1 }), key: Type.String({ minLength: 1 }) }, closed)),
    policy: Type.Optional(Type.Object({ days: Type.Optional(days) }, closed)),
    applications: Type.Optional(Type.Object({ grantAtOnce: Type.Optional(Type.Boolean()) }, closed)),
    log: Type.Optional(
      Type.Object(
        {
          retention: Type.Optional(days),
          lapse: Type.Optional(days),
          snapshotFactor: Type.Optional(Type.Number({ minimum: 0.1, maximum: 1000 })),
        },
        closed,
      ),
    ),
    limits: Type.Optional(
      Type.Object(
        {
          batchBytes: Type.Optional(Type.Integer({ minimum: 65536, maximum: 256 << 20 })),
          unpackedBytes: Type.Optional(Type.Integer({ minimum: 65536, maximum: 1 << 30 })),
          batchRows: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
          answerBytes: Type.Optional(Type.Integer({ minimum: 65536, maximum: 256 << 20 })),
        },
        closed,
      ),
    ),
    access: Type.Optional(AccessFile),
    supervision: Type.Optional(SupervisionFile),
    reconciliation: Type.Optional(ReconciliationFile),
    sharing: Type.Optional(SharingFile),
    jobs: Type.Optional(JobsFile),
    webhooks: Type.Optional(WebhooksFile),
    mail: Type.Optional(
      Type.Object(
        { url: Type.String({ pattern: '^smtps?://[^/]' }), from: Type.String({ pattern: '^[^\\r\\n]*[^\\s@]@[^\\s@]+$' }) },
        closed,
      ),
    ),
    language: Type.Optional(Type.Enum(['zh', 'en'])),
    logLevel: Type.Optional(Type.Enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])),
  },
  closed,
)
type ConfigFile = Static<typeof ConfigFile>

export interface HubConfig {
  /** Absolute path of the data folder. */
  data: string
  listen: { host: string; port: number }
  /** Reverse proxies before the hub: addresses or networks (`10.1.0.0/16`) whose `X-Forwarded-For` says who asks. */
  proxies: readonly string[]
  /** Public addresses that tokens carry. Empty: https://<hostname>:<port>, known when the hub listens. */
  urls: readonly string[]
  /** URL of a PostgreSQL that hub processes may share; absent: the hub runs its own in the data folder. */
  store?: string
  /** URL of the role that owns the tables of `store` and migrates them; absent: the role of `store` does both. */
  storeOwner?: string
  /** Absolute paths of PEM files; absent: the hub is its own authority. */
  tls?: { certificate: string; key: string }
  policy: { days: number }
  /** Whether query and API of unconditional resources are granted when they are applied for (Art. 16: only exchange needs the whole way). */
  applications: { grantAtOnce: boolean }
  /** Days, days, and how many times its snapshot the changes of a stream may grow to. */
  log: { retention: number; lapse: number; snapshotFactor: number }
  /** Of one batch: bytes encoded, bytes unpacked, rows; and bytes of one poll answer. */
  limits: { batchBytes: number; unpackedBytes: number; batchRows: number; answerBytes: number }
  /** Sign-in, passwords, sessions. */
  access: AccessRules
  supervision: SupervisionSettings
  /** When routes are reconciled, and whether what differs is sent again. */
  reconciliation: ReconciliationSettings
  /** What people may read in query. */
  sharing: SharingLimits
  /** How long jobs and what was uploaded for them are kept. */
  jobs: JobSettings
  /** Where changes may be sent to, and how. */
  webhooks: WebhookSettings
  /** Absent: notices are seen on the screen only. */
  mail?: MailConfig
  language?: 'zh' | 'en'
  logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'
}

const defaultLimits = {
  batchBytes: readerLimits.encoded,
  unpackedBytes: readerLimits.unpacked,
  batchRows: readerLimits.rows,
  answerBytes: 4 << 20,
}

/** Reads, validates and freezes the configuration. A missing file means defaults only where `optional`. Throws QZ-CONFIG. */
export function loadConfig(file: string, options: ReadingOptions = {}): HubConfig {
  return withDefaults(readConfiguration(file, ConfigFile, options), dirname(resolve(file)), options)
}

/** The configuration of a file that says nothing. */
export function defaults(): HubConfig {
  return withDefaults({}, resolve())
}

function requireNetwork(network: string, index: number): string {
  const [address = '', bits, ...more] = network.split('/')
  const longest = { 0: -1, 4: 32, 6: 128 }[isIP(address)]!
  if (longest > 0 && more.length === 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= longest))) return network
  const reason = { zh: `${network} 不是地址或网段`, en: `${network} is no address and no network` }
  throw new QianzhiError('QZ-CONFIG', { key: `proxies.${index}`, reason })
}

function withDefaults(file: ConfigFile, folder: string, { env }: ReadingOptions = {}): HubConfig {
  if (file.storeOwner !== undefined && file.store === undefined) {
    const reason = { zh: '只能与 store 一起使用', en: 'only together with store' }
    throw new QianzhiError('QZ-CONFIG', { key: 'storeOwner', reason })
  }
  const config: HubConfig = {
    data: resolve(folder, file.data ?? 'data'),
    listen: { host: '0.0.0.0', port: 8443, ...file.listen },
    proxies: (file.proxies ?? []).map(requireNetwork),
    urls: (file.urls ?? []).map((url) => url.replace(/\/$/, '')),
    ...(file.store === undefined ? {} : { store: file.store }),
    ...(file.storeOwner === undefined ? {} : { storeOwner: file.storeOwner }),
    ...(file.tls && { tls: { certificate: resolve(folder, file.tls.certificate), key: resolve(folder, file.tls.key) } }),
    policy: { days: 30, ...file.policy },
    applications: { grantAtOnce: false, ...file.applications },
    log: { retention: 7, lapse: 7, snapshotFactor: 2, ...file.log },
    limits: { ...defaultLimits, ...file.limits },
    access: accessRules(file.access),
    supervision: readSupervision(file.supervision, folder, env),
    reconciliation: reconciliationSettings(file.reconciliation),
    sharing: sharingLimits(file.sharing),
    jobs: jobSettings(file.jobs),
    webhooks: webhookSettings(file.webhooks, folder),
    ...(file.mail && { mail: file.mail }),
    ...(file.language && { language: file.language }),
    logLevel: file.logLevel ?? 'info',
  }
  return deepFreeze(config)
}

function readSupervision(file: SupervisionFile | undefined, folder: string, env: NodeJS.ProcessEnv | undefined): SupervisionSettings {
  const years = (file?.calendars ?? []).map((path) => readConfiguration(resolve(folder, path), CalendarYear, env && { env }))
  makeCalendar(years)
  return supervisionSettings(file, years)
}
