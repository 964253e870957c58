import { QianzhiError } from '../../protocol/errors.ts'
import type { CaptureMode, Database, DatabaseOptions } from '../database.ts'

/** A database engine as the rest of the agent knows it; what it does itself is loaded when it is first used. */
export interface Engine {
  /** Schemes of the URLs that name it. */
  schemes: readonly string[]
  /** How its tables are captured where the configuration does not say. */
  capture: CaptureMode
  /** Whether its log can be read (`capture: log`). */
  logs?: boolean
  /** The database schema in which delivered tables are made where the configuration names no table; '' for the account's own. */
  deliveredIn: string
  /** How the engine's own client wants a script's statements (commands/setup.ts). */
  client: 'plain' | 'delimiter' | 'batches' | 'sqlplus'
  open(options: DatabaseOptions): Promise<Database>
}

const usual = { capture: 'triggers', deliveredIn: '', client: 'plain' } as const

/** Every engine: a folder here, and a line. */
export const engines: readonly Engine[] = [
  {
    ...usual,
    schemes: ['postgres', 'postgresql'],
    logs: true,
    deliveredIn: 'delivered',
    open: async (options) => (await import('./postgres/engine.ts')).openPostgres(options),
  },
  {
    ...usual,
    schemes: ['mysql', 'mariadb'],
    client: 'delimiter',
    logs: true,
    open: async (options) => (await import('./mysql/engine.ts')).openMysql(options),
  },
  {
    ...usual,
    schemes: ['sqlserver', 'mssql'],
    capture: 'tracking',
    client: 'batches',
    open: async (options) => (await import('./sqlserver/engine.ts')).openSqlserver(options),
  },
  { ...usual, schemes: ['oracle'], client: 'sqlplus', open: async (options) => (await import('./oracle/engine.ts')).openOracle(options) },
  { ...usual, schemes: ['sqlite'], open: async (options) => (await import('./sqlite/engine.ts')).openSqlite(options) },
  { ...usual, schemes: ['folder'], capture: 'files', open: async (options) => (await import('../folders/engine.ts')).openFolder(options) },
]

/** The engine that a database URL names. Throws QZ-CONFIG. */
export function engineOf(name: string, url: string): Engine {
  const scheme = /^(\w+):/.exec(url)?.[1]
  const engine = engines.find(({ schemes }) => scheme !== undefined && schemes.includes(scheme))
  if (engine) return engine
  const known = engines.flatMap(({ schemes }) => (schemes.includes('folder') ? [] : schemes.map((one) => `${one}://`))).join(', ')
  throw new QianzhiError('QZ-CONFIG', {
    key: `databases.${name}.url`,
    reason: { zh: `须以下列之一开头：${known}`, en: `begins with none of ${known}` },
  })
}
