import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { startRounds } from '../../../hub/store/rounds.ts'

t.test('rounds come one behind the other, also where one is asked for, and after one that failed', async (t) => {
  let [begun, atOnce, most] = [0, 0, 0]
  const [done, failed]: [number[], unknown[]] = [[], []]
  const rounds = startRounds({
    intervalMs: 1,
    async round() {
      const number = ++begun
      most = Math.max(most, ++atOnce)
      await sleep(2)
      atOnce--
      if (number % 3 === 0) throw new Error(`round ${number}`)
      return number
    },
    done: (number) => void done.push(number),
    failed: (error) => void failed.push(error),
  })
  const asked = await Promise.allSettled([rounds.run(), rounds.run(), rounds.run()])
  t.equal(asked.filter(({ status }) => status === 'rejected').length, 1, 'who asked for a round is told that it failed')
  while (done.length < 5 || failed.length < 2) await sleep(1)
  await rounds.stop()
  t.equal(most, 1)
  const before = begun
  await sleep(20)
  t.equal(begun, before, 'none after the stop')
})

t.test('a stop waits for the round under way, which hears of it', async (t) => {
  let ended = false
  const rounds = startRounds({
    intervalMs: 60_000,
    async round(signal) {
      while (!signal.aborted) await sleep(1)
      await sleep(5)
      ended = true
    },
    failed: (error) => t.fail(String(error)),
  })
  await rounds.stop()
  t.ok(ended)
})
