import { isSeen } from '../../records/name-form.ts'
import { QianzhiError } from '../../../protocol/errors.ts'
import { itemById, type Item, type Schema } from '../../../protocol/schema.ts'
import type { Query } from '../../store/store.ts'
import { endOf, isDay } from '../../records/calendar.ts'
import { requireAgency } from '../agencies/agencies.ts'
import { valueNames } from '../catalog/labels.ts'
import { opennessState } from '../catalog/content.ts'
import type { ShareMode } from './grants.ts'
import { notFound, rule } from '../../records/refusals.ts'
import { onlyAgent, requireActiveAgent } from '../../records/agents.ts'

/** What is asked for: one resource, or all adopters of a standard. */
export interface Wanted {
  agency: string
  resource: string | null
  standard: string | null
  mode: ShareMode
  items: string[]
  purpose: string
  basis: string
  agent: string | null
  until: Date | null
}

/** A resource that an application is about. */
export interface Covered {
  code: string
  title: string
  agency: string
  state: 'active' | 'suspended' | 'withdrawn'
  sharing: 'unconditional' | 'conditional' | 'none'
  secrecy: boolean
  shareModes: ShareMode[]
  schema: Schema
}

/** Of a standard: what other agencies have published in its form by now. */
export function coveredBy(
  query: Query,
  { agency, resource, standard }: Pick<Wanted, 'agency' | 'resource' | 'standard'>,
): Promise<Covered[]> {
  return query<Covered>(
    `select r.code, r.title, r.agency, r.state, r.sharing, r.secrecy, r.share_modes as "shareModes", v.schema
     from resource r join resource_version v on v.resource = r.code and v.version = r.version
     where r.code = $1 or (r.standard = $2 and r.agency <> $3) order by r.code`,
    [resource, standard, agency],
  )
}

/** Why a resource cannot be had in a share mode, or undefined. */
export function whyNotShared(
  { code, state, sharing, secrecy, shareModes, schema }: Covered,
  mode: ShareMode,
): [zh: string, en: string] | undefined {
  if (state === 'withdrawn') return [`资源 ${code} 已撤销`, `resource ${code} is withdrawn`]
  if (state === 'suspended') return [`资源 ${code} 已停止共享`, `resource ${code} is stopped`]
  if (sharing === 'none' || secrecy) return [`资源 ${code} 不予共享（第五条）`, `resource ${code} is not shared (Art. 5)`]
  if (opennessState(schema) === 'closed') return [`资源 ${code} 不公开（第五条）`, `resource ${code} is closed (Art. 5)`]
  if (!shareModes.includes(mode))
    return [
      `资源 ${code} 不以${valueNames.shareModes[mode].zh}方式共享（第十六条）`,
      `resource ${code} is not shared by ${valueNames.shareModes[mode].en} (Art. 16)`,
    ]
  return undefined
}

/** Whether its provider is to be asked (Art. 5), at once or when it is no longer stopped. */
export function needsConsent(resource: Covered, mode: ShareMode): boolean {
  const state = resource.state === 'suspended' ? 'active' : resource.state
  return resource.sharing === 'conditional' && !whyNotShared({ ...resource, state }, mode)
}

/** Those of the wanted items that a resource has and that are open, in its order. */
export function openItems({ items }: Schema, wanted: readonly string[]): string[] {
  return items.filter(({ id, openness }) => wanted.includes(id) && openness !== 'closed').map(({ id }) => id)
}

/** Everything that an application must be before it is submitted, and still be when it is approved (Art. 5, 7, 16). Throws QZ-RULE. */
export async function checkWanted(query: Query, wanted: Wanted, now: Date): Promise<void> {
  if (!isSeen(wanted.purpose) || !isSeen(wanted.basis)) {
    throw rule('须写明用途和与职能相关的依据（第七条、第十六条）', 'purpose and basis in its function must be named (Art. 7, 16)')
  }
  if (wanted.until && wanted.until <= now) throw rule('使用期限已过', 'the wanted period is over')
  await requireAgency(query, wanted.agency)
  await checkForm(query, wanted)
  await checkAgent(query, wanted)
}

async function checkForm(query: Query, wanted: Wanted): Promise<void> {
  if (wanted.items.length === 0) throw rule('没有写信息项（第十六条）', 'it names no item (Art. 16)')
  if (wanted.standard !== null) return checkOpen(await standardItems(query, wanted.standard), wanted.items)
  const [resource] = await coveredBy(query, wanted)
  if (!resource) throw notFound('resource', wanted.resource!)
  if (resource.agency === wanted.agency) throw rule('这是本单位自己的资源', 'the resource is its own')
  const why = whyNotShared(resource, wanted.mode)
  if (why) throw rule(...why)
  checkOpen(resource.schema.items, wanted.items)
}

/** Items of a published standard. */
async function standardItems(query: Query, code: string): Promise<Item[]> {
  const [standard] = await query<{ state: string; items: Item[] }>(`select state, form -> 'items' as items from standard where code = $1`, [
    code,
  ])
  if (!standard) throw notFound('standard', code)
  if (standard.state === 'published') return standard.items
  throw rule(`数据标准 ${code} 未发布`, `standard ${code} is not published`)
}

/** What a draft names must exist, also where it may not be had. Throws QZ-REQUEST-INVALID, with the items that there are. */
export async function requireItems(
  query: Query,
  { resource, standard, items }: Pick<Wanted, 'resource' | 'standard' | 'items'>,
): Promise<void> {
  const [known] = await query<{ items: Item[] | null }>(
    `select v.schema -> 'items' as items from resource r join resource_version v on v.resource = r.code and v.version = r.version where r.code = $1
     union all select coalesce(form, draft) -> 'items' from standard where code = $2`,
    [resource, standard],
  )
  knownItems(known?.items ?? [], items)
}

function knownItems(items: readonly Item[], wanted: readonly string[]): Item[] {
  const found = wanted.map((id) => itemById({ items: [...items] }, id))
  const unknown = wanted.filter((_, i) => found[i] === undefined)
  if (unknown.length === 0) return found as Item[]
  const open = items.filter(({ openness }) => openness !== 'closed')
  const allowed = open.map(({ id }) => id)
  const [named, list] = [unknown.join('、'), open.map(({ id, label }) => `${id}（${label}）`).join('、')]
  const reason = {
    zh: `没有信息项 ${named}；可申请的有：${list}`,
    en: `there is no item ${unknown.join(', ')}; there are ${allowed.join(', ')}`,
  }
  const faults = unknown.map((id) => ({ item: id, allowed, zh: `没有信息项 ${id}`, en: `there is no item ${id}` }))
  throw new QianzhiError('QZ-REQUEST-INVALID', { reason }, { faults })
}

function checkOpen(items: readonly Item[], wanted: readonly string[]): void {
  for (const item of knownItems(items, wanted)) {
    const { id } = item
    if (item.openness === 'closed') throw rule(`信息项 ${id} 不公开（第五条）`, `item ${id} is closed (Art. 5)`)
  }
}

async function checkAgent(query: Query, { mode, agent, agency }: Wanted): Promise<void> {
  if (mode !== 'exchange') {
    if (agent !== null) throw rule('只有数据交换需要前置机（第十六条）', 'only exchange has a front-end machine (Art. 16)')
    return
  }
  if (agent === null)
    throw rule(
      '数据交换须有接收前置机：本单位没有前置机，或有多台而未指定（第十六条）',
      'exchange needs a receiving front-end machine: the agency has none, or several and none is named (Art. 16)',
    )
  const known = await requireActiveAgent(query, agent)
  if (known.agency !== agency) throw rule(`前置机 ${agent} 不属于本单位`, `machine ${agent} is not one of its own`)
}

/** The machine that a draft for an exchange means: the named one, else its agency's only one; null where it has none, or several. */
export async function meantMachine(query: Query, agency: string, mode: ShareMode, named: string | undefined): Promise<string | null> {
  if (named !== undefined || mode !== 'exchange') return named ?? null
  return onlyAgent(query, agency)
}

/** What a draft names must exist; whether it may be had is asked when it is submitted. Throws QZ-NOT-FOUND. */
export async function requireMachine(query: Query, agent: string | undefined): Promise<void> {
  if (agent === undefined) return
  const [known] = await query('select from agent where id = $1', [agent])
  if (!known) throw notFound('agent', agent)
}

/** To the end of that day where the city is. Throws QZ-REQUEST-INVALID. */
export function dayEnd(day: string): Date {
  if (isDay(day)) return endOf(day)
  throw new QianzhiError('QZ-REQUEST-INVALID', { reason: { zh: `${day} 不是日期`, en: `${day} is no day` } })
}
