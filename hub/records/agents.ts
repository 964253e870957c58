import { QianzhiError } from '../../protocol/errors.ts'
import type { Query } from '../store/store.ts'
import { notFound } from './refusals.ts'

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
