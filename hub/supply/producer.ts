/**
 * The hub's own producer: rows that people enter become signed batches of the resource's stream. What is written is decided on by what the
 * resource's table holds at the head of the log, and goes behind that very head: where somebody else was first, it is decided on anew.
 */
import type { Logger } from 'pino'
import { buildBatch, opBlock, type Column, type ManifestHeader } from '../../protocol/batch.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import { nextEpoch, type ChainPosition } from '../../protocol/position.ts'
import { keyItems } from '../../protocol/schema.ts'
import type { SigningKey } from '../../protocol/signature.ts'
import { valueFault, type Value } from '../../protocol/value.ts'
import type { Exchange } from '../exchange.ts'
import type { Log } from '../log.ts'
import { enteredSql, hubProducer, sharedSql } from '../records/supply.ts'
import type { Store } from '../store/store.ts'
import type { Wakeups } from '../store/wakeups.ts'
import { openShare, type Share } from '../sharing/share.ts'
import { readRow, type FoundRow } from '../sharing/pages.ts'
import { isGone } from '../sharing/reading.ts'
import { followStream } from '../tables/follow.ts'
import type { Reader, ReadRow } from '../tables/reader.ts'
import { keptSql, schemaOf, type ResourceTable } from '../tables/records.ts'
import { positionColumn, quoted, tableName } from '../tables/shape.ts'
import { tellHeads } from './heads.ts'
import { beginEntry, dropEntry, settleEntry, settleLeft, type Bringing, type BroughtRow, type RowOp } from './entries.ts'
import { enteredResource, requireOpen, streamState, type EnteredResource, type StreamState } from './entered-resource.ts'

export interface ProducerDeps {
  store: Store
  log: Log
  exchange: Pick<Exchange, 'produce'>
  reader: Reader
  wakeups: Wakeups
  hubKey: SigningKey
  clock: () => Date
  logger: Logger
}

/** One row to be written: values of all items that are entered; of a delete those of the key count. `again`: as it stands, so that it travels once more. */
export interface RowChange {
  op: RowOp | 'again'
  values: Readonly<Record<string, Value>>
}

/** What is decided by: the resource as it is registered, and its rows as of the stream's head. */
export interface Held {
  resource: EnteredResource
  row(key: readonly string[]): Promise<FoundRow | undefined>
  share: Share
}

/** How often a write is decided on anew because another one was first, before its person is told to try again. */
const attempts = 50
/** Bytes of texts, and rows, from which a batch of a snapshot is full: well below what any log carries (`writerLimits`). */
const [fullBytes, fullRows] = [512 << 10, 10_000]
const lookMs = 5000
/** Entries that are neither settled nor dropped by then were left by a process that ended. */
const leftMs = 10 * 60_000

const itself = { person: null, by: { actor: 'hub' } } as const

export class HubProducer {
  readonly #deps: ProducerDeps
  /** One write at a time of each resource in this process, so that they do not overtake each other for nothing. */
  readonly #turns = new Map<string, Promise<void>>()
  #timer: NodeJS.Timeout | undefined
  #looking: Promise<void> = Promise.resolve()

  constructor(deps: ProducerDeps) {
    this.#deps = deps
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#looking = this.#looking
        .then(() => this.look())
        .catch((err: unknown) => this.#deps.logger.warn({ err }, 'own streams not looked after'))
    }, lookMs)
    this.#timer.unref()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.#looking
    await Promise.all(this.#turns.values())
  }

  /**
   * Writes the rows that `decide` gives, which may be called again; nothing where it gives none.
   * @returns where they stand in the stream. Throws what `decide` throws, QZ-FORM-CLOSED, QZ-DATA-PREPARING, QZ-HUB-BUSY.
   */
  write(code: string, bringing: Bringing, decide: (held: Held) => Promise<RowChange[]>): Promise<ChainPosition> {
    return this.#inTurn(code, async () => {
      for (let attempt = 0; attempt < attempts; attempt++) {
        const { resource, state } = await this.current(code)
        if (state.next === 'begins') {
          await this.#snapshot(code, false)
          continue
        }
        const rows = await unlessGone(async () => decide(await this.#held(resource)))
        if (!rows) continue
        if (rows.length === 0) return state.head!
        const header = { kind: 'changes', epoch: state.head!.epoch, seq: state.head!.seq + 1, prev: state.head!.hash } as const
        const brought = rows.flatMap(({ op, values }) => (op === 'again' ? [] : [{ op, key: resource.keys.map(({ id }) => values[id]!) }]))
        const stored = await this.#append(resource, header, columnsOf(resource, rows), { expected: state.head, bringing, brought })
        if (stored) return stored
      }
      throw new QianzhiError('QZ-HUB-BUSY', { reason: { zh: '多人同时填报', en: 'many write at once' } })
    })
  }

  /** Until the resource's table stands where the log does: who has written sees it. */
  async catchUp(code: string): Promise<void> {
    while ((await followStream(this.#deps, code)) === 'more');
  }

  /** What the resource's table holds now; undefined where nobody has entered anything yet. Throws QZ-DATA-RELAYED, QZ-DATA-PREPARING. */
  async share(code: string): Promise<Share | undefined> {
    const { store, log } = this.#deps
    await this.catchUp(code)
    if ((await log.heads([code])).size === 0) return undefined
    return openShare(store.query, { id: 'own', resource: code, items: 'own' })
  }

  /** Begins the streams that are due: taken over from an agent, of another version, or asked for a snapshot. Says where each has its head. */
  async look(): Promise<void> {
    const { store, clock, logger } = this.#deps
    await store.query(endedDraftsSql)
    await settleLeft(this.#deps, new Date(clock().getTime() - leftMs))
    for (const { resource, wanted } of await store.query<{ resource: string; wanted: boolean }>(dueSql, [hubProducer])) {
      await this.#inTurn(resource, () => this.#snapshot(resource, wanted)).catch((err: unknown) => {
        logger.warn({ err, resource }, 'snapshot of an own stream not made')
      })
    }
    await tellHeads(this.#deps)
  }

  async #inTurn<T>(code: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(code)
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#turns.set(code, promise)
    await before
    try {
      return await work()
    } finally {
      resolve()
      if (this.#turns.get(code) === promise) this.#turns.delete(code)
    }
  }

  /** What is registered, and where its stream stands, with the table at its head. Throws QZ-FORM-CLOSED, and QZ-DATA-PREPARING where the table stays behind the log. */
  async current(code: string): Promise<{ resource: EnteredResource; state: StreamState }> {
    for (let attempt = 0; attempt < attempts; attempt++) {
      await this.catchUp(code)
      const resource = await enteredResource(this.#deps.store.query, code)
      requireOpen(resource)
      const state = await streamState(this.#deps, resource)
      if (state.next !== 'moves') return { resource, state }
    }
    throw new QianzhiError('QZ-DATA-PREPARING', { resource: code })
  }

  async #held(resource: EnteredResource): Promise<Held> {
    const { store, reader } = this.#deps
    const share = await openShare(store.query, { id: 'own', resource: resource.code, items: 'own' })
    return { resource, share, row: (key) => readRow({ reader }, share, key, share.items) }
  }

  /** One process at a time: the others find it made. `asked`: also where the stream could go on, if one is still wanted. */
  async #snapshot(code: string, asked: boolean): Promise<void> {
    await this.#deps.store.transaction(async (query) => {
      await query('select pg_advisory_xact_lock(hashtext($1))', [`supply ${code}`])
      const { resource, state } = await this.current(code)
      if (state.next === 'begins' || (asked && state.wanted)) await unlessGone(() => this.#makeSnapshot(resource, state))
    })
  }

  /** What the live table holds, in the version in force: an epoch of its own. Gives up where the head is another one than was thought. */
  async #makeSnapshot(resource: EnteredResource, { head, known, live, ours }: StreamState): Promise<void> {
    const epoch = nextEpoch(known, this.#deps.clock())
    const rekeyed = live !== undefined && (await this.#isRekeyed(resource, live))
    const bringing: Bringing = { ...itself, act: !ours ? 'supply.take-over' : rekeyed ? 'supply.rekey' : 'supply.snapshot' }
    let place: ChainPosition | null = null
    for await (const { rows, last } of portions(live ? this.#liveRows(resource, live, rekeyed) : [])) {
      const header = {
        kind: 'snapshot',
        epoch,
        seq: (place?.seq ?? 0) + 1,
        prev: place?.hash ?? null,
        snapshot: { began: 1, last },
      } as const
      const columns = resource.items.map(({ id }, i) => ({ item: id, values: rows.map((row) => row[i]!) }))
      place = await this.#append(resource, header, columns, { expected: place ?? head, bringing, brought: [] })
      if (!place) return
    }
  }

  async #isRekeyed({ code, keys }: EnteredResource, { version }: ResourceTable): Promise<boolean> {
    const before = keyItems(await schemaOf(this.#deps.store.query, code, version))
    return new Set(before.map(({ id }) => id)).symmetricDifference(new Set(keys.map(({ id }) => id))).size > 0
  }

  /**
   * New items are null. What would lose a value, or two rows that would be one, kept the version from being published (`supplyFaults`); of what
   * was entered since, a value that no longer fits is null, a row without a whole key is none, and the newest of a key counts.
   */
  async *#liveRows({ items }: EnteredResource, live: ResourceTable, rekeyed: boolean): AsyncGenerator<ReadRow> {
    const select = items.map(({ id }) => (live.items.includes(id) ? quoted(id) : 'null')).join(', ')
    const order = rekeyed ? ` order by ${positionColumn}` : ''
    for await (const rows of this.#deps.reader.stream(items, `select ${select} from ${tableName(live.id)}${order}`, [])) {
      for (const row of rows) {
        for (const [i, item] of items.entries()) if (row[i] !== null && valueFault(item, row[i]!)) row[i] = null
        if (items.every(({ key }, i) => !key || row[i] !== null)) yield row
      }
    }
  }

  /** @returns its place, or null where the head was another one: then nothing was stored. */
  async #append(
    resource: EnteredResource,
    header: Pick<ManifestHeader, 'kind' | 'epoch' | 'seq' | 'prev' | 'snapshot'>,
    columns: Column[],
    { expected, bringing, brought }: { expected: ChainPosition | null; bringing: Bringing; brought: BroughtRow[] },
  ): Promise<ChainPosition | null> {
    const { store, exchange, hubKey, clock } = this.#deps
    const at = clock()
    const { code, schema } = resource
    const named = { resource: code, schema: schema.version, producer: hubProducer, time: at.toISOString() }
    const batch = buildBatch({ ...named, ...header }, columns, hubKey)
    const position = { epoch: header.epoch, seq: header.seq, hash: batch.hash }
    const entry = await beginEntry(store, bringing, { resource: code, at, position, rows: batch.manifest.rows, brought })
    if (!(await exchange.produce(batch, expected))) {
      await dropEntry(store.query, entry)
      return null
    }
    await settleEntry(store, entry)
    return position
  }
}

/** Undefined where the table was replaced meanwhile. */
async function unlessGone<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (isGone(error)) return undefined
    throw error
  }
}

function columnsOf({ items }: EnteredResource, rows: readonly RowChange[]): Column[] {
  const columns = items.map(({ id, key }) => ({
    item: id,
    values: rows.map(({ op, values }) => (op === 'delete' && !key ? null : (values[id] ?? null))),
  }))
  if (rows.every(({ op }) => op !== 'delete')) return columns
  return [...columns, { item: opBlock, values: rows.map(({ op }) => (op === 'delete' ? 'd' : 'u')) }]
}

/** At least one; `last` marks the end. */
export async function* portions(rows: AsyncIterable<ReadRow> | Iterable<ReadRow>): AsyncGenerator<{ rows: ReadRow[]; last: boolean }> {
  let portion: ReadRow[] = []
  let bytes = 0
  for await (const row of rows) {
    const size = row.reduce((sum, value) => sum + (value?.length ?? 4), 0)
    if (portion.length > 0 && (portion.length >= fullRows || bytes + size > fullBytes)) {
      yield { rows: portion, last: false }
      portion = []
      bytes = 0
    }
    portion.push(row)
    bytes += size
  }
  yield { rows: portion, last: true }
}

/** Of what the hub may not hold any more (Art. 5, 26), it holds no drafts either. */
const endedDraftsSql = `delete from supply_draft d using resource r where r.code = d.resource and not ${keptSql}`

const dueSql = `
  select r.code as resource, s.snapshot_wanted as wanted
  from stream s join resource r on r.code = s.resource left join resource_table live on live.resource = r.code and live.state = 'live'
  where ${enteredSql} and ${sharedSql} and ${keptSql}
    and (s.snapshot_wanted or s.producer <> $1 or live.version is distinct from r.version)`
