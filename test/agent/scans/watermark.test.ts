/** The bound of a `watermark` scan: never higher than the overlap allows. */
import t from 'tap'
import type { ValueType } from '../../../protocol/value.ts'
import { lowered } from '../../../agent/scans/watermark.ts'

t.test('times go down by seconds, numbers by units; from the first row where nothing was seen', async (t) => {
  const cases: [ValueType, string | null, number, string | null][] = [
    ['timestamp', '2026-01-01T00:00:05.999999', 10, '2025-12-31T23:59:55'],
    ['timestamptz', '2026-03-01T00:00:00Z', 86_400, '2026-02-28T00:00:00Z'],
    ['date', '2026-01-01', 1, '2025-12-31'],
    ['date', '2026-01-02', 86_400, '2026-01-01'],
    ['timestamp', '0001-01-01T00:00:01', 60, '0001-01-01T00:00:00'],
    ['integer', '9007199254740993', 2, '9007199254740991'],
    ['integer', '-9223372036854775808', 1, '-9223372036854775808'],
    ['decimal', '10.75', 0.5, '9'],
    ['decimal', '-0.5', 0, '-1'],
    ['integer', null, 5, null],
  ]
  for (const [type, value, overlap, expected] of cases)
    t.equal(lowered({ type }, value, overlap), expected, `${type} ${value} - ${overlap}`)
})
