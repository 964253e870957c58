import type { Principal } from '../../access/principal.ts'
import type { Day } from '../../records/calendar.ts'
import { notify } from '../../records/notices.ts'
import { parsePeriod } from '../../supervision/duties/periods.ts'
import type { Query } from '../../store/store.ts'
import { change, type Registry } from '../../records/registry.ts'
import { requireResource } from '../catalog/resources.ts'
import { record } from '../workflow.ts'
import { declarationSql, loadDeclaration, type Declaration, type DeclarationKind } from '../workflows/declaration.ts'
import { rule } from '../../records/refusals.ts'

export interface NewDeclaration {
  kind: DeclarationKind
  resource?: string
  period?: string
  text: string
  basis?: string
  measures?: string
  until?: Day
}

/** Drafts a declaration, for a reviewer of the agency to sign. Throws QZ-RULE where something that its kind needs is missing. */
export async function draftDeclaration(registry: Registry, principal: Principal, wanted: NewDeclaration): Promise<Declaration> {
  checkComplete(wanted)
  return change(registry, async (query) => {
    await checkOwn(query, principal, wanted.resource)
    return insert(query, principal, wanted, registry.clock())
  })
}

function checkComplete({ kind, resource, period, measures, basis }: NewDeclaration): void {
  if (kind === 'no-change' && (resource === undefined || period === undefined)) {
    throw rule('没有变化说明须写明资源和期间(第十四条)', 'that nothing changed is declared of a resource and a period (Art. 14)')
  }
  if (period !== undefined) parsePeriod(period)
  if (kind === 'cannot-supply' && basis === undefined) throw rule('须写明理由依据(第七条)', 'the basis must be named (Art. 7)')
  if (kind === 'force-majeure' && measures === undefined)
    throw rule('须写明补救措施(第二十条)', 'remedial measures must be named (Art. 20)')
}

async function checkOwn(query: Query, { agency }: Principal, resource: string | undefined): Promise<void> {
  if (resource === undefined || (await requireResource(query, resource)).agency === agency) return
  throw rule(`资源 ${resource} 不是本单位的`, `resource ${resource} is not your agency's`)
}

async function insert(query: Query, principal: Principal, wanted: NewDeclaration, now: Date): Promise<Declaration> {
  const { kind, resource, period, text, basis, measures, until } = wanted
  const [row] = await query<{ id: string }>(
    `insert into declaration (agency, kind, resource, period, text, basis, measures, until, drafted_by, state, created_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'drafted', $10) returning id`,
    [principal.agency, kind, resource, period, text, basis, measures, until, principal.person, now],
  )
  const { id } = row!
  const input = { kind, ...(resource && { resource }), ...(period && { period }) }
  await record(query, { workflow: 'declaration', object: id, event: 'create', from: null, to: 'drafted', principal, input })
  const texts = { zh: `声明 ${id} 待审签`, en: `Declaration ${id} waits to be signed` }
  const to = { agency: principal.agency!, role: 'reviewer' } as const
  await notify(query, { to, kind: 'declaration', object: `declaration ${id}`, ...texts })
  return loadDeclaration(query, id)
}

export function listDeclarations(
  { store }: Registry,
  agencyScope: string | null,
  before: string | null,
  limit: number,
): Promise<Declaration[]> {
  return store.query<Declaration>(
    `${declarationSql} where ($1::text is null or agency = $1) and ($2::bigint is null or id < $2) order by id desc limit $3`,
    [agencyScope, before, limit],
  )
}
