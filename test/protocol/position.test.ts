import fc from 'fast-check'
import t from 'tap'
import { comparePositions, isAfter, nextEpoch, positionNumber, samePosition, showPosition, type Position } from '../../protocol/position.ts'

const place: fc.Arbitrary<Position> = fc.record({
  epoch: fc.integer({ min: 1, max: 2147483647 }),
  seq: fc.integer({ min: 1, max: 4294967295 }),
})
const minutes = (date: Date) => Math.floor((date.getTime() - Date.UTC(2020, 0, 1)) / 60_000)

t.test('property: positionNumber orders as places do, and is unique', async () => {
  fc.assert(
    fc.property(place, place, (a, b) => {
      const numbers = BigInt(positionNumber(a)) - BigInt(positionNumber(b))
      return Math.sign(Number(numbers)) === Math.sign(comparePositions(a, b))
    }),
  )
})

t.test('positionNumber fits a signed 64-bit column', async (t) => {
  t.equal(positionNumber({ epoch: 2147483647, seq: 4294967295 }), String(2n ** 63n - 1n))
  t.equal(positionNumber({ epoch: 1, seq: 1 }), '4294967297')
  t.equal(positionNumber({ epoch: 1, seq: 4294967295 }), '8589934591')
  t.equal(positionNumber({ epoch: 2, seq: 1 }), '8589934593')
})

t.test('order of places', async (t) => {
  t.ok(isAfter({ epoch: 1, seq: 2 }, { epoch: 1, seq: 1 }))
  t.ok(isAfter({ epoch: 2, seq: 1 }, { epoch: 1, seq: 9 }))
  t.notOk(isAfter({ epoch: 1, seq: 1 }, { epoch: 1, seq: 1 }))
  t.notOk(isAfter({ epoch: 1, seq: 9 }, { epoch: 2, seq: 1 }))
  t.ok(isAfter({ epoch: 1, seq: 1 }, null))
  t.equal(showPosition({ epoch: 3, seq: 4 }), '3/4')
  t.equal(showPosition(null), '-')
})

t.test('the same position is the same in epoch, seq and hash', async (t) => {
  const position = { epoch: 1, seq: 2, hash: 'a'.repeat(64) }
  t.ok(samePosition(position, { ...position }))
  t.notOk(samePosition(position, { ...position, epoch: 2 }))
  t.notOk(samePosition(position, { ...position, seq: 1 }))
  t.notOk(samePosition(position, { ...position, hash: 'b'.repeat(64) }))
  t.notOk(samePosition(position, null))
  t.notOk(samePosition(undefined, position))
  t.ok(samePosition(null, undefined))
})

t.test('epochs: the minutes since 2020, or one more than what is known', async (t) => {
  const now = new Date('2026-11-22T08:30:59Z')
  t.equal(nextEpoch(0, now), minutes(now))
  t.equal(nextEpoch(minutes(now), now), minutes(now) + 1, 'two in one minute')
  t.equal(nextEpoch(minutes(now) + 100, now), minutes(now) + 101, 'a clock that was ahead')
  t.ok(nextEpoch(0, new Date('4000-01-01')) <= 2147483647, 'room for two thousand years')
})

t.test('property: epochs never go back over restored backups', async () => {
  // Hub and source both remember the newest epoch; now and then both are set back to what they knew at an earlier moment.
  const step = fc.record({ minutes: fc.integer({ min: 1, max: 3000 }), event: fc.constantFrom('epoch', 'backup', 'restore') })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let now = Date.UTC(2026, 10, 22)
      let [known, backup, highest] = [0, 0, 0]
      for (const { minutes, event } of steps) {
        now += minutes * 60_000
        if (event === 'backup') backup = known
        else if (event === 'restore') known = backup
        else {
          known = nextEpoch(known, new Date(now))
          if (known <= highest) return false
          highest = known
        }
      }
      return true
    }),
  )
})
