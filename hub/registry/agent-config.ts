/** What stands of a resource or a grant in the configuration of an agent, to be copied there by agency IT. */
import { stringify } from 'yaml'
import { isFileSchema } from '../../protocol/files.ts'
import { rule } from '../records/refusals.ts'
import type { Registry } from '../records/registry.ts'
import type { Query } from '../store/store.ts'
import { requireEntry } from './catalog/catalog.ts'
import { requireResource } from './catalog/resources.ts'
import { requireGrant } from './grants/grants.ts'

/** YAML: a whole `sources:` or `sinks:` with one entry. */
export interface AgentConfigLines {
  yaml: string
}

/** As in the agent's own examples, where nobody has said what its database or folder is called. */
const usual = { database: 'front', folder: 'out', inbox: 'drop' }

/**
 * The entry of a resource below `sources:`: with database, table and columns of the table that it was registered from, where that is known.
 * Throws QZ-RULE where no machine supplies it.
 */
export async function sourceLines({ store: { query } }: Registry, resource: string): Promise<AgentConfigLines> {
  const { schema } = await requireResource(query, resource)
  const { content } = await requireEntry(query, resource)
  if (content.supplyMode !== 'front-end') throw rule('该资源不由前置机提供', 'no front-end machine supplies it')
  if (isFileSchema(schema)) return lines('sources', { resource, folder: usual.inbox, contents: 'any' })
  const from = await registeredFrom(query, resource)
  const columns = Object.fromEntries(
    schema.items.flatMap(({ id, name }) => (from?.columns[id] !== undefined && from.columns[id] !== name ? [[id, from.columns[id]]] : [])),
  )
  return lines('sources', {
    resource,
    database: from?.database ?? usual.database,
    table: from?.table ?? schema.table,
    ...(Object.keys(columns).length > 0 && { columns }),
  })
}

async function registeredFrom(
  query: Query,
  resource: string,
): Promise<{ database: string; table: string; columns: Record<string, string> } | undefined> {
  const [found] = await query<{ origin: string; columns: Record<string, string> | null }>(
    `select origin, columns from registration where resource = $1 and origin is not null order by id desc limit 1`,
    [resource],
  )
  if (!found) return undefined
  const [, database, table] = JSON.parse(found.origin) as [string, string, string]
  return { database, table, columns: found.columns ?? {} }
}

/** The entry of a grant below `sinks:`. Throws QZ-RULE where it is not for exchange. */
export async function sinkLines({ store: { query } }: Registry, id: string): Promise<AgentConfigLines> {
  const { resource, mode, agency } = await requireGrant(query, id)
  if (mode !== 'exchange') throw rule('该授权不是数据交换，不需要前置机', 'it is not for exchange: no front-end machine has a part in it')
  const { schema } = await requireResource(query, resource)
  const routes = await query<{ id: string; grant: string }>(
    `select t.id, t.access_grant as grant from route t join access_grant g on g.id = t.access_grant
     where g.resource = $1 and g.agency = $2 and g.state in ('active', 'suspended', 'held') order by t.id`,
    [resource, agency],
  )
  const own = routes.filter(({ grant }) => grant === id)
  const place = isFileSchema(schema) ? { folder: usual.folder, contents: 'any' } : { database: usual.database }
  return lines('sinks', { resource, ...(routes.length > 1 && own[0] && { route: own[0].id }), ...place })
}

function lines(part: 'sources' | 'sinks', entry: object): AgentConfigLines {
  return { yaml: stringify({ [part]: [entry] }, { lineWidth: 0 }) }
}
