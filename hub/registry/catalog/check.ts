import { Compile } from 'typebox/compile'
import { schemaFaults, type Item } from '../../../protocol/schema.ts'
import { valueFault } from '../../../protocol/value.ts'
import { isIndexable, longestIndexedText } from '../../tables/shape.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import { nameForm } from '../../records/name-form.ts'
import type { Query } from '../../store/store.ts'
import { findEntry, type Entry } from './catalog.ts'
import { CatalogContent, CatalogItem, type DraftContent } from './content.ts'
import { fieldNames, itemFieldNames } from './labels.ts'
import { incompatibilities, touches, type Incompatibility } from './compatibility.ts'
import { supplyFaults } from './entered-rows.ts'
import { sourceWarnings, type SourceWarning } from './one-source.ts'
import { standardFaults } from './standard-form.ts'
import { missingRoles, roleNames } from './subjects.ts'
import type { Fault } from './fault.ts'

export interface Checked {
  /** Everything that is wrong. */
  faults: Fault[]
  /** Items that another agency supplies already (Art. 13), with the exception that the draft claims. */
  sources: (SourceWarning & { basis: string | null })[]
  /** What receivers of the version in force cannot just go on with, and whose grants it holds. */
  incompatible: (Incompatibility & { receivers: string[] })[]
}

export interface Registered {
  resource: string
  agency: string
  base: number | null
  standard: string | null
  content: DraftContent
}

/** All that must be put right before a registration is submitted or published, at once (Art. 6, 9, 10, 13). */
export async function checkContent(query: Query, registered: Registered): Promise<Checked> {
  const { content, resource } = registered
  const entry = await findEntry(query, resource)
  const complete = { ...content, items: completeItems(content) }
  const sources = await judgedSources(query, registered, entry, complete.items)
  const incompatible =
    entry && content.table !== undefined ? await judgedChanges(query, entry, { table: content.table, items: complete.items }) : []
  const faults = [
    ...shapeFaults(content),
    ...schemaFaults(complete).map(({ item, zh, en }): Fault => ({ field: 'items', item, zh, en })),
    ...ruleFaults(complete),
    ...complete.items.flatMap(attributeFaults),
    ...sourceFaults(sources, content),
    ...incompatible.filter(({ never }) => never).map(({ items, zh, en }): Fault => ({ field: 'type', item: items?.[0] ?? null, zh, en })),
    ...(await storeFaults(query, registered, entry, complete.items)),
    ...(await supplyFaults(query, { agency: registered.agency, before: entry, content: complete })),
    ...(await standardFaults(query, registered.standard, complete, entry?.standard === registered.standard)),
  ]
  return { faults, sources, incompatible }
}

const shape = Compile(CatalogContent)
const itemShape = Compile(CatalogItem)

/** Those that can be judged: an item on which something is missing is a fault already. */
function completeItems({ items = [] }: DraftContent): CatalogItem[] {
  return items.filter((item): item is CatalogItem => itemShape.Check(item))
}

function shapeFaults(content: DraftContent): Fault[] {
  const known = [...shape.Errors(content)].filter(({ keyword }) => keyword !== 'additionalProperties')
  return known.flatMap(({ instancePath, keyword, params, message }) => {
    const at = /^\/items\/(\d+)(?:\/(\w+))?/.exec(instancePath)
    const item = at ? (content.items?.[Number(at[1])]?.id ?? `#${Number(at[1]) + 1}`) : null
    const missing = keyword === 'required' ? params.requiredProperties : null
    const field = at ? (at[2] ?? null) : (instancePath.split('/')[1] ?? null)
    // A part of a field of the whole, such as a contact without a name.
    if (missing && !at && field) return [fieldFault(null, field, { zh: '填写不全', en: 'is not complete' })]
    if (!missing) return [fieldFault(item, field, { zh: `不符合要求（${message}）`, en: `is not valid (${message})` })]
    return missing.map((name) => fieldFault(item, name, { zh: '未填写', en: 'is missing' }))
  })
}

function fieldFault(item: string | null, field: string | null, what: LocalizedText): Fault {
  const names: Record<string, LocalizedText> = item === null ? fieldNames : itemFieldNames
  const name = (field === null ? undefined : names[field]) ?? { zh: field ?? '', en: field ?? '' }
  const of = item === null ? { zh: '', en: '' } : { zh: `信息项 ${item}：`, en: `item ${item}: ` }
  return { field, item, zh: `${of.zh}${name.zh}${what.zh}`, en: `${of.en}${name.en} ${what.en}` }
}

type Judged = Omit<DraftContent, 'items'> & { items: Item[] }

/** What can be judged by looking at the entry alone. */
function ruleFaults(content: Judged): Fault[] {
  const { subject, licence = false, items, sharing, storedClosed = [] } = content
  const faults: Fault[] = []
  const fail = (field: string, zh: string, en: string, item: string | null = null) => void faults.push({ field, item, zh, en })
  for (const role of subject ? missingRoles(subject, licence, items) : []) {
    const { zh, en } = roleNames[role]
    fail(
      'items',
      `缺少必备信息项“${zh}”（第六条）：请把含有它的信息项的“基本元数据”选为它，没有的请增加`,
      `the mandatory item "${en}" is missing (Art. 6): choose it as the subject role of the item that holds it, or add one`,
    )
  }
  if (sharing !== undefined && sharing !== 'unconditional' && content.sharingConditions === undefined) {
    fail('sharingConditions', '有条件共享或不予共享须写明条件或依据', 'conditional or no sharing needs its conditions or legal basis')
  }
  if (sharing !== undefined && sharing !== 'none' && content.shareModes?.length === 0) {
    fail('shareModes', '共享的资源至少有一种共享方式（第十六条）', 'a shared resource has at least one share mode (Art. 16)')
  }
  if (content.secrecy && sharing !== 'none') {
    fail('secrecy', '涉密或内部敏感的资源不予共享（第五条）', 'a resource that is secret or sensitive is not shared (Art. 5)')
  }
  for (const { id, openness } of sharing === 'none' ? items : []) {
    if (openness === 'public')
      fail('openness', `不予共享的资源不能对外公开信息项 ${id}`, `item ${id} cannot be public where nothing is shared`, id)
  }
  for (const id of storedClosed) {
    const item = items.find((one) => one.id === id)
    if (item?.openness !== 'closed') fail('storedClosed', `${id} 不是不公开的信息项`, `${id} is no closed item`, id)
  }
  return faults
}

/** What the catalog says of an item beside what travels. */
function attributeFaults(item: CatalogItem): Fault[] {
  const { id, example, dictionary = [], searchable } = item
  const faults: Fault[] = []
  const fail = (field: keyof CatalogItem, zh: string, en: string) =>
    void faults.push({ field, item: id, zh: `信息项 ${id}：${zh}`, en: `item ${id}: ${en}` })
  const values = new Set(dictionary.map(({ value }) => value))
  if (values.size < dictionary.length) fail('dictionary', '字典中有重复的值', 'its list names a value twice')
  for (const value of values) {
    const fault = valueFault(item, value)
    if (fault) fail('dictionary', `字典的值“${value}”${fault.zh}`, `the value "${value}" of its list ${fault.en}`)
  }
  const fault = example === undefined ? undefined : valueFault(item, example)
  if (fault) fail('example', `示例${fault.zh}`, `the example ${fault.en}`)
  if (searchable && !isIndexable(item)) {
    fail(
      'searchable',
      `不能检索：须是至多 ${longestIndexedText} 个字符的文本、数字、日期或时间`,
      `cannot be searchable: only texts of at most ${longestIndexedText} characters, numbers, days and times are`,
    )
  }
  return faults
}

async function judgedSources(query: Query, registered: Registered, entry: Entry | undefined, items: Item[]): Promise<Checked['sources']> {
  const { agency, standard, content } = registered
  const { subject, licence = false, exceptions = [] } = content
  if (!subject) return []
  const found = await sourceWarnings(query, { agency, standard, subject, licence, items, published: entry?.schema.items ?? [] })
  const basisOf = (item: string) => exceptions.find((exception) => exception.item === item)?.basis ?? null
  return found.map((warning) => ({ ...warning, basis: basisOf(warning.item) }))
}

function sourceFaults(sources: Checked['sources'], { exceptions = [], items = [] }: DraftContent): Fault[] {
  const open = new Map(sources.filter(({ basis }) => basis === null).map((source) => [source.item, source]))
  const missing = [...open.values()].map(({ item, label, title, agencyName }): Fault => {
    const zh = `信息项“${label}”已可从${agencyName}的“${title}”获取，重复采集须写明法律依据（第十三条）`
    const en = `item "${label}" is to be had from "${title}" of ${agencyName}: collecting it again needs a legal basis (Art. 13)`
    return { field: 'exceptions', item, zh, en }
  })
  const named = exceptions.flatMap(({ item }) => (item === undefined ? [] : [item]))
  const unknown = named.filter((item) => !items.some(({ id }) => id === item))
  return [
    ...missing,
    ...unknown.map((item): Fault => ({ field: 'exceptions', item, zh: `没有信息项 ${item}`, en: `item ${item} does not exist` })),
  ]
}

async function judgedChanges(query: Query, before: Entry, after: { table: string; items: Item[] }): Promise<Checked['incompatible']> {
  const found = incompatibilities(before.schema, after, [])
  const grants = await query<{ agency: string; items: string[] }>(
    `select agency, items from access_grant where resource = $1 and state in ('active', 'suspended', 'held') order by agency`,
    [before.code],
  )
  return found.map((one) => {
    const receivers = grants.filter(({ items }) => touches([one], items)).map(({ agency }) => agency)
    return { ...one, receivers: [...new Set(receivers)] }
  })
}

/** What must be looked up. */
async function storeFaults(query: Query, registered: Registered, entry: Entry | undefined, items: Item[]): Promise<Fault[]> {
  const { resource, agency, base, content } = registered
  const faults: Fault[] = []
  const fail = (field: string, zh: string, en: string, item: string | null = null) => void faults.push({ field, item, zh, en })
  if ((entry?.catalogVersion ?? null) !== base) {
    fail('base', '资源在此期间已有新版本，请重新登记', 'the resource has a newer version: begin again from it')
  }
  const [found] = await query<{ classified: boolean; taken: string | null; related: string[]; produced: boolean }>(
    `select exists (select from classification where code = $1 and length(code) > 1) as classified,
       (select code from resource where agency = $2 and title_form = $3 and code <> $4 and state <> 'withdrawn' limit 1) as taken,
       array(select code from unnest($5::text[]) as code except select code from resource) as related,
       exists (select from agent where id = $6 and agency = $2 and state = 'active') as produced`,
    [
      content.classification ?? null,
      agency,
      content.title === undefined ? null : nameForm(content.title),
      resource,
      content.related ?? [],
      content.producer ?? null,
    ],
  )
  const { classified, taken, related, produced } = found!
  const { classification, producer, title } = content
  if (classification !== undefined && !classified) {
    fail('classification', `没有分类 ${classification}`, `classification ${classification} does not exist`)
  }
  if (taken !== null)
    fail('title', `名称“${title}”已用于本单位的资源 ${taken}（第九条）`, `your resource ${taken} has the title "${title}" (Art. 9)`)
  for (const code of related) fail('related', `没有资源 ${code}`, `resource ${code} does not exist`)
  if (producer !== undefined && !produced)
    fail('producer', `${producer} 不是本单位有效的前置机代理`, `${producer} is no active agent of yours`)
  for (const { id, type } of await earlierTypes(query, resource, items)) {
    fail('type', `标识 ${id} 曾用于 ${type} 类型的信息项，请用新标识`, `id ${id} was that of an item of type ${type}: use a new id`, id)
  }
  return faults
}

/** An item id means one type for ever, also where it was gone in between. */
function earlierTypes(query: Query, resource: string, items: Item[]): Promise<{ id: string; type: string }[]> {
  return query(
    `select distinct i.id, i.type from resource_version v, jsonb_to_recordset(v.schema -> 'items') as i(id text, type text),
       jsonb_to_recordset($2::jsonb) as n(id text, type text)
     where v.resource = $1 and v.version < (select version from resource where code = $1) and i.id = n.id and i.type <> n.type
       and not exists (select from resource r join resource_version c on c.resource = r.code and c.version = r.version,
         jsonb_to_recordset(c.schema -> 'items') as p(id text) where r.code = $1 and p.id = n.id)
     order by 1`,
    [resource, JSON.stringify(items.map(({ id, type }) => ({ id, type })))],
  )
}
