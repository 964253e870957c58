import type { AppliedReceipt } from '../../protocol/receipt.ts'

type Counts = Pick<AppliedReceipt, 'batches' | 'written' | 'deleted' | 'quarantined'>

/** What a route has applied since the receipt that the hub took last. */
export class PendingReceipt {
  #due: AppliedReceipt | undefined

  get isDue(): boolean {
    return this.#due !== undefined
  }

  /** Its counts are those since the last call. */
  note(receipt: AppliedReceipt): void {
    this.#due = this.#due ? { ...receipt, ...sum(this.#due, receipt) } : receipt
  }

  take(): AppliedReceipt | undefined {
    const due = this.#due
    this.#due = undefined
    return due
  }

  /** The hub did not take it: its counts go with the next one. */
  giveBack(receipt: AppliedReceipt): void {
    this.#due = this.#due ? { ...this.#due, ...sum(receipt, this.#due) } : receipt
  }
}

function sum(a: Counts, b: Counts): Counts {
  return {
    batches: a.batches + b.batches,
    written: a.written + b.written,
    deleted: a.deleted + b.deleted,
    quarantined: a.quarantined + b.quarantined,
  }
}
