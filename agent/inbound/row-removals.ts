import { codedError } from '../../protocol/errors.ts'
import type { ChainPosition } from '../../protocol/position.ts'
import type { Row } from '../database.ts'

/** Gives the keys whose rows are to go, for the place that the route has applied. */
export type ChooseRows = (applied: ChainPosition) => Promise<Row[]>

/** Rows of one route that are to go without a batch of its stream: each waits until it is the route's turn. */
export class RowRemovals {
  #wanted: ({ choose: ChooseRows } & PromiseWithResolvers<number>)[] = []

  /** @returns how many rows went. Throws what `run`'s work throws, and why the route was closed before. */
  want(choose: ChooseRows): Promise<number> {
    const wanted = { choose, ...Promise.withResolvers<number>() }
    this.#wanted.push(wanted)
    return wanted.promise
  }

  /** Throws what `remove` throws; that it is not possible now (QZ-RECONCILE-NOT-NOW) only the one who asked is told. */
  async run(remove: (choose: ChooseRows) => Promise<number>): Promise<void> {
    for (const { choose, resolve, reject } of this.#wanted.splice(0)) {
      try {
        resolve(await remove(choose))
      } catch (error) {
        reject(error)
        if (codedError(error).code !== 'QZ-RECONCILE-NOT-NOW') throw error
      }
    }
  }

  reject(error: unknown): void {
    for (const wanted of this.#wanted.splice(0)) wanted.reject(error)
  }
}
