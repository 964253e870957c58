/** A data standard, its adopters' small tables, and versions published at the hub's store: what tests of shared tables and of versions begin with. */
import type { Item } from '../../protocol/schema.ts'
import type { Client } from '../support/client.ts'
import type { ResourceFile } from '../support/exchange.ts'

export const openness = 'internal' as const

export const licenceItems: Item[] = [
  { id: 'number', name: 'number', label: '许可证号', type: 'text', length: 30, key: true, openness },
  { id: 'holder', name: 'holder', label: '持证单位', type: 'text', length: 100, openness },
  { id: 'until', name: 'until', label: '有效期至', type: 'date', openness },
]

export function licences(agency: string, changes: Partial<ResourceFile> = {}): ResourceFile {
  return { resource: `${agency}.licences`, title: '行政许可', agency, table: 'licences', items: licenceItems, ...changes }
}

/** The office's standard, adopted by resources; made in the store, as the registry's own acts do. */
export async function adopt(store: Client, standard: string, resources: readonly string[]): Promise<void> {
  await store.query(`insert into standard (code, state) values ($1, 'published') on conflict do nothing`, [standard])
  await store.query('update resource set standard = $1 where code = any($2)', [standard, resources])
}

/** A further version, compatible or not, and what its grants give from now on. */
export async function publishVersion(store: Client, version: number, form: ResourceFile, items: readonly string[]): Promise<void> {
  const schema = JSON.stringify({ ...form, version })
  await store.query('insert into resource_version (resource, version, schema) values ($1, $2, $3)', [form.resource, version, schema])
  await store.query('update access_grant set items = $2 where resource = $1', [form.resource, [...items]])
  await store.query('update resource set version = $2 where code = $1', [form.resource, version])
}
