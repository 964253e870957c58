import { QianzhiError } from '../../../protocol/errors.ts'
import { itemById, keyItems } from '../../../protocol/schema.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { Principal } from '../../access/principal.ts'
import { notify } from '../../records/notices.ts'
import type { Query } from '../../store/store.ts'
import { change, type Registry } from '../../records/registry.ts'
import { requireResource } from '../catalog/resources.ts'
import { record } from '../workflow.ts'
import { correctionFlow, correctionSql, loadCorrection, withFault, type Correction } from '../workflows/correction.ts'

export interface NewCorrection {
  resource: string
  /** Values of the key items of the row that is meant, portable texts; absent: the whole resource. */
  key?: Record<string, string>
  /** Ids of the items concerned. */
  items?: string[]
  fault: string
  wanted?: string
}

/** Reports an error (Art. 18) in data that one's agency receives, or has received. Throws QZ-RULE, QZ-REQUEST-INVALID. */
export async function reportCorrection(registry: Registry, principal: Principal, wanted: NewCorrection): Promise<Correction> {
  return change(registry, async (query) => {
    await checkReceives(query, principal, wanted.resource)
    await checkNames(query, wanted)
    return insertCorrection(query, principal, wanted, registry.clock())
  })
}

async function checkReceives(query: Query, { agency }: Principal, resource: string): Promise<void> {
  const [grant] = await query('select from access_grant where resource = $1 and agency = $2 limit 1', [resource, agency])
  if (grant) return
  throw new QianzhiError('QZ-RULE', {
    reason: { zh: '只能更正本单位获取的数据(第十八条)', en: 'only data that your agency receives can be corrected (Art. 18)' },
  })
}

async function checkNames(query: Query, { resource, key, items = [] }: NewCorrection): Promise<void> {
  const { schema } = await requireResource(query, resource)
  const unknown = items.find((id) => !itemById(schema, id))
  if (unknown !== undefined) throw invalid({ zh: `没有信息项 ${unknown}`, en: `item ${unknown} does not exist` })
  if (!key) return
  const wanted = keyItems(schema).map(({ id }) => id)
  if (wanted.toSorted().join() === Object.keys(key).toSorted().join()) return
  throw invalid({ zh: `行须以主键 ${wanted.join('、')} 指明`, en: `a row is named by its key items ${wanted.join(', ')}` })
}

/** A receiver's agent reports what its table refuses (see refusals.ts); the provider is told at once, the office passes it on. */
export async function reportRefusal(query: Query, agent: Principal, wanted: NewCorrection, origin: string, now: Date): Promise<void> {
  const { id, resource, provider } = await insertCorrection(query, agent, wanted, now, origin)
  await notify(query, {
    to: { agency: provider, role: 'registrar' },
    kind: 'correction',
    object: `correction ${id}`,
    zh: `资源 ${resource} 有数据被获取单位的落地表拒绝(更正 ${id})`,
    en: `A receiver's table refuses rows of resource ${resource} (correction ${id})`,
  })
}

async function insertCorrection(
  query: Query,
  principal: Principal,
  wanted: NewCorrection,
  now: Date,
  origin: string | null = null,
): Promise<Correction> {
  const { resource, key, items = [], fault } = wanted
  const [row] = await query<{ id: string }>(
    `insert into correction (agency, reporter, resource, row_key, items, fault, wanted, state, created_at, origin)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) returning id`,
    [
      principal.agency,
      principal.person,
      resource,
      key ? JSON.stringify(key) : null,
      items,
      fault,
      wanted.wanted ?? null,
      correctionFlow.initial,
      now,
      origin,
    ],
  )
  const id = row!.id
  await record(query, { workflow: 'correction', object: id, event: 'create', from: null, to: 'reported', principal, input: { resource } })
  const texts = { zh: `收到对资源 ${resource} 的更正报告(更正 ${id})`, en: `Correction ${id} reported on resource ${resource}` }
  await notify(query, { to: { role: 'office' }, kind: 'correction', object: `correction ${id}`, ...texts })
  return loadCorrection(query, id)
}

/** Those of an agency, as reporter or provider; `only` null: all. What was said of rows is shown to the parties and the office alone. */
export async function listCorrections(
  { store }: Registry,
  agencyScope: string | null,
  before: string | null,
  limit: number,
): Promise<Correction[]> {
  const corrections = await store.query<Correction>(
    `${correctionSql} where ($1::text is null or c.agency = $1 or r.agency = $1) and ($2::bigint is null or c.id < $2)
     order by c.id desc limit $3`,
    [agencyScope, before, limit],
  )
  return corrections.map(withFault)
}

/** Supervisors see acts and states, not row values (Art. 25). */
export function withoutValues(correction: Correction): Correction {
  return { ...correction, key: null, fault: '', wanted: null, answer: null, reason: null }
}

function invalid(reason: LocalizedText): QianzhiError {
  return new QianzhiError('QZ-REQUEST-INVALID', { reason })
}
