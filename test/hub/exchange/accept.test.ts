import t from 'tap'
import { buildBatch, projectBatch, splitBatch } from '../../../protocol/batch.ts'
import type { QianzhiError } from '../../../protocol/errors.ts'
import { storedReceipt } from '../../../protocol/receipt.ts'
import { generateSigningKey, sha256, signStatement } from '../../../protocol/signature.ts'
import { hubStore } from '../../support/hub-store.ts'
import { findPostgres } from '../../support/postgres.ts'
import { columnsOf, openBench, person, Provider, secretItem, idItem, nameItem, phoneItem, type Bench } from './fixture.ts'

const server = await findPostgres()
t.teardown(() => server.stop())

const newBench = async (t: { teardown(end: () => Promise<void>): void }): Promise<Bench> => {
  const bench = await openBench(await hubStore(server))
  t.teardown(() => bench.close())
  return bench
}

async function provider(bench: Bench, items = [idItem, nameItem, phoneItem], storedClosed: string[] = []): Promise<Provider> {
  const agent = await bench.agent('provider', 'a')
  return new Provider(agent, await bench.resource('people', 'a', { items, storedClosed }))
}

async function refusal(sending: Promise<unknown>): Promise<{ code: string; details: QianzhiError['details'] } | undefined> {
  try {
    await sending
    return undefined
  } catch (error) {
    const { code, details } = error as QianzhiError
    return { code, details }
  }
}

void t.test('a receipt is given for what is on disk, and a repeat gets the first one', async (t) => {
  const bench = await newBench(t)
  const { exchange, log } = bench
  const p = await provider(bench)
  const batch = p.snapshot([person(1), person(2)])
  const { receipt } = await exchange.accept(p.agent, batch.bytes)
  const said = storedReceipt.open(receipt, bench.hubKey.publicKey)
  const { epoch, seq } = batch.manifest
  t.match(said, { resource: 'people', producer: 'provider', epoch, seq, hash: batch.hash, time: '2026-11-23T08:00:00.000Z' })
  t.ok((await log.read('people', null, 1))[0]!.bytes.equals(batch.bytes))
  bench.time.now = new Date('2026-11-23T09:00:00Z')
  t.equal((await exchange.accept(p.agent, batch.bytes)).receipt, receipt)
  p.position = { epoch, seq, hash: batch.hash }
  const two = p.build([person(3)])
  await p.send(exchange, two)
  await p.send(exchange, p.build([person(4)]))
  t.equal((await exchange.accept(p.agent, batch.bytes)).receipt, receipt, 'also far behind the head')
  const all = await Promise.all([1, 2, 3, 4].map(() => exchange.accept(p.agent, two.bytes)))
  t.equal(new Set(all.map(({ receipt }) => receipt)).size, 1)
  t.same(await exchange.head(p.agent, 'people'), { head: p.position, epoch: 10, producer: 'provider' })
})

void t.test('every refusal has its own code, and the stream goes on after it', async (t) => {
  const bench = await newBench(t)
  const { exchange } = bench
  const p = await provider(bench, [idItem, nameItem, phoneItem, secretItem])
  const first = p.snapshot([person(1)])
  await p.send(exchange, first)
  await p.send(exchange, p.build([person(2)]))
  const head = p.position
  const good = p.build([person(3), person(4, { name: 'x'.repeat(6000) })])
  const refused = async (code: string, bytes: Buffer, details: object = {}, agent = p.agent) => {
    t.match(await refusal(exchange.accept(agent, bytes)), { code, details }, `${code} ${JSON.stringify(details)}`)
    t.same((await bench.log.state('people')).head, head, 'nothing was stored')
  }
  const changed = (at: number) => {
    const bytes = Buffer.from(good.bytes)
    bytes[at]! ^= 1
    return bytes
  }
  const sealed = splitBatch(good.bytes)
  const rows = [person(3)]

  await refused('QZ-BATCH-BLOCK', changed(good.bytes.length - 1), { item: 'phone' })
  await refused('QZ-BATCH-SIGNATURE', changed(8 + sealed.jws.indexOf('.') + 40))
  await refused('QZ-BATCH-SIGNATURE', changed(8 + sealed.jws.length - 20))
  await refused('QZ-BATCH-FORMAT', good.bytes.subarray(0, good.bytes.length - 1))
  await refused('QZ-BATCH-FORMAT', Buffer.from('nothing at all'))
  await refused('QZ-BATCH-LIMIT', Buffer.alloc((8 << 20) + 1))
  await refused('QZ-BATCH-SIGNATURE', p.build(rows, {}, generateSigningKey()).bytes)
  await refused('QZ-BATCH-SIGNATURE', p.build(rows, { producer: 'somebody' }).bytes, {
    reason: { zh: '生成者是 somebody，发送者是 provider', en: 'the producer is somebody, the sender provider' },
  })
  await refused('QZ-SUPPLY-NOT-ALLOWED', p.build(rows, { resource: 'other' }).bytes, { resource: 'other' })
  await refused('QZ-BATCH-SCHEMA', p.build(rows, { schema: 2 }).bytes, { version: 2, expected: 1 })
  await refused('QZ-BATCH-ITEM', p.build([person(3, { secret: 'not for the hub' })]).bytes, { item: 'secret' })
  const columns = columnsOf(p.schema, rows)
  const without = (item: string) =>
    buildBatch(
      p.header(),
      columns.filter((column) => column.item !== item),
      p.agent.key,
    ).bytes
  await refused('QZ-BATCH-ITEM', without('id'), { item: 'id' })
  await refused('QZ-BATCH-ITEM', without('phone'), { item: 'phone' })
  const unknown = [...columns, { item: 'unknown', values: ['1'] }]
  await refused('QZ-BATCH-ITEM', buildBatch(p.header(), unknown, p.agent.key).bytes, { item: 'unknown' })
  await refused('QZ-BATCH-BLOCK', projectBatch(sealed, new Set(['id', 'name'])), {
    item: 'phone',
    reason: { zh: '缺失', en: 'missing' },
  })
  await refused('QZ-BATCH-BLOCK', p.build([{ id: null, name: 'n', phone: null }]).bytes, { item: 'id' })
  // What a receiver's tables or its report of what they refuse would choke on.
  for (const id of ['a\0', '\ud800', 'k'.repeat(3000)]) await refused('QZ-BATCH-BLOCK', p.build([person(3, { id })]).bytes, { item: 'id' })
  await refused('QZ-BATCH-BLOCK', p.build([person(3, { name: 'a\0' })]).bytes, { item: 'name' })
  for (const op of ['x', 'c:', 'c:lower', 'uu', `c:${'A'.repeat(41)}`])
    await refused('QZ-BATCH-BLOCK', p.build([person(3, { $op: op })]).bytes, { item: '$op' })
  await refused('QZ-BATCH-HEAD', p.build(rows, { seq: 4 }).bytes, { position: '10/4', head: '10/2' })
  await refused('QZ-BATCH-HEAD', p.build(rows, { prev: first.hash }).bytes, { position: '10/3', head: '10/2' })
  await refused('QZ-BATCH-HEAD', p.build([person(9)], { seq: 2, prev: first.hash }).bytes, { position: '10/2', head: '10/2' })
  await refused(
    'QZ-BATCH-HEAD',
    p.build(rows, { epoch: 9, seq: 1, prev: null, kind: 'snapshot', snapshot: { began: 1, last: true } }).bytes,
  )
  await refused('QZ-BATCH-HEAD', p.build(rows, { seq: 1, prev: null, kind: 'snapshot', snapshot: { began: 1, last: true } }).bytes)
  await refused('QZ-BATCH-HEAD', p.build(rows, { epoch: 11, seq: 2 }).bytes)
  const began = { seq: 1, prev: null, kind: 'snapshot', snapshot: { began: 1, last: true } } as const
  await refused('QZ-BATCH-LIMIT', p.build(rows, { ...began, epoch: 2147483647 }).bytes)
  await refused('QZ-BATCH-FORMAT', p.build(rows, { time: 'x' }).bytes)
  const intruder = await bench.agent('intruder', 'b')
  await refused('QZ-BATCH-SIGNATURE', good.bytes, {}, intruder)
  const own = new Provider(intruder, p.schema)
  own.position = head
  await refused('QZ-SUPPLY-NOT-ALLOWED', own.build(rows).bytes, {}, intruder)

  await p.send(exchange, good)
  t.same((await bench.log.state('people')).head, p.position)
})

void t.test('a block that is malformed inside a valid signature is refused', async (t) => {
  const bench = await newBench(t)
  const { exchange } = bench
  const p = await provider(bench)
  await p.send(exchange, p.snapshot([person(1)]))
  /** A batch signed by the provider whose `phone` block is this text, and says it has this length. */
  const forged = (text: Buffer, unpacked?: number) => {
    const honest = splitBatch(p.build([person(2)]).bytes)
    const manifest = p.build([person(2)]).manifest
    const packed = Buffer.concat([Buffer.alloc(16), text])
    const blocks = honest.blocks.map((block) =>
      block.item === 'phone' ? { ...block, packed, unpackedLength: unpacked ?? packed.length } : block,
    )
    const listed = blocks.map(({ item, packed }) => ({ item, sha256: sha256(packed) }))
    return container(signStatement(p.agent.key, 'qz-batch', { ...manifest, blocks: listed }), blocks)
  }
  const bad: [string, Buffer, number?][] = [
    ['no JSON', Buffer.from('{"a"')],
    ['no array', Buffer.from('{"length":1}')],
    ['too few', Buffer.from('[]')],
    ['too many', Buffer.from('["1","2"]')],
    ['a number', Buffer.from('[1]')],
    ['a nested array', Buffer.from('[["1"]]')],
    ['no UTF-8', Buffer.from([0x5b, 0x22, 0xff, 0x22, 0x5d])],
    ['another length', Buffer.from('["1"]'), 40],
  ]
  for (const [name, text, unpacked] of bad) {
    t.match(await refusal(exchange.accept(p.agent, forged(text, unpacked))), { code: 'QZ-BATCH-BLOCK', details: { item: 'phone' } }, name)
  }
  const bomb = forged(Buffer.from('["1"]'), 2 ** 31)
  t.match(await refusal(exchange.accept(p.agent, bomb)), { code: 'QZ-BATCH-LIMIT' }, 'a stated length beyond all limits')
  await p.send(exchange, p.build([person(2)]))
})

void t.test('a bomb is not unpacked further than it says', async (t) => {
  const bench = await newBench(t)
  const p = await provider(bench)
  await p.send(bench.exchange, p.snapshot([person(1)]))
  const built = p.build([person(2, { phone: 'x'.repeat(30_000_000) })])
  const sealed = splitBatch(built.bytes)
  t.ok(built.bytes.length < 20_000, 'it is small as it comes')
  const blocks = sealed.blocks.map((block) => ({ ...block, unpackedLength: 1000 }))
  const before = process.memoryUsage().arrayBuffers
  t.match(await refusal(bench.exchange.accept(p.agent, container(sealed.jws, blocks))), { code: 'QZ-BATCH-BLOCK' })
  t.ok(process.memoryUsage().arrayBuffers - before < 20_000_000)
})

function container(jws: string, blocks: { item: string; packed: Buffer; unpackedLength: number }[]): Buffer {
  const head = Buffer.alloc(8)
  head.write('QZB1')
  head.writeUInt32BE(jws.length, 4)
  const parts = blocks.flatMap(({ item, packed, unpackedLength }) => {
    const header = Buffer.alloc(9 + item.length)
    header.writeUInt8(item.length)
    header.write(item, 1)
    header.writeUInt32BE(packed.length, 1 + item.length)
    header.writeUInt32BE(unpackedLength, 5 + item.length)
    return [header, packed]
  })
  return Buffer.concat([head, Buffer.from(jws), ...parts])
}

void t.test('a closed item is taken only where the provider stores it here', async (t) => {
  const bench = await newBench(t)
  const p = await provider(bench, [idItem, nameItem, secretItem], ['secret'])
  await p.send(bench.exchange, p.snapshot([person(1, { secret: 'kept' })]))
  await p.send(bench.exchange, p.build([person(1)]))
  t.equal((await bench.log.state('people')).head?.seq, 2, 'and may be left out')
})

void t.test('who may supply: suspended, revoked, another producer', async (t) => {
  const bench = await newBench(t)
  const { exchange, store, wakeups } = bench
  const p = await provider(bench)
  await p.send(exchange, p.snapshot([person(1)]))
  const change = async (sql: string, agent = 'provider') => {
    await store.query(sql)
    wakeups.wake(`agent:${agent}`)
  }
  const next = p.build([person(2)])
  await change(`update resource set state = 'suspended'`)
  t.match(await refusal(exchange.accept(p.agent, next.bytes)), { code: 'QZ-SUPPLY-NOT-ALLOWED' })
  await change(`update resource set state = 'active'`)
  await p.send(exchange, next)

  const successor = new Provider(await bench.agent('successor', 'a'), p.schema, 11)
  await change(`update resource set producer = 'successor'`)
  t.match(await refusal(exchange.accept(p.agent, p.build([person(3)]).bytes)), { code: 'QZ-SUPPLY-NOT-ALLOWED' }, 'the old one no more')
  const foreign = new Provider(successor.agent, p.schema, 10)
  foreign.position = p.position
  t.match(
    await refusal(exchange.accept(successor.agent, foreign.build([person(3)]).bytes)),
    { code: 'QZ-BATCH-HEAD' },
    'not within the epoch',
  )
  await successor.send(exchange, successor.snapshot([person(1)]))
  await successor.send(exchange, successor.build([person(3)]))
  t.equal((await exchange.head(successor.agent, 'people')).epoch, 11)

  await change(`update agent set state = 'revoked' where id = 'successor'`, 'successor')
  t.match(await refusal(exchange.accept(successor.agent, successor.build([person(4)]).bytes)), { code: 'QZ-AGENT-REVOKED' })
})

void t.test('a repeat of a stored batch gets its receipt also after the schema has moved on', async (t) => {
  const bench = await newBench(t)
  const p = await provider(bench)
  const batch = p.snapshot([person(1)])
  const { receipt } = await bench.exchange.accept(p.agent, batch.bytes)
  await bench.store.query(
    `insert into resource_version (resource, version, schema) select resource, 2, jsonb_set(schema, '{version}', '2') from resource_version`,
  )
  await bench.store.query('update resource set version = 2')
  bench.wakeups.wake('agent:provider')
  t.equal((await bench.exchange.accept(p.agent, batch.bytes)).receipt, receipt)
  t.match(await refusal(bench.exchange.accept(p.agent, p.snapshot([person(2)]).bytes)), { code: 'QZ-BATCH-SCHEMA' })
})

void t.test('own batches come back with their key items only', async (t) => {
  const bench = await newBench(t)
  const { exchange } = bench
  const p = await provider(bench)
  await p.send(exchange, p.snapshot([person(1)]))
  await p.send(exchange, p.build([person(2), person(3, { $op: 'd' })]))
  const answer = await exchange.own(p.agent, 'people', { epoch: 10, seq: 1 })
  t.notOk(answer.includes('name 2'))
  t.ok(answer.includes('p2'))
  const intruder = await bench.agent('intruder', 'b')
  t.match(await refusal(exchange.own(intruder, 'people', null)), { code: 'QZ-SUPPLY-NOT-ALLOWED' })
  t.match(await refusal(exchange.head(intruder, 'people')), { code: 'QZ-SUPPLY-NOT-ALLOWED' })
})
