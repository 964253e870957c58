import type { Logger } from 'pino'
import { QianzhiError } from '../../protocol/errors.ts'
import { allows, type Relations } from '../access/authorise.ts'
import type { Principal } from '../access/principal.ts'
import { objectKinds, relationsOf, type ObjectKind } from '../access/relations.ts'
import { rights, type OperationName } from '../access/rights.ts'
import { silentAfter } from '../lines/judges.ts'
import type { Registry } from '../records/registry.ts'
import type { Query } from '../store/store.ts'
import { Happenings, type Line } from './happenings.ts'

/** What somebody who watches is told. None carries what is new: whoever hears it looks again, and is shown what they may see. */
export type Event =
  /** `*`: something may have been missed, and anything may have changed. */
  | { event: 'changed'; data: { kind: ObjectKind | '*'; id: string } }
  /** What waits for them may have changed. */
  | { event: 'todo'; data: Record<string, never> }
  | { event: 'notice'; data: Record<string, never> }
  | { event: 'job'; data: { id: string } }
  /** Lines between two agencies, or (receiver null) of one agency to the hub, stand otherwise; `moved`: rows arrived. */
  | { event: 'line'; data: { provider: string; receiver: string | null; moved: boolean } }

/** One that watches: what it has not been told of yet. */
export class Watcher {
  readonly principal: Principal
  readonly #pending = new Map<string, Event>()
  readonly #wake: () => void
  readonly #close: (watcher: Watcher) => void
  /** The session has ended, or may have. */
  suspect = false

  constructor(principal: Principal, wake: () => void, close: (watcher: Watcher) => void) {
    this.principal = principal
    this.#wake = wake
    this.#close = close
  }

  tell(event: Event): void {
    if (this.#pending.size >= most) this.#pending.clear()
    const all = this.#pending.size >= most - 1 ? everything : event
    this.#pending.set(JSON.stringify(all), all)
    this.#wake()
  }

  doubt(): void {
    this.suspect = true
    this.#wake()
  }

  get hasNews(): boolean {
    return this.suspect || this.#pending.size > 0
  }

  /** What happened since the last time. */
  take(): Event[] {
    const events = [...this.#pending.values()]
    this.#pending.clear()
    return events
  }

  close(): void {
    this.#close(this)
  }
}

/** Events that one may have pending: more are told as one. */
const most = 500
/** By what lines are seen. */
const lineReadings = ['line.list', 'wall.read'] as const
const everything: Event = { event: 'changed', data: { kind: '*', id: '*' } }

/** Milliseconds between two looks for agents that fell silent, and between two tellings. */
const looks = 5000
const pace = 250

/**
 * Tells who watches of what happens, as far as they may read it: rights are asked for each event, by the same table as for reading. Nothing is
 * done where nobody watches.
 */
export class EventFeed {
  readonly #registry: Registry
  readonly #logger: Logger
  readonly #watchers = new Set<Watcher>()
  #happenings = new Happenings()
  #unfollow: (() => void) | undefined
  #telling: NodeJS.Timeout | undefined
  #looking: NodeJS.Timeout | undefined
  #looked: Date | undefined

  constructor(registry: Registry, logger: Logger) {
    this.#registry = registry
    this.#logger = logger
  }

  /** Begins to watch. `wake` is called whenever there is something to take. */
  watch(principal: Principal, wake: () => void): Watcher {
    const watcher = new Watcher(principal, wake, (one) => this.#leave(one))
    this.#watchers.add(watcher)
    this.#unfollow ??= this.#registry.wakeups.follow('event:', (topic) => this.#hear(topic))
    this.#looked ??= this.#registry.clock()
    this.#looking ??= setInterval(() => void this.look(), looks).unref()
    return watcher
  }

  get size(): number {
    return this.#watchers.size
  }

  /** Agents that fell silent since the last look: their lines stand otherwise, though nothing happened. */
  async look(): Promise<void> {
    const [before, now] = [this.#looked ?? this.#registry.clock(), this.#registry.clock()]
    const at = (time: Date) => new Date(time.getTime() - silentAfter)
    try {
      const silent = await this.#registry.store.query<{ id: string }>(
        `select id from agent where state = 'active' and last_seen >= $1 and last_seen < $2`,
        [at(before), at(now)],
      )
      this.#looked = now
      for (const { id } of silent) this.#hear(`event:agent ${id}`)
    } catch (error) {
      this.#logger.warn({ err: error }, 'agents not looked for')
    }
  }

  #hear(topic: string | undefined): void {
    const [kind = '', ...words] = topic?.slice('event:'.length).split(' ') ?? []
    if (topic === undefined) {
      for (const watcher of this.#watchers) {
        watcher.doubt()
        watcher.tell(everything)
      }
    } else if (kind === 'session') {
      for (const watcher of this.#watchers) if (watcher.principal.session === words[0]) watcher.doubt()
    } else {
      // Roles may have changed, or the key have ended.
      if (kind === 'changed') for (const watcher of this.#watchers) if (watcher.principal.actor === words.join(' ')) watcher.doubt()
      this.#happenings.note(kind, words)
      this.#telling ??= setTimeout(() => void this.#tell(), pace).unref()
    }
  }

  async #tell(): Promise<void> {
    const happened = this.#happenings
    this.#happenings = new Happenings()
    try {
      for (const [role, agency] of happened.notices)
        this.#tellAll({ event: 'notice', data: {} }, ({ principal }) => isFor(principal, role, agency))
      for (const id of happened.jobs) await this.#tellOf('job', id, { event: 'job', data: { id } })
      for (const name of happened.changed) await this.#tellOfChange(name)
      for (const line of await happened.lines(this.#registry.store.query)) this.#tellOfLine(line)
    } catch (error) {
      this.#logger.warn({ err: error }, 'not all told that watch')
      this.#tellAll(everything, () => true)
    } finally {
      this.#telling = undefined
      if (!this.#happenings.isEmpty) this.#telling = setTimeout(() => void this.#tell(), pace).unref()
    }
  }

  #tellAll(event: Event, whom: (watcher: Watcher) => boolean): void {
    for (const watcher of this.#watchers) if (whom(watcher)) watcher.tell(event)
  }

  async #tellOfChange(name: string): Promise<void> {
    const [kind = '', ...rest] = name.split(' ')
    if (!isKind(kind)) return
    const id = rest.join(' ')
    await this.#tellOf(kind, id, { event: 'changed', data: { kind, id } }, { event: 'todo', data: {} })
  }

  /** Only of what each may read, and only whoever may read it. */
  async #tellOf(kind: ObjectKind, id: string, ...events: Event[]): Promise<void> {
    const name = readingOf(kind)
    if (name === undefined) return
    let relations: Relations
    try {
      relations = await relationsOf(this.#registry.store.query, kind, id)
    } catch (error) {
      // It is gone again.
      if (error instanceof QianzhiError && error.code === 'QZ-NOT-FOUND') return
      throw error
    }
    const draft = await isDraft(this.#registry.store.query, kind, id)
    const may = ({ principal }: Watcher) => allows(principal, name, relations) && (!draft || drafts(principal, kind, relations))
    for (const event of events) this.#tellAll(event, may)
  }

  #tellOfLine({ provider, receiver, moved }: Line): void {
    const relations = { own: [provider], provider: [provider], receiver: receiver === null ? [] : [receiver] }
    this.#tellAll({ event: 'line', data: { provider, receiver, moved } }, ({ principal }) =>
      lineReadings.some((name) => allows(principal, name, relations)),
    )
  }

  #leave(watcher: Watcher): void {
    this.#watchers.delete(watcher)
    if (this.#watchers.size === 0) this.close()
  }

  close(): void {
    this.#unfollow?.()
    clearTimeout(this.#telling)
    clearInterval(this.#looking)
    this.#unfollow = this.#telling = this.#looking = this.#looked = undefined
    this.#happenings = new Happenings()
  }
}

/** Drafts of these kinds are nobody's but their drafters'. */
const drafted: Partial<Record<ObjectKind, string>> = {
  standard: `select from standard where code = $1 and state = 'draft'`,
  application: `select from application where id::text = $1 and state = 'draft'`,
}

async function isDraft(query: Query, kind: ObjectKind, id: string): Promise<boolean> {
  const sql = drafted[kind]
  return sql !== undefined && (await query(sql, [id])).length > 0
}

function drafts(principal: Principal, kind: ObjectKind, { receiver = [] }: Relations): boolean {
  return kind === 'standard' ? allows(principal, 'standard.create') : principal.agency !== null && receiver.includes(principal.agency)
}

const isKind = (kind: string): kind is ObjectKind => (objectKinds as readonly string[]).includes(kind)

/** The operation by which an object of a kind is read; keys and routes have none of their own. */
function readingOf(kind: ObjectKind): OperationName | undefined {
  const name = kind === 'key' ? 'key.list' : kind === 'route' ? 'line.list' : `${kind}.read`
  return name in rights ? (name as OperationName) : undefined
}

/** A notice is for one person (role null, by number), or for a role in an agency or everywhere. */
function isFor({ person, roles, agency: own }: Principal, role: string | null, whose: string): boolean {
  if (role === null) return person === whose
  return (roles as readonly string[]).includes(role) && (whose === '' || whose === own)
}
