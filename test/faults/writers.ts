/** Applications that write into `villages` while things break: each on its own connection, which it opens again whenever it is lost. */
import { setTimeout as sleep } from 'node:timers/promises'
import { openClient, type Client } from '../support/client.ts'
import { until } from '../support/programs.ts'
import type { Random } from './random.ts'

/** Each writer's row whose name is a number that only grows, one by each transaction that commits. */
export const counterPrefix = '80000000000'
/** Written only in transactions that are rolled back. */
export const neverCommitted = '从未提交'

/** Milliseconds between a writer's transactions: leaves the machine to those that are tested. */
const pace = 12

export class Writers {
  readonly #url: string
  readonly #writers: Writer[]
  #ending = new AbortController()
  #running: Promise<unknown> = Promise.resolve()

  /** The codes are shared out, and one row is written by all. */
  constructor(url: string, count: number, codes: readonly string[], random: Random) {
    this.#url = url
    const shared = codes[0]!
    this.#writers = Array.from({ length: count }, (_, w) => {
      const own = codes.filter((_code, i) => i > 0 && i % count === w)
      return new Writer(w, own, shared, url.startsWith('postgres'), random.fork())
    })
  }

  async insertCounters(): Promise<void> {
    const client = await openClient(this.#url)
    try {
      for (const { counter } of this.#writers) await client.query(insertion(counter, '0', ''))
    } finally {
      await client.end()
    }
  }

  start(): void {
    this.#ending = new AbortController()
    this.#running = Promise.all(this.#writers.map((writer) => writer.run(this.#url, this.#ending.signal)))
  }

  /** Transactions committed so far. */
  get committed(): number {
    return this.#writers.reduce((sum, { committed }) => sum + committed, 0)
  }

  /** Waits until so many more transactions are committed. */
  async pass(transactions: number): Promise<void> {
    const goal = this.committed + transactions
    await until(`${transactions} more transactions`, () => this.committed >= goal)
  }

  /** The transactions under way are finished, if the database lives. */
  async stop(): Promise<void> {
    this.#ending.abort()
    await this.#running
  }
}

class Writer {
  readonly counter: string
  committed = 0
  readonly #prefix: string
  readonly #shared: string
  readonly #postgres: boolean
  readonly #random: Random
  readonly #codes: string[]
  readonly #deleted: string[] = []
  #made = 0

  constructor(number: number, codes: string[], shared: string, postgres: boolean, random: Random) {
    this.counter = `${counterPrefix}${number}`
    this.#prefix = `9${String(number).padStart(2, '0')}`
    this.#codes = codes
    this.#shared = shared
    this.#postgres = postgres
    this.#random = random
  }

  async run(url: string, signal: AbortSignal): Promise<void> {
    let client: Client | undefined
    while (!signal.aborted) {
      try {
        client ??= await openClient(url)
        await this.#transaction(client)
      } catch {
        // The database was killed, or chose this transaction to break a deadlock: an application begins again on a new connection.
        await client?.end().catch(() => undefined)
        client = undefined
        await sleep(20)
      }
      await sleep(pace)
    }
    await client?.end().catch(() => undefined)
  }

  async #transaction(client: Client): Promise<void> {
    const given = this.#random.chance(0.12)
    await client.query('begin')
    for (let n = this.#random.between(1, 12); n > 0; n--) await client.query(this.#statement())
    if (given) await client.query(`update villages set name = '${neverCommitted}' where code in ('${this.counter}', '${this.#shared}')`)
    else await client.query(`update villages set name = cast(name as decimal(20)) + 1 where code = '${this.counter}'`)
    if (this.#random.chance(0.2)) await client.query(`update villages set street = '第${this.#made}版' where code = '${this.#shared}'`)
    await client.query(given ? 'rollback' : 'commit')
    if (!given) this.committed++
  }

  /** A code may be gone (or not there yet, where its transaction was rolled back): then the statement changes nothing. */
  #statement(): string {
    const code = this.#random.pick(this.#codes)
    const kind = this.#random.between(0, 9)
    if (kind < 2) return insertion(this.#fresh(), `新增${this.#made}`, this.#ignore())
    if (kind === 2) return `update villages set code = '${this.#fresh()}' where code = '${code}'`
    if (kind === 3 && this.#deleted.length > 0) return insertion(this.#random.pick(this.#deleted), `重来${this.#made++}`, this.#ignore())
    if (kind < 6) {
      this.#deleted.push(code)
      return `delete from villages where code = '${code}'`
    }
    return `update villages set name = '改名${this.#made++} 𠮷' where code = '${code}'`
  }

  #fresh(): string {
    const code = `${this.#prefix}${String(this.#made++).padStart(9, '0')}`
    this.#codes[this.#random.between(0, this.#codes.length - 1)] = code
    return code
  }

  #ignore(): string {
    return this.#postgres ? 'on conflict do nothing' : 'on duplicate key update street = street'
  }
}

function insertion(code: string, name: string, conflict: string): string {
  return `insert into villages values ('${code}', '${name}', '街', '区', '市', '省') ${conflict}`
}
