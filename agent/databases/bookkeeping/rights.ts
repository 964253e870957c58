import type { Check, MappedColumn, SourceTable } from '../../database.ts'

/** A right that the running account needs, as the statement by which a DBA gives it. */
export interface Right {
  statement: string
  /** Whether the account that asks has it. */
  held: () => Promise<boolean>
}

/** What of a source its rights depend on. Without columns all of the table is to be read. */
export interface SuppliedTable extends Pick<SourceTable, 'resource' | 'table' | 'capture' | 'query'> {
  columns: readonly Pick<MappedColumn, 'column'>[]
}

/** Statements that give what is missing; one that two tables need stands there once. */
export async function missingRights(rights: readonly Right[]): Promise<string[]> {
  const missing = new Set<string>()
  for (const { statement, held } of rights) if (!missing.has(statement) && !(await held())) missing.add(statement)
  return [...missing]
}

/** All that are missing, ready to copy. */
export async function rightsCheck(rights: readonly Right[], end = ';'): Promise<Check> {
  const missing = await missingRights(rights)
  const list = missing.map((statement) => `\n  ${statement}${end}`).join('')
  const ok = missing.length === 0
  return {
    name: 'rights',
    ok,
    zh: ok ? '权限齐全' : `缺少权限，请 DBA 执行：${list}`,
    en: ok ? 'all rights are there' : `rights are missing, have the DBA run:${list}`,
  }
}
