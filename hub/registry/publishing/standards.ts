import type { Principal } from '../../access/principal.ts'
import { change, checkCode, type Registry } from '../../records/registry.ts'
import type { StandardForm } from '../catalog/standard-form.ts'
import { record } from '../workflow.ts'
import { loadStandard, standardFlow, standardSql, type Standard } from './standard-workflow.ts'
import { conflict, notFound } from '../../records/refusals.ts'

/** Drafts a standard of the office. Throws QZ-CONFLICT where the code is taken. */
export async function createStandard(registry: Registry, principal: Principal, code: string, form: StandardForm): Promise<Standard> {
  checkCode(code, 'standard', 44)
  return change(registry, async (query) => {
    const [made] = await query('insert into standard (code, draft, created_at) values ($1, $2, $3) on conflict do nothing returning 1', [
      code,
      JSON.stringify(form),
      registry.clock(),
    ])
    if (!made) throw conflict('standard', code)
    const { initial } = standardFlow
    await record(query, { workflow: 'standard', object: code, event: 'create', from: null, to: initial, principal, input: {} })
    return loadStandard(query, code)
  })
}

export interface ListedStandard extends Standard {
  /** Agencies with a resource in force that follows it. */
  adopters: string[]
}

/** Drafts are the office's own. */
export function listStandards({ store }: Registry, drafts: boolean): Promise<ListedStandard[]> {
  return store.query<ListedStandard>(`${adoptersSql} where $1 or state <> 'draft' order by code`, [drafts])
}

const adoptersSql = `select s.*, array(select distinct agency from resource r where r.standard = s.code and r.state <> 'withdrawn'
    order by agency) as adopters
  from (${standardSql}) s`

/** Throws QZ-NOT-FOUND, also for a draft that is none of the caller's. */
export async function readStandard({ store }: Registry, code: string, drafts: boolean): Promise<ListedStandard> {
  const [standard] = await store.query<ListedStandard>(`${adoptersSql} where code = $1`, [code])
  if (!standard || (standard.state === 'draft' && !drafts)) throw notFound('standard', code)
  return drafts ? standard : { ...standard, draft: null }
}
