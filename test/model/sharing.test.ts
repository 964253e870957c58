/** Who may receive what is what the regulation says, after each act of random histories: see histories.ts. */
import t from 'tap'
import { Random, seedOfThisRun } from '../faults/random.ts'
import { History } from './histories.ts'
import { historiesOfRun, stepsOfHistory } from './steps.ts'

const histories = historiesOfRun()
const random = new Random(seedOfThisRun())

for (let n = 1; n <= histories; n++) {
  t.test(`history ${n} of ${histories}: QIANZHI_SEED=${random.seed}`, async (t) => {
    const history = await History.begin(t, random.fork())
    for (let step = 0; step < stepsOfHistory; step++) await history.step()
    await history.compare(true)
    t.ok(history.refused > 0 && history.killed > 0, `${history.steps.length} acts, ${history.refused} refused, ${history.killed} killed`)
  })
}
