/**
 * What a walsender sends of one slot, read from its bytes: of each change no more than its key's texts are made.
 * Messages: PostgreSQL manual, "Streaming Replication Protocol" and "Logical Replication Message Formats", version 1 of pgoutput.
 */

/** One relation as the log describes it, for one who reads it. */
export interface Relation<Of> {
  of: Of
  /** For each of the key's columns its place in a tuple; undefined where the log does not bring one of them in every tuple. */
  places: readonly number[] | undefined
}

export type Operation = 'insert' | 'update' | 'delete' | 'truncate'

export interface LoggedColumn {
  name: string
  /** Part of the replica identity: old tuples have its value. */
  identity: boolean
}

/** What is done with the changes, in the log's order. */
export interface Changes<Of> {
  begin(xid: number): void
  /** `end`: the place in the log behind the transaction. */
  commit(end: bigint): void
  /** A relation is met for the first time in this session, or has another shape than before. @returns one for each who reads it. */
  relation(oid: number, columns: readonly LoggedColumn[]): readonly Relation<Of>[]
  key(of: Of, key: readonly (string | null)[]): void
  /** Something was changed of which no key is told. */
  unknown(of: Of, what: Operation): void
}

const [begin, commit, insert, update, remove, truncate] = [0x42, 0x43, 0x49, 0x55, 0x44, 0x54]
/** Tells what a relation is, before its changes. */
export const relationMessage = 0x52
const [newTuple, nullValue, unchanged] = [0x4e, 0x6e, 0x75]

type Key = (string | null)[] | undefined

export class LogMessages<Of> {
  readonly #changes: Changes<Of>
  readonly #relations = new Map<number, readonly Relation<Of>[]>()
  #at = 0
  /** Kind of the message that is read. */
  #what = 0

  constructor(changes: Changes<Of>) {
    this.#changes = changes
  }

  /** One message of pgoutput, from `at` on. */
  take(bytes: Buffer, at: number): void {
    const kind = bytes[at]!
    this.#at = at + 1
    this.#what = kind
    if (kind === begin) this.#changes.begin(bytes.readUInt32BE(at + 17))
    else if (kind === commit) this.#changes.commit(bytes.readBigUInt64BE(at + 10))
    else if (kind === relationMessage) this.#relation(bytes)
    else if (kind === insert) this.#change(bytes, 'insert')
    else if (kind === update) this.#change(bytes, 'update')
    else if (kind === remove) this.#change(bytes, 'delete')
    else if (kind === truncate) this.#truncate(bytes)
    // Origins, types and messages of others say nothing of rows.
  }

  #relation(bytes: Buffer): void {
    const oid = this.#int32(bytes)
    this.#text(bytes)
    this.#text(bytes)
    this.#at++
    const columns = Array.from({ length: this.#int16(bytes) }, () => {
      const identity = (bytes[this.#at++]! & 1) === 1
      const name = this.#text(bytes)
      this.#at += 8
      return { name, identity }
    })
    this.#relations.set(oid, this.#changes.relation(oid, columns))
  }

  #change(bytes: Buffer, what: Operation): void {
    const relations = this.#relations.get(this.#int32(bytes)) ?? []
    const at = this.#at
    for (const { of, places } of relations) {
      this.#at = at
      if (!places || !this.#keys(bytes, of, places)) this.#changes.unknown(of, what)
    }
  }

  /** An update whose key has changed brings the old one first; a delete brings nothing else. @returns whether all are told. */
  #keys(bytes: Buffer, of: Of, places: readonly number[]): boolean {
    let old: Key
    if (bytes[this.#at++] !== newTuple) {
      old = this.#tuple(bytes, places, undefined)
      if (!old) return false
      this.#changes.key(of, old)
      if (this.#what === remove) return true
      this.#at++
    }
    const key = this.#tuple(bytes, places, old)
    if (key && (!old || key.some((value, i) => value !== old[i]))) this.#changes.key(of, key)
    return key !== undefined
  }

  /** The key's texts; one that is stored elsewhere and did not change is that of the old tuple. Undefined where one is not told. */
  #tuple(bytes: Buffer, places: readonly number[], old: Key): Key {
    const key: (string | null)[] = places.map(() => null)
    let told = true
    const count = this.#int16(bytes)
    for (let column = 0; column < count; column++) {
      const kind = bytes[this.#at++]!
      const k = places.indexOf(column)
      if (kind === nullValue) continue
      if (kind === unchanged) {
        if (k >= 0 && old) key[k] = old[k]!
        else if (k >= 0) told = false
        continue
      }
      const end = this.#at + 4 + bytes.readInt32BE(this.#at)
      if (k >= 0) key[k] = bytes.toString('utf8', this.#at + 4, end)
      this.#at = end
    }
    return told ? key : undefined
  }

  #truncate(bytes: Buffer): void {
    const count = this.#int32(bytes)
    this.#at++
    for (let i = 0; i < count; i++) {
      for (const { of } of this.#relations.get(this.#int32(bytes)) ?? []) this.#changes.unknown(of, 'truncate')
    }
  }

  #int16(bytes: Buffer): number {
    this.#at += 2
    return bytes.readInt16BE(this.#at - 2)
  }

  #int32(bytes: Buffer): number {
    this.#at += 4
    return bytes.readUInt32BE(this.#at - 4)
  }

  #text(bytes: Buffer): string {
    const end = bytes.indexOf(0, this.#at)
    const text = bytes.toString('utf8', this.#at, end)
    this.#at = end + 1
    return text
  }
}
