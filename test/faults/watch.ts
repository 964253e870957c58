/** Looks at the delivered counters again and again while things break: none may ever fall, vanish, or show what was never committed. */
import { setTimeout as sleep } from 'node:timers/promises'
import { openClient, type Client } from '../support/client.ts'
import { counterPrefix } from './writers.ts'

export interface StepBack {
  code: string
  from: string
  /** Undefined where the row was gone. */
  to: string | undefined
}

/** Milliseconds between looks. */
const pace = 30

export class Watch {
  readonly stepsBack: StepBack[] = []
  readonly phantoms: string[] = []
  looks = 0
  readonly #url: string
  readonly #table: string
  readonly #seen = new Map<string, string>()
  readonly #ending = new AbortController()
  readonly #running: Promise<void>

  constructor(url: string, table: string) {
    this.#url = url
    this.#table = table
    this.#running = this.#run()
  }

  /** The target itself was put back: what it showed before does not count any more. */
  forget(): void {
    this.#seen.clear()
  }

  seen(code: string): number {
    return Number(this.#seen.get(code) ?? -1)
  }

  async stop(): Promise<void> {
    this.#ending.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    let client: Client | undefined
    while (!this.#ending.signal.aborted) {
      try {
        client ??= await openClient(this.#url)
        this.#look(await client.query(`select code, name from ${this.#table} where code like '${counterPrefix}%'`))
      } catch {
        // The target is down, or the table is not there yet.
        await client?.end().catch(() => undefined)
        client = undefined
      }
      await sleep(pace)
    }
    await client?.end().catch(() => undefined)
  }

  #look(rows: readonly (string | null)[][]): void {
    this.looks++
    const now = new Map(rows.map(([code, name]) => [code!, name!]))
    for (const [code, from] of this.#seen) {
      const to = now.get(code)
      if (to === undefined || Number(to) < Number(from)) this.stepsBack.push({ code, from, to })
    }
    for (const [code, name] of now) {
      if (!/^\d+$/.test(name)) this.phantoms.push(`${code} ${name}`)
      this.#seen.set(code, name)
    }
    for (const code of this.#seen.keys()) if (!now.has(code)) this.#seen.delete(code)
  }
}
