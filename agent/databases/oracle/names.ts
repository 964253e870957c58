/** Names of what is made for a resource or a table: within the 30 bytes that 12.1 allows, unlike any other's. */
import { createHash } from 'node:crypto'

/** A part of a name made from any text: upper-case ASCII and at most `length` bytes, unlike any other text's. */
export function safeName(text: string, length: number): string {
  const plain = text.toLowerCase().replaceAll(/[^a-z0-9_]/g, '_')
  if (plain === text && text.length <= length) return text.toUpperCase()
  return `${plain.slice(0, length - 9)}_${createHash('sha256').update(text).digest('hex').slice(0, 8)}`.toUpperCase()
}

export interface SourceNames {
  queue: string
  /** Index of the queue's marks. */
  marks: string
  sequence: string
  trigger: string
}

export function sourceNames(resource: string): SourceNames {
  const safe = safeName(resource, 25)
  return { queue: `QZ_Q_${safe}`, marks: `QZ_M_${safe}`, sequence: `QZ_S_${safe}`, trigger: `QZ_T_${safe}` }
}
