/** Which rows of a table wait for which, and values that nobody else has, for every type that a unique index may hold. */
import t from 'tap'
import { parkings } from '../../../agent/databases/bookkeeping/parking.ts'
import { inOrder, waits, type WaitingRow } from '../../../agent/databases/bookkeeping/waits.ts'
import { valueFault } from '../../../protocol/value.ts'
import { schemaOf, sinkOf } from './conformance/fixture.ts'

t.test('each row comes after those that it waits for, and a ring as one', (t) => {
  const row = (key: string, wanted: string | undefined, now: string | undefined, parent: string | null = null): WaitingRow => ({
    key: [key],
    wanted: wanted === undefined ? undefined : [key, wanted, parent],
    now: now === undefined ? undefined : [key, now, parent],
  })
  const rows = [
    row('a', 'Y', 'x'),
    row('b', 'x', 'y'),
    row('c', 'w', 'v', 'f'),
    row('d', 'v', 'u'),
    row('e', undefined, 'w'),
    row('f', 'k', undefined),
    row('g', undefined, 'q'),
    row('h', 'q', 'r', 'g'),
  ]
  const groups = inOrder(waits(rows, [1])).map((group) => group.map((i) => rows[i]!.key[0]))
  const place = (key: string) => groups.findIndex((group) => group.includes(key))
  t.same(new Set(groups[place('a')]), new Set(['a', 'b']), 'a swap, compared without regard to case')
  t.ok(place('c') < place('d') && place('e') < place('c') && place('f') < place('c'), 'a chain: a delete, a parent, a value that is freed')
  t.same(new Set(groups[place('g')]), new Set(['g', 'h']), 'a delete and the row that refers to it')
  t.end()
})

t.test('a chain of thousands is put in order at once', (t) => {
  const count = 20_000
  const rows = Array.from({ length: count }, (_, i): WaitingRow => ({
    key: [`k${i}`],
    wanted: [`k${i}`, `${i + 1}`],
    now: [`k${i}`, `${i}`],
  }))
  t.same(inOrder(waits(rows, [1])).slice(0, 2), [[count - 1], [count - 2]])
  t.end()
})

t.test('values to stand for contested ones are of their types, and others', (t) => {
  const values = {
    text: '91440101MA5', integer: '42', decimal: '4.50', boolean: 'true', date: '2026-02-01', timestamp: '2026-02-01T08:30:00.5',
    timestamptz: '2026-02-01T08:30:00Z', time: '08:30:00', binary: 'AAEC',
  } as const // prettier-ignore
  const limits = { text: { length: 20 }, decimal: { precision: 12, scale: 2 } }
  for (const [type, value] of Object.entries(values)) {
    const schema = schemaOf([
      { id: 'id', type: 'text', length: 20, key: true, required: true },
      { id: 'held', type: type as keyof typeof values, ...limits[type as keyof typeof limits] },
    ])
    const made = [...parkings(sinkOf(schema), [{ item: 'held', nullable: false }], ['k', value])].map((row) => row[1]!)
    const wrong = made.filter((one) => one === null || valueFault(schema.items[1]!, one) !== undefined)
    t.match([wrong, made.filter((one) => one !== value).length > 2], [[], true], type)
  }
  const uuid = `${'0'.repeat(8)}-0000-4000-8000-${'0'.repeat(12)}`
  const one = schemaOf([{ id: 'held', type: 'text', length: 36 }])
  const [, alike] = [...parkings(sinkOf(one), [{ item: 'held', nullable: false }], [uuid])].map(([value]) => value)
  t.match(alike, /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/)
  t.same([...parkings(sinkOf(one), [{ item: 'held', nullable: true }], [uuid])][0], [null])
  t.end()
})
