/**
 * Writes the test vectors: `node test/vectors/make.ts` all of them, `node test/vectors/make.ts wire` only the recorded wire shapes.
 * Keys come from fixed seeds. Blocks hold random bytes, so the stored vectors, not this program, are what tests compare with.
 */
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { batchVectors, refusedBatches } from './make-batches.ts'
import { requestVectors } from './make-requests.ts'
import { deliveryVectors, statementVectors } from './make-statements.ts'
import { keyFromSeed } from './container.ts'
import { wireShapes } from './wire.ts'

const names = ['provider', 'other', 'hub', 'receiver'] as const
export type Keys = Record<(typeof names)[number], ReturnType<typeof keyFromSeed>>

const seed = (name: string): Buffer => createHash('sha256').update(`qianzhi test vector ${name}`).digest()
const keys = Object.fromEntries(names.map((name) => [name, keyFromSeed(seed(name))])) as Keys

const keyVectors = names.map((name) => ({
  name,
  seed: seed(name).toString('hex'),
  publicKey: keys[name].publicKey,
  id: keys[name].id,
  pem: keys[name].privateKey.export({ type: 'pkcs8', format: 'pem' }),
}))

function write(file: string, value: unknown): void {
  writeFileSync(new URL(file, import.meta.url), `${JSON.stringify(value, null, 2)}\n`)
}

write('wire.json', wireShapes())
if (process.argv[2] !== 'wire') {
  write('keys.json', keyVectors)
  write('statements.json', statementVectors(keys))
  write('batches.json', batchVectors(keys))
  write('refused.json', refusedBatches(keys))
  write('deliveries.json', deliveryVectors())
  write('requests.json', await requestVectors(keys))
}
