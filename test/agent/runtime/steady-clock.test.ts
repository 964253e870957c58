import t from 'tap'
import { SteadyClock } from '../../../agent/runtime/steady-clock.ts'

t.test('a clock that is set ahead makes nothing old', async (t) => {
  let [wall, ticks] = [1_000_000_000, 500]
  const clock = new SteadyClock(
    () => wall,
    () => ticks,
  )
  const pass = (ms: number) => ([wall, ticks] = [wall + ms, ticks + ms])
  pass(7000)
  t.equal(clock.now(), wall)
  wall += 366 * 86_400_000
  t.equal(clock.now(), 1_000_007_000 + 3_600_000, 'an hour at most')
  pass(1000)
  t.equal(clock.now(), 1_000_008_000 + 3_600_000, 'and it goes on')
  wall -= 366 * 86_400_000
  t.equal(clock.now(), wall)
  wall -= 86_400_000
  t.equal(clock.now(), wall, 'one that is set back only keeps things')
})
