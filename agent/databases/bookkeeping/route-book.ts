/** What the target database remembers of each route: where it stands, what its table was made for, and whose rows are whose. */
import { isAfter, type ChainPosition } from '../../../protocol/position.ts'
import { mappingText, type Change, type Part, type SinkState, type SinkTable } from '../../database.ts'
import type { BookDialect, BookSession, Cell } from './session.ts'
import { join, raw, same, sql, type Sql } from './statement.ts'

export interface StoredState extends SinkState {
  /** As configured. */
  table: string | null
  /** Tables that it filled before. */
  former: string[]
}

/** A route that has ended and whose rows go. */
export interface Ending {
  route: string
  source: string
  /** As configured, those from before a change of name among them. */
  tables: string[]
  removal: string | null
  removed: number
}

/** Names that a dialect gives, as parts of statements. */
interface Names {
  positions: Sql
  quarantine: Sql
  source: Sql
  resource: Sql
  at: Sql
  now: Sql
  forUpdate: Sql
  yes: Sql
  no: Sql
}

export class RouteBook {
  readonly #session: BookSession
  readonly #n: Names

  constructor(session: BookSession, dialect: BookDialect) {
    const { positions, quarantine, source, resource, at, now, forUpdate, yes, no } = dialect
    this.#session = session
    this.#n = {
      positions: raw(positions),
      quarantine: raw(quarantine),
      source: raw(source),
      resource: raw(resource),
      at: raw(at),
      now: raw(now),
      forUpdate: raw(forUpdate),
      yes: raw(yes),
      no: raw(no),
    }
  }

  async read(route: string, part: Part): Promise<StoredState | null> {
    const { positions, quarantine } = this.#n
    const [row] = await this.#session.rows(
      sql`select p.epoch, p.seq, p.hash, p.began_epoch, p.began_seq, p.complete, p.schema_version, p.table_name,
  (select count(*) from ${quarantine} q where q.route = p.route and q.part = p.part), p.items, p.key_items, p.former, p.mapping
from ${positions} p where p.route = ${route} and p.part = ${part}`,
    )
    return row ? storedState(row) : null
  }

  /** Writes down what a part is made for, its position empty; a table of another name that it filled before is not forgotten. */
  async writeFresh(sink: SinkTable, part: Part, before?: StoredState | null): Promise<void> {
    const columns = Object.fromEntries(sink.columns.map(({ item, column }) => [item.id, column]))
    const keys = sink.columns.flatMap(({ item }) => (item.key ? [item.id] : []))
    const former = new Set([...(before?.former ?? []), ...(before?.table ? [before.table] : [])])
    former.delete(sink.table)
    const { positions, source, resource, at, now } = this.#n
    await this.forget(sink.route, part)
    await this.#session.run(
      sql`insert into ${positions} (route, part, schema_version, table_name, ${source}, ${resource}, ${at}, items, key_items, former, mapping)
values (${sink.route}, ${part}, ${sink.schema.version}, ${sink.table}, ${sink.source}, ${sink.resource}, ${now},
  ${JSON.stringify(columns)}, ${JSON.stringify(keys)}, ${JSON.stringify([...former])}, ${mappingText(sink.columns)})`,
    )
  }

  /** The version that the live part has followed; its table, which an older agent did not write down. */
  async noteTable(sink: SinkTable): Promise<void> {
    const { positions, source, resource } = this.#n
    await this.#session.run(
      sql`update ${positions} set table_name = ${sink.table}, ${source} = ${sink.source}, ${resource} = ${sink.resource},
  schema_version = ${sink.schema.version} where ${ofPart(sink.route, 'live')}`,
    )
  }

  /** Compare-and-set of the position: it changes one row where the part stood at `from`, else none. */
  move({ route }: SinkTable, part: Part, { from, to, snapshot }: Pick<Change, 'from' | 'to' | 'snapshot'>): Sql {
    const { positions, at, now, yes } = this.#n
    const began = snapshot && !snapshot.last ? snapshot.began : null
    const changes = [
      sql`epoch = ${to.epoch}, seq = ${to.seq}, hash = ${to.hash}, ${at} = ${now}`,
      ...(snapshot ? [sql`began_epoch = ${began?.epoch ?? null}, began_seq = ${began?.seq ?? null}`] : []),
      ...(snapshot?.last ? [sql`complete = ${yes}`] : []),
    ]
    return sql`update ${positions} set ${join(changes, ', ')} where ${ofPart(route, part)} and ${standsAt(from)}`
  }

  /** The shadow's state takes the live one's place; within a transaction. */
  async shadowToLive({ route }: SinkTable): Promise<void> {
    const { positions, quarantine } = this.#n
    const live = await this.read(route, 'live')
    await this.forget(route, 'live')
    const former = JSON.stringify(live?.former ?? [])
    await this.#session.run(sql`update ${positions} set part = 'live', former = ${former} where ${ofPart(route, 'shadow')}`)
    await this.#session.run(sql`update ${quarantine} set part = 'live' where ${ofPart(route, 'shadow')}`)
  }

  async forget(route: string, part: Part): Promise<void> {
    for (const table of [this.#n.positions, this.#n.quarantine])
      await this.#session.run(sql`delete from ${table} where ${ofPart(route, part)}`)
  }

  /** Other routes' live parts of the same source and resource in the same table. */
  async othersOf(sink: SinkTable): Promise<{ route: string; removal: string | null }[]> {
    const { positions, source, resource } = this.#n
    const rows = await this.#session.rows(
      sql`select route, removal from ${positions} where part = 'live' and route <> ${sink.route} and table_name = ${sink.table}
and ${source} = ${sink.source} and ${resource} = ${sink.resource} and (removal is null or removal <> 'done')`,
    )
    return rows.map(([route, removal]) => ({ route: String(route), removal: removal === null ? null : String(removal) }))
  }

  /** `sink`'s route goes on from where `other` was, where that is further; within a transaction. */
  async inherit(sink: SinkTable, other: string): Promise<void> {
    const [own, theirs] = [await this.#locked(sink.route), (await this.#locked(other))!]
    const here = own?.table === sink.table ? own.position : null
    await this.forget(other, 'shadow')
    if (!theirs.position || (here && !isAfter(theirs.position, here))) return this.forget(other, 'live')
    await this.forget(sink.route, 'live')
    for (const table of [this.#n.positions, this.#n.quarantine]) {
      await this.#session.run(sql`update ${table} set route = ${sink.route} where route = ${other}`)
    }
  }

  async #locked(route: string): Promise<StoredState | null> {
    const { positions, forUpdate } = this.#n
    await this.#session.rows(sql`select seq from ${positions} where ${ofPart(route, 'live')}${forUpdate}`)
    return this.read(route, 'live')
  }

  /** Local columns that other routes fill in the same table. */
  async othersColumns(sink: SinkTable): Promise<Set<string>> {
    const rows = await this.#session.rows(
      sql`select items from ${this.#n.positions} where route <> ${sink.route} and table_name = ${sink.table}`,
    )
    return new Set(rows.flatMap(([items]) => Object.values(columnsOf(items!))))
  }

  async ending(route: string): Promise<Ending | undefined> {
    const { positions, source } = this.#n
    const [row] = await this.#session.rows(
      sql`select table_name, ${source}, removal, removed, former from ${positions} where ${ofPart(route, 'live')}`,
    )
    if (!row) return undefined
    const [table, from, removal, removed, former] = row
    const tables = [...listOf(former!), ...(table ? [String(table)] : [])]
    return { route, source: from ? String(from) : '', tables, removal: removal ? String(removal) : null, removed: Number(removed) }
  }

  /** From here on the route has no position: whatever becomes of the removal, it would begin anew. Within a transaction. */
  async beginRemoval(route: string): Promise<void> {
    const { positions, quarantine, no } = this.#n
    await this.forget(route, 'shadow')
    await this.#session.run(sql`delete from ${quarantine} where route = ${route}`)
    await this.#session.run(
      sql`update ${positions} set removal = 'begun', removed = 0, epoch = null, seq = null, hash = null, began_epoch = null, began_seq = null,
  complete = ${no} where ${ofPart(route, 'live')}`,
    )
  }

  async noteRemoved(route: string, rows: number, done: boolean): Promise<void> {
    const state = done ? 'done' : 'begun'
    await this.#session.run(
      sql`update ${this.#n.positions} set removal = ${state}, removed = removed + ${rows} where ${ofPart(route, 'live')}`,
    )
  }

  /** Tables that other routes of this source fill now: the rows in them are theirs. */
  async takenTables({ route, source }: Ending): Promise<string[]> {
    const rows = await this.#session.rows(
      sql`select distinct table_name from ${this.#n.positions} where part = 'live' and route <> ${route} and table_name is not null
and ${this.#n.source} = ${source} and removal is null`,
    )
    return rows.map(([table]) => String(table))
  }

  /** See `Delivery.settleRemovals`. */
  async settleRemovals(wanted: readonly string[]): Promise<void> {
    const { positions } = this.#n
    for (const [route, removal] of await this.#session.rows(sql`select route, removal from ${positions} where removal is not null`)) {
      if (wanted.includes(String(route))) continue
      const where = ofPart(String(route), 'live')
      await this.#session.run(
        removal === 'done' ? sql`delete from ${positions} where ${where}` : sql`update ${positions} set removal = null where ${where}`,
      )
    }
  }
}

export function ofPart(route: string, part: Part): Sql {
  return sql`route = ${route} and part = ${part}`
}

function standsAt(from: ChainPosition | null): Sql {
  return join([same('epoch', from?.epoch ?? null), same('seq', from?.seq ?? null), same('hash', from?.hash ?? null)], ' and ')
}

function storedState(row: readonly Cell[]): StoredState {
  const [epoch, seq, hash, beganEpoch, beganSeq, complete, version, table, quarantine, items, keys, former, mapping] = row
  const columns = columnsOf(items!)
  return {
    position: epoch === null ? null : { epoch: Number(epoch), seq: Number(seq), hash: String(hash) },
    snapshot: beganEpoch === null ? null : { epoch: Number(beganEpoch), seq: Number(beganSeq) },
    complete: isSet(complete!),
    schemaVersion: Number(version),
    items: Object.keys(columns),
    columns,
    keys: keys ? listOf(keys) : undefined,
    // On Oracle an empty text is null.
    mapping: mapping ? String(mapping) : '',
    table: table ? String(table) : null,
    former: listOf(former!),
    quarantine: Number(quarantine),
  }
}

function isSet(flag: Cell): boolean {
  return flag === true || flag === 't' || Number(flag) === 1
}

function listOf(text: Cell): string[] {
  return text ? (JSON.parse(String(text)) as string[]) : []
}

/** An older agent wrote down the ids alone; columns that are not known are taken for the items' names. */
function columnsOf(items: Cell): Record<string, string> {
  const found = JSON.parse(String(items)) as Record<string, string> | string[]
  const columns = Array.isArray(found) ? Object.fromEntries(found.map((id) => [id, id])) : found
  return Object.assign(Object.create(null) as object, columns)
}
