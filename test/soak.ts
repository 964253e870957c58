/**
 * `npm run soak -- [--rounds N] [--seed S] [--rows R]`: one table, kills under writes (soak/crash.ts).
 * `npm run soak -- truth [--minutes N] [--seed S]`: schemas of several tables on two engines, every kind of fault (soak/truth.ts).
 * Both end at the first difference, with the seed, and exit code 1.
 */
import { parseArgs } from 'node:util'
import { seedOfThisRun } from './faults/random.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '10' },
    minutes: { type: 'string', default: '3' },
    seed: { type: 'string' },
    rows: { type: 'string', default: '5000' },
  },
})
const seed = values.seed === undefined ? seedOfThisRun() : Number(values.seed)
const say = (line: string): void => void process.stdout.write(`${line}\n`)

if (positionals[0] === 'truth') {
  const { soakTruth } = await import('./soak/truth.ts')
  process.exitCode = await soakTruth({ minutes: Number(values.minutes), seed, say })
} else {
  const { soakCrashes } = await import('./soak/crash.ts')
  process.exitCode = await soakCrashes({ rounds: Number(values.rounds), rows: Number(values.rows), seed, say })
}
