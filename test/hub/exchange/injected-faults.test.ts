/**
 * Each statement of the hub's store fails once, in each request of an exchange in turn (SPEC, section 7): who asks is refused or answered, never
 * half; another agency's requests go on meanwhile; the same request again comes to the same end as if nothing had failed.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type pg from 'pg'
import t from 'tap'
import type { ChainPosition } from '../../../protocol/position.ts'
import { headStatement } from '../../../protocol/receipt.ts'
import { wantSnapshot } from '../../../hub/exchange/streams.ts'
import { hubStore } from '../../support/hub-store.ts'
import { findPostgres } from '../../support/postgres.ts'
import { openBench, person, poll, pollRequest, Provider, receiptFor, seqs, type Bench, type TestAgent } from './fixture.ts'

const server = await findPostgres()
t.teardown(() => server.stop())

const errors: Record<string, () => Error> = {
  'the disk is full': () => Object.assign(new Error('could not extend file'), { code: '53100', severity: 'ERROR' }),
  'the connection is lost': () => Object.assign(new Error('Connection terminated unexpectedly'), { code: 'ECONNRESET' }),
  'it could not be serialized': () => Object.assign(new Error('could not serialize access'), { code: '40001', severity: 'ERROR' }),
  'a fault of our own': () => new TypeError('injected'),
}

/** The statement of the request that runs within it that fails, counted down; below 0 it has failed. */
const failing = new AsyncLocalStorage<{ left: number; error: () => Error }>()

function meet(): void {
  const fault = failing.getStore()
  if (fault && fault.left-- === 0) throw fault.error()
}

function injectInto(pool: pg.Pool): void {
  const [query, connect] = [pool.query.bind(pool) as (...args: unknown[]) => unknown, pool.connect.bind(pool)]
  pool.query = (async (...args: unknown[]) => (meet(), query(...args))) as typeof pool.query
  const wrapped = async () => {
    const client = await connect()
    const own = client.query.bind(client) as (...args: unknown[]) => unknown
    client.query = (async (...args: unknown[]) => (meet(), own(...args))) as typeof client.query
    const release = client.release.bind(client)
    client.release = (error) => {
      delete (client as Partial<pg.PoolClient>).query
      delete (client as Partial<pg.PoolClient>).release
      release(error)
    }
    return client
  }
  // The pool's own `query` connects with a callback.
  pool.connect = ((callback?: Parameters<pg.Pool['connect']>[0]) => (callback ? connect(callback) : wrapped())) as typeof pool.connect
}

/** One stream and its receiver, and what has become of them. */
class Line {
  readonly bench: Bench
  readonly resource: string
  readonly provider: Provider
  readonly receiver: TestAgent

  constructor(bench: Bench, resource: string, provider: Provider, receiver: TestAgent) {
    this.bench = bench
    this.resource = resource
    this.provider = provider
    this.receiver = receiver
  }

  static async open(bench: Bench, resource: string): Promise<Line> {
    const from = await bench.agent(`${resource}-from`, `${resource}-a`)
    const provider = new Provider(from, await bench.resource(resource, `${resource}-a`))
    const receiver = await bench.agent(`${resource}-to`, `${resource}-b`)
    await bench.route(resource, resource, receiver, ['id', 'name'])
    return new Line(bench, resource, provider, receiver)
  }

  /** Each request that agents make of an exchange, in an order in which each finds what it needs. */
  readonly requests: Record<string, () => Promise<unknown>> = {
    'the first batch of a snapshot': () => this.#send('snapshot'),
    'a batch of changes': () => this.#send('changes'),
    'a poll of the receiver': async () => {
      const delivered = await poll(this.bench.exchange, this.receiver, pollRequest([{ route: this.resource, after: null }]), [
        this.provider.agent,
      ])
      if (seqs(delivered).join() !== '1,2') throw new Error(`not all batches: ${seqs(delivered).join()}`)
    },
    'a receipt': () =>
      this.bench.exchange.receipts(this.receiver, [receiptFor(this.receiver, this.resource, this.#batches[1]!.position, { batches: 2 })]),
    'a poll of the provider with a head': () => {
      const statement = {
        resource: this.resource,
        producer: this.provider.agent.id,
        ...this.#batches[1]!.position,
        time: '2026-11-23T08:00:02Z',
      }
      const heads = [headStatement.sign(statement, this.provider.agent.key)]
      return poll(this.bench.exchange, this.provider.agent, pollRequest([], { heads }))
    },
    'the head of a stream': () => this.bench.exchange.head(this.provider.agent, this.resource),
    'batches of one’s own stream': () => this.bench.exchange.own(this.provider.agent, this.resource, null),
  }

  /** The batches are made once: a repeated request is the same one. */
  readonly #batches: { bytes: Buffer; position: ChainPosition }[] = []

  async #send(kind: 'snapshot' | 'changes'): Promise<void> {
    const { exchange } = this.bench
    const at = kind === 'snapshot' ? 0 : 1
    if (!this.#batches[at]) {
      const batch = kind === 'snapshot' ? this.provider.snapshot([person(1), person(2)]) : this.provider.build([person(3)])
      const position = { epoch: batch.manifest.epoch, seq: batch.manifest.seq, hash: batch.hash }
      this.#batches[at] = { bytes: batch.bytes, position }
      this.provider.position = position
    }
    await exchange.accept(this.provider.agent, this.#batches[at].bytes)
  }

  /** What the hub holds of it, without times. */
  async state(): Promise<unknown> {
    const { query } = this.bench.store
    const own = this.#batches.map(({ position }) => position.hash)
    const [batches, streams, routes] = await Promise.all([
      query<{ hash: string }>('select epoch, seq, hash, rows from log_batch where resource = $1 order by epoch, seq', [this.resource]),
      query<{ hash: string }>('select epoch, seq, hash, total from log_stream where resource = $1', [this.resource]),
      query<{ hash: string | null }>('select epoch, seq, hash, receipt is not null as receipted from route where id = $1', [this.resource]),
    ])
    const [wanted] = await query('select snapshot_wanted from stream where resource = $1', [this.resource])
    // Hashes differ from line to line: which batch it is counts.
    const named = <T extends { hash: string | null }>(rows: T[]) => rows.map((row) => ({ ...row, hash: row.hash && own.indexOf(row.hash) }))
    return [named(batches), named(streams).map((row) => ({ ...row, total: undefined })), named(routes), wanted]
  }
}

t.test('each statement of each request fails', async (t) => {
  const bench = await openBench(await hubStore(server))
  t.teardown(() => bench.close())
  const whole = await Line.open(bench, 'whole')
  await wantSnapshot(bench.store, 'whole', null)
  for (const request of Object.values(whole.requests)) await request()
  const expected = await whole.state()
  const beside = await Line.open(bench, 'beside')
  for (const request of Object.values(beside.requests)) await request()
  injectInto(bench.store.pool)

  const wrong: string[] = []
  let runs = 0
  for (const [name, kind] of Object.keys(whole.requests).flatMap((request) =>
    Object.keys(errors).map((error) => [request, error] as const),
  )) {
    for (let at = 0, reached = true; reached; at++) {
      const what = `${name}: statement ${at}: ${kind}`
      const line = await Line.open(bench, `line-${++runs}`)
      await wantSnapshot(bench.store, line.resource, null)
      const fault = { left: at, error: errors[kind]! }
      for (const [each, request] of Object.entries(line.requests)) {
        if (each === name) {
          const tried = failing.run(fault, () => request().catch(() => undefined))
          const others = ['a poll of the receiver', 'the head of a stream'].map((other) => beside.requests[other]!())
          await Promise.all(others).catch((error: Error) => wrong.push(`${what}: another is refused: ${error.message}`))
          await tried
        }
        await request().catch((error: Error) => wrong.push(`${what}: ${each}: ${error.message}`))
      }
      reached = fault.left < 0
      const state = await line.state()
      if (JSON.stringify(state) !== JSON.stringify(expected)) wrong.push(`${what}: ${JSON.stringify(state)}`)
    }
  }
  t.same(wrong, [], `${runs} runs; each ends as ${JSON.stringify(expected)}`)
})
