import type { LocalizedText } from '../../../protocol/localized.ts'
import type { Query } from '../../store/store.ts'

/**
 * SQL: the catalog version with which a version of the delivered schema came. People know a resource by its catalog version; what is
 * delivered has a version of its own, which grows only where its shape changes.
 */
export const catalogVersionOf = (resource: string, version: string): string =>
  `(select min(number) from catalog_version where resource = ${resource} and version = ${version})`

/** A version as it is told: `catalog version 4 (delivered as version 2)`. */
export async function nameVersion(query: Query, resource: string, version: number | null): Promise<LocalizedText> {
  const [row] = await query<{ number: number | null }>(`select ${catalogVersionOf('$1', '$2')} as number`, [resource, version])
  return versionName(row!.number, version)
}

export function versionName(number: number | null, version: number | null): LocalizedText {
  if (number === null) return { zh: `数据结构第 ${version} 版`, en: `delivered version ${version}` }
  return { zh: `目录第 ${number} 版（数据结构第 ${version} 版）`, en: `catalog version ${number} (delivered as version ${version})` }
}
