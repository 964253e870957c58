/** Batch check 批量核验 over all adopters of a standard: each row names its source. */
import { QianzhiError } from '../../protocol/errors.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import type { Reader } from '../tables/reader.ts'
import { checkRows, maxChecked, type CheckedRow, type CheckResult } from './checks.ts'
import { requireItem } from './share.ts'
import type { Union } from './unions.ts'

/**
 * One result for each row, in their order; a source that is none of the union's has no row. Throws QZ-DATA-ITEM, QZ-REQUEST-INVALID where a
 * row lacks a part of the key, or asks of a source what that one does not show: it could only be called different.
 */
export async function checkUnionRows(
  deps: { reader: Reader },
  union: Pick<Union, 'items' | 'members'>,
  rows: readonly CheckedRow[],
): Promise<CheckResult[]> {
  if (rows.length > maxChecked) throw invalid({ zh: `超过 ${maxChecked} 行`, en: `there are more than ${maxChecked} rows` })
  const { id: sourceId } = union.items[0]!
  const results = rows.map((): CheckResult => ({ found: false, items: {} }))
  for (const id of new Set(rows.flatMap((row) => Object.keys(row)))) requireItem(union, id)
  const places = Map.groupBy(rows.keys(), (at) => rows[at]![sourceId] ?? null)
  const [nowhere] = places.get(null) ?? []
  if (nowhere !== undefined)
    throw invalid({ zh: `第 ${nowhere + 1} 行缺少主键信息项 ${sourceId}`, en: `row ${nowhere + 1} lacks the key item ${sourceId}` })
  for (const { source, share, items } of union.members) {
    const at = places.get(source) ?? []
    const own = at.map((place) => {
      const { [sourceId]: _source, ...row } = rows[place]!
      const absent = Object.keys(row).find((id) => !items.has(id))
      if (absent !== undefined)
        throw invalid({
          zh: `第 ${place + 1} 行：来源 ${source} 不提供信息项 ${absent}，不能核验`,
          en: `row ${place + 1}: source ${source} does not show item ${absent}, which cannot be checked there`,
        })
      return row
    })
    if (own.length === 0) continue
    const checked = await checkRows(deps, share, own)
    for (const [i, place] of at.entries()) results[place] = checked[i]!
  }
  return results
}

function invalid(reason: LocalizedText): QianzhiError {
  return new QianzhiError('QZ-REQUEST-INVALID', { reason })
}
