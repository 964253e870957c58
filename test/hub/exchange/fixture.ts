import { pino, type Logger } from 'pino'
import { decodeDelivery, type DeliveryHeader, type PollRequest } from '../../../protocol/api.ts'
import {
  buildBatch,
  openBatch,
  splitBatch,
  type BuiltBatch,
  type Column,
  type ManifestHeader,
  type OpenBatch,
} from '../../../protocol/batch.ts'
import type { ChainPosition } from '../../../protocol/position.ts'
import { appliedReceipt, type AppliedReceipt } from '../../../protocol/receipt.ts'
import type { Item, Schema } from '../../../protocol/schema.ts'
import { generateSigningKey, type SigningKey } from '../../../protocol/signature.ts'
import { Exchange } from '../../../hub/exchange.ts'
import type { ExchangeLimits } from '../../../hub/exchange/context.ts'
import type { Log } from '../../../hub/log.ts'
import { openPostgresLog } from '../../../hub/logs/postgres.ts'
import { openStore, type Store } from '../../../hub/store/store.ts'
import { keysTopic } from '../../../hub/registry/machines/agent-keys.ts'
import { Wakeups } from '../../../hub/store/wakeups.ts'
import type { ExchangeAgent } from '../../../hub/exchange/agent.ts'

/** An exchange on a fresh database, without HTTP and registry: rows are put into the registry's tables as they are needed. */
export interface Bench {
  store: Store
  log: Log
  wakeups: Wakeups
  hubKey: SigningKey
  exchange: Exchange
  /** The hub's clock; tests set it. */
  time: { now: Date }
  policy: { serial: number; jws: string }
  agent(id: string, agency: string): Promise<TestAgent>
  resource(code: string, agency: string, more?: { items?: Item[]; keep?: 'store' | 'relay'; storedClosed?: string[] }): Promise<Schema>
  /** A grant with a route of the same name. */
  route(id: string, resource: string, agent: TestAgent, items: string[]): Promise<void>
  /** A second exchange over the same store, with memory of its own. */
  another(limits?: Partial<ExchangeLimits>): Exchange
  close(): Promise<void>
}

export interface TestAgent extends ExchangeAgent {
  key: SigningKey
}

export const idItem: Item = { id: 'id', name: 'id', label: '编号', type: 'text', length: 20, key: true, openness: 'internal' }
export const nameItem: Item = { id: 'name', name: 'name', label: '名称', type: 'text', openness: 'internal' }
export const phoneItem: Item = { id: 'phone', name: 'phone', label: '电话', type: 'text', openness: 'internal' }
export const secretItem: Item = { id: 'secret', name: 'secret', label: '内部意见', type: 'text', openness: 'closed' }

export async function openBench(
  url: string,
  limits: Partial<ExchangeLimits> = {},
  logger: Logger = pino({ level: 'silent' }),
): Promise<Bench> {
  const store = await openStore(url)
  const wakeups = new Wakeups()
  const hubKey = generateSigningKey()
  const time = { now: new Date('2026-11-23T08:00:00Z') }
  const policy = { serial: 1, jws: 'policy 1' }
  const log = openPostgresLog(store)
  const exchanges: Exchange[] = []
  const another = (limits: Partial<ExchangeLimits> = {}): Exchange => {
    const parts = {
      store,
      log,
      hubKey,
      wakeups,
      policyFor: async () => ({ ...policy }),
      clock: () => time.now,
      logger,
    }
    const exchange = new Exchange({ ...parts, limits })
    exchanges.push(exchange)
    return exchange
  }
  return {
    store,
    log,
    wakeups,
    hubKey,
    exchange: another(limits),
    time,
    policy,
    another,
    async agent(id, agency) {
      const agent = await addAgent(store, id, agency)
      wakeups.wake(keysTopic)
      return agent
    },
    resource: (code, agency, more) => addResource(store, code, agency, more),
    route: (id, resource, agent, items) => addRoute(store, id, resource, agent, items),
    async close() {
      await Promise.all(exchanges.map((exchange) => exchange.close()))
      await store.close()
    },
  }
}

async function addAgent(store: Store, id: string, agency: string): Promise<TestAgent> {
  const key = generateSigningKey()
  await store.query('insert into agency (code, name) values ($1, $1) on conflict do nothing', [agency])
  await store.query('insert into agent (id, agency, name, public_key) values ($1, $2, $1, $3)', [id, agency, key.publicKey])
  return { id, agency, publicKey: key.publicKey, key }
}

async function addResource(
  store: Store,
  code: string,
  agency: string,
  { items = [idItem, nameItem, phoneItem], keep = 'store', storedClosed = [] }: Parameters<Bench['resource']>[2] = {},
): Promise<Schema> {
  const schema: Schema = { resource: code, version: 1, title: code, agency, table: 'people', items }
  await store.query('insert into resource (code, agency, version, keep) values ($1, $2, 1, $3)', [code, agency, keep])
  const text = 'insert into resource_version (resource, version, schema, stored_closed_items) values ($1, 1, $2, $3)'
  await store.query(text, [code, JSON.stringify(schema), storedClosed])
  return schema
}

async function addRoute(store: Store, id: string, resource: string, agent: TestAgent, items: string[]): Promise<void> {
  await store.query('insert into access_grant (id, resource, agency, items) values ($1, $2, $3, $4)', [id, resource, agent.agency, items])
  await store.query('insert into route (id, access_grant, agent) values ($1, $1, $2)', [id, agent.id])
}

/** Makes the batches of one stream, each after the one before. */
export class Provider {
  readonly agent: TestAgent
  readonly schema: Schema
  epoch: number
  position: ChainPosition | null = null
  #began = 0

  constructor(agent: TestAgent, schema: Schema, epoch = 10) {
    this.agent = agent
    this.schema = schema
    this.epoch = epoch
  }

  /** Rows as objects of item values; `$op` may be one of them. */
  build(rows: Record<string, string | null>[], header: Partial<ManifestHeader> = {}, key = this.agent.key): BuiltBatch {
    return buildBatch(this.header(header), columnsOf(this.schema, rows), key)
  }

  header(more: Partial<ManifestHeader> = {}): ManifestHeader {
    return {
      resource: this.schema.resource,
      schema: this.schema.version,
      producer: this.agent.id,
      epoch: this.epoch,
      seq: this.position?.epoch === this.epoch ? this.position.seq + 1 : 1,
      prev: this.position?.epoch === this.epoch ? this.position.hash : null,
      kind: 'changes',
      time: '2026-11-23T08:00:00Z',
      ...more,
    }
  }

  /** The next batch of a snapshot. */
  snapshot(rows: Record<string, string | null>[], { first = true, last = true }: { first?: boolean; last?: boolean } = {}): BuiltBatch {
    const { seq } = this.header()
    if (first) this.#began = seq
    return this.build(rows, { kind: 'snapshot', snapshot: { began: this.#began, last } })
  }

  /** Sends a batch and goes on behind it. */
  async send(exchange: Exchange, batch: BuiltBatch): Promise<ChainPosition> {
    await exchange.accept(this.agent, batch.bytes)
    this.position = { epoch: batch.manifest.epoch, seq: batch.manifest.seq, hash: batch.hash }
    return this.position
  }
}

export function columnsOf(schema: Schema, rows: Record<string, string | null>[]): Column[] {
  const columns = schema.items.map(({ id }) => ({ item: id, values: rows.map((row) => row[id] ?? null) }))
  const filled = columns.filter(({ item }) => item !== 'secret' || rows.some((row) => row['secret'] !== undefined))
  return rows.some((row) => row['$op']) ? [...filled, { item: '$op', values: rows.map((row) => row['$op'] ?? 'u') }] : filled
}

export const person = (n: number, more: Record<string, string> = {}) => ({
  id: `p${n}`,
  name: `name ${n}`,
  phone: `${13_000_000_000 + n}`,
  ...more,
})

type AskedRoute = PollRequest['routes'][number]

export function pollRequest(routes: (Partial<AskedRoute> & { route: string })[], more: Partial<PollRequest> = {}): PollRequest {
  return {
    policy: 1,
    routes: routes.map((route) => ({ after: null, credit: 100 << 20, ...route })),
    heads: [],
    report: { version: '0', session: 'session', clockOffset: 0, sources: [], sinks: [] },
    wait: 0,
    ...more,
  }
}

export interface Delivered {
  header: DeliveryHeader
  bytes: Buffer
  batches: { route: string; bytes: Buffer; batch: OpenBatch; position: ChainPosition }[]
}

const never = new AbortController().signal

/** Polls and opens what comes, as a receiver who knows the provider's key. */
export async function poll(
  exchange: Exchange,
  agent: TestAgent,
  request: PollRequest,
  keys: TestAgent[] = [],
  signal = never,
): Promise<Delivered> {
  const bytes = await exchange.poll(agent, request, signal)
  const { header, batches } = decodeDelivery(bytes)
  const keyOf = (id: string) => keys.find(({ key }) => key.id === id)?.publicKey
  return {
    header,
    bytes,
    batches: batches.map(({ route, bytes }) => {
      const batch = openBatch(splitBatch(bytes), keyOf)
      return { route, bytes, batch, position: { epoch: batch.manifest.epoch, seq: batch.manifest.seq, hash: batch.hash } }
    }),
  }
}

export const seqs = ({ batches }: Delivered, route?: string) =>
  batches.filter((batch) => route === undefined || batch.route === route).map(({ position }) => position.seq)

export function receiptFor(agent: TestAgent, route: string, position: ChainPosition, more: Partial<AppliedReceipt> = {}): string {
  const counts = { batches: 1, written: 1, deleted: 0, quarantined: 0, quarantine: 0 }
  return appliedReceipt.sign({ route, ...position, time: '2026-11-23T08:00:01Z', ...counts, ...more }, agent.key)
}

/** Runs `begin`, which listens to this topic, and resolves when it has found nothing and waits. */
export async function untilItWaits<T>(wakeups: Wakeups, topic: string, begin: () => Promise<T>): Promise<{ ends: Promise<T> }> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const listen = wakeups.listen.bind(wakeups)
  wakeups.listen = (topics) => {
    const listener = listen(topics)
    if (!topics.includes(topic)) return listener
    const wait = listener.wait.bind(listener)
    listener.wait = (ms, signal) => {
      const waiting = wait(ms, signal)
      if (ms > 0) resolve()
      return waiting
    }
    return listener
  }
  const ends = begin()
  await Promise.race([promise, ends])
  wakeups.listen = listen
  return { ends }
}
