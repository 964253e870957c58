import type { ManifestHeader } from '../../protocol/batch.ts'
import { isFileSchema } from '../../protocol/files.ts'
import { nextEpoch, type Position, type ChainPosition } from '../../protocol/position.ts'
import type { SourceTable } from '../database.ts'
import type { OutboundDeps } from './context.ts'
import { packDraft, rowCount, type BatchDraft } from './packing.ts'

/** Rows that are read for one batch, the first time and at least and at most. */
interface RowsAtOnce {
  first: number
  least: number
  most: number
}

const usual: RowsAtOnce = { first: 1_000, least: 50, most: 10_000 }
/** A part of a file fills a third of a batch: rows that do not fit would be packed again and again. */
const partsOfFiles: RowsAtOnce = { first: 8, least: 1, most: 64 }

/** One stream's batches, each naming the one before it by its hash, and how many rows are to be read for one. */
export class BatchChain {
  readonly #deps: OutboundDeps
  readonly #source: SourceTable
  #tip: ChainPosition | null = null
  #epoch = 0
  readonly #limits: RowsAtOnce
  #rowsAtOnce: number

  constructor(deps: OutboundDeps, source: SourceTable) {
    this.#deps = deps
    this.#source = source
    this.#limits = isFileSchema(source.schema) ? partsOfFiles : usual
    this.#rowsAtOnce = this.#limits.first
  }

  /** The place that the next batch follows: the recorded one, or that of the batch on its way. Null: a new epoch begins. */
  get tip(): ChainPosition | null {
    return this.#tip
  }

  get rowsAtOnce(): number {
    return this.#rowsAtOnce
  }

  follow(position: ChainPosition | null): void {
    this.#tip = position
    this.#epoch = position?.epoch ?? 0
  }

  /** The next batch is the first of an epoch later than any known. */
  beginEpoch(known: number): void {
    this.#epoch = nextEpoch(known, this.#deps.hub.now())
    this.#tip = null
  }

  /** `began`: where the running snapshot began; not needed for its first part. */
  pack(whole: BatchDraft, began: Position | null): ReturnType<typeof packDraft> {
    const { key, batchSize } = this.#deps
    const { limit } = batchSize
    const packed = packDraft(this.#source, whole, (part) => this.#header(part, began), { key, limit })
    const { draft, built, rest } = packed
    this.#adapt(draft, { bytes: built.bytes.length, limit }, rest !== undefined)
    const { epoch, seq } = built.manifest
    this.#tip = { epoch, seq, hash: built.hash }
    return packed
  }

  #header({ snapshot }: BatchDraft, began: Position | null): ManifestHeader {
    const place = this.#tip ? { epoch: this.#tip.epoch, seq: this.#tip.seq + 1 } : { epoch: this.#epoch, seq: 1 }
    const { schema, resource } = this.#source
    const header: ManifestHeader = {
      resource,
      schema: schema.version,
      producer: this.#deps.agent,
      ...place,
      prev: this.#tip?.hash ?? null,
      kind: snapshot ? 'snapshot' : 'changes',
      time: this.#deps.hub.now().toISOString(),
    }
    if (!snapshot) return header
    return { ...header, snapshot: { began: snapshot.first ? place.seq : began!.seq, last: snapshot.last } }
  }

  /** Keeps batches near the size limit without reading rows that do not fit. */
  #adapt(draft: BatchDraft, { bytes, limit }: { bytes: number; limit: number }, split: boolean): void {
    const { least, most } = this.#limits
    const rows = rowCount(draft)
    // Parts of files are of one size as a rule, and few: as many as fit.
    if (this.#limits === partsOfFiles && rows > 0) {
      this.#rowsAtOnce = Math.max(least, Math.min(most, 2 * this.#rowsAtOnce, Math.floor((0.9 * limit * rows) / bytes)))
      return
    }
    if (split || bytes > limit * 0.9) this.#rowsAtOnce = Math.max(least, Math.floor(this.#rowsAtOnce / 2))
    else if (rows >= this.#rowsAtOnce * 0.9 && bytes < limit * 0.4) this.#rowsAtOnce = Math.min(most, this.#rowsAtOnce * 2)
  }
}
