/** A registry on a fresh database, with two agencies: what most tests of the hub begin with. */
import t from 'tap'
import { QianzhiError } from '../../protocol/errors.ts'
import { generateSigningKey, type SigningKey } from '../../protocol/signature.ts'
import { addAgency } from '../../hub/registry/agencies/agencies.ts'
import type { Draft } from '../../hub/registry/catalog/compatibility.ts'
import { enrol, issueToken } from '../../hub/registry/machines/enrolment.ts'
import type { Registry } from '../../hub/records/registry.ts'
import { openStore } from '../../hub/store/store.ts'
import { Wakeups } from '../../hub/store/wakeups.ts'
import { startPostgres } from '../support/postgres.ts'

export interface Office extends Registry {
  /** The hub's clock, which tests set. */
  now: Date
}

/** One server per test file, ended with it; each call makes a database. */
const server = startPostgres({ settings: { fsync: 'off' } })
t.teardown(async () => (await server).stop())

export async function openOffice(test: Pick<typeof t, 'teardown'>): Promise<Office> {
  return officeAt(test, await copyOf('office', async () => undefined))
}

export async function officeAt(test: Pick<typeof t, 'teardown'>, url: string): Promise<Office> {
  const store = await openStore(url)
  test.teardown(() => store.close())
  const office: Office = { store, wakeups: new Wakeups(), now: new Date('2026-11-22T00:00:00Z'), clock: () => office.now }
  return office
}

const templates = new Map<string, Promise<unknown>>()

/** A database of its own: the copy of one with two agencies that `fill` completes, once for the tests of a file. */
export async function copyOf(name: string, fill: (office: Office) => Promise<unknown>): Promise<string> {
  const template = `template_${name}`
  if (!templates.has(name)) templates.set(name, makeTemplate(template, fill))
  await templates.get(name)
  return (await server).createDatabase(undefined, template)
}

async function makeTemplate(name: string, fill: (office: Office) => Promise<unknown>): Promise<void> {
  const ends: (() => unknown)[] = []
  const office = await officeAt({ teardown: (end) => void ends.push(end) }, await (await server).createDatabase(name))
  await addAgency(office, 'admin', { code: 'civil', name: '民政局' })
  await addAgency(office, 'admin', { code: 'water', name: '水务局' })
  await fill(office)
  for (const end of ends) await end()
}

export async function databaseUrl(): Promise<string> {
  return (await server).createDatabase()
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
