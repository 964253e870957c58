import { rm } from 'node:fs/promises'
import type { Logger } from 'pino'
import type { HeadAnswer, StoredAnswer } from '../../protocol/api.ts'
import { splitBatch, trustedManifest } from '../../protocol/batch.ts'
import { gapRequest, type GapRequest } from '../../protocol/gap.ts'
import { isAfter, type Position } from '../../protocol/position.ts'
import { storedReceipt } from '../../protocol/receipt.ts'
import type { SigningKey } from '../../protocol/signature.ts'
import type { Gap } from '../config/gaps.ts'
import { claimFolder, requireFolder } from '../folders/store/owner.ts'
import { exportBatches, showRange } from './export.ts'
import { folderOf, receiptsFolder, requestsFolder, statementsBelow } from './files.ts'
import { GapOutstream } from './outstream.ts'

export interface GapSupplyDeps {
  gap: Gap & { out: NonNullable<Gap['out']> }
  identity: { agent: string; hubKey: string; outer?: string }
  key: SigningKey
  data: string
  logger: Logger
  clock: () => Date
}

/** Bytes of own batches that are read back at once. */
const ownAtOnce = 8 << 20

/** What an agent inside a one-way gap sends out: its batches as files, with a receipt of its own that they are on disk. */
export class GapSupply {
  readonly #deps: GapSupplyDeps
  readonly #streams = new Map<string, GapOutstream>()
  /** Snapshots that the outside wants, by resource. */
  readonly #wished = new Map<string, Position | null>()
  #claimed = false

  constructor(deps: GapSupplyDeps) {
    this.#deps = deps
  }

  #of(resource: string): GapOutstream {
    let stream = this.#streams.get(resource)
    if (!stream) {
      const { data, gap } = this.#deps
      this.#streams.set(resource, (stream = new GapOutstream({ data, out: gap.out.path, resource, copies: gap.copies })))
    }
    return stream
  }

  async #require(): Promise<void> {
    const { gap, identity, data } = this.#deps
    const folder = { path: gap.out.path, agent: identity.agent }
    if (this.#claimed) return requireFolder(folder)
    await claimFolder({ ...folder, data })
    this.#claimed = true
  }

  async sendBatch(bytes: Buffer): Promise<StoredAnswer> {
    await this.#require()
    const { identity, key, clock } = this.#deps
    const { resource } = trustedManifest(splitBatch(bytes))
    const at = await this.#of(resource).write(bytes)
    return { receipt: storedReceipt.sign({ resource, producer: identity.agent, ...at, time: clock().toISOString() }, key) }
  }

  async head(resource: string): Promise<HeadAnswer> {
    await this.#require()
    const stream = this.#of(resource)
    await stream.flush()
    return { head: stream.head, epoch: stream.head?.epoch ?? 0 }
  }

  async own(resource: string, after: Position): Promise<Buffer[]> {
    return this.#of(resource).own(after, ownAtOnce)
  }

  /** The operator wants the stream to begin anew: a new epoch, which follows whatever the hub has. */
  renew(resource: string): void {
    this.#of(resource).forgetHead()
  }

  /** Takes what came from outside: receipts of the hub, and requests of the outer agent. @returns the snapshots that are wanted. */
  async take(folder: string): Promise<{ resource: string; after: Position | null }[]> {
    const { identity, logger } = this.#deps
    for (const { file, jws } of await statementsBelow(folder, receiptsFolder)) {
      const receipt = storedReceipt.open(jws, identity.hubKey)
      if (receipt?.producer === identity.agent) this.#of(receipt.resource).stored(receipt)
      await rm(file, { force: true })
    }
    for (const { file, jws } of await statementsBelow(folder, requestsFolder)) {
      const request = identity.outer === undefined ? undefined : gapRequest.open(jws, identity.outer)
      if (request) await this.#serve(request)
      else logger.warn({ file }, 'a request is not signed by the outer agent')
      await rm(file, { force: true })
    }
    return [...this.#wished].flatMap(([resource, after]) => (this.#fulfilled(resource, after) ? [] : [{ resource, after }]))
  }

  #fulfilled(resource: string, after: Position | null): boolean {
    const { head, copies } = this.#of(resource)
    const done = head !== null && copies.snapshotBegin(after, head) !== undefined
    if (done) this.#wished.delete(resource)
    return done
  }

  async #serve({ route: resource, batches, snapshot, time }: GapRequest): Promise<void> {
    const { gap, logger } = this.#deps
    const stream = this.#of(resource)
    if (snapshot) {
      this.#wished.set(resource, snapshot.after)
      // Asked again, it may have been done long ago.
      if (snapshot.epoch && snapshot.after && (stream.head?.epoch ?? 0) <= snapshot.after.epoch) stream.forgetHead()
    }
    if (batches) await this.#require()
    for (const range of batches ?? []) {
      if (stream.copies.hasConfirmed(range, time)) continue
      const { written, missing } = await exportBatches(stream.copies, folderOf(gap.out.path, resource), range)
      logger.info(
        { resource, batches: showRange(range), written: written.length, missing: missing.length },
        'written again for the outside',
      )
      const { head } = stream
      // What there is no copy of can only be followed by a new epoch.
      if (missing.length === 0 || !head || isAfter({ epoch: range.epoch, seq: range.from }, head)) continue
      stream.forgetHead()
      this.#wished.set(resource, { epoch: head.epoch, seq: head.seq })
    }
  }

  close(): void {
    for (const stream of this.#streams.values()) stream.close()
    this.#streams.clear()
  }
}
