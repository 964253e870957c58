import type { TSchema } from 'typebox'
import type { Query } from '../store/store.ts'

/** Members that hold the code of something that has a name, and those that hold who did something (`person 7`, or the person's number). */
const kinds: Readonly<Record<string, 'agency' | 'resource' | 'agent' | 'person'>> = {
  ...every('agency', ['agency', 'provider', 'receiver', 'supposed', 'parent']),
  ...every('resource', ['resource']),
  ...every('agent', ['agent']),
  ...every('person', ['actor', 'by', 'draftedBy', 'submittedBy', 'signedBy', 'publishedBy', 'createdBy', 'requestedBy']),
}

function every<T>(kind: T, members: readonly string[]): Record<string, T> {
  return Object.fromEntries(members.map((member) => [member, kind]))
}

type Named = Record<string, unknown>
type Plain = Record<string, unknown> & { properties?: Record<string, Plain> }

const nameOf = (member: string) => `${member}Name`
const personOf = (value: string) => /^(?:person )?(\d{1,18})$/.exec(value)?.[1]

/** The shape of an answer, with the names that stand beside codes in it. */
export function namedShape(shape: TSchema): TSchema {
  return named(JSON.parse(JSON.stringify(shape)) as Plain)
}

function named(shape: Plain): Plain {
  for (const [member, part] of Object.entries(shape)) {
    if (member === 'properties') continue
    for (const one of Array.isArray(part) ? part : [part]) if (typeof one === 'object' && one !== null) named(one as Plain)
  }
  for (const [member, part] of Object.entries(shape.properties ?? {})) {
    named(part)
    if (Object.hasOwn(kinds, member) && holdsText(part)) {
      shape.properties![nameOf(member)] ??= { type: ['string', 'null'], description: `name of \`${member}\`, where it is one` }
    }
  }
  return shape
}

function holdsText({ type, anyOf }: Plain): boolean {
  return type === 'string' || (Array.isArray(anyOf) && anyOf.some((one: Plain) => one.type === 'string'))
}

/**
 * Puts the names of agencies, resources, machines and people beside their codes, where there are none yet: who reads an answer may not be
 * able to ask for them. `rows`: the member of it that is data, and stays as it is.
 */
export async function withNames<T>(query: Query, answer: T, rows?: string): Promise<T> {
  const objects = objectsIn(answer, rows)
  const wanted: Record<string, Set<string>> = { agency: new Set(), resource: new Set(), agent: new Set(), person: new Set() }
  for (const object of objects) for (const { kind, code } of codesOf(object)) wanted[kind]!.add(code)
  const names = await read(query, wanted)
  for (const object of objects)
    for (const { member, kind, code } of codesOf(object)) object[nameOf(member)] = names.get(`${kind} ${code}`) ?? null
  return answer
}

function codesOf(object: Named): { member: string; kind: string; code: string }[] {
  return Object.entries(object).flatMap(([member, value]) => {
    if (typeof value !== 'string' || !Object.hasOwn(kinds, member) || nameOf(member) in object) return []
    const kind = kinds[member]!
    const code = kind === 'person' ? personOf(value) : value
    return code === undefined ? [] : [{ member, kind, code }]
  })
}

/** Every object in it, but for what is no plain JSON. What acts are told with (`details`, `evidence`) stays as it was written down. */
function objectsIn(answer: unknown, rows?: string): Named[] {
  const found: Named[] = []
  const left = [answer]
  while (left.length > 0) {
    const value = left.pop()
    if (Array.isArray(value)) for (const one of value) left.push(one)
    else if (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
      found.push(value as Named)
      for (const [member, one] of Object.entries(value)) {
        if (!asWritten.has(member) && !(value === answer && member === rows)) left.push(one)
      }
    }
  }
  return found
}

const asWritten = new Set(['details', 'evidence', 'content', 'schema', 'before', 'after', 'figures', 'key', 'values'])

async function read(query: Query, wanted: Readonly<Record<string, ReadonlySet<string>>>): Promise<Map<string, string>> {
  const codes = ['agency', 'resource', 'agent', 'person'].map((kind) => [...wanted[kind]!])
  if (codes.every(({ length }) => length === 0)) return new Map()
  const rows = await query<{ code: string; name: string }>(
    `select 'agency ' || code as code, name from agency where code = any($1) union all
     select 'resource ' || code, title from resource where code = any($2) union all
     select 'agent ' || id, coalesce(nullif(name, ''), id) from agent where id = any($3) union all
     select 'person ' || id, name from person where id = any($4::bigint[])`,
    codes,
  )
  return new Map(rows.map(({ code, name }) => [code, name]))
}
