import { filter, listPage, type Asked, type Listing, type Page } from '../../records/listing.ts'
import { nameOfAgency } from '../agencies/agencies.ts'
import { randomBytes } from 'node:crypto'
import type { EnrolToken } from '../../../protocol/api.ts'
import { sha256 } from '../../../protocol/signature.ts'
import { theHub, type Principal } from '../../access/principal.ts'
import { notify } from '../../records/notices.ts'
import type { Query } from '../../store/store.ts'
import { change, type Registry } from '../../records/registry.ts'
import { tokenText } from './token-text.ts'
import { record } from '../../records/history.ts'
import { applyEvent } from '../workflow.ts'
import { loadMachine, machineFlow, machineSql, requireReplaceable, type Machine } from './machine-workflow.ts'

export interface NewMachine {
  name: string
  purpose: string
  providedBy: Machine['providedBy']
  replaces?: string
}

/** Applies for a front-end machine (Art. 15). Throws QZ-NOT-FOUND, QZ-AGENT-REVOKED, QZ-RULE for one that cannot be replaced. */
export async function applyForMachine(registry: Registry, principal: Principal, wanted: NewMachine): Promise<Machine> {
  const { name, purpose, providedBy, replaces = null } = wanted
  return change(registry, async (query) => {
    if (replaces !== null) await requireReplaceable(query, principal.agency!, replaces)
    const [row] = await query<{ id: string }>(
      `insert into machine_application (agency, name, purpose, provided_by, replaces, state, created_at)
       values ($1, $2, $3, $4, $5, $6, $7) returning id`,
      [principal.agency, name, purpose, providedBy, replaces, machineFlow.initial, registry.clock()],
    )
    const { id } = row!
    await record(query, {
      workflow: 'machine',
      object: id,
      event: 'create',
      from: null,
      to: 'applied',
      principal,
      input: { ...wanted },
      now: registry.clock(),
    })
    const agencyName = await nameOfAgency(query, principal.agency)
    await notify(query, {
      to: { role: 'office' },
      kind: 'machine',
      object: `machine ${id}`,
      zh: `${agencyName}申请前置机 ${name}（申请 ${id}）`,
      en: `${agencyName} applies for front-end machine ${name} (application ${id})`,
    })
    return loadMachine(query, id)
  })
}

export const machineList = {
  select: `${machineSql} where $1::text is null or m.agency = $1`,
  filters: {
    state: filter.among('state', Object.keys(machineFlow.states)),
    agency: filter.equal('agency'),
    text: filter.holds('id', 'name', 'agent', 'purpose'),
    from: filter.from('created'),
    to: filter.to('created'),
  },
  sorts: { id: 'bigint', agency: 'text', name: 'text', state: 'text', created: 'timestamptz' },
  first: '-id',
  id: ['id', 'bigint'],
} as const satisfies Listing

export function listMachines({ store }: Registry, agencyScope: string | null, asked: Asked): Promise<Page<Machine>> {
  return listPage(store.query, machineList, [agencyScope], asked)
}

const hours = 72

/** A whole enrolment token, shown once; the one taken before counts no longer. @returns also when it expires. */
export async function takeToken(
  registry: Registry,
  principal: Principal,
  id: string,
  address: Omit<EnrolToken, 'secret'>,
): Promise<{ token: string; expires: Date }> {
  const secret = randomBytes(24).toString('base64url')
  const expires = new Date(registry.clock().getTime() + hours * 3_600_000)
  await change(registry, async (query, affectedAgents) => {
    const { agency } = await applyEvent(machineFlow, 'token', id, { registry, query, affectedAgents, principal, input: {} })
    const text = 'insert into enrolment_token (secret_hash, agency, expires_at, machine) values ($1, $2, $3, $4)'
    await query(text, [sha256(secret), agency, expires, id])
  })
  return { token: tokenText(address, secret), expires }
}

/** An agent has enrolled with the token of an approved application, in the transaction of its enrolment. */
export async function machineEnrolled(
  registry: Registry,
  query: Query,
  affectedAgents: Set<string>,
  { machine, agent }: { machine: string; agent: string },
): Promise<void> {
  await applyEvent(machineFlow, 'enrol', machine, { registry, query, affectedAgents, principal: theHub, input: { agent } })
}
