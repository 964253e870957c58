import t from 'tap'
import { appliedReceipt, headStatement, storedReceipt, type AppliedReceipt, type StoredReceipt } from '../../protocol/receipt.ts'
import { signingKeyFromPem, signStatement } from '../../protocol/signature.ts'
import { readVectors, vectorKey } from '../vectors/read.ts'

const hub = signingKeyFromPem(vectorKey('hub').pem)
const receiver = signingKeyFromPem(vectorKey('receiver').pem)
const provider = signingKeyFromPem(vectorKey('provider').pem)
const { accepted } = readVectors('statements.json')
const vector = (wanted: string) => accepted.find(({ name }) => name === wanted)!

t.test('receipts and head of the vectors', async (t) => {
  const stored = vector('stored receipt')
  t.same(storedReceipt.open(stored.jws, hub.publicKey), stored.payload)
  t.equal(storedReceipt.sign(stored.payload as StoredReceipt, hub), stored.jws)
  const applied = vector('applied receipt')
  t.same(appliedReceipt.open(applied.jws, receiver.publicKey), applied.payload)
  t.equal(appliedReceipt.sign(applied.payload as AppliedReceipt, receiver), applied.jws)
  const head = vector('head')
  t.same(headStatement.open(head.jws, provider.publicKey), head.payload)
})

t.test('one is not taken for the other', async (t) => {
  t.equal(appliedReceipt.open(vector('stored receipt').jws, hub.publicKey), undefined, 'stored as applied')
  t.equal(storedReceipt.open(vector('applied receipt').jws, receiver.publicKey), undefined, 'applied as stored')
  t.equal(storedReceipt.open(vector('head').jws, provider.publicKey), undefined, 'head as stored')
  t.equal(headStatement.open(vector('stored receipt').jws, hub.publicKey), undefined, 'stored as head')
  t.equal(storedReceipt.open(vector('stored receipt').jws, receiver.publicKey), undefined, 'another key')
  t.equal(storedReceipt.open('x', hub.publicKey), undefined, 'no statement')
})

t.test('the shape is checked under the signature', async (t) => {
  const right = vector('stored receipt').payload
  for (const change of [{ epoch: 0 }, { seq: 1.5 }, { hash: 'AB'.repeat(32) }, { hash: 'ab' }, { resource: 1 }, { time: 'x'.repeat(41) }]) {
    t.equal(storedReceipt.open(signStatement(hub, 'qz-receipt', { ...right, ...change }), hub.publicKey), undefined, JSON.stringify(change))
  }
  t.ok(
    storedReceipt.open(signStatement(hub, 'qz-receipt', { ...right, added: 1 }), hub.publicKey),
    'members that are added later are ignored',
  )
})
