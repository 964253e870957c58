/**
 * Does the jobs of the store, two at a time in each process. A job is done by whoever holds its advisory lock: the connection of a process that
 * is killed ends, and another one takes the job up from its beginning. So the work of a kind finds out by itself what was done already.
 *
 *     queued ──► running ──► done | failed | cancelled
 *                 │   ▲
 *                 └───┘ the process ended, or what it needs was away for a while
 */
import { rm } from 'node:fs/promises'
import type { Logger } from 'pino'
import type { PoolClient } from 'pg'
import { codedError, QianzhiError } from '../../protocol/errors.ts'
import { keptSql } from '../tables/records.ts'
import type { Store } from '../store/store.ts'
import type { Wakeups } from '../store/wakeups.ts'
import { fetchFile, type UploadFolder } from './files.ts'
import type { JobSettings } from './settings.ts'
import { findJob, type Job, type JobKind } from './jobs.ts'

export interface JobContext {
  job: Job
  signal: AbortSignal
  /** Throws where the job is to end here. */
  progress: (step: string, done: number, total?: number) => Promise<void>
  /** Path of the uploaded file, here and now. */
  file: () => Promise<string>
}

/** @returns what came of it. */
export type JobWork = (context: JobContext) => Promise<object>

export interface RunnerDeps {
  store: Store
  wakeups: Wakeups
  uploads: UploadFolder
  /** The work that this process can do. */
  kinds: Readonly<Partial<Record<JobKind, JobWork>>>
  settings: JobSettings
  clock: () => Date
  logger: Logger
}

/** `mostAttempts`: without coming any further. */
const [atOnce, mostAttempts, lookMs, tellMs] = [2, 3, 5000, 300]
const day = 86_400_000

class Cancelled extends Error {}

export class JobRunner {
  readonly #deps: RunnerDeps
  readonly #running = new Map<string, Promise<void>>()
  readonly #ending = new AbortController()
  #looping: Promise<void> = Promise.resolve()

  constructor(deps: RunnerDeps) {
    this.#deps = deps
  }

  start(): void {
    this.#looping = this.#loop()
  }

  async #loop(): Promise<void> {
    const { wakeups, logger } = this.#deps
    using heard = wakeups.listen(['jobs'])
    while (!this.#ending.signal.aborted) {
      await this.look().catch((err: unknown) => logger.warn({ err }, 'jobs not looked after'))
      await heard.wait(lookMs, this.#ending.signal)
    }
  }

  /** What is under way stays so in the store: it is taken up by the next process. */
  async stop(): Promise<void> {
    this.#ending.abort()
    await this.#looping
    await Promise.all(this.#running.values())
  }

  /** Begins what can be begun, and forgets what is old. */
  async look(): Promise<void> {
    await this.#forget()
    const open = await this.#deps.store.query<{ id: string }>(
      `select id from job where state in ('queued', 'running') and kind = any($1) order by id limit 100`,
      [Object.keys(this.#deps.kinds)],
    )
    for (const { id } of open) {
      if (this.#ending.signal.aborted || this.#running.size >= atOnce) return
      if (!this.#running.has(id)) await this.#take(id)
    }
  }

  /** Until nothing is left that this process can do. */
  async settle(): Promise<void> {
    for (;;) {
      await this.look()
      if (this.#running.size === 0) return
      await Promise.race(this.#running.values())
    }
  }

  async #forget(): Promise<void> {
    const { store, settings, clock, uploads } = this.#deps
    await store.query('delete from job where ended < $1', [new Date(clock().getTime() - settings.days * day)])
    await store.query(forgetFilesSql, [new Date(clock().getTime() - day)])
    await uploads.clearLeft()
  }

  async #take(id: string): Promise<void> {
    const client = await this.#deps.store.pool.connect()
    let broken: Error | undefined
    const lost = new AbortController()
    const failed = (error: Error) => {
      broken = error
      lost.abort()
    }
    client.on('error', failed)
    const free = () => {
      client.off('error', failed)
      client.release(broken)
    }
    try {
      const { rows } = await client.query<{ locked: boolean }>(`select pg_try_advisory_lock(${lockOf}) as locked`, [id])
      if (!rows[0]!.locked) return free()
    } catch (error) {
      broken = error as Error
      free()
      throw error
    }
    const running = this.#run(id, AbortSignal.any([this.#ending.signal, lost.signal]))
      .catch((err: unknown) => this.#deps.logger.warn({ err, job: id }, 'job not done'))
      .then(() => unlock(client, id))
      .catch((error: Error) => void (broken = error))
      .finally(() => {
        this.#running.delete(id)
        free()
      })
    this.#running.set(id, running)
  }

  async #run(id: string, signal: AbortSignal): Promise<void> {
    const { store, wakeups, kinds, clock, logger } = this.#deps
    const [begun] = await store.query<{ attempts: number }>(
      `update job set state = 'running', begun = coalesce(begun, $2), attempts = attempts + 1 where id = $1 and state in ('queued', 'running')
       returning attempts`,
      [id, clock()],
    )
    const job = begun && (await findJob(store.query, id))
    if (!job) return
    let outcome: [state: string, result: object | null, problem: object | null]
    const files: string[] = []
    try {
      if (job.attempts > mostAttempts) throw new QianzhiError('QZ-JOB-BROKEN', { attempts: mostAttempts })
      outcome = ['done', await kinds[job.kind]!(this.#context(job, signal, files)), null]
    } catch (error) {
      if (signal.aborted) {
        // Not its fault.
        await store.query('update job set attempts = attempts - 1 where id = $1', [id])
        return
      }
      if (!(error instanceof Cancelled)) logger.info({ err: error, job: id }, 'job failed')
      const coded = codedError(error)
      if (!(error instanceof Cancelled) && coded.kind.retry && job.attempts < mostAttempts) return
      outcome = error instanceof Cancelled ? ['cancelled', null, null] : ['failed', null, problemOf(coded)]
    } finally {
      for (const path of files) await rm(path, { force: true })
    }
    const [state, result, problem] = outcome
    await store.query(
      `update job set state = $2, result = coalesce($3, result), problem = $4, ended = $5, done = coalesce(case when $2 = 'done' then total end, done)
       where id = $1`,
      [id, state, result && JSON.stringify(result), problem && JSON.stringify(problem), clock()],
    )
    // There is room for the next one.
    wakeups.wakeHere('jobs')
  }

  #context(job: Job, signal: AbortSignal, files: string[]): JobContext {
    const { store, uploads } = this.#deps
    let told = -Infinity
    let last: string | null = job.step
    return {
      job,
      signal,
      async progress(step, done, total) {
        signal.throwIfAborted()
        if (step === last && performance.now() - told < tellMs) return
        ;[told, last] = [performance.now(), step]
        const [now] = await store.query<{ stopping: boolean }>(progressSql, [job.id, step, done, total ?? null])
        if (!now || now.stopping) throw new Cancelled()
      },
      async file() {
        const path = await uploads.newPath()
        files.push(path)
        await fetchFile(store, job.file?.id ?? '0', path)
        return path
      },
    }
  }
}

/** What is begun again is counted from where it had come to; who comes further has not failed. */
const progressSql = `
  update job set step = $2, attempts = case when $3 > done then least(attempts, 1) else attempts end, done = greatest(done, $3), total = coalesce($4, total)
  where id = $1 returning stopping`

const lockOf = `hashtextextended('job ' || $1, 0)`

async function unlock(client: PoolClient, id: string): Promise<void> {
  await client.query(`select pg_advisory_unlock(${lockOf})`, [id])
}

function problemOf(error: QianzhiError): object {
  const { code, faults } = error
  return { code, zh: error.text('zh'), en: error.text('en'), ...(faults.length > 0 && { faults }) }
}

/** Files that no job names; and those of what the hub may not hold any more (Art. 5, 26). */
const forgetFilesSql = `
  delete from job_file f where (at < $1 and not exists (select from job where file = f.id))
    or exists (select from job j join resource r on r.code = j.object where j.file = f.id and not ${keptSql})`
