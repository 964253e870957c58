import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { compactVerify, importJWK } from 'jose'
import t from 'tap'
import nacl from 'tweetnacl'
import {
  generateSigningKey,
  keyId,
  readStatement,
  sha256,
  signingKeyFromPem,
  signingKeyToPem,
  signStatement,
  statementKeyId,
  verifyStatement,
} from '../../protocol/signature.ts'
import { readVectors, vectorKey } from '../vectors/read.ts'

const statements = readVectors('statements.json')
const manifests = readVectors('batches.json').map(({ name, container }) => {
  const bytes = Buffer.from(container, 'base64')
  return { name: `manifest of ${name}`, key: 'provider', jws: bytes.toString('latin1', 8, 8 + bytes.readUInt32BE(4)) }
})

/** Ed25519 over the signing input of RFC 7515 section 5.1, by a library that shares nothing with node:crypto. */
function naclVerifies(jws: string, publicKey: string): boolean {
  const end = jws.lastIndexOf('.')
  const signature = Buffer.from(jws.slice(end + 1), 'base64url')
  return nacl.sign.detached.verify(Buffer.from(jws.slice(0, end)), signature, Buffer.from(publicKey, 'base64url'))
}

async function josePayload(jws: string, publicKey: string): Promise<unknown> {
  const key = await importJWK({ kty: 'OKP', crv: 'Ed25519', x: publicKey }, 'EdDSA')
  const { payload } = await compactVerify(jws, key, { algorithms: ['EdDSA'] })
  return JSON.parse(Buffer.from(payload).toString())
}

t.test('keys of the vectors', async (t) => {
  for (const { name, seed, publicKey, id, pem } of readVectors('keys.json')) {
    const key = signingKeyFromPem(pem)
    const pair = nacl.sign.keyPair.fromSeed(Buffer.from(seed, 'hex'))
    t.equal(Buffer.from(pair.publicKey).toString('base64url'), publicKey, `${name}: tweetnacl makes the same public key of the seed`)
    t.equal(key.publicKey, publicKey, name)
    t.equal(key.id, id, `${name}: thumbprint`)
    t.equal(keyId(publicKey), id, `${name}: thumbprint of the public key`)
    t.equal(signingKeyToPem(key), pem, `${name}: PEM`)
  }
})

t.test('RFC 8037 appendix A.3: thumbprint', async (t) => {
  t.equal(keyId('11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo'), 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k')
})

t.test('signed statements of the vectors', async (t) => {
  for (const { name, typ, key, payload, jws, sha256: hash } of statements.accepted) {
    const { publicKey, id, pem } = vectorKey(key)
    t.same(verifyStatement(jws, typ, publicKey), payload, `${name}: verified`)
    t.same(await josePayload(jws, publicKey), payload, `${name}: verified by jose`)
    t.ok(naclVerifies(jws, publicKey), `${name}: verified by tweetnacl`)
    t.equal(statementKeyId(jws, typ), id, `${name}: names its key`)
    t.same(readStatement(jws), payload, `${name}: read`)
    t.equal(signStatement(signingKeyFromPem(pem), typ, payload), jws, `${name}: signing again gives the same text`)
    t.equal(sha256(jws), hash, `${name}: hash`)
  }
})

t.test('manifests of the vectors', async (t) => {
  const { publicKey } = vectorKey('provider')
  for (const { name, jws } of manifests) {
    const payload = verifyStatement(jws, 'qz-batch', publicKey)
    t.ok(payload, `${name}: verified`)
    t.same(await josePayload(jws, publicKey), payload, `${name}: verified by jose`)
    t.ok(naclVerifies(jws, publicKey), `${name}: verified by tweetnacl`)
  }
})

t.test('refused statements of the vectors', async (t) => {
  for (const { name, typ, key, jws } of statements.refused) t.equal(verifyStatement(jws, typ, vectorKey(key).publicKey), undefined, name)
})

t.test('no statement is taken for one of another type', async (t) => {
  const types = ['qz-batch', 'qz-receipt', 'qz-head', 'qz-policy', 'qz-key'] as const
  const key = generateSigningKey()
  for (const typ of types) {
    const jws = signStatement(key, typ, { a: 1 })
    t.same(
      types.filter((other) => verifyStatement(jws, other, key.publicKey) !== undefined),
      [typ],
    )
  }
})

t.test('any changed character is refused', async () => {
  const { publicKey } = vectorKey('provider')
  const { jws, typ } = statements.accepted.find(({ key }) => key === 'provider')!
  fc.assert(
    fc.property(fc.nat(jws.length - 1), fc.integer({ min: 1, max: 126 }), (at, character) => {
      const changed = jws.slice(0, at) + String.fromCharCode(character) + jws.slice(at + 1)
      return changed === jws || verifyStatement(changed, typ, publicKey) === undefined
    }),
    { numRuns: 500 },
  )
})

t.test('SHA-256 of text is that of its UTF-8', async (t) => {
  t.equal(sha256('前置'), createHash('sha256').update(Buffer.from('前置')).digest('hex'))
})
