import { hash } from 'node:crypto'
import type { Via } from '../../records/audit.ts'

/** A sealed entry as it is hashed and exported. */
export interface ChainedEntry {
  /** Place in the chain, from 1. */
  seq: number
  /** Hash of the entry before; null where `seq` is 1. */
  prev: string | null
  /** UTC with microseconds. */
  at: string
  actor: string
  agency: string | null
  via: Via | null
  ip: string | null
  act: string
  object: string
  outcome: string
  details: Record<string, unknown>
}

/** Columns of `audit_entry e` as an entry has them: the time as text, for a Date would lose its microseconds. */
export const entryColumns = `to_char(e.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at,
  e.actor, e.agency, e.via, e.ip, e.act, e.object, e.outcome, e.details`

/** The text that is hashed: canonical JSON (RFC 8785). */
export function entryText({ seq, prev, at, actor, agency, via, ip, act, object, outcome, details }: ChainedEntry): string {
  return canonicalJson({ seq, prev, at, actor, agency, via, ip, act, object, outcome, details })
}

/** SHA-256 (hex) of an entry's text. */
export function entryHash(text: string | Buffer): string {
  return hash('sha256', text)
}

/** JSON without white space, members in the order of their names by UTF-16 code units (RFC 8785). */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`).join(',')}}`
}
