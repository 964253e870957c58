/** What formats show, held against another program's way of showing them. */
import { formatCellValue } from '@cj-tech-master/excelts'
import fc from 'fast-check'
import t from 'tap'
import { numberShower } from '../../../protocol/excel/number-format.ts'

const places = fc
  .tuple(fc.constantFrom('', '#', '0', '00', '0000', '000000', '#,##0', '##0', '?0'), fc.constantFrom('', '.0', '.00', '.0#', '.##'))
  .map(([before, behind]) => (before + behind === '' || before + behind === '.##' ? '0' : before + behind))
const words = fc.constantFrom('', '"第"', '"号"', '¥', '"元"', '_ ')
const section = fc.oneof(
  fc.tuple(words, places, words).map((parts) => parts.join('')),
  fc.tuple(fc.constantFrom('', '[Red]'), places, fc.constantFrom('%', ',', ',,')).map((parts) => parts.join('')),
)
const format = fc.oneof(
  section,
  fc.tuple(section, section).map(([above, below]) => `${above};-${below}`),
)
const number = fc.oneof(
  fc.integer({ min: -999_999, max: 99_999_999_999 }).map(String),
  fc
    .tuple(fc.integer({ min: -9_999, max: 999_999 }), fc.integer({ min: 1, max: 999 }))
    .map(([whole, part]) => String(Number(`${whole}.${part}`))),
)
/** The other program puts the sign elsewhere, and shows no point without digits; separators of thousands alone change no text. */
const plain = (text: string) =>
  text
    .replaceAll(/[-,]|\.(?!\d)/g, '')
    .trim()
    .replaceAll(/ +/g, ' ')

t.test('texts are what a person reads, and hold the whole number', (t) => {
  const counts = { same: 0, shown: 0, hidden: 0 }
  fc.assert(
    fc.property(format, number, (code, digits) => {
      const shown = numberShower(200, code)!(digits)
      const other = plain(formatCellValue(Number(digits), code))
      if (shown?.text === null) {
        counts.hidden++
        // Something is left out: what is shown is another number.
        return Number(other.replaceAll(/[^\d.]/g, '')) !== Math.abs(Number(digits))
      }
      counts[shown ? 'shown' : 'same']++
      return plain(shown?.text ?? digits) === other
    }),
    { numRuns: 3000 },
  )
  t.ok(counts.shown > 500 && counts.hidden > 500, `formats: ${JSON.stringify(counts)}`)
  t.end()
})

t.test('another number than the value is told from the same one', (t) => {
  const same = (code: string, digits: string) => numberShower(200, code)!(digits)?.same ?? true
  const yes: [string, string][] = [
    ['0', '1.5'],
    ['¥#,##0.00', '1234.5'],
    ['"第"0"号"', '5'],
    ['0.00_);[Red](0.00)', '-5'],
    ['0.00;[Red]0.00', '-5'],
    ['[DBNum2]General', '5'],
    ['0.00E+00', '12345'],
    ['# ?/?', '0.5'],
    ['0;-0;;@', '0'],
    ['_ * "-"??_ ', '0'],
  ]
  const no: [string, string][] = [
    ['0%', '0.5'],
    ['0.0,', '12345'],
    ['0\\.0,"万"', '12345'],
    ['0"万"', '5'],
    ['"20"00', '26'],
    ['0;0', '-5'],
    [';;;', '5'],
    ['[=1]"男";[=2]"女"', '1'],
    ['0‰', '5'],
  ]
  for (const [code, digits] of yes) t.ok(same(code, digits), `${code} of ${digits}`)
  for (const [code, digits] of no) t.notOk(same(code, digits), `${code} of ${digits}`)
  t.end()
})
