import { blockValues, openBatch, splitBatch } from '../../protocol/batch.ts'
import { samePosition, type ChainPosition } from '../../protocol/position.ts'
import { keyItems } from '../../protocol/schema.ts'
import type { SigningKey } from '../../protocol/signature.ts'
import type { Row, SourceTable } from '../database.ts'
import type { Hub } from '../hub.ts'

/** Own batches that the hub has and the source database does not know of: their keys, and where the stream is after them. */
export interface Missed {
  keys: Row[]
  at: ChainPosition
  /** The seqs at which the snapshots began that they hold parts of. */
  snapshots: ReadonlySet<number>
}

/**
 * The hub is ahead on our own verified chain: we crashed before writing a receipt down, or this database was restored. Gives what the
 * batches from there to the hub's head hold; ends before the head where they are not ours in an unbroken row.
 */
export async function* missedBatches(
  { hub, key }: { hub: Pick<Hub, 'own'>; key: SigningKey },
  source: SourceTable,
  { from, head }: { from: ChainPosition; head: ChainPosition },
  signal: AbortSignal,
): AsyncGenerator<Missed> {
  let at = from
  while (!samePosition(at, head)) {
    const batches = await hub.own(source.resource, at, signal)
    if (batches.length === 0) return
    const keys: Row[] = []
    const snapshots = new Set<number>()
    for (const bytes of batches) {
      const batch = openBatch(splitBatch(bytes), (id) => (id === key.id ? key.publicKey : undefined))
      const { epoch, seq, prev } = batch.manifest
      if (epoch !== at.epoch || seq !== at.seq + 1 || prev !== at.hash) return
      const columns = keyItems(source.schema).map((item) => blockValues(batch, item.id))
      for (let row = 0; row < batch.manifest.rows; row++) keys.push(columns.map((column) => column[row]!))
      at = { epoch, seq, hash: batch.hash }
      if (batch.manifest.snapshot) snapshots.add(batch.manifest.snapshot.began)
      if (samePosition(at, head)) break
    }
    yield { keys, at, snapshots }
  }
}
