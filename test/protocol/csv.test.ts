/** The CSV parser against csv-parse, on texts that come in any pieces. */
import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import t from 'tap'
import { CsvParser, type CsvRow } from '../../protocol/csv.ts'

function parsed(pieces: readonly string[]): CsvRow[] {
  const parser = new CsvParser(',')
  return [...pieces.flatMap((piece) => parser.parse(piece)), ...parser.parse('', true)]
}

/** Undefined where it refuses the text. */
function oracle(text: string): string[][] | undefined {
  const options = { relax_column_count: true, relax_quotes: true, record_delimiter: ['\r\n', '\n', '\r'] }
  try {
    return parse(text, options)
  } catch {
    return undefined
  }
}

/** A text cut at these places. */
function cut(text: string, places: readonly number[]): string[] {
  const at = [0, ...places.map((place) => place % (text.length + 1)).toSorted((a, b) => a - b), text.length]
  return at.slice(1).map((end, i) => text.slice(at[i], end))
}

const cutting = fc.array(fc.nat(), { maxLength: 6 })
const cell = fc.string({ unit: fc.constantFrom('a', '汉', '\u{20000}', ',', '"', '\n', '\r', ' ', ';'), maxLength: 6 })
/** A text with lone carriage returns has no other line ends: they would join. */
const lineEnds = fc.oneof(fc.constant(['\r']), fc.constant(['\n', '\r\n']), fc.constant(['\r\n']))

t.test('texts as they should be: every cell comes back, on its line', async (t) => {
  const written = fc.record({
    rows: fc.array(fc.tuple(fc.array(fc.tuple(cell, fc.boolean()), { minLength: 1, maxLength: 5 }), fc.nat()), { maxLength: 8 }),
    lineEnds,
    cutting,
  })
  fc.assert(
    fc.property(written, ({ rows, lineEnds, cutting }) => {
      const quoted = ([text, always]: [string, boolean]) => (always || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)
      const text = rows.map(([cells, end]) => cells.map(quoted).join(',') + lineEnds[end % lineEnds.length]!).join('')
      const found = parsed(cut(text, cutting))
      t.strictSame(
        found.map(({ cells }) => cells),
        rows.map(([cells]) => cells.map(([text]) => text)),
        text,
      )
      t.strictSame(
        found.map(({ cells }) => cells),
        oracle(text),
      )
      let line = 1
      for (const [i, [cells]] of rows.entries()) {
        t.equal(found[i]!.number, line)
        line += 1 + cells.reduce((lines, [text]) => lines + text.split('\n').length - 1, 0)
      }
    }),
    { numRuns: 500 },
  )
})

t.test('any text: what is not wrong is what csv-parse reads', async (t) => {
  let compared = 0
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', ',', '"', '\n', '\r', ' '), maxLength: 30 }), cutting, (text, cutting) => {
      const whole = parsed([text])
      t.strictSame(parsed(cut(text, cutting)), whole, `in pieces: ${JSON.stringify(text)}`)
      const expected = oracle(text)
      if (!expected || whole.some(({ wrong }) => wrong)) return
      compared++
      t.strictSame(
        whole.map(({ cells }) => cells),
        expected,
        JSON.stringify(text),
      )
    }),
    { numRuns: 2000 },
  )
  t.ok(compared > 500, `${compared} were compared`)
})

t.test('a row that is too long, whole in one piece', async (t) => {
  const rows = parsed([`a,${'x'.repeat(1 << 20)}\nb\n`])
  t.match(rows, [
    { number: 1, cells: [], wrong: { en: /longer than/ } },
    { number: 2, cells: ['b'] },
  ])
})

t.test('a stray quote costs its own row alone', async (t) => {
  const rows = parsed(['a,b\n1,"x"y\n2,', '"x" \n3,c"\n4,d'])
  t.same(
    rows.map(({ number, cells, wrong }) => [number, wrong?.en ?? cells.join()]),
    [
      [1, 'a,b'],
      [2, 'text follows a closing quote'],
      [3, 'text follows a closing quote'],
      [4, '3,c"'],
      [5, '4,d'],
    ],
  )
})
