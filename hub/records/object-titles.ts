import type { LocalizedText } from '../../protocol/localized.ts'
import type { Query } from '../store/store.ts'
import { objectNames, type ObjectName } from './refusals.ts'

/** SQL: what people call an object that is named as in the audit (`application 7`, `resource villages`); null where it has no title. */
export function objectTitle(object: string): string {
  const id = `split_part(${object}, ' ', 2)`
  const number = `case when ${id} ~ '^[0-9]{1,18}$' then ${id}::bigint end`
  const ofResource = (table: string) => `(select r.title from ${table} o join resource r on r.code = o.resource where o.id = ${number})`
  const titles: Record<string, string> = {
    agency: `(select name from agency where code = ${id})`,
    agent: `(select name from agent where id = ${id})`,
    application: `(select coalesce(r.title, s.form ->> 'title', a.standard) from application a left join resource r on r.code = a.resource
      left join standard s on s.code = a.standard where a.id = ${number})`,
    correction: ofResource('correction'),
    declaration: ofResource('declaration'),
    demand: `(select title from demand where id = ${number})`,
    evaluation: `(select period from evaluation where id = ${number})`,
    grant: `(select r.title from access_grant g join resource r on r.code = g.resource where g.id = ${id})`,
    machine: `(select name from machine_application where id = ${number})`,
    opening: ofResource('opening'),
    order: ofResource('rectification_order'),
    person: `(select name from person where id = ${number})`,
    publication: ofResource('publication_request'),
    registration: `(select content ->> 'title' from registration where id = ${number})`,
    resource: `(select title from resource where code = ${id})`,
    route: `(select r.title from route t join access_grant g on g.id = t.access_grant join resource r on r.code = g.resource where t.id = ${id})`,
    standard: `(select coalesce(form, draft) ->> 'title' from standard where code = ${id})`,
  }
  const lines = Object.entries(titles).map(([kind, title]) => `when '${kind}' then ${title}`)
  return `case split_part(${object}, ' ', 1) ${lines.join(' ')} end`
}

/** What people call an object, named as in the audit (`resource villages`); its id where it has no title. */
export async function titleOf(query: Query, object: string): Promise<string> {
  const [found] = await query<{ title: string | null }>(`select ${objectTitle('$1::text')} as title`, [object])
  return found?.title ?? object.slice(object.indexOf(' ') + 1)
}

/** Those with numbers that people know a case by; others have codes. */
const numbered = new Set([
  'application',
  'correction',
  'declaration',
  'demand',
  'machine',
  'opening',
  'order',
  'publication',
  'registration',
  'reconciliation',
])

/** `申请 7《村居名录》`, `application 7 (村居名录)`; what has a title and a code goes by its title alone. */
export async function objectInWords(query: Query, object: string): Promise<LocalizedText> {
  const [kind = '', id = ''] = object.split(' ')
  const title = await titleOf(query, object)
  const name = objectNames[kind as ObjectName] ?? kind
  if (title === object.slice(kind.length + 1)) return { zh: `${name} ${id}`, en: `${kind} ${id}` }
  if (numbered.has(kind)) return { zh: `${name} ${id}《${title}》`, en: `${kind} ${id} (${title})` }
  return { zh: `${name}《${title}》`, en: `${kind} ${title}` }
}
