/** Duties, deadlines and evaluations are what the regulation says, in random histories: see duty-histories.ts. */
import t from 'tap'
import { Random, seedOfThisRun } from '../faults/random.ts'
import { runDutyHistories } from './duty-histories.ts'

const steps = Number(process.env['QIANZHI_STEPS'] ?? 500)
const random = new Random(seedOfThisRun())

void t.test(`${steps} steps: QIANZHI_SEED=${random.seed}`, async (t) => {
  const compared = await runDutyHistories(random, steps)
  t.ok(compared > steps, `${compared} duties, deadlines and figures compared`)
})
