import type { Database, DatabaseOptions } from '../database.ts'

/** Engines by the `type` in the configuration, loaded when first used. */
export const engines: Record<string, (options: DatabaseOptions) => Promise<Database>> = {
  postgres: async (options) => (await import('./postgres.ts')).openPostgres(options),
  mysql: async (options) => (await import('./mysql.ts')).openMysql(options),
  sqlserver: async (options) => (await import('./sqlserver.ts')).openSqlserver(options),
  folder: async (options) => (await import('../folders/folder.ts')).openFolder(options),
  oracle: async (options) => (await import('./oracle.ts')).openOracle(options),
}
