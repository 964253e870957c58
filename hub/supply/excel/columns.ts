/** The columns of a resource's workbook: what a header is called, and what a cell of it means. */
import { hash } from 'node:crypto'
import { plainHeader } from '../../../protocol/excel/table.ts'
import { cityZone } from '../../../protocol/local-time.ts'
import { converterOf, type Wrong } from '../../../protocol/written/cell-values.ts'
import type { CatalogItem, DictionaryEntry } from '../../registry/catalog/content.ts'

export const remarksHeader = { zh: '检查意见', en: 'Remarks' }
export const rowHeader = { zh: '原行号', en: 'Row' }

/** `证件号码* (card)`: the star where a value is required. */
export function headerOf({ id, label, key = false, required = key }: CatalogItem): string {
  return `${label}${required ? '*' : ''} (${id})`
}

/** Columns that the marked copy has beside the items: nothing is read of them. */
const own: ReadonlySet<string> = new Set(
  [remarksHeader, rowHeader].flatMap(({ zh, en }) => [zh, en, `${zh} ${en}`].map((name) => plainHeader(name))),
)

const remarks: ReadonlySet<string> = new Set([remarksHeader.zh, remarksHeader.en].map((name) => plainHeader(name)))

/** The column of remarks of a copy that was marked before. */
export function isRemarksHeader(header: string): boolean {
  return remarks.has(plainHeader(header))
}

/** What a header stands for: an item by its place, a column of the marked copy, or nothing known. */
export type Meaning = number | 'own' | undefined

/** An item is known by its label with its id, its id, its name, and its label where no other one has it. Case, blanks, width, `*` do not count. */
export class Headers {
  readonly #names = new Map<string, number>()

  constructor(items: readonly CatalogItem[]) {
    const kinds: ((item: CatalogItem) => string)[] = [(item) => headerOf(item), ({ id }) => id, ({ name }) => name, ({ label }) => label]
    for (const nameOf of kinds) {
      const names = items.map((item) => plainHeader(nameOf(item)))
      const earlier = new Set(this.#names.keys())
      names.forEach((name, at) => {
        if (!earlier.has(name) && names.indexOf(name) === names.lastIndexOf(name)) this.#names.set(name, at)
      })
    }
  }

  meaning(header: string): Meaning {
    const name = plainHeader(header)
    return this.#names.get(name) ?? (own.has(name) ? 'own' : undefined)
  }
}

/** Who has a workbook of another shape has other columns in it. */
export function fingerprintOf(items: readonly CatalogItem[]): string {
  return hash('sha256', JSON.stringify(items.map(({ id, type, key = false }) => [id, type, key])), 'hex').slice(0, 12)
}

const markForm = /^qianzhi-template\/1 ([a-z0-9._-]+) (\d+) ([0-9a-f]{12})$/

/** Which template a workbook is made from. */
export interface Mark {
  resource: string
  catalogVersion: number
  fingerprint: string
}

export function writeMark({ resource, catalogVersion, fingerprint }: Mark): string {
  return `qianzhi-template/1 ${resource} ${catalogVersion} ${fingerprint}`
}

export function readMark(text: string): Mark | undefined {
  const [, resource, version, fingerprint] = markForm.exec(text.trim()) ?? []
  return resource === undefined ? undefined : { resource, catalogVersion: Number(version), fingerprint: fingerprint! }
}

/** What the list of an item offers: `01 东城`; what has no label stands alone. */
export function listed({ value, label }: DictionaryEntry): string {
  return label === undefined || label === value ? value : `${value} ${label}`
}

export const yesNo = ['是', '否'] as const

/** Bytes of a value: a cell has no more characters than 32,767. */
const valueLimit = 1 << 20

/** @returns the portable value of a cell's text, which is not empty, or why it is none. */
export function cellReader(item: CatalogItem): (text: string) => string | Wrong {
  const convert = converterOf(item, { timezone: cityZone, valueLimit })
  if (!item.dictionary) return convert
  const values = new Map<string, string>()
  const labels = item.dictionary.map(({ label }) => label)
  for (const [i, { value, label }] of item.dictionary.entries())
    if (label !== undefined && labels.indexOf(label) === labels.lastIndexOf(label) && labels.indexOf(label) === i) values.set(label, value)
  for (const entry of item.dictionary) values.set(listed(entry), entry.value)
  for (const { value } of item.dictionary) values.set(value, value)
  return (text) => values.get(text) ?? values.get(text.trim()) ?? convert(text)
}
