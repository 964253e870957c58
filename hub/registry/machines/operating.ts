import type { AnswerTo, Question } from '../../../protocol/asks.ts'
import { actedBy, type Principal } from '../../access/principal.ts'
import type { OperationName } from '../../access/rights.ts'
import type { AgentRequests } from '../../exchange/agent-requests.ts'
import { writeAudit } from '../../records/audit.ts'
import type { Registry } from '../../records/registry.ts'

/** Who has an agent do something, through what, until when. */
export interface Operating {
  registry: Registry
  asks: Pick<AgentRequests, 'ask'>
  principal: Principal
  signal: AbortSignal
}

/** `doctor` looks at every table: it may take longer than what is only switched. */
const patience = { doctor: 55_000, usual: 20_000 }

/**
 * Has an agent find out or do something at somebody's request, on record before it is asked: who wanted what. Throws the codes of asks
 * (QZ-ASK-AWAY, QZ-ASK-UNANSWERED, QZ-AGENT-REVOKED) and the agent's own.
 */
export async function operateAgent<const Q extends Question>(
  { registry, asks, principal, signal }: Operating,
  act: OperationName,
  agent: string,
  question: Q,
): Promise<AnswerTo<Q>> {
  const { kind: _, ...details } = question
  await writeAudit(registry.store.query, { ...actedBy(principal), act, object: `agent ${agent}`, details })
  return asks.ask(agent, question, { signal, timeout: question.kind === 'doctor' ? patience.doctor : patience.usual })
}
