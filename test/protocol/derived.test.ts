/** What the hub derives for one receiver, and what that one's agent takes of it: every mask of every type, and a hub that lies. */
import fc from 'fast-check'
import t from 'tap'
import { sinkTable } from '../../agent/config/tables.ts'
import { openArrived, toChange, type Awaiting } from '../../agent/inbound/verify.ts'
import {
  blockValues,
  buildBatch,
  joinBatch,
  openBatch,
  opBlock,
  packBlock,
  projectBatch,
  splitBatch,
  type ManifestHeader,
  type PackedBlock,
} from '../../protocol/batch.ts'
import { deriveBatch, derivedBlock, type Derivation } from '../../protocol/derived.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import { maskFault, type Mask, type Masks } from '../../protocol/masks.ts'
import type { Receive } from '../../protocol/policy.ts'
import { checkSchema, type Item, type Schema } from '../../protocol/schema.ts'
import { generateSigningKey, keyId, sha256, signStatement, type SigningKey } from '../../protocol/signature.ts'
import { keyTypes, valueTypes, type Value, type ValueType } from '../../protocol/value.ts'
import { modelMasked } from '../model/masks.ts'

const [provider, hub, stranger] = [generateSigningKey(), generateSigningKey(), generateSigningKey()]
const secret = Buffer.alloc(32, 5)
const header: ManifestHeader = {
  resource: 'people',
  schema: 1,
  producer: 'p',
  epoch: 7,
  seq: 1,
  prev: null,
  kind: 'snapshot',
  snapshot: { began: 1, last: true },
  time: '2026-11-22T08:00:00Z',
}

const limits = (type: ValueType) => (type === 'text' ? { length: 200 } : type === 'decimal' ? { precision: 20, scale: 4 } : {})
const items: Item[] = [
  { id: 'id', name: 'id', label: '编号', type: 'integer', key: true, openness: 'internal' },
  ...valueTypes.map((type): Item => ({
    id: `of_${type}`,
    name: `a_${type}`,
    label: type,
    type,
    required: true,
    openness: 'internal',
    ...limits(type),
  })),
]
const schema: Schema = checkSchema({ resource: 'people', version: 1, title: '人员', agency: 'a', table: 'people', items })

const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.constantFrom('13800138000', '广东省东莞市南城街道鸿福路99号', '东城区', '区', '张三', '张', '', '*', '***', '𠮷野家'),
)
const day = fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true }).map((date) => date.toISOString())
const values: Record<ValueType, fc.Arbitrary<string>> = {
  text,
  integer: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
  decimal: fc.integer().map((n) => `${n}.25`),
  boolean: fc.constantFrom('true', 'false'),
  date: day.map((iso) => iso.slice(0, 10)),
  timestamp: day.map((iso) => iso.slice(0, 19)),
  timestamptz: day.map((iso) => `${iso.slice(0, 19)}Z`),
  time: day.map((iso) => iso.slice(11, 19)),
  binary: fc.uint8Array({ maxLength: 9 }).map((bytes) => Buffer.from(bytes).toString('base64')),
  json: fc.json(),
}
const mask: fc.Arbitrary<Mask> = fc.oneof(
  fc.record({ kind: fc.constant('keep' as const), first: fc.nat(5), last: fc.nat(5) }, { noNullPrototype: true }),
  fc.constantFrom<Mask>({ kind: 'year' }, { kind: 'district' }, { kind: 'hash' }, { kind: 'hide' }),
)

function receiveOf(masks: Masks | Receive['masks'], more: Partial<Receive> = {}): Receive {
  const keys = [{ key: provider.publicKey, from: 1 }]
  return { route: 'r', grant: 'g', schema, items: items.map(({ id }) => id), keys, ...(masks && { masks }), ...more }
}

function awaiting(receive: Receive): Awaiting {
  return { receive, schema, isPinned: (id) => id === keyId(provider.publicKey), hubKey: hub.publicKey, received: null, broken: false }
}

const place = { databases: { front: { url: 'sqlite:x.db' } }, timezone: 'Asia/Shanghai' }
const sinkOf = (receive: Receive, columns?: Record<string, string>) =>
  sinkTable({ database: 'front', table: 'people', resource: 'people', ...(columns && { columns }) }, receive, place)

function derived(
  bytes: Buffer,
  masks: Masks,
  { of = provider, ...how }: { route?: string; key?: SigningKey; of?: SigningKey } = {},
): Buffer {
  const batch = openBatch(splitBatch(bytes), () => of.publicKey)
  return deriveBatch(batch, new Set(items.map(({ id }) => id)), { route: 'r', key: hub, ...how, masks, secret })
}

function codeOf(work: () => unknown): string {
  try {
    work()
    return 'taken'
  } catch (error) {
    return error instanceof QianzhiError ? error.code : String(error)
  }
}

void t.test('every mask of every type reaches the receiver as the model says, all else as it was signed', async (t) => {
  const rows = fc.array(fc.record(Object.fromEntries(valueTypes.map((type) => [type, fc.option(values[type])]))), { maxLength: 6 })
  const masked = fc.record(Object.fromEntries(valueTypes.map((type) => [`of_${type}`, fc.option(mask)])))
  const counted = new Map<string, number>()
  let cases = 0
  fc.assert(
    fc.property(rows, masked, fc.boolean(), (rows, wanted, ops) => {
      const masks: Masks = Object.fromEntries(
        Object.entries(wanted).flatMap(([id, mask]) => {
          const item = items.find((one) => one.id === id)!
          return mask && !maskFault(item, mask) ? [[id, mask]] : []
        }),
      )
      for (const [id, { kind }] of Object.entries(masks)) counted.set(`${kind} ${id}`, (counted.get(`${kind} ${id}`) ?? 0) + 1)
      const columns = items.map(({ id, type, key }) => ({
        item: id,
        values: rows.map((row, i): Value => (key ? String(i) : ((row as Record<string, Value>)[type] ?? null))),
      }))
      const op = ops && rows.length > 0 ? [{ item: opBlock, values: rows.map(() => 'u') }] : []
      const { bytes } = buildBatch(header, [...columns, ...op], provider)
      const receive = receiveOf(Object.keys(masks).length > 0 ? masks : undefined)
      const taken = openArrived(Object.keys(masks).length > 0 ? derived(bytes, masks) : bytes, awaiting(receive))!
      const sink = sinkOf(receive)
      const change = toChange(taken, sink, null)
      for (const [i, { item }] of sink.columns.entries()) {
        const { values } = columns[i]!
        const want = masks[item.id] ? values.map((value) => modelMasked(masks[item.id]!, value, secret)) : values
        if (JSON.stringify(change.columns[i]) !== JSON.stringify(want))
          throw new Error(`${item.id} ${JSON.stringify(masks[item.id])}: ${JSON.stringify([values, change.columns[i], want])}`)
        const fits = masks[item.id] === undefined ? item.required || item.key : !item.required && / *（脱敏）$/.test(item.label)
        if (!fits) throw new Error(`${item.id} is not said to be derived, or is`)
      }
      cases++
    }),
    { numRuns: Number(process.env['QIANZHI_TEST_RUNS'] ?? 400) },
  )
  const possible = valueTypes.flatMap((type) =>
    (['keep', 'year', 'district', 'hash', 'hide'] as const)
      .filter((kind) => !maskFault({ type }, (kind === 'keep' ? { kind, first: 1, last: 1 } : { kind }) as Mask))
      .map((kind) => `${kind} of_${type}`),
  )
  t.same([...counted.keys()].toSorted(), possible.toSorted(), `${cases} batches with every kind on every type that it is for`)
  for (const type of keyTypes) t.ok(maskFault({ type, key: true }, { kind: 'hash' }), `a key of type ${type} is not masked`)
})

void t.test('columns of derived items have names of their own, never another item’s, or those that the configuration gives', (t) => {
  const receive = receiveOf({ of_date: { kind: 'year' }, of_text: { kind: 'hash' }, of_json: { kind: 'hide' } })
  const column = (sink: ReturnType<typeof sinkOf>, id: string) => {
    const { item, column, derived } = sink.columns.find((one) => one.item.id === id)!
    return [column, item.type, item.length ?? null, derived?.kind ?? null]
  }
  const sink = sinkOf(receive, { of_json: 'doc', a_text: 'fingerprint' })
  t.same(column(sink, 'of_date'), ['a_date_year', 'text', 4, 'year'])
  t.same(column(sink, 'of_text'), ['fingerprint', 'text', 32, 'hash'], 'as configured, by item or by name')
  t.same(column(sink, 'of_json'), ['doc', 'json', null, 'hide'])
  t.same(column(sinkOf(receiveOf({ of_text: { kind: 'keep', first: 1, last: 1 } })), 'of_text'), ['a_text_part', 'text', 200, 'keep'])
  t.same(column(sink, 'of_time'), ['a_time', 'time', null, null])
  const long = { ...items[1]!, id: 'x', name: 'a234567890123456789012345678_x' }
  const crowded = { ...schema, items: [...items, long, { ...items[1]!, id: 'y', name: 'a234567890123456789012345_hash' }] }
  const others = sinkOf(receiveOf({ x: { kind: 'hash' } }, { schema: crowded, items: ['id', 'x', 'y'] }))
  t.equal(new Set(others.columns.map(({ column }) => column)).size, 3)
  t.ok(others.columns.every(({ column }) => column.length <= 30))
  t.equal(
    codeOf(() => sinkOf(receiveOf({ of_text: { kind: 'rot13' } }))),
    'QZ-BATCH-DERIVED',
    'a kind of a later program',
  )
  t.end()
})

const masks: Masks = { of_text: { kind: 'keep', first: 1, last: 2 }, of_date: { kind: 'year' } }
const wholeOf = (key: SigningKey, first = '1') =>
  buildBatch(
    header,
    items.map(({ id, type, key: isKey }) => ({
      item: id,
      values: isKey
        ? [first, '2']
        : type === 'text'
          ? ['13800138000', null]
          : type === 'date'
            ? ['1949-12-31', '2000-01-01']
            : [null, null],
    })),
    key,
  ).bytes
const whole = wholeOf(provider)
const other = splitBatch(wholeOf(provider, '3')).hash

/** The same container with other blocks. */
function withBlocks(bytes: Buffer, change: (blocks: PackedBlock[]) => PackedBlock[]): Buffer {
  const { jws, blocks } = splitBatch(bytes)
  return joinBatch(jws, change([...blocks]))
}

/** As only the hub can sign it, whatever it says. */
function signedAs(bytes: Buffer, change: (said: Derivation) => object, key = hub, typ: 'qz-derived' | 'qz-open' = 'qz-derived'): Buffer {
  return withBlocks(bytes, (blocks) =>
    blocks.map((block) => {
      if (block.item !== derivedBlock) return block
      const said = JSON.parse(Buffer.from(block.packed.toString().split('.')[1]!, 'base64url').toString()) as Derivation
      const packed = Buffer.from(signStatement(key, typ, change(said)))
      return { item: derivedBlock, packed, unpackedLength: packed.length }
    }),
  )
}

/** A block of the hub's own making, countersigned in the place of the one for `item`. */
function countersigned(bytes: Buffer, item: string, values: Value[]): Buffer {
  const block = packBlock('none', { item, values })
  const exchanged = withBlocks(bytes, (blocks) => blocks.map((one) => (one.item === item ? block : one)))
  return signedAs(exchanged, (said) => ({
    ...said,
    blocks: said.blocks.map((entry) => (entry.item === item ? { ...entry, sha256: sha256(block.packed) } : entry)),
  }))
}

void t.test('a hub that lies is refused', (t) => {
  const honest = derived(whole, masks)
  const take = (bytes: Buffer, receive = receiveOf(masks)) =>
    codeOf(() => toChange(openArrived(bytes, awaiting(receive))!, sinkOf(receive), null))
  t.equal(take(honest), 'taken')
  const blockOf = (bytes: Buffer, item: string) => splitBatch(bytes).blocks.find((block) => block.item === item)!
  const without = (item: string) => (blocks: PackedBlock[]) => blocks.filter((block) => block.item !== item)
  const lies: Record<string, [string, Buffer, Receive?]> = {
    'nothing is masked': ['QZ-BATCH-DERIVED', whole],
    'the value of one item as it was signed, in the masked one’s place': [
      'QZ-BATCH-DERIVED',
      withBlocks(honest, (blocks) => blocks.map((block) => (block.item === 'of_text' ? blockOf(whole, 'of_text') : block))),
    ],
    'one of two is masked': ['QZ-BATCH-DERIVED', derived(whole, { of_text: masks['of_text']! })],
    'without its countersignature': ['QZ-BATCH-DERIVED', withBlocks(honest, without(derivedBlock))],
    'another mask than the grant says': ['QZ-BATCH-DERIVED', derived(whole, { ...masks, of_text: { kind: 'keep', first: 3, last: 2 } })],
    'less of it than the grant says': ['QZ-BATCH-DERIVED', derived(whole, { ...masks, of_text: { kind: 'keep', first: 0, last: 2 } })],
    'another kind': ['QZ-BATCH-DERIVED', derived(whole, { ...masks, of_text: { kind: 'hide' } })],
    'what the grant does not mask': ['QZ-BATCH-DERIVED', derived(whole, { ...masks, of_json: { kind: 'hide' } })],
    'all is masked, and the grant masks nothing': ['QZ-BATCH-DERIVED', honest, receiveOf(undefined)],
    'somebody else’s countersignature': ['QZ-BATCH-DERIVED', derived(whole, masks, { key: stranger })],
    'the provider’s countersignature': ['QZ-BATCH-DERIVED', derived(whole, masks, { key: provider })],
    'what was derived for another route': ['QZ-BATCH-DERIVED', derived(whole, masks, { route: 'r2' })],
    'a statement of another type': ['QZ-BATCH-DERIVED', signedAs(honest, (said) => said, hub, 'qz-open')],
    'a statement of another batch': ['QZ-BATCH-DERIVED', signedAs(honest, (said) => ({ ...said, batch: other }))],
    'a statement of another shape': ['QZ-BATCH-DERIVED', signedAs(honest, ({ v: _v, ...said }) => said)],
    'the whole value, countersigned': ['QZ-BATCH-DERIVED', countersigned(honest, 'of_text', ['13800138000', null])],
    'more of the value than the mask leaves': ['QZ-BATCH-DERIVED', countersigned(honest, 'of_text', ['138******00', null])],
    'a day for a year': ['QZ-BATCH-DERIVED', countersigned(honest, 'of_date', ['1949-12-31', '2000'])],
    'too few values': ['QZ-BATCH-BLOCK', countersigned(honest, 'of_text', ['1********00'])],
    'a derived block that the statement does not tell': [
      'QZ-BATCH-DERIVED',
      signedAs(honest, (said) => ({ ...said, blocks: said.blocks.slice(1) })),
    ],
    'a statement of a block that is not there': ['QZ-BATCH-DERIVED', withBlocks(honest, without('of_text'))],
    'a derived block twice': ['QZ-BATCH-DERIVED', withBlocks(honest, (blocks) => [...blocks, blockOf(honest, 'of_text')])],
    'one twice in the other’s place': [
      'QZ-BATCH-DERIVED',
      withBlocks(honest, (blocks) => blocks.map((block) => (block.item === 'of_date' ? blockOf(honest, 'of_text') : block))),
    ],
    'two statements': ['QZ-BATCH-DERIVED', withBlocks(honest, (blocks) => [...blocks, blockOf(honest, derivedBlock)])],
    'an untouched block is altered': [
      'QZ-BATCH-BLOCK',
      withBlocks(honest, (blocks) =>
        blocks.map((block) => (block.item === 'of_json' ? packBlock('none', { item: 'of_json', values: ['1', '2'] }) : block)),
      ),
    ],
    'another provider’s batch, rightly countersigned': ['QZ-BATCH-SIGNATURE', derived(wholeOf(stranger), masks, { of: stranger })],
    'an item that the provider did not supply': [
      'QZ-BATCH-DERIVED',
      (() => {
        const block = packBlock('none', { item: 'invented', values: ['', ''] })
        const added = withBlocks(honest, (blocks) => [...blocks, block])
        return signedAs(added, (said) => ({
          ...said,
          blocks: [...said.blocks, { item: 'invented', mask: { kind: 'hide' }, sha256: sha256(block.packed) }],
        }))
      })(),
      receiveOf({ ...masks, invented: { kind: 'hide' } }),
    ],
  }
  for (const [what, [code, bytes, receive]] of Object.entries(lies)) t.equal(take(bytes, receive), code, what)
  let taken = 0
  for (let at = 0; at < honest.length; at++) {
    const bytes = Buffer.from(honest)
    bytes[at]! ^= 1
    if (take(bytes) === 'taken') taken++
  }
  t.equal(taken, 0, `none of ${honest.length} bytes can be another one`)
  t.end()
})

void t.test('an agent of before masks refuses what is derived, and takes no wrong value', (t) => {
  const old = codeOf(() => openBatch(splitBatch(derived(whole, masks)), () => provider.publicKey))
  t.equal(old, 'QZ-BATCH-BLOCK')
  t.end()
})

void t.test('what is derived holds nothing of the provider’s blocks of masked or ungranted items', (t) => {
  const batch = openBatch(splitBatch(whole), () => provider.publicKey)
  const bytes = deriveBatch(batch, new Set(['id', 'of_text']), { route: 'r', key: hub, masks, secret })
  t.same(
    splitBatch(bytes).blocks.map(({ item }) => item),
    ['id', 'of_text', derivedBlock],
  )
  t.notOk(bytes.includes(batch.blocks.find(({ item }) => item === 'of_text')!.packed))
  t.notOk(bytes.includes('13800138000'))
  t.same(projectBatch(splitBatch(whole), new Set(['id'])), projectBatch(batch, new Set(['id'])), 'all else is the same bytes')
  t.same(blockValues({ ...batch, blocks: splitBatch(bytes).blocks }, 'of_text'), ['1********00', null])
  t.end()
})
