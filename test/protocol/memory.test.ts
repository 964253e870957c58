/** Memory that nobody uses goes back while the program rests, and only then. */
import t from 'tap'
import { giveBackMemory } from '../../protocol/memory.ts'
import { until } from '../support/programs.ts'

const watch = { every: 20, resting: Infinity, growth: 0 }

t.test('what is garbage goes while the program rests', async (t) => {
  const held = { of: Array.from({ length: 200_000 }, (_, i) => ({ i })) as object[] | undefined }
  const gone = new WeakRef(held.of!)
  let times = 0
  const stop = giveBackMemory(() => times++, watch)
  t.teardown(stop)
  await until('it has looked', () => times > 0)
  t.ok(gone.deref(), 'what is in use stays')
  held.of = undefined
  await until('it has gone', () => gone.deref() === undefined)
  stop()
})

t.test('a program that works, and one that did not grow, is left alone', async (t) => {
  let times = 0
  const told = () => times++
  const [busy, small, control] = [
    giveBackMemory(told, { ...watch, resting: -1 }),
    giveBackMemory(told, { ...watch, growth: Infinity }),
    { looks: 0 },
  ]
  const looking = giveBackMemory(() => control.looks++, watch)
  await until('another has looked three times', () => control.looks > 2)
  for (const stop of [busy, small, looking]) stop()
  // Before the first time nothing is known of how large it was.
  t.ok(times <= 1, `${times}`)
})
