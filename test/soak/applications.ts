/** Applications that write into the tables of one source database: transactions of many kinds, some of which fail or are given up. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../faults/random.ts'
import { openClient, type Client } from '../support/client.ts'
import { tables, type Column } from './tables.ts'

/** Written only in transactions that are given up. */
export const neverCommitted = '从未提交'
/** Milliseconds between an application's transactions. */
const pace = 15

const scripts = [
  '汉字𠮷𰻝', 'ไทย', 'Ελληνικά', 'العربية', 'हिन्दी', '👩‍👩‍👧‍👦', `O'Brien \\ "q"`, 'İıßẞ', '', ' blank', 'null', '\\N', 'a\tb\nc\r', 'བོད་ཡིག',
  'ᠮᠣᠩᠭᠣᠯ', 'ئۇيغۇرچە', 'ⅷ①㍿', 'e\u0301', '\u007f', '$$%s{}', '𝄞', '\u200b', '--;', '한국어',
] // prettier-ignore

export class Application {
  committed = 0
  readonly #url: string
  readonly #number: number
  readonly #random: Random
  #made = 0

  constructor(url: string, number: number, random: Random) {
    this.#url = url
    this.#number = number
    this.#random = random
  }

  /** The wide row whose `c1` grows by one with each transaction that commits. */
  get counter(): number {
    return -1 - this.#number
  }

  async run(signal: AbortSignal): Promise<void> {
    let client: Client | undefined
    while (!signal.aborted) {
      try {
        client ??= await openClient(this.#url)
        await this.transaction(client)
      } catch {
        // The database was killed, or refused a statement: an application begins again on a new connection.
        await client?.end().catch(() => undefined)
        client = undefined
        await sleep(20)
      }
      await sleep(pace)
    }
    await client?.end().catch(() => undefined)
  }

  async transaction(client: Client): Promise<void> {
    const given = this.#random.chance(0.1)
    await client.query('begin')
    for (let n = this.#random.between(1, 6); n > 0; n--) await this.#change(client)
    await run(client, 'update wide set c1 = c1 + 1 where id = ?', [this.counter])
    if (given) await run(client, 'update wide set c0 = ? where id = ?', [neverCommitted, this.counter])
    await client.query(given ? 'rollback' : 'commit')
    if (!given) this.committed++
  }

  async #change(client: Client): Promise<void> {
    const kind = this.#random.between(0, 14)
    if (kind < 2) return this.#person(client)
    if (kind < 4) return this.#order(client)
    if (kind < 6) return this.#licence(client)
    if (kind < 8) return this.#node(client)
    if (kind < 10) return this.#wide(client)
    if (kind === 10) return this.#rotate(client)
    if (kind === 11) return this.#move(client)
    if (kind === 12) return this.#remove(client)
    if (kind === 13) return this.#rename(client)
    return this.#change(client)
  }

  #fresh(): string {
    return `${this.#number}-${++this.#made}-${this.#random.between(0, 999)}`
  }

  #text(): string {
    return Array.from({ length: this.#random.between(0, 4) }, () => this.#random.pick(scripts)).join(' ')
  }

  #day(): string {
    const two = (n: number) => String(n).padStart(2, '0')
    return `${this.#random.between(1900, 2099)}-${two(this.#random.between(1, 12))}-${two(this.#random.between(1, 28))}`
  }

  /** A row that is there, as texts. */
  async #some(client: Client, table: string, columns: string, where = '1 = 1'): Promise<(string | null)[] | undefined> {
    const order = client.engine === 'postgres' ? 'random()' : 'rand()'
    return (await client.query(`select ${columns} from ${table} where ${where} order by ${order} limit 1`))[0]
  }

  async #person(client: Client): Promise<void> {
    const phone = this.#random.chance(0.3) ? null : `138${this.#random.between(0, 99_999)}`
    if (this.#random.chance(0.5)) return insert(client, 'persons', [this.#fresh(), this.#text() || '无', phone, this.#day(), this.#text()])
    const [id] = (await this.#some(client, 'persons', 'id_no')) ?? []
    await run(client, 'update persons set note = ?, born = ? where id_no = ?', [this.#text(), this.#day(), id])
  }

  async #order(client: Client): Promise<void> {
    const [person] = (await this.#some(client, 'persons', 'id_no')) ?? []
    const placed = `${this.#day()} 08:30:00.${String(this.#random.between(0, 999_999)).padStart(6, '0')}`
    const [region, amount] = [this.#random.between(1, 5), (this.#random.between(-99_999, 99_999) / 100).toFixed(2)]
    if (this.#random.chance(0.6))
      return insert(client, 'orders', [region, this.#fresh(), person ?? null, this.#random.between(1, 1e9), amount, placed])
    const [of, no] = (await this.#some(client, 'orders', 'region, order_no')) ?? []
    await run(client, 'update orders set amount = ?, person = ?, placed = ? where region = ? and order_no = ?', [amount, person ?? null, placed, of, no]) // prettier-ignore
  }

  async #licence(client: Client): Promise<void> {
    const active = this.#random.chance(0.5)
    if (this.#random.chance(0.5))
      return insert(client, 'licences', [this.#fresh(), this.#text(), `91${this.#random.between(0, 1e9)}`, this.#day(), active])
    const [no] = (await this.#some(client, 'licences', 'licence_no')) ?? []
    await run(client, 'update licences set holder = ?, active = ? where licence_no = ?', [`${this.#text()} ${this.#fresh()}`, active, no])
  }

  async #node(client: Client): Promise<void> {
    const [parent] = (await this.#some(client, 'tree', 'code')) ?? []
    const place = this.#random.between(1, 1e6)
    return insert(client, 'tree', [this.#fresh(), this.#random.chance(0.2) ? null : (parent ?? null), place, this.#text()])
  }

  #value({ type, id }: Column): unknown {
    if (this.#random.chance(0.2)) return null
    if (type === 'text') return id === 'c0' ? this.#text().repeat(this.#random.between(1, 12)) : this.#text()
    if (type === 'integer') return this.#random.pick(['0', '-9223372036854775808', '9223372036854775807', String(this.#made)])
    if (type === 'decimal') return this.#random.pick(['0.00', '-0.01', '9999999999.99', '12.30'])
    if (type === 'boolean') return this.#random.chance(0.5)
    return type === 'date' ? this.#day() : `${this.#day()} 23:59:59.${String(this.#random.between(0, 999_999)).padStart(6, '0')}`
  }

  async #wide(client: Client): Promise<void> {
    const [, ...columns] = tables.find(({ name }) => name === 'wide')!.columns
    if (this.#random.chance(0.5))
      return insert(client, 'wide', [this.#random.between(1, 1e9), ...columns.map((column) => this.#value(column))])
    const [id] = (await this.#some(client, 'wide', 'id', 'id > 0')) ?? []
    const some = columns.filter(() => this.#random.chance(0.3))
    if (some.length === 0) return
    const set = some.map(({ id: column }) => `${column} = ?`).join(', ')
    await run(client, `update wide set ${set} where id = ?`, [...some.map((column) => this.#value(column)), id])
  }

  /** Rows hand on their unique values in a ring. */
  async #rotate(client: Client): Promise<void> {
    const [table, key, value, type] = this.#random.pick([
      ['persons', 'id_no', 'phone', 'text'],
      ['orders', 'order_no', 'seat', 'number'],
      ['licences', 'licence_no', 'uscc', 'text'],
      ['licences', 'licence_no', 'valid_until', 'day'],
      ['tree', 'code', 'place', 'number'],
    ] as const)
    const many = this.#random.chance(0.1) ? 200 : this.#random.between(2, 5)
    const group = { orders: 'region = 1', tree: 'parent is null', licences: '1 = 1', persons: 'phone is not null' }[table]
    const rows = await client.query(`select ${key}, ${value} from ${table} where ${group} order by ${key} limit ${many}`)
    const aside = {
      text: (i: number) => `~${i}`,
      number: (i: number) => -1 - i,
      day: (i: number) => `3000-01-${String(i + 1).padStart(2, '0')}`,
    }
    if (type === 'day' && rows.length > 28) return
    const set = `update ${table} set ${value} = ? where ${key} = ?${table === 'orders' ? ' and region = 1' : ''}`
    for (const [i, [id]] of rows.entries()) await run(client, set, [aside[type](i), id])
    for (const [i, [id]] of rows.entries()) await run(client, set, [rows[(i + 1) % rows.length]![1], id])
  }

  /** A part of the tree goes to another place, never below itself: only towards older nodes. */
  async #move(client: Client): Promise<void> {
    const [code] = (await this.#some(client, 'tree', 'code')) ?? []
    const [other] = (await this.#some(client, 'tree', 'code', 'parent is null')) ?? []
    if (code !== other) await run(client, 'update tree set parent = ? where code = ? and parent is not null', [other, code])
  }

  /** What others refer to, their foreign keys keep. */
  async #remove(client: Client): Promise<void> {
    const [table, key] = this.#random.pick([
      ['persons', 'id_no'],
      ['orders', 'order_no'],
      ['licences', 'licence_no'],
      ['wide', 'id'],
      ['tree', 'code'],
    ] as const)
    const free = { persons: 'id_no not in (select person from orders where person is not null)', tree: 'code not in (select parent from tree where parent is not null)', wide: 'id > 0' } // prettier-ignore
    const [id] = (await this.#some(client, table, key, table in free ? free[table as keyof typeof free] : '1 = 1')) ?? []
    await run(client, `delete from ${table} where ${key} = ?`, [id])
  }

  /** The key changes; a deleted one's values may come again under another. */
  async #rename(client: Client): Promise<void> {
    const [table, key] = this.#random.pick([
      ['orders', 'order_no'],
      ['licences', 'licence_no'],
    ] as const)
    const [id] = (await this.#some(client, table, key)) ?? []
    await run(client, `update ${table} set ${key} = ? where ${key} = ?`, [this.#fresh(), id])
  }
}

/** Placeholders as the engine writes them. */
export async function run(client: Client, sql: string, values: readonly unknown[]): Promise<void> {
  let n = 0
  const text = client.engine === 'postgres' ? sql.replace(/\?/g, () => `$${++n}`) : sql
  await client.query(
    text,
    values.map((value) => value ?? null),
  )
}

export function insert(client: Client, table: string, values: readonly unknown[]): Promise<void> {
  return run(client, `insert into ${table} values (${values.map(() => '?').join(', ')})`, values)
}
