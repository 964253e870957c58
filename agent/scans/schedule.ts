/** When a source is scanned: at the times of its cron expression, once more at the start where one was missed, and when asked. */
import { createTask, type ScheduledTask } from 'node-cron'
import type { SourceTable } from '../database.ts'
import type { StreamStore } from '../runtime/stream-store.ts'

export class Schedule {
  readonly #store: StreamStore
  readonly #task: ScheduledTask
  readonly #changed: () => void

  /** `changed` is called when a scan has become due. */
  constructor({ scan }: SourceTable, store: StreamStore, changed: () => void) {
    this.#store = store
    this.#changed = changed
    this.#task = createTask(scan!.schedule, () => this.request(), { timezone: scan!.timezone, suppressMissedWarning: true })
    // So it is called where the program was too busy at that second.
    this.#task.on('execution:missed', () => this.request())
    void this.#task.start()
    this.#planNext()
  }

  /** Due, and on disk: a scan that was begun and not ended is begun again. */
  get due(): boolean {
    const due = this.#store.due()
    return due !== undefined && due.getTime() <= Date.now()
  }

  request(): void {
    this.#store.setDue(new Date())
    this.#changed()
  }

  /** A time that passed while the program did not run stays: the scan is due. One that the schedule has no more gives way. */
  #planNext(): void {
    if (!this.due) this.#store.setDue(this.#task.getNextRun())
  }

  done(): void {
    this.#store.setDue(this.#task.getNextRun(), new Date())
  }

  stop(): void {
    void this.#task.destroy()
  }
}
