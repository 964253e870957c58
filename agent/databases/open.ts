import type { Logger } from 'pino'
import type { SigningKey } from '../../protocol/signature.ts'
import { signStatement } from '../../protocol/signature.ts'
import type { AgentConfig } from '../config/config.ts'
import type { Database, FileCounts, FolderSettings } from '../database.ts'
import { engineOf } from './index.ts'

/** What a folder in a database's place needs of the agent. */
export interface DatabaseOwner {
  agent: string
  key: SigningKey
  logger: Logger
  /** See `FolderSettings.note`. */
  note?: (name: string, resource: string, files: FileCounts) => void
}

/** A configured database; `url` in the place of its own where a DBA's account is to be used. */
export async function openDatabase(config: AgentConfig, name: string, owner: DatabaseOwner, url?: string): Promise<Database> {
  const entry = config.databases[name]!
  const folder = folderSettings(config, name, owner)
  const options = { name, url: url ?? entry.url, pace: entry.pace ?? 50, ...(folder && { folder }) }
  return engineOf(name, options.url).open(options)
}

function folderSettings(
  { data, databases }: AgentConfig,
  name: string,
  { agent, key, logger, note }: DatabaseOwner,
): FolderSettings | undefined {
  const { folder } = databases[name]!
  if (!folder) return undefined
  return {
    ...folder,
    data,
    agent,
    logger,
    sign: (typ, payload) => signStatement(key, typ, payload),
    ...(note && { note: (resource, files) => note(name, resource, files) }),
  }
}
