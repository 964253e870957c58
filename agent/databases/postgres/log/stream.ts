/**
 * A session at which the server streams what a slot has: its messages are cut out of the bytes as they come, and the server is told what it
 * may forget. PostgreSQL manual, "Streaming Replication Protocol".
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Socket } from 'node:net'
import pg from 'pg'
import { reasonOf } from '../../../../protocol/errors.ts'
import type { LocalizedText } from '../../../../protocol/localized.ts'
import { settings } from '../connection.ts'
import { publication, type Slot } from './slot.ts'

/** Milliseconds between two words to the server; within three of them it must have said something. */
export const heartbeatMs = 10_000
const hangUpMs = 2_000

/** Of the walsender's messages and the backend's. */
const [copyData, copyBoth, errorResponse, walData, keepAlive] = [0x64, 0x57, 0x45, 0x77, 0x6b]

export interface StreamListener {
  /** A message of pgoutput, from `at` on. False: not now; it is told again, and what follows it, when the stream is to go on. */
  message(bytes: Buffer, at: number): boolean
  /** Everything before was sent. */
  sent(end: bigint): void
  /** Everything that came was told. */
  told(): void
  /** No more comes. `state`: SQLSTATE of the server's error. */
  ended(reason: string | LocalizedText, state?: string): void
}

interface Wire {
  stream: Socket
  query(text: string): void
}

const wireOf = (client: pg.Client): Wire => (client as unknown as { connection: Wire }).connection

export class SlotStream {
  /** What the server may forget. */
  #confirmed: bigint
  readonly #client: pg.Client
  readonly #socket: Socket
  #listener!: StreamListener
  #rest: Buffer | undefined
  /** A message was not taken yet. */
  #held = false
  #paused = false
  #heard = performance.now()

  private constructor(client: pg.Client, { confirmed }: Slot) {
    this.#client = client
    this.#socket = wireOf(client).stream
    this.#confirmed = confirmed
  }

  /** Throws the driver's error. */
  static async open(url: string, slot: Slot): Promise<SlotStream> {
    const client = new pg.Client({
      connectionString: url,
      application_name: 'qianzhi log',
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      connectionTimeoutMillis: 10_000,
      ...({ replication: 'database' } as object),
    })
    client.on('error', () => {})
    try {
      await client.connect()
      await client.query(settings)
      return new SlotStream(client, slot)
    } catch (error) {
      await client.end().catch(() => {})
      throw error
    }
  }

  start({ name }: Slot, listener: StreamListener): void {
    this.#listener = listener
    this.#socket.removeAllListeners('data')
    this.#socket.on('data', this.#take)
    this.#client.on('end', () => listener.ended({ zh: '日志连接已断开', en: 'the log connection ended' }))
    this.#client.on('error', (error) => listener.ended(reasonOf(error)))
    const options = `proto_version '1', publication_names '${publication}'`
    wireOf(this.#client).query(`START_REPLICATION SLOT "${name}" LOGICAL 0/0 (${options})`)
  }

  readonly #take = (chunk: Buffer): void => {
    this.#heard = performance.now()
    const bytes = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk
    this.#rest = undefined
    let at = 0
    while (!this.#held && at + 5 <= bytes.length) {
      const end = at + 1 + bytes.readUInt32BE(at + 1)
      if (end > bytes.length) break
      if (bytes[at] === copyData) this.#held = !this.#data(bytes, at + 5)
      else if (bytes[at] === errorResponse) return this.#refused(bytes.subarray(at + 5, end))
      else if (bytes[at] === copyBoth) this.say(false)
      if (!this.#held) at = end
    }
    if (at < bytes.length) this.#rest = Buffer.from(bytes.subarray(at))
    if (this.#held) this.#socket.pause()
    this.#listener.told()
  }

  /** @returns whether it was taken. */
  #data(bytes: Buffer, at: number): boolean {
    if (bytes[at] === walData) return this.#listener.message(bytes, at + 25)
    if (bytes[at] === keepAlive) {
      this.#listener.sent(bytes.readBigUInt64BE(at + 1))
      if (bytes[at + 17] === 1) this.say(false)
    }
    return true
  }

  /** With the message that was not taken. */
  goOn(): void {
    this.#held = false
    this.#take(Buffer.alloc(0))
    this.#flow()
  }

  pause(): void {
    this.#paused = true
    this.#socket.pause()
  }

  resume(): void {
    this.#paused = false
    this.#flow()
  }

  #flow(): void {
    if (!this.#held && !this.#paused) this.#socket.resume()
  }

  /** The server has not said a word for too long. */
  get isSilent(): boolean {
    return performance.now() - this.#heard > 3 * heartbeatMs && !this.#socket.isPaused()
  }

  get confirmed(): bigint {
    return this.#confirmed
  }

  confirm(end: bigint): void {
    this.#confirmed = end
    this.say(false)
  }

  /** Standby status update. */
  say(answer: boolean): void {
    if (!this.#socket.writable) return
    const message = Buffer.alloc(39)
    message[0] = copyData
    message.writeUInt32BE(38, 1)
    message[5] = 0x72
    message.writeBigUInt64BE(this.#confirmed, 6)
    message.writeBigUInt64BE(this.#confirmed, 14)
    message.writeBigUInt64BE(this.#confirmed, 22)
    // Microseconds since 2000-01-01.
    message.writeBigUInt64BE(BigInt(Date.now() - 946_684_800_000) * 1000n, 30)
    message[38] = answer ? 1 : 0
    this.#socket.write(message)
  }

  #refused(fields: Buffer): void {
    const said = new Map(
      fields
        .toString('utf8')
        .split('\0')
        .map((field) => [field[0], field.slice(1)]),
    )
    this.#listener.ended(said.get('M') ?? '', said.get('C'))
  }

  /** What was said last is read before the end is seen. */
  async hangUp(): Promise<void> {
    const patience = new AbortController()
    this.#socket.once('close', () => patience.abort())
    this.#socket.end()
    await sleep(hangUpMs, undefined, { signal: patience.signal }).catch(() => {})
  }

  cut(): void {
    this.#socket.destroy()
  }

  async close(): Promise<void> {
    await this.#client.end().catch(() => {})
  }
}
