import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { validate } from 'node-cron'
import { Type, type Static } from 'typebox'
import { parseDocument } from 'yaml'
import { deepFreeze, readConfiguration } from '../../protocol/configuration.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import { hoursPattern } from './hours.ts'
import { FolderConfig, FolderSink, FolderSource, placedSink, placedSource, resolveFolders, type ResolvedFolder } from './folders.ts'
import { engineOf } from '../databases/index.ts'
import { AutoSink, readSinks, type Auto } from './auto-sink.ts'
import { CarryConfig, checkCarry, GapConfig, gapOf } from './gaps.ts'
import { cityZone } from '../../protocol/local-time.ts'
import { captureModes } from '../database.ts'
import { LocalColumn, mappingFault } from './mapping.ts'
import { patternsOverlap } from './name-patterns.ts'
import { SendingConfig } from './source-rules.ts'

const strict = { additionalProperties: false }

const DatabaseConfig = Type.Object(
  {
    /** postgres://…, mysql://… (also for MariaDB), sqlserver://…, oracle://… or sqlite:///folder/file.db; passwords as references. */
    url: Type.String({ minLength: 1 }),
    /** Milliseconds between looks at the queues where the engine cannot wake the agent. */
    pace: Type.Optional(Type.Integer({ minimum: 5, maximum: 60_000 })),
  },
  strict,
)

/** A column that writes an item's values in its own way (mapping.ts). */
const Columns = Type.Record(Type.String(), Type.Union([Type.String({ minLength: 1 }), LocalColumn]))
export type ColumnNames = Static<typeof Columns>

const Schedule = Type.String({ minLength: 9 })
const RowsPerSecond = Type.Integer({ minimum: 1 })

const SourceConfig = Type.Object(
  {
    resource: Type.String(),
    /** Either a database and a table in it, or a folder (folders.ts). */
    database: Type.Optional(Type.String()),
    table: Type.Optional(Type.String({ minLength: 1 })),
    ...FolderSource,
    /** How changes are found; without it by triggers, on SQL Server by Change Tracking. */
    capture: Type.Optional(Type.Enum([...captureModes])),
    /** A SELECT that is read in the table's place (only `watermark` and `compare`). */
    query: Type.Optional(Type.String({ minLength: 1 })),
    /** Only where `capture` is `watermark`. */
    watermark: Type.Optional(
      Type.Object(
        {
          /** A column that grows with every change; it need be no item. */
          column: Type.String({ minLength: 1 }),
          /** How long transactions may take to commit: seconds of a time, units of a number. */
          overlap: Type.Optional(Type.Number({ minimum: 0 })),
          /** Cron expression: minute, hour, day, month, weekday; or six fields, seconds first. */
          schedule: Type.Optional(Schedule),
          rowsPerSecond: Type.Optional(RowsPerSecond),
        },
        strict,
      ),
    ),
    /** Only where `capture` is `compare`. */
    compare: Type.Optional(Type.Object({ schedule: Type.Optional(Schedule), rowsPerSecond: Type.Optional(RowsPerSecond) }, strict)),
    /** Item id → local column; items not named use their own name. */
    columns: Type.Optional(Columns),
    zeroDates: Type.Optional(Type.Enum(['refuse', 'null'])),
    /** Bytes of the longest value that is read. */
    valueLimit: Type.Optional(Type.Integer({ minimum: 1024 })),
    /** Bytes of queue beyond which it collapses into "snapshot needed". */
    queueLimit: Type.Optional(Type.Integer({ minimum: 65_536 })),
    ...SendingConfig,
  },
  strict,
)

const SinkConfig = Type.Object(
  {
    /** Either the resource, or the data standard: then every resource of it, also later ones, fills the one table. */
    resource: Type.Optional(Type.String()),
    standard: Type.Optional(Type.String()),
    /** Only where a resource comes by several routes. */
    route: Type.Optional(Type.String()),
    /** Either a database or a folder (folders.ts). */
    database: Type.Optional(Type.String()),
    table: Type.Optional(Type.String({ minLength: 1 })),
    ...FolderSink,
    columns: Type.Optional(Columns),
    deletes: Type.Optional(Type.Enum(['remove', 'mark'])),
    takeOver: Type.Optional(Type.Boolean()),
    ...AutoSink,
  },
  strict,
)

const AgentConfigShape = Type.Object(
  {
    /** Folder of key, state and log; relative to the file. */
    data: Type.Optional(Type.String()),
    language: Type.Optional(Type.Enum(['zh', 'en'])),
    log: Type.Optional(
      Type.Object(
        {
          level: Type.Optional(Type.Enum(['debug', 'info', 'warn', 'error'])),
          /** Relative to the configuration file; without it the log goes to standard output. */
          file: Type.Optional(Type.String({ minLength: 1 })),
          /** Megabytes after which the file rolls; it also does at midnight. 20 without it. */
          size: Type.Optional(Type.Number({ minimum: 0.01, maximum: 10_000 })),
          /** For how many days rolled files are kept, and how many: 14 and 20 without it. */
          days: Type.Optional(Type.Integer({ minimum: 1, maximum: 3650 })),
          files: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
        },
        strict,
      ),
    ),
    /** The status page on 127.0.0.1; on port 8470 without it, 0: any free port. */
    page: Type.Optional(
      Type.Union([Type.Literal(false), Type.Object({ port: Type.Optional(Type.Integer({ minimum: 0, maximum: 65_535 })) }, strict)]),
    ),
    /** When the morning line is written and told to the hub (in the configured time zone): 08:30 without it; false: never. */
    morning: Type.Optional(Type.Union([Type.Literal(false), Type.String({ pattern: '^([01]\\d|2[0-3]):[0-5]\\d$' })])),
    hub: Type.Optional(
      Type.Object(
        {
          /** Tried in order; without them those of the enrolment token. */
          urls: Type.Optional(Type.Array(Type.String(), { minItems: 1 })),
          /** PEM file of the authority that the hub's certificate must come from, instead of the one pinned at enrolment. */
          ca: Type.Optional(Type.String()),
          /** HTTP CONNECT proxy. */
          proxy: Type.Optional(Type.String()),
          /** Folders in the hub's place, where a one-way gap lies between (gaps.ts). */
          gap: Type.Optional(GapConfig),
          /** Seconds that a poll may be held; below the idle limit of the firewalls on the way. */
          poll: Type.Optional(Type.Number({ minimum: 1, maximum: 60 })),
        },
        strict,
      ),
    ),
    /** false: the hub is not told of tables and columns. */
    describe: Type.Optional(Type.Boolean()),
    /** Encoded bytes of the largest batch. */
    batchBytes: Type.Optional(Type.Integer({ minimum: 65_536, maximum: 8_388_608 })),
    /** IANA name of the zone in which schedules are meant, and times that name none; Asia/Shanghai without it. */
    timezone: Type.Optional(Type.String()),
    /** When tables may be read for a reconciliation (`22:00-06:00`, in the configured time zone), and how many rows a second. */
    reconcile: Type.Optional(
      Type.Object(
        {
          window: Type.Optional(Type.String({ pattern: hoursPattern })),
          pace: Type.Optional(Type.Integer({ minimum: 100, maximum: 10_000_000 })),
        },
        strict,
      ),
    ),
    databases: Type.Optional(Type.Record(Type.String(), DatabaseConfig)),
    folders: Type.Optional(Type.Record(Type.String(), FolderConfig)),
    carry: Type.Optional(Type.Array(CarryConfig)),
    sources: Type.Optional(Type.Array(SourceConfig)),
    /** `auto`: one entry that is `auto` with the only database, or folder, that there is. */
    sinks: Type.Optional(Type.Union([Type.Literal('auto'), Type.Array(SinkConfig)])),
  },
  strict,
)

type AgentFile = Static<typeof AgentConfigShape>
/** A source in a folder has the folder as its database, and the pattern of its files' names as its table. */
export type SourceConfig = Static<typeof SourceConfig> & { database: string; table: string }
/** A sink in a folder has the folder as its database. */
export type SinkConfig = Omit<Static<typeof SinkConfig>, 'auto' | 'schema'> & {
  database: string
  /** By `auto`. */
  made?: boolean
}
/** A folder has a URL of its own scheme here: to the rest of the agent it is a database. */
export type DatabaseConfig = Static<typeof DatabaseConfig> & { folder?: ResolvedFolder }

export interface AgentConfig extends Omit<AgentFile, 'databases' | 'folders' | 'sources' | 'sinks'> {
  data: string
  timezone: string
  databases: Record<string, DatabaseConfig>
  sources: SourceConfig[]
  /** Those that are named one by one. */
  sinks: SinkConfig[]
  /** Where all other granted routes go. */
  auto?: Auto
}

/** Reads and checks `qianzhi-agent.yaml`; `files` gets the paths of the files that it refers to. Throws QZ-CONFIG. */
export function readAgentConfig(file: string, files: string[] = []): AgentConfig {
  const read = readConfiguration(file, AgentConfigShape, { files })
  const folder = dirname(resolve(file))
  const { named, auto } = readSinks<Static<typeof SinkConfig>>(read)
  const config = {
    ...read,
    ...(auto && { auto }),
    data: resolve(folder, read.data ?? 'data'),
    ...(read.log && { log: { ...read.log, ...(read.log.file !== undefined && { file: resolve(folder, read.log.file) }) } }),
    timezone: read.timezone ?? cityZone,
    databases: { ...read.databases, ...resolveFolders(read, folder) },
    sources: (read.sources ?? []).map((source, i) => placedSource(source, `sources[${i}]`, read.folders)),
    sinks: named.map(([sink, i]) => placedSink(sink, `sinks[${i}]`, read.folders)),
  }
  checkDatabases(config)
  gapOf(config)
  checkCarry(config)
  checkSources(config)
  checkSinks(config)
  checkMappings(config)
  checkTwice(
    config.sources.map((source) => source.resource),
    'sources',
  )
  checkTwice(config.sinks.map(sinkName), 'sinks')
  checkFolders(config)
  checkTwice(
    config.sinks.filter((sink) => sink.table).map((sink) => `${sink.database}/${sink.table}`),
    'sinks',
  )
  return deepFreeze(config)
}

/** Of a file that is at fault: where the running agent of it keeps its state, as far as that can be told. */
export function readPlaces(file: string): AgentConfig {
  const said: unknown = parseDocument(readFileSync(file, 'utf8')).toJS({ maxAliasCount: 100 })
  const data = typeof said === 'object' && said !== null && 'data' in said && typeof said.data === 'string' ? said.data : 'data'
  return { data: resolve(dirname(resolve(file)), data), timezone: cityZone, databases: {}, sources: [], sinks: [] }
}

function checkSources({ sources, timezone }: AgentConfig): void {
  try {
    Intl.DateTimeFormat('en', { timeZone: timezone })
  } catch {
    throw new QianzhiError('QZ-CONFIG', {
      key: 'timezone',
      reason: { zh: `${timezone} 不是时区，应写作 Asia/Shanghai 等`, en: `${timezone} is no time zone: write one such as Asia/Shanghai` },
    })
  }
  sources.forEach((source, i) => {
    const fault = sourceFault(source)
    if (fault) throw new QianzhiError('QZ-CONFIG', { key: `sources[${i}].${fault[0]}`, reason: fault[1] })
  })
}

/** The wrong key and the remedy. */
function sourceFault(source: SourceConfig): [string, LocalizedText] | undefined {
  const { capture = 'triggers', query, watermark, compare } = source
  const reads = capture === 'watermark' || capture === 'compare'
  if (query !== undefined && !reads)
    return [
      'query',
      {
        zh: `${capture} 不能监视 SELECT：请将 capture 设为 compare 或 watermark`,
        en: `${capture} cannot watch a SELECT: set capture to compare or watermark`,
      },
    ]
  if (capture === 'watermark' && !watermark)
    return [
      'watermark',
      {
        zh: 'capture: watermark 须有 watermark.column，即每次变更都增大的列',
        en: 'capture: watermark needs watermark.column, a column that grows with every change',
      },
    ]
  if (watermark && capture !== 'watermark')
    return [
      'watermark',
      {
        zh: '仅用于 capture: watermark：请设置 capture，或删去此项',
        en: 'is used with capture: watermark only: set capture, or leave it out',
      },
    ]
  if (compare && capture !== 'compare')
    return [
      'compare',
      { zh: '仅用于 capture: compare：请设置 capture，或删去此项', en: 'is used with capture: compare only: set capture, or leave it out' },
    ]
  const { schedule } = watermark ?? compare ?? {}
  if (schedule === undefined || validate(schedule)) return undefined
  return [
    `${capture}.schedule`,
    {
      zh: `${schedule} 不是 cron 表达式：请依次写分、时、日、月、星期，如 "*/5 * * * *"`,
      en: `${schedule} is no cron expression: write minute, hour, day, month and weekday, such as "*/5 * * * *"`,
    },
  ]
}

/** What a sink is called where its routes are not known: by its route, its resource or its standard. */
export function sinkName({ route, resource, standard }: SinkConfig): string {
  return route ?? resource ?? standard ?? ''
}

function checkSinks({ sinks }: AgentConfig): void {
  sinks.forEach(({ resource, standard, route }, i) => {
    const reason =
      (resource === undefined) === (standard === undefined)
        ? { zh: '资源和数据标准须写一个，且只能写一个', en: 'names either a resource or a standard' }
        : route !== undefined && standard !== undefined
          ? { zh: '数据标准接收其全部路由：指定路由时请写资源', en: 'a standard takes all its routes: name the resource of this one' }
          : undefined
    if (reason) throw new QianzhiError('QZ-CONFIG', { key: `sinks[${i}]`, reason })
  })
}

function checkMappings(config: AgentConfig): void {
  for (const kind of ['sources', 'sinks'] as const) {
    config[kind].forEach(({ columns = {} }, i) => {
      for (const [name, column] of Object.entries(columns)) {
        const reason = typeof column === 'string' ? undefined : mappingFault(column, kind === 'sinks')
        if (reason) throw new QianzhiError('QZ-CONFIG', { key: `${kind}[${i}].columns.${name}`, reason })
      }
    })
  }
}

function checkDatabases(config: AgentConfig): void {
  for (const [kind, entries] of [
    ['sources', config.sources],
    ['sinks', config.sinks],
  ] as const) {
    entries.forEach((entry, i) => {
      if (!Object.hasOwn(config.databases, entry.database)) {
        throw new QianzhiError('QZ-CONFIG', {
          key: `${kind}[${i}].database`,
          reason: { zh: `databases 中没有 ${entry.database}`, en: `databases has no ${entry.database}` },
        })
      }
    })
  }
  for (const [name, { url }] of Object.entries(config.databases)) engineOf(name, url)
}

/** What is written into a folder must not be read from it again. */
function checkFolders({ sources, sinks }: AgentConfig): void {
  const read = new Set(sources.flatMap(({ folder }) => folder ?? []))
  const i = sinks.findIndex(({ folder }) => folder !== undefined && read.has(folder))
  if (i >= 0)
    throw new QianzhiError('QZ-CONFIG', {
      key: `sinks[${i}].folder`,
      reason: { zh: '同时是来源目录：请另用一个目录', en: 'is the folder of a source too: give it one of its own' },
    })
  sources.forEach(({ folder, table, resource }, at) => {
    const other = sources
      .slice(0, at)
      .find((source) => folder !== undefined && source.folder === folder && patternsOverlap(source.table, table))
    if (!other) return
    const reason = {
      zh: `${table} 与 ${other.resource} 的 ${other.table} 可匹配同一文件：请改用互不重叠的文件名，或另用一个目录`,
      en: `${table} can match files of ${other.resource} (${other.table}): choose names that no file has both of, or give ${resource} a folder of its own`,
    }
    throw new QianzhiError('QZ-CONFIG', { key: `sources[${at}].files`, reason })
  })
}

function checkTwice(names: string[], key: string): void {
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) throw new QianzhiError('QZ-CONFIG', { key, reason: { zh: `${twice} 重复`, en: `${twice} is named twice` } })
}
