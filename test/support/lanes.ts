/** Which files run beside which: the long ones first, and those that mostly wait beside those that keep a processor busy. */
import { availableParallelism } from 'node:os'

/** Mostly wait, for time-outs and for programs to start again; longest first. */
export const waiting: readonly string[] = [
  'test/faults/network.test.ts',
  'test/faults/policy.test.ts',
  'test/faults/network-database.test.ts',
  'test/faults/drift.test.ts',
  'test/faults/crash.test.ts',
]

/** The longest of the others, longest first. */
export const busy: readonly string[] = ['test/agent/databases/postgres/engine.test.ts', 'test/agent/databases/mysql/engine.test.ts']

export interface Lane {
  readonly files: readonly string[]
  readonly jobs: number
}

/** The lanes in which these files run at once. */
export function lanes(files: readonly string[], jobs?: number): Lane[] {
  const known = new Set([...waiting, ...busy])
  const rest = files.filter((file) => !known.has(file))
  const within = new Set(files)
  return [
    { files: waiting.filter((file) => within.has(file)), jobs: jobs ?? 3 },
    { files: [...busy.filter((file) => within.has(file)), ...rest], jobs: jobs ?? availableParallelism() },
  ]
}
