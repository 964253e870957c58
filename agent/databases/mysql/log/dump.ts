/** A session at which the server sends its binlog: mysql2 logs in, and from then on its packets are read here (COM_BINLOG_DUMP). */
import { createConnection, type Connection } from 'mysql2/promise'
import { reasonOf } from '../../../../protocol/errors.ts'
import type { LocalizedText } from '../../../../protocol/localized.ts'
import { cut } from '../keepalive.ts'
import type { Place } from './events.ts'

/** The server does not have what it was asked for, or ends it (ER_MASTER_FATAL_ERROR_READING_BINLOG). */
export const notToBeHad = 1236

const heartbeatSeconds = 10
const connectMs = 10_000

interface Packet {
  buffer: Buffer
  offset: number
  end: number
}

/** What is used of mysql2's connection beneath its promises. */
interface Wire {
  handlePacket(packet: Packet | undefined): void
  write(bytes: Buffer): void
  stream: { pause(): void; resume(): void }
  on(event: 'error' | 'end', listener: (error?: Error) => void): void
}

export interface DumpOptions {
  url: string
  /** As which replica: the server ends another dump of the same one. */
  replica: number
  from: Place
  /** Ends where the log ends. */
  once?: boolean
}

export interface DumpListener {
  /** One event, from `at` to `to`; the bytes are good for this call only. */
  event(bytes: Buffer, at: number, to: number): void
  /** No more comes. `number`: of the server's error. */
  ended(reason: string | LocalizedText, number?: number): void
}

export class LogDump {
  readonly #connection: Connection
  readonly #wire: Wire
  readonly #listener: DumpListener
  readonly #timer: NodeJS.Timeout
  #heard = performance.now()
  #paused = false
  #ended = false

  private constructor(connection: Connection, listener: DumpListener) {
    this.#connection = connection
    this.#wire = (connection as unknown as { connection: Wire }).connection
    this.#listener = listener
    this.#timer = setInterval(() => this.#listen(), heartbeatSeconds * 1000).unref()
  }

  /** Throws the driver's error. */
  static async start({ url, replica, from, once = false }: DumpOptions, listener: DumpListener): Promise<LogDump> {
    const connection = await createConnection({ uri: url, connectTimeout: connectMs, enableKeepAlive: true, keepAliveInitialDelay: 10_000 })
    connection.on('error', () => {})
    try {
      const ask = (sql: string) => connection.query({ sql, timeout: connectMs })
      // Checks are sent as they stand in the file; what is no event of a file comes without.
      await ask(`set @master_binlog_checksum = 'NONE', @source_binlog_checksum = 'NONE', @mariadb_slave_capability = 4,
        @master_heartbeat_period = ${heartbeatSeconds}000000000, @source_heartbeat_period = ${heartbeatSeconds}000000000`)
      await ask('set session net_write_timeout = 3600')
    } catch (error) {
      cut(connection)
      throw error
    }
    const dump = new LogDump(connection, listener)
    dump.#start(replica, from, once)
    return dump
  }

  #start(replica: number, { file, place }: Place, once: boolean): void {
    this.#wire.handlePacket = (packet) => packet && this.#packet(packet)
    this.#wire.on('error', (error) => this.#end(reasonOf(error)))
    this.#wire.on('end', () => this.#end({ zh: '日志连接已断开', en: 'the log connection ended' }))
    const name = Buffer.from(file)
    const message = Buffer.alloc(15 + name.length)
    message.writeUIntLE(11 + name.length, 0, 3)
    message[4] = 0x12
    message.writeUInt32LE(place, 5)
    message.writeUInt16LE(once ? 1 : 0, 9)
    message.writeUInt32LE(replica, 11)
    name.copy(message, 15)
    this.#wire.write(message)
  }

  /** Over TLS the driver's stream cannot be stopped: events may come all the same. */
  pause(): void {
    if (this.#paused) return
    this.#paused = true
    this.#wire.stream.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#heard = performance.now()
    this.#wire.stream.resume()
  }

  close(): void {
    this.#ended = true
    clearInterval(this.#timer)
    cut(this.#connection)
  }

  #packet({ buffer, offset, end }: Packet): void {
    this.#heard = performance.now()
    if (this.#ended) return
    const first = buffer[offset]
    if (first === 0) this.#listener.event(buffer, offset + 1, end)
    else if (first === 0xff) this.#end(buffer.toString('utf8', offset + 9, end), buffer.readUInt16LE(offset + 1))
    else this.#end({ zh: '日志已读完', en: 'the log was read to its end' })
  }

  #listen(): void {
    if (!this.#paused && performance.now() - this.#heard > 3 * heartbeatSeconds * 1000) this.#end({ zh: '无答复', en: 'no answer' })
  }

  #end(reason: string | LocalizedText, number?: number): void {
    if (this.#ended) return
    this.close()
    this.#listener.ended(reason, number)
  }
}
