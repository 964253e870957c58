import fc from 'fast-check'
import t from 'tap'
import { countTexts } from '../../protocol/json-texts.ts'

const bytes = (text: string) => Buffer.from(text)

t.test('counts what JSON.stringify writes of texts and nulls', async (t) => {
  const values = fc
    .array(fc.oneof(fc.string({ unit: 'binary' }), fc.constant(null)))
    .filter((array) => !array.some((text) => text?.includes('\0')))
  fc.assert(fc.property(values, (array) => countTexts(bytes(JSON.stringify(array)), 0) === array.length))
  t.equal(countTexts(bytes('salt["a",null]'), 4), 2)
  t.equal(countTexts(bytes(String.raw`["\u00e9\n\"\\\/\b\f\r\t"]`), 0), 1)
})

t.test('refuses whatever JSON.parse would refuse, and whatever is no array of texts and nulls', async (t) => {
  const refused = [
    '',
    '[',
    ']',
    '["a"',
    '["a",]',
    '[,"a"]',
    '["a" "b"]',
    '["a"]]',
    '["a"]x',
    '[1]',
    '[true]',
    '[nul]',
    '[nulll]',
    '{"a":"b"}',
    '"a"',
  ]
  for (const text of [
    ...refused,
    '["a\n"]',
    String.raw`["\x"]`,
    String.raw`["\u12g4"]`,
    String.raw`["\u12`,
    String.raw`["\"]`,
    '[[]]',
    '[ "a"]',
  ])
    t.throws(() => countTexts(bytes(text), 0), SyntaxError, text)
})

t.test('nulls may be refused', async (t) => {
  t.equal(countTexts(bytes('["a","b"]'), 0, { nulls: false }), 2)
  t.throws(() => countTexts(bytes('["a",null]'), 0, { nulls: false }), SyntaxError)
})

t.test('refuses what no receiver can keep in a text', async (t) => {
  // Any UTF-16 code units, halves of pairs among them.
  const text = fc.array(fc.oneof(fc.integer({ max: 0xffff }), fc.integer({ min: 0xd7f0, max: 0xe010 }), fc.constant(0)), { maxLength: 5 })
  const values = fc.array(
    text.map((units) => String.fromCharCode(...units)),
    { maxLength: 4 },
  )
  let counted = 0
  fc.assert(
    fc.property(values, (array) => {
      const sound = array.every((one) => one.isWellFormed() && !one.includes('\0'))
      if (sound) return countTexts(bytes(JSON.stringify(array)), 0) === array.length && ++counted > 0
      t.throws(() => countTexts(bytes(JSON.stringify(array)), 0), SyntaxError)
      return true
    }),
  )
  t.ok(counted > 10, `${counted} of them sound`)
  for (const pair of ['\\ud834\\udd1e', '\\uD834\\uDD1E']) t.equal(countTexts(bytes(`["${pair}"]`), 0), 1)
  for (const half of ['\\ud834', '\\udd1e', '\\ud834\\n', '\\ud834x', '\\ud834\\u0041', '\\ud834\\ud834', '\\u0000'])
    t.throws(() => countTexts(bytes(`["${half}"]`), 0), SyntaxError, half)
})

t.test('texts may be too long', async (t) => {
  t.equal(countTexts(bytes('["abc"]'), 0, { longest: 5 }), 1)
  t.throws(() => countTexts(bytes('["abcd"]'), 0, { longest: 5 }), SyntaxError)
})

t.test('never counts what JSON.parse reads differently', async () => {
  const pieces = fc.array(fc.constantFrom('[', ']', '"', ',', 'null', 'a', '\\', 'u', '0', '1', 'n', ' ', '\n', 'é'), { maxLength: 14 })
  fc.assert(
    fc.property(pieces, (parts) => {
      const text = parts.join('')
      let count: number
      try {
        count = countTexts(bytes(text), 0)
      } catch {
        return true
      }
      const value: unknown = JSON.parse(text)
      return Array.isArray(value) && value.length === count && value.every((element) => element === null || typeof element === 'string')
    }),
    { numRuns: 20_000 },
  )
})
