import type { Role } from '../../records/roles.ts'
import type { Query } from '../../store/store.ts'

/** The agency whose people have a role of the city's own offices; undefined where nobody has it. */
export async function agencyWith(query: Query, role: Role): Promise<string | undefined> {
  const [found] = await query<{ agency: string }>(
    `select p.agency from person p join person_role r on r.person = p.id where r.role = $1 and p.state <> 'disabled' order by p.id limit 1`,
    [role],
  )
  return found?.agency
}
