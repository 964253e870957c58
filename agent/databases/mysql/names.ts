/** Names of what is made for a resource or a table: ASCII, within the 64 bytes of an identifier, unlike any other's. */
import { createHash } from 'node:crypto'

/** A part of a name made from any text: ASCII and at most `length` bytes, unlike any other text's. */
export function safeName(text: string, length: number): string {
  const plain = text.replaceAll(/[^a-z0-9_]/g, '_')
  if (plain === text && text.length <= length) return text
  return `${plain.slice(0, length - 9)}_${createHash('sha256').update(text).digest('hex').slice(0, 8)}`
}

/** One row per queue: the id beyond which triggers leave only marks. */
export const ceilingTable = 'qz_queue'

export function queueName(resource: string): string {
  return `qz_q_${safeName(resource, 59)}`
}

export const triggerEvents = ['insert', 'update', 'delete'] as const

export type TriggerEvent = (typeof triggerEvents)[number]

export function triggerName(resource: string, event: TriggerEvent): string {
  return `qz_${safeName(resource, 59)}_${event[0]}`
}

export function procedureName(resource: string): string {
  return `qz_c_${safeName(resource, 59)}`
}

/** What the names of a resource's triggers on other tables, wherever those are, begin with; `home`: the database of its queue. */
export function cascadePrefix(home: string, resource: string): string {
  return `qz_p_${createHash('sha256')
    .update(JSON.stringify([home, resource]))
    .digest('hex')
    .slice(0, 16)}_`
}

/** Of the trigger for a chain of foreign keys. */
export function cascadeTriggerName(
  home: string,
  resource: string,
  { links, event }: { links: readonly { database: string; name: string }[]; event: 'update' | 'delete' },
  moment: 'before' | 'after',
): string {
  const chain = createHash('sha256').update(JSON.stringify(links.map(({ database, name }) => [database, name])))
  return `${cascadePrefix(home, resource)}${chain.digest('hex').slice(0, 16)}_${moment[0]}${event[0]}`
}
