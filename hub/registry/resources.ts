import { isDeepStrictEqual } from 'node:util'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { QianzhiError } from '../../protocol/errors.ts'
import { checkSchema, itemById, Schema } from '../../protocol/schema.ts'
import type { Query } from '../store/store.ts'
import { requireAgency } from './agencies.ts'
import { concernAgency, requireActiveAgent } from './agents.ts'
import { writeAudit } from './audit.ts'
import { checkCompatible, travelsDifferently, type Draft } from './compatibility.ts'
import { change, checkCode, type Registry } from './registry.ts'

export interface Resource {
  code: string
  agency: string
  /** Agent that produces the stream; null: the agency's only active agent. */
  producer: string | null
  keep: 'store' | 'relay'
  state: 'active' | 'suspended'
  version: number
  schema: Schema
  /** Closed items whose data the provider stores on the hub all the same (Art. 5). */
  storedClosed: string[]
}

export interface Publication {
  schema: Draft
  keep?: 'store' | 'relay'
  storedClosed?: readonly string[]
  producer?: string
}

const draftShape = Compile(Type.Omit(Schema, ['version'], { additionalProperties: false }))

/**
 * Publishes a resource 政务信息资源, or changes it: what is not given (keep, stored closed items, producer) stays. The same again
 * changes nothing. A change of what travels is a new version; titles, labels and openness among open items change in place. Changed
 * openness acts at once. Throws QZ-SCHEMA, QZ-CONFLICT (another agency's), QZ-NOT-FOUND.
 */
export async function publishResource(registry: Registry, actor: string, publication: Publication): Promise<Resource> {
  const draft = checkDraft(publication.schema)
  return change(registry, async (query, concerned) => {
    await requireAgency(query, draft.agency)
    // Two publications of one code wait for each other, also of a new one.
    await query('select pg_advisory_xact_lock(hashtext($1))', [`resource ${draft.resource}`])
    const before = await findResource(query, draft.resource)
    if (before) checkAgainst(before, draft)
    const after = merge(before, publication, draft)
    checkStoredClosed(after)
    if (publication.producer !== undefined) await checkProducer(query, publication.producer, draft.agency)
    if (before && isDeepStrictEqual(before, after)) return before
    await write(query, after)
    await writeAudit(query, { actor, act: 'resource.publish', object: after.code, details: { ...after } })
    await concernAgency(query, after.agency, concerned)
    return after
  })
}

function checkDraft(value: Draft): Draft {
  if (!draftShape.Check(value)) {
    const errors = draftShape.Errors(value)
    const foreign = errors.find((error) => error.keyword === 'additionalProperties')
    const where = (foreign ?? errors[0])?.instancePath ?? ''
    throw new QianzhiError('QZ-SCHEMA', {
      reason: foreign
        ? `${where}: 未知属性 / unknown: ${foreign.params.additionalProperties.join(', ')}`
        : `${where} ${errors[0]?.message ?? ''}`.trim(),
    })
  }
  checkCode(value.resource, 'resource', 44)
  checkSchema({ ...value, version: 1 })
  return value
}

function checkAgainst(before: Resource, draft: Draft): void {
  if (before.agency !== draft.agency) throw new QianzhiError('QZ-CONFLICT', { what: `resource ${before.code} (${before.agency})` })
  checkCompatible(before.schema, draft)
}

function merge(before: Resource | undefined, { keep, storedClosed, producer }: Publication, draft: Draft): Resource {
  const stored = [...new Set(storedClosed ?? before?.storedClosed ?? [])].toSorted()
  const next = !before ? 1 : before.version + (travelsDifferently(before.schema, before.storedClosed, draft, stored) ? 1 : 0)
  return {
    code: draft.resource,
    agency: draft.agency,
    producer: producer ?? before?.producer ?? null,
    keep: keep ?? before?.keep ?? 'store',
    state: before?.state ?? 'active',
    version: next,
    schema: { ...draft, version: next },
    storedClosed: stored,
  }
}

function checkStoredClosed({ schema, storedClosed }: Resource): void {
  for (const id of storedClosed) {
    if (itemById(schema, id)) continue
    throw new QianzhiError('QZ-SCHEMA', { reason: `没有信息项 ${id} / item ${id} does not exist` })
  }
}

async function checkProducer(query: Query, producer: string, agency: string): Promise<void> {
  const agent = await requireActiveAgent(query, producer)
  if (agent.agency === agency) return
  throw new QianzhiError('QZ-REQUEST-INVALID', { reason: `代理 ${producer} 不属于 ${agency} / agent ${producer} is not one of ${agency}` })
}

async function write(query: Query, { code, agency, producer, version, keep, schema, storedClosed }: Resource): Promise<void> {
  await query(
    `insert into resource (code, agency, producer, version, keep) values ($1, $2, $3, $4, $5)
     on conflict (code) do update set producer = excluded.producer, version = excluded.version, keep = excluded.keep`,
    [code, agency, producer, version, keep],
  )
  await query(
    `insert into resource_version (resource, version, schema, stored_closed_items) values ($1, $2, $3, $4)
     on conflict (resource, version) do update set schema = excluded.schema, stored_closed_items = excluded.stored_closed_items`,
    [code, version, JSON.stringify(schema), storedClosed],
  )
}

const columns = `r.code, r.agency, r.producer, r.keep, r.state, r.version, v.schema, v.stored_closed_items as "storedClosed"
  from resource r join resource_version v on v.resource = r.code and v.version = r.version`

async function findResource(query: Query, code: string): Promise<Resource | undefined> {
  const [resource] = await query<Resource>(`select ${columns} where r.code = $1`, [code])
  return resource
}

export async function requireResource(query: Query, code: string): Promise<Resource> {
  const resource = await findResource(query, code)
  if (!resource) throw new QianzhiError('QZ-NOT-FOUND', { what: `resource ${code}` })
  return resource
}

export function listResources({ store }: Registry): Promise<Resource[]> {
  return store.query<Resource>(`select ${columns} order by r.code`)
}

/**
 * SQL for the id of the agent that produces a resource `r` now: the named one while it is active, or the agency's only active one;
 * null where there is none or it is not clear.
 */
export const producerOf = `coalesce(
  (select id from agent where id = r.producer and state = 'active'),
  case when r.producer is null then (select min(id) from agent where agency = r.agency and state = 'active' having count(*) = 1) end)`
