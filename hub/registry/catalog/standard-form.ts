import { isDeepStrictEqual } from 'node:util'
import { Type, type Static } from 'typebox'
import { identifierPattern } from '../../../protocol/schema.ts'
import type { Query } from '../../store/store.ts'
import { CatalogContent, type DraftContent } from './content.ts'
import { notFound, wrongState } from '../../records/refusals.ts'
import type { Fault } from './fault.ts'

const closed = { additionalProperties: false }

/** What a standard fixes for all who adopt it, and the metadata that it proposes. */
export const StandardForm = Type.Object(
  {
    ...Type.Pick(CatalogContent, ['title', 'abstract', 'subject', 'licence', 'table', 'items']).properties,
    /** Ids of the items that an adopter may leave out. */
    optional: Type.Array(Type.String({ pattern: identifierPattern }), { maxItems: 400, uniqueItems: true }),
    classification: Type.Optional(CatalogContent.properties.classification),
    cycle: Type.Optional(CatalogContent.properties.cycle),
    keywords: Type.Optional(CatalogContent.properties.keywords),
  },
  closed,
)
export type StandardForm = Static<typeof StandardForm>

/** A draft by a standard: its items as they are, its metadata as a proposal. What `before` says beside stays, also which optional items it lacks. */
export function adoptedContent(form: StandardForm, before: DraftContent): DraftContent {
  const begun = (before.items ?? []).length > 0
  const items = form.items.filter((item) => !begun || !form.optional.includes(item.id) || has(before, item.id))
  const { subject, licence, table, title, abstract, classification, cycle } = form
  const keywords = before.keywords && before.keywords.length > 0 ? before.keywords : (form.keywords ?? [])
  const storedClosed = (before.storedClosed ?? []).filter((id) => items.some((item) => item.id === id && item.openness === 'closed'))
  const proposed = { title, abstract, ...(classification !== undefined && { classification }), ...(cycle !== undefined && { cycle }) }
  return { ...proposed, ...before, keywords, storedClosed, subject, licence, table, items }
}

function has({ items = [] }: DraftContent, id: string): boolean {
  return items.some((item) => item.id === id)
}

interface Published {
  code: string
  state: string
  form: StandardForm
}

/** What a draft that adopts a standard may not do: other items, or another table, would not fill the one that the adopters share. */
export async function standardFaults(query: Query, code: string | null, content: DraftContent, adopted: boolean): Promise<Fault[]> {
  if (code === null) return []
  const [standard] = await query<Published>('select code, form, state from standard where code = $1 and form is not null', [code])
  if (standard?.state === 'withdrawn' && !adopted)
    return [
      {
        field: 'standard',
        item: null,
        zh: `标准 ${code} 已废止，不能再按此新登记`,
        en: `standard ${code} is withdrawn: nobody can adopt it any more`,
      },
    ]
  if (!standard) return [{ field: 'standard', item: null, zh: `标准 ${code} 尚未发布`, en: `standard ${code} is not published` }]
  const { form } = standard
  const faults: Fault[] = []
  const fail = (field: string, item: string | null, zh: string, en: string) => void faults.push({ field, item, zh, en })
  for (const field of ['table', 'subject', 'licence'] as const) {
    if (content[field] !== form[field])
      fail(field, null, `须与标准 ${code} 一致：${form[field]}`, `must be as in standard ${code}: ${form[field]}`)
  }
  for (const item of content.items ?? []) {
    const fixed = form.items.find(({ id }) => id === item.id)
    if (!fixed) fail('items', item.id ?? null, `标准 ${code} 没有信息项 ${item.id}`, `standard ${code} has no item ${item.id}`)
    // Its own data an agency may always close (Art. 5).
    else if (!isDeepStrictEqual(fixed, item) && !isDeepStrictEqual({ ...fixed, openness: 'closed' }, item))
      fail('items', fixed.id, `信息项 ${fixed.id} 须与标准一致`, `item ${fixed.id} must be as in the standard`)
  }
  for (const { id } of form.items) {
    if (!has(content, id) && !form.optional.includes(id))
      fail('items', id, `缺少标准的信息项 ${id}`, `item ${id} of the standard is missing`)
  }
  return faults
}

export const standardStates = {
  draft: { zh: '草稿', en: 'draft' },
  published: { zh: '已发布', en: 'published' },
  withdrawn: { zh: '已废止', en: 'withdrawn' },
} as const

/** The form that agencies adopt. Throws QZ-NOT-FOUND, and QZ-STATE where it is not published, or withdrawn. */
export async function publishedForm(query: Query, code: string): Promise<StandardForm> {
  const [standard] = await query<{ form: StandardForm | null; state: keyof typeof standardStates }>(
    'select form, state from standard where code = $1',
    [code],
  )
  if (!standard) throw notFound('standard', code)
  const { form, state } = standard
  if (form && state === 'published') return form
  throw wrongState('standard', code, standardStates[state], 'standard.adopt')
}
