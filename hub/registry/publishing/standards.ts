import { filter, listPage, type Asked, type Listing, type Page } from '../../records/listing.ts'
import type { Principal } from '../../access/principal.ts'
import { change, checkCode, type Registry } from '../../records/registry.ts'
import type { StandardForm } from '../catalog/standard-form.ts'
import { record } from '../../records/history.ts'
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

const adoptersSql = `select s.*, array(select distinct agency from resource r where r.standard = s.code and r.state <> 'withdrawn'
    order by agency) as adopters
  from (${standardSql}) s`

/** Drafts are the office's own: with them where $1. */
export const standardList = {
  select: `select a.code, a.state, a.version, a.form, case when $1 then a.draft end as draft, a.published, a.adopters,
      coalesce(a.form, case when $1 then a.draft end) ->> 'title' as title
    from (${adoptersSql}) a where $1 or a.state <> 'draft'`,
  filters: {
    state: filter.among('state', Object.keys(standardFlow.states)),
    agency: filter.where((place) => `${place} = any(l.adopters)`),
    text: filter.holds('code', 'title'),
  },
  sorts: { code: 'text', title: 'text', state: 'text', version: 'bigint', published: 'timestamptz' },
  first: 'code',
  id: ['code', 'text'],
} as const satisfies Listing

export function listStandards(
  { store }: Registry,
  drafts: boolean,
  asked: Asked,
): Promise<Page<ListedStandard & { title: string | null }>> {
  return listPage(store.query, standardList, [drafts], asked)
}

/** Throws QZ-NOT-FOUND, also for a draft that is none of the caller's. */
export async function readStandard({ store }: Registry, code: string, drafts: boolean): Promise<ListedStandard> {
  const [standard] = await store.query<ListedStandard>(`${adoptersSql} where code = $1`, [code])
  if (!standard || (standard.state === 'draft' && !drafts)) throw notFound('standard', code)
  return drafts ? standard : { ...standard, draft: null }
}
