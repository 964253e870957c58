/**
 * The outer side of one-way gaps, beside the line that writes the batches (folders/batch-sink.ts): tells the inside the policy and how far
 * each route is written, and takes what comes back: receipts, and requests for what was lost.
 */
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { codedError, errorForLog, QianzhiError } from '../../protocol/errors.ts'
import { gapHead, gapRequest, gapStatement, type GapRequest, type PlaceRange } from '../../protocol/gap.ts'
import { showPosition, type Position } from '../../protocol/position.ts'
import { appliedReceipt, removalReceipt, type AppliedReceipt } from '../../protocol/receipt.ts'
import { readStatement, type SigningKey } from '../../protocol/signature.ts'
import type { AgentConfig } from '../config/config.ts'
import type { SinkTable } from '../database.ts'
import { takeAway } from './batch-sink.ts'
import { claimFolder, requireFolder, unreachable } from '../folders/store/owner.ts'
import { sinkFile, SinkStore } from '../folders/store/sink-store.ts'
import { readJson, readKept, writeDurably, type AgentState } from '../runtime/state.ts'
import type { StatusBoard } from '../status/board.ts'
import type { Wake } from '../runtime/wake.ts'
import { exportBatches, showRange } from './export.ts'
import { GapCopies } from './copies.ts'
import { folderOf, gapFile, headFile, putFile, receiptsFolder, requestsFolder, statementsBelow, statementText } from './files.ts'

export interface GapOutletDeps {
  config: Pick<AgentConfig, 'data' | 'databases' | 'sinks'>
  identity: NonNullable<AgentState['identity']>
  key: SigningKey
  /** JWS of the policy in force. */
  policy: () => string | undefined
  /** Routes that run: the configured sink's, by its database's name. */
  routes: () => readonly { id: string; sink: SinkTable; restart(): void; renew(): void }[]
  /** Fired when there is another policy: the inside shall have it before the batches that go by it. */
  policyChanged: Wake
  board: StatusBoard
  now: () => Date
  logger: Logger
}

/** Milliseconds between looks, between the words on how far a busy route is, and after which the same is said again: it may be lost too. */
const lookEvery = 2_000
const headEvery = 10_000
const sayAgain = 10 * 60_000

type Route = ReturnType<GapOutletDeps['routes']>[number]

/** Whether an agent writes into a gap at all. */
export function feedsGap({ sinks }: Pick<AgentConfig, 'sinks'>): boolean {
  return sinks.some(({ contents }) => contents === 'batches')
}

/** Runs until aborted; never gives up. */
export async function runGapOutlet(deps: GapOutletDeps, signal: AbortSignal): Promise<void> {
  const outlet = new GapOutlet(deps)
  while (!signal.aborted) {
    await outlet.look()
    await deps.policyChanged.wait(lookEvery, signal)
  }
}

export class GapOutlet {
  readonly #deps: GapOutletDeps
  /** The policy that each folder's gap.json carries. */
  readonly #handed = new Map<string, { jws: string; at: number }>()
  readonly #heads = new Map<string, { said: string; at: number }>()
  readonly #faults = new Map<string, string>()

  constructor(deps: GapOutletDeps) {
    this.#deps = deps
  }

  async look(): Promise<void> {
    const { config } = this.#deps
    const sinks = config.sinks.filter(({ contents }) => contents === 'batches')
    for (const database of new Set(sinks.map((sink) => sink.database))) await this.#try(database, () => this.#state(database))
    for (const route of this.#routes()) await this.#try(route.id, () => this.#tellHead(route))
    for (const back of new Set(sinks.flatMap((sink) => sink.back ?? []))) await this.#try(back, () => this.#takeBack(back))
    for (const route of this.#routes()) await this.#try(`${route.id} receipts`, async () => this.#report(route))
  }

  /** A fault is logged once, and concerns nothing else. */
  async #try(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work()
      this.#faults.delete(what)
    } catch (error) {
      const coded = codedError(error)
      if (this.#faults.get(what) !== coded.code)
        this.#deps.logger.warn({ gap: what, code: coded.code, err: errorForLog(coded) }, coded.message)
      this.#faults.set(what, coded.code)
    }
  }

  /** Those that have been opened. */
  #routes(): Route[] {
    const { board, routes } = this.#deps
    const fed = routes().filter(({ id, sink }) => sink.files?.contents === 'batches' && board.sinks.has(id))
    return fed.filter(({ id }) => existsSync(sinkFile(this.#stored(id), id)))
  }

  #stored(route: string): { data: string; path: string } {
    const { board, config } = this.#deps
    return { data: config.data, path: this.#path(board.sinks.get(route)!.database) }
  }

  #path(database: string): string {
    return this.#deps.config.databases[database]!.folder!.path
  }

  /** Where a route's files are. */
  #pathOf({ id }: Route): string {
    return folderOf(this.#path(this.#deps.board.sinks.get(id)!.database), id)
  }

  /** gap.json, whenever the policy has changed. */
  async #state(database: string): Promise<void> {
    const { config, identity, key, policy, now } = this.#deps
    const jws = policy()
    const path = this.#path(database)
    const before = this.#handed.get(database)
    if (jws === undefined || (before?.jws === jws && performance.now() - before.at < sayAgain)) return
    await claimFolder({ path, agent: identity.agent, data: config.data })
    const statement = {
      kind: 'gap' as const,
      v: 1 as const,
      agent: identity.agent,
      agency: identity.agency,
      publicKey: key.publicKey,
      hubKey: identity.hubKey,
      policy: jws,
      time: now().toISOString(),
    }
    await this.#put(join(path, gapFile), statementText(gapStatement.sign(statement, key), { ...statement, policy: readStatement(jws) }))
    this.#handed.set(database, { jws, at: performance.now() })
  }

  /** How far a route is written, so that the inside sees what it lacks also where nothing follows. */
  async #tellHead(route: Route): Promise<void> {
    const { board, key, now } = this.#deps
    const position = board.sinks.get(route.id)?.position
    const before = this.#heads.get(route.id)
    const said = showPosition(position)
    if (!position || performance.now() - (before?.at ?? -Infinity) < (before?.said === said ? sayAgain : headEvery)) return
    const { epoch, seq, hash } = position
    const head = { kind: 'gap-head' as const, route: route.id, epoch, seq, hash, time: now().toISOString() }
    await this.#require(route)
    await this.#put(join(this.#pathOf(route), headFile), statementText(gapHead.sign(head, key), head))
    this.#heads.set(route.id, { said, at: performance.now() })
  }

  /** Throws QZ-FOLDER-UNREACHABLE where a route's folder is a share that is gone. */
  async #require({ id }: Route): Promise<void> {
    const { board, identity } = this.#deps
    await requireFolder({ path: this.#path(board.sinks.get(id)!.database), agent: identity.agent })
  }

  async #put(path: string, text: string): Promise<void> {
    try {
      await putFile(path, text)
    } catch (error) {
      throw unreachable(path, error)
    }
  }

  /** What came from inside. A file is removed when it has been taken. */
  async #takeBack(back: string): Promise<void> {
    const path = this.#path(back)
    const [receipts, requests] = [await statementsBelow(path, receiptsFolder), await statementsBelow(path, requestsFolder)]
    if (receipts.length + requests.length === 0) return
    const publicKey = acceptedKeys(this.#deps.config.data)[back]
    if (publicKey === undefined) throw new QianzhiError('QZ-GAP-KEY', { folder: path, name: back })
    let foreign = false
    for (const { file, jws } of receipts) {
      const receipt = appliedReceipt.open(jws, publicKey)
      if (receipt) await this.#confirm(receipt)
      // What says that an ended route's data is gone inside is kept by nobody but the log.
      else if (removalReceipt.open(jws, publicKey)) this.#deps.logger.info({ receipt: readStatement(jws) }, 'removed inside')
      else foreign = true
      await rm(file, { force: true })
    }
    for (const { file, jws } of requests) {
      const request = gapRequest.open(jws, publicKey)
      if (request) await this.#serve(request)
      else foreign = true
      await rm(file, { force: true })
    }
    if (foreign) throw new QianzhiError('QZ-GAP-KEY', { folder: path, name: back })
  }

  async #confirm({ route: id, epoch, seq, hash, time }: AppliedReceipt): Promise<void> {
    const route = this.#routes().find((other) => other.id === id)
    if (!route) return
    await this.#withStore(route, async (store, copies) => {
      const gone = store.transaction(() => copies.confirm({ epoch, seq, hash, time }))
      if (gone === undefined)
        this.#deps.logger.info({ route: id, position: showPosition({ epoch, seq }) }, 'a receipt from inside says nothing new')
      else await takeAway(store, this.#pathOf(route), id, gone)
    })
  }

  /** Writes again what was lost; what there is no copy of any more comes from the hub anew. */
  async #serve({ route: id, batches, snapshot, time }: GapRequest): Promise<void> {
    const route = this.#routes().find((other) => other.id === id)
    if (!route) return
    const { logger } = this.#deps
    await this.#require(route)
    const whole = await this.#withStore(route, async (store, copies) => {
      const tip = store.position
      const ranges = batches ?? (snapshot && tip ? this.#fromSnapshot(copies, snapshot.after, tip) : [])
      let all = ranges.length > 0
      for (const range of ranges) {
        if (copies.hasConfirmed(range, time)) continue
        const { written, missing } = await exportBatches(copies, this.#pathOf(route), range)
        logger.info(
          { route: id, batches: showRange(range), written: written.length, missing: missing.length },
          'written again for the inside',
        )
        all &&= missing.length === 0
      }
      return all
    })
    if (whole) return
    logger.info({ route: id }, 'no copies any more: the route is fetched from the hub again')
    if (snapshot?.after) route.renew()
    else route.restart()
  }

  #fromSnapshot(copies: GapCopies, after: Position | null, tip: Position): PlaceRange[] {
    const began = copies.snapshotBegin(after, tip)
    return began ? [{ epoch: tip.epoch, from: began.seq, to: tip.seq }] : []
  }

  #report(route: Route): void {
    const { board, config } = this.#deps
    const report = board.sinks.get(route.id)!
    if (!config.sinks.some(({ database, back }) => database === report.database && back !== undefined)) return
    this.#withCopies(route, (copies) => {
      const { confirmed, oldest } = copies
      if (confirmed) report.confirmed = { epoch: confirmed.epoch, seq: confirmed.seq, time: confirmed.time }
      if (oldest) report.unconfirmed = oldest.toISOString()
      else delete report.unconfirmed
    })
  }

  async #withStore<T>(route: Route, work: (store: SinkStore, copies: GapCopies) => Promise<T>): Promise<T> {
    const store = SinkStore.open(this.#stored(route.id), route.id)
    try {
      return await work(store, new GapCopies(store))
    } finally {
      store.close()
    }
  }

  #withCopies(route: Route, work: (copies: GapCopies) => void): void {
    const store = SinkStore.open(this.#stored(route.id), route.id)
    try {
      work(new GapCopies(store))
    } finally {
      store.close()
    }
  }
}

const acceptAgain = {
  zh: '从备份恢复，或移走它后重新执行 qianzhi-agent trust-gap',
  en: 'restore it from a backup, or move it away and run qianzhi-agent trust-gap again',
}

function keysFile(data: string): string {
  return join(data, 'gap-keys.json')
}

/** Keys of inner agents that the operator has accepted, by the name of the folder in which their files arrive. */
export function acceptedKeys(data: string): Record<string, string> {
  return readKept(keysFile(data), (text) => readJson(text) as Record<string, string>, acceptAgain) ?? {}
}

export function acceptKey(data: string, back: string, publicKey: string): void {
  writeDurably(keysFile(data), JSON.stringify({ ...acceptedKeys(data), [back]: publicKey }, undefined, 2))
}
