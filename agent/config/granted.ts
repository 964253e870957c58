import { createHash } from 'node:crypto'
import { stringify } from 'yaml'
import { QianzhiError } from '../../protocol/errors.ts'
import { isFileSchema } from '../../protocol/files.ts'
import type { Policy, Receive } from '../../protocol/policy.ts'
import { identifierPattern } from '../../protocol/schema.ts'
import { engineOf } from '../databases/index.ts'
import type { AgentConfig, SinkConfig } from './config.ts'
import { deliveredName, receivesFor } from './tables.ts'

/**
 * Where granted routes go: into the sinks that the configuration names, else into those that its one `auto` makes of them, else nowhere;
 * then it says which lines would name a place.
 */
type Sinks = Pick<AgentConfig, 'databases' | 'hub' | 'sinks' | 'auto'>

/** The configured sinks, and those that `auto` makes for the routes that no other one receives. */
export function sinksInForce({ databases, sinks, auto }: Sinks, policy: Policy | undefined): SinkConfig[] {
  if (!auto) return [...sinks]
  const { schema, ...place } = auto
  const { folder, url } = databases[auto.database]!
  const within = schema ?? engineOf(auto.database, url).deliveredIn
  const made = new Map<string, SinkConfig>()
  for (const receive of unreceived(sinks, policy)) {
    const files = isFileSchema(receive.schema)
    // Files as they are go into folders; the parts of files in a table are of no use.
    if (files && !folder) continue
    const standard = receive.shared ? receive.standard : undefined
    const { resource } = receive.schema
    const name = standard ?? resource
    if (made.has(name)) continue
    const table = within === '' ? tableOf(name) : `${within}.${tableOf(name)}`
    made.set(name, {
      ...place,
      ...(standard === undefined ? { resource, route: receive.route } : { standard }),
      ...(folder ? { contents: files ? 'any' : 'rows' } : { table }),
      made: true,
    })
  }
  return [...sinks, ...made.values()]
}

/** Granted routes without a sink. Behind a one-way gap there may be a sink outside. */
export function unplaced(config: Sinks, policy: Policy | undefined): Receive[] {
  return config.hub?.gap ? [] : unreceived(sinksInForce(config, policy), policy)
}

function unreceived(sinks: readonly SinkConfig[], policy: Policy | undefined): Receive[] {
  const received = new Set(sinks.flatMap((sink) => receivesFor(policy, sink, sinks)))
  return (policy?.receive ?? []).filter((receive) => !received.has(receive))
}

const longest = 30

/**
 * The table that `auto` makes of a resource or a standard: its code where that is an identifier; else what can be kept of it and eight
 * digits of its SHA-256, so that no two codes have one table.
 */
export function tableOf(code: string): string {
  if (new RegExp(identifierPattern).test(code)) return code
  const kept = code.replaceAll(/[^a-z0-9_]/g, '_').replace(/^(?=[^a-z])/, 'r')
  return `${kept.slice(0, longest - 9)}_${createHash('sha256').update(code).digest('hex').slice(0, 8)}`
}

/** Says that nothing of a granted route arrives, and the lines that change it. */
export function sinkMissing(config: Sinks, receive: Receive): QianzhiError {
  return new QianzhiError('QZ-SINK-MISSING', { route: receive.route, resource: receive.schema.resource, lines: sinkLines(config, receive) })
}

/** As YAML, to be copied: an entry below `sinks:` where there are some. */
function sinkLines(config: Sinks, receive: Receive): string {
  const { auto, databases, sinks } = config
  const { schema, route, standard, shared } = receive
  const files = isFileSchema(schema)
  const fits = Object.keys(databases).filter((name) => (databases[name]!.folder !== undefined) === files)
  const used = sinks.map(({ database }) => database).findLast((name) => fits.includes(name))
  const name = used ?? fits[0] ?? (files ? 'out' : 'front')
  const what = shared && standard !== undefined ? { standard } : { resource: schema.resource }
  const again = sinks.some(({ resource }) => resource === schema.resource)
  const place = files ? { folder: name, contents: 'any' } : { database: name, ...freeTable(config, name, receive) }
  const entry = oneLine({ ...what, ...(again && { route }), ...place })
  const whole = sinks.length > 0 || auto ? `sinks: … - ${entry}` : `sinks: [${entry}]`
  if (fits.length > 0) return whole
  return `${files ? 'folders: { out: { path: ./out } }' : `databases: { front: { url: 'postgres://…' } }`}; ${whole}`
}

function oneLine(entry: object): string {
  return stringify(entry, { collectionStyle: 'flow', lineWidth: 0 }).trim()
}

/** The usual name, or, where another sink has that, the one that `auto` would give. */
function freeTable({ databases, sinks }: Sinks, database: string, receive: Receive): { table?: string } {
  const entry = databases[database]
  if (!entry) return {}
  const engine = engineOf(database, entry.url)
  const usual = deliveredName(engine, receive)
  const taken = sinks.some((sink) => sink.database === database && sink.table === usual)
  return { table: taken ? usual.replace(/[^.]+$/, tableOf(receive.route)) : usual }
}
