/** Files as rows: their items, their parts, and the names that no folder is given. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'
import { buildBatch, writerLimits } from '../../protocol/batch.ts'
import {
  fileItemIds,
  fileItems,
  fileNameFault,
  isFileSchema,
  partBytes,
  partLength,
  partsOf,
  partValues,
  readPart,
} from '../../protocol/files.ts'
import { schemaFaults, type Schema } from '../../protocol/schema.ts'
import { generateSigningKey } from '../../protocol/signature.ts'

t.test('items', async (t) => {
  const items = fileItems('public')
  t.same(schemaFaults({ items }), [])
  t.ok(isFileSchema({ items }))
  t.ok(isFileSchema({ items: items.toReversed().map((item) => ({ ...item, label: '另名', openness: 'internal' as const })) }))
  t.notOk(isFileSchema({ items: items.slice(1) }))
  t.notOk(isFileSchema({ items: [...items, { ...items[2]!, id: 'more' }] }))
  t.notOk(isFileSchema({ items: items.map((item) => (item.id === 'part' ? { ...item, key: false } : item)) }))
  t.notOk(isFileSchema({ items: items.map((item) => (item.id === 'name' ? { ...item, length: 50 } : item)) }))
  const example = parse(readFileSync('config-examples/resource-scans.yaml', 'utf8')) as Schema
  t.ok(isFileSchema(example), 'the example is one')
})

t.test('parts', async (t) => {
  t.same([0, 1, partBytes, partBytes + 1, 2 * 1024 ** 3].map(partsOf), [1, 1, 1, 2, 8192])
  t.same([partLength(0, 0), partLength(partBytes + 1, 0), partLength(partBytes + 1, 1)], [0, partBytes, 1])
  const file = { name: 'a', part: 1, parts: 2, size: partBytes + 3, modified: '2026-05-01T08:30:00Z', sha256: 'a'.repeat(64) }
  const values = partValues(file, Buffer.from('abc'))
  t.same(Object.keys(values), fileItemIds)
  t.same(readPart(values), { part: file, content: Buffer.from('abc') })
  for (const wrong of [
    { part: '2' },
    { part: '-1' },
    { part: '0.5' },
    { part: null },
    { parts: '3' },
    { size: '4' },
    { size: '-1' },
    { size: '9e99' },
    { sha256: 'A'.repeat(64) },
    { content: null },
    { content: 'YWI=' },
    { name: null },
  ])
    t.equal(readPart({ ...values, ...wrong }), undefined, JSON.stringify(wrong))
})

t.test('a whole part fits into a batch, three of them too', async (t) => {
  const bytes = Buffer.alloc(partBytes, 1).map(() => Math.floor(Math.random() * 256))
  const rows = [0, 1, 2].map((part) =>
    partValues(
      { name: '汉'.repeat(190), part, parts: 3, size: 3 * partBytes, modified: '2026-05-01T08:30:00Z', sha256: 'a'.repeat(64) },
      Buffer.from(bytes),
    ),
  )
  const columns = fileItemIds.map((item) => ({ item, values: rows.map((row) => row[item]!) }))
  const header = { resource: 'r', schema: 1, producer: 'p', epoch: 1, seq: 2, prev: 'a'.repeat(64), kind: 'changes' as const, time: '' }
  t.ok(buildBatch(header, columns, generateSigningKey()).bytes.length < writerLimits.encoded)
})

t.test('names', async (t) => {
  const good = ['a', 'a b.pdf', '许可证/2026/第1号(副本).pdf', 'console.txt', 'a~1', 'é', '😀', ' a', 'x'.repeat(190)]
  t.same(
    good.filter((name) => fileNameFault(name) !== undefined),
    [],
  )
  const paths = ['', '/a', 'a/', 'a//b', '.', '..', '../a', 'a/../b', '.a', 'a/.b', 'a.', 'a ', 'a\\b', 'C:a', 'a*']
  const others = ['nul', 'NUL.txt', 'com¹', 'x/Aux/y', 'a\0', 'a\u202eb', 'a\u2028', '\ud800', 'a\ufffd', 'x'.repeat(191)]
  const faults = [...paths, ...others].map(fileNameFault)
  t.same(
    faults.filter((fault) => !fault || !/\p{Script=Han}/u.test(fault.zh) || !/^[^\p{Script=Han}]+$/u.test(fault.en)),
    [],
    'each says why, in both languages',
  )
})
