import { titleOf } from '../../records/object-titles.ts'
import { schemaFaults } from '../../../protocol/schema.ts'
import { theHub } from '../../access/principal.ts'
import type { Query } from '../../store/store.ts'
import { notify } from '../../records/notices.ts'
import { insertRegistration } from './registrations.ts'
import { standardStates, type StandardForm } from '../catalog/standard-form.ts'
import type { TransitionContext, Workflow } from '../workflow.ts'
import { notFound, rule } from '../../records/refusals.ts'

/** A data standard 数据标准 (Art. 7.2): a form that the office publishes and agencies adopt, so that one table holds the data of all. */
export interface Standard {
  code: string
  state: State
  /** Of the published form; 0 before. */
  version: number
  form: StandardForm | null
  /** What is being drafted. */
  draft: StandardForm | null
  published: Date | null
}

type State = 'draft' | 'published' | 'withdrawn'
type On<I = unknown> = TransitionContext<Standard, I>

export const standardSql = `select code, state, version, form, draft, published_at as published from standard`

export const standardFlow: Workflow<State, Standard> = {
  name: 'standard',
  table: 'standard',
  states: standardStates,
  initial: 'draft',
  events: {
    change: [
      { from: ['draft'], to: 'draft', effects: [keepDraft] },
      { from: ['published'], to: 'published', effects: [keepDraft] },
    ],
    publish: [{ from: ['draft', 'published'], to: 'published', preconditions: [sound], effects: [publish, draftForAdopters] }],
    withdraw: [{ from: ['draft', 'published'], to: 'withdrawn', effects: [notifyAdopters] }],
  },
  decisions: ['publish'],
  // The form is on record with the version.
  recorded: () => ({}),
  load: loadStandard,
}

export async function loadStandard(query: Query, code: string): Promise<Standard> {
  const [standard] = await query<Standard>(`${standardSql} where code = $1`, [code])
  if (!standard) throw notFound('standard', code.slice(0, 100))
  return standard
}

async function keepDraft({ query, subject, input }: On<{ form: StandardForm }>): Promise<void> {
  await query('update standard set draft = $2 where code = $1', [subject.code, JSON.stringify(input.form)])
}

/** A form that could be a resource, and changes no item's type: adopters' data would not fit. */
function sound({ subject: { code, form, draft } }: On): void {
  if (!draft) throw rule(`标准 ${code} 没有待发布的内容`, `standard ${code} has no draft to publish`)
  const [fault] = schemaFaults(draft)
  if (fault) throw rule(fault.zh, fault.en)
  for (const id of draft.optional) {
    const item = draft.items.find((one) => one.id === id)
    if (!item || item.key || item.required)
      throw rule(`信息项 ${id} 不能可选`, `item ${id} cannot be optional: it is key, required, or none`)
  }
  if (form && form.table !== draft.table) throw rule(`标准的表名 ${form.table} 不能改`, `a standard keeps its table ${form.table}`)
  const changed = draft.items.find(({ id, type }) => form?.items.some((before) => before.id === id && before.type !== type))
  if (changed) throw rule(`信息项 ${changed.id} 的类型不能改，请新设信息项`, `item ${changed.id} cannot change its type: make a new item`)
}

async function publish({ query, subject: { code, version, draft }, principal, now }: On): Promise<void> {
  const form = JSON.stringify(draft)
  await query('update standard set version = $2, form = $3, draft = null, published_at = $4 where code = $1', [
    code,
    version + 1,
    form,
    now,
  ])
  await query('insert into standard_version (standard, version, form, published_by, published_at) values ($1, $2, $3, $4, $5)', [
    code,
    version + 1,
    form,
    principal.actor,
    now,
  ])
}

interface Adopter {
  resource: string
  agency: string
  title: string
  /** A registration that is open already. */
  open: string | null
}

function adopters(query: Query, code: string): Promise<Adopter[]> {
  return query<Adopter>(
    `select r.code as resource, r.agency, r.title,
       (select id from registration where resource = r.code and state in ('draft', 'submitted', 'returned')) as open
     from resource r where r.standard = $1 and r.state <> 'withdrawn' order by r.code`,
    [code],
  )
}

/** Each adopter finds a draft by the new form ready to be submitted; where a registration is open already, it is told only. */
async function draftForAdopters({ query, subject: { code, version }, now }: On): Promise<void> {
  if (version === 0) return
  const name = await titleOf(query, `standard ${code}`)
  for (const { resource, agency, title, open } of await adopters(query, code)) {
    const id = open ?? (await insertRegistration(query, theHub, agency, { resource, standard: code }, now)).id
    await notify(query, {
      to: { agency, role: 'registrar' },
      kind: 'standard-changed',
      object: `registration ${id}`,
      zh: `数据标准《${name}》已有第 ${version + 1} 版，资源《${title}》须随之更新：请处理登记 ${id}`,
      en: `Standard ${name} has version ${version + 1}: ${title} has to follow, see registration ${id}`,
    })
  }
}

async function notifyAdopters({ query, subject: { code } }: On): Promise<void> {
  const name = await titleOf(query, `standard ${code}`)
  for (const { agency, title } of await adopters(query, code)) {
    await notify(query, {
      to: { agency, role: 'registrar' },
      kind: 'standard-withdrawn',
      object: `standard ${code}`,
      zh: `数据标准《${name}》已废止，资源《${title}》继续有效，不能再按此标准新登记`,
      en: `Standard ${name} is withdrawn: ${title} stays in force, nobody can adopt the standard any more`,
    })
  }
}
