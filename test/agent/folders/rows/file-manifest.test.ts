/** Manifests of written files: what they say is so, and nothing about them can be changed unnoticed. */
import { createPublicKey, verify } from 'node:crypto'
import { appendFileSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openFileManifest, verifyProvider, type FileManifest } from '../../../../protocol/file-manifest.ts'
import { generateSigningKey, sha256, signStatement } from '../../../../protocol/signature.ts'
import { runHere } from '../../../support/commands.ts'
import { licence } from '../../databases/conformance/fixture.ts'
import {
  agentKey,
  apply,
  fileSink,
  filesIn,
  filled,
  freshFolder,
  manifestWhen,
  openDelivery,
  providerKey,
  readRows,
  sha256Of,
  Stream,
  type Filled,
} from './sink-fixture.ts'

const file = 'scjg.licence.csv'
const agentOnly = (id: string) => (id === agentKey.id ? agentKey.publicKey : undefined)
const providerOnly = (id: string) => (id === providerKey.id ? providerKey.publicKey : undefined)

async function written(t: Test): Promise<Filled & { text: string; manifest: FileManifest }> {
  const sink = fileSink()
  const opened = await filled(t, sink)
  await apply(opened, sink, new Stream().next([['a', '甲', '1.00']], { snapshot: 'only' }))
  const manifest = await manifestWhen(opened, file)
  return { ...opened, manifest, text: readFileSync(join(opened.folder.path, `${file}.manifest.json`), 'utf8') }
}

/** With nothing but node:crypto (RFC 7515, RFC 8037). */
function holds(jws: string, publicKey: string): boolean {
  const [header, payload, signature] = jws.split('.') as [string, string, string]
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: publicKey }, format: 'jwk' })
  return verify(null, Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, 'base64url'))
}

t.test('the signatures hold for an independent verifier, and say what the file is', async (t) => {
  const { text, manifest, folder } = await written(t)
  const { signature } = JSON.parse(text) as { signature: string }
  t.ok(holds(signature, agentKey.publicKey))
  t.same(JSON.parse(Buffer.from(signature.split('.')[0]!, 'base64url').toString()), { alg: 'EdDSA', kid: agentKey.id, typ: 'qz-file' })
  t.same(JSON.parse(Buffer.from(signature.split('.')[1]!, 'base64url').toString()), manifest)
  t.equal(manifest.sha256, sha256Of(folder, file))
  t.equal(manifest.size, readFileSync(join(folder.path, file)).length)
  t.ok(holds(manifest.provider.at(-1)!, providerKey.publicKey), "the provider's own signature")
  t.equal(sha256(manifest.provider.at(-1)!), manifest.to.hash, 'is that of the position')
  t.same(openFileManifest(text, agentOnly), manifest)
  t.equal(verifyProvider(manifest, providerOnly), 1)
})

t.test('what is changed, or signed by anybody else, is refused', async (t) => {
  const { text, manifest } = await written(t)
  const stranger = generateSigningKey()
  const refused = (changed: string, reason: RegExp) =>
    t.throws(() => openFileManifest(changed, agentOnly), { code: 'QZ-FILE-SIGNATURE', message: reason })
  refused(text.replace('"rows": 1', '"rows": 2'), /readable part/)
  refused('{}', /no manifest/)
  refused('nonsense', /no manifest/)
  refused(JSON.stringify({ manifest, signature: signStatement(stranger, 'qz-file', manifest) }), /not known/)
  refused(JSON.stringify({ manifest, signature: signStatement(agentKey, 'qz-batch', manifest) }), /not known/)
  const { signature } = JSON.parse(text) as { signature: string }
  const [header, , end] = signature.split('.') as [string, string, string]
  const forged = Buffer.from(JSON.stringify({ ...manifest, rows: 9 })).toString('base64url')
  refused(JSON.stringify({ manifest: { ...manifest, rows: 9 }, signature: `${header}.${forged}.${end}` }), /does not match/)

  const provider = (changes: Partial<FileManifest>, reason: RegExp) =>
    t.throws(() => verifyProvider({ ...manifest, ...changes }, providerOnly), { code: 'QZ-FILE-SIGNATURE', message: reason })
  provider({ provider: [] }, /not in it/)
  provider({ to: { ...manifest.to, hash: '0'.repeat(64) } }, /not in it/)
  provider({ resource: 'scjg.other' }, /for scjg.licence/)
  t.throws(() => verifyProvider(manifest, agentOnly), { message: /not known/ })
  const [jws] = manifest.provider as [string]
  const broken = `${jws.slice(0, -4)}AAAA`
  provider({ provider: [broken], to: { ...manifest.to, hash: sha256(broken) } }, /does not match/)
})

t.test('files of changes follow each other, with the statements of all their batches', async (t) => {
  const sink = fileSink(licence, { write: 'increments', gather: 3600 })
  const opened = await filled(t, sink)
  const { delivery, folder } = opened
  const stream = new Stream()
  const first = stream.next(
    [
      ['a', '甲', '1.00'],
      ['b', '乙', '2.00'],
    ],
    { snapshot: 'only' },
  )
  await apply(opened, sink, first)
  const whole = await manifestWhen(opened, 'scjg.licence.000001.whole.csv')
  const batches = [
    stream.next(
      [
        ['a', 'A', '1.00'],
        ['b', null, null],
        ['c', '丙', null],
      ],
      { ops: ['u', 'd', 'u'] },
    ),
    stream.next([
      ['a', 'AA', '1.00'],
      ['d', 'x', null],
    ]),
    stream.next([['d', null, null]], { ops: ['d'] }),
  ]
  for (const batch of batches) await apply(opened, sink, batch)
  const hasty = fileSink(licence, { write: 'increments', gather: 0 })
  t.match(await delivery.open(hasty), { live: { position: batches[2]!.to } })
  t.same(filesIn(folder).length, 2, 'how long is gathered says nothing of how files are written')
  const name = 'scjg.licence.000002.changes.csv'
  const changes = await manifestWhen(opened, name)
  t.match(changes, { kind: 'changes', number: 2, previous: whole.sha256, from: first.to, to: batches[2]!.to, batches: 3, rows: 4 })
  t.same(
    changes.provider,
    batches.map(({ manifest }) => manifest),
  )
  t.equal(verifyProvider(changes, providerOnly), 3)
  const gap = { ...changes, provider: [changes.provider[0]!, changes.provider[0]!, changes.provider[2]!] }
  t.equal(verifyProvider(gap, providerOnly), 3, 'statements may be left out in between')
  t.same(await readRows(folder, name), [
    ['qz_op', 'id', 'name', 'amount', 'qz_source'],
    ['u', 'a', 'AA', '1.00', 'scjg'],
    ['d', 'b', null, null, 'scjg'],
    ['u', 'c', '丙', null, 'scjg'],
    ['d', 'd', null, null, 'scjg'],
  ])
  await apply(opened, hasty, stream.next([['z', null, null]]))
  t.match(await manifestWhen(opened, 'scjg.licence.000003.changes.csv'), { previous: changes.sha256, rows: 1, from: changes.to })
})

t.test('an agent without its data folder goes on behind the numbers that lie there', async (t) => {
  const sink = fileSink(licence, { write: 'increments' })
  const before = await filled(t, sink)
  const stream = new Stream()
  await apply(before, sink, stream.next([['a', null, null]], { snapshot: 'only' }))
  await manifestWhen(before, 'scjg.licence.000001.whole.csv')
  await apply(before, sink, stream.next([['b', null, null]]))
  await manifestWhen(before, 'scjg.licence.000002.changes.csv')
  await before.delivery.close()
  const folder = { ...before.folder, data: join(freshFolder(t).data) }
  const after = await openDelivery(t, folder)
  await after.delivery.open(sink)
  await apply(after, sink, new Stream(licence, 2).next([['c', null, null]], { snapshot: 'only' }))
  t.match(await manifestWhen(after, 'scjg.licence.000003.whole.csv'), { number: 3, previous: null, from: null })
})

t.test('qianzhi-agent verify', async (t) => {
  const { folder } = await written(t)
  const config = join(folder.path, '..', 'agent.yaml')
  writeFileSync(config, 'databases: {}')
  const run = (name: string, ...options: string[]) =>
    runHere(['agent/main.ts', 'verify', join(folder.path, name), '--config', config, '--lang', 'en', ...options], { failing: true })
  const keys = ['--key', `${agentKey.publicKey},${providerKey.publicKey}`]
  const [good, byManifest, half, unknown] = await Promise.all([
    run(file, ...keys),
    run(`${file}.manifest.json`, ...keys),
    run(file, '--key', agentKey.publicKey),
    run(file, '--key', providerKey.publicKey),
  ])
  t.match(good, {
    code: 0,
    stdout: /1 row, its SHA-256 is as stated[^]*agent receiver-1: its signature holds[^]*provider scjg: its signatures of 1 batch hold/,
  })
  t.equal(byManifest.code, 0)
  t.match(half, { code: 1, stdout: /QZ-FILE-SIGNATURE.*give it with --key/ })
  t.match(unknown, { code: 1, stderr: /QZ-FILE-SIGNATURE.*is not known/ })
  t.match(
    await run(file, '--key', `-${providerKey.publicKey.slice(1)}`),
    { code: 1, stderr: /is not known/ },
    'a key may begin with a dash',
  )
  for (const ending of ['', '.manifest.json'])
    copyFileSync(join(folder.path, `${file}${ending}`), join(folder.path, `renamed.csv${ending}`))
  t.equal((await run('renamed.csv', ...keys)).code, 0, 'whatever it is called')
  appendFileSync(join(folder.path, 'renamed.csv'), 'x')
  t.match(await run('renamed.csv', ...keys), { code: 1, stderr: /not what its manifest says/ })
  t.match(await run('nothing.csv', ...keys), { code: 1, stderr: /QZ-NOT-FOUND/ })
})
