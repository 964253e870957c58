/**
 * An enrolled agency that attacks: it signs with its own key what is another's, and supplies one resource of its own with contents that no
 * honest agent would send. The hub may take what is well formed and its own; it must never take or give what is another's.
 */
import { join } from 'node:path'
import { HubClient } from '../../agent/hub/client.ts'
import { openKey, openState } from '../../agent/runtime/state.ts'
import { buildBatch, opBlock, type Column, type ManifestHeader } from '../../protocol/batch.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import { appliedReceipt } from '../../protocol/receipt.ts'
import type { SigningKey } from '../../protocol/signature.ts'
import type { Random } from '../faults/random.ts'
import type { ResourceFile, TestAgent } from '../support/exchange.ts'

export const rumours = 'rumours'

/** Its own resource. */
export function rumoursOf(agency: string): ResourceFile {
  return {
    resource: rumours,
    title: rumours,
    agency,
    table: rumours,
    items: [
      { id: 'id', name: 'id', label: 'id', type: 'text', length: 20, openness: 'internal', key: true, required: true },
      { id: 'amount', name: 'amount', label: 'amount', type: 'decimal', precision: 12, scale: 2, openness: 'internal' },
    ],
  }
}

export const createRumours = 'create table rumours (id varchar(20) primary key, amount numeric(12,2))'

/** What others have, as it knows it. */
export interface Others {
  provider: string
  resource: string
  route: string
}

export class Neighbour {
  readonly #client: HubClient
  readonly #key: SigningKey
  readonly #id: string

  constructor(agent: TestAgent) {
    const data = join(agent.folder, 'data')
    const { urls, authority } = openState(data).data.identity!
    this.#key = openKey(data)
    this.#id = agent.id
    this.#client = new HubClient({ urls, key: this.#key, ca: authority, clock: () => new Date() })
  }

  /**
   * Everything once.
   * @returns what the hub took or gave that it never may. Throws where it cannot be reached.
   */
  async attack(random: Random, others: Others): Promise<string[]> {
    const wrong: string[] = []
    for (const [name, theft] of Object.entries(this.#thefts(others))) if (await succeeds(theft)) wrong.push(name)
    const { head } = await this.#client.head(rumours)
    const { epoch, seq, hash } = head ?? { epoch: 1, seq: 0, hash: null }
    const place = { resource: rumours, producer: this.#id, epoch, seq: seq + 1, prev: hash }
    await succeeds(() => this.#send(place, hostileColumns(random)))
    // Its receipt for another's route would let rows be left out: that is seen in the tables.
    const receipt = { route: others.route, epoch: 9, seq: 9, hash: 'a'.repeat(64), time: new Date().toISOString() }
    const counts = { batches: 1, written: 1, deleted: 0, quarantined: 0, quarantine: 0 }
    await this.#client.receipts([appliedReceipt.sign({ ...receipt, ...counts }, this.#key)], soon())
    return wrong
  }

  close(): Promise<void> {
    return this.#client.close()
  }

  /** Each must be refused, or give nothing: whether it took or gave something. */
  #thefts({ provider, resource, route }: Others): Record<string, () => Promise<boolean>> {
    const row: Column[] = [{ item: 'id', values: ['1'] }]
    const begin = { resource, epoch: 1, seq: 1, prev: null }
    const after = { epoch: 1, seq: 0 }
    return {
      [`a batch of ${resource} in its provider's name`]: () => this.#send({ ...begin, producer: provider }, row),
      [`a batch of ${resource} in its own name`]: () => this.#send({ ...begin, producer: this.#id }, row),
      [`keys of ${resource}`]: async () => (await this.#client.own(resource, after, soon())).length > 0,
      [`rows of route ${route}`]: async () => {
        const report = { version: '0', session: 'neighbour', clockOffset: 0, sources: [], sinks: [] }
        const asked = { policy: 0, routes: [{ route, after: null, credit: 8 << 20 }], heads: [], report, wait: 0 }
        return (await this.#client.poll(asked, soon())).batches.length > 0
      },
    }
  }

  async #send(place: Place, columns: readonly Column[]): Promise<true> {
    const kind = place.prev === null ? { kind: 'snapshot' as const, snapshot: { began: 1, last: true } } : { kind: 'changes' as const }
    const header = { ...place, ...kind, schema: 1, time: new Date().toISOString() }
    await this.#client.sendBatch(buildBatch(header, columns, this.#key).bytes, soon())
    return true
  }
}

async function succeeds(act: () => Promise<boolean>): Promise<boolean> {
  try {
    return await act()
  } catch (error) {
    if (error instanceof QianzhiError) return false
    throw error
  }
}

type Place = Pick<ManifestHeader, 'resource' | 'producer' | 'epoch' | 'seq' | 'prev'>

const soon = () => AbortSignal.timeout(10_000)

/** Rows that break their own description, or only just do not. */
function hostileColumns(random: Random): Column[] {
  const id = () => `r${random.between(0, 50)}`
  const of = (ids: (string | null)[], amounts: (string | null)[], ops?: string[]): Column[] => [
    ...(ops ? [{ item: opBlock, values: ops }] : []),
    { item: 'id', values: ids },
    { item: 'amount', values: amounts },
  ]
  return random.pick([
    () => of([id()], ['1.50']),
    () => of([id()], ['not a number']),
    () => of([id()], ['1'.repeat(300)]),
    () => of([null], ['1']),
    () => of(['x'.repeat(4000)], ['1']),
    () => of(['a', 'a', 'a'], ['1', '1.0', '1.00']),
    () => of([id(), id()], ['1']),
    () => of([id()], [null], ['d']),
    () => of([id()], [null], ['c:__proto__']),
    () => of(['__proto__', 'constructor'], ['0', '-0']),
    () => of(['\u0000', '\ud800'], ['1', '2']),
    () => [...of([id()], ['1']), { item: 'unknown', values: ['1'] }],
    () => [{ item: 'amount', values: ['1'] }],
    () =>
      of(
        Array.from({ length: 20_000 }, (_, n) => `r${n}`),
        Array.from({ length: 20_000 }, () => '1'),
      ),
  ])()
}
