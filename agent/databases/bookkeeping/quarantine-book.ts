/** The quarantines of both ends: what stands in them, how refused rows come into the receiver's, and rows that are tried again. */
import type { ErrorCode } from '../../../protocol/errors.ts'
import { isLocalized, readText, storeText } from '../../../protocol/localized.ts'
import { positionNumber, positionOf, type ChainPosition, type Position } from '../../../protocol/position.ts'
import { valueFault, type Value } from '../../../protocol/value.ts'
import { maxKept, type Part, type QuarantinedKey, type Row, type SinkTable } from '../../database.ts'
import { keyHash, type KeptRow, type QuarantinedRow } from './batch.ts'
import { ofPart } from './route-book.ts'
import type { BookDialect, BookSession, Cell } from './session.ts'
import { chunks, join, raw, sql, type Sql } from './statement.ts'

/** Rows that one statement writes. */
const rowsAtOnce = 200
/** Characters of the column. */
const reasonLength = 1000

/** Rows kept of one batch. */
export interface KeptRows {
  position: Position
  rows: KeptRow[]
}

export class QuarantineBook {
  readonly #session: BookSession
  readonly #dialect: BookDialect

  constructor(session: BookSession, dialect: BookDialect) {
    this.#session = session
    this.#dialect = dialect
  }

  get #table(): Sql {
    return raw(this.#dialect.quarantine)
  }

  async count({ route }: SinkTable, part: Part): Promise<number> {
    const [row] = await this.#session.rows(sql`select count(*) from ${this.#table} where ${ofPart(route, part)}`)
    return Number(row![0])
  }

  /** Statements after which none of these keys stands in the quarantine. */
  clearing({ route }: SinkTable, part: Part, keys: readonly Row[]): Sql[] {
    return chunks(keys, this.#dialect.listLength).map((some) => {
      const hashes = some.map((key) => sql`${keyHash(key)}`)
      return sql`delete from ${this.#table} where ${ofPart(route, part)} and key_hash in (${join(hashes, ', ')})`
    })
  }

  async clear(sink: SinkTable, part: Part, keys: readonly Row[]): Promise<void> {
    for (const statement of this.clearing(sink, part, keys)) await this.#session.run(statement)
  }

  /** Writes down keys set aside by the batch at `to`; `already`: how many there are, beyond `maxKept` no rows are kept. */
  async add(sink: SinkTable, part: Part, to: ChainPosition, rows: readonly QuarantinedRow[], already: number): Promise<void> {
    const last = [...new Map(rows.map((row) => [keyHash(row.key), row]))]
    const { at, now, insert } = this.#dialect
    const columns = ['route', 'part', 'key_hash', 'code', 'item', 'position', 'op', at, 'reason', 'key_text', 'kept']
    await this.clear(
      sink,
      part,
      last.map(([, { key }]) => key),
    )
    const room = Math.max(0, maxKept - already)
    const lines = last.map(([hash, { key, code, item, reason, kept }], i) => {
      const keep = i < room ? kept : undefined
      return [
        ...[sink.route, part, hash, code, item ?? null].map((value) => sql`${value}`),
        // Digits, since the number is larger than a double holds exactly.
        raw(positionNumber(to)),
        sql`${keep?.op ?? null}`,
        raw(now),
        sql`${textOfReason(reason)}`,
        sql`${JSON.stringify(key)}`,
        sql`${keep ? JSON.stringify(keep.values) : null}`,
      ]
    })
    for (const some of chunks(lines, rowsAtOnce)) {
      for (const statement of insert(this.#dialect.quarantine, columns, some)) await this.#session.run(statement)
    }
  }

  /** A key that was set aside before a snapshot began and that it did not bring is gone from the source: nothing of it is kept. */
  async forgetOlder({ route }: SinkTable, part: Part, began: Position): Promise<void> {
    await this.#session.run(sql`delete from ${this.#table} where ${ofPart(route, part)} and position < ${raw(positionNumber(began))}`)
  }

  /** Keys that stand in it; those that are no values of their types can be in no table and are left out. */
  async keys({ route, columns }: SinkTable, part: Part): Promise<Row[]> {
    const items = columns.flatMap(({ item }) => (item.key ? [item] : []))
    const rows = await this.#session.rows(sql`select key_text from ${this.#table} where ${ofPart(route, part)}`)
    const sound = (key: Row) => key.every((value, i) => value !== null && valueFault(items[i]!, value) === undefined)
    return rows.map(([key]) => JSON.parse(String(key)) as Row).filter(sound)
  }

  /** Rows kept for another try, by the position of their batch, the oldest first; locked. */
  async kept({ route }: SinkTable, part: Part): Promise<KeptRows[]> {
    const found = await this.#session.rows(
      sql`select position, op, kept from ${this.#table} where ${ofPart(route, part)} and kept is not null order by position, key_hash${raw(this.#dialect.forUpdate)}`,
    )
    const groups = Map.groupBy(found, ([position]) => String(position))
    return Array.from(groups, ([position, rows]) => ({
      position: positionOf(position),
      rows: rows.map(([, op, kept]) => ({ op: op === 'd' ? 'd' : 'u', values: JSON.parse(String(kept)) as Record<string, Value> })),
    }))
  }

  /** Keys that were tried again: those applied leave, those refused say why now. */
  async resolveRetried(sink: SinkTable, part: Part, applied: readonly Row[], refused: readonly QuarantinedRow[]): Promise<void> {
    await this.clear(sink, part, applied)
    for (const { key, code, item, reason } of refused) {
      await this.#session.run(
        sql`update ${this.#table} set code = ${code}, item = ${item ?? null}, reason = ${textOfReason(reason)}
where ${ofPart(sink.route, part)} and key_hash = ${keyHash(key)}`,
      )
    }
  }

  /** See `Database.quarantine`; `there`: which ends this database has. */
  async list(there: { source: boolean; sink: boolean }, name: string | undefined, limit: number): Promise<QuarantinedKey[]> {
    const { first, moment, at, resource, positions, sourceQuarantine } = this.#dialect
    const listed: QuarantinedKey[] = []
    const common = `q.code, q.item, ${moment(`q.${at}`)} as since, q.reason`
    if (there.source) {
      const from = sql`${raw(sourceQuarantine)} q${name === undefined ? raw('') : sql` where q.${raw(resource)} = ${name}`}`
      const columns = `q.${resource}, ${common}, q.key_text`
      for (const [of, ...rest] of await this.#session.rows(first({ columns, from, order: `q.${at}` }, limit)))
        listed.push({ end: 'source', resource: String(of), ...keyFrom(rest), kept: false })
    }
    if (there.sink) {
      const named = name === undefined ? raw('') : sql` and (q.route = ${name} or p.${raw(resource)} = ${name})`
      const from = sql`${this.#table} q inner join ${raw(positions)} p on p.route = q.route and p.part = q.part where q.part = 'live'${named}`
      const columns = `p.${resource}, q.route, case when q.kept is null then 0 else 1 end as is_kept, ${common}, q.key_text`
      for (const [of, route, kept, ...rest] of await this.#session.rows(first({ columns, from, order: `q.${at}` }, limit)))
        listed.push({ end: 'sink', resource: of ? String(of) : '', route: String(route), ...keyFrom(rest), kept: Number(kept) === 1 })
    }
    return listed.toSorted((a, b) => a.since.getTime() - b.since.getTime() || compare(a.key.join(), b.key.join())).slice(0, limit)
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

function keyFrom([code, item, at, reason, key]: readonly Cell[]): Pick<QuarantinedKey, 'key' | 'code' | 'item' | 'reason' | 'since'> {
  const moment = String(at).replace(' ', 'T')
  return {
    key: JSON.parse(String(key)) as Row,
    code: String(code) as ErrorCode,
    ...(item && { item: String(item) }),
    ...(reason && { reason: readText(String(reason)) }),
    since: new Date(moment.endsWith('Z') ? moment : `${moment}Z`),
  }
}

/** Of both languages as much as fits. On Oracle an empty text is null. */
export function textOfReason(reason: QuarantinedRow['reason']): string | null {
  if (!isLocalized(reason)) return reason ? reason.slice(0, reasonLength) : null
  const part = (text: string, length: number) => text.slice(0, length).toWellFormed()
  for (let length = reasonLength; ; length = Math.floor(length * 0.8)) {
    const text = storeText({ zh: part(reason.zh, length), en: part(reason.en, length) })
    if (text.length <= reasonLength) return text
  }
}
