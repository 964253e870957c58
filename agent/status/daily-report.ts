import type { Logger } from 'pino'
import type { MorningLine } from '../../protocol/api.ts'
import { codedError } from '../../protocol/errors.ts'
import { localTime } from '../../protocol/local-time.ts'
import type { AgentStatus, Reconciled } from './agent-status.ts'
import type { StateFile } from '../runtime/state.ts'
import type { StatusBoard } from './board.ts'

export interface DailyReportDeps {
  /** `08:30`, or false for none. */
  at: string | false
  timezone: string
  state: StateFile
  board: StatusBoard
  now: () => Date
  status: () => AgentStatus
  reconciled: () => Reconciled[]
  logger: Logger
  /** Has the hub told at once. */
  tell: () => void
}

/** Milliseconds between looks at the clock, and after the start in which lines find their places before anything is said of them. */
const lookEvery = 5_000
const settling = 20_000

/**
 * The morning line 早报: once a day, from the configured time on, how the agent stands: into its log, its status and its report to the
 * hub. One that was due while the agent did not run, or while the clock was turned, is made up for. A look at the clock now and then and
 * not a timer for the time of day: that one would be wrong after each change of the clock, also of the hub's, by which it goes.
 */
export class DailyReport {
  readonly #deps: DailyReportDeps
  readonly #started = performance.now()
  #timer: NodeJS.Timeout | undefined

  constructor(deps: DailyReportDeps) {
    this.#deps = deps
    const { at, timezone, state, board } = deps
    const line = state.data.morning
    if (at !== false) board.morning = { at, timezone, ...(line && { line }) }
  }

  start(): void {
    this.#timer = setInterval(() => this.look(), lookEvery).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Writes the line of today if it is due. */
  look(settled = performance.now() - this.#started >= settling): void {
    const { at, timezone, state, now } = this.#deps
    const [day, time] = localTime(now(), timezone).split(' ') as [string, string]
    if (at === false || time.slice(0, 5) < at || !settled || state.data.morning?.day === day) return
    this.#write(dailyReportLine(day, this.#deps.status(), this.#deps.reconciled()))
  }

  #write(line: MorningLine): void {
    const { board, state, logger, tell } = this.#deps
    board.morning = { ...board.morning!, line }
    logger.info({ morning: line }, morningText(line))
    state.data.morning = line
    tell()
    try {
      state.write()
    } catch (error) {
      // A full disk: after a restart the line is written once more.
      logger.warn({ err: codedError(error) }, 'morning line not kept')
    }
  }
}

export function dailyReportLine(day: string, status: AgentStatus, reconciled: readonly Reconciled[]): MorningLine {
  const { sources, sinks, time } = status
  const lines = [...sources, ...sinks]
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0)
  const oldest = sources.flatMap((source) => source.oldest ?? []).toSorted()[0]
  const newest = reconciled
    .map((last) => last.time)
    .toSorted()
    .at(-1)
  return {
    day,
    time,
    sources: { level: sources.filter(({ state, waiting }) => state === 'flowing' && waiting === 0).length, all: sources.length },
    routes: { level: sinks.filter(({ level }) => level).length, all: sinks.length },
    waiting: sum(sources.map(({ waiting }) => waiting)),
    ...(oldest && { oldest }),
    quarantine: sum(lines.map(({ quarantine }) => quarantine)),
    held: lines.filter(({ state }) => state === 'held').length,
    paused: lines.filter(({ state }) => state === 'paused').length,
    ...(newest && { reconciled: { time: newest, equal: reconciled.filter(({ equal }) => equal).length, all: reconciled.length } }),
  }
}

/** For the log: both languages in one line. */
function morningText(line: MorningLine): string {
  const { day, sources, routes, waiting, quarantine, held } = line
  const zh = `早报 ${day}：来源 ${sources.level}/${sources.all} 已清空，路由 ${routes.level}/${routes.all} 与提供方一致，待发 ${waiting}，隔离 ${quarantine}，停住 ${held}`
  const en = `morning line: ${sources.level} of ${sources.all} sources with nothing waiting, ${routes.level} of ${routes.all} routes level, ${waiting} waiting, quarantine ${quarantine}, held ${held}`
  return `${zh} / ${en}`
}
