/** The form of a resource 填报表单, from what the catalog says of its items (Art. 6, 15). */
import type { LocalizedText } from '../../protocol/localized.ts'
import type { ItemCheck } from '../../protocol/schema.ts'
import type { ValueType } from '../../protocol/value.ts'
import type { CatalogItem, DictionaryEntry } from '../registry/catalog/content.ts'
import { isMandatory, roleNames, type Subject } from '../registry/catalog/subjects.ts'

/** How an item is entered: `none` shows its value, and cannot change it. */
export const inputs = ['line', 'lines', 'choice', 'yes-no', 'integer', 'decimal', 'date', 'time', 'moment', 'file', 'json', 'none'] as const
export type Input = (typeof inputs)[number]

export interface FormItem {
  id: string
  label: string
  type: string
  input: Input
  key: boolean
  /** Neither null nor empty. */
  required: boolean
  length: number | null
  precision: number | null
  scale: number | null
  dictionary: readonly DictionaryEntry[]
  check: ItemCheck | null
  description: string | null
  example: string | null
  openness: string
  sensitivity: string
  /** What it says of the subject, and whether Art. 6 demands it. */
  role: { id: string; name: LocalizedText; mandatory: boolean } | null
}

/** Characters up to which a text is one line. */
const oneLine = 200

const byType: Record<Exclude<ValueType, 'text'>, Input> = {
  integer: 'integer',
  decimal: 'decimal',
  boolean: 'yes-no',
  date: 'date',
  timestamp: 'moment',
  timestamptz: 'moment',
  time: 'time',
  binary: 'file',
  json: 'json',
}

/** A type that is not known here is no free text: it cannot be entered. */
export function inputOf({ type, length = Infinity, dictionary }: Pick<CatalogItem, 'type' | 'length' | 'dictionary'>): Input {
  if (dictionary) return 'choice'
  if (type === 'text') return length <= oneLine ? 'line' : 'lines'
  return Object.hasOwn(byType, type) ? byType[type] : 'none'
}

export function formItem(item: CatalogItem, { subject, licence }: { subject: Subject; licence: boolean }): FormItem {
  const { id, label, type, key = false, required = key, length = null, precision = null, openness, sensitivity = 'ordinary' } = item
  const { dictionary = [], check = null, description = null, example = null, role } = item
  const scale = item.scale ?? (type === 'decimal' ? 0 : null)
  const filled = role ? { id: role, name: roleNames[role], mandatory: isMandatory(subject, licence, role) } : null
  const known = { id, label, type, input: inputOf(item), key, required, length, precision, scale, dictionary, check }
  return { ...known, description, example, openness, sensitivity, role: filled }
}
