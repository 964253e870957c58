import type { Query } from '../store/store.ts'

/** Lines that stand otherwise, by the agencies at their ends; `receiver` null: on their way to the hub. */
export interface Line {
  provider: string
  receiver: string | null
  moved: boolean
}

/** What happened and was not told yet; the same twice counts once. */
export class Happenings {
  /** `application 7` */
  readonly changed = new Set<string>()
  readonly jobs = new Set<string>()
  readonly #notices = new Map<string, readonly [role: string | null, whose: string]>()
  /** Routes whose receipts came, and agents whose lines stand otherwise. */
  readonly #routes = new Set<string>()
  readonly #agents = new Set<string>()

  note(kind: string, words: readonly string[]): void {
    const [first = '', second = '', third = ''] = words
    if (kind === 'changed') this.changed.add(words.join(' '))
    else if (kind === 'job') this.jobs.add(first)
    else if (kind === 'notice') this.#notices.set(words.join(' '), first === 'person' ? [null, second] : [second, third])
    else if (kind === 'moved') this.#routes.add(first)
    else if (kind === 'agent') this.#agents.add(first)
    if (kind === 'changed' && (first === 'grant' || first === 'resource')) this.#stopped.add(words.join(' '))
  }

  /** Grants and resources: what is decided of them stops lines, or lets them go on. */
  readonly #stopped = new Set<string>()

  get notices(): Iterable<readonly [role: string | null, whose: string]> {
    return this.#notices.values()
  }

  get isEmpty(): boolean {
    return [this.changed, this.jobs, this.#notices, this.#routes, this.#agents].every(({ size }) => size === 0)
  }

  async lines(query: Query): Promise<Line[]> {
    if (this.#routes.size + this.#agents.size + this.#stopped.size === 0) return []
    return query<Line>(linesSql, [[...this.#routes], [...this.#agents], [...this.#stopped]])
  }
}

/** An agent may produce any resource of its agency. */
const linesSql = `
  select r.agency as provider, a.agency as receiver, bool_or(t.id = any($1)) as moved
  from route t join access_grant g on g.id = t.access_grant join resource r on r.code = g.resource join agent a on a.id = t.agent
  where t.id = any($1) or t.agent = any($2) or r.agency in (select agency from agent where id = any($2))
    or 'grant ' || g.id = any($3) or 'resource ' || r.code = any($3)
  group by 1, 2
  union all
  select agency, null, false from agent where id = any($2) union select agency, null, false from resource where 'resource ' || code = any($3)`
