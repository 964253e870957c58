import type { Check } from '../../database.ts'

/** A right that the running account needs, as the statement by which a DBA gives it. */
export interface Right {
  statement: string
  /** Whether the account that asks has it. */
  held: () => Promise<boolean>
}

/** All that are missing, ready to copy; one that two tables need stands there once. */
export async function rightsCheck(rights: readonly Right[], end = ';'): Promise<Check> {
  const missing = new Set<string>()
  for (const { statement, held } of rights) if (!missing.has(statement) && !(await held())) missing.add(statement)
  const list = [...missing].map((statement) => `\n  ${statement}${end}`).join('')
  const ok = missing.size === 0
  return {
    name: 'rights',
    ok,
    zh: ok ? '权限齐全' : `缺少权限,请 DBA 执行:${list}`,
    en: ok ? 'all rights are there' : `rights are missing, have the DBA run:${list}`,
  }
}
