import { QianzhiError } from '../../../protocol/errors.ts'
import type { Registry } from '../../records/registry.ts'
import type { Listener } from '../../store/wakeups.ts'
import { agentByKey } from './agents.ts'

export interface KeyHolder {
  id: string
  agency: string
  publicKey: string
}

/** Wakes where a key was enrolled. */
export const keysTopic = 'agent-keys'

/** Milliseconds for which something is remembered: the bound on how late a revocation in another hub process acts. */
const rememberedFor = 1000
const noWait = AbortSignal.abort()

interface Remembered<T> {
  value: T
  until: number
  heard: Listener
}

/**
 * Whose key a key id is. Of an agent it is remembered until `agent:<id>` wakes, or for a second: a query less on the way of a row. Which ids
 * there are is read once a second at most, so that what strangers send costs no query each.
 */
export class AgentKeys {
  readonly #registry: Registry
  readonly #known = new Map<string, Remembered<KeyHolder>>()
  #ids: Remembered<Promise<Set<string>>> | undefined

  constructor(registry: Registry) {
    this.#registry = registry
  }

  /** Throws QZ-AGENT-UNKNOWN, QZ-AGENT-REVOKED. */
  async holderOf(keyId: string): Promise<KeyHolder> {
    const remembered = this.#known.get(keyId)
    if (remembered && (await isFresh(remembered))) return remembered.value
    remembered?.heard.close()
    this.#known.delete(keyId)
    if (!(await this.#all()).has(keyId)) throw new QianzhiError('QZ-AGENT-UNKNOWN', { agent: keyId.slice(0, 64) })
    const { id, agency, publicKey } = await agentByKey(this.#registry, keyId)
    const value = { id, agency, publicKey }
    this.#known.set(keyId, { value, until: performance.now() + rememberedFor, heard: this.#registry.wakeups.listen([`agent:${id}`]) })
    return value
  }

  async #all(): Promise<Set<string>> {
    if (this.#ids && (await isFresh(this.#ids))) return this.#ids.value
    const heard = this.#ids?.heard ?? this.#registry.wakeups.listen([keysTopic])
    const value = this.#read()
    const ids = { value, until: performance.now() + rememberedFor, heard }
    this.#ids = ids
    value.catch(() => (ids.until = -Infinity))
    return value
  }

  async #read(): Promise<Set<string>> {
    const rows = await this.#registry.store.query<{ id: string }>('select key_id as id from agent')
    return new Set(rows.map(({ id }) => id))
  }
}

/** An aborted wait only asks whether a wake was heard. */
async function isFresh({ heard, until }: Pick<Remembered<unknown>, 'heard' | 'until'>): Promise<boolean> {
  return !(await heard.wait(0, noWait)) && until > performance.now()
}
