import type { ReconciliationStatement } from '../../protocol/reconciliation.ts'
import type { Reconciled } from './agent-status.ts'
import type { StateFile } from '../runtime/state.ts'

/** Milliseconds for which the last reconciliation of a route is worth telling. */
const worthTelling = 32 * 86_400_000

/** How the last reconciliation of each route ended, as this agent signed it: kept over restarts. */
export class LastReconciliations {
  readonly #state: StateFile
  readonly #now: () => Date

  constructor(state: StateFile, now: () => Date) {
    this.#state = state
    this.#now = now
  }

  note(side: 'source' | 'target', { route, resource, outcome }: Pick<ReconciliationStatement, 'route' | 'resource' | 'outcome'>): void {
    const kept = Object.entries(this.#state.data.reconciled ?? {}).filter(([, { time }]) => this.#isNew(time))
    const last = { resource, time: this.#now().toISOString(), equal: outcome === 'equal' }
    this.#state.data.reconciled = { ...Object.fromEntries(kept), [`${side} ${route}`]: last }
    try {
      this.#state.write()
    } catch {
      // A full disk must not fail what was signed; it is written with the next change.
    }
  }

  #isNew(time: string): boolean {
    return this.#now().getTime() - Date.parse(time) < worthTelling
  }

  /** Of the routes of a supplied resource. */
  source(resource: string): Reconciled | undefined {
    return summary(this.#of('source ').filter((last) => last.resource === resource))
  }

  sink(route: string): Reconciled | undefined {
    return summary(this.#of(`target ${route}`, true))
  }

  all(): Reconciled[] {
    return this.#of('')
  }

  #of(name: string, whole = false): { resource: string; time: string; equal: boolean }[] {
    return Object.entries(this.#state.data.reconciled ?? {})
      .filter(([key, { time }]) => (whole ? key === name : key.startsWith(name)) && this.#isNew(time))
      .map(([, last]) => last)
  }
}

function summary(all: Reconciled[]): Reconciled | undefined {
  const newest = all.toSorted((a, b) => Date.parse(b.time) - Date.parse(a.time))
  const chosen = newest.find(({ equal }) => !equal) ?? newest[0]
  return chosen && { time: chosen.time, equal: chosen.equal }
}
