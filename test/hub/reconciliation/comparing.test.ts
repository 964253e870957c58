/** What two sides have told of themselves, compared. */
import t from 'tap'
import { differingKeys } from '../../../hub/reconciliation/comparing.ts'

const hash = (letter: string): Buffer => Buffer.alloc(16, letter)
const entries = (...rows: [string, string][]): Buffer => Buffer.concat(rows.flatMap(([key, row]) => [hash(key), hash(row)]))
const named = (key: string): string => hash(key).toString('base64url')

t.test('missing, extra and changed keys', async (t) => {
  const source = entries(['a', '1'], ['b', '2'], ['c', '3'])
  const target = entries(['c', '3'], ['b', 'x'], ['d', '4'])
  t.same(
    [...differingKeys(source, target)],
    [
      [named('a'), 'missing'],
      [named('b'), 'changed'],
      [named('d'), 'extra'],
    ],
  )
})

t.test('a key with two rows is not the same as one with one of them, whatever their order', async (t) => {
  const twice = entries(['a', '1'], ['a', '2'], ['b', '3'])
  t.same([...differingKeys(twice, entries(['a', '2'], ['b', '3']))], [[named('a'), 'changed']])
  t.same([...differingKeys(entries(['a', '1'], ['a', '1']), entries(['a', '1']))], [[named('a'), 'changed']])
  t.same([...differingKeys(twice, entries(['b', '3'], ['a', '2'], ['a', '1']))], [])
})
