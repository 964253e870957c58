import type { Logger } from 'pino'
import type { QianzhiError } from '../../protocol/errors.ts'
import { actedBy, type Principal } from '../access/principal.ts'
import { writeAudit } from '../records/audit.ts'
import type { HubClock } from '../records/clock.ts'
import { notify } from '../records/notices.ts'
import type { HealthProblem } from '../records/problem.ts'
import { startRounds, type Rounds } from '../store/rounds.ts'
import type { Query, Store } from '../store/store.ts'

type Db = Pick<Store, 'query' | 'transaction'>

export interface ClockWatchDeps {
  store: Db
  clock: HubClock
  logger: Logger
}

/** The time that is known from before the hub was started: as it was saved last, else of the newest entry of the audit. Milliseconds. */
export async function lastKnownTime(query: Query): Promise<number | undefined> {
  const [saved] = await query<{ value: string }>(`select value from setting where key = 'clock'`)
  if (saved) return Date.parse(saved.value)
  const [entry] = await query<{ at: Date }>(
    'select e.at from audit_seal s join audit_entry e on e.id = s.entry order by s.seq desc limit 1',
  )
  return entry?.at.getTime()
}

const intervalMs = 15_000

/** Looks again and again whether the hub's clock still agrees with itself and with the agents, and saves the time. */
export function startClockWatch(deps: ClockWatchDeps): Rounds<void> {
  const watch = new ClockWatch(deps)
  return startRounds({
    intervalMs,
    round: () => watch.look(),
    failed: (error) => deps.logger.warn({ err: error }, 'the clock was not compared, tries again'),
  })
}

/** Tells once that the clock is held, and once that it is not any more. */
export class ClockWatch {
  readonly #deps: ClockWatchDeps
  /** Agents that were heard before say nothing of the clock as it is now. */
  readonly #started: Date
  #held = false

  constructor(deps: ClockWatchDeps) {
    this.#deps = deps
    this.#started = deps.clock.now()
  }

  async look(): Promise<void> {
    const { store, clock, logger } = this.#deps
    clock.compare(await agentClocks(store.query, this.#started, clock.now()))
    const fault = clock.fault()
    const saved = await store.query<{ at: Date }>(
      `insert into setting (key, value) values ('clock', $1) on conflict (key) do update set value = $1 returning clock_timestamp() as at`,
      [clock.now().toISOString()],
    )
    clock.compareStore(saved[0]!.at)
    if ((fault !== undefined) === this.#held) return
    if (fault) logger.error({ code: fault.error.code, err: fault.error }, fault.error.message)
    else logger.info('the clock agrees again')
    await store.transaction((query) => (fault ? tellHeld(query, fault.error) : tellOver(query)))
    this.#held = fault !== undefined
  }
}

/**
 * The agents' own clocks now, by what they tell of the hub's: of each agency that of the agent that was heard last, in ten minutes. Who was
 * not told the time yet, or is behind a one-way gap, says 0, which says nothing.
 */
async function agentClocks(query: Query, started: Date, now: Date): Promise<number[]> {
  const rows = await query<{ offset: number }>(
    `select distinct on (agency) (report ->> 'clockOffset')::float8 as "offset" from agent
     where state = 'active' and (report ->> 'clockOffset')::float8 <> 0 and last_seen > $1 and last_seen > $2::timestamptz - interval '10 minutes'
     order by agency, last_seen desc`,
    [started, now],
  )
  return rows.map(({ offset }) => now.getTime() - offset)
}

const object = 'clock'

const told = [{ role: 'office' }, { role: 'system-admin' }] as const

async function tellHeld(query: Query, error: QianzhiError): Promise<void> {
  await writeAudit(query, { actor: 'hub', act: 'clock.held', object, outcome: error.code, details: error.details })
  await notify(query, { to: told, kind: 'clock', object, ...texts(error) })
}

async function tellOver(query: Query): Promise<void> {
  await writeAudit(query, { actor: 'hub', act: 'clock.agrees', object })
  const [zh, en] = ['中心服务器时钟已恢复可信，到期等处理继续进行', "The hub's clock agrees again: what ends by time ends again"]
  await notify(query, { to: told, kind: 'clock', object, zh, en })
}

function texts(error: QianzhiError): { zh: string; en: string } {
  return { zh: error.text('zh'), en: error.text('en') }
}

export interface ClockState {
  /** What the hub goes by. */
  now: Date
  /** What the machine's clock says. */
  wall: Date
  /** Since when the machine's clock is not believed; null where it is. */
  heldSince: Date | null
}

export function clockState(clock: HubClock): ClockState {
  const fault = clock.fault()
  return { now: clock.now(), wall: clock.wall(), heldSince: fault?.since ?? null }
}

export function clockProblems(clock: HubClock): HealthProblem[] {
  const errors = [clock.fault()?.error, clock.storeFault()]
  return errors.flatMap((error) => (error ? [{ code: error.code, ...texts(error) }] : []))
}

/** Somebody who answers for it says that the machine's time is right: on record with the reason, before it counts. */
export async function confirmClock(store: Db, clock: HubClock, by: Principal, reason: string): Promise<ClockState> {
  const before = clockState(clock)
  await store.transaction((query) =>
    writeAudit(query, {
      ...actedBy(by),
      act: 'clock.confirm',
      object,
      details: { reason, before: before.now.toISOString(), now: before.wall.toISOString() },
    }),
  )
  clock.confirm()
  return clockState(clock)
}
