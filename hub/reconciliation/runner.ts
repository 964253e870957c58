import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import { codedError, QianzhiError, type ErrorCode } from '../../protocol/errors.ts'
import { hubProducer, producerOf } from '../records/supply.ts'
import { wantSnapshot } from '../exchange/streams.ts'
import type { AgentRequests } from '../exchange/agent-requests.ts'
import type { Store } from '../store/store.ts'
import type { Wakeups } from '../store/wakeups.ts'
import { newSalt, RunSide, type Side, type SideDeps } from './asking.ts'
import { compare } from './comparison.ts'
import { failRun, finishRun, forgetRuns, insertRun, putOff } from './records.ts'
import { runnableRoutes, runRoute, type RunRoute } from './routes.ts'
import { slotOf, type ReconciliationSettings } from './settings.ts'

export interface ReconciliationDeps {
  store: Pick<Store, 'query' | 'transaction'>
  asks: Pick<AgentRequests, 'ask'>
  wakeups: Wakeups
  settings: ReconciliationSettings
  logger: Logger
  clock: () => Date
  /** Milliseconds after which a run that was put off is tried again: ten minutes where not given. */
  again?: number
  /** Differing keys that a run follows, where it is not the usual number. */
  mostKeys?: number
  /** The source of what the hub itself produces. */
  ownSource?: (run: OwnRun) => Side
}

export interface OwnRun extends Pick<SideDeps, 'goOn' | 'signal'> {
  run: string
  salt: string
  route: RunRoute
}

/** Topic that a new run wakes. */
export const reconciliationTopic = 'reconciliations'
/** Milliseconds between looks at what is due. */
const pollIntervalMs = 5_000
const scheduleIntervalMs = 30_000
/** Milliseconds after which a run of whose runner nothing is heard is one that died. */
const deadAfterMs = 120_000

/** Refusals after which the same may succeed later: the run waits, within its deadline. */
const passing: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'QZ-RECONCILE-NOT-NOW',
  'QZ-RECONCILE-LOST',
  'QZ-ASK-AWAY',
  'QZ-ASK-UNANSWERED',
  'QZ-HUB-BUSY',
  'QZ-DB-UNREACHABLE',
])

interface Claimed {
  id: string
  route: string
  repair: boolean
  deadline: Date
}

/** Starts the runs that are due, and runs those that wait: a few at once, one at a time for each agent. Any number of hub processes may. */
export class ReconciliationRunner {
  readonly #deps: ReconciliationDeps
  readonly #name = randomUUID()
  readonly #ending = new AbortController()
  readonly #running = new Map<string, Promise<void>>()
  readonly #looping: Promise<void>
  #scheduled = -Infinity

  constructor(deps: ReconciliationDeps) {
    this.#deps = deps
    this.#looping = this.#loop()
  }

  async stop(): Promise<void> {
    this.#ending.abort(new QianzhiError('QZ-RECONCILE-INTERRUPTED', { run: '-' }))
    await this.#looping
    await Promise.allSettled(this.#running.values())
  }

  async #loop(): Promise<void> {
    const { wakeups, logger } = this.#deps
    const { signal } = this.#ending
    while (!signal.aborted) {
      using heard = wakeups.listen([reconciliationTopic])
      try {
        await this.#look()
      } catch (error) {
        logger.warn({ err: error }, 'reconciliations not looked at, tried again')
      }
      await heard.wait(pollIntervalMs, signal).catch(() => undefined)
    }
  }

  async #look(): Promise<void> {
    await this.#interruptDead()
    if (performance.now() - this.#scheduled > scheduleIntervalMs) {
      this.#scheduled = performance.now()
      await scheduleRuns(this.#deps)
      const { store, clock, settings } = this.#deps
      await forgetRuns(store.query, new Date(clock().getTime() - settings.keep * 86_400_000))
    }
    while (this.#running.size < this.#deps.settings.atOnce && !this.#ending.signal.aborted) {
      const claimed = await this.#claim()
      if (!claimed) return
      const running = this.#run(claimed)
        // What became of it could not be written: as the process says no more that it lives with the run, the run waits again.
        .catch((error: unknown) => this.#deps.logger.warn({ err: error, run: claimed.id }, 'a reconciliation was left as it was'))
        .finally(() => {
          this.#running.delete(claimed.id)
          this.#deps.wakeups.wake(reconciliationTopic)
        })
      this.#running.set(claimed.id, running)
    }
  }

  /** Runs of a process that died wait again, and so do those of this process before it was started anew. */
  async #interruptDead(): Promise<void> {
    const { store, clock } = this.#deps
    await store.query(
      `update reconciliation set state = 'waiting', conductor = null, step = null, not_before = $1, code = 'QZ-RECONCILE-INTERRUPTED', details = jsonb_build_object('run', id)
       where state = 'running' and beat_at < $2`,
      [clock(), new Date(clock().getTime() - deadAfterMs)],
    )
    const late = await store.query<{ id: string; deadline: Date }>(
      `select id, deadline from reconciliation where state = 'waiting' and deadline < $1`,
      [clock()],
    )
    for (const { id } of late) await failRun(store, id, null, this.#late(id), clock())
  }

  #late(run: string): QianzhiError {
    return new QianzhiError('QZ-RECONCILE-TIME', { run, hours: this.#deps.settings.hours })
  }

  /** The next waiting run none of whose agents takes part in another one. */
  async #claim(): Promise<Claimed | undefined> {
    const { store, clock } = this.#deps
    const [claimed] = await store.query<Claimed>(claimSql, [clock(), this.#name])
    return claimed
  }

  async #run(claimed: Claimed): Promise<void> {
    const { store, clock, logger, again = 600_000 } = this.#deps
    const { id } = claimed
    const beating = new AbortController()
    const beats = this.#beat(id, beating.signal)
    try {
      await this.#reconcile(claimed)
    } catch (error) {
      const coded = codedError(error)
      const stopped = this.#ending.signal.aborted
      if (coded.code === 'QZ-INTERNAL' && !stopped) logger.error({ err: error, run: id }, 'a reconciliation failed')
      const wait = coded.code === 'QZ-RECONCILE-LOST' ? again / 40 : again
      const until = new Date(clock().getTime() + (stopped ? 0 : wait))
      if (stopped) await putOff(store.query, id, this.#name, new QianzhiError('QZ-RECONCILE-INTERRUPTED', { run: id }), until)
      else if (passing.has(coded.code) && until < claimed.deadline) await putOff(store.query, id, this.#name, coded, until)
      else await failRun(store, id, this.#name, coded, clock())
    } finally {
      beating.abort()
      await beats
    }
  }

  /** Says now and then that this process lives: a run whose process died waits again. */
  async #beat(id: string, signal: AbortSignal): Promise<void> {
    const { store, clock } = this.#deps
    while (!signal.aborted) {
      await sleep(deadAfterMs / 4, undefined, { signal }).catch(() => undefined)
      if (!signal.aborted) await store.query('update reconciliation set beat_at = $2 where id = $1', [id, clock()]).catch(() => undefined)
    }
  }

  async #reconcile({ id, route: name, repair, deadline }: Claimed): Promise<void> {
    const { store, asks, clock, logger, wakeups, mostKeys, ownSource } = this.#deps
    const route = await this.#routeOf(name)
    const salt = newSalt()
    const goOn = async (side: string, step: string, rows: number) => {
      this.#ending.signal.throwIfAborted()
      if (clock() > deadline) throw this.#late(id)
      const now = await this.#routeOf(name)
      if (JSON.stringify(now) !== JSON.stringify(route)) {
        throw new QianzhiError('QZ-RECONCILE-NOT-NOW', {
          reason: { zh: '授权或版本刚改变', en: 'the grant or the version has just changed' },
        })
      }
      const text = 'update reconciliation set step = $3, rows = $4 where id = $1 and conductor = $2'
      await store.query(text, [id, this.#name, `${side} ${step}`, rows])
    }
    const parts = { asks, goOn, signal: this.#ending.signal }
    const target = new RunSide(parts, id, salt, 'target', route)
    const source =
      route.sourceAgent === hubProducer && ownSource
        ? ownSource({ ...parts, run: id, salt, route })
        : new RunSide(parts, id, salt, 'source', route)
    const compared = await compare({ run: id, salt, route, source, target, repair, now: clock, ...(mostKeys && { mostKeys }) })
    const { statement } = compared
    const signatures = { source: await source.sign(statement), target: await target.sign(statement) }
    // More than can be mended key by key: the provider sends the whole table again, as soon as it looks. Before the run is at its end.
    if (repair && statement.more && (await wantSnapshot(store, route.resource, statement.position)))
      wakeups.wake(`snapshot:${route.resource}`)
    await finishRun(store, { id, runner: this.#name, route, now: clock() }, compared, signatures)
    logger.info(
      { run: id, route: name, outcome: statement.outcome, rows: statement.target.rows, differing: statement.differing },
      'reconciled',
    )
  }

  async #routeOf(name: string): Promise<RunRoute> {
    const route = await runRoute(this.#deps.store.query, name, this.#deps.clock())
    if (!route) throw new QianzhiError('QZ-ROUTE-ENDED', { route: name, reason: { zh: '不在有效期内', en: 'it is not in force' } })
    return route
  }
}

const claimSql = `
  with busy as (
    select unnest(array[source_agent, target_agent]) as agent from reconciliation where state = 'running'
  ), next as (
    select c.id, p.id as source, t.agent as target from reconciliation c join route t on t.id = c.route
      join access_grant g on g.id = t.access_grant join resource r on r.code = g.resource
      left join lateral (select ${producerOf} as id) p on true
    where c.state = 'waiting' and c.not_before <= $1 and c.deadline >= $1
      and t.agent not in (select agent from busy where agent is not null)
      and (p.id is null or p.id not in (select agent from busy where agent is not null))
    order by c.not_before, c.id limit 1 for update of c skip locked
  )
  update reconciliation c set state = 'running', conductor = $2, beat_at = $1, began_at = $1, code = null, details = null, rows = 0,
    source_agent = next.source, target_agent = next.target
  from next where c.id = next.id
  returning c.id, c.route, c.repair, c.deadline`

/** Every route in force has its run of the night, unless one was made since. */
async function scheduleRuns({ store, settings, clock }: ReconciliationDeps): Promise<void> {
  if (settings.every === 0) return
  const now = clock()
  const latest = new Map(
    (await store.query<{ route: string; at: Date }>('select route, max(requested_at) as at from reconciliation group by route')).map(
      ({ route, at }) => [route, at],
    ),
  )
  for (const route of await runnableRoutes(store.query, now)) {
    const slot = slotOf(route, settings, now)
    const deadline = new Date(slot.getTime() + settings.hours * 3_600_000)
    const last = latest.get(route)
    if (deadline <= now || (last && last >= slot)) continue
    await insertRun(store.query, { route, by: 'hub', repair: settings.repair === 'automatic', now, deadline })
  }
}
