/** Memory that starting took, or a busy hour left, goes back to the system: V8 keeps it, since it cannot know that the program rests. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

export interface MemoryWatch {
  /** Milliseconds between two looks. */
  every: number
  /** Share of a processor below which a program rests. */
  resting: number
  /** How many times the memory after the last time it must be to be worth the pause, and code that must be compiled again. */
  growth: number
}

const usual: MemoryWatch = { every: 15_000, resting: 0.025, growth: 1.5 }

/** Looks now and then, and gives back what is not used while the program rests. @returns what ends that. */
export function giveBackMemory(given?: () => void, { every, resting, growth }: MemoryWatch = usual): () => void {
  let kept = 0
  let before = process.cpuUsage()
  const timer = setInterval(() => {
    const { user, system } = process.cpuUsage(before)
    before = process.cpuUsage()
    if ((user + system) / 1000 > every * resting || process.memoryUsage.rss() < kept * growth) return
    collect()
    kept = process.memoryUsage.rss()
    given?.()
  }, every).unref()
  return () => clearInterval(timer)
}

/** All that nobody uses, code that has not run lately too: nothing less gives pages back. */
function collect(): void {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as (options: object) => void
  gc({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}
