import meta from 'virtual:qianzhi-meta'
import type { Text } from '../meta-shape.ts'

export type { Field, Text } from '../meta-shape.ts'

export const { operations, acts, states, roles, kinds, values } = meta

/** What an operation is called on a button: its words without what they explain. */
export function verbOf(name: string): Text {
  const { zh, en } = operations[name]!.text
  const verb = en.split(/[:,(]/)[0]!.trim()
  return { zh: zh.split(/[\uff1a:\uff0c\uff08(]/)[0]!, en: verb.charAt(0).toUpperCase() + verb.slice(1) }
}
