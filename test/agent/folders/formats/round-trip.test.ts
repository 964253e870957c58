/** Random tables, written in each format and read back. */
import fc from 'fast-check'
import t from 'tap'
import { writeWorkbook } from '../../../../protocol/excel/write.ts'
import type { Value } from '../../../../protocol/value.ts'
import { faultsOf, gb18030, items, readRows, sourceOf, valuesOf } from './fixture.ts'

const note = { ...items.name, id: 'note', name: 'note', label: '备注', length: 40, required: false }
const source = sourceOf(
  [items.id, note, items.count, items.price, items.valid, items.born, items.changed, items.issued, items.opens, items.more],
  {
    format: { empty: 'null' },
  },
)
const headers = source.columns.map(({ item }) => item.label)
const folder = t.testdir()

const two = (most: number) => fc.integer({ min: 0, max: most }).map((number) => String(number).padStart(2, '0'))
const date = fc
  .date({ min: new Date('0001-01-02'), max: new Date('9999-12-30'), noInvalidDate: true })
  .map((date) => date.toISOString().slice(0, 10))
const time = fc.tuple(two(23), two(59), two(59), fc.constantFrom('', '.5', '.123456')).map(([h, m, s, f]) => `${h}:${m}:${s}${f}`)
const timestamp = fc.tuple(date, time).map(([date, time]) => `${date}T${time}`)
const cents = fc.tuple(fc.integer({ min: -(10 ** 9), max: 10 ** 9 }), two(99)).map(([whole, cents]) => `${whole}.${cents}`)
/** What other programs put around values (docs/folders.md): a fault of its own. */
const marks = /^="[^"]*"\t?$|^\t?\d[\d-]{3,}X?\t$/i
/** Characters that GB 2312 has too, and those that formats use. */
const text = fc
  .string({ unit: fc.constantFrom(...Array.from('aZ0 ,;"\'\t|\n=+-@_x\\汉字市县岭')), minLength: 1, maxLength: 30 })
  .filter((text) => text.trim() !== '' && !marks.test(text))
const json = fc.json({ maxDepth: 2 }).filter((text) => text !== 'null' && /^[\x20-\x7e]*$/.test(text) && !text.includes('e'))
const empty = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: null, freq: 5 })

const row = fc.tuple(
  empty(text),
  empty(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)),
  empty(cents),
  empty(fc.constantFrom('true', 'false')),
  empty(date),
  empty(timestamp),
  empty(timestamp.map((text) => `${text}Z`)),
  empty(time),
  empty(json),
)
const table = fc.array(row, { maxLength: 12 }).map((rows) => rows.map((values, i): Value[] => [`k${i}`, ...values]))

const quoted = (cell: string): string => (/[",;\t|\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)

function csv(rows: readonly Value[][], separator: string): string {
  return [headers, ...rows].map((cells) => `${cells.map((cell) => quoted(cell ?? '')).join(separator)}\r\n`).join('')
}

/** Numbers without quotes, and JSON as it is. */
function jsonLines(rows: readonly Value[][]): string {
  const bare = new Set(source.columns.flatMap(({ item }, i) => (['integer', 'decimal', 'boolean', 'json'].includes(item.type) ? [i] : [])))
  const member = (value: string, i: number) =>
    `${JSON.stringify(headers[i])}:${bare.has(i) ? value.replace(/^(-?)0+(?=\d)/, '$1') : JSON.stringify(value)}`
  return rows.map((cells) => `{${cells.flatMap((value, i) => (value === null ? [] : [member(value, i)])).join(',')}}\n`).join('')
}

/** The JSON item is compared by what it means: formats of JSON lose its white space. */
function meaning(values: readonly unknown[]): unknown[] {
  const [more, ...others] = values.toReversed()
  return [...others, typeof more === 'string' ? JSON.parse(more) : more]
}

async function same(name: string, content: string | Uint8Array, rows: readonly Value[][]): Promise<void> {
  const read = await readRows(folder, name, content, source)
  const values = valuesOf(read).map(([, ...values]) => meaning(values))
  if (!t.strictSame(faultsOf(read), [], name) || !t.strictSame(values, rows.map(meaning), name)) throw new Error(`${name}: not the same`)
}

t.test('CSV in each encoding, with each separator', async () => {
  await fc.assert(
    fc.asyncProperty(table, fc.constantFrom(',', ';', '\t', '|'), async (rows, separator) => {
      const content = csv(rows, separator)
      await same('a.csv', content, rows)
      await same('b.csv', gb18030(content), rows)
      await same('c.csv', Buffer.from(`\ufeff${content}`, 'utf16le'), rows)
    }),
    { numRuns: 100 },
  )
})

t.test('JSON lines', async () => {
  await fc.assert(
    fc.asyncProperty(table, async (rows) => same('a.jsonl', jsonLines(rows), rows)),
    { numRuns: 200 },
  )
})

t.test('Excel', async () => {
  const columns = source.columns.map(({ item }) => ({ header: item.label, ...(item.type === 'date' && { format: 'date' as const }) }))
  await fc.assert(
    fc.asyncProperty(table, async (rows) => same('a.xlsx', await writeWorkbook({ sheets: [{ name: '数据', columns, rows }] }), rows)),
    { numRuns: 60 },
  )
})
