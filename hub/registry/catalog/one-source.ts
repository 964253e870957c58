import type { Item } from '../../../protocol/schema.ts'
import { nameForm } from '../../records/name-form.ts'
import type { Query } from '../../store/store.ts'
import { isMandatory, type Subject } from './subjects.ts'

/** An item that another agency supplies already (Art. 13). */
export interface SourceWarning {
  item: string
  label: string
  /** Where it is to be had. */
  resource: string
  title: string
  agency: string
  agencyName: string
}

interface Registered {
  agency: string
  standard: string | null
  subject: Subject
  licence: boolean
  items: readonly Item[]
  /** Items of the version in force: who supplies something already does not begin to collect it. */
  published: readonly Item[]
}

/**
 * One datum, one source (Art. 13): items that are to be had from another agency's resource about the same subject, by their role or
 * label. What Art. 6 itself demands of a resource (it says whom a row is about), keys, and the forms of one standard are no second
 * collection, nor is what a source had that is stopped: nobody gets it there.
 */
export async function sourceWarnings(query: Query, registered: Registered): Promise<SourceWarning[]> {
  const { agency, standard, subject, licence, items, published } = registered
  const known = new Set(published.map(({ id, label, role }) => `${id} ${role ?? ''} ${nameForm(label)}`))
  const judged = items.filter(({ id, key, role, label }) => {
    return !key && !(role && isMandatory(subject, licence, role)) && !known.has(`${id} ${role ?? ''} ${nameForm(label)}`)
  })
  if (judged.length === 0) return []
  return query<SourceWarning>(
    `with wanted as (select * from unnest($1::text[], $2::text[], $3::text[], $4::text[]) as w(item, shown, label, role)),
       found as (
         select w.item, w.shown, c.resource from wanted w join catalog_item c on c.label = w.label and c.subject = $5 where c.agency <> $6
         union
         select w.item, w.shown, c.resource from wanted w join catalog_item c on c.role = w.role and c.subject = $5 where c.agency <> $6)
     select f.item, f.shown as label, r.code as resource, r.title, r.agency, a.name as "agencyName"
     from found f join resource r on r.code = f.resource join agency a on a.code = r.agency
     where r.state = 'active' and ($7::text is null or r.standard is distinct from $7)
     order by f.item, r.published_at, r.code limit 500`,
    [
      judged.map(({ id }) => id),
      judged.map(({ label }) => label),
      judged.map(({ label }) => nameForm(label)),
      judged.map(({ role }) => role ?? null),
      subject,
      agency,
      standard,
    ],
  )
}

interface Source {
  code: string
  agency: string
  subject: Subject
  sharing: string
  items: readonly Item[]
}

/** Puts what a resource in force supplies where the next registration looks for it; closed items are not to be had. */
export async function noteItems(query: Query, { code, agency, subject, sharing, items }: Source): Promise<void> {
  await forgetItems(query, code)
  const open = sharing === 'none' ? [] : items.filter(({ openness }) => openness !== 'closed')
  await query(
    `insert into catalog_item (resource, item, label, role, agency, subject)
     select $1, item, label, role, $5, $6 from unnest($2::text[], $3::text[], $4::text[]) as i(item, label, role)`,
    [code, open.map(({ id }) => id), open.map(({ label }) => nameForm(label)), open.map(({ role }) => role ?? null), agency, subject],
  )
}

export async function forgetItems(query: Query, resource: string): Promise<void> {
  await query('delete from catalog_item where resource = $1', [resource])
}
