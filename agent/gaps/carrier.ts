/**
 * Brings to the hub what an agent inside a one-way gap has sent out: its batches in their order, unchanged, in its name. What the hub says
 * of them goes back as files where there is a way in; else this agent's status names what is to be done inside.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import type { SourceReport } from '../../protocol/api.ts'
import { splitBatch } from '../../protocol/batch.ts'
import { codedError, QianzhiError } from '../../protocol/errors.ts'
import { gapStatement } from '../../protocol/gap.ts'
import { isAfter, type Position, type ChainPosition } from '../../protocol/position.ts'
import { storedReceipt } from '../../protocol/receipt.ts'
import { readStatement, type SigningKey } from '../../protocol/signature.ts'
import { Backoff, pause } from '../runtime/backoff.ts'
import type { ResolvedFolder } from '../config/folders.ts'
import { arrivingMark, claimFolder, requireFolder, unreachable } from '../folders/store/owner.ts'
import type { HubClient } from '../hub/client.ts'
import { readJson, readKept, writeDurably, type AgentState } from '../runtime/state.ts'
import { clearFault, setFault, type StatusBoard } from '../status/board.ts'
import { CarriedBatches } from './carried-batches.ts'
import { showRange } from './export.ts'
import {
  batchesIn,
  gapFile,
  listFiles,
  listFolders,
  moveInto,
  isGone,
  mayBeFolder,
  putFile,
  readBytes,
  rejectedFolder,
  statementText,
  type BatchFile,
} from './files.ts'
import { GapOutbox } from './outbox.ts'

export interface GapCarrierDeps {
  /** The agent inside, as the hub has enrolled it. */
  carried: string
  /** Name of the folder in the configuration, for the status. */
  name: string
  folder: ResolvedFolder
  back?: ResolvedFolder
  /** Milliseconds. */
  grace: number
  /** Asks and sends in the name of the agent inside. */
  hub: Pick<HubClient, 'head' | 'poll' | 'sendBatch' | 'now'>
  identity: NonNullable<AgentState['identity']>
  key: SigningKey
  /** The agent's data folder. */
  data: string
  board: StatusBoard
  logger: Logger
}

/** Milliseconds between looks, between questions to the hub, and after which the policy is handed in again: it may be lost. */
const lookEvery = 1_000
const askEvery = 15_000
const handAgain = 10 * 60_000
const maxNamed = 100
const maxCompared = 10_000

interface Stream {
  /** What the hub has; undefined where it is to be asked. */
  head: ChainPosition | null | undefined
  report: SourceReport
  /** The hub wants a snapshot. */
  wanted?: boolean
  lacking?: { from: string; since: number }
}

/** Runs until aborted; never gives up. */
export async function runGapCarrier(deps: GapCarrierDeps, signal: AbortSignal): Promise<void> {
  const carrier = new GapCarrier(deps)
  const backoff = new Backoff()
  try {
    while (!signal.aborted) await lookOnce(carrier, backoff, signal)
  } finally {
    carrier.close()
  }
}

async function lookOnce(carrier: GapCarrier, backoff: Backoff, signal: AbortSignal): Promise<void> {
  try {
    await carrier.look(signal)
    backoff.reset()
    await pause(lookEvery, signal)
  } catch (error) {
    if (signal.aborted) return
    carrier.failed(codedError(error))
    await backoff.wait(signal)
  }
}

export class GapCarrier {
  readonly #deps: GapCarrierDeps
  readonly #streams = new Map<string, Stream>()
  readonly #back: GapOutbox | undefined
  readonly #carried: CarriedBatches
  #claimed = false
  #asked = -Infinity
  #handed = { serial: 0, jws: '', at: -Infinity }
  #fault: string | undefined

  constructor(deps: GapCarrierDeps) {
    this.#deps = deps
    const { back, identity, key, hub, data, name } = deps
    this.#carried = new CarriedBatches(data, name)
    if (back) this.#back = new GapOutbox({ folder: back, agent: identity.agent, data, key, again: handAgain, clock: () => hub.now() })
  }

  async look(signal: AbortSignal): Promise<void> {
    const { folder, identity } = this.#deps
    const place = { path: folder.path, agent: identity.agent }
    await (this.#claimed ? requireFolder(place, arrivingMark) : claimFolder(place, arrivingMark))
    this.#claimed = true
    if (performance.now() - this.#asked > askEvery) await this.#ask(signal)
    for (const [resource, folders] of await listFolders(folder.path)) {
      if (!mayBeFolder(resource)) continue
      const files = batchesIn(await listFiles(folders))
      if (files.length > 0 || this.#streams.has(resource)) await this.#try(resource, files, signal)
    }
    this.#fault = undefined
  }

  close(): void {
    this.#carried.close()
  }

  /** Concerns everything that is carried. */
  failed(error: QianzhiError): void {
    const { logger, name, hub } = this.#deps
    if (this.#fault !== error.code) logger.warn({ carry: name, code: error.code, err: error }, error.message)
    this.#fault = error.code
    for (const stream of this.#streams.values()) {
      setFault(stream.report, error, hub.now())
      stream.head = undefined
    }
  }

  /** The policy of the agent inside, and the snapshots that the hub wants of it. */
  async #ask(signal: AbortSignal): Promise<void> {
    const { hub, board, back } = this.#deps
    const sources = [...this.#streams.values()].map(({ report }) => report)
    const report = Object.assign(board.report(0), { sources, sinks: [] })
    // It is this agent's own.
    delete report.morning
    const { header } = await hub.poll({ policy: this.#handed.serial, routes: [], heads: [], report, wait: 0 }, signal)
    this.#asked = performance.now()
    if (header.policy) this.#handed = { serial: Number(readStatement(header.policy)?.['serial']), jws: header.policy, at: -Infinity }
    if (back && this.#handed.jws && performance.now() - this.#handed.at > handAgain) await this.#hand(back)
    for (const stream of this.#streams.values()) stream.wanted = false
    for (const { resource, after } of header.snapshots) {
      this.#stream(resource).wanted = true
      await this.#back?.request(resource, { after })
    }
  }

  async #hand({ path }: ResolvedFolder): Promise<void> {
    const { carried, identity, key, hub, data } = this.#deps
    await handPolicy(path, { agent: carried, policy: this.#handed.jws, identity, key, data, now: hub.now() })
    this.#handed.at = performance.now()
  }

  #stream(resource: string): Stream {
    let stream = this.#streams.get(resource)
    if (!stream) {
      const { board, name } = this.#deps
      this.#streams.set(resource, (stream = { head: undefined, report: board.source(resource, name) }))
    }
    return stream
  }

  /** What is in the way of one resource holds up no other. */
  async #try(resource: string, files: readonly BatchFile[], signal: AbortSignal): Promise<void> {
    try {
      await this.#carry(resource, files, signal)
    } catch (error) {
      const coded = codedError(error)
      if (signal.aborted || concernsAll(coded)) throw error
      const stream = this.#stream(resource)
      stream.head = undefined
      this.#tell(stream, coded)
    }
  }

  async #carry(resource: string, files: readonly BatchFile[], signal: AbortSignal): Promise<void> {
    const { hub } = this.#deps
    const stream = this.#stream(resource)
    stream.report.waiting = files.length
    stream.head ??= (await hub.head(resource, signal)).head
    let left = files
    for (;;) {
      left = await this.#passed(resource, left, stream.head ?? null)
      if (!(await this.#sendOne(stream, resource, left, signal))) break
    }
    stream.report.waiting = left.length
    if (stream.head) stream.report.position = stream.head
    const { head } = stream
    if (head && this.#carried.awaitsRenewal(resource, head.epoch)) {
      await this.#back?.request(resource, { after: head, epoch: true })
      return this.#tell(stream, new QianzhiError('QZ-GAP-RENEW', { resource }))
    }
    const error = this.#held.get(resource)
    if (error) return this.#tell(stream, error)
    await this.#judge(stream, resource, left)
  }

  /** Files of what the hub has go; those that say something else at its places are of another past. */
  async #passed(resource: string, files: readonly BatchFile[], head: ChainPosition | null): Promise<BatchFile[]> {
    const later = files.filter(({ place }) => isAfter(place, head))
    for (const file of files) {
      if (isAfter(file.place, head)) continue
      const told = await this.#differs(resource, file, head!)
      if (told === 'differs') await this.#setAside(resource, file, head!)
      else if (told === 'same') await rm(file.path, { force: true })
    }
    return later
  }

  /** Files of places that the hub has, which a gap that mirrors folders puts back: by path. */
  readonly #compared = new Map<string, string>()

  /** What is not known any more is taken for the same. `unread`: it is not all there yet. */
  async #differs(resource: string, file: BatchFile, head: ChainPosition): Promise<'same' | 'differs' | 'unread'> {
    const { path, place } = file
    const isHead = place.epoch === head.epoch && place.seq === head.seq
    const hash = isHead ? head.hash : this.#carried.hash(resource, place)
    const stamp = `${file.size} ${file.modified} ${hash}`
    if (hash === undefined || this.#compared.get(path) === stamp) return 'same'
    try {
      if (splitBatch(await readBytes(path)).hash !== hash) return 'differs'
    } catch (error) {
      if (isGone(error)) return 'unread'
      return this.#atRest(file) ? 'same' : 'unread'
    }
    if (this.#compared.size >= maxCompared) this.#compared.clear()
    this.#compared.set(path, stamp)
    return 'same'
  }

  #atRest({ path, size, modified }: BatchFile): boolean {
    const stamp = `${size} ${modified}`
    const known = this.#unread.get(path)
    if (known?.stamp !== stamp) this.#unread.set(path, { stamp, since: performance.now() })
    else if (performance.now() - known.since > this.#deps.folder.stable * 1000) return this.#unread.delete(path)
    return false
  }

  async #setAside(resource: string, { path, name, place }: BatchFile, head: ChainPosition): Promise<void> {
    const { folder, logger } = this.#deps
    this.#carried.needsRenewal(resource, head.epoch)
    logger.warn({ resource, file: name, place, code: 'QZ-GAP-RENEW' }, 'it says something else than what the hub has at its place')
    await moveInto(path, join(folder.path, rejectedFolder, resource), name)
  }

  /** Why the next file of a resource is not taken. */
  readonly #held = new Map<string, QianzhiError>()
  readonly #unread = new Map<string, { stamp: string; since: number }>()

  /** The next one; where the hub does not take it, the first of a later epoch. */
  async #sendOne(stream: Stream, resource: string, files: readonly BatchFile[], signal: AbortSignal): Promise<boolean> {
    const head = stream.head ?? null
    for (const file of files) if (follows(file.place, head) && (await this.#send(stream, resource, file, signal))) return true
    return false
  }

  async #send(stream: Stream, resource: string, file: BatchFile, signal: AbortSignal): Promise<boolean> {
    const { hub, identity } = this.#deps
    this.#held.delete(resource)
    let sealed
    try {
      sealed = splitBatch(await readBytes(file.path))
      const { receipt } = await hub.sendBatch(sealed.bytes, signal)
      const stored = storedReceipt.open(receipt, identity.hubKey)
      if (stored?.hash !== sealed.hash)
        throw new QianzhiError('QZ-BATCH-SIGNATURE', {
          reason: { zh: '中心回执对应的是另一批次', en: 'the hub receipt is for another batch' },
        })
      stream.head = { epoch: stored.epoch, seq: stored.seq, hash: stored.hash }
      this.#carried.note(resource, stream.head)
      stream.report.lastPush = hub.now().toISOString()
      await this.#back?.receipt(resource, `${stored.epoch}-${stored.seq}`, receipt)
      await rm(file.path, { force: true })
      return true
    } catch (error) {
      if (error instanceof QianzhiError && concernsAll(error)) throw error
      if (!isGone(error)) await this.#refused(stream, resource, file, unreachable(file.path, error))
      return false
    }
  }

  /** Half a file is waited for; what the hub refuses for good is set aside, and asked for again as what is missing. */
  async #refused(stream: Stream, resource: string, file: BatchFile, error: QianzhiError): Promise<void> {
    const { folder, grace, logger, hub } = this.#deps
    stream.head = undefined
    this.#held.set(resource, error)
    const stamp = `${file.size} ${file.modified}`
    const known = this.#unread.get(file.path)
    if (known?.stamp !== stamp) return void this.#unread.set(file.path, { stamp, since: performance.now() })
    const forGood = /^QZ-BATCH-(FORMAT|BLOCK|SIGNATURE|LIMIT)$/.test(error.code)
    if (forGood && performance.now() - known.since > folder.stable * 1000) {
      await moveInto(file.path, join(folder.path, rejectedFolder, resource), file.name)
      this.#unread.delete(file.path)
      this.#held.delete(resource)
      logger.warn({ resource, file: file.name, code: error.code }, error.message)
    } else if (error.code === 'QZ-BATCH-HEAD' && performance.now() - known.since > grace) {
      // Another past than the hub's: nothing of this epoch can follow it.
      const { head } = await hub.head(resource)
      await this.#back?.request(resource, { after: head, epoch: true })
      this.#held.set(resource, new QianzhiError('QZ-GAP-RENEW', { resource }))
    }
  }

  /** What is not there although later batches are. */
  async #judge(stream: Stream, resource: string, left: readonly BatchFile[]): Promise<void> {
    const first = left[0]?.place
    const from = first && (first.epoch === stream.head?.epoch ? stream.head.seq + 1 : 1)
    if (!first || from === undefined || from >= first.seq) {
      delete stream.lacking
      if (stream.wanted && !this.#back) return this.#tell(stream, new QianzhiError('QZ-GAP-RENEW', { resource }))
      clearFault(stream.report)
      stream.report.state = 'flowing'
      return
    }
    const key = `${first.epoch}/${from}`
    if (stream.lacking?.from !== key) stream.lacking = { from: key, since: performance.now() }
    if (performance.now() - stream.lacking.since < this.#deps.grace) return
    const seqs = new Set(left.flatMap(({ place }) => (place.epoch === first.epoch ? [place.seq] : [])))
    const batches = holesIn(first.epoch, from, seqs)
    await this.#back?.request(resource, { batches })
    this.#tell(stream, new QianzhiError('QZ-GAP-LOST', { resource, batches: batches.slice(0, 10).map(showRange).join(' ') }))
  }

  #tell({ report }: Stream, error: QianzhiError): void {
    if (report.fault?.code !== error.code) this.#deps.logger.warn({ resource: report.resource, code: error.code }, error.message)
    setFault(report, error, this.#deps.hub.now())
  }
}

/** It is not of one resource: the hub, its answer to this agent, or a folder. */
function concernsAll({ code, kind }: QianzhiError): boolean {
  return kind.scope === 'hub' || code.startsWith('QZ-FOLDER-')
}

/** The next one, or the first of a later epoch. */
function follows(place: Position, head: ChainPosition | null): boolean {
  return place.epoch === head?.epoch ? place.seq === head.seq + 1 : place.seq === 1 && isAfter(place, head)
}

function holesIn(epoch: number, first: number, seqs: ReadonlySet<number>) {
  const ranges = []
  let from = first
  for (const seq of seqs) {
    if (seq > from) ranges.push({ epoch, from, to: seq - 1 })
    from = seq + 1
  }
  return ranges.slice(0, maxNamed)
}

export interface HandedIn {
  /** The agent inside. */
  agent: string
  policy: string
  identity: NonNullable<AgentState['identity']>
  key: SigningKey
  /** The agent's data folder. */
  data: string
  now: Date
}

/** Writes gap.json for an agent inside that supplies. */
export async function handPolicy(path: string, { agent, policy, identity, key, data, now }: HandedIn): Promise<void> {
  const statement = {
    kind: 'gap' as const,
    v: 1 as const,
    agent,
    agency: identity.agency,
    publicKey: key.publicKey,
    hubKey: identity.hubKey,
    policy,
    time: now.toISOString(),
  }
  await claimFolder({ path, agent: identity.agent, data })
  try {
    await putFile(join(path, gapFile), statementText(gapStatement.sign(statement, key), { ...statement, policy: readStatement(policy) }))
  } catch (error) {
    throw unreachable(path, error)
  }
}

const enrolCarriedAgain = {
  zh: '从备份恢复，或移走它后重新执行 qianzhi-agent enroll --carry',
  en: 'restore it from a backup, or move it away and run qianzhi-agent enroll --carry again',
}

function carriedFile(data: string): string {
  return join(data, 'gap-carried.json')
}

/** Agents inside, by the name of the folder in which their batches arrive. */
export function carriedAgents(data: string): Record<string, string> {
  return readKept(carriedFile(data), (text) => readJson(text) as Record<string, string>, enrolCarriedAgain) ?? {}
}

export function noteCarried(data: string, folder: string, agent: string): void {
  writeDurably(carriedFile(data), JSON.stringify({ ...carriedAgents(data), [folder]: agent }, undefined, 2))
}
