import { keyId } from '../../protocol/signature.ts'
import { openPolicy, requireCurrent, type Policy } from '../../protocol/policy.ts'
import { requireIdentity, type StateFile } from '../runtime/state.ts'

/** The newest policy, kept over restarts, and the provider keys pinned under it. */
export class PolicyStore {
  readonly #state: StateFile
  readonly #now: () => Date
  readonly #changed: () => void
  #policy: Policy | undefined

  constructor(state: StateFile, now: () => Date, changed: () => void) {
    this.#state = state
    this.#now = now
    this.#changed = changed
    const saved = state.data.policy
    if (saved) this.#policy = this.#open(saved.jws)
  }

  get policy(): Policy | undefined {
    return this.#policy
  }

  get serial(): number {
    return this.#policy?.serial ?? 0
  }

  /** Takes a policy from the hub: signed by the pinned hub key and never older than the one in force. */
  take(jws: string): void {
    const policy = this.#open(jws)
    if (policy.serial === this.#policy?.serial) return
    this.#policy = policy
    this.#pinFirst(policy)
    this.#state.data.policy = { serial: policy.serial, jws }
    this.#state.write()
    this.#changed()
  }

  #open(jws: string): Policy {
    const { hubKey, agent } = requireIdentity(this.#state)
    return openPolicy(jws, hubKey, agent, Math.max(this.serial, this.#state.data.policy?.serial ?? 0))
  }

  /** Throws QZ-POLICY-EXPIRED. */
  require(): void {
    if (this.#policy) requireCurrent(this.#policy, this.#now())
  }

  /** The first keys of a resource are taken on trust from the hub that was pinned at enrolment; later ones need `trust`. */
  #pinFirst(policy: Policy): void {
    for (const { schema, keys } of policy.receive) {
      if (keys.length > 0) this.#state.data.pins[schema.resource] ??= keys.map(({ key }) => keyId(key))
    }
  }

  pinned(resource: string, id: string): boolean {
    return this.#state.data.pins[resource]?.includes(id) ?? false
  }

  /** The local operator accepts the keys that the present policy names for a resource. @returns their ids. */
  trust(resource: string): string[] {
    const ids =
      this.#policy?.receive.filter(({ schema }) => schema.resource === resource).flatMap(({ keys }) => keys.map(({ key }) => keyId(key))) ??
      []
    if (ids.length > 0) {
      this.#state.data.pins[resource] = [...new Set(ids)]
      this.#state.write()
    }
    return ids
  }
}
