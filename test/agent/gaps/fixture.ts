/** A provider's stream, the policy of an agent that receives it, and the folders of a one-way gap. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import type { Test } from 'tap'
import type { PollRequest } from '../../../protocol/api.ts'
import { buildBatch, type BuiltBatch } from '../../../protocol/batch.ts'
import { gapHead, gapStatement } from '../../../protocol/gap.ts'
import { signPolicy, type Policy } from '../../../protocol/policy.ts'
import type { ChainPosition } from '../../../protocol/position.ts'
import type { Schema } from '../../../protocol/schema.ts'
import { generateSigningKey, type SigningKey } from '../../../protocol/signature.ts'
import { GapHub, type GapHubDeps } from '../../../agent/gaps/hub.ts'
import { batchFileName, putFile, statementText } from '../../../agent/gaps/files.ts'

export const route = 'r1'
export const openness = 'internal' as const
export const schema: Schema = {
  resource: 'people',
  version: 1,
  title: '人口',
  agency: 'police',
  table: 'people',
  items: [
    { id: 'id', name: 'id', label: '编号', type: 'text', length: 20, key: true, openness },
    { id: 'name', name: 'name', label: '姓名', type: 'text', length: 50, openness },
    { id: 'phone', name: 'phone', label: '电话', type: 'text', length: 50, openness },
  ],
}

export interface Keys {
  hub: SigningKey
  provider: SigningKey
  outer: SigningKey
  inner: SigningKey
}

export function makeKeys(): Keys {
  return { hub: generateSigningKey(), provider: generateSigningKey(), outer: generateSigningKey(), inner: generateSigningKey() }
}

export function policyFor(keys: Keys, { serial = 1, items = ['id', 'name'], version = 1 } = {}): Policy {
  const receive = { route, grant: 'g1', schema: { ...schema, version }, items, keys: [{ key: keys.provider.publicKey, from: 1 }] }
  return {
    v: 1,
    agent: 'outer-1',
    agency: 'bureau',
    serial,
    issued: '2026-01-01T00:00:00Z',
    expires: '2099-01-01T00:00:00Z',
    supply: [],
    receive: [receive],
  }
}

export const batchHeader = { resource: 'people', schema: 1, producer: 'provider-1', time: '2026-01-01T00:00:00Z' }

/** Batches of one epoch that follow one another; the first `snapshot` ones are a snapshot. */
export function makeStream(
  keys: Keys,
  count: number,
  { epoch = 5, snapshot = 1, items = ['id', 'name'], begins = 1, schema: version = 1 } = {},
): BuiltBatch[] {
  const made: BuiltBatch[] = []
  for (let seq = 1; seq <= count; seq++) {
    const inSnapshot = seq < begins + snapshot && (seq === 1 || seq >= begins)
    const began = seq >= begins ? begins : 1
    const header = {
      ...batchHeader,
      schema: version,
      epoch,
      seq,
      prev: made.at(-1)?.hash ?? null,
      kind: inSnapshot ? ('snapshot' as const) : ('changes' as const),
      ...(inSnapshot && { snapshot: { began, last: seq === began + snapshot - 1 || seq < begins } }),
    }
    const columns = items.map((item) => ({ item, values: [`${item} ${epoch}/${seq}`] }))
    made.push(buildBatch(header, columns, keys.provider))
  }
  return made
}

export function positionOf({ manifest: { epoch, seq }, hash }: BuiltBatch): ChainPosition {
  return { epoch, seq, hash }
}

/** A temporary folder, removed at the end of the test. */
export function temporaryFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'qianzhi-gap-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export interface Inside {
  hub: GapHub
  keys: Keys
  in: string
  out: string
  /** The policy in force inside: what a poll brought. */
  policy: Policy | undefined
  deliver(batch: BuiltBatch, name?: string): void
  hand(policy: Policy, outer?: SigningKey, hub?: SigningKey): Promise<void>
  head(batch: BuiltBatch, key?: SigningKey): Promise<void>
  poll(ask?: Partial<PollRequest['routes'][number]>, wait?: number): ReturnType<GapHub['poll']>
  rejected(): string[]
}

/** An agent inside, with its two folders; grace and stability are short. `stable`: seconds. */
export function makeInside(
  t: Test,
  { keys = makeKeys(), gap = {}, stable = 0.3 }: { keys?: Keys; gap?: Partial<GapHubDeps['gap']>; stable?: number } = {},
): Inside {
  const root = temporaryFolder(t)
  const [path, out] = [join(root, 'in'), join(root, 'out')]
  mkdirSync(path)
  mkdirSync(out)
  const folder = (path: string) => ({ path, ready: 'stable' as const, stable, look: 0.2 })
  const parts: GapHubDeps = {
    gap: { in: folder(path), out: folder(out), applied: 'remove', grace: 300, again: 60_000, copies: { days: 1, bytes: 1 << 30 }, ...gap },
    identity: { agent: 'outer-1', hubKey: keys.hub.publicKey, outer: keys.outer.publicKey },
    key: keys.inner,
    policy: () => inside.policy,
    data: root,
    logger: pino({ level: 'silent' }),
    clock: () => new Date(),
  }
  const hub = new GapHub(parts)
  t.teardown(() => hub.close())
  const inside: Inside = {
    hub,
    keys,
    in: path,
    out,
    policy: policyFor(keys),
    deliver(batch, name = `${route}/${batchFileName(batch.manifest)}`) {
      mkdirSync(join(path, name, '..'), { recursive: true })
      writeFileSync(join(path, name), batch.bytes)
    },
    async hand(policy, outer = keys.outer, hubKey = keys.hub) {
      const statement = {
        kind: 'gap' as const,
        v: 1 as const,
        agent: 'outer-1',
        agency: 'bureau',
        publicKey: outer.publicKey,
        hubKey: keys.hub.publicKey,
        policy: signPolicy(policy, hubKey),
        time: new Date().toISOString(),
      }
      await putFile(join(path, 'gap.json'), statementText(gapStatement.sign(statement, outer), statement))
    },
    async head(batch, key = keys.outer) {
      const head = { kind: 'gap-head' as const, route, ...positionOf(batch), time: new Date().toISOString() }
      await putFile(join(path, route, 'head.json'), statementText(gapHead.sign(head, key), head))
    },
    poll(ask = {}, wait = 0) {
      const routes = [{ route, after: null, credit: 1 << 20, ...ask }]
      const report = { version: 'test', session: 's', clockOffset: 0, sources: [], sinks: [] }
      return hub.poll({ policy: inside.policy?.serial ?? 0, routes, heads: [], report, wait }, AbortSignal.timeout(20_000))
    },
    rejected: () => listed(join(path, 'rejected', route)),
  }
  return inside
}

export function listed(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => !name.startsWith('.'))
      .toSorted()
  } catch {
    return []
  }
}
