import { QianzhiError } from '../../protocol/errors.ts'

/** Rows after which the share of refused ones is judged, and the share above which it is the table that is wrong, not the rows. */
const judgedRows = 1_000
const maxShare = 0.5

/** Which share of a route's rows its table refuses. */
export class RefusedShare {
  #rows = 0
  #refused = 0

  /** @returns QZ-SINK-BAD-SHARE where it is too large. */
  note(rows: number, refused: number): QianzhiError | undefined {
    this.#rows += rows
    this.#refused += refused
    if (this.#rows < judgedRows) return undefined
    const [seen, bad] = [this.#rows, this.#refused]
    this.#rows = this.#refused = 0
    return bad / seen > maxShare ? new QianzhiError('QZ-SINK-BAD-SHARE', { bad, rows: seen }) : undefined
  }
}
