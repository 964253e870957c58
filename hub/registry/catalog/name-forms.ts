import { nameForm, nameFormVersion } from '../../records/name-form.ts'
import { notify } from '../../records/notices.ts'
import type { Query, Store } from '../../store/store.ts'

/**
 * Brings the compared forms of all names up to date: once, and again when the form has changed. Of agencies with one name, and of resources
 * of one agency with one title, the older keeps it, the others stay without a form until they are renamed; who must rename is told of each.
 */
export async function fillNameForms({ transaction }: Pick<Store, 'transaction'>): Promise<void> {
  await transaction(async (query) => {
    // Also against another hub that starts, and against whoever names something.
    await lockNames(query)
    const [known] = await query<{ value: string }>(`select value from setting where key = 'name-form'`)
    if (known?.value === String(nameFormVersion)) return
    await fillAgencies(query)
    await fillResources(query)
    await fillItems(query)
    await query(`insert into setting (key, value) values ('name-form', $1) on conflict (key) do update set value = excluded.value`, [
      String(nameFormVersion),
    ])
  })
}

/** Names are given, and sources registered, one after the other: to the end of the transaction. Taken after the resource's own lock. */
export async function lockNames(query: Query): Promise<void> {
  await query(`select pg_advisory_xact_lock(hashtext('names and sources'))`)
}

async function fillAgencies(query: Query): Promise<void> {
  await query('update agency set name_form = null where name_form is not null')
  const agencies = await query<{ code: string; name: string; state: string }>(
    'select code, name, state from agency order by created_at, code',
  )
  const holders = new Map<string, string>()
  for (const { code, name, state } of agencies) {
    const form = nameForm(name)
    const holder = state === 'closed' ? undefined : holders.get(form)
    if (holder !== undefined) {
      await tellOffice(query, { code, name, holder })
      continue
    }
    if (state !== 'closed') holders.set(form, code)
    await query('update agency set name_form = $2 where code = $1', [code, form])
  }
}

async function tellOffice(query: Query, { code, name, holder }: { code: string; name: string; holder: string }): Promise<void> {
  await notify(query, {
    to: { role: 'office' },
    kind: 'agency-name',
    object: `agency ${code}`,
    zh: `机关单位“${name}”（${code}）与 ${holder} 重名，请更名`,
    en: `Agencies ${code} and ${holder} have the same name: give one of them another`,
  })
}

async function fillResources(query: Query): Promise<void> {
  const resources = await query<Titled>(`select code, agency, title, state from resource order by state = 'withdrawn', published_at, code`)
  const holders = new Map<string, string>()
  const formed: { code: string; form: string }[] = []
  const twice: { resource: Titled; holder: string }[] = []
  for (const resource of resources) {
    const { code, agency, title, state } = resource
    const form = nameForm(title)
    const holder = state === 'withdrawn' ? undefined : holders.get(`${agency} ${form}`)
    if (holder !== undefined) {
      twice.push({ resource, holder })
      continue
    }
    if (state !== 'withdrawn') holders.set(`${agency} ${form}`, code)
    formed.push({ code, form })
  }
  // None has another one's old form on the way.
  await query('update resource set title_form = null where title_form is not null')
  await query('update resource r set title_form = f.form from unnest($1::text[], $2::text[]) as f(code, form) where f.code = r.code', [
    formed.map(({ code }) => code),
    formed.map(({ form }) => form),
  ])
  for (const { resource, holder } of twice) await tellAgency(query, resource, holder)
}

interface Titled {
  code: string
  agency: string
  title: string
  state: string
}

async function tellAgency(query: Query, { code, agency, title }: Titled, holder: string): Promise<void> {
  await notify(query, {
    to: [{ agency, role: 'registrar' }, { agency, role: 'reviewer' }, { role: 'office' }],
    kind: 'resource-title',
    object: `resource ${code}`,
    zh: `资源“${title}”（${code}）与本单位资源 ${holder} 重名，请登记更名；更名前不能发布其他变更`,
    en: `Resources ${code} and ${holder} of one agency have the same title: register another one for ${code}; until then no other change of it can be published`,
  })
}

async function fillItems(query: Query): Promise<void> {
  const items = await query<{ resource: string; item: string; label: string }>(
    `select c.resource, c.item, i.label from catalog_item c join resource r on r.code = c.resource
       join resource_version v on v.resource = r.code and v.version = r.version,
       jsonb_to_recordset(v.schema -> 'items') as i(id text, label text) where i.id = c.item`,
  )
  await query(
    `update catalog_item c set label = f.form from unnest($1::text[], $2::text[], $3::text[]) as f(resource, item, form)
     where f.resource = c.resource and f.item = c.item and c.label <> f.form`,
    [items.map(({ resource }) => resource), items.map(({ item }) => item), items.map(({ label }) => nameForm(label))],
  )
}
