import type { Query } from '../../store/store.ts'
import { writeAudit } from '../../records/audit.ts'
import { change, checkCode, type Registry } from '../../records/registry.ts'
import { conflict, notFound, wrongState } from '../../records/refusals.ts'

/** An agency 机关单位: provides or receives data. */
export interface Agency {
  code: string
  name: string
}

/** The same again changes nothing; another name under a code that is taken is QZ-CONFLICT. */
export async function addAgency(registry: Registry, actor: string, agency: Agency): Promise<Agency> {
  checkCode(agency.code, 'agency', 40)
  return change(registry, async (query) => {
    const added = await query('insert into agency (code, name) values ($1, $2) on conflict do nothing returning code', [
      agency.code,
      agency.name,
    ])
    if (added.length > 0) await writeAudit(query, { actor, act: 'agency.add', object: agency.code, details: { name: agency.name } })
    const known = await requireAgency(query, agency.code)
    if (known.name !== agency.name) throw conflict('agency', agency.code, known.name)
    return known
  })
}

/** For whatever is made for an agency: it is not closed meanwhile. Throws QZ-NOT-FOUND, and QZ-STATE where it is closed. */
export async function requireAgency(query: Query, code: string): Promise<Agency> {
  const [agency] = await query<Agency & { state: string }>('select code, name, state from agency where code = $1 for key share', [code])
  if (!agency) throw notFound('agency', code)
  if (agency.state === 'closed') throw wrongState('agency', code, { zh: '已撤销', en: 'closed' }, { zh: '新增事项', en: 'anything new' })
  return { code: agency.code, name: agency.name }
}

export function listAgencies({ store }: Registry): Promise<Agency[]> {
  return store.query<Agency>('select code, name from agency order by code')
}
