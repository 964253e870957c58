import type { ChainPosition } from '../../protocol/position.ts'
import type { Log } from '../log.ts'
import type { Store } from '../store/store.ts'

/** Where the streams of routes stand. A route is of one resource for ever. */
export class RouteHeads {
  readonly #store: Pick<Store, 'query'>
  readonly #log: Pick<Log, 'heads'>
  readonly #resources = new Map<string, string>()

  constructor({ store, log }: { store: Pick<Store, 'query'>; log: Pick<Log, 'heads'> }) {
    this.#store = store
    this.#log = log
  }

  /** Routes that do not exist, and those of streams without batches, have none. */
  async of(routes: readonly string[]): Promise<Map<string, ChainPosition>> {
    await this.#learn(routes.filter((route) => !this.#resources.has(route)))
    const resources = routes.flatMap((route) => this.#resources.get(route) ?? [])
    const heads = await this.#log.heads([...new Set(resources)])
    return new Map(
      routes.flatMap((route) => {
        const head = heads.get(this.#resources.get(route) ?? '')
        return head ? [[route, head]] : []
      }),
    )
  }

  async #learn(routes: readonly string[]): Promise<void> {
    if (routes.length === 0) return
    const rows = await this.#store.query<{ id: string; resource: string }>(
      'select route.id, g.resource from route join access_grant g on g.id = route.access_grant where route.id = any($1)',
      [routes],
    )
    for (const { id, resource } of rows) this.#resources.set(id, resource)
  }
}
