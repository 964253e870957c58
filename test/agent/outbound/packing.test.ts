import fc from 'fast-check'
import t from 'tap'
import { packDraft, type BatchDraft } from '../../../agent/outbound/packing.ts'
import { keyText } from '../../../agent/row-keys.ts'
import type { Row, SourceTable } from '../../../agent/database.ts'
import { blockValues, openBatch, splitBatch, type BuiltBatch, type ManifestHeader } from '../../../protocol/batch.ts'
import { generateSigningKey } from '../../../protocol/signature.ts'

const key = generateSigningKey()
const openness = 'internal' as const
const schema: SourceTable['schema'] = {
  resource: 'r',
  version: 1,
  title: 'r',
  agency: 'a',
  table: 'r',
  items: [
    { id: 'k', name: 'k', label: 'k', type: 'text', length: 50, key: true, openness },
    { id: 'v', name: 'v', label: 'v', type: 'text', openness },
  ],
}
const source: SourceTable = {
  resource: 'r',
  table: 'r',
  schema,
  columns: schema.items.map((item) => ({ item, column: item.name })),
  capture: 'triggers',
  zeroDates: 'refuse',
  valueLimit: 1 << 20,
  queueLimit: 1 << 30,
}

/** Text that does not compress well. */
const noise = (n: number) => Array.from({ length: n }, (_, i) => ((i * 7919 * n) % 65_521).toString(36)).join('')

/** Packs until nothing is left, as the stream does. */
function packAll(draft: BatchDraft, limit: number): { built: BuiltBatch; draft: BatchDraft }[] {
  let seq = 0
  const packed: { built: BuiltBatch; draft: BatchDraft }[] = []
  const header = (part: BatchDraft): ManifestHeader => ({
    resource: 'r',
    schema: 1,
    producer: 'p',
    epoch: 1,
    seq: seq + 1,
    prev: packed.at(-1)?.built.hash ?? null,
    kind: part.snapshot ? 'snapshot' : 'changes',
    time: '2026-11-22T00:00:00Z',
    ...(part.snapshot ? { snapshot: { began: 1, last: part.snapshot.last } } : {}),
  })
  for (let rest: BatchDraft | undefined = draft; rest; seq++) {
    const result = packDraft(source, rest, header, { key, limit })
    packed.push(result)
    rest = result.rest
  }
  return packed
}

/** `k op value` of every row of the batches, in order. */
function contents(packed: { built: BuiltBatch }[]): string[] {
  return packed.flatMap(({ built }) => {
    const sealed = splitBatch(built.bytes)
    // A change at seq 1 is not what a stream may begin with; only the blocks matter here.
    const manifest = built.manifest
    const batch = { ...sealed, manifest, keyId: key.id }
    const ops = manifest.blocks.some(({ item }) => item === '$op') ? blockValues(batch, '$op') : undefined
    const values = blockValues(batch, 'v')
    return blockValues(batch, 'k').map((k, i) => `${k} ${ops?.[i] ?? 'u'} ${values[i]}`)
  })
}

t.test('whatever the limit, every row, delete and fault travels once, and entries go with the last batch', async () => {
  const rows = fc.array(fc.string({ maxLength: 300 }), { maxLength: 60 })
  fc.assert(
    fc.property(rows, fc.nat(20), fc.nat(5), fc.integer({ min: 900, max: 5000 }), (texts, gone, bad, limit) => {
      const draft: BatchDraft = {
        rows: texts.map((text, i) => [`row ${i}`, text]),
        deletes: Array.from({ length: gone }, (_, i) => [`gone ${i}`]),
        faults: Array.from({ length: bad }, (_, i) => ({ key: [`bad ${i}`], code: 'QZ-ROW-VALUE' as const })),
        entries: ['e1', 'e2'],
      }
      const packed = packAll(draft, limit)
      const keys = contents(packed).map((line) => line.replace(/ [ud] .*| c:.*/s, ''))
      const expected = [...draft.rows.map(([k]) => k), ...draft.deletes.flat(), ...draft.faults.map((fault) => fault.key[0])]
      const all =
        new Set(keys).size === keys.length &&
        keys.toSorted((a, b) => (a < b ? -1 : 1)).join('|') ===
          expected
            .map(String)
            .toSorted((a, b) => (a < b ? -1 : 1))
            .join('|')
      const entriesLast = packed.every((part, i) => part.draft.entries.length === (i === packed.length - 1 ? 2 : 0))
      return all && entriesLast
    }),
    { numRuns: 300 },
  )
})

t.test('a row that fits no batch travels as "cannot send"; the others flow', async (t) => {
  const draft: BatchDraft = {
    rows: [
      ['a', 'small'],
      ['b', noise(3000)],
      ['c', 'small'],
    ],
    deletes: [],
    faults: [],
    entries: ['e'],
  }
  const packed = packAll(draft, 2500)
  t.strictSame(contents(packed).toSorted(), ['a u small', 'b c:QZ-ROW-TOO-LARGE null', 'c u small'])
  t.strictSame(
    packed.flatMap((part) => part.draft.faults.map(({ code }) => code)),
    ['QZ-ROW-TOO-LARGE'],
    'and is written down at the source',
  )
})

t.test('parts of a snapshot resume at the last key they held', async (t) => {
  const rows: Row[] = Array.from({ length: 64 }, (_, i) => [`key ${String(i).padStart(2, '0')}`, noise(50 + i)])
  const draft: BatchDraft = { rows, deletes: [], faults: [], entries: [], snapshot: { first: true, last: true, after: ['key 63'] } }
  const packed = packAll(draft, 4000)
  t.ok(packed.length > 1)
  let seen = 0
  for (const [i, part] of packed.entries()) {
    seen += part.draft.rows.length
    t.strictSame(part.draft.snapshot?.after, [rows[seen - 1]![0]])
    t.equal(part.draft.snapshot?.first, i === 0)
    t.equal(part.draft.snapshot?.last, i === packed.length - 1)
  }
})

t.test('a key that is not portable itself does not travel', async (t) => {
  const faults = [
    { key: ['a\0'], code: 'QZ-ROW-VALUE' as const },
    { key: [null], code: 'QZ-ROW-VALUE' as const },
  ]
  const [packed] = packAll({ rows: [['a', 'b']], deletes: [], faults, entries: [] }, 1 << 20)
  t.strictSame(contents([packed!]), ['a u b'])
  t.equal(packed!.draft.faults.length, 2, 'it is written down at the source')
})

t.test('different keys have different texts', async () => {
  const keys = fc.array(fc.string(), { minLength: 2, maxLength: 2 })
  fc.assert(fc.property(keys, keys, (a, b) => (keyText(a) === keyText(b)) === (JSON.stringify(a) === JSON.stringify(b))))
})

t.test('what is packed opens with the provider key', async (t) => {
  const [packed] = packAll(
    { rows: [['a', 'b']], deletes: [], faults: [], entries: [], snapshot: { first: true, last: true, after: ['a'] } },
    1 << 20,
  )
  t.equal(openBatch(splitBatch(packed!.built.bytes), () => key.publicKey).hash, packed!.built.hash)
})
