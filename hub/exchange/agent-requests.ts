import { randomUUID } from 'node:crypto'
import { openAnswer, replyKey, signAsk, type AnswerTo, type Question, type SealedAnswer } from '../../protocol/asks.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import type { SigningKey } from '../../protocol/signature.ts'
import type { Query, Store } from '../store/store.ts'
import type { Listener, Wakeups } from '../store/wakeups.ts'
import type { ExchangeAgent } from './agent.ts'
import { requireActiveAgent } from '../records/agents.ts'

export interface AgentRequestsDeps {
  store: Pick<Store, 'query'>
  wakeups: Wakeups
  hubKey: SigningKey
  clock: () => Date
}

export interface AskOptions {
  /** Ends the waiting; its reason is thrown. */
  signal?: AbortSignal
  /** Milliseconds that the agent has: 20 seconds where not given, a minute at most. */
  timeout?: number
}

/** Asks that may be open for one agent at once. */
const maxOpen = 8
const longest = 60_000
/** Milliseconds after which an agent that nothing was heard of counts as away: longer than a poll may wait. */
const awayAfter = 75_000
/** Wakes between hub processes can get lost. */
const lookAgain = 1000

/**
 * Asks agents and passes their answers on. An ask rides in the answer to the agent's next poll, at whichever process of the hub that
 * polls; the answer comes back through the store, sealed. Nothing of an answer is written down or logged in clear.
 */
export class AgentRequests {
  readonly #deps: AgentRequestsDeps

  constructor(deps: AgentRequestsDeps) {
    this.#deps = deps
  }

  /**
   * Asks one agent and waits for its answer. Throws QZ-ASK-AWAY and QZ-ASK-UNANSWERED where none comes, QZ-HUB-BUSY where the agent is
   * asked too much already, QZ-NOT-FOUND and QZ-AGENT-REVOKED, and the agent's own coded error. Whoever asks on behalf of a person
   * puts it on record.
   */
  async ask<const Q extends Question>(agent: string, question: Q, { signal, timeout = 20_000 }: AskOptions = {}): Promise<AnswerTo<Q>> {
    signal?.throwIfAborted()
    const { store, wakeups } = this.#deps
    await requireActiveAgent(store.query, agent)
    const id = randomUUID()
    const { reply, secret } = replyKey()
    const patience = Math.min(timeout, longest)
    // Listening begins before the ask can be answered.
    using heard = wakeups.listen([`answer:${id}`])
    await this.#put({ id, agent, reply, expires: new Date(this.#deps.clock().getTime() + patience) }, question)
    try {
      wakeups.wake(`agent:${agent}`)
      const sealed = await this.#answered(id, heard, patience, signal)
      if (!sealed) throw await this.#silence(agent, patience)
      return openAnswer(sealed, secret, question)
    } finally {
      await store.query('delete from ask where id = $1', [id])
    }
  }

  async #put(ask: { id: string; agent: string; reply: string; expires: Date }, question: Question): Promise<void> {
    const { store, hubKey, clock } = this.#deps
    const { id, agent, reply, expires } = ask
    const statement = signAsk({ ask: id, agent, reply, expires: expires.toISOString() }, question, hubKey)
    const added = await store.query(
      `insert into ask (id, agent, statement, expires_at) select $1, $2, $3, $4
       where (select count(*) from ask where agent = $2 and answer is null and expires_at > $5) < ${maxOpen} returning id`,
      [id, agent, statement, expires, clock()],
    )
    if (added.length === 0)
      throw new QianzhiError('QZ-HUB-BUSY', {
        reason: { zh: `代理 ${agent} 已有 ${maxOpen} 个未答复的问询`, en: `${maxOpen} asks are open at agent ${agent}` },
      })
  }

  async #answered(id: string, heard: Listener, patience: number, signal: AbortSignal | undefined): Promise<SealedAnswer | undefined> {
    const until = performance.now() + patience
    for (;;) {
      const [row] = await this.#deps.store.query<{ answer: SealedAnswer }>('select answer from ask where id = $1 and answer is not null', [
        id,
      ])
      if (row) return row.answer
      signal?.throwIfAborted()
      const left = until - performance.now()
      if (left <= 0) return undefined
      await heard.wait(Math.min(left, lookAgain), signal)
    }
  }

  /** Why no answer came, and so who must act. */
  async #silence(agent: string, patience: number): Promise<QianzhiError> {
    const { store, clock } = this.#deps
    const [row] = await store.query<{ seen: Date | null }>('select last_seen as seen from agent where id = $1', [agent])
    const seen = row?.seen ?? null
    if (seen && clock().getTime() - seen.getTime() < awayAfter) {
      return new QianzhiError('QZ-ASK-UNANSWERED', { agent, seconds: Math.round(patience / 1000) })
    }
    return new QianzhiError('QZ-ASK-AWAY', { agent, seen: seen?.toISOString() ?? { zh: '从未', en: 'never' } })
  }

  /** Takes what an agent sends: only the one that was asked, once, in time. Throws QZ-ASK-CLOSED. */
  async answer(agent: ExchangeAgent, sealed: SealedAnswer): Promise<void> {
    const { store, wakeups, clock } = this.#deps
    const taken = await store.query(
      'update ask set answer = $3 where id = $1 and agent = $2 and answer is null and expires_at > $4 returning id',
      [sealed.ask, agent.id, JSON.stringify(sealed), clock()],
    )
    if (taken.length === 0) throw new QianzhiError('QZ-ASK-CLOSED', { ask: sealed.ask })
    wakeups.wake(`answer:${sealed.ask}`)
  }
}

/** An ask that an agent has not answered yet. */
export interface OpenRequest {
  id: string
  statement: string
  expires: Date
}

export function openRequests(query: Query, agent: string): Promise<OpenRequest[]> {
  return query<OpenRequest>(
    'select id, statement, expires_at as expires from ask where agent = $1 and answer is null order by expires_at, id',
    [agent],
  )
}

/** What a process that died left behind. */
export async function dropExpiredRequests(query: Query, now: Date): Promise<void> {
  await query('delete from ask where expires_at < $1', [now])
}
