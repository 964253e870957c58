/** What the platform says of duties, deadlines and evaluations, against the model. */
import { isDeepStrictEqual } from 'node:util'
import { listDeadlines } from '../../hub/records/deadlines.ts'
import { listDuties } from '../../hub/supervision/duties/duties.ts'
import { countFigures } from '../../hub/supervision/evaluation/figures.ts'
import type { City } from '../hub/city.ts'
import type { Supervision } from './duties.ts'
import { beginning, dayAt, next, type Day } from './periods.ts'

/** As far back as duties are listed. */
const longest = 700

export class Comparison {
  compared = 0
  readonly #city: City
  readonly #model: Supervision
  /** Told with a difference. */
  readonly #steps: readonly string[]
  /** Evaluations as they were counted before. */
  readonly #drawn = new Map<string, unknown>()

  constructor(city: City, model: Supervision, steps: readonly string[]) {
    this.#city = city
    this.#model = model
    this.#steps = steps
  }

  async all(since: Day, agencies: readonly string[]): Promise<void> {
    const now = this.#city.now.getTime()
    const earliest = next(dayAt(now), -longest)
    await this.#duties(earliest > since ? earliest : since, now)
    await this.#deadlines(now)
    await this.#evaluations(agencies, now)
  }

  async #duties(first: Day, now: number): Promise<void> {
    const { query } = this.#city.store
    const told = await listDuties(query, { from: first }, this.#city.now)
    const plain = ({ resource, period, state, excuse }: { resource: string; period: string; state: string; excuse: string | null }) =>
      `${resource} ${period} ${state} ${excuse ?? ''}`
    const counted = this.#model.duties(first, now)
    this.#sameSet('duties', told.map(plain), counted.map(plain))
    // Looked up by what is written down, where that is enough.
    for (const states of [['overdue'], ['explained', 'excused'], ['overdue', 'updated']] as const) {
      const found = await listDuties(query, { from: first, states }, this.#city.now)
      const wanted = counted.filter(({ state }) => states.some((one) => one === state))
      this.#sameSet(`duties ${states.join()}`, found.map(plain), wanted.map(plain))
    }
  }

  async #deadlines(now: number): Promise<void> {
    const listed = (await listDeadlines(this.#city.store.query, null, { limit: '1000' }, this.#city.now)).items
    const plain = (object: string, begun: number, due: Day | null, state: string) =>
      `${object} ${new Date(begun).toISOString()} ${due ?? 'unknown'} ${state.replace('warned', 'running')}`
    this.#sameSet(
      'deadlines',
      listed.map(({ object, startedAt, due, state }) => plain(object, startedAt.getTime(), due, state)),
      this.#model.deadlines.map((one) => {
        const due = one.ended === null ? this.#model.due(one, now) : one.due
        return plain(one.object, one.begun, due, this.#model.outcome(one, now))
      }),
    )
  }

  /** Of every quarter that is over, the same whenever it is counted. */
  async #evaluations(agencies: readonly string[], now: number): Promise<void> {
    for (let first = '2026-10-01'; ;) {
      const after = `${next(first, 93).slice(0, 7)}-01`
      const last = next(after, -1)
      if (beginning(after) >= now) return
      for (const { agency, figures } of await countFigures(this.#city.store.query, first, last)) {
        if (!agencies.includes(agency)) continue
        const counted = this.#model.evaluate(agency, first, last)
        const told = Object.fromEntries(Object.keys(counted).map((key) => [key, figures[key as keyof typeof figures]]))
        const which = `evaluation of ${agency} to ${last}`
        this.same(which, told, counted)
        if (this.#drawn.has(which)) this.same(`${which}, on another day`, told, this.#drawn.get(which))
        this.#drawn.set(which, told)
      }
      first = after
    }
  }

  #sameSet(what: string, told: readonly string[], counted: readonly string[]): void {
    this.compared += told.length
    const more = told.filter((one) => !counted.includes(one))
    const less = counted.filter((one) => !told.includes(one))
    this.same(what, more.slice(0, 5), less.slice(0, 5))
    this.same(`number of ${what}`, told.length, counted.length)
  }

  /** Throws with the last steps where they differ. */
  same(what: string, told: unknown, counted: unknown, more = ''): void {
    this.compared++
    if (isDeepStrictEqual(told, counted)) return
    const steps = this.#steps.slice(-25).join('\n  ')
    throw new Error(
      `${what}: the platform says ${JSON.stringify(told)}, the model ${JSON.stringify(counted)} ${more}\nafter ${this.#steps.length} steps, the last of them\n  ${steps}`,
    )
  }
}
