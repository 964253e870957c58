/**
 * Random sequences of inserts, updates, deletes and swaps, cut into random batches, into tables whose receiver has further unique indexes, foreign
 * keys, triggers and checks: after each batch the table is as sent, quarantined keys excepted, which are as they once were; when the
 * reasons are gone the product's own retries empty the quarantine. A failure names its seed: QIANZHI_SEED=<it> begins with that run.
 */
import type { Test } from 'tap'
import { Retries } from '../../../../agent/inbound/retries.ts'
import { seedOfThisRun } from '../../../faults/random.ts'
import { openSinks } from './fixture.ts'
import { Receiver } from './random-receiver.ts'
import { SourceModel } from './random-source.ts'
import type { Dialect, TestDatabase } from './suite.ts'

/** Runs of one test, and batches of each. */
const usual = { runs: 8, batches: 12 }
const long = { runs: 300, batches: 40 }
/** Tries after which a quarantine without a reason must be empty. */
const tries = 6

export function randomRowsConformance(t: Test, engine: Dialect, freshDatabase: () => Promise<TestDatabase>): void {
  t.test('random rows, in random batches, against what the receiver has around its table', async (t) => {
    const { runs, batches } = process.env['QIANZHI_TEST_LONG'] ? long : usual
    const filling = await openSinks(t, engine, freshDatabase, [])
    const began = seedOfThisRun()
    for (let seed = began; seed < began + runs; seed++) {
      const source = new SourceModel(seed)
      const receiver = new Receiver(engine, filling, source)
      try {
        await receiver.begin()
        await oneRun(receiver, source, batches)
        await receiver.end()
      } catch (error) {
        throw new Error(`seed ${seed} (${source.shows}): ${(error as Error).message}`, { cause: error })
      }
    }
    t.pass(`${runs} runs of ${batches} batches, from seed ${began}`)
  })
}

async function oneRun(receiver: Receiver, source: SourceModel, batches: number): Promise<void> {
  const { random } = source
  for (let n = 0; n < batches; n++) {
    for (let ops = random.between(1, 8); ops > 0; ops--) source.change()
    if (random.chance(0.06)) await receiver.refill()
    else await receiver.batch(random.pick([1, 2, 3, 8, 200]))
    if (random.chance(0.15)) await receiver.retry()
  }
  source.mend()
  await receiver.removeReasons()
  while (source.waiting > 0) await receiver.batch(random.between(1, 30))
  let now = 0
  const retries = new Retries(() => now)
  retries.begin(true)
  for (let n = 0; n < tries; n++) {
    now += 3_600_000
    if (retries.isDue) await retries.run(() => receiver.retry())
  }
  if (retries.isDue) throw new Error('retries go on')
  await receiver.equal()
}
