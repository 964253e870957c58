import { join } from 'node:path'
import type { Checkpoint, CheckpointFile } from '../../protocol/checkpoint.ts'
import { readJson, readKept, writeDurably } from '../runtime/state.ts'

type StoredCheckpoint = CheckpointFile['checkpoints'][number]

/** Days that are kept: the audit itself is kept six months at least. */
const maxDays = 800
const writeIntervalMs = 60_000
const setAside = {
  zh: '从备份恢复，或移走它重新开始记录（以前的核对点不再能用于核对）',
  en: 'restore it from a backup, or move it away to begin anew (what it held proves nothing any more)',
}

/**
 * What the hub has told this agent of its audit: the farthest checkpoint of each day (Asia/Shanghai), in `audit.json` in the data folder.
 * Whoever rewrites or cuts the audit at the hub, its administrator too, contradicts them. Written at most once a minute: never on the
 * way of each row.
 */
export class Checkpoints {
  readonly #path: string
  readonly #failed: (error: unknown) => void
  readonly #now: () => number
  readonly #kept: StoredCheckpoint[]
  #written = -Infinity
  #changed = false

  constructor(folder: string, failed: (error: unknown) => void, now: () => number = () => performance.now()) {
    this.#path = join(folder, 'audit.json')
    this.#failed = failed
    this.#now = now
    this.#kept = readKept(this.#path, (text) => readJson(text) as StoredCheckpoint[], setAside) ?? []
  }

  /** `time` is the hub's. A lower one of the same day adds nothing: the farther one fixes it, or contradicts it. */
  note(checkpoint: Checkpoint | undefined, time: string): void {
    if (!checkpoint || Number.isNaN(Date.parse(time))) return
    const day = dayOf(time)
    const at = this.#kept.findLastIndex((kept) => dayOf(kept.time) <= day)
    const before = this.#kept[at]
    const sameDay = before !== undefined && dayOf(before.time) === day
    if (sameDay && before.seq >= checkpoint.seq) return
    this.#kept.splice(sameDay ? at : at + 1, sameDay ? 1 : 0, { seq: checkpoint.seq, hash: checkpoint.hash, time })
    this.#kept.splice(0, this.#kept.length - maxDays)
    this.#changed = true
    if (this.#now() - this.#written >= writeIntervalMs) this.#write()
  }

  /** A full disk must not hold up rows: it is tried again in a minute, and when the agent stops. */
  #write(): void {
    try {
      this.flush()
    } catch (error) {
      this.#written = this.#now()
      this.#failed(error)
    }
  }

  /** What the data folder holds, without a running agent. */
  static read(folder: string): readonly StoredCheckpoint[] {
    return new Checkpoints(folder, () => {}).list()
  }

  /** Oldest first. */
  list(): readonly StoredCheckpoint[] {
    return this.#kept
  }

  /** Writes down what is not yet. */
  flush(): void {
    if (!this.#changed) return
    writeDurably(this.#path, JSON.stringify(this.#kept))
    this.#written = this.#now()
    this.#changed = false
  }
}

/** The day in Asia/Shanghai, which has had no summer time since 1991. */
function dayOf(time: string): string {
  return new Date(Date.parse(time) + 8 * 3_600_000).toISOString().slice(0, 10)
}
