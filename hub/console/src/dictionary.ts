/** The list of values of an item 字典 as text, one value a line, and what is wrong with it. */
import type { Draft } from './items-paste.ts'
import type { Text } from '../meta-shape.ts'

export interface Entry {
  readonly value: string
  readonly label?: string
}

/** `1 男`, or two columns of a spreadsheet. */
export function dictionaryOf(text: string): Entry[] {
  return text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) => {
      const [, value = line, label = ''] = /^([^\t\s]+)(?:\t|\s+|$)(.*)$/.exec(line) ?? []
      return { value, ...(label.trim() !== '' && { label: label.trim() }) }
    })
}

export function dictionaryText(entries: readonly Entry[]): string {
  return entries.map(({ value, label }) => (label === undefined ? value : `${value} ${label}`)).join('\n')
}

const forms: Readonly<Record<string, RegExp>> = {
  integer: /^-?\d+$/,
  decimal: /^-?\d+(?:\.\d+)?$/,
  date: /^\d{4}-\d\d-\d\d$/,
}

/** Values that stand twice, are longer than the item, or are none of its type. */
export function dictionaryFaults(entries: readonly Entry[], item: Draft): Text[] {
  const longest = Number(item['length'] ?? 200)
  const form = forms[String(item['type'])]
  const seen = new Set<string>()
  return entries.flatMap(({ value }, at): Text[] => {
    const twice = seen.has(value)
    seen.add(value)
    const line = at + 1
    if (twice) return [{ zh: `第 ${line} 行：值 ${value} 重复`, en: `line ${line}: value ${value} stands twice` }]
    if (Array.from(value).length > longest)
      return [{ zh: `第 ${line} 行：值 ${value} 超过长度 ${longest}`, en: `line ${line}: ${value} is longer than ${longest}` }]
    if (form && !form.test(value))
      return [{ zh: `第 ${line} 行：值 ${value} 不符合类型`, en: `line ${line}: ${value} is no value of its type` }]
    return []
  })
}
