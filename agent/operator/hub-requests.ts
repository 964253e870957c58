import type { Logger } from 'pino'
import {
  failure,
  openAsk,
  questionOf,
  sealAnswer,
  type Answer,
  type Ask,
  type OperateQuestion,
  type Outcome,
  type Question,
  type SealedAnswer,
} from '../../protocol/asks.ts'
import { errorForLog, QianzhiError } from '../../protocol/errors.ts'
import type { Policy } from '../../protocol/policy.ts'
import type { AgentConfig } from '../config/config.ts'
import type { Check, Database } from '../database.ts'
import { titled } from './check-names.ts'
import { describeDatabases, describeTable } from './describe.ts'
import { previewRows } from './preview.ts'
import type { Reconciler } from '../reconciliation/reconciler.ts'

export interface HubRequestsDeps {
  agent: string
  hubKey: string
  now: () => Date
  /** Posts a sealed answer. */
  send: (answer: SealedAnswer, signal: AbortSignal) => Promise<void>
  config: Pick<AgentConfig, 'sources' | 'describe'>
  databases: ReadonlyMap<string, Database>
  policy: () => Policy | undefined
  /** What `qianzhi-agent doctor` finds, of this running agent. */
  doctor: () => Promise<Check[]>
  /** The last lines of its log, oldest first. */
  logTail: (lines: number) => string[]
  /** Pauses, resumes or confirms a line by the name of its resource or route. Throws QZ-NOT-FOUND. */
  operate: Operate
  reconciler: Pick<Reconciler, 'answer'>
  logger: Logger
}

export type Operate = Record<OperateQuestion['kind'], (name: string) => unknown>

/** Questions under way at once: each has a connection of its own to a database. */
const most = 4
/** Asks remembered, so that one that comes again with the next poll is answered once. */
const remembered = 1000

/** Answers what the hub asks in its answers to polls. What is read for an answer leaves the machine sealed, and stands in no log. */
export class HubRequests {
  readonly #deps: HubRequestsDeps
  readonly #seen = new Set<string>()
  readonly #stopping = new AbortController()
  readonly #waiting: Ask[] = []
  readonly #running = new Set<Promise<void>>()

  constructor(deps: HubRequestsDeps) {
    this.#deps = deps
  }

  /** Takes asks; those that the hub did not sign for this agent, expired ones and those known already are passed over. */
  take(statements: readonly string[]): void {
    const { hubKey, agent, now } = this.#deps
    for (const jws of statements) {
      const ask = openAsk(jws, hubKey, agent, now())
      if (!ask || this.#seen.has(ask.ask)) continue
      if (this.#seen.size >= remembered) this.#seen.clear()
      this.#seen.add(ask.ask)
      this.#waiting.push(ask)
    }
    this.#go()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#waiting.length = 0
    await Promise.allSettled(this.#running)
  }

  #go(): void {
    while (this.#running.size < most && this.#waiting.length > 0) {
      const answering = this.#answer(this.#waiting.shift()!).finally(() => {
        this.#running.delete(answering)
        this.#go()
      })
      this.#running.add(answering)
    }
  }

  async #answer(ask: Ask): Promise<void> {
    const { logger, send } = this.#deps
    const { signal } = this.#stopping
    const outcome = await this.#outcome(ask)
    if (signal.aborted) return
    const code = 'error' in outcome ? outcome.error.code : undefined
    logger.info({ ask: ask.ask, kind: ask.kind, ...(code && { code }) }, 'the hub asked')
    try {
      await send(sealAnswer(ask, outcome), signal)
    } catch (error) {
      if (!signal.aborted) logger.warn({ ask: ask.ask, err: errorForLog(error) }, 'an answer to the hub was not taken')
    }
  }

  async #outcome(ask: Ask): Promise<Outcome> {
    try {
      return { answer: await this.#reply(questionOf(ask)) }
    } catch (error) {
      return failure(error)
    }
  }

  async #reply(question: Question): Promise<Answer> {
    const { config, databases, policy, doctor, logTail, operate, reconciler } = this.#deps
    switch (question.kind) {
      case 'preview':
        return previewRows(config.sources, databases, policy(), question)
      case 'reconcile':
        return reconciler.answer(question)
      case 'doctor':
        return { checks: titled(await doctor()) }
      case 'log':
        return { lines: logTail(question.lines) }
      case 'describe':
        if (config.describe === false) throw new QianzhiError('QZ-ASK-OFF')
        if (question.table === undefined) return describeDatabases(databases, question.database)
        return describeTable(databases, question.database, question.table)
      default:
        await operate[question.kind](question.name)
        return { done: true }
    }
  }
}
