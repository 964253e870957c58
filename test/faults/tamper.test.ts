/**
 * A hub, or somebody between hub and agents, who alters what passes: each act is refused with its code, nothing wrong is ever in the
 * delivered table, and the stream goes on by itself afterwards.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { zstdCompressSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { openKey } from '../../agent/runtime/state.ts'
import { HubClient } from '../../agent/hub/client.ts'
import { villageColumns, villagesResource } from '../../config-examples/demo/villages.ts'
import { buildBatch, opBlock, projectBatch, splitBatch, type Manifest } from '../../protocol/batch.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import { signPolicy, type Policy } from '../../protocol/policy.ts'
import type { ChainPosition } from '../../protocol/position.ts'
import { generateSigningKey, readStatement, sha256, signingKeyFromPem, signStatement, type SigningKey } from '../../protocol/signature.ts'
import { openClient } from '../support/client.ts'
import { until } from '../support/programs.ts'
import { equal, flowing, logged, logLength, makeLine, sourceOf, start, Writer } from './line.ts'
import { startMiddle, type Delivered } from './middle.ts'

const line = await makeLine(t)
const { provider, receiver, exchange } = line
const middle = await startMiddle(exchange)
t.teardown(() => middle.close())
for (const [agent, options] of [
  [provider, line.options.provider],
  [receiver, line.options.receiver],
] as const)
  agent.configure({ ...options, hub: { urls: [middle.url], poll: 2 } })
const firstPolicy = stateOf().policy!.jws
const providerKey = openKey(join(provider.folder, 'data'))
const hubKey = signingKeyFromPem(readFileSync(join(exchange.folder, 'hub', 'hub.key'), 'utf8'))

const known = new Set((await line.source.query('select distinct name from villages')).map(([name]) => name!))
start(line)
await flowing(line)
await equal(t, line, 'the first load is complete')
const watched = watchTable()

interface Forgery {
  code: string
  /** Who refuses it. */
  by?: typeof receiver
  delivery?: NonNullable<typeof middle.delivery>
  receipt?: NonNullable<typeof middle.receipt>
}

/** A forgery may cost the provider a snapshot, or several where the machine is slow: the hub counts them, for as long as it runs. */
async function forgetSnapshots(): Promise<void> {
  await exchange.hub.end()
  exchange.hub.start()
  await exchange.ready()
}

/** Tampers until the code is in the agent's log, then no more: the stream must find itself again. */
async function refused(test: Test, { code, by = receiver, delivery, receipt }: Forgery): Promise<void> {
  const from = logLength(by)
  const said = () => logged(by, `"code":"${code}"`, from)
  // No more than are needed, however slow the machine.
  middle.delivery = delivery && ((...delivered) => void (said() || delivery(...delivered)))
  middle.receipt = receipt
  const writer = new Writer(line)
  try {
    await until(`the log says ${code}`, said, 30)
  } finally {
    middle.delivery = undefined
    middle.receipt = undefined
    await writer.stop()
  }
  await flowing(line)
  await equal(test, line)
}

const changes: Record<string, Forgery> = {
  'a byte of a block': {
    code: 'QZ-BATCH-BLOCK',
    delivery: ({ batches }) => {
      const last = batches.at(-1)?.bytes
      if (last) last.writeUInt8(last.readUInt8(last.length - 4) ^ 1, last.length - 4)
    },
  },
  'a manifest': {
    code: 'QZ-BATCH-SIGNATURE',
    delivery: eachBatch((bytes) => withManifest(bytes, (manifest) => ({ ...manifest, time: '2020-01-01T00:00:00.000Z' }))),
  },
  'the unsigned length of a block': {
    code: 'QZ-BATCH-BLOCK',
    delivery: eachBatch((bytes) => {
      const { jws, blocks } = splitBatch(bytes)
      return container(
        jws,
        blocks.map((block) => ({ ...block, unpackedLength: block.unpackedLength + 1 })),
      )
    }),
  },
  'which rows are deletes': {
    code: 'QZ-BATCH-BLOCK',
    delivery: eachBatch((bytes) => {
      const { jws, blocks } = splitBatch(bytes)
      return container(
        jws,
        blocks.filter(({ item }) => item !== opBlock),
      )
    }),
  },
  'by leaving out a granted item': {
    code: 'QZ-BATCH-ITEM',
    delivery: eachBatch((bytes) => projectBatch(splitBatch(bytes), new Set(villageColumns.filter((column) => column !== 'city')))),
  },
  'by leaving out a batch': { code: 'QZ-CHAIN-BROKEN', delivery: ofSeveral((batches) => batches.slice(1)) },
  'the order of batches': { code: 'QZ-CHAIN-BROKEN', delivery: ofSeveral((batches) => batches.toReversed()) },
  'the policy': {
    code: 'QZ-POLICY-SIGNATURE',
    delivery: ({ header }) => {
      header.policy = withPayload<Policy>(stateOf().policy!.jws, (policy) => ({ ...policy, expires: '2099-01-01T00:00:00.000Z' }))
    },
  },
  'the policy to one of before': { code: 'QZ-POLICY-OLD', delivery: ({ header }) => void (header.policy = firstPolicy) },
  'the policy to an expired one': {
    code: 'QZ-POLICY-EXPIRED',
    delivery: ({ header }, { report }) => {
      if (report.sinks.length > 0) header.policy = newPolicy((policy) => ({ ...policy, expires: '2026-01-01T00:00:00.000Z' }))
    },
  },
  'the provider to another, with a policy': {
    code: 'QZ-PROVIDER-KEY',
    delivery: impostor((key) => {
      return newPolicy((policy) => ({
        ...policy,
        receive: policy.receive.map((receive) => ({ ...receive, keys: [{ key: key.publicKey, from: 1 }] })),
      }))
    }),
  },
  'the provider to another, without a policy': { code: 'QZ-BATCH-SIGNATURE', delivery: impostor(() => undefined) },
  'by a block of too many values, rightly signed': {
    code: 'QZ-BATCH-BLOCK',
    delivery: instead((after) => forged(after, providerKey, [...row('code'), ...row('name'), 'twice'])),
  },
  'by a bomb, rightly signed, of little said size': {
    code: 'QZ-BATCH-BLOCK',
    delivery: instead((after) => bomb(after, 1000)),
  },
  'by a bomb, rightly signed, of its true size': { code: 'QZ-BATCH-LIMIT', delivery: instead((after) => bomb(after, bombBytes)) },
  receipts: { code: 'QZ-BATCH-SIGNATURE', by: provider, receipt: (receipt) => `${receipt.slice(0, -8)}AAAAAAAA` },
}

for (const [i, [what, forgery]] of Object.entries(changes).entries())
  t.test(`changes ${what}`, async (test) => {
    if (i % 5 === 4) await forgetSnapshots()
    await refused(test, forgery)
  })

t.test('receipts of another batch', async (test) => {
  let earlier: string | undefined
  await refused(test, {
    code: 'QZ-BATCH-SIGNATURE',
    by: provider,
    receipt: (receipt) => ((earlier ??= receipt) === receipt ? receipt : earlier),
  })
})

t.test('batches that come twice change nothing', async (test) => {
  const from = logLength(receiver)
  let repeated = 0
  middle.delivery = (delivered) => {
    repeated += delivered.batches.length
    delivered.batches = delivered.batches.flatMap((batch) => [batch, batch])
  }
  const writer = new Writer(line)
  await until('several batches came twice', () => repeated > 5)
  await writer.stop()
  await equal(test, line)
  middle.delivery = undefined
  test.notOk(logged(receiver, '"code":"QZ', from), 'nothing is complained of')
})

t.test('a stored batch is changed in the store', async (test) => {
  await receiver.program.end()
  const before = (await sourceOf(line))!.position!
  await line.source.query(`update villages set name = 'stored' where code like '%1'`)
  await until('it is stored', async () => (await sourceOf(line))!.position!.hash !== before.hash)
  const changed = await line.store.query(
    `update log_batch set batch = set_byte(batch, length(batch) - 4, get_byte(batch, length(batch) - 4) # 1)
     where (epoch, seq) = (select epoch, seq from log_batch order by epoch desc, seq desc limit 1) returning seq`,
  )
  test.equal(changed.length, 1)
  await exchange.hub.end()
  exchange.hub.start()
  await exchange.ready()
  const from = logLength(receiver)
  receiver.program.start()
  await until('it is refused', () => logged(receiver, '"code":"QZ-BATCH-BLOCK"', from))
  await flowing(line)
  await equal(test, line)
})

t.test('the hub itself refuses what a provider may not push', async (test) => {
  await flowing(line)
  const ca = readFileSync(join(exchange.folder, 'hub', 'tls', 'authority.pem'), 'utf8')
  const hub = new HubClient({ urls: [exchange.url], key: providerKey, ca, clock: () => new Date() })
  t.teardown(() => hub.close())
  const { head } = await hub.head('villages')
  const codeOf = async (bytes: Buffer) => {
    const error: unknown = await hub.sendBatch(bytes, AbortSignal.timeout(10_000)).catch((failure: unknown) => failure)
    return error instanceof QianzhiError ? error.code : 'stored'
  }
  test.equal(await codeOf(forged(head, providerKey, [...row('code'), ...row('name'), 'twice'])), 'QZ-BATCH-BLOCK')
  test.equal(await codeOf(bomb(head, 1000)), 'QZ-BATCH-BLOCK')
  test.equal(await codeOf(bomb(head, bombBytes)), 'QZ-BATCH-LIMIT')
  test.equal(await codeOf(forged(head, generateSigningKey())), 'QZ-BATCH-SIGNATURE')
  test.equal(await codeOf(forged({ ...head!, seq: head!.seq + 1 }, providerKey)), 'QZ-BATCH-HEAD')
  test.strictSame((await hub.head('villages')).head, head, 'nothing was stored')
})

t.test('no wrong value was ever in the delivered table', async (test) => {
  const { looks, wrong } = await watched.stop()
  test.ok(looks > 50, `${looks} looks`)
  test.strictSame(wrong, [])
  test.ok((receiver.program.peakMemoryMb ?? 0) < 400, 'a bomb does not unfold in memory')
})

function stateOf(): { policy?: { serial: number; jws: string } } {
  return JSON.parse(readFileSync(join(receiver.folder, 'data', 'state.json'), 'utf8')) as { policy?: { serial: number; jws: string } }
}

/** A policy as only the hub can sign it. */
function newPolicy(change: (policy: Policy) => Policy): string {
  const policy = readStatement(stateOf().policy!.jws) as unknown as Policy
  return signPolicy({ ...change(policy), serial: policy.serial + 1 }, hubKey)
}

/** Changes a statement's payload and keeps its signature. */
function withPayload<P>(jws: string, change: (payload: P) => P): string {
  const [head, payload, signature] = jws.split('.')
  const changed = change(JSON.parse(Buffer.from(payload!, 'base64url').toString()) as P)
  return [head, Buffer.from(JSON.stringify(changed)).toString('base64url'), signature].join('.')
}

function withManifest(bytes: Buffer, change: (manifest: Manifest) => Manifest): Buffer {
  const { jws, blocks } = splitBatch(bytes)
  return container(withPayload(jws, change), blocks)
}

/** SPEC section 3. */
function container(jws: string, blocks: readonly { item: string; packed: Buffer; unpackedLength: number }[]): Buffer {
  const length = (n: number) => {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32BE(n)
    return bytes
  }
  const parts = blocks.flatMap(({ item, packed, unpackedLength }) => {
    return [Buffer.from([item.length]), Buffer.from(item), length(packed.length), length(unpackedLength), packed]
  })
  return Buffer.concat([Buffer.from('QZB1'), length(jws.length), Buffer.from(jws), ...parts])
}

function eachBatch(change: (bytes: Buffer) => Buffer): (delivered: Delivered) => void {
  return (delivered) => {
    delivered.batches = delivered.batches.map(({ route, bytes }) => ({ route, bytes: change(bytes) }))
  }
}

/** Holds batches back until there are several of them. */
function ofSeveral(change: (batches: Delivered['batches']) => Delivered['batches']): (delivered: Delivered) => void {
  return (delivered) => {
    delivered.batches = delivered.batches.length > 1 ? change(delivered.batches) : []
  }
}

/** Another batch in the place of the next one. */
function instead(make: (after: ChainPosition | null) => Buffer): NonNullable<typeof middle.delivery> {
  return (delivered, { routes }) => {
    const asked = routes.find(({ route }) => route === line.route)
    if (asked?.after && !asked.broken) delivered.batches = [{ route: line.route, bytes: make(asked.after) }]
  }
}

/** Batches signed by a key that the receiver has not pinned; the policy, if there is one, comes first and is the last that it gets. */
function impostor(policy: (key: SigningKey) => string | undefined): NonNullable<typeof middle.delivery> {
  const key = generateSigningKey()
  const inject = instead((after) => forged(after, key))
  let jws: string | undefined
  return (delivered, asked) => {
    if (asked.report.sinks.length === 0) return
    delete delivered.header.policy
    if (jws !== undefined) return inject(delivered, asked)
    jws = policy(key) ?? ''
    if (jws !== '') delivered.header.policy = jws
    delivered.batches = []
  }
}

function header(after: ChainPosition | null) {
  const manifest = { resource: 'villages', schema: 1, producer: provider.id, kind: 'changes' as const, time: new Date().toISOString() }
  return { ...manifest, epoch: after!.epoch, seq: after!.seq + 1, prev: after!.hash }
}

function row(item: string): string[] {
  return [item === 'code' ? '999999999999' : 'FORGED']
}

/** One row; `names` may be too many for it. */
function forged(after: ChainPosition | null, key: SigningKey, names: readonly string[] = row('name')): Buffer {
  const columns = villagesResource().items.map(({ id }) => ({ item: id, values: id === 'name' ? names : row(id) }))
  return buildBatch(header(after), columns, key).bytes
}

const bombBytes = 200 << 20
let packedBomb: Buffer | undefined

/** Every block is a few kilobytes and unpacks to 200 MiB. */
function bomb(after: ChainPosition | null, unpackedLength: number): Buffer {
  packedBomb ??= zstdCompressSync(Buffer.alloc(bombBytes, ' '))
  const packed = packedBomb
  const blocks = villagesResource().items.map(({ id }) => ({ item: id, packed, unpackedLength }))
  const listed = blocks.map(({ item }) => ({ item, sha256: sha256(packed) }))
  const manifest: Manifest = { v: 1, ...header(after), rows: 1, codec: 'zstd', blocks: listed }
  return container(signStatement(providerKey, 'qz-batch', manifest), blocks)
}

/** Looks at the delivered table all the time: a name is one that the source had, or one that the writer makes. */
function watchTable(): { stop: () => Promise<{ looks: number; wrong: string[] }> } {
  const found = { looks: 0, wrong: [] as string[] }
  const watch = { stopped: false }
  const run = async () => {
    const reader = await openClient(line.targetUrl)
    while (!watch.stopped) {
      const names = (await reader.query(`select distinct name from ${line.table}`)).map(([name]) => name!)
      found.wrong.push(...names.filter((name) => !known.has(name) && !/^(新增|改名)\d+$|^stored$/.test(name)))
      found.looks++
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    await reader.end()
  }
  const running = run()
  return {
    stop: async () => {
      watch.stopped = true
      await running
      return found
    },
  }
}
