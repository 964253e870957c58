/** An exchange whose resource is the files of a folder: hub, provider and receiver as real programs. They are not started. */
import { createHash } from 'node:crypto'
import { createReadStream, mkdirSync, readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { fileItemIds, fileItems } from '../../protocol/files.ts'
import { Exchange, type ResourceFile, type TestAgent } from './exchange.ts'

export const scans: ResourceFile = {
  resource: 'scans',
  title: '证照扫描件',
  agency: 'market',
  table: 'scans',
  items: fileItems('internal'),
}

export interface FileExchange {
  exchange: Exchange
  provider: TestAgent
  receiver: TestAgent
  route: string
  /** The provider's folder and the receiver's. */
  source: string
  target: string
}

/** `storeUrl`: an empty PostgreSQL database for the hub. */
export async function makeFileExchange(storeUrl: string, folder?: string): Promise<FileExchange> {
  const exchange = await Exchange.start({ hub: { store: storeUrl }, ...(folder !== undefined && { folder }) })
  const [source, target] = [join(exchange.folder, 'out'), join(exchange.folder, 'in')]
  for (const path of [source, target]) mkdirSync(path)
  const provider = await exchange.enrol('provider', {
    agency: 'market',
    databases: {},
    folders: { out: { path: source, stable: 0.5, look: 2 } },
    sources: [{ resource: 'scans', folder: 'out', contents: 'any' }],
    hub: { poll: 2 },
  })
  await exchange.publish(scans, '--keep', 'relay')
  const receiver = await exchange.enrol('receiver', {
    agency: 'tax',
    databases: {},
    folders: { in: { path: target } },
    sinks: [{ resource: 'scans', folder: 'in', contents: 'any' }],
    hub: { poll: 2 },
  })
  const { route } = await exchange.grant('scans', receiver, [...fileItemIds])
  return { exchange, provider, receiver, route, source, target }
}

/** SHA-256 of every file below a folder by its path; what is hidden left out. */
export async function hashesOf(folder: string): Promise<Map<string, string>> {
  const names = namesOf(folder).toSorted()
  const hashes = new Map<string, string>()
  for (const name of names) hashes.set(name, await hashOf(join(folder, name)))
  return hashes
}

export function namesOf(folder: string): string[] {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return files.map((entry) => relative(folder, join(entry.parentPath, entry.name))).filter((name) => !name.startsWith('.'))
}

export async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash)
  return hash.digest('hex')
}
