import type { Database, DatabaseOptions } from '../database.ts'

/** Engines by the `type` in the configuration, loaded when first used. */
export const engines: Record<string, (options: DatabaseOptions) => Promise<Database>> = {
  postgres: async (options) => (await import('./postgres/engine.ts')).openPostgres(options),
  mysql: async (options) => (await import('./mysql/engine.ts')).openMysql(options),
  sqlserver: async (options) => (await import('./sqlserver/engine.ts')).openSqlserver(options),
  folder: async (options) => (await import('../folders/engine.ts')).openFolder(options),
  oracle: async (options) => (await import('./oracle/engine.ts')).openOracle(options),
}
