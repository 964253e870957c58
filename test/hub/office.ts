/** A registry on a fresh database, with two agencies: what most tests of the hub begin with. */
import t from 'tap'
import { QianzhiError } from '../../protocol/errors.ts'
import { generateSigningKey, type SigningKey } from '../../protocol/signature.ts'
import { addAgency } from '../../hub/registry/agencies/agencies.ts'
import { requireEntry } from '../../hub/registry/catalog/catalog.ts'
import type { Draft } from '../../hub/registry/catalog/compatibility.ts'
import type { CatalogContent } from '../../hub/registry/catalog/content.ts'
import { publishResource } from '../../hub/registry/publishing/direct-publishing.ts'
import { enrol, issueToken } from '../../hub/registry/machines/enrolment.ts'
import type { Registry } from '../../hub/records/registry.ts'
import { notePhase } from '../../hub/records/phases.ts'
import { openStore } from '../../hub/store/store.ts'
import { Wakeups } from '../../hub/store/wakeups.ts'
import { hubStore } from '../support/hub-store.ts'
import { findPostgres } from '../support/postgres.ts'

export interface Office extends Registry {
  /** The hub's clock, which tests set. */
  now: Date
  /** Of its database. */
  url: string
}

/** Of files that share a process the first one ends it: each test drops its own database. */
const server = findPostgres()
t.teardown(async () => (await server).stop())

export async function openOffice(test: Pick<typeof t, 'teardown'>): Promise<Office> {
  return (await copyOf(test, 'office', async () => undefined)).office
}

export async function officeAt(test: Pick<typeof t, 'teardown'>, url: string): Promise<Office> {
  const store = await openStore(url)
  test.teardown(() => store.close())
  const office: Office = { store, wakeups: new Wakeups(), now: new Date('2026-11-22T00:00:00Z'), url, clock: () => office.now }
  return office
}

/**
 * A database of its own: the copy of one with two agencies that `fill` completes, once for the tests of a run.
 * @returns with it what `fill` returned, which must be JSON.
 */
export async function copyOf<T>(
  test: Pick<typeof t, 'teardown'>,
  name: string,
  fill: (office: Office) => Promise<T>,
): Promise<{ office: Office; filled: T | undefined }> {
  const template = `template_${name}`
  const databases = await server
  const said = await databases.makeTemplate(template, (url) => fillTemplate(url, fill))
  const url = await databases.createDatabase(name, template)
  test.teardown(() => databases.dropDatabase(url))
  const office = await officeAt(test, url)
  // On record as done just now, not when the run began; the audit is written once and for all otherwise.
  await office.store.transaction(async (query) => {
    await query('alter table audit_entry disable trigger insert_only')
    await query('update audit_entry set at = now()')
    await query('alter table audit_entry enable always trigger insert_only')
  })
  return { office, filled: said === '' ? undefined : (JSON.parse(said) as T) }
}

async function fillTemplate(url: string, fill: (office: Office) => Promise<unknown>): Promise<string> {
  const ends: (() => unknown)[] = []
  const office = await officeAt({ teardown: (end) => void ends.push(end) }, url)
  await addAgency(office, 'admin', { code: 'civil', name: '民政局' })
  await addAgency(office, 'admin', { code: 'water', name: '水务局' })
  const filled = await fill(office)
  for (const end of ends) await end()
  return filled === undefined ? '' : JSON.stringify(filled)
}

/** An empty database. */
export async function databaseUrl(): Promise<string> {
  return (await server).createDatabase()
}

/** One with the hub's tables and nothing in them. */
export async function storeUrl(): Promise<string> {
  return hubStore(await server)
}

export async function enrolled(
  office: Office,
  agency: string,
  key: SigningKey = generateSigningKey(),
): Promise<{ id: string; key: SigningKey }> {
  const { secret } = await issueToken(office, 'admin', agency, 48)
  const agent = await enrol(office, { secret, publicKey: key.publicKey, name: `${agency} machine` })
  return { id: agent.id, key }
}

export function villages(change: (draft: Draft) => void = () => {}): Draft {
  const draft: Draft = {
    resource: 'villages',
    title: '村居名录',
    agency: 'civil',
    table: 'villages',
    items: [
      { id: 'code', name: 'code', label: '区划代码', type: 'text', length: 12, key: true, openness: 'public' },
      { id: 'name', name: 'name', label: '名称', type: 'text', length: 100, openness: 'public' },
      { id: 'street', name: 'street', label: '街道', type: 'text', length: 100, openness: 'internal' },
      { id: 'phone', name: 'phone', label: '电话', type: 'text', length: 20, openness: 'closed' },
    ],
  }
  change(draft)
  return draft
}

/** Publishes what is in force of a resource, supplied in another way. */
export async function supplyBy(office: Registry, supplyMode: CatalogContent['supplyMode'], code = 'villages'): Promise<void> {
  const { agency, content } = await requireEntry(office.store.query, code)
  const { title, table, items } = content
  await publishResource(office, 'admin', { schema: { resource: code, agency, title, table, items }, supplyMode })
}

/** As if a resource had been published then, with this cycle, and nothing had changed since. */
export async function publishedAt({ store }: Pick<Office, 'store'>, code: string, cycle: string, at: Date): Promise<void> {
  await store.query('update resource set cycle = $2, published_at = $3 where code = $1', [code, cycle, at])
  await store.query('delete from resource_phase where resource = $1', [code])
  await notePhase(store.query, code, at)
}

/** The code with which something is refused. */
export async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'not refused'
  } catch (error) {
    return error instanceof QianzhiError ? error.code : String(error)
  }
}

/** The agents that are woken while `work` runs. */
export async function woken(office: Office, agents: readonly string[], work: () => Promise<unknown>): Promise<string[]> {
  const heard = agents.map((agent) => office.wakeups.listen([`agent:${agent}`]))
  await work()
  const found = await Promise.all(heard.map((listener) => listener.wait(0)))
  for (const listener of heard) listener.close()
  return agents.filter((_, i) => found[i])
}
