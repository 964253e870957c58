/** Duties, deadlines and evaluations are what the regulation says, in random histories: see duty-histories.ts. */
import t from 'tap'
import { Random, seedOfThisRun } from '../faults/random.ts'
import { DutyHistory } from './duty-histories.ts'
import { historiesOfRun, stepsOfHistory } from './steps.ts'

const histories = historiesOfRun()
const random = new Random(seedOfThisRun())

for (let n = 1; n <= histories; n++) {
  void t.test(`history ${n} of ${histories}: QIANZHI_SEED=${random.seed}`, async (t) => {
    const history = await DutyHistory.begin(t, random.fork())
    for (let step = 1; step <= stepsOfHistory; step++) {
      await history.step()
      if (step % 50 === 0) await history.compare()
    }
    t.ok(history.compared > 100, `${history.steps.length} acts, ${history.compared} duties, deadlines and figures compared`)
  })
}
