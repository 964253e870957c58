/** Sums of rows: the order does not count, the engine's way of writing does not count, and every other difference does. */
import fc from 'fast-check'
import t from 'tap'
import { bitsFor, bucketBytes, canonicalDecimal, canonicalJson, RowHasher, TableDigest } from '../../protocol/digest.ts'
import type { Value } from '../../protocol/value.ts'

const items = [
  { id: 'a', type: 'text' as const, key: true },
  { id: 'b', type: 'integer' as const, key: true },
  { id: 'c', type: 'text' as const },
  { id: 'd', type: 'decimal' as const },
]
const salt = '00112233445566778899aabbccddeeff'

function digestOf(rows: readonly (readonly Value[])[], with_ = salt): TableDigest {
  const hasher = new RowHasher(items, with_)
  const digest = new TableDigest()
  for (const row of rows) digest.add(hasher.bucket(hasher.keyText(row)), hasher.row(row))
  return digest
}

const text = fc
  .oneof(fc.string({ unit: 'grapheme', maxLength: 6 }), fc.constantFrom('', '=', '-', 'a', 'A', ' '))
  .map((value) => value.replaceAll('\0', ''))
const value = fc.oneof(fc.constant(null), text)
const amount = fc.oneof(
  fc.constant(null),
  fc.tuple(fc.integer({ min: -99, max: 99 }), fc.integer({ min: 0, max: 99 })).map(([a, b]) => `${a}.${b}`),
)
const row = fc.tuple(text, fc.integer().map(String), value, amount)
const table = fc.uniqueArray(row, { maxLength: 40, selector: ([a, b]) => JSON.stringify([a, b]) })

t.test('rows in any order have one digest; buckets are its parts', async () => {
  fc.assert(
    fc.property(table, fc.integer(), fc.integer({ min: 0, max: 6 }), (rows, seed, bits) => {
      const shuffled = rows
        .map((one, i) => [Math.sin(seed + i), one] as const)
        .toSorted(([x], [y]) => x - y)
        .map(([, one]) => one)
      const [a, b] = [digestOf(rows), digestOf(shuffled)]
      if (a.total().digest !== b.total().digest || !a.buckets(bits).equals(b.buckets(bits))) return false
      const told = a.buckets(bits)
      let [count, sum] = [0, 0n]
      for (let at = 0; at < told.length; at += bucketBytes) {
        count += told.readUInt32BE(at)
        sum += BigInt(`0x${told.toString('hex', at + 4, at + bucketBytes)}`)
      }
      return count === rows.length && BigInt.asUintN(128, sum).toString(16).padStart(32, '0') === a.total().digest
    }),
    { numRuns: 30 },
  )
})

t.test('a row that is lost, extra, twice or changed in one value is found', async () => {
  fc.assert(
    fc.property(table, row, fc.nat(), fc.nat(3), value, (rows, extra, at, column, changed) => {
      const whole = digestOf(rows).total().digest
      if (digestOf([...rows, extra]).total().digest === whole) return false
      if (rows.length === 0) return true
      const i = at % rows.length
      const [lost, twice] = [rows.toSpliced(i, 1), [...rows, rows[i]!]]
      const other = rows.with(i, rows[i]!.with(column, column === 3 ? amountOf(changed) : changed) as never)
      const same =
        canonicalDecimal(String(other[i]![column])) === canonicalDecimal(String(rows[i]![column])) &&
        (other[i]![column] === null) === (rows[i]![column] === null)
      return (
        digestOf(lost).total().digest !== whole &&
        digestOf(twice).total().digest !== whole &&
        (same || digestOf(other).total().digest !== whole)
      )
    }),
    { numRuns: 50 },
  )
})

function amountOf(changed: Value): Value {
  return changed === null ? null : String(changed.length)
}

t.test('the salt changes every hash; null is not the empty text; values do not run into each other', async (t) => {
  const one: Value[] = ['a', '1', 'x', null]
  t.not(digestOf([one]).total().digest, digestOf([one], salt.replace('0', '1')).total().digest)
  const hasher = new RowHasher(items, salt)
  t.not(hasher.row(['a', '1', '', null]), hasher.row(['a', '1', null, null]))
  t.not(hasher.row(['a=', '1', 'x', null]), hasher.row(['a', '=1', 'x', null]))
  t.not(hasher.keyHash(hasher.keyText(one)), hasher.row(one))
})

t.test('what engines write differently is one text', async (t) => {
  for (const [written, canonical] of [
    ['4.00', '4'],
    ['4', '4'],
    ['-0.00', '0'],
    ['0.50', '0.5'],
    ['-12.3400', '-12.34'],
    ['100', '100'],
    ['00100', '100'],
    ['12345678901234567890123456789012345678', '12345678901234567890123456789012345678'],
  ] as const)
    t.equal(canonicalDecimal(written), canonical, written)
  const pairs = [
    ['{"b": [1.50, 1e2], "a":null,"a":{"x":"\\u0041"}}', '{"a":{"x":"A"},"b":[1.5,100]}'],
    ['0.0', '0'],
    [' [ ] ', '[]'],
  ] as const
  for (const [one, other] of pairs) t.equal(canonicalJson(one), canonicalJson(other), one)
  t.not(canonicalJson('12345678901234567890123'), canonicalJson('12345678901234567890124'), 'numbers are exact')
  t.not(canonicalJson('{"__proto__":1}'), canonicalJson('{}'))
  t.not(canonicalJson('["a"]'), canonicalJson('"a"'))
  const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`
  t.equal(canonicalJson(deep).length, deep.length)
  const hasher = new RowHasher(
    [
      { id: 'k', type: 'decimal', key: true },
      { id: 't', type: 'timestamp' },
      { id: 'z', type: 'timestamptz' },
      { id: 'c', type: 'time' },
    ],
    salt,
  )
  t.equal(
    hasher.row(['7.10', '2026-11-22T08:30:00.500000', '2026-11-22T08:30:00Z', '08:30:00.000000']),
    hasher.row(['7.1', '2026-11-22T08:30:00.5', '2026-11-22T08:30:00.000Z', '08:30:00']),
  )
  t.same(hasher.key(['7.10', null, null, null]), ['7.1'])
})

t.test('buckets hold about 250 rows, and no more are told than there are', async (t) => {
  t.same([0, 250, 251, 1_000_000, 1e9].map(bitsFor), [0, 0, 1, 12, 16])
  const rows = Array.from({ length: 16_000 }, (_, i): Value[] => [`k${i}`, String(i), null, null])
  const told = digestOf(rows).buckets(6)
  const counts = Array.from({ length: 64 }, (_, i) => told.readUInt32BE(i * bucketBytes))
  t.ok(Math.min(...counts) > 180 && Math.max(...counts) < 320, `evenly spread: ${Math.min(...counts)}–${Math.max(...counts)}`)
  t.same(digestOf(rows).buckets(6, 10, 2), told.subarray(10 * bucketBytes, 12 * bucketBytes))
})
