import type { Query } from '../../store/store.ts'
import { lockNames } from '../catalog/name-forms.ts'
import { writeAudit } from '../../records/audit.ts'
import { change, checkCode, type Registry } from '../../records/registry.ts'
import { nameForm } from '../../records/name-form.ts'
import { conflict, notFound, rule, wrongState } from '../../records/refusals.ts'

/** An agency 机关单位: provides or receives data. */
export interface Agency {
  code: string
  name: string
}

/** The same again changes nothing; another name under a code that is taken is QZ-CONFLICT. */
export async function addAgency(registry: Registry, actor: string, agency: Agency): Promise<Agency> {
  checkCode(agency.code, 'agency', 40)
  return change(registry, async (query) => {
    await lockNames(query)
    const [there] = await query('select from agency where code = $1', [agency.code])
    if (!there) {
      const form = await freeName(query, agency.code, agency.name)
      const values = [agency.code, agency.name, form, registry.clock()]
      await query('insert into agency (code, name, name_form, created_at) values ($1, $2, $3, $4)', values)
      await writeAudit(query, { actor, act: 'agency.add', object: agency.code, details: { name: agency.name } })
    }
    const known = await requireAgency(query, agency.code)
    if (known.name !== agency.name) throw conflict('agency', agency.code, known.name)
    return known
  })
}

/** For a change of it: two moves at once might close a circle that neither sees. */
export async function lockAgency(query: Query, code: string): Promise<void> {
  await query(`select pg_advisory_xact_lock(hashtext('agency tree'))`)
  await query('select from agency where code = $1 for no key update', [code])
}

/** Locks names. @returns the form of a name that no other agency has (QZ-RULE). */
export async function freeName(query: Query, code: string, name: string): Promise<string> {
  await lockNames(query)
  const form = nameForm(name)
  const [other] = await query<Agency>(`select code, name from agency where name_form = $1 and code <> $2 and state <> 'closed'`, [
    form,
    code,
  ])
  if (other) throw rule(`名称与机关单位“${other.name}”（${other.code}）相同`, `agency ${other.code} has the same name, "${other.name}"`)
  return form
}

/** For whatever is made for an agency: it is not closed meanwhile. Throws QZ-NOT-FOUND, and QZ-STATE where it is closed. */
export async function requireAgency(query: Query, code: string): Promise<Agency> {
  const [agency] = await query<Agency & { state: string }>('select code, name, state from agency where code = $1 for key share', [code])
  if (!agency) throw notFound('agency', code)
  if (agency.state === 'closed') throw wrongState('agency', code, { zh: '已撤销', en: 'closed' }, { zh: '新增事项', en: 'anything new' })
  return { code: agency.code, name: agency.name }
}

/** As people call it: in what is written to them. */
export async function nameOfAgency(query: Query, code: string | null): Promise<string> {
  const [agency] = await query<{ name: string }>('select name from agency where code = $1', [code])
  return agency?.name ?? code ?? ''
}

export function listAgencies({ store }: Registry): Promise<Agency[]> {
  return store.query<Agency>('select code, name from agency order by code')
}
