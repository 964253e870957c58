import type { Item } from '../../../protocol/schema.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { Entry } from './catalog.ts'
import type { CatalogContent, CatalogItem, DictionaryEntry } from './content.ts'
import { fieldNames, itemFieldNames, valueName, valueNamed, valueNames, type Enumeration } from './labels.ts'

/**
 * The two sheets in which the catalog travels as Excel, after the national guide's form: resources, and their items. Each column says
 * once how it is called, written and read.
 */

/** A cell's text as a value, or what is wrong with it. */
export type Read = { value: unknown } | { fault: LocalizedText }

interface Cell {
  write: (value: unknown) => string | null
  read: (text: string) => Read
  /** The only words that it takes. */
  list?: readonly string[]
}

export interface CatalogColumn<T> {
  key: string
  headers: readonly [zh: string, en: string]
  required?: boolean
  note?: LocalizedText
  cell: Cell
  /** What export writes. */
  of: (row: T) => unknown
  /** Shown by export, of no effect on import. */
  shownOnly?: true
}

const text: Cell = {
  write: (value) => (typeof value === 'string' || typeof value === 'number' ? String(value) : null),
  read: (value) => ({ value }),
}

const integer: Cell = {
  write: text.write,
  read: (value) => (/^\d{1,8}$/.test(value) ? { value: Number(value) } : { fault: { zh: '不是整数', en: 'is no integer' } }),
}

const yes = ['是', 'yes', 'true', '1', '√', 'y']
const no = ['否', 'no', 'false', '0', 'n']
const flag: Cell = {
  write: (value) => (value === undefined ? null : value ? '是' : '否'),
  read: (value) => {
    const word = value.toLowerCase()
    if (yes.includes(word)) return { value: true }
    return no.includes(word) ? { value: false } : { fault: { zh: '须填“是”或“否”', en: 'is neither 是 (yes) nor 否 (no)' } }
  },
  list: ['是', '否'],
}

const separators = /[、,\uff0c;\uff1b\n]/

const texts: Cell = { write: (value) => join(value), read: (value) => ({ value: split(value) }) }

/** `1=男、2=女`; a value alone where it says what it means. */
const dictionary: Cell = {
  write: (value) =>
    join(((value ?? []) as DictionaryEntry[]).map((one) => (one.label === undefined ? one.value : `${one.value}=${one.label}`))),
  read: (words) => ({
    value: split(words).map((word): DictionaryEntry => {
      const [value, label] = word.split(/[=\uff1d]/, 2).map((part) => part.trim())
      return { value: value!, ...(label !== undefined && label !== '' && { label }) }
    }),
  }),
}

function oneOf(enumeration: Enumeration): Cell {
  const names = Object.values(valueNames[enumeration]).map(({ zh }) => zh)
  return {
    write: (value) => (typeof value === 'string' ? valueName(enumeration, value, 'zh') : null),
    read: (word) => readName(enumeration, word),
    list: names,
  }
}

function someOf(enumeration: Enumeration): Cell {
  return {
    write: (value) => join((value as string[]).map((one) => valueName(enumeration, one, 'zh'))),
    read: (words) => {
      const read = split(words).map((word) => readName(enumeration, word))
      return read.find((one) => 'fault' in one) ?? { value: read.flatMap((one) => ('value' in one ? [one.value] : [])) }
    },
  }
}

function readName(enumeration: Enumeration, word: string): Read {
  const value = valueNamed(enumeration, word)
  if (value !== undefined) return { value }
  const names = Object.values(valueNames[enumeration])
  const zh = `“${word}”须为：${names.map((one) => one.zh).join('、')}`
  return { fault: { zh, en: `"${word}" is none of ${names.map((one) => one.en).join(', ')}` } }
}

function split(value: string): string[] {
  return value
    .split(separators)
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

function join(value: unknown): string | null {
  const parts = (value ?? []) as string[]
  return parts.length === 0 ? null : parts.join('、')
}

const resourceCells: Partial<Record<keyof CatalogContent, Cell>> = {
  title: text,
  classification: text,
  abstract: text,
  format: oneOf('format'),
  sharing: oneOf('sharing'),
  sharingConditions: text,
  shareModes: someOf('shareModes'),
  openWithConditions: text,
  cycle: oneOf('cycle'),
  supplyMode: oneOf('supplyMode'),
  subject: oneOf('subject'),
  licence: flag,
  secrecy: flag,
  region: text,
  keywords: texts,
  related: texts,
  keep: oneOf('keep'),
  openLicence: text,
  table: text,
}

const notes: Record<string, LocalizedText> = {
  code: { zh: '小写字母、数字和 . _ -，发布后不可更改；信息项表以此对应', en: 'a-z 0-9 . _ -, for ever; items refer to it' },
  classification: { zh: '分类编码：类1位+项2位+目3位+细目', en: 'class, item, sub-item, detail' },
  shareModes: { zh: '多个以“、”分隔', en: 'several with 、 between' },
  keywords: { zh: '多个以“、”分隔', en: 'several with 、 between' },
  related: { zh: '资源标识，多个以“、”分隔', en: 'resource codes, with 、 between' },
  cycle: { zh: '最低每季度更新一次（第十四条）', en: 'at least quarterly (Art. 14)' },
  id: { zh: '小写字母开头，只用 a-z 0-9 _，至多 30 位，发布后不可更改', en: 'for ever' },
  name: { zh: '落地表的列名；空则同信息项标识', en: 'as the item id where empty' },
  role: { zh: '第六条规定的必备信息项', en: 'the mandatory item of Art. 6 that it is' },
  dictionary: { zh: '值=含义，多个以“、”分隔；填写时只能取这些值', en: 'value=meaning, with 、 between: the only values it takes' },
  searchable: { zh: '可按此项查找和排序；主键总是可以', en: 'rows can be found and sorted by it; by keys always' },
  basis: { zh: '该数据已由其他单位提供时须填（第十三条）', en: 'needed where another agency supplies it (Art. 13)' },
}

/** The resources' sheet; import ignores what is shown only. */
export const resourceColumns: readonly CatalogColumn<Entry>[] = [
  column('code', { zh: '资源标识', en: 'Resource' }, text, ({ code }) => code, { required: true }),
  column('catalogCode', { zh: '信息资源代码', en: 'Catalog code' }, text, ({ catalogCode }) => catalogCode, { shownOnly: true }),
  column('agency', { zh: '提供单位标识', en: 'Agency' }, text, ({ agency }) => agency),
  column('agencyName', { zh: '信息资源提供方', en: 'Provider' }, text, ({ agencyName }) => agencyName, { shownOnly: true }),
  ...Object.entries(resourceCells).map(([key, cell]) =>
    column<Entry>(key, fieldNames[key as keyof CatalogContent], cell, ({ content }) => content[key as keyof CatalogContent]),
  ),
  column('public', { zh: '是否向社会开放', en: 'Open to the public' }, flag, ({ schema }) => schema.items.some(isPublic), {
    shownOnly: true,
  }),
  column('standard', { zh: '数据标准', en: 'Standard' }, text, ({ standard }) => standard, { shownOnly: true }),
  column('published', { zh: '发布日期', en: 'Published' }, text, ({ publishedAt }) => dayOf(publishedAt), { shownOnly: true }),
]

/** An item with what else its row says. */
export interface ItemRow {
  code: string
  item: CatalogItem
  stored: boolean
  basis: string | null
}

const itemCells: Partial<Record<keyof CatalogItem, Cell>> = {
  id: text,
  label: text,
  name: text,
  type: oneOf('type'),
  length: integer,
  precision: integer,
  scale: integer,
  key: flag,
  required: flag,
  openness: oneOf('openness'),
  role: oneOf('role'),
  description: text,
  example: text,
  dictionary,
  searchable: flag,
  sensitivity: oneOf('sensitivity'),
}

export const itemColumns: readonly CatalogColumn<ItemRow>[] = [
  column('code', { zh: '资源标识', en: 'Resource' }, text, ({ code }) => code, { required: true }),
  ...Object.entries(itemCells).map(([key, cell]) =>
    column<ItemRow>(
      key,
      itemFieldNames[key as keyof CatalogItem],
      cell,
      ({ item }) => item[key as keyof CatalogItem],
      key === 'id' ? { required: true } : {},
    ),
  ),
  column('checkKind', { zh: '校验内容', en: 'Check' }, oneOf('checkKind'), ({ item }) => item.check?.kind),
  column('checkOn', { zh: '校验不符时', en: 'On failure' }, oneOf('checkOn'), ({ item }) => item.check?.on),
  column('checkItem', { zh: '校验条件信息项', en: 'Checked where item' }, text, ({ item }) => item.check?.when?.item),
  column('checkEquals', { zh: '校验条件值', en: 'Equals' }, texts, ({ item }) => item.check?.when?.equals),
  column('stored', { zh: '不公开但存储到中心', en: 'Closed, stored at the hub' }, flag, ({ stored }) => (stored ? true : undefined)),
  column('basis', { zh: '重复采集依据', en: 'Basis of collecting again' }, text, ({ basis }) => basis),
]

function column<T>(
  key: string,
  { zh, en }: LocalizedText,
  cell: Cell,
  of: (row: T) => unknown,
  more: Pick<CatalogColumn<T>, 'required' | 'shownOnly'> = {},
): CatalogColumn<T> {
  return { key, headers: [zh, en], cell, of, ...more, ...(notes[key] !== undefined && { note: notes[key] }) }
}

function isPublic({ openness }: Item): boolean {
  return openness === 'public'
}

/** The day in the city's time. */
function dayOf(instant: Date): string {
  return instant.toLocaleDateString('sv-SE', { timeZone: 'Asia/Shanghai' })
}
