import type { Applied, Change, FolderSettings, Part, Prepared, Replayed, SinkState, SinkTable } from '../../database.ts'

/** One route delivered into a folder, whatever is written there: what the delivery (delivery.ts) asks of it; see `Delivery`. */
export interface DeliveredFiles {
  open(): Promise<{ live: SinkState; shadow: SinkState | null }>
  beginShadow(): Promise<void>
  swap(): Promise<void>
  prepare(change: Change): Prepared
  apply(part: Part, prepared: Prepared): Promise<Applied>
  replay(part: Part): Promise<Replayed>
  /** Throws what keeps files from being written: the routes of the folder are then opened again later. */
  check(): Promise<void>
  /** What is not written yet is written when it is opened again. */
  close(): Promise<void>
}

export type OpenDelivered = (sink: SinkTable, folder: FolderSettings) => Promise<DeliveredFiles>
