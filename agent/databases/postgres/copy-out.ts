/**
 * Rows that COPY sends, made into the columns of a batch byte by byte: no value is made. It is a shortcut of the way by values (rows.ts): where a
 * value cannot surely travel as it is, `odd` is set and the rows are read again that way.
 */
import { isUtf8 } from 'node:buffer'
import type { Socket } from 'node:net'
import type pg from 'pg'
import type { RowBlocks } from '../../database.ts'

const [tab, lineFeed, space, quote, plus, comma, digit0, digit9] = [0x09, 0x0a, 0x20, 0x22, 0x2b, 0x2c, 0x30, 0x39]
const [opening, backslash, closing, letterC, letterN, letterT, letterZ] = [0x5b, 0x5c, 0x5d, 0x43, 0x4e, 0x54, 0x5a]
const hexDigits = Buffer.from('0123456789abcdef')

/** Bytes that mean themselves in COPY's text and in JSON's. */
const plain = new Uint8Array(256).fill(1)
plain.fill(0, 0, 0x20)
plain[quote] = 0
plain[backslash] = 0

/** How a column's text as PostgreSQL writes it becomes the portable one. */
export type Form = 'same' | 'date' | 'timestamp' | 'timestamptz' | 'number' | 'boolean' | 'time'
const forms: readonly Form[] = ['same', 'date', 'timestamp', 'timestamptz', 'number', 'boolean', 'time']

export interface CopiedColumn {
  form: Form
  /** Characters that its texts may have. */
  longest?: number
}

/** Bytes of a line from which on the room for each of its values is reckoned. */
const longLine = 1 << 12
/** Bytes that are kept for a column from one reading to the next. */
const mostKept = 1 << 20

/** COPY's text, line by line, into one JSON array for each column. Behind the columns may stand one that is null in every sound row. */
export class CopiedColumns {
  rows = 0
  odd = false
  readonly #forms: Uint8Array
  readonly #longest: Float64Array
  readonly #buffers: Buffer[]
  readonly #ends: Uint32Array
  readonly #counted: boolean

  constructor(columns: readonly CopiedColumn[], counted: boolean) {
    this.#forms = Uint8Array.from(columns, ({ form }) => forms.indexOf(form))
    this.#longest = Float64Array.from(columns, ({ longest }) => longest ?? Infinity)
    this.#buffers = columns.map(() => Buffer.allocUnsafeSlow(1 << 14))
    this.#ends = new Uint32Array(columns.length)
    this.#counted = counted
    this.reset()
  }

  reset(): void {
    this.rows = 0
    this.odd = false
    this.#ends.fill(1)
    for (const [c, buffer] of this.#buffers.entries()) {
      if (buffer.length > mostKept) this.#buffers[c] = Buffer.allocUnsafeSlow(1 << 14)
      this.#buffers[c]![0] = opening
    }
  }

  /** One line with its line feed. */
  take(bytes: Buffer, from: number, to: number): void {
    let at = from
    for (let c = 0; c < this.#buffers.length; c++) {
      let out = this.#buffers[c]!
      let end = this.#ends[c]!
      // No byte becomes more than six.
      const room = 6 * (to - from > longLine ? valueEnd(bytes, at, to) - at : to - from) + 8
      if (end + room > out.length) out = this.#grow(c, room)
      if (bytes[at] === backslash && bytes[at + 1] === letterN) {
        at += 2
        end += out.write('null', end, 'latin1')
      } else {
        out[end++] = quote
        const begin = end
        for (;;) {
          const byte = bytes[at]!
          if (plain[byte] === 1) {
            out[end++] = byte
            at++
          } else if (byte === tab || byte === lineFeed) break
          else {
            end = escape(bytes, at, out, end)
            at += byte === backslash ? 2 : 1
          }
        }
        if (end - begin > this.#longest[c]! && characters(out, begin, end) > this.#longest[c]!) this.odd = true
        if (this.#forms[c] !== 0) end = this.#portable(this.#forms[c]!, out, begin, end)
        out[end++] = quote
      }
      out[end++] = comma
      this.#ends[c] = end
      at++
    }
    if (this.#counted && (bytes[at] !== backslash || bytes[at + 1] !== letterN)) this.odd = true
    this.rows++
  }

  /** @returns where it ends now. See `conversions` in types.ts. */
  #portable(form: number, out: Buffer, from: number, to: number): number {
    switch (form) {
      case 1:
        if (to - from !== 10) this.odd = true
        return to
      case 2:
        if (out[from + 10] === space && out[to - 1] !== letterC) out[from + 10] = letterT
        else this.odd = true
        return to
      case 3:
        if (out[from + 10] !== space || out[to - 3] !== plus || out[to - 2] !== digit0 || out[to - 1] !== digit0) {
          this.odd = true
          return to
        }
        out[from + 10] = letterT
        out[to - 3] = letterZ
        return to - 2
      case 4:
        if (out[to - 1]! > digit9) this.odd = true
        return to
      case 5:
        return from + out.write(out[from] === 0x74 ? 'true' : 'false', from, 'latin1')
      default:
        if (out[from] === 0x32 && out[from + 1] === 0x34) this.odd = true
        return to
    }
  }

  #grow(c: number, room: number): Buffer {
    const bigger = Buffer.allocUnsafeSlow(2 * this.#buffers[c]!.length + room)
    this.#buffers[c]!.copy(bigger, 0, 0, this.#ends[c])
    this.#buffers[c] = bigger
    return bigger
  }

  /** Undefined where a value cannot surely travel as it is. */
  get blocks(): RowBlocks | undefined {
    if (this.odd) return undefined
    const columns = this.#buffers.map((buffer, c) => {
      const end = this.rows > 0 ? this.#ends[c]! : 2
      buffer[end - 1] = closing
      // The next reading writes over it.
      return Buffer.from(buffer.subarray(0, end))
    })
    // A database without an encoding holds any bytes.
    return columns.every((column) => isUtf8(column)) ? { rows: this.rows, columns } : undefined
  }
}

function valueEnd(bytes: Buffer, from: number, to: number): number {
  const end = bytes.indexOf(tab, from)
  return end < 0 || end > to ? to : end
}

/** COPY escapes `\ b f n r t` as JSON does, and a vertical tab as no JSON does; other control characters stand as they are. */
function escape(bytes: Buffer, at: number, out: Buffer, end: number): number {
  const byte = bytes[at]!
  out[end++] = backslash
  if (byte === quote) out[end++] = quote
  else if (byte === backslash && bytes[at + 1] !== 0x76) out[end++] = bytes[at + 1]!
  else {
    const code = byte === backslash ? 0x0b : byte
    end += out.write('u00', end, 'latin1')
    out[end++] = hexDigits[code >> 4]!
    out[end++] = hexDigits[code & 15]!
  }
  return end
}

/** Of a JSON text between its quotes. */
function characters(bytes: Uint8Array, from: number, to: number): number {
  let count = 0
  for (let i = from; i < to; i++) {
    if (bytes[i] === backslash) i += bytes[i + 1] === 0x75 ? 5 : 1
    if ((bytes[i]! & 0xc0) !== 0x80) count++
  }
  return count
}

/** The last text of a JSON array of texts. */
export function lastValue(column: Buffer): string {
  let from = column.length - 2
  do from = column.lastIndexOf(0x22, from - 1)
  while (isEscaped(column, from))
  return JSON.parse(column.toString('utf8', from, column.length - 1)) as string
}

function isEscaped(column: Buffer, at: number): boolean {
  let slashes = 0
  while (column[at - 1 - slashes] === 0x5c) slashes++
  return slashes % 2 === 1
}

interface Wire {
  stream: Socket
  query(text: string): void
}

/** Of the backend's messages (PostgreSQL manual, message formats): CopyData, CopyOutResponse, and what may come between. */
const [copyData, copyOut, notice, parameter, notification] = [0x64, 0x48, 0x4e, 0x53, 0x41]

/** The messages of one COPY … TO STDOUT, taken from the socket before the driver makes an object of each row. */
class CopyOut {
  callback: ((error?: Error) => void) | undefined
  readonly #text: string
  readonly #into: CopiedColumns
  readonly #done: (error?: Error) => void
  #wire: Wire | undefined
  #driver: ((chunk: Buffer) => void) | undefined
  #rest: Buffer | undefined
  #told = -1

  constructor(text: string, into: CopiedColumns, done: (error?: Error) => void) {
    this.#text = text
    this.#into = into
    this.#done = done
  }

  submit(wire: Wire): void {
    this.#wire = wire
    this.#driver = wire.stream.listeners('data')[0] as (chunk: Buffer) => void
    wire.stream.removeListener('data', this.#driver)
    wire.stream.on('data', this.#take)
    wire.query(this.#text)
  }

  readonly #take = (chunk: Buffer): void => {
    const bytes = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk
    this.#rest = undefined
    let at = 0
    while (at + 5 <= bytes.length) {
      const code = bytes[at]!
      const end = at + 1 + bytes.readUInt32BE(at + 1)
      const known = code === copyData || code === copyOut || code === notice || code === parameter || code === notification
      if (!known) return this.#giveBack(bytes.subarray(at))
      if (end > bytes.length) break
      if (code === copyData) this.#into.take(bytes, at + 5, end)
      at = end
    }
    if (at < bytes.length) this.#rest = bytes.subarray(at)
  }

  #giveBack(bytes: Buffer): void {
    const { stream } = this.#wire!
    stream.removeListener('data', this.#take)
    stream.on('data', this.#driver!)
    this.#driver!(bytes)
  }

  /** Where the driver held the beginning of another message when it handed its socket over: it goes on by itself then. */
  handleCopyData({ chunk }: { chunk: Buffer }): void {
    this.#into.take(chunk, 0, chunk.length)
  }

  handleError(error: Error): void {
    // The driver's time-out hangs on it.
    this.callback?.()
    this.#done(error)
  }

  handleCommandComplete({ text }: { text: string }): void {
    this.#told = Number(text.split(' ')[1])
  }

  handleReadyForQuery(): void {
    this.callback?.()
    if (this.#told !== this.#into.rows) this.#into.odd = true
    this.#done()
  }
}

/** `query`: a SELECT whose columns are those of `into`. */
export function copyColumns(client: pg.Client, query: string, into: CopiedColumns): Promise<void> {
  into.reset()
  return new Promise((resolve, reject) => {
    const done = (error?: Error) => (error ? reject(error) : resolve())
    client.query(new CopyOut(`copy (${query}) to stdout`, into, done) as unknown as pg.Submittable)
  })
}
