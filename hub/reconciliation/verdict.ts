import type { ReconciledKey } from '../../protocol/reconciliation.ts'
import type { Difference } from './comparing.ts'

/** What has become of a key that differed. */
export type KeyState = 'open' | 'settled' | 'moving' | 'quarantined' | 'repaired' | 'remaining'

export interface JudgedKey {
  key: ReconciledKey
  difference: Difference
  state: KeyState
  side?: 'source' | 'target'
  code?: string
}

/** One side's rows in one round, in the order of the keys asked for. */
export interface Looked {
  hashes: readonly (string | null)[]
  faults: readonly (string | null)[]
}

interface Followed extends JudgedKey {
  /** What source and receiver held in each round. */
  seen: { source: string | null; target: string | null }[]
}

/** Rounds after which a key that was never the same twice counts as moving. */
export const maxRounds = 6

/**
 * Follows the keys that differed until each is settled or explained. In every round the receiver is read when it has applied what the
 * source had queued when it was read. A key stands as different only when two rounds, one after the other, found the same different
 * rows on both sides: whatever was under way has come by then.
 */
export class Verdict {
  readonly #keys: Followed[]
  #rounds = 0
  /** What a settled key is called: `repaired` once rows were sent again. */
  #settledAs: 'settled' | 'repaired' = 'settled'

  constructor(keys: readonly { key: ReconciledKey; difference: Difference }[]) {
    this.#keys = keys.map(({ key, difference }) => ({ key, difference, state: 'open', seen: [] }))
  }

  /** Keys that the next round asks for. */
  get open(): ReconciledKey[] {
    return this.#keys.filter(({ state }) => state === 'open').map(({ key }) => key)
  }

  /** Keys that may be mended by sending them again: those that remain, and those that the receiver could not take before. */
  get mendable(): ReconciledKey[] {
    return this.#keys.filter(isMendable).map(({ key }) => key)
  }

  get keys(): readonly JudgedKey[] {
    return this.#keys.map(({ seen: _seen, ...key }) => key)
  }

  /** A round's finding about the keys that were open. */
  note(source: Looked, target: Looked): void {
    this.#rounds++
    this.#keys
      .filter(({ state }) => state === 'open')
      .forEach((key, i) => {
        key.seen.push({ source: source.hashes[i] ?? null, target: target.hashes[i] ?? null })
        Object.assign(key, this.#judge(key, source.faults[i] ?? null, target.faults[i] ?? null))
      })
  }

  /** What was mendable was sent again: it is looked at anew. */
  resent(): void {
    this.#rounds = 0
    this.#settledAs = 'repaired'
    for (const key of this.#keys.filter(isMendable)) {
      Object.assign(key, { state: 'open', seen: [] })
      delete key.side
      delete key.code
    }
  }

  #judge({ seen }: Followed, sourceFault: string | null, targetFault: string | null): Partial<JudgedKey> {
    const now = seen.at(-1)!
    if (now.source === now.target && sourceFault === null) return { state: this.#settledAs }
    if (sourceFault !== null) return { state: 'quarantined', side: 'source', code: sourceFault }
    if (targetFault !== null) return { state: 'quarantined', side: 'target', code: targetFault }
    const before = seen.at(-2)
    if (before && before.source === now.source && before.target === now.target) return { state: 'remaining' }
    if (this.#rounds < maxRounds) return {}
    return { state: seen.some(({ target }) => target !== now.target) ? 'moving' : 'remaining' }
  }
}

function isMendable({ state, side }: JudgedKey): boolean {
  return state === 'remaining' || (state === 'quarantined' && side === 'target')
}
