/**
 * A value that was written is the value that was sent, or it is refused: for every pair of portable type and local type the table is refused
 * by name, or each value is in it as it came, or its row is set aside. What is in it is read by plain SQL, and compared here.
 */
import type { Test } from 'tap'
import type { Row, SinkTable } from '../../../../agent/database.ts'
import type { Item } from '../../../../protocol/schema.ts'
import type { ValueType } from '../../../../protocol/value.ts'
import type { Dialect, TestDatabase } from './suite.ts'
import { at, openSinks, schemaOf, sinkOf } from './fixture.ts'

const base64 = (text: string) => Buffer.from(text, 'latin1').toString('base64')

const values: Record<ValueType, string[]> = {
  text: [
    '',
    'a',
    'A',
    ' a',
    'a ',
    'ab',
    'ab  ',
    '0',
    '1',
    '2',
    '3',
    '01',
    '1.0',
    '1e3',
    'true',
    '东莞',
    'é',
    'e',
    '😀',
    '€',
    'a,b',
    'b,a',
    'a,a',
    '2026-11-22',
    'twenty characters xx',
    '550e8400-e29b-41d4-a716-446655440000',
    '550E8400-E29B-41D4-A716-446655440000',
    '{550e8400-e29b-41d4-a716-446655440000}',
    '::1',
    '0:0:0:0:0:0:0:1',
    '10.0.0.1',
    '10.0.0.01',
    '\\',
    "'",
    'a\nb',
    'x'.repeat(300),
  ],
  integer: [
    '0',
    '1',
    '-1',
    '48',
    '127',
    '128',
    '255',
    '256',
    '-32769',
    '2147483648',
    '999999999999',
    '9223372036854775807',
    '-9223372036854775808',
  ],
  decimal: ['0.00', '1.25', '-1.25', '0.10', '10.00', '99.99', '127.00', '1234567890.12', '-0.01'],
  boolean: ['true', 'false'],
  date: ['2026-11-22', '1900-02-28', '2000-02-29', '9999-12-31', '0001-01-01'],
  timestamp: [
    '2026-11-22T08:30:00',
    '2026-11-22T08:30:00.123456',
    '2026-11-22T08:30:00.1',
    '1969-12-31T23:59:59.5',
    '9999-12-31T23:59:59.999999',
  ],
  timestamptz: ['2026-11-22T08:30:00Z', '2026-11-22T08:30:00.123456Z', '1969-12-31T23:59:59.5Z', '2039-01-01T00:00:00Z'],
  time: ['00:00:00', '08:30:00', '08:30:00.123456', '23:59:59.9'],
  binary: ['', '\0', '\0\0', 'a', 'a ', 'a\0', 'ab', '\xff\xfe', '0', '1', '12345678'].map(base64),
  json: ['{}', '{"b":1,"a":2}', '[1, 2]', '"x "', 'null', 'true', '12345678901234567890', '1.10', '{"a":{"b":[]}}', '"东莞"'],
}

const limits: Partial<Record<ValueType, Partial<Item>>> = { text: { length: 400 }, decimal: { precision: 12, scale: 2 } }

export function localTypeConformance(t: Test, engine: Dialect, freshDatabase: () => Promise<TestDatabase>): void {
  const long = process.env['QIANZHI_TEST_LONG'] === '1'
  const { altering, others } = engine.localTypes ?? { altering: [], others: [] }
  const localTypes = [...altering, ...(long ? others : [])]
  const { shown = (column) => column } = engine
  const unlisted = localTypes.length === 0 && `${engine.name} lists no types`
  for (const type of Object.keys(values) as ValueType[]) {
    if (!long && !['text', 'integer', 'boolean', 'binary', 'json'].includes(type)) continue
    t.test(`no local type alters a ${type} in silence`, { skip: unlisted }, async (t) => {
      const filling = await openSinks(t, engine, freshDatabase, [])
      const { test, delivery, database } = filling
      const columns = localTypes.map((local, i) => `c${i} ${local}`)
      await test.query(`create table delivered (id ${engine.integer ?? 'int'} not null primary key, ${columns.join(', ')})`)
      const wanted = new Set(localTypes.keys())
      const sink = await sinkThatOpens()
      const rows = Array.from(wanted, (local) => values[type].map((value) => ({ local, value }))).flat()
      const place = new Map(Array.from(wanted, (local, i) => [local, i + 1]))
      const of = rows.map(({ local, value }, id): Row => {
        const row: (string | null)[] = [String(id), ...Array.from(wanted, () => null)]
        row[place.get(local)!] = value
        return row
      })
      // Few rows and many go different ways.
      const few = of.filter((_, i) => i % 7 === 0)
      const many = of.filter((_, i) => i % 7 !== 0)
      for (const [i, part] of [few.slice(0, 40), [...few.slice(40), ...many]].entries()) {
        const change = {
          from: i === 0 ? null : at(i),
          to: at(i + 1),
          rows: part.length,
          columns: sink.columns.map((_, c) => part.map((row) => row[c]!)),
        }
        await delivery.apply(sink, 'live', delivery.prepare(sink, change))
      }
      const aside = new Set((await database.quarantine(sink.route, 100_000)).map(({ key }) => key[0]))
      const list = Array.from(wanted, (local) => `${shown(`c${local}`, type)} as c${local}`)
      const found = new Map((await test.query(`select id, ${list.join(', ')} from delivered`)).map(([id, ...row]) => [id, row]))
      const wrong = rows.flatMap(({ local, value }, id) => {
        if (aside.has(String(id))) return []
        const there = found.get(String(id))?.[place.get(local)! - 1]
        return equal(type, value, there ?? null) ? [] : [`${localTypes[local]}: ${value} is ${there}`]
      })
      t.same(wrong, [], `${rows.length} values in ${wanted.size} of ${localTypes.length} local types, ${aside.size} set aside`)

      async function sinkThatOpens(): Promise<SinkTable> {
        for (;;) {
          const items = Array.from(wanted, (local) => ({ id: `c${local}`, type, ...limits[type] }))
          const sink = sinkOf(schemaOf([{ id: 'id', type: 'integer', key: true, required: true }, ...items]))
          try {
            await delivery.open(sink)
            return sink
          } catch (error) {
            const [, local] = /\bc(\d+)\b/.exec((error as Error).message) ?? []
            if ((error as { code?: string }).code !== 'QZ-SINK-TABLE' || !wanted.delete(Number(local))) throw error
          }
        }
      }
    })
  }
}

/** By no code of the product. */
function equal(type: ValueType, sent: string, there: string | null): boolean {
  if (there === null) return false
  switch (type) {
    case 'integer':
    case 'decimal':
      return scaled(sent) === scaled(there)
    case 'boolean':
      return (sent === 'true' ? ['1', 't', 'true'] : ['0', 'f', 'false']).includes(there)
    case 'date':
      return there === sent || there === `${sent} 00:00:00` || there.startsWith(`${sent} 00:00:00.000`)
    case 'timestamp':
    case 'timestamptz':
    case 'time':
      return moment(sent) === moment(there)
    case 'binary':
      return there.toLowerCase() === Buffer.from(sent, 'base64').toString('hex')
    case 'json':
      return (
        JSON.stringify(sorted(JSON.parse(sent))) === JSON.stringify(sorted(JSON.parse(there))) && (!/\d{17}/.test(sent) || there === sent)
      )
    default:
      return there === sent
  }
}

function scaled(text: string): bigint {
  const [whole, fraction = ''] = text.split('.') as [string, string?]
  return BigInt(`${whole}${fraction.padEnd(20, '0')}`)
}

function moment(text: string): string {
  const [whole, fraction = ''] = text
    .replace('T', ' ')
    .replace(/Z$|\+00$/, '')
    .split('.') as [string, string?]
  return `${whole}.${fraction.padEnd(9, '0')}`
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(sorted)
  return Object.entries(value)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, one]) => [name, sorted(one)])
}
