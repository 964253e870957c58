/** Whom a change of the registry concerns: the agents whose policy, or what they may supply and receive, is another one after it. */
import { enteredSql, flowsSql, producerOf, sharedSql } from '../../records/supply.ts'
import type { Query } from '../../store/store.ts'

/** The agents of a resource's agency, which supply it or are told why they do not, and those that receive it. */
export async function concernResource(query: Query, code: string, affectedAgents: Set<string>): Promise<void> {
  const [resource] = await query<{ agency: string }>('select agency from resource where code = $1', [code])
  if (resource) await concern(query, affectedAgents, resource.agency, [code], 'true')
}

/**
 * Makes a change of an agency's machines, one at a time for each agency until the end of the transaction. Concerned are its agents and the
 * receivers of those of its resources that another agent produces afterwards, or none; where that is of no resource, nobody is.
 */
export async function changeMachines<T>(query: Query, agency: string, affectedAgents: Set<string>, work: () => Promise<T>): Promise<T> {
  await query('select pg_advisory_xact_lock(hashtext($1))', [`machines of ${agency}`])
  const before = await producersIn(query, agency)
  const result = await work()
  const after = await producersIn(query, agency)
  const others = [...after.keys()].filter((code) => after.get(code) !== before.get(code))
  if (others.length > 0) await concern(query, affectedAgents, agency, others, flowsSql)
  return result
}

/** Who produces each of an agency's resources that agents may supply. */
async function producersIn(query: Query, agency: string): Promise<Map<string, string | null>> {
  const rows = await query<{ code: string; producer: string | null }>(
    `select r.code, ${producerOf} as producer from resource r where r.agency = $1 and ${sharedSql} and not ${enteredSql}`,
    [agency],
  )
  return new Map(rows.map(({ code, producer }) => [code, producer]))
}

/** `told`: SQL, whether the receiver by grant `g` of resource `r` is told of its producer. */
async function concern(
  query: Query,
  affectedAgents: Set<string>,
  agency: string,
  resources: readonly string[],
  told: string,
): Promise<void> {
  const rows = await query<{ id: string }>(
    `select id from agent where agency = $1 and state = 'active'
     union select a.id from route t join agent a on a.id = t.agent join access_grant g on g.id = t.access_grant join resource r on r.code = g.resource
       where g.resource = any($2) and a.state = 'active' and ${told}`,
    [agency, resources],
  )
  for (const { id } of rows) affectedAgents.add(id)
}
