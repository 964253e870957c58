import fc from 'fast-check'
import t from 'tap'
import { countTexts } from '../../protocol/json-texts.ts'

const bytes = (text: string) => Buffer.from(text)

t.test('counts what JSON.stringify writes of texts and nulls', async (t) => {
  const values = fc.array(fc.oneof(fc.string({ unit: 'binary' }), fc.constant(null)))
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
  t.equal(countTexts(bytes('["a","b"]'), 0, false), 2)
  t.throws(() => countTexts(bytes('["a",null]'), 0, false), SyntaxError)
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
