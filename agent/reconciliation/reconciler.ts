import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import { entriesFrom, keysOf, Portions } from '../../protocol/collected-rows.ts'
import { RowHasher, type TableDigest } from '../../protocol/digest.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import { joinTexts, type LocalizedText } from '../../protocol/localized.ts'
import type { Policy } from '../../protocol/policy.ts'
import { isAfter, type ChainPosition } from '../../protocol/position.ts'
import {
  bucketsAtOnce,
  entriesAtOnce,
  outcomeOf,
  signReconciliation,
  type Measured,
  type ReconcileAnswer,
  type ReconcileQuestion,
  type ReconciliationStatement,
  type StepAnswer,
  type StepName,
  type StepOf,
} from '../../protocol/reconciliation.ts'
import type { SigningKey } from '../../protocol/signature.ts'
import type { AgentConfig } from '../config/config.ts'
import { isWithin } from '../config/hours.ts'
import { narrowedItems } from '../config/mapping.ts'
import type { Database, Reading, Row } from '../database.ts'
import type { DrainWaitersByResource } from '../outbound/drain-waiters.ts'
import { collectRows, digestTable, lookUp, sourceKeys, staleKeys } from './reading.ts'
import { reconciledTable, type ReconciledTable } from './table.ts'
import type { StatusBoard } from '../status/board.ts'
import { stateNames } from '../status/line-states.ts'

export interface ReconcilerDeps {
  config: Pick<AgentConfig, 'auto' | 'databases' | 'hub' | 'reconcile' | 'sinks' | 'sources' | 'timezone'>
  databases: ReadonlyMap<string, Database>
  policy: () => Policy | undefined
  board: StatusBoard
  drainWaiters: DrainWaitersByResource
  key: SigningKey
  now: () => Date
  logger: Logger
  /**
   * In this route's turn, between two batches: removes the rows of the keys that `choose` gives for the place that the route has applied, as if
   * the stream had brought their deletes. Throws QZ-RECONCILE-NOT-NOW where it fills no live table.
   */
  removeRows: (route: string, choose: (applied: ChainPosition) => Promise<Row[]>) => Promise<number>
  /** Told of each statement that this side signed. */
  signed: (side: 'source' | 'target', statement: ReconciliationStatement) => void
}

/** One run as this agent takes part in it. */
interface Run {
  question: Omit<ReconcileQuestion, 'step' | 'kind'>
  hasher: RowHasher
  rows: number
  steps: Map<string, Promise<unknown>>
  lastAsked: number
  ending: AbortController
  digest?: TableDigest
  measured?: Measured
  portions: Portions
  /** Hashes at the keys that were looked at again, as they were last: by the key as JSON. */
  followed: Map<string, { keyHash: string; hash: string | null }>
  /** Those of them that the total leaves out, as JSON. */
  left: Set<string>
}

type LongStep = Extract<StepName, 'digest' | 'collect' | 'recheck' | 'repair' | 'remove'>
type Done<N extends LongStep> = Extract<StepAnswer<N>, { done: true }>

/** Milliseconds for which an ask is held while its step goes on. */
const holds = 10_000
/** Milliseconds between looks whether a line that is waited for still flows. */
const looks = 500
/** Milliseconds without an ask after which the hub has given a run up. */
const forgetAfter = 10 * 60_000
const maxRuns = 4

const ends = {
  source: { zh: '来源方', en: 'source' },
  target: { zh: '接收方', en: 'target' },
} as const satisfies Record<ReconciledTable['side'], LocalizedText>

/**
 * Takes part in reconciliations: reads this side's table on a connection of its own, and signs what it measured itself. A run lives in
 * memory alone: after a restart the hub begins another one. Everything is judged by the policy of the moment, page by page.
 */
export class Reconciler {
  readonly #deps: ReconcilerDeps
  readonly #runs = new Map<string, Run>()

  constructor(deps: ReconcilerDeps) {
    this.#deps = deps
  }

  /** Throws QZ-RECONCILE-NOT-NOW, QZ-RECONCILE-LOST, QZ-RECONCILE-NUMBERS, what `reconciledTable` throws, and the database's own codes. */
  async answer({ step, run: id, route, resource, side, schema, items, salt, narrowed }: ReconcileQuestion): Promise<ReconcileAnswer> {
    const question = { run: id, route, resource, side, schema, items, salt, ...(narrowed && { narrowed }) }
    this.#forgetOld()
    const table = this.#table(question)
    if (step.do === 'narrowing') return { narrowed: table.side === 'target' ? narrowedItems(table.table.columns) : [] }
    const run = this.#runOf(question, step.do)
    run.lastAsked = performance.now()
    switch (step.do) {
      case 'digest':
        return this.#long(run, step, () => this.#digest(run, table))
      case 'collect':
        return this.#long(run, step, () => this.#collect(run, table, step))
      case 'recheck':
        return this.#long(run, step, () => this.#recheck(run, table, step))
      case 'repair':
        return this.#long(run, step, () => this.#repair(run, table, step))
      case 'remove':
        return this.#long(run, step, () => this.#remove(run, table, step))
      case 'total':
        return this.#total(run, step)
      case 'buckets':
        return { buckets: known(run.digest, run).buckets(step.bits, step.from, bucketsAtOnce).toString('base64') }
      case 'entries':
        return { entries: entriesFrom(known(run.portions.last, run), step.from, entriesAtOnce).toString('base64') }
      case 'keys':
        return { keys: keysOf(known(run.portions.last, run), step.hashes) }
      case 'sign':
        return this.#sign(run, step)
    }
  }

  stop(): void {
    for (const run of this.#runs.values()) run.ending.abort()
    this.#runs.clear()
  }

  #table(question: Run['question']): ReconciledTable {
    const table = reconciledTable(this.#deps.config, this.#deps.policy(), question)
    const { reconcile, timezone } = this.#deps.config
    if (isWithin(reconcile?.window, this.#deps.now(), timezone)) return table
    const reason = { zh: `前置机只在 ${reconcile?.window} 对账`, en: `this agent reconciles at ${reconcile?.window} only` }
    throw new QianzhiError('QZ-RECONCILE-NOT-NOW', { reason })
  }

  #runOf(question: Run['question'], step: StepName): Run {
    const id = `${question.run} ${question.side}`
    const run = this.#runs.get(id)
    if (run && isDeepStrictEqual(run.question, question)) return run
    if (step !== 'digest') throw new QianzhiError('QZ-RECONCILE-LOST', { run: question.run })
    // The hub has begun it anew, with another salt: what it asked before was put off.
    run?.ending.abort()
    const items = this.#table(question).items
    const made: Run = {
      question,
      hasher: new RowHasher(items, question.salt),
      rows: 0,
      steps: new Map(),
      portions: new Portions(),
      followed: new Map(),
      left: new Set(),
      lastAsked: performance.now(),
      ending: new AbortController(),
    }
    this.#runs.set(id, made)
    return made
  }

  /** The hub has one run at a time: the others were given up there. */
  #forgetOld(): void {
    const latest = [...this.#runs].toSorted(([, a], [, b]) => b.lastAsked - a.lastAsked)
    for (const [id, run] of latest.filter(([, run], i) => i >= maxRuns || performance.now() - run.lastAsked > forgetAfter)) {
      run.ending.abort()
      this.#runs.delete(id)
    }
  }

  /** Begins the step where it was not, and says within `holds` whether it is done. A step that failed may be begun again. */
  async #long<N extends LongStep>(run: Run, asked: StepOf<N>, work: () => Promise<Done<N>>): Promise<StepAnswer<N>> {
    const id = createHash('sha256').update(JSON.stringify(asked)).digest('base64url')
    let step = run.steps.get(id) as Promise<Done<N>> | undefined
    if (!step) {
      run.rows = 0
      step = work()
      step.catch(() => run.steps.delete(id))
      run.steps.set(id, step)
    }
    const waited = new AbortController()
    try {
      const held = sleep(holds, undefined, { signal: waited.signal })
      return (await Promise.race([step, held])) ?? ({ done: false, rows: run.rows } as StepAnswer<N>)
    } finally {
      waited.abort()
    }
  }

  /** Where a snapshot is on its way, or the line is held, there is nothing to compare yet. */
  #flowing({ side, database }: ReconciledTable, { resource, route }: Run['question']): ChainPosition {
    const { board } = this.#deps
    const report = side === 'source' ? board.source(resource, database) : board.sinks.get(route)
    if (report?.state === 'flowing' && report.position) return report.position
    const reason = report?.fault
      ? joinTexts([report.fault.code, report.fault], ' ')
      : joinTexts([ends[side], stateNames[report?.state ?? 'starting']], ' ')
    throw new QianzhiError('QZ-RECONCILE-NOT-NOW', { reason })
  }

  #reading(run: Run, table: ReconciledTable) {
    const { config, databases } = this.#deps
    return {
      database: databases.get(table.database)!,
      table,
      hasher: run.hasher,
      pace: config.reconcile?.pace,
      check: () => void this.#table(run.question),
      progress: (rows: number) => void (run.rows = rows),
      signal: run.ending.signal,
      chance: Number.parseInt(run.question.salt.slice(8, 16), 16),
    }
  }

  async #digest(run: Run, table: ReconciledTable): Promise<Done<'digest'>> {
    this.#flowing(table, run.question)
    const from = this.#deps.now().toISOString()
    const { digest, doubt } = await digestTable(this.#reading(run, table))
    run.digest = digest
    run.measured = { ...digest.total(), from, to: this.#deps.now().toISOString(), ...(doubt && { doubt }) }
    const told = { run: run.question.run, route: run.question.route, rows: digest.rows }
    this.#deps.logger.info(told, 'a table was summed up')
    if (doubt) this.#deps.logger.error({ ...told, doubt }, 'the database does not confirm what was read of the table')
    return { done: true, ...run.measured, position: this.#flowing(table, run.question) }
  }

  async #collect(run: Run, table: ReconciledTable, step: StepOf<'collect'>): Promise<Done<'collect'>> {
    const collected = await collectRows(this.#reading(run, table), step)
    run.portions.begin(collected, run.followed)
    return { done: true, entries: collected.keys.size }
  }

  /** The source reads first and waits then; the receiver waits first, and reads what the source's rows have become. */
  async #recheck(run: Run, table: ReconciledTable, step: StepOf<'recheck'>): Promise<Done<'recheck'>> {
    if (table.side === 'source') {
      const found = await this.#lookUp(run, table, step.keys)
      return { done: true, ...found, position: await this.#drained(run, table) }
    }
    while (isAfter(step.after ?? { epoch: 0, seq: 0 }, this.#flowing(table, run.question))) {
      await sleep(50, undefined, { signal: run.ending.signal })
    }
    const position = this.#flowing(table, run.question)
    const found = await this.#lookUp(run, table, step.keys)
    const quarantine = await this.#deps.databases.get(table.database)!.quarantine(run.question.route, 10_000)
    const refused = quarantine.filter(({ end }) => end === 'sink')
    const codes = new Map(refused.map(({ key, code }) => [JSON.stringify(run.hasher.canonicalKey(key)), code]))
    const faults = step.keys.map((key, i) => codes.get(JSON.stringify(key)) ?? found.faults[i]!)
    return { done: true, ...found, faults, position }
  }

  async #lookUp(run: Run, table: ReconciledTable, keys: readonly Row[]) {
    const found = await this.#read(table, (reading) => lookUp(reading, table, run.hasher, keys))
    keys.forEach((key, i) => {
      const keyHash = run.hasher.keyHash(run.hasher.textOfKey(key))
      run.followed.set(JSON.stringify(key), { keyHash, hash: found.hashes[i]! })
    })
    return found
  }

  async #repair(run: Run, table: ReconciledTable, step: StepOf<'repair'>): Promise<Done<'repair'>> {
    if (table.side !== 'source')
      throw new QianzhiError('QZ-REQUEST-INVALID', { reason: { zh: '只有来源方可以重新发送', en: 'only the source sends rows again' } })
    const { own, absent } = await this.#read(table, (reading) => sourceKeys(reading, table, run.hasher, step.keys))
    this.#deps.drainWaiters.of(run.question.resource).resend(own)
    this.#deps.logger.info({ run: run.question.run, keys: own.length }, 'rows are sent again after a reconciliation')
    return { done: true, position: await this.#drained(run, table), absent }
  }

  /** What came after the source looked is newer than its word: such a row stays. */
  async #remove(run: Run, table: ReconciledTable, { keys, before }: StepOf<'remove'>): Promise<Done<'remove'>> {
    if (table.side !== 'target')
      throw new QianzhiError('QZ-REQUEST-INVALID', {
        reason: { zh: '只有接收方可以删除其数据行', en: 'only the receiver removes its rows' },
      })
    const positions = this.#deps.config.databases[table.database]!.folder === undefined
    const choose = (applied: ChainPosition) =>
      this.#read(table, (reading) => staleKeys(reading, table, keys, { before, applied, positions }))
    const removed = await this.#deps.removeRows(run.question.route, choose)
    this.#deps.logger.info({ run: run.question.run, route: run.question.route, removed }, 'rows that the source does not have are removed')
    return { done: true, removed }
  }

  /** What is left out is told in as many asks as it takes; the last one's answer counts. */
  #total(run: Run, { without }: StepOf<'total'>): StepAnswer<'total'> {
    for (const key of without) run.left.add(JSON.stringify(key))
    const total = run.portions.total(known(run.digest, run), run.followed, (key) => run.left.has(key))
    run.measured = { ...known(run.measured, run), ...total }
    return total
  }

  /** When all that is queued now is stored at the hub. Throws QZ-RECONCILE-NOT-NOW where the line is held before. */
  async #drained(run: Run, table: ReconciledTable): Promise<ChainPosition> {
    const waiting = new AbortController()
    const signal = AbortSignal.any([run.ending.signal, waiting.signal])
    const drained = this.#deps.drainWaiters.of(run.question.resource).drained(signal)
    drained.catch(() => undefined)
    try {
      for (;;) {
        this.#flowing(table, run.question)
        const position = await Promise.race([drained, sleep(looks, undefined, { signal })])
        if (position) return position
      }
    } finally {
      waiting.abort()
    }
  }

  async #read<T>(table: ReconciledTable, work: (reading: Reading) => Promise<T>): Promise<T> {
    const reading = await this.#deps.databases.get(table.database)!.openReading()
    try {
      return await work(reading)
    } finally {
      await reading.close()
    }
  }

  /** Only a statement that says of this side what this side has measured, and that does not contradict itself. */
  #sign(run: Run, { statement }: StepOf<'sign'>): StepAnswer<'sign'> {
    const { question } = run
    const measured = known(run.measured, run)
    const same = {
      run: statement.run === question.run,
      route: statement.route === question.route && statement.resource === question.resource,
      schema: statement.schema === question.schema,
      items:
        isDeepStrictEqual(statement.items, question.items) &&
        isDeepStrictEqual(
          statement.narrowed,
          question.narrowed?.map(({ item }) => item),
        ),
      salt: statement.salt === question.salt,
      [question.side]: isDeepStrictEqual({ ...statement[question.side] }, { ...measured }),
      outcome: statement.outcome === outcomeOf(statement) && addsUp(statement, run.followed.size),
    }
    const wrong = Object.entries(same).find(([, fits]) => !fits)
    if (wrong) throw new QianzhiError('QZ-RECONCILE-NUMBERS', { run: question.run, what: wrong[0] })
    this.#runs.delete(`${question.run} ${question.side}`)
    const signature = signReconciliation(statement, this.#deps.key)
    this.#deps.signed(question.side, statement)
    return { signature }
  }
}

/** Every differing key was followed here, and is accounted for. */
function addsUp({ differing, settled, moving, quarantined, repaired, remaining, more }: StepOf<'sign'>['statement'], followed: number) {
  return more || (differing === followed && differing === settled + moving + quarantined + repaired + remaining)
}

/** Throws QZ-RECONCILE-LOST where the step before was taken before a restart. */
function known<T>(value: T | undefined, { question }: Run): T {
  if (value === undefined) throw new QianzhiError('QZ-RECONCILE-LOST', { run: question.run })
  return value
}
