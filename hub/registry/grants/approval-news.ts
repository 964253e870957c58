import type { LocalizedText } from '../../../protocol/localized.ts'
import { localDay } from '../../../protocol/local-time.ts'
import type { Query } from '../../store/store.ts'
import type { Application } from './applications.ts'

/** What of an application was not approved, for its applicant; empty where all of it was. */
export async function notApproved(query: Query, asked: Application): Promise<LocalizedText> {
  const [decided] = await query<{ items: string[]; until: Date | null }>(
    'select approved_items as items, approved_until as until from application where id = $1',
    [asked.id],
  )
  const { items, until } = decided!
  const left = asked.items.filter((id) => !items.includes(id))
  const labels = await labelsOf(query, asked, left)
  const silent = asked.consents.filter(({ state }) => state !== 'consented').map(({ agency }) => agency)
  const agencies = await query<{ name: string }>('select name from agency where code = any($1) order by code', [silent])
  const waiting = agencies.map(({ name }) => name)
  const parts: LocalizedText[] = [
    ...(labels.length > 0 ? [{ zh: `未批准信息项 ${labels.join('、')}`, en: `not approved: ${labels.join(', ')}` }] : []),
    ...(until && (!asked.until || until < asked.until) ? [lastDay(until)] : []),
    ...(waiting.length > 0
      ? [{ zh: `${waiting.join('、')} 未同意，不含其数据`, en: `without ${waiting.join(', ')}, who have not consented` }]
      : []),
  ]
  return { zh: parts.map(({ zh }) => `；${zh}`).join(''), en: parts.map(({ en }) => `; ${en}`).join('') }
}

function lastDay(until: Date): LocalizedText {
  // It ends with the day.
  const day = localDay(new Date(until.getTime() - 1), 'Asia/Shanghai')
  return { zh: `期限至 ${day}`, en: `until ${day}` }
}

async function labelsOf(query: Query, { resource, standard }: Application, ids: readonly string[]): Promise<string[]> {
  if (ids.length === 0) return []
  const rows = await query<{ id: string; label: string }>(
    `select i.id, i.label from (
       select v.schema -> 'items' as items from resource r join resource_version v on v.resource = r.code and v.version = r.version where r.code = $1
       union all select form -> 'items' from standard where code = $2
     ) known, jsonb_to_recordset(known.items) as i(id text, label text) where i.id = any($3)`,
    [resource, standard, ids],
  )
  const labels = new Map(rows.map(({ id, label }) => [id, label]))
  return ids.map((id) => labels.get(id) ?? id)
}
