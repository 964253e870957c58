/** Names of what is made for a resource: ASCII, within the 128 characters of an identifier, unlike any other's. */
import { createHash } from 'node:crypto'
import { quoteName } from './sql.ts'

/** A part of a name made from any text: at most `length` characters, unlike any other text's. */
export function safeName(text: string, length: number): string {
  const plain = text.replaceAll(/[^a-z0-9_]/g, '_')
  if (plain === text && text.length <= length) return text
  return `${plain.slice(0, length - 9)}_${createHash('sha256').update(text).digest('hex').slice(0, 8)}`
}

/** The schema of all that the agent keeps in a database. */
export const schemaName = 'qianzhi'

export const streamTable = `${schemaName}.stream`
export const sourceQuarantine = `${schemaName}.source_quarantine`
export const positionTable = `${schemaName}.route_position`
export const quarantineTable = `${schemaName}.quarantine`

export function queueTable(resource: string): string {
  return `${schemaName}.${quoteName(`q_${safeName(resource, 100)}`)}`
}

export const triggerEvents = ['insert', 'update', 'delete'] as const

export type TriggerEvent = (typeof triggerEvents)[number]

export function triggerName(resource: string, event: TriggerEvent): string {
  return `qz_${safeName(resource, 100)}_${event[0]}`
}

/** The table in which a route's shadow is filled. */
export function shadowTable(route: string): string {
  return `${schemaName}.shadow_${safeName(route, 100)}`
}
