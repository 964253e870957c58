import { QianzhiError } from '../../protocol/errors.ts'
import type { Query } from '../store/store.ts'
import { notFound, rule } from './refusals.ts'

/** An agent: the program on an agency's front-end machine. */
export interface Agent {
  id: string
  agency: string
  name: string
  state: 'active' | 'revoked'
}

/** Throws QZ-NOT-FOUND, QZ-AGENT-REVOKED. */
export async function requireActiveAgent(query: Query, id: string): Promise<Agent> {
  const [agent] = await query<Agent>('select id, agency, name, state from agent where id = $1', [id])
  if (!agent) throw notFound('agent', id)
  if (agent.state === 'revoked') throw new QianzhiError('QZ-AGENT-REVOKED', { agent: id })
  return agent
}

/** The active agent that is meant where none is named: the agency's only one; null where it has none or several. */
export async function onlyAgent(query: Query, agency: string): Promise<string | null> {
  const active = await query<{ id: string }>(`select id from agent where agency = $1 and state = 'active' limit 2`, [agency])
  return active.length === 1 ? active[0]!.id : null
}

/** The same. Throws QZ-RULE where there is none, or several. */
export async function requireOnlyAgent(query: Query, agency: string): Promise<string> {
  const only = await onlyAgent(query, agency)
  if (only !== null) return only
  throw rule(
    `请指明前置机(agent,见 GET /agents):${agency} 没有在用的前置机,或有多台`,
    `name the machine (agent, see GET /agents): ${agency} has none in use, or several`,
  )
}
