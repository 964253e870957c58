import { filter, listPage, type Asked, type Listing, type Page } from '../../records/listing.ts'
import { QianzhiError } from '../../../protocol/errors.ts'
import { checkIdentifier, identifierFaultText } from '../../../protocol/identifiers.ts'
import { actedBy, type Principal } from '../../access/principal.ts'
import type { Query } from '../../store/store.ts'
import { freeName, lockAgency, requireAgency, type Agency } from './agencies.ts'
import { checkClosable, endOfAgency } from './agency-closing.ts'
import { lockNames } from '../catalog/name-forms.ts'
import { writeAudit } from '../../records/audit.ts'
import { indexAgency } from '../publishing/publishing.ts'
import { change, checkCode, type Registry } from '../../records/registry.ts'
import { conflict, notFound } from '../../records/refusals.ts'

/** Towns and streets; municipal bodies; central and provincial bodies stationed in the city; others (Art. 2, 4). */
export const agencyKinds = {
  town: { zh: '镇街', en: 'town or street' },
  municipal: { zh: '市直单位', en: 'municipal' },
  stationed: { zh: '中央、省驻市单位', en: 'stationed in the city' },
  other: { zh: '其他', en: 'other' },
} as const

export type AgencyKind = keyof typeof agencyKinds

/** An agency's place in the tree, and whom it has named (Art. 23). */
export interface AgencyRecord extends Agency {
  parent: string | null
  kind: AgencyKind
  /** Unified social credit code (GB 32100). */
  uscc: string | null
  state: 'active' | 'closed'
  responsible: { id: string; name: string } | null
  deputy: { id: string; name: string } | null
  /** Newest version of its internal rules. */
  rules: number | null
}

const person = (column: string) => `(select jsonb_build_object('id', id::text, 'name', name) from person where id = a.${column})`
const agencySql = `select a.code, a.name, a.parent, a.kind, a.uscc, a.state, ${person('responsible')} as responsible, ${person('deputy')} as deputy,
    (select max(version) from agency_rules where agency = a.code) as rules
  from agency a`

export const agencyList = {
  select: agencySql,
  filters: {
    state: filter.among('state', ['active', 'closed']),
    kind: filter.among('kind', Object.keys(agencyKinds)),
    parent: filter.equal('parent'),
    text: filter.holds('code', 'name', 'uscc'),
  },
  sorts: { code: 'text', name: 'text', parent: 'text', kind: 'text', state: 'text' },
  first: 'code',
  id: ['code', 'text'],
} as const satisfies Listing

export function listAgencyTree({ store }: Registry, asked: Asked): Promise<Page<AgencyRecord>> {
  return listPage(store.query, agencyList, [], asked)
}

export async function readAgency(query: Query, code: string): Promise<AgencyRecord> {
  const [agency] = await query<AgencyRecord>(`${agencySql} where a.code = $1`, [code])
  if (!agency) throw notFound('agency', code)
  return agency
}

export interface AgencyInput {
  name: string
  parent?: string | null
  kind?: AgencyKind
  uscc?: string | null
}

/** Throws QZ-CONFLICT where the code is taken, QZ-RULE where the name is. */
export async function createAgency(registry: Registry, principal: Principal, input: AgencyInput & Agency): Promise<AgencyRecord> {
  return change(registry, (query) => insertAgency(query, principal, input, registry.clock()))
}

/** Within a transaction. */
export async function insertAgency(query: Query, principal: Principal, input: AgencyInput & Agency, now: Date): Promise<AgencyRecord> {
  const { code, name, parent = null, kind = 'municipal', uscc = null } = input
  checkCode(code, 'agency', 40)
  checkUscc(uscc)
  if (parent !== null) await requireAgency(query, parent)
  await lockNames(query)
  const [there] = await query('select from agency where code = $1', [code])
  if (there) throw conflict('agency', code)
  await query('insert into agency (code, name, parent, kind, uscc, name_form, created_at) values ($1, $2, $3, $4, $5, $6, $7)', [
    code,
    name,
    parent,
    kind,
    uscc,
    await freeName(query, code, name),
    now,
  ])
  await writeAudit(query, { ...actedBy(principal), act: 'agency.create', object: `agency ${code}`, details: { name, parent, kind, uscc } })
  return readAgency(query, code)
}

export type AgencyChange = Partial<AgencyInput> & { state?: 'active' | 'closed' }

/** Throws QZ-RULE for a circle, for a name that another has, and for closing what something is still in force for. */
export async function changeAgency(registry: Registry, principal: Principal, code: string, input: AgencyChange): Promise<AgencyRecord> {
  return change(registry, (query) => updateAgency(query, principal, code, input, registry.clock()))
}

/** Within a transaction. The same again changes nothing. */
export async function updateAgency(
  query: Query,
  principal: Principal,
  code: string,
  input: AgencyChange,
  now: Date,
): Promise<AgencyRecord> {
  await lockAgency(query, code)
  const before = await readAgency(query, code)
  const { name, parent, kind, uscc, state } = { ...before, ...input }
  const details = Object.fromEntries(
    Object.entries({ name, parent, kind, uscc, state }).filter(([key, value]) => value !== before[key as 'name']),
  )
  if (Object.keys(details).length === 0) return before
  if ('uscc' in details) checkUscc(uscc)
  if ('parent' in details) await checkParent(query, code, parent)
  if (details['state'] === 'closed') await checkClosable(query, code)
  // Also of one that is opened again: another may have taken its name.
  const named = 'name' in details || 'state' in details
  const form = named && state === 'active' ? await freeName(query, code, name) : null
  await query(
    `update agency set name = $2, parent = $3, kind = $4, uscc = $5, state = $6,
       name_form = case when $7 then $8 else name_form end where code = $1`,
    [code, name, parent, kind, uscc, state, named, form],
  )
  if ('name' in details) await indexAgency(query, code)
  if (details['state'] === 'closed') await endOfAgency(query, code, now)
  await writeAudit(query, { ...actedBy(principal), act: 'agency.change', object: `agency ${code}`, details })
  return readAgency(query, code)
}

function checkUscc(uscc: string | null): void {
  const fault = uscc === null ? undefined : checkIdentifier('uscc', uscc)
  if (fault) throw new QianzhiError('QZ-REQUEST-INVALID', { reason: identifierFaultText('uscc', fault) })
}

async function checkParent(query: Query, code: string, parent: string | null): Promise<void> {
  if (parent === null) return
  await requireAgency(query, parent)
  const above = await query<{ code: string }>(
    `with recursive above as (
       select code, parent from agency where code = $1
       union select agency.code, agency.parent from agency join above on agency.code = above.parent
     ) select code from above`,
    [parent],
  )
  if (!above.some((ancestor) => ancestor.code === code)) return
  throw new QianzhiError('QZ-RULE', { reason: { zh: `${parent} 是 ${code} 的下级单位`, en: `${parent} is below ${code}` } })
}

export interface Named {
  responsible: string | null
  deputy: string | null
}

/** Names the person who is responsible for sharing, and the deputy (Art. 23): people of the agency (QZ-RULE). */
export async function nameResponsible(registry: Registry, principal: Principal, code: string, named: Named): Promise<AgencyRecord> {
  return change(registry, async (query) => {
    await lockAgency(query, code)
    const ids = [named.responsible, named.deputy].filter((id) => id !== null)
    const people = await query(`select from person where id::text = any($1) and agency = $2 and state <> 'disabled'`, [ids, code])
    if (people.length !== ids.length) {
      const reason = { zh: '须是本单位两名不同的在用人员（第二十三条）', en: 'two different people of the agency, not disabled (Art. 23)' }
      throw new QianzhiError('QZ-RULE', { reason })
    }
    await query('update agency set responsible = $2, deputy = $3 where code = $1', [code, named.responsible, named.deputy])
    await writeAudit(query, { ...actedBy(principal), act: 'agency.responsible', object: `agency ${code}`, details: { ...named } })
    return readAgency(query, code)
  })
}
