import type { TSchema } from 'typebox'
import type { Query } from '../store/store.ts'

/** Members that hold an agency's code, and those that hold who did something (`person 7`, or the person's number). */
const agencies = new Set(['agency', 'provider', 'receiver', 'supposed', 'parent'])
const actors = new Set(['actor', 'by', 'draftedBy', 'submittedBy', 'signedBy', 'publishedBy', 'createdBy', 'requestedBy'])

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
    if ((agencies.has(member) || actors.has(member)) && holdsText(part)) {
      shape.properties![nameOf(member)] ??= { type: ['string', 'null'], description: `name of \`${member}\`, where it is one` }
    }
  }
  return shape
}

function holdsText({ type, anyOf }: Plain): boolean {
  return type === 'string' || (Array.isArray(anyOf) && anyOf.some((one: Plain) => one.type === 'string'))
}

/**
 * Puts the names of agencies and people beside their codes, where there are none yet: who reads an answer may not be able to ask for them.
 * `rows`: the member of it that is data, and stays as it is.
 */
export async function withNames<T>(query: Query, answer: T, rows?: string): Promise<T> {
  const objects = objectsIn(answer, rows)
  const codes = new Set<string>()
  const people = new Set<string>()
  for (const object of objects) {
    for (const [member, value] of codesOf(object)) {
      if (agencies.has(member)) codes.add(value)
      else people.add(personOf(value)!)
    }
  }
  const names = await read(query, codes, people)
  for (const object of objects) {
    for (const [member, value] of codesOf(object))
      object[nameOf(member)] = names.get(agencies.has(member) ? value : `person ${personOf(value)}`) ?? null
  }
  return answer
}

function codesOf(object: Named): [string, string][] {
  return Object.entries(object).filter((entry): entry is [string, string] => {
    const [member, value] = entry
    if (typeof value !== 'string' || nameOf(member) in object) return false
    return agencies.has(member) || (actors.has(member) && personOf(value) !== undefined)
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

async function read(query: Query, codes: Set<string>, people: Set<string>): Promise<Map<string, string>> {
  if (codes.size + people.size === 0) return new Map()
  const rows = await query<{ code: string; name: string }>(
    `select code, name from agency where code = any($1) union all select 'person ' || id, name from person where id = any($2::bigint[])`,
    [[...codes], [...people]],
  )
  return new Map(rows.map(({ code, name }) => [code, name]))
}
