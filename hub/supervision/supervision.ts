import type { Logger } from 'pino'
import type { Query, Store } from '../store/store.ts'
import { markMissed, recountDeadlines, warnOfDeadlines } from './deadlines-watch.ts'
import { askForCalendars } from './calendars.ts'
import { dayToJudge, judgeDay, warnOfDuties } from './duties/judging.ts'
import { readRules, saveSettings, type Rules, type SupervisionSettings } from '../records/settings.ts'
import { startRounds, type Rounds } from '../store/rounds.ts'

export interface SupervisionDeps {
  store: Pick<Store, 'query' | 'transaction'>
  settings: SupervisionSettings
  /** Brings `supply_day` up to date with the log: nothing is judged by an older state of it. Where the signal aborts, nothing is judged. */
  catchUp: (signal?: AbortSignal) => Promise<unknown>
  logger: Logger
  clock: () => Date
}

/** Advisory lock that keeps several processes of the hub from supervising at once: any number, but always the same. */
const lock = 7_140_007

/**
 * One pass over update duties and deadlines. Each step is a transaction by itself that begins where the last one ended, so that a pass may
 * be killed anywhere and be made again, and every warning and mark is given once. Where it is to stop it ends with the statement under way,
 * and what the step had done is undone: a day of a whole city takes seconds to judge, and a hub that was away for long has many of them.
 */
export async function superviseOnce(deps: SupervisionDeps, signal?: AbortSignal): Promise<void> {
  try {
    await pass(deps, signal)
  } catch (error) {
    if (!signal?.aborted) throw error
  }
}

async function pass({ store, catchUp, clock }: SupervisionDeps, signal: AbortSignal | undefined): Promise<void> {
  const step = <T>(work: (query: Query, rules: Rules) => Promise<T>): Promise<T> =>
    store.transaction(async (within) => {
      const query: Query = async (text, values) => {
        signal?.throwIfAborted()
        return within(text, values)
      }
      await query('select pg_advisory_xact_lock($1)', [lock])
      return work(query, await readRules(query))
    })
  const now = clock()
  await catchUp(signal)
  for (let more = true; more;) {
    more = await step(async (query, rules) => {
      const day = await dayToJudge(query, now)
      if (day !== undefined) await judgeDay(query, rules, day, now)
      return day !== undefined
    })
  }
  await step((query, rules) => warnOfDuties(query, rules, now))
  await step((query, rules) => recountDeadlines(query, rules, now))
  await step((query) => markMissed(query, now))
  await step((query, rules) => warnOfDeadlines(query, rules, now))
  await step((query, rules) => askForCalendars(query, rules, now))
}

/** Writes the settings down, then makes a pass as often as they say, until stopped. */
export async function startSupervision(deps: SupervisionDeps): Promise<Rounds<void>> {
  await saveSettings(deps.store, deps.settings, deps.clock())
  await deps.store.transaction(async (query) => recountDeadlines(query, await readRules(query), deps.clock(), { all: true }))
  return startRounds({
    intervalMs: deps.settings.everySeconds * 1000,
    round: (signal) => superviseOnce(deps, signal),
    failed: (error) => deps.logger.warn({ err: error }, 'supervision failed, tries again'),
  })
}
