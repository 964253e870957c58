import { dirname, resolve } from 'node:path'
import { Type, type Static } from 'typebox'
import { deepFreeze, readConfiguration } from '../protocol/configuration.ts'
import { QianzhiError } from '../protocol/errors.ts'
import { windowPattern } from './reconcile-window.ts'
import { captureModes } from './database.ts'

const strict = { additionalProperties: false }

const DatabaseConfig = Type.Object(
  {
    /** postgres://…, mysql://… (also for MariaDB), sqlserver://… or oracle://…; passwords as references. */
    url: Type.String({ minLength: 1 }),
    /** Milliseconds between looks at the queues where the engine cannot wake the agent. */
    pace: Type.Optional(Type.Integer({ minimum: 5, maximum: 60_000 })),
  },
  strict,
)

const Columns = Type.Record(Type.String(), Type.String({ minLength: 1 }))

const SourceConfig = Type.Object(
  {
    resource: Type.String(),
    database: Type.String(),
    table: Type.String({ minLength: 1 }),
    /** How changes are found; without it by triggers, on SQL Server by Change Tracking. */
    capture: Type.Optional(Type.Enum([...captureModes])),
    /** A SELECT that is read in the table's place (only `watermark` and `compare`). */
    query: Type.Optional(Type.String({ minLength: 1 })),
    /** Item id → local column; items not named use their own name. */
    columns: Type.Optional(Columns),
    zeroDates: Type.Optional(Type.Enum(['refuse', 'null'])),
    /** Bytes of the longest value that is read. */
    valueLimit: Type.Optional(Type.Integer({ minimum: 1024 })),
    /** Bytes of queue beyond which it collapses into "snapshot needed". */
    queueLimit: Type.Optional(Type.Integer({ minimum: 65_536 })),
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
    database: Type.String(),
    table: Type.Optional(Type.String({ minLength: 1 })),
    columns: Type.Optional(Columns),
    deletes: Type.Optional(Type.Enum(['remove', 'mark'])),
  },
  strict,
)

const AgentConfigShape = Type.Object(
  {
    /** Folder of key, state and log; relative to the file. */
    data: Type.Optional(Type.String()),
    language: Type.Optional(Type.Enum(['zh', 'en'])),
    log: Type.Optional(
      Type.Object({ level: Type.Optional(Type.Enum(['debug', 'info', 'warn', 'error'])), file: Type.Optional(Type.String()) }, strict),
    ),
    hub: Type.Optional(
      Type.Object(
        {
          /** Tried in order; without them those of the enrolment token. */
          urls: Type.Optional(Type.Array(Type.String(), { minItems: 1 })),
          /** PEM file of the authority that the hub's certificate must come from, instead of the one pinned at enrolment. */
          ca: Type.Optional(Type.String()),
          /** HTTP CONNECT proxy. */
          proxy: Type.Optional(Type.String()),
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
    /** When tables may be read for a reconciliation (`22:00-06:00`, Asia/Shanghai), and how many rows a second. */
    reconcile: Type.Optional(
      Type.Object(
        {
          window: Type.Optional(Type.String({ pattern: windowPattern })),
          pace: Type.Optional(Type.Integer({ minimum: 100, maximum: 10_000_000 })),
        },
        strict,
      ),
    ),
    databases: Type.Optional(Type.Record(Type.String(), DatabaseConfig)),
    sources: Type.Optional(Type.Array(SourceConfig)),
    sinks: Type.Optional(Type.Array(SinkConfig)),
  },
  strict,
)

type AgentFile = Static<typeof AgentConfigShape>
export type SourceConfig = Static<typeof SourceConfig>
export type SinkConfig = Static<typeof SinkConfig>

export interface AgentConfig extends AgentFile {
  data: string
  databases: NonNullable<AgentFile['databases']>
  sources: SourceConfig[]
  sinks: SinkConfig[]
}

/** Reads and checks `qianzhi-agent.yaml`. Throws QZ-CONFIG. */
export function readAgentConfig(file: string): AgentConfig {
  const read = readConfiguration(file, AgentConfigShape)
  const folder = dirname(resolve(file))
  const config = {
    ...read,
    data: resolve(folder, read.data ?? 'data'),
    databases: read.databases ?? {},
    sources: read.sources ?? [],
    sinks: read.sinks ?? [],
  }
  checkDatabases(config)
  checkSinks(config)
  checkTwice(
    config.sources.map((source) => source.resource),
    'sources',
  )
  checkTwice(config.sinks.map(sinkName), 'sinks')
  checkTwice(
    config.sinks.filter((sink) => sink.table).map((sink) => `${sink.database}/${sink.table}`),
    'sinks',
  )
  return deepFreeze(config)
}

/** What a sink is called where its routes are not known: by its route, its resource or its standard. */
export function sinkName({ route, resource, standard }: SinkConfig): string {
  return route ?? resource ?? standard ?? ''
}

function checkSinks({ sinks }: AgentConfig): void {
  sinks.forEach(({ resource, standard, route }, i) => {
    const reason =
      (resource === undefined) === (standard === undefined)
        ? 'names either a resource or a standard'
        : route !== undefined && standard !== undefined
          ? 'a standard takes all its routes: name the resource of this one'
          : undefined
    if (reason) throw new QianzhiError('QZ-CONFIG', { key: `sinks[${i}]`, reason })
  })
}

function checkDatabases(config: AgentConfig): void {
  for (const [kind, entries] of [
    ['sources', config.sources],
    ['sinks', config.sinks],
  ] as const) {
    entries.forEach((entry, i) => {
      if (!Object.hasOwn(config.databases, entry.database)) {
        throw new QianzhiError('QZ-CONFIG', { key: `${kind}[${i}].database`, reason: `databases has no ${entry.database}` })
      }
    })
  }
  for (const [name, { url }] of Object.entries(config.databases)) engineOf(name, url)
}

function checkTwice(names: string[], key: string): void {
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) throw new QianzhiError('QZ-CONFIG', { key, reason: `${twice} is named twice` })
}

export type Engine = 'postgres' | 'mysql' | 'sqlserver' | 'oracle'

/** The engine that a database URL names. Throws QZ-CONFIG. */
export function engineOf(name: string, url: string): Engine {
  const scheme = /^(\w+):\/\//.exec(url)?.[1]
  if (scheme === 'postgres' || scheme === 'postgresql') return 'postgres'
  if (scheme === 'mysql' || scheme === 'mariadb') return 'mysql'
  if (scheme === 'sqlserver' || scheme === 'mssql') return 'sqlserver'
  if (scheme === 'oracle') return 'oracle'
  throw new QianzhiError('QZ-CONFIG', {
    key: `databases.${name}.url`,
    reason: 'begins with none of postgres://, mysql://, mariadb://, sqlserver://, oracle://',
  })
}
