/**
 * `npm run soak -- [--rounds N] [--seed S] [--rows R]`: one table, kills under writes (soak/crash.ts).
 * `npm run soak -- truth [--minutes N] [--capture triggers|log|mixed] [--seed S]`: schemas of several tables on two engines, every kind of fault (soak/truth.ts).
 * `npm run soak -- registry [--steps N] [--seed S]`: random histories of the registry against the models of the regulation (model/).
 * `npm run soak -- tests [test files]`: the test run with all that the usual one leaves out (support/longer.ts).
 * The first three end at the first difference, with the seed, and exit code 1.
 */
import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { seedOfThisRun } from './faults/random.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '10' },
    minutes: { type: 'string', default: '3' },
    capture: { type: 'string', default: 'triggers' },
    steps: { type: 'string', default: '100000' },
    seed: { type: 'string' },
    rows: { type: 'string', default: '5000' },
  },
})
const seed = values.seed === undefined ? seedOfThisRun() : Number(values.seed)
const say = (line: string): void => void process.stdout.write(`${line}\n`)

if (positionals[0] === 'truth') {
  const [{ soakTruth }, { captures }] = await Promise.all([import('./soak/truth.ts'), import('./soak/city.ts')])
  const capture = captures.find((one) => one === values.capture)
  if (!capture) throw new Error(`--capture: ${captures.join(', ')}`)
  process.exitCode = await soakTruth({ minutes: Number(values.minutes), seed, capture, say })
} else if (positionals[0] === 'registry') {
  const { soakRegistry } = await import('./soak/registry.ts')
  process.exitCode = await soakRegistry({ steps: Number(values.steps), seed, say })
} else if (positionals[0] === 'tests') {
  const words = ['test/support/run.ts', '--timeout=7200', ...positionals.slice(1)]
  const env = { ...process.env, QIANZHI_TEST_LONG: '1' }
  process.exitCode = spawnSync(process.execPath, words, { env, stdio: 'inherit' }).status ?? 1
} else {
  const { soakCrashes } = await import('./soak/crash.ts')
  process.exitCode = await soakCrashes({ rounds: Number(values.rounds), rows: Number(values.rows), seed, say })
}
