import { randomBytes } from 'node:crypto'
import type { NarrowedItem, ReconcileQuestion, Step, StepAnswer, StepName, StepOf } from '../../protocol/reconciliation.ts'
import { codedError, QianzhiError } from '../../protocol/errors.ts'
import { maxKeys, stepAnswer } from '../../protocol/reconciliation.ts'
import { bucketBytes, hashBytes } from '../../protocol/digest.ts'
import type { AgentRequests } from '../exchange/agent-requests.ts'
import type { RunRoute } from './routes.ts'

/** How a run asks one of its two agents. */
export interface SideDeps {
  asks: Pick<AgentRequests, 'ask'>
  /** Throws where the run may not go on: its deadline is over, the route is not in force any more. Told what goes on. */
  goOn: (side: 'source' | 'target', step: StepName, rows: number) => Promise<void>
  signal: AbortSignal
}

/** Milliseconds for an answer: agents hold an ask for ten seconds, and may be between two polls. */
const patience = 45_000

export type LongStep = Extract<StepName, 'digest' | 'collect' | 'recheck' | 'repair' | 'remove'>
export type Done<N extends LongStep> = Extract<StepAnswer<N>, { done: true }>

/** One end of a route during a run. */
export interface Side {
  /** Items that both sides compare as the receiver's mapping leaves them. */
  narrowed: NarrowedItem[]
  /** Until the step is done. */
  long<N extends LongStep>(name: N, step: Omit<StepOf<N>, 'do'>): Promise<Done<N>>
  /** The sums of all buckets. */
  buckets(bits: number): Promise<Buffer>
  /** The hashes of all rows that were collected. */
  entries(count: number): Promise<Buffer>
  keys(hashes: string[]): Promise<StepAnswer<'keys'>['keys']>
  /** Its rows and digest without these keys, those that were followed as they were read last. */
  total(without: StepOf<'total'>['without']): Promise<StepAnswer<'total'>>
  /** Throws QZ-RECONCILE-NUMBERS where its own numbers are not in it. */
  sign(statement: StepOf<'sign'>['statement']): Promise<string>
}

/** The end of a route that an agent is. */
export class RunSide implements Side {
  readonly agent: string
  readonly #deps: SideDeps
  readonly #question: Omit<ReconcileQuestion, 'step'>
  narrowed: NarrowedItem[] = []

  constructor(deps: SideDeps, run: string, salt: string, side: 'source' | 'target', route: RunRoute) {
    this.#deps = deps
    this.agent = side === 'source' ? route.sourceAgent : route.targetAgent
    const { resource, schema, items } = route
    this.#question = { kind: 'reconcile', run, route: route.route, resource, side, schema, items, salt }
  }

  async long<N extends LongStep>(name: N, step: Omit<StepOf<N>, 'do'>): Promise<Done<N>> {
    for (;;) {
      const answer: StepAnswer<LongStep> = await this.#ask({ do: name, ...step } as unknown as Step, name)
      if (answer.done) return answer as Done<N>
      await this.#deps.goOn(this.#question.side, name, answer.rows)
    }
  }

  /** What the receiver's mappings do not keep. An agent of before the step has no answer to it. */
  async narrowing(): Promise<StepAnswer<'narrowing'>> {
    try {
      return await this.#ask({ do: 'narrowing' }, 'narrowing')
    } catch (error) {
      if (codedError(error).code === 'QZ-REQUEST-INVALID') return { narrowed: [] }
      throw error
    }
  }

  async buckets(bits: number): Promise<Buffer> {
    return this.#all((1 << bits) * bucketBytes, async (at) => {
      return (await this.#ask({ do: 'buckets', bits, from: at / bucketBytes }, 'buckets')).buckets
    })
  }

  async entries(count: number): Promise<Buffer> {
    const bytes = 2 * hashBytes
    return this.#all(count * bytes, async (at) => {
      return (await this.#ask({ do: 'entries', from: at / bytes }, 'entries')).entries
    })
  }

  async keys(hashes: string[]): Promise<StepAnswer<'keys'>['keys']> {
    return hashes.length === 0 ? [] : (await this.#ask({ do: 'keys', hashes }, 'keys')).keys
  }

  async total(without: StepOf<'total'>['without']): Promise<StepAnswer<'total'>> {
    for (let at = 0; at + maxKeys < without.length; at += maxKeys)
      await this.#ask({ do: 'total', without: without.slice(at, at + maxKeys) }, 'total')
    return this.#ask({ do: 'total', without: without.slice(Math.floor(Math.max(0, without.length - 1) / maxKeys) * maxKeys) }, 'total')
  }

  async sign(statement: StepOf<'sign'>['statement']): Promise<string> {
    return (await this.#ask({ do: 'sign', statement }, 'sign')).signature
  }

  /** Each answer holds as much as the agent tells at once. */
  async #all(length: number, part: (at: number) => Promise<string>): Promise<Buffer> {
    const parts: Buffer[] = []
    for (let at = 0, told = Buffer.alloc(0); at < length; at += told.length) {
      told = Buffer.from(await part(at), 'base64')
      if (told.length === 0) throw new QianzhiError('QZ-RECONCILE-LOST', { run: this.#question.run })
      parts.push(told)
    }
    return Buffer.concat(parts)
  }

  async #ask<N extends StepName>(step: Step, name: N): Promise<StepAnswer<N>> {
    const { asks, signal, goOn } = this.#deps
    await goOn(this.#question.side, name, 0)
    const narrowed = this.narrowed.length > 0 ? { narrowed: this.narrowed } : {}
    return stepAnswer(name, await asks.ask(this.agent, { ...this.#question, ...narrowed, step }, { signal, timeout: patience }))
  }
}

export function newSalt(): string {
  return randomBytes(16).toString('hex')
}
