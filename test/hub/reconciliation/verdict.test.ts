/** What becomes of keys that differed, round by round; and what two sides' hashes say when they are compared. */
import fc from 'fast-check'
import t from 'tap'
import { bucketBytes } from '../../../protocol/digest.ts'
import { differingBuckets, differingKeys } from '../../../hub/reconciliation/comparing.ts'
import { Verdict, maxRounds } from '../../../hub/reconciliation/verdict.ts'

type Row = string | null

/** One key, followed over rounds of [source, target]. */
function follow(rounds: readonly (readonly [Row, Row])[], faults: { source?: string; target?: string } = {}) {
  const judging = new Verdict([{ key: ['k'], difference: 'changed' }])
  for (const [source, target] of rounds) {
    if (judging.open.length === 0) break
    judging.note({ hashes: [source], faults: [faults.source ?? null] }, { hashes: [target], faults: [faults.target ?? null] })
  }
  return judging.keys[0]!
}

t.test('what was under way is settled as soon as both are equal, also when the row is gone', async (t) => {
  t.equal(follow([['a', 'a']]).state, 'settled')
  t.equal(
    follow([
      ['b', 'a'],
      ['b', 'b'],
    ]).state,
    'settled',
  )
  t.equal(
    follow([
      [null, 'a'],
      [null, null],
    ]).state,
    'settled',
  )
})

t.test('only the same difference twice stands', async (t) => {
  t.equal(follow([['b', 'a']]).state, 'open')
  t.equal(
    follow([
      ['b', 'a'],
      ['b', 'a'],
    ]).state,
    'remaining',
  )
  t.equal(
    follow([
      ['b', null],
      ['b', null],
    ]).state,
    'remaining',
  )
  t.equal(
    follow([
      ['a', 'x'],
      ['b', 'x'],
    ]).state,
    'open',
    'the source changed between',
  )
  t.equal(
    follow([
      ['b', 'x'],
      ['b', 'a'],
      ['b', 'b'],
    ]).state,
    'settled',
    'the receiver was still following',
  )
})

t.test('a row that never stands still is moving where the receiver follows, and different where it does not', async (t) => {
  const rounds = Array.from({ length: maxRounds }, (_, i) => i)
  t.equal(follow(rounds.map((i) => [`s${i + 1}`, `s${i}`] as const)).state, 'moving')
  t.equal(follow(rounds.map((i) => [`s${i}`, 'old'] as const)).state, 'remaining')
})

t.test('a quarantined key says on which side and why', async (t) => {
  t.match(follow([[null, 'a']], { source: 'QZ-ROW-CHECK' }), { state: 'quarantined', side: 'source', code: 'QZ-ROW-CHECK' })
  t.match(follow([['b', 'a']], { target: 'QZ-ROW-REFUSED' }), { state: 'quarantined', side: 'target', code: 'QZ-ROW-REFUSED' })
  t.match(follow([['a', 'a']], { target: 'QZ-ROW-REFUSED' }), { state: 'settled' })
})

t.test('what was sent again is looked at anew', async (t) => {
  const judging = new Verdict([
    { key: ['1'], difference: 'changed' },
    { key: ['2'], difference: 'missing' },
    { key: ['3'], difference: 'extra' },
  ])
  const none = [null, null, null]
  for (let i = 0; i < 2; i++)
    judging.note({ hashes: ['a', 'b', null].slice(0, judging.open.length), faults: none }, { hashes: ['x', 'b2', 'c'], faults: none })
  t.same(judging.mendable, [['1'], ['2'], ['3']])
  judging.resent()
  t.same(judging.open, [['1'], ['2'], ['3']])
  judging.note({ hashes: ['a', 'b', null], faults: none }, { hashes: ['a', 'b2', null], faults: none })
  t.same(judging.open, [['2']])
  judging.note({ hashes: ['b'], faults: none }, { hashes: ['b2'], faults: none })
  t.same(
    judging.keys.map(({ state }) => state),
    ['repaired', 'remaining', 'repaired'],
  )
})

t.test('a key whose rows were ever equal after the route had passed is never called different', async () => {
  const side = fc.constantFrom('a', 'b', 'c', null)
  fc.assert(
    fc.property(fc.array(fc.tuple(side, side), { minLength: 1, maxLength: maxRounds }), (rounds) => {
      const { state } = follow(rounds)
      const first = rounds.findIndex(([source, target]) => source === target)
      const stood = rounds.findIndex((now, i) => i > 0 && now[0] !== now[1] && rounds[i - 1]!.join('|') === now.join('|'))
      if (first >= 0 && (stood < 0 || first < stood)) return state === 'settled'
      return state !== 'settled'
    }),
  )
})

t.test('buckets and entries', async (t) => {
  const [here, there] = [Buffer.alloc(4 * bucketBytes), Buffer.alloc(4 * bucketBytes)]
  there[bucketBytes * 2 + 7] = 1
  here[0] = 1
  t.same(differingBuckets(here, there, 8), [8, 10])
  const entry = (key: string, row: string) => Buffer.from(key.padEnd(16) + row.padEnd(16))
  const name = (key: string) => Buffer.from(key.padEnd(16)).toString('base64url')
  const found = differingKeys(
    Buffer.concat([entry('a', '1'), entry('b', '1'), entry('c', '1')]),
    Buffer.concat([entry('d', '1'), entry('b', '2'), entry('a', '1')]),
  )
  t.same(Object.fromEntries(found), { [name('b')]: 'changed', [name('c')]: 'missing', [name('d')]: 'extra' })
})
