/** Names of what is made for a resource or a table: ASCII, within the 64 bytes of an identifier, unlike any other's. */
import { createHash } from 'node:crypto'

/** A part of a name made from any text: ASCII and at most `length` bytes, unlike any other text's. */
export function safeName(text: string, length: number): string {
  const plain = text.replaceAll(/[^a-z0-9_]/g, '_')
  if (plain === text && text.length <= length) return text
  return `${plain.slice(0, length - 9)}_${createHash('sha256').update(text).digest('hex').slice(0, 8)}`
}

export function queueName(resource: string): string {
  return `qz_q_${safeName(resource, 59)}`
}

export const triggerEvents = ['insert', 'update', 'delete'] as const

export type TriggerEvent = (typeof triggerEvents)[number]

export function triggerName(resource: string, event: TriggerEvent): string {
  return `qz_${safeName(resource, 59)}_${event[0]}`
}
