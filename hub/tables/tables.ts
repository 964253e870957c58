import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import { QianzhiError, reasonOf } from '../../protocol/errors.ts'
import { storeText } from '../../protocol/localized.ts'
import { followStream, type FollowDeps } from './follow.ts'
import { keptSql } from './records.ts'
import { tableName } from './shape.ts'

export interface ResourceTablesDeps extends FollowDeps {
  logger: Logger
  clock: () => Date
}

/** Milliseconds between two looks at everything: what other hub processes stored, and what is over. */
const lookMs = 5000

/**
 * The resource tables 资源表 of this hub: one consumer of the log, resource after resource, turn by turn, so that one first load does not
 * hold up the others. What this process stores is told by `note`; the rest is found within seconds.
 */
export class ResourceTables {
  readonly #deps: ResourceTablesDeps
  readonly #due = new Set<string>()
  /** Whose fault is on record. */
  readonly #faulty = new Set<string>()
  readonly #ending = new AbortController()
  #wake: () => void = () => {}
  #looked = -Infinity
  #running: Promise<void> = Promise.resolve()

  constructor(deps: ResourceTablesDeps) {
    this.#deps = deps
  }

  start(): void {
    this.#running = this.#run()
  }

  /** A batch of this resource was stored, or something was decided about it. */
  note(resource: string): void {
    this.#due.add(resource)
    this.#wake()
  }

  /** Ends after the turn under way. */
  async stop(): Promise<void> {
    this.#ending.abort()
    this.#wake()
    await this.#running
  }

  /** Until nothing is left to do now. */
  async catchUp(): Promise<void> {
    await this.#look()
    while (this.#due.size > 0) await this.#turn()
  }

  async #run(): Promise<void> {
    while (!this.#ending.signal.aborted) {
      try {
        if (performance.now() - this.#looked >= lookMs) await this.#look()
        await this.#turn()
      } catch (error) {
        this.#deps.logger.warn({ err: error }, 'resource tables not followed, tries again')
        await this.#pause(1000)
      }
      if (this.#due.size === 0) await this.#pause(lookMs)
    }
  }

  async #pause(ms: number): Promise<void> {
    const woken = new AbortController()
    this.#wake = () => woken.abort()
    if (this.#due.size > 0 || this.#ending.signal.aborted) return
    await sleep(ms, undefined, { signal: woken.signal }).catch(() => {})
  }

  /** Everything that does not stand where its stream does, or should not stand at all. */
  async #look(): Promise<void> {
    const { store, log } = this.#deps
    this.#looked = performance.now()
    await this.#dropGone()
    const rows = await store.query<{ resource: string; epoch: string | null; seq: string | null; busy: boolean; faulty: boolean }>(lookSql)
    const heads = await log.heads(rows.map(({ resource }) => resource))
    for (const { resource, epoch, seq, busy, faulty } of rows) {
      if (faulty) this.#faulty.add(resource)
      const head = heads.get(resource)
      if (busy || (head && (Number(epoch ?? 0) !== head.epoch || Number(seq ?? 0) !== head.seq))) this.#due.add(resource)
    }
  }

  /** One turn of each resource that is due. */
  async #turn(): Promise<void> {
    const due = [...this.#due]
    this.#due.clear()
    for (const resource of due) {
      if (this.#ending.signal.aborted) return
      try {
        if ((await followStream(this.#deps, resource)) === 'more') this.#due.add(resource)
        if (this.#faulty.delete(resource)) await this.#deps.store.query('delete from resource_table_fault where resource = $1', [resource])
      } catch (error) {
        await this.#fault(resource, error)
      }
    }
  }

  async #fault(resource: string, error: unknown): Promise<void> {
    const { store, logger, clock } = this.#deps
    logger.error({ err: error, resource }, 'resource table does not follow its stream')
    const code = error instanceof QianzhiError ? error.code : 'QZ-INTERNAL'
    const reason = { zh: reasonOf(error, 'zh'), en: reasonOf(error) }
    this.#faulty.add(resource)
    await store.query(
      `insert into resource_table_fault (resource, code, reason, since) values ($1, $2, $3, $4)
       on conflict (resource) do update set code = $2, reason = $3`,
      [resource, code, storeText(reason), clock()],
    )
  }

  /** Waits for no reader: who still reads keeps a table until the next look. */
  async #dropGone(): Promise<void> {
    const { store } = this.#deps
    for (const { id } of await store.query<{ id: string }>(`select id from resource_table where state = 'gone'`)) {
      await store
        .transaction(async (query) => {
          await query(`set local lock_timeout = '200ms'`)
          await query(`drop table if exists ${tableName(id)}`)
          await query('delete from resource_table where id = $1', [id])
        })
        .catch((error: unknown) => {
          if ((error as { code?: unknown }).code !== '55P03') throw error
        })
    }
  }
}

const lookSql = `
  select s.resource, live.epoch, live.seq,
    filling.id is not null or fault.resource is not null or live.id is not null and (not ${keptSql} or live.rebuild or live.catalog_version <> r.catalog_version) as busy,
    fault.resource is not null as faulty
  from stream s join resource r on r.code = s.resource
    left join resource_table live on live.resource = s.resource and live.state = 'live'
    left join resource_table filling on filling.resource = s.resource and filling.state = 'filling'
    left join resource_table_fault fault on fault.resource = s.resource
  where ${keptSql} or live.id is not null or filling.id is not null`
