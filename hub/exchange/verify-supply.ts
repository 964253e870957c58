import { type OpenBatch } from '../../protocol/batch.ts'
import type { HeadAnswer, StoredAnswer } from '../../protocol/api.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import { isPlausibleEpoch, showPosition, type ChainPosition } from '../../protocol/position.ts'
import { agentRevoked } from '../records/agents.ts'
import { enteredSql } from '../records/supply.ts'
import { storedReceipt } from '../../protocol/receipt.ts'
import { checkContent } from './accept.ts'
import type { ExchangeContext } from './context.ts'
import type { AgentView, Supplied } from './agent-views.ts'
import { produces, readStreams } from './streams.ts'
import type { ExchangeAgent } from './agent.ts'

/** The registry's view of an agent. Throws QZ-AGENT-REVOKED. */
export async function activeView({ views }: Pick<ExchangeContext, 'views'>, agent: ExchangeAgent): Promise<AgentView> {
  const view = await views.of(agent.id)
  if (view.revoked) throw agentRevoked(agent.id, view.revoked)
  return view
}

/** The agent's policy says it by its cause. */
const notSupplied = { zh: '不在此代理的策略中', en: 'its policy does not have it' }
const entered = { zh: '其提供方式为在线填报或表格导入', en: 'people enter its rows, by form or workbook' }

/**
 * What this agent supplies of a resource. Where that is not as hoped, the registry is asked once more before it is believed: what is
 * remembered may be a second old. Throws QZ-SUPPLY-NOT-ALLOWED.
 */
export async function suppliedBy(
  context: Pick<ExchangeContext, 'views' | 'store'>,
  agent: ExchangeAgent,
  resource: string,
  hoped: (supplied: Supplied) => boolean = () => true,
): Promise<Supplied> {
  let supplied = (await activeView(context, agent)).supplies.get(resource)
  if (!supplied || !hoped(supplied)) {
    context.views.forget(agent.id)
    supplied = (await activeView(context, agent)).supplies.get(resource)
  }
  if (supplied) return supplied
  const [own] = await context.store.query(`select from resource r where r.code = $1 and r.agency = $2 and ${enteredSql}`, [
    resource,
    agent.agency,
  ])
  throw new QianzhiError('QZ-SUPPLY-NOT-ALLOWED', { resource, reason: own ? entered : notSupplied })
}

/** What the agent may supply of the resource that its batch names. A batch that another agent made is none of its own. */
export async function suppliedIn(context: ExchangeContext, agent: ExchangeAgent, { manifest }: OpenBatch): Promise<Supplied> {
  const { producer, resource, seq, schema } = manifest
  if (producer !== agent.id) {
    const reason = { zh: `生成者是 ${producer}，发送者是 ${agent.id}`, en: `the producer is ${producer}, the sender ${agent.id}` }
    throw new QianzhiError('QZ-BATCH-SIGNATURE', { reason })
  }
  return suppliedBy(context, agent, resource, (supplied) => {
    return supplied.schema.version === schema && (seq === 1 || supplied.lastProducer === agent.id)
  })
}

/** The head that a sound batch must be appended to; or the first receipt, where a batch that would be refused now is here already. */
export async function verify(
  context: ExchangeContext,
  agent: ExchangeAgent,
  batch: OpenBatch,
  supplied: Supplied,
): Promise<StoredAnswer | { head: ChainPosition | null }> {
  try {
    await checkContent(batch, supplied)
    return { head: await expectedHead(context, agent, batch, supplied) }
  } catch (error) {
    const receipt = await context.log.receipt(supplied.resource, positionOf(batch))
    if (receipt === undefined) throw error
    return { receipt }
  }
}

/** Within an epoch the manifest names its predecessor. An epoch begins after every one that was ever heard of, whatever the head is. */
async function expectedHead(
  context: ExchangeContext,
  agent: ExchangeAgent,
  batch: OpenBatch,
  { resource, lastProducer }: Supplied,
): Promise<ChainPosition | null> {
  const { epoch, seq, prev } = batch.manifest
  if (seq > 1 && lastProducer === agent.id) return { epoch, seq: seq - 1, hash: prev! }
  const { head, epoch: known } = await headOf(context, resource)
  if (seq > 1 || epoch <= known) throw notNext(batch, head)
  if (!isPlausibleEpoch(epoch, known, context.clock()))
    throw new QianzhiError('QZ-BATCH-LIMIT', {
      reason: { zh: `代次 ${epoch} 过于超前，请检查时钟`, en: `epoch ${epoch} is too far ahead: look at the clock` },
    })
  await produces(context.store, resource, agent.id)
  context.views.forget(agent.id)
  return head
}

/** Puts a batch on disk behind `expected`. A repeat gives the first receipt; with any other head QZ-BATCH-HEAD. */
export async function append(
  { log, hubKey, clock, checkpoint }: ExchangeContext,
  batch: OpenBatch,
  expected: ChainPosition | null,
): Promise<StoredAnswer & { repeated: boolean }> {
  const { resource, producer, rows, snapshot } = batch.manifest
  const at = positionOf(batch)
  const audit = checkpoint?.()
  const receipt = storedReceipt.sign({ resource, producer, ...at, time: clock().toISOString(), ...(audit && { audit }) }, hubKey)
  const answer = await log.append({ resource, rows, bytes: batch.bytes, receipt, ...at, ...(snapshot && { snapshot }) }, expected)
  if ('receipt' in answer) return { receipt: answer.receipt, repeated: answer.receipt !== receipt }
  const first = await log.receipt(resource, at)
  if (first === undefined) throw notNext(batch, answer.head)
  return { receipt: first, repeated: true }
}

/** The head of a stream, and the highest epoch that was ever heard of. */
export async function headOf({ store, log }: Pick<ExchangeContext, 'store' | 'log'>, resource: string): Promise<HeadAnswer> {
  const [heads, notes] = await Promise.all([log.heads([resource]), readStreams(store, [resource])])
  const head = heads.get(resource) ?? null
  return { head, epoch: Math.max(head?.epoch ?? 0, notes.get(resource)?.knownEpoch ?? 0) }
}

function positionOf({ manifest: { epoch, seq }, hash }: OpenBatch): ChainPosition {
  return { epoch, seq, hash }
}

function notNext(batch: OpenBatch, head: ChainPosition | null): QianzhiError {
  return new QianzhiError('QZ-BATCH-HEAD', { position: showPosition(batch.manifest), head: showPosition(head) })
}
