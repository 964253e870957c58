/** All that a decision on an application rests on, in one answer: for the office, which decides (Art. 7, 16). */
import { dayOf } from '../../records/calendar.ts'
import { daysLeft } from '../../records/deadlines.ts'
import type { Registry } from '../../records/registry.ts'
import { readRules } from '../../records/settings.ts'
import type { Query } from '../../store/store.ts'
import { readApplication, type Application } from './applications.ts'

export interface Reachable {
  id: string
  name: string
  phone: string | null
  email: string | null
}

/** An item that is asked for, as the provider describes it. */
export interface AskedItem {
  resource: string
  id: string
  label: string
  type: string
  openness: string
}

/** What is asked for: one resource, or each that follows the standard. */
export interface AskedResource {
  resource: string
  title: string
  provider: string
  state: string
  sharing: string
  sharingConditions: string | null
  shareModes: string[]
  cycle: string
  /** When rows last came; null where none have. */
  updated: Date | null
  responsible: Reachable | null
}

/** A grant as it weighs in the decision. */
export interface Weighed {
  id: string
  resource: string
  title: string
  agency: string
  items: string[]
  mode: string
  state: string
  purpose: string | null
  validTo: Date | null
}

export interface Dossier {
  application: Application
  /** Who submitted it; null before it is, and where no person did. */
  submitter: Reachable | null
  /** Whom the applying agency has named as responsible (Art. 23). */
  responsible: Reachable | null
  items: AskedItem[]
  resources: AskedResource[]
  /** What others have of these resources. */
  others: Weighed[]
  /** What the applicant has from these providers. */
  own: Weighed[]
  /** What was decided before on the same, newest first. */
  earlier: {
    id: string
    state: string
    items: string[]
    approvedItems: string[] | null
    purpose: string
    reason: string | null
    decided: Date | null
  }[]
  machine: { id: string; name: string; state: string; lastSeen: Date | null; held: string[] } | null
  deadline: { kind: string; due: string | null; daysLeft: number | null; extended: number; missed: boolean } | null
}

/** Throws QZ-NOT-FOUND. */
export async function readDossier(registry: Registry, id: string, agency: string | null): Promise<Dossier> {
  const { query } = registry.store
  const application = await readApplication(registry, id, agency)
  const resources = await query<AskedResource>(resourcesSql, [application.resource, application.standard, application.agency])
  const codes = resources.map(({ resource }) => resource)
  const providers = resources.map(({ provider }) => provider)
  return {
    application,
    submitter: await submitterOf(query, id),
    responsible: (await query<{ who: Reachable | null }>(responsibleSql, [application.agency]))[0]?.who ?? null,
    items: await query<AskedItem>(itemsSql, [codes, application.items]),
    resources,
    others: await query<Weighed>(`${grantsSql} g.resource = any($1) and g.agency <> $2 order by g.agency, g.id`, [
      codes,
      application.agency,
    ]),
    own: await query<Weighed>(`${grantsSql} r.agency = any($1) and g.agency = $2 order by g.resource, g.id`, [
      providers,
      application.agency,
    ]),
    earlier: await query(earlierSql, [id, application.agency, application.resource, application.standard]),
    machine:
      application.agent === null ? null : ((await query<NonNullable<Dossier['machine']>>(machineSql, [application.agent]))[0] ?? null),
    deadline: await deadlineOf(registry, id),
  }
}

const reachable = (person: string) =>
  `case when ${person}.id is not null then jsonb_build_object('id', ${person}.id::text, 'name', ${person}.name, 'phone', ${person}.phone, 'email', ${person}.email) end`

const responsibleSql = `select ${reachable('p')} as who from agency a left join person p on p.id = a.responsible where a.code = $1`

const resourcesSql = `
  select r.code as resource, r.title, r.agency as provider, r.state, r.sharing, r.sharing_conditions as "sharingConditions",
    r.share_modes as "shareModes", r.cycle, s.last_push as updated, ${reachable('p')} as responsible
  from resource r join agency a on a.code = r.agency left join person p on p.id = a.responsible left join stream s on s.resource = r.code
  where r.code = $1 or (r.standard = $2 and r.agency <> $3 and r.state <> 'withdrawn') order by r.code`

const itemsSql = `
  select r.code as resource, i.item ->> 'id' as id, i.item ->> 'label' as label, i.item ->> 'type' as type, i.item ->> 'openness' as openness
  from resource r join resource_version v on v.resource = r.code and v.version = r.version
    cross join jsonb_array_elements(v.schema -> 'items') with ordinality i(item, n)
  where r.code = any($1) and i.item ->> 'id' = any($2) order by r.code, i.n`

const grantsSql = `
  select g.id, g.resource, r.title, g.agency, g.items, g.mode, g.state, a.purpose, g.valid_to as "validTo"
  from access_grant g join resource r on r.code = g.resource left join application a on a.id = g.application
  where g.state in ('active', 'suspended', 'held') and`

const earlierSql = `
  select id::text, state, items, approved_items as "approvedItems", purpose, reason, decided_at as decided from application
  where id::text <> $1 and agency = $2 and (resource = $3 or standard = $4) and state in ('approved', 'rejected') order by decided_at desc, id desc`

const machineSql = `
  select a.id, a.name, a.state, a.last_seen as "lastSeen",
    array(select code from agent_fault f where f.agent = a.id and f.gone_at is null order by since) as held
  from agent a where a.id = $1`

async function submitterOf(query: Query, id: string): Promise<Reachable | null> {
  const [found] = await query<{ who: Reachable | null }>(
    `select ${reachable('p')} as who from history h left join person p on h.actor = 'person ' || p.id
     where h.workflow = 'application' and h.object = $1 and h.event = 'submit' order by h.id desc limit 1`,
    [id],
  )
  return found?.who ?? null
}

async function deadlineOf({ store, clock }: Registry, id: string): Promise<Dossier['deadline']> {
  const [open] = await store.query<{ kind: string; due: string | null; extended: number }>(
    `select kind, due::text, extended from deadline where object = 'application ' || $1 and ended_at is null order by id desc limit 1`,
    [id],
  )
  if (!open) return null
  const today = dayOf(clock())
  const left = open.due === null ? null : daysLeft(await readRules(store.query), today, open.due)
  return { ...open, daysLeft: left, missed: open.due !== null && open.due < today }
}
