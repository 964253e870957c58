import { QianzhiError } from '../../protocol/errors.ts'
import type { Query } from '../store/store.ts'
import type { Access } from './access.ts'

/** None of the last ones, nor the present one (QZ-RULE). */
export async function checkNewPassword(query: Query, { rules, passwords }: Access, person: string, password: string): Promise<void> {
  const [kept] = await query<{ password: string | null; earlier: string[] }>(
    'select password, earlier_passwords as earlier from person where id = $1',
    [person],
  )
  const earlier = [kept!.password, ...kept!.earlier].filter((hash) => hash !== null).slice(0, rules.password.earlier)
  for (const hash of earlier) {
    if (!(await passwords.verify(password, hash))) continue
    const { earlier: count } = rules.password
    throw new QianzhiError('QZ-RULE', {
      reason: { zh: `口令不能与最近 ${count} 次相同`, en: `the password may be none of the last ${count}` },
    })
  }
}
