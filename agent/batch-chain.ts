import type { ManifestHeader } from '../protocol/batch.ts'
import { nextEpoch, type Place, type Position } from '../protocol/position.ts'
import type { SourceTable } from './database.ts'
import type { OutboundContext } from './outbound.ts'
import { packPiece, type Piece } from './packing.ts'

const leastRows = 50
const mostRows = 10_000

/** One stream's batches, each naming the one before it by its hash, and how many rows are to be read for one. */
export class BatchChain {
  readonly #context: OutboundContext
  readonly #source: SourceTable
  #tip: Position | null = null
  #epoch = 0
  #rowsAtOnce = 1_000

  constructor(context: OutboundContext, source: SourceTable) {
    this.#context = context
    this.#source = source
  }

  /** The place that the next batch follows: the recorded one, or that of the batch on its way. Null: a new epoch begins. */
  get tip(): Position | null {
    return this.#tip
  }

  get rowsAtOnce(): number {
    return this.#rowsAtOnce
  }

  follow(position: Position | null): void {
    this.#tip = position
    this.#epoch = position?.epoch ?? 0
  }

  /** The next batch is the first of an epoch later than any known. */
  beginEpoch(known: number): void {
    this.#epoch = nextEpoch(known, this.#context.hub.now())
    this.#tip = null
  }

  /** `began`: where the running snapshot began; not needed for its first part. */
  pack(whole: Piece, began: Place | null): ReturnType<typeof packPiece> {
    const { key, batchBytes: limit } = this.#context
    const packed = packPiece(this.#source, whole, (part) => this.#header(part, began), { key, limit })
    const { piece, built, rest } = packed
    this.#adapt(piece, built.bytes.length, rest !== undefined)
    const { epoch, seq } = built.manifest
    this.#tip = { epoch, seq, hash: built.hash }
    return packed
  }

  #header({ snapshot }: Piece, began: Place | null): ManifestHeader {
    const place = this.#tip ? { epoch: this.#tip.epoch, seq: this.#tip.seq + 1 } : { epoch: this.#epoch, seq: 1 }
    const { schema, resource } = this.#source
    const header: ManifestHeader = {
      resource,
      schema: schema.version,
      producer: this.#context.agent,
      ...place,
      prev: this.#tip?.hash ?? null,
      kind: snapshot ? 'snapshot' : 'changes',
      time: this.#context.hub.now().toISOString(),
    }
    if (!snapshot) return header
    return { ...header, snapshot: { began: snapshot.first ? place.seq : began!.seq, last: snapshot.last } }
  }

  /** Keeps batches near the size limit without reading rows that do not fit. */
  #adapt(piece: Piece, bytes: number, split: boolean): void {
    const limit = this.#context.batchBytes
    if (split || bytes > limit * 0.9) this.#rowsAtOnce = Math.max(leastRows, Math.floor(this.#rowsAtOnce / 2))
    else if (piece.rows.length >= this.#rowsAtOnce * 0.9 && bytes < limit * 0.4) this.#rowsAtOnce = Math.min(mostRows, this.#rowsAtOnce * 2)
  }
}
