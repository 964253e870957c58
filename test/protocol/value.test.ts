import fc from 'fast-check'
import t from 'tap'
import { canonicalTime, keyTypes, valueFault, valueTypes, type ValueLimits, type ValueType } from '../../protocol/value.ts'

const fault = (type: ValueType, value: string, limits: Omit<ValueLimits, 'type'> = {}) => valueFault({ type, ...limits }, value)?.en

const values: Record<ValueType, { good: string[]; bad: string[]; limits?: Omit<ValueLimits, 'type'> }> = {
  text: {
    limits: { length: 3 },
    good: ['', 'abc', '𠮷𠮷𠮷', '\n\t\u0001', ' '],
    bad: ['abcd', '𠮷𠮷𠮷𠮷', '\0', 'a\0', '\ud800', '\udc00a'],
  },
  integer: {
    good: ['0', '-1', '9223372036854775807', '-9223372036854775808'],
    bad: ['', '-0', '00', '01', '+1', '1.0', '1e3', ' 1', '1\n', '9223372036854775808', '-9223372036854775809', '٣', '9'.repeat(100_000)],
  },
  decimal: {
    limits: { precision: 5, scale: 2 },
    good: ['0', '-0.00', '999.99', '-999.99', '1.5', '1.500', '000123.4'],
    bad: ['', '.5', '5.', '1000', '0.001', '1e2', 'NaN', 'Infinity', '+1', '1,5', '-'],
  },
  boolean: { good: ['true', 'false'], bad: ['', 't', 'TRUE', '1', 'true\n'] },
  date: {
    good: ['0001-01-01', '9999-12-31', '2024-02-29', '2000-02-29'],
    bad: [
      '',
      '0000-01-01',
      '10000-01-01',
      '2023-02-29',
      '1900-02-29',
      '2026-04-31',
      '2026-13-01',
      '2026-00-10',
      '2026-01-00',
      '2026-1-1',
      'infinity',
    ],
  },
  timestamp: {
    good: ['2026-11-22T08:30:00', '2026-11-22T08:30:00.1', '0001-01-01T00:00:00.000000', '9999-12-31T23:59:59.999999'],
    bad: [
      '2026-11-22',
      '2026-11-22 08:30:00',
      '2026-11-22T24:00:00',
      '2026-11-22T08:30:60',
      '2026-11-22T08:30:00.',
      '2026-11-22T08:30:00.1234567',
      '2026-11-22T08:30:00Z',
    ],
  },
  timestamptz: {
    good: ['2026-11-22T08:30:00Z', '2026-11-22T08:30:00.123456Z'],
    bad: ['2026-11-22T08:30:00', '2026-11-22T08:30:00+08:00', '2026-11-22T08:30:00z', '2026-02-30T08:30:00Z', 'Z'],
  },
  time: { good: ['00:00:00', '23:59:59.999999'], bad: ['', '24:00:00', '08:30', '8:30:00', '08:60:00', '08:30:60', '08:30:00.1234567'] },
  binary: { good: ['', 'AA==', 'AAA=', 'AAAA', '+/+/'], bad: ['A', 'AA', 'AAA', 'A===', '====', 'AA==AAAA', '-_-_', 'AA AA', 'AAAA\n'] },
  json: { good: ['null', '{}', '"\\u0000"', ' [1] ', '1e400'], bad: ['', '{', "{'a':1}", 'NaN', '[1,]', '"\ud800"'] },
}

for (const type of valueTypes) {
  t.test(type, async (t) => {
    const { good, bad, limits } = values[type]
    for (const value of good) t.equal(fault(type, value, limits), undefined, JSON.stringify(value))
    for (const value of bad) t.type(fault(type, value, limits), 'string', JSON.stringify(value).slice(0, 60))
    t.equal(valueFault({ type, ...limits }, null), undefined, 'null')
  })
}

t.test('a large value is judged, not thrown at', async (t) => {
  t.equal(fault('binary', 'A'.repeat(40_000_000)), undefined)
  t.equal(fault('binary', 'A'.repeat(40_000_001)), 'is not base64')
  t.equal(fault('text', 'a'.repeat(10_000_000)), undefined)
  t.match(fault('text', '𠮷'.repeat(1_000_001), { length: 1_000_000 }), /longer than 1000000/)
  const began = Date.now()
  t.match(fault('integer', '9'.repeat(8_000_000)), /64-bit/)
  t.match(fault('decimal', '9'.repeat(8_000_000), { precision: 38, scale: 0 }), /does not fit/)
  t.equal(fault('json', `${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}`), undefined)
  t.ok(Date.now() - began < 5000)
})

const padded = (number: number, digits: number) => String(number).padStart(digits, '0')
const date = fc.date({ min: new Date('0001-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true })

t.test('property: every 64-bit integer, and none beyond', async () => {
  fc.assert(fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (n) => fault('integer', String(n)) === undefined))
  fc.assert(fc.property(fc.bigInt({ min: 2n ** 63n }), (n) => !!fault('integer', String(n)) && !!fault('integer', String(-n - 1n))))
})

t.test('property: every moment', async () => {
  fc.assert(
    fc.property(date, (date) => {
      const text = date.toISOString()
      const known = { timestamptz: text, timestamp: text.slice(0, -1), date: text.slice(0, 10), time: text.slice(11, -1) }
      return Object.entries(known).every(([type, value]) => fault(type as ValueType, value) === undefined)
    }),
  )
})

t.test('property: a date is one that the calendar has', async () => {
  const part = fc.tuple(fc.integer({ min: 1, max: 9999 }), fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 31 }))
  fc.assert(
    fc.property(part, ([year, month, day]) => {
      const text = `${padded(year, 4)}-${padded(month, 2)}-${padded(day, 2)}`
      const real = new Date(`${text}T00:00:00Z`)
      const exists = !Number.isNaN(real.getTime()) && real.toISOString().startsWith(text)
      return (fault('date', text) === undefined) === exists
    }),
    { numRuns: 2000 },
  )
})

t.test('property: binary is what base64 writes', async () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => fault('binary', Buffer.from(bytes).toString('base64')) === undefined))
})

t.test('property: json is what JSON writes', async () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => fault('json', JSON.stringify(value)) === undefined))
})

t.test('property: decimals by their digits', async () => {
  const digits = fc.tuple(fc.bigInt({ min: 0n, max: 10n ** 20n - 1n }), fc.integer({ min: 0, max: 10 }), fc.boolean())
  fc.assert(
    fc.property(digits, ([n, scale, negative]) => {
      const text = n.toString().padStart(scale + 1, '0')
      const value = `${negative ? '-' : ''}${text.slice(0, text.length - scale)}${scale ? `.${text.slice(-scale)}` : ''}`
      const whole = n / 10n ** BigInt(scale)
      const fits = whole < 10n ** 8n && (n * 10n ** 4n) % 10n ** BigInt(scale) === 0n
      return (fault('decimal', value, { precision: 12, scale: 4 }) === undefined) === fits
    }),
    { numRuns: 1000 },
  )
})

t.test('property: no text makes the check throw', async () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.constantFrom(...valueTypes), (value, type) => {
      const found = fault(type, value)
      return found === undefined || found.length > 0
    }),
  )
})

t.test('one moment, one text', async (t) => {
  for (const [value, canonical] of [
    ['08:30:00', '08:30:00'],
    ['08:30:00.000000', '08:30:00'],
    ['2026-11-22T08:30:00.120', '2026-11-22T08:30:00.12'],
    ['2026-11-22T08:30:00.000Z', '2026-11-22T08:30:00Z'],
    ['2026-11-22T08:30:00.100000Z', '2026-11-22T08:30:00.1Z'],
    ['2026-11-22T08:30:00Z', '2026-11-22T08:30:00Z'],
  ] as const) {
    t.equal(canonicalTime(value), canonical, value)
  }
})

t.test('binary and json have several texts for one value: they are no keys', async (t) => {
  t.same(
    valueTypes.filter((type) => !keyTypes.includes(type)),
    ['binary', 'json'],
  )
})
