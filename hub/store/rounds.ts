import { setTimeout as sleep } from 'node:timers/promises'

export interface RoundsDeps<T> {
  /** One round; it may end early where it is to stop. */
  round: (signal: AbortSignal) => Promise<T>
  intervalMs: number
  /** Told of each round that came by itself. */
  done?: (result: T) => void
  failed: (error: unknown) => void
}

export interface Rounds<T> {
  /** One round now, behind the one under way. */
  run(): Promise<T>
  /** Ends when the round under way is finished. */
  stop(): Promise<void>
}

/** Does something again and again until stopped, never twice at once. A round that fails is followed by the next one. */
export function startRounds<T>({ round, intervalMs, done, failed }: RoundsDeps<T>): Rounds<T> {
  const ending = new AbortController()
  let last: Promise<unknown> = Promise.resolve()
  const run = (): Promise<T> => {
    const next = last.then(() => round(ending.signal))
    last = next.catch(() => {})
    return next
  }
  const loop = async (): Promise<void> => {
    while (!ending.signal.aborted) {
      try {
        const result = await run()
        done?.(result)
      } catch (error) {
        failed(error)
      }
      await sleep(intervalMs, undefined, { signal: ending.signal }).catch(() => {})
    }
  }
  const looping = loop()
  return {
    run,
    async stop() {
      ending.abort()
      await Promise.all([looping, last])
    },
  }
}
