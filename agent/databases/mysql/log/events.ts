/**
 * What a server sends of its binlog, read from its bytes: of each changed row no more than its key's texts are made.
 * Events: MySQL Internals, "Binary Log Event"; MariaDB Knowledge Base, "Replication Protocol".
 */
import { inflateSync, zstdDecompressSync } from 'node:zlib'
import { extent, loggedColumns, type KeyValue, type LoggedColumn } from './values.ts'

/** A table as it is described before its rows, for one who reads it. */
export interface Reads<Of> {
  of: Of
  /** The key's columns: their places in a row; undefined where it cannot be read. */
  key: readonly { place: number; value: KeyValue }[] | undefined
}

/** A place behind an event. */
export interface Place {
  file: string
  place: number
}

/** What is done with what is met, in the log's order. */
export interface Changes<Of> {
  table(database: string, name: string): readonly Reads<Of>[]
  key(of: Of, key: readonly string[]): void
  /** A row of it was changed of which no key is told. */
  unknown(of: Of): void
  /** A statement that is no part of a transaction's frame, as its bytes; `database`: the session's. */
  statement(text: Buffer, database: string): void
  /** What follows is of a transaction that may be prepared (XA), and end much later. */
  branch(): void
  /** It is. */
  prepared(xid: string): void
  /** XA COMMIT, XA ROLLBACK. */
  ended(xid: string, how: 'commit' | 'rollback'): void
  /** Nothing is open: reading can begin here again. */
  boundary(): void
  /** A file begins, which was made then (seconds since 1970). */
  file(made: number): void
  /** The server broke down, and went on in another file. */
  brokeDown(): void
  /** Something is missing, or not understood. */
  gap(): void
}

const code = {
  query: 2,
  stop: 3,
  rotate: 4,
  format: 15,
  xid: 16,
  tableMap: 19,
  oldRows: [20, 21, 22],
  incident: 26,
  heartbeats: [27, 41],
  gtids: [33, 34, 42],
  xaPrepare: 38,
  partialUpdate: 39,
  payload: 40,
  mariadbGtid: 162,
  compressedQuery: 165,
} as const

/** Of no rows: variables of a statement that follows, bookkeeping of the servers. A statement that loads a file is not among them. */
const silent = new Set([5, 13, 14, 28, 29, 35, 36, 37, 160, 161, 163, 164])

type Kind = 'insert' | 'update' | 'delete'
/** Events of rows: what they are, which version, and whether their rows are compressed. */
const rowEvents: Readonly<Record<number, { kind: Kind; version: 1 | 2; compressed?: true; partial?: true }>> = {
  23: { kind: 'insert', version: 1 },
  24: { kind: 'update', version: 1 },
  25: { kind: 'delete', version: 1 },
  30: { kind: 'insert', version: 2 },
  31: { kind: 'update', version: 2 },
  32: { kind: 'delete', version: 2 },
  39: { kind: 'update', version: 2, partial: true },
  166: { kind: 'insert', version: 1, compressed: true },
  167: { kind: 'update', version: 1, compressed: true },
  168: { kind: 'delete', version: 1, compressed: true },
  169: { kind: 'insert', version: 2, compressed: true },
  170: { kind: 'update', version: 2, compressed: true },
  171: { kind: 'delete', version: 2, compressed: true },
}

const headerBytes = 19
const flags = { artificial: 0x20, ignorable: 0x80 }
/** Of MariaDB's GTID event. */
const gtidFlags = { standalone: 1, preparedXa: 64 }

interface Described<Of> {
  description: Buffer
  columns: readonly LoggedColumn[] | undefined
  reads: readonly Reads<Of>[]
}

export class LogEvents<Of> {
  /** Behind the event that was read last. */
  readonly at: Place
  readonly #changes: Changes<Of>
  readonly #tables = new Map<number, Described<Of>>()
  #checksum = 0
  /** Whether an event stands in a transaction, or its first one was met. */
  #inside: 'no' | 'begun' | 'transaction' = 'no'
  /** The last event of a file told that it ends there. */
  #ended = true
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0
  #to = 0

  constructor(from: Place, changes: Changes<Of>) {
    this.at = { ...from }
    this.#changes = changes
  }

  /** Tables are looked at again. */
  forget(): void {
    this.#tables.clear()
  }

  /** One event, from `at` to `to`. */
  take(bytes: Buffer, at: number, to: number): void {
    const type = bytes[at + 4]!
    const flag = bytes.readUInt16LE(at + 17)
    if (type === code.format) this.#format(bytes, at, to)
    else this.#one(bytes, at, to - this.#checksum, type, flag)
    this.#moveTo(bytes, at, type, flag)
    if (this.#inside === 'no' && type !== code.rotate) this.#changes.boundary()
  }

  /** Where an event ends is told by its lower 32 bits; what a server makes only for its reader stands nowhere. */
  #moveTo(bytes: Buffer, at: number, type: number, flag: number): void {
    const low = bytes.readUInt32LE(at + 13)
    const isHeartbeat = code.heartbeats.includes(type as 27)
    if (low === 0 || type === code.rotate || (isHeartbeat ? this.#inside !== 'no' : (flag & flags.artificial) > 0)) return
    const high = this.at.place - (this.at.place % 2 ** 32)
    this.at.place = high + low < this.at.place ? high + low + 2 ** 32 : high + low
  }

  #one(bytes: Buffer, at: number, to: number, type: number, flag: number): void {
    this.#bytes = bytes
    this.#at = at + headerBytes
    this.#to = to
    const rows = rowEvents[type]
    if (rows) return this.#rows(rows)
    switch (type) {
      case code.tableMap:
        return this.#tableMap()
      case code.query:
        return this.#query()
      case code.xid:
        return this.#end()
      case code.rotate:
        return this.#rotate(flag, bytes.readUInt32LE(at))
      case code.stop:
        this.#ended = true
        return
      case code.xaPrepare:
        return this.#prepare()
      case code.mariadbGtid:
        return this.#mariadbGtid()
      case code.payload:
        return this.#payload()
      case code.compressedQuery:
        return this.#query(true)
    }
    if (code.gtids.includes(type as 33)) this.#inside = 'begun'
    else if (code.heartbeats.includes(type as 27) || silent.has(type)) return
    else if (type === code.incident || (flag & flags.ignorable) === 0) this.#changes.gap()
  }

  /** Ends with how the file's events are checked, and is checked itself. */
  #format(bytes: Buffer, at: number, to: number): void {
    this.#checksum = bytes[to - 5] === 1 ? 4 : 0
    this.#tables.clear()
    this.#inside = 'no'
    this.#changes.file(bytes.readUInt32LE(at))
    this.#ended = false
  }

  /** The server tells of each file before it, too; without the file's own word that it ends, the server broke down there. */
  #rotate(flag: number, time: number): void {
    if (time > 0 && (flag & flags.artificial) === 0) {
      this.#ended = true
      return
    }
    const file = this.#bytes.toString('utf8', this.#at + 8, this.#to)
    if (file === this.at.file) return
    if (!this.#ended) this.#changes.brokeDown()
    this.#ended = true
    this.at.file = file
    this.at.place = 4
  }

  #end(): void {
    this.#inside = 'no'
  }

  #mariadbGtid(): void {
    const flags2 = this.#bytes[this.#at + 12]!
    this.#inside = (flags2 & gtidFlags.standalone) > 0 ? 'begun' : 'transaction'
    if ((flags2 & gtidFlags.preparedXa) > 0) this.#changes.branch()
  }

  #query(compressed = false): void {
    const bytes = this.#bytes
    const databaseBytes = bytes[this.#at + 8]!
    let at = this.#at + 13 + bytes.readUInt16LE(this.#at + 11)
    const database = bytes.toString('utf8', at, at + databaseBytes)
    at += databaseBytes + 1
    const text = compressed ? inflated(bytes, at, this.#to) : bytes.subarray(at, this.#to)
    this.#statement(text, database)
  }

  #statement(text: Buffer, database: string): void {
    const word = text.length > 400 ? '' : text.toString('latin1').trim().toUpperCase()
    if (word === 'BEGIN') this.#inside = 'transaction'
    else if (word === 'COMMIT' || word === 'ROLLBACK') this.#end()
    else if (word.startsWith('XA START')) {
      this.#inside = 'transaction'
      this.#changes.branch()
    } else if (/^XA (COMMIT|ROLLBACK) /.test(word)) {
      this.#changes.ended(xidText(word.slice(word.indexOf(' ', 3) + 1)), word.startsWith('XA C') ? 'commit' : 'rollback')
      this.#end()
    } else if (!/^(XA END|SAVEPOINT|ROLLBACK TO|RELEASE SAVEPOINT)\b/.test(word)) {
      this.#changes.statement(text, database)
      if (this.#inside !== 'transaction') this.#end()
    }
  }

  #prepare(): void {
    const bytes = this.#bytes
    const once = bytes[this.#at] !== 0
    const [format, first, second] = [1, 5, 9].map((by) => bytes.readUInt32LE(this.#at + by)) as [number, number, number]
    const data = this.#at + 13
    const hex = (from: number, length: number) => `X'${bytes.toString('hex', from, from + length)}'`
    const xid = xidText(`${hex(data, first)},${hex(data + first, second)},${format}`)
    this.#changes.prepared(xid)
    if (once) this.#changes.ended(xid, 'commit')
    this.#end()
  }

  /** MySQL's compressed transaction (`Transaction_payload_event`): fields of type, length and value, then events without checksums. */
  #payload(): void {
    let compression = 255
    for (;;) {
      const field = this.#packed()
      if (field === 0) break
      const length = this.#packed()
      const next = this.#at + length
      if (field === 2) compression = this.#packed()
      this.#at = next
    }
    const raw = this.#bytes.subarray(this.#at, this.#to)
    const events = compression === 0 ? zstdDecompressSync(raw) : raw
    const checksum = this.#checksum
    this.#checksum = 0
    for (let at = 0; at < events.length;) {
      const to = at + events.readUInt32LE(at + 9)
      this.#one(events, at, to, events[at + 4]!, events.readUInt16LE(at + 17))
      at = to
    }
    this.#checksum = checksum
  }

  #tableMap(): void {
    const bytes = this.#bytes
    const id = bytes.readUIntLE(this.#at, 6)
    const known = this.#tables.get(id)
    const description = bytes.subarray(this.#at, this.#to)
    if (known?.description.equals(description)) return
    this.#at += 8
    const database = this.#name()
    const name = this.#name()
    const reads = this.#changes.table(database, name)
    let columns: LoggedColumn[] | undefined
    if (reads.length > 0) {
      const count = this.#packed()
      const columnTypes = bytes.subarray(this.#at, this.#at + count)
      this.#at += count
      const length = this.#packed()
      columns = loggedColumns(columnTypes, bytes.subarray(this.#at, this.#at + length))
    }
    this.#tables.set(id, { description: Buffer.from(description), columns, reads: reads.map((one) => fitting(one, columns)) })
  }

  #rows({ kind, version, compressed, partial }: (typeof rowEvents)[number] & object): void {
    const table = this.#tables.get(this.#bytes.readUIntLE(this.#at, 6))
    if (!table || table.reads.length === 0) return
    const rows = table.reads.filter(({ of, key }) => {
      if (!key || !table.columns) this.#changes.unknown(of)
      return key && table.columns
    })
    if (rows.length === 0) return
    this.#at += 8
    if (version === 2) this.#at += this.#bytes.readUInt16LE(this.#at)
    const count = this.#packed()
    const first = this.#bits(count)
    const second = kind === 'update' ? this.#bits(count) : first
    if (compressed) {
      this.#bytes = inflated(this.#bytes, this.#at, this.#to)
      this.#at = 0
      this.#to = this.#bytes.length
    }
    while (this.#at < this.#to) {
      const before = this.#image(table.columns!, first)
      const after = kind === 'update' ? this.#image(table.columns!, second, partial) : undefined
      for (const { of, key } of rows) this.#tell(of, key!, kind, before, after)
    }
  }

  /** After a change of a row that is logged in part, what is not told stays what it was. */
  #tell(of: Of, key: NonNullable<Reads<Of>['key']>, kind: Kind, before: Image, after: Image | undefined): void {
    const texts = (image: Image, other?: Image): string[] | undefined => {
      const made: string[] = []
      for (const { place, value } of key) {
        const at = image[place] ?? other?.[place]
        if (!at) return undefined
        made.push(value.sql(this.#bytes, at[0], at[1]))
      }
      return made
    }
    const was = texts(before)
    const is = after && texts(after, before)
    if (was) this.#changes.key(of, was)
    if (is) this.#changes.key(of, is)
    if (!was || (kind === 'update' && !is)) this.#changes.unknown(of)
  }

  /** Where each value of a row stands; undefined for what is null, or not told. */
  #image(columns: readonly LoggedColumn[], present: Buffer, partial = false): Image {
    const documents = partial ? this.#partialDocuments(columns) : undefined
    const told = countBits(present, columns.length)
    const nulls = this.#at
    this.#at += (told + 7) >> 3
    const image: Image = []
    let bit = 0
    let document = 0
    for (const [i, column] of columns.entries()) {
      const isDocument = column.type === 245
      const inPart = isDocument && documents !== undefined && isSet(documents, document)
      if (isDocument) document++
      if (!isSet(present, i)) continue
      const isNull = isSet(this.#bytes, bit++, nulls)
      if (isNull) continue
      const place = extent(this.#bytes, this.#at, inPart ? { type: 245, meta: 4 } : column)
      if (place[1] > this.#to) throw new RangeError('a row is longer than its event')
      this.#at = place[1]
      image[i] = place
    }
    return image
  }

  /** Which documents are told by what was changed in them (MySQL, `binlog_row_value_options`). */
  #partialDocuments(columns: readonly LoggedColumn[]): Buffer | undefined {
    if ((this.#packed() & 1) === 0) return undefined
    return this.#bits(columns.filter(({ type }) => type === 245).length)
  }

  #bits(count: number): Buffer {
    const length = (count + 7) >> 3
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  #name(): string {
    const length = this.#bytes[this.#at]!
    const from = this.#at + 1
    this.#at = from + length + 1
    return this.#bytes.toString('utf8', from, from + length)
  }

  /** A number as the protocol packs it. */
  #packed(): number {
    const first = this.#bytes[this.#at++]!
    if (first < 251) return first
    const length = first === 252 ? 2 : first === 253 ? 3 : 8
    this.#at += length
    return length === 8 ? Number(this.#bytes.readBigUInt64LE(this.#at - 8)) : this.#bytes.readUIntLE(this.#at - length, length)
  }
}

type Image = ([from: number, to: number] | undefined)[]

/** Without the key where the log describes one of its columns otherwise than the catalog does. */
function fitting<Of>({ of, key }: Reads<Of>, columns: readonly LoggedColumn[] | undefined): Reads<Of> {
  const fits = key?.every(({ place, value }) => columns?.[place] !== undefined && value.fits(columns[place]))
  return { of, key: fits ? key : undefined }
}

function isSet(bits: Buffer, at: number, from = 0): boolean {
  return (bits[from + (at >> 3)]! & (1 << (at & 7))) > 0
}

function countBits(bits: Buffer, count: number): number {
  let set = 0
  for (let i = 0; i < count; i++) if (isSet(bits, i)) set++
  return set
}

/** MariaDB's way: how many bytes the length takes, the length, and what zlib made. */
function inflated(bytes: Buffer, at: number, to: number): Buffer {
  return inflateSync(bytes.subarray(at + 1 + (bytes[at]! & 7), to))
}

/** As both servers write it in the log: `X'6162',X'',1`. */
function xidText(text: string): string {
  return text.replaceAll(' ', '').toUpperCase()
}
