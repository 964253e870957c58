/** Looking rows up by their keys: whatever the key's columns are, every key comes back with its row, or is missing because it has none. */
import type { Test } from 'tap'
import type { Reading, Row, SourceTable } from '../../../../agent/database.ts'
import type { Dialect, KeyColumn, TestDatabase } from './suite.ts'
import { openDatabase, schemaOf, sourceOf, tableRows } from './fixture.ts'

export function lookUpConformance(t: Test, engine: Dialect, freshDatabase: () => Promise<TestDatabase>): void {
  t.test(
    'keys of all types, character sets and collations, alone and together: looking up finds what a full scan in pages finds',
    async (t) => {
      const { test, database } = await openDatabase(t, engine, freshDatabase)
      const reading = await database.openReading()
      t.teardown(() => reading.close())
      let [keys, cases] = [0, 0]
      const wrong: string[] = []
      for (const columns of combinations(engine.keyColumns)) {
        const table = `t${++keys}`
        const rows = product(columns.map(({ values }) => values.slice(0, -1)))
        await test.query(`create table ${table} (${columns.map(({ column }, i) => `k${i + 1} ${column} not null`).join(', ')}, v integer,
        primary key (${columns.map((_, i) => `k${i + 1}`).join(', ')}))`)
        const values = rows.map((row, n) => `(${[...columns.map(({ item }, i) => engine.literal(item.type, row[i]!)), n].join(', ')})`)
        await test.query(`insert into ${table} values ${values.join(', ')}`)
        await test.query(`create view ${table}v as select * from ${table}`)
        const absent = columns.map((own, i) => rows[0]!.map((value, j) => (i === j ? own.values.at(-1)! : value)))
        for (const name of [table, `${table}v`]) {
          const source = sourceFor(name, columns)
          const whole = await tableRows(reading, source, 5)
          if (whole.length !== rows.length) wrong.push(`${name}: a scan in pages gives ${whole.length} rows of ${rows.length}`)
          for (const asked of lists(rows, absent)) {
            cases++
            const fault = await unlike(reading, source, whole, asked, absent)
            if (fault) wrong.push(`${name} (${columns.map(({ column }) => column).join(', ')}), ${asked.length} keys: ${fault}`)
          }
        }
        await test.query(`drop view ${table}v`)
        await test.query(`drop table ${table}`)
      }
      t.equal(cases, keys * 8)
      t.same(wrong.slice(0, 20), [], `${cases} look-ups by ${keys} keys of ${engine.keyColumns.length} types; ${wrong.length} are wrong`)
    },
  )

  t.test('a key that is no value of its column says nothing of the others, and is missing; so is one among thousands', async (t) => {
    const { test, database } = await openDatabase(t, engine, freshDatabase)
    const reading = await database.openReading()
    t.teardown(() => reading.close())
    const schema = schemaOf([
      { id: 'day', type: 'date', key: true, required: true },
      { id: 'n', type: 'integer', key: true, required: true },
      { id: 'v', type: 'integer' },
    ])
    const source = sourceOf(schema, { table: 'days', capture: 'compare' })
    await database.run(await database.supplyTable(source))
    const rows = Array.from({ length: 2500 }, (_, n) => ['2026-11-22', String(n)])
    await test.query(`insert into days values ${rows.map(([day, n]) => `(${engine.literal('date', day!)}, ${n}, ${n})`).join(', ')}`)
    const odd = [
      ['gone-label', '7'],
      ['2026-02-31', '8'],
      ['2026-11-22', 'x'],
      ['', '9'],
    ]
    const gone = [['2026-11-22', '2500']]
    const found = await reading.rowsByKeys(source, [...rows.slice(0, 900), ...odd, ...rows.slice(900), ...gone])
    t.equal(found.rows.length, rows.length)
    t.same(found.faults, [])
    t.same(found.missing, [...odd, ...gone])
  })
}

/** Each type alone, with every other, and in threes. */
function* combinations(all: readonly KeyColumn[]): Generator<KeyColumn[]> {
  for (const one of all) yield [one]
  for (const [i, one] of all.entries()) for (const [j, other] of all.slice(i + 1).entries()) yield j % 2 === 0 ? [one, other] : [other, one]
  for (const [i, one] of all.entries()) yield [one, all[(i + 1) % all.length]!, all[(i + 3) % all.length]!]
}

function product(lists: readonly (readonly string[])[]): string[][] {
  return lists.reduce<string[][]>((rows, values) => rows.flatMap((row) => values.map((value) => [...row, value])), [[]])
}

/** One key, two, all that there are; with and without absent ones among them. */
function* lists(rows: readonly Row[], absent: readonly Row[]): Generator<Row[]> {
  yield [rows[0]!]
  yield rows.slice(-2)
  yield [absent[0]!]
  yield [...rows, ...absent]
}

async function unlike(reading: Reading, source: SourceTable, whole: readonly Row[], asked: readonly Row[], absent: readonly Row[]) {
  const { rows, faults, missing } = await reading.rowsByKeys(source, asked)
  const key = (row: Row) => JSON.stringify(row.slice(0, source.columns.length - 1))
  const wanted = new Set(asked.map((key) => JSON.stringify(key)))
  const expected = whole.filter((row) => wanted.has(key(row)))
  const same = (a: readonly Row[], b: readonly Row[]) =>
    JSON.stringify(a.map(String).toSorted()) === JSON.stringify(b.map(String).toSorted())
  if (faults.length > 0) return `faults ${JSON.stringify(faults[0])}`
  if (!same(rows, expected)) return `${rows.length} rows of ${expected.length}`
  return same(
    missing,
    asked.filter((key) => absent.includes(key)),
  )
    ? undefined
    : `missing ${JSON.stringify(missing)}`
}

function sourceFor(table: string, columns: readonly KeyColumn[]): SourceTable {
  const keys = columns.map(({ item }, i) => ({ ...item, id: `k${i + 1}`, key: true, required: true }))
  return sourceOf(schemaOf([...keys, { id: 'v', type: 'integer' }]), { table, capture: 'compare' })
}
