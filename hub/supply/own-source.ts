/** The hub's own end of a reconciliation (SPEC section 15): of what people enter, the resource's table is the source. */
import { isDeepStrictEqual } from 'node:util'
import { Collector, entriesFrom, keysOf, narrowing, Portions } from '../../protocol/collected-rows.ts'
import { RowHasher, TableDigest, finestBits } from '../../protocol/digest.ts'
import { codedError, QianzhiError } from '../../protocol/errors.ts'
import { samePosition, type ChainPosition } from '../../protocol/position.ts'
import {
  maxEntries,
  outcomeOf,
  signReconciliation,
  type Doubt,
  type Measured,
  type NarrowedItem,
  type StepAnswer,
  type StepOf,
} from '../../protocol/reconciliation.ts'
import { keyItems } from '../../protocol/schema.ts'
import type { SigningKey } from '../../protocol/signature.ts'
import { valueFault, type Value } from '../../protocol/value.ts'
import type { Done, LongStep, Side } from '../reconciliation/asking.ts'
import type { OwnRun } from '../reconciliation/runner.ts'
import { isGone } from '../sharing/reading.ts'
import type { Store } from '../store/store.ts'
import type { Reader, ReadRow } from '../tables/reader.ts'
import { byKeysSql, countStandingSql, quoted, tableName, type TableShape } from '../tables/shape.ts'
import type { EnteredResource } from './entered-resource.ts'
import type { Bringing } from './entries.ts'
import { portions, type HubProducer } from './producer.ts'

export interface OwnSourceDeps {
  store: Pick<Store, 'query'>
  reader: Reader
  producer: Pick<HubProducer, 'current' | 'write'>
  hubKey: SigningKey
  clock: () => Date
}

/** How often a table that moves is read again to have it confirmed. */
const tries = 3
/** Rows whose values are asked for again, about; a longer value is not. */
const [sampleRows, longestValue] = [100, 1_000]

/** The table as it stands, with the compared items. */
interface Standing {
  resource: EnteredResource
  shape: TableShape
  id: string
}

/** What the table's follower has noted of it. */
interface Noted {
  place: ChainPosition
  rows: number
}

/** One run; it lives in memory alone, as an agent's does. */
export class OwnSource implements Side {
  narrowed: NarrowedItem[] = []
  readonly #deps: OwnSourceDeps
  readonly #run: OwnRun
  #hasher: RowHasher | undefined
  #digest = new TableDigest()
  #measured: Measured | undefined
  readonly #portions = new Portions()
  readonly #followed = new Map<string, { keyHash: string; hash: string | null }>()

  constructor(deps: OwnSourceDeps, run: OwnRun) {
    this.#deps = deps
    this.#run = run
  }

  async long<N extends LongStep>(name: N, step: Omit<StepOf<N>, 'do'>): Promise<Done<N>> {
    await this.#run.goOn('source', name, 0)
    const works: { [M in LongStep]: (step: Omit<StepOf<M>, 'do'>) => Promise<Done<M>> } = {
      digest: () => this.#sumUp(),
      collect: (asked) => this.#collect(asked),
      recheck: (asked) => this.#recheck(asked),
      repair: (asked) => this.#repair(asked),
      remove: () => Promise.reject(new Error('a source removes nothing')),
    }
    try {
      return await works[name](step)
    } catch (error) {
      throw isGone(error) ? new QianzhiError('QZ-RECONCILE-LOST', { run: this.#run.run }) : error
    }
  }

  async buckets(bits: number): Promise<Buffer> {
    return this.#digest.buckets(bits)
  }

  async entries(count: number): Promise<Buffer> {
    return entriesFrom(this.#portions.last!, 0, count)
  }

  async keys(hashes: string[]): Promise<Value[][]> {
    return keysOf(this.#portions.last!, hashes)
  }

  async total(without: StepOf<'total'>['without']): Promise<StepAnswer<'total'>> {
    const left = new Set(without.map((key) => JSON.stringify(key)))
    const total = this.#portions.total(this.#digest, this.#followed, (key) => left.has(key))
    this.#measured = { ...this.#measured!, ...total }
    return total
  }

  async sign(statement: StepOf<'sign'>['statement']): Promise<string> {
    const { run } = this.#run
    const same = isDeepStrictEqual({ ...statement.source }, { ...this.#measured }) && statement.outcome === outcomeOf(statement)
    if (!same) throw new QianzhiError('QZ-RECONCILE-NUMBERS', { run, what: { zh: '来源方', en: 'source' } })
    return signReconciliation(statement, this.#deps.hubKey)
  }

  /** Throws QZ-RECONCILE-NOT-NOW where the stream is not at rest, or another version than the run's is in force. */
  async #table(): Promise<Standing> {
    const { route } = this.#run
    const { resource, state } = await this.#deps.producer.current(route.resource).catch((error: unknown) => {
      if (codedError(error).code !== 'QZ-DATA-PREPARING') throw error
      throw notNow()
    })
    if (state.next !== 'goes-on' || resource.schema.version !== route.schema) throw notNow()
    const items = resource.schema.items.filter(({ id }) => route.items.includes(id))
    const { id } = state.live!
    return { resource, id, shape: { name: tableName(id), items, keys: keyItems({ items }) } }
  }

  #hasherOf({ items }: TableShape): RowHasher {
    return (this.#hasher ??= new RowHasher(items, this.#run.salt))
  }

  /** Rows as the receiver's mapping leaves them. */
  async *#rows({ name, items }: TableShape): AsyncGenerator<{ row: ReadRow; compared: readonly Value[] }> {
    const narrow = narrowing(items, this.narrowed)
    const { goOn, signal } = this.#run
    let read = 0
    for await (const rows of this.#deps.reader.stream(items, `select ${items.map(({ id }) => quoted(id)).join(', ')} from ${name}`, [])) {
      signal.throwIfAborted()
      for (const row of rows) yield { row, compared: narrow?.(row) ?? row }
      if (Math.floor(read / 100_000) < Math.floor((read += rows.length) / 100_000)) await goOn('source', 'digest', read)
    }
  }

  async #noted(id: string): Promise<Noted> {
    const [noted] = await this.#deps.store.query<Noted>(
      `select rows::float8 as rows, jsonb_build_object('epoch', epoch, 'seq', seq, 'hash', hash) as place from resource_table where id = $1`,
      [id],
    )
    if (!noted) throw new QianzhiError('QZ-RECONCILE-LOST', { run: this.#run.run })
    return noted
  }

  /** What stood still while it was read is confirmed in another way: by the follower's own count, and value by value. */
  async #sumUp(): Promise<Done<'digest'>> {
    const { clock } = this.#deps
    const from = clock().toISOString()
    for (let tried = 1; ; tried++) {
      const { shape, id } = await this.#table()
      const before = await this.#noted(id)
      const hasher = this.#hasherOf(shape)
      const share = (2 ** finestBits * sampleRows) / Math.max(1, before.rows)
      const sample: ReadRow[] = []
      this.#digest = new TableDigest()
      for await (const { row, compared } of this.#rows(shape)) {
        const bucket = hasher.bucket(hasher.keyText(compared))
        this.#digest.add(bucket, hasher.row(compared))
        if (bucket < share && row.every((value) => (value?.length ?? 0) <= longestValue)) sample.push(row)
      }
      const { place } = await this.#noted(id)
      const still = samePosition(place, before.place)
      if (!still && tried < tries) continue
      const doubt = still ? await this.#doubt(shape, before.rows, sample) : undefined
      this.#measured = { ...this.#digest.total(), from, to: clock().toISOString(), ...(doubt && { doubt }) }
      return { done: true, ...this.#measured, position: before.place }
    }
  }

  async #doubt(shape: TableShape, rows: number, sample: readonly ReadRow[]): Promise<Doubt | undefined> {
    if (this.#digest.rows !== rows) return 'rows'
    const compared = shape.items.flatMap((item, i) => (item.type === 'json' || item.type === 'binary' ? [] : [{ item, i }]))
    const columns = compared.map(({ i }) => JSON.stringify(sample.map((row) => row[i])))
    const [[standing] = []] = await this.#deps.reader.texts(
      countStandingSql({ ...shape, items: compared.map(({ item }) => item) }),
      columns,
    )
    return Number(standing) === sample.length ? undefined : 'values'
  }

  async #collect({ bits, buckets }: Omit<StepOf<'collect'>, 'do'>): Promise<Done<'collect'>> {
    const { shape } = await this.#table()
    const collector = new Collector(this.#hasherOf(shape), bits, buckets)
    for await (const { compared } of this.#rows(shape)) {
      collector.add(compared)
      if (collector.rows > maxEntries) throw new QianzhiError('QZ-RECONCILE-MANY', { route: this.#run.route.route, limit: maxEntries })
    }
    this.#portions.begin(collector.collected(), this.#followed)
    return { done: true, entries: collector.rows }
  }

  /** The rows are read before the place: the receiver that has applied it has them all. */
  async #recheck({ keys }: Omit<StepOf<'recheck'>, 'do'>): Promise<Done<'recheck'>> {
    const { shape } = await this.#table()
    const hasher = this.#hasherOf(shape)
    const narrow = narrowing(shape.items, this.narrowed)
    const found = new Map<string, string>()
    for (const row of await rowsAt(this.#deps.reader, shape, keys)) {
      const compared = narrow?.(row) ?? row
      found.set(hasher.keyText(compared), Buffer.from(hasher.row(compared), 'latin1').toString('base64url'))
    }
    const hashes = keys.map((key) => found.get(hasher.textOfKey(key)) ?? null)
    keys.forEach((key, i) => this.#followed.set(JSON.stringify(key), { keyHash: hasher.keyHash(hasher.textOfKey(key)), hash: hashes[i]! }))
    const { id } = await this.#table()
    return { done: true, hashes, faults: keys.map(() => null), position: (await this.#noted(id)).place }
  }

  /** The rows that stand at these keys travel once more, as they are; nobody has changed them. */
  async #repair({ keys }: Omit<StepOf<'repair'>, 'do'>): Promise<Done<'repair'>> {
    const { reader, producer } = this.#deps
    const { shape, resource } = await this.#table()
    const whole = { ...shape, items: resource.items, keys: resource.keys }
    const places = resource.items.flatMap(({ key }, i) => (key ? [i] : []))
    const rows = await rowsAt(reader, whole, keys)
    for await (const { rows: some } of rows.length === 0 ? [] : portions(rows)) {
      const own = some.map((row) => places.map((i) => row[i]!))
      await producer.write(resource.code, resending, async (held) => {
        const { items, keys: now } = held.resource
        const standing = await rowsAt(reader, { name: held.share.table.name, items, keys: now }, own)
        return standing.map((row) => ({ op: 'again', values: Object.fromEntries(items.map(({ id }, i) => [id, row[i]!])) }))
      })
    }
    const hasher = this.#hasherOf(shape)
    const standing = new Set(rows.map((row) => JSON.stringify(hasher.canonicalKey(places.map((i) => row[i]!)))))
    const { id } = await this.#table()
    const absent = keys.filter((key) => !standing.has(JSON.stringify(key)))
    return { done: true, position: (await this.#noted(id)).place, absent }
  }
}

const resending: Bringing = { act: 'supply.resend', person: null, by: { actor: 'hub' } }

/** Rows at keys that somebody named; a key that is none of its types has no row. */
async function rowsAt(reader: Pick<Reader, 'rows'>, shape: TableShape, keys: readonly (readonly Value[])[]): Promise<ReadRow[]> {
  const sound = keys.filter((key) => shape.keys.every((item, i) => key[i] !== null && !valueFault(item, key[i]!)))
  if (sound.length === 0) return []
  const columns = shape.keys.map((_, i) => JSON.stringify(sound.map((key) => key[i])))
  return reader.rows(shape.items, byKeysSql(shape, shape.items), columns)
}

function notNow(): QianzhiError {
  return new QianzhiError('QZ-RECONCILE-NOT-NOW', {
    reason: { zh: '中心正在生成该资源的快照', en: 'the hub is making a snapshot of the resource' },
  })
}
