/** One object of every kind, in any state, put straight into the store: for tests that walk all doors and all workflows. */
import type { ObjectKind } from '../../hub/access/relations.ts'
import { addAgency } from '../../hub/registry/agencies/agencies.ts'
import type { Registry } from '../../hub/records/registry.ts'
import { publishResource } from '../../hub/registry/publishing/direct-publishing.ts'
import { enrolled, villages, type Office } from './office.ts'

/** `provider` has the resource and owns what is owned; `receiver` asks for it, or has it. */
export interface Parties {
  provider: string
  receiver: string
}

let count = 0

/** Makes the resource, and the agents of both parties, that the objects are about. */
export async function openObjects(office: Office, parties: Parties): Promise<Objects> {
  for (const code of Object.values(parties)) await addAgency(office, 'admin', { code, name: code }).catch(() => undefined)
  const resource = `objects${++count}`
  const schema = villages((draft) =>
    Object.assign(draft, { resource, title: `村居名录 ${count}`, agency: parties.provider, table: resource }),
  )
  await publishResource(office, 'admin', { schema })
  const agent = (await enrolled(office, parties.receiver)).id
  const own = (await enrolled(office, parties.provider)).id
  return { office, parties, resource, agent, own }
}

export interface Objects {
  office: Registry
  parties: Parties
  resource: string
  /** Agents of the receiver and of the provider. */
  agent: string
  own: string
}

/** Makes one object of a kind; in the state, where one is given. @returns its id. */
export async function makeObject(objects: Objects, kind: ObjectKind, state?: string): Promise<string> {
  const { query } = objects.office.store
  const [text, values] = statements(objects)[kind]
  const [row] = await query<{ id: string }>(text, values)
  const id = row!.id
  if (state !== undefined) await query(`update ${tables[kind] ?? kind} set state = $2 where ${keys[kind] ?? 'id::text'} = $1`, [id, state])
  return id
}

const tables: Partial<Record<ObjectKind, string>> = {
  grant: 'access_grant',
  machine: 'machine_application',
  publication: 'publication_request',
  order: 'rectification_order',
  key: 'api_key',
}
const keys: Partial<Record<ObjectKind, string>> = { resource: 'code', standard: 'code', agency: 'code', grant: 'id', agent: 'id' }

function statements({ parties: { provider, receiver }, resource, agent, own }: Objects): Record<ObjectKind, [string, unknown[]]> {
  const code = `made-${++count}`
  const person = [`insert into person (agency, login, name, state) values ($1, $2, $2, 'active') returning id`, [provider, code]] as [
    string,
    unknown[],
  ]
  const somebody = '(select min(id) from person)'
  return {
    agency: ['select $1::text as id', [provider]],
    person,
    session: [
      `with p as (insert into person (agency, login, name, state) values ($2, $1, $1, 'active') returning id)
       insert into session (secret_hash, person, created_at, last_used) select $1, id, '9000-01-01', '9000-01-01' from p returning id`,
      [code, provider],
    ],
    key: [
      `insert into api_key (secret_hash, agency, name, role, created_by, expires_at) values ($1, $2, 'machine', 'user', 'test', 'infinity') returning id`,
      [code, provider],
    ],
    job: [
      `insert into job (kind, object, agency, by, request, created) values ('excel.check', $1, $2, '{"actor": "test"}', '{}', now()) returning id`,
      [resource, provider],
    ],
    registration: [
      `insert into registration (agency, resource, content, state, drafted_by, drafted_at, created_at)
       values ($1, $2, '{}', 'draft', 'nobody', now(), now()) returning id`,
      [provider, code],
    ],
    resource: ['select $1::text as id', [resource]],
    standard: [`insert into standard (code) values ($1) returning code as id`, [code]],
    application: [
      `insert into application (agency, resource, mode, items, purpose, basis, agent, state, created_at)
       values ($1, $2, 'exchange', '{name}', 'purpose', 'basis', $3, 'draft', now()) returning id`,
      [receiver, resource, agent],
    ],
    grant: [
      `insert into access_grant (id, resource, agency, items) values ($1, $2, $3, '{name}') returning id`,
      [code, resource, receiver],
    ],
    route: [
      `with granted as (insert into access_grant (id, resource, agency, items) values ($1, $2, $3, '{name}') returning id)
       insert into route (id, access_grant, agent) select $1, id, $4 from granted returning id`,
      [code, resource, receiver, agent],
    ],
    reconciliation: [
      `with granted as (insert into access_grant (id, resource, agency, items) values ($1, $2, $3, '{name}') returning id),
         routed as (insert into route (id, access_grant, agent) select $1, id, $4 from granted returning id)
       insert into reconciliation (route, requested_by, requested_at, repair, state, not_before, deadline)
       select id, 'test', now(), false, 'failed', now(), now() from routed returning id`,
      [code, resource, receiver, agent],
    ],
    machine: [
      `insert into machine_application (agency, name, purpose, provided_by, state, created_at)
       values ($1, 'machine', 'purpose', 'agency', 'applied', now()) returning id`,
      [provider],
    ],
    agent: ['select $1::text as id', [own]],
    demand: [
      `insert into demand (agency, title, what, why, basis, provider, state, created_at)
       values ($1, 'title', 'what', 'why', 'basis', $2, 'submitted', now()) returning id`,
      [receiver, provider],
    ],
    publication: [
      `with granted as (insert into access_grant (id, resource, agency, items) values ($3, $2, $1, '{name}') returning id)
       insert into publication_request (agency, access_grant, resource, items, place, purpose, source, state, created_at)
       select $1, id, $2, '{name}', 'place', 'purpose', 'source', 'asked', now() from granted returning id`,
      [receiver, resource, code],
    ],
    // One proposal at a time waits on a resource: each has its own.
    opening: [
      `with made as (insert into resource (code, agency, title, version) values ($2, $1, $2, 1) returning code),
         shaped as (insert into resource_version (resource, version, schema) select code, 1, '{"items": []}' from made)
       insert into opening (resource, items, state, created_at) select code, '{name}', 'proposed', now() from made returning id`,
      [provider, code],
    ],
    correction: [
      `insert into correction (agency, resource, fault, state, created_at) values ($1, $2, 'fault', 'reported', now()) returning id`,
      [receiver, resource],
    ],
    declaration: [
      `insert into declaration (agency, kind, text, measures, drafted_by, state, created_at)
       values ($1, 'force-majeure', 'text', 'measures', ${somebody}, 'drafted', now()) returning id`,
      [provider],
    ],
    order: [
      `insert into rectification_order (agency, cause, text, due, issuer, issued_by, state, created_at)
       values ($1, 'update', 'text', '2099-01-01', 'office', 'test', 'issued', now()) returning id`,
      [provider],
    ],
    evaluation: [
      `insert into evaluation (period, starts, ends, weights, drawn_at, drawn_by)
       values ($1, '2026-07-01', '2026-09-30', '{}', now(), 'test') returning id`,
      [code],
    ],
  }
}
