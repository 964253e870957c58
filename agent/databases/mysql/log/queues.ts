/** Writes keys into the queues, and with them, in one transaction, up to where the log is read. */
import { setTimeout as sleep } from 'node:timers/promises'
import { isContention, isMissing, isValueError, type Session } from '../connection.ts'
import { queueName } from '../names.ts'
import { queueEntries } from '../setup.ts'
import { quoteName } from '../sql.ts'
import { chunks } from '../../bookkeeping/statement.ts'
import type { Place } from './events.ts'
import type { Boundary, Feed, Keys } from './pending.ts'
import { comparePlaces, logTable, placeUpdate } from './place.ts'

/** Keys of one statement. */
const chunk = 1000
/** Bytes of log without anything for us after which the place is written down. */
const idleBytes = 1 << 20
/** The server wants no place beyond. */
const furthestPlace = 2 ** 32

export class QueueWriter {
  readonly #session: Session
  #written: Place
  #ended = false

  constructor(session: Session, written: Place) {
    this.#session = session
    this.#written = written
  }

  /** Now and then: each time is an event for us, too. */
  shouldWriteDown({ file, place }: Place): boolean {
    return file !== this.#written.file || place - this.#written.place > idleBytes
  }

  async writeDown(resume: Boundary | undefined): Promise<void> {
    if (!resume || resume.place >= furthestPlace || comparePlaces(resume, this.#written) <= 0) return
    await this.#again(async () => void (await this.#session.run(placeUpdate(resume, resume.made))))
    this.#written = resume
  }

  async queue({ keys, marks }: Keys, resume: Boundary | undefined): Promise<void> {
    const feeds = new Set([...keys.keys(), ...marks])
    const full = new Set<Feed>()
    for (const feed of feeds) if (await this.#isFull(feed)) full.add(feed)
    // Only behind a transaction of ours are the rows visible whose keys are left out below (reader.ts).
    if (full.size > 0) await this.#session.run(`update ${quoteName(logTable)} set beat = beat + 1`)
    await this.#again(() =>
      this.#session.transaction(async () => {
        for (const feed of feeds) {
          if (full.has(feed)) await this.#markFull(feed)
          else await this.#queue(feed, [...(keys.get(feed)?.values() ?? [])], marks.has(feed))
        }
        if (resume && resume.place < furthestPlace) await this.#session.run(placeUpdate(resume, resume.made))
      }),
    )
    if (resume) this.#written = resume
  }

  /** Nothing is tried again. */
  end(): void {
    this.#ended = true
  }

  async #again(work: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await work()
      } catch (error) {
        if (!isContention(error) || this.#ended) throw error
      }
    }
  }

  async #isFull({ source }: Feed): Promise<boolean> {
    try {
      const [row] = await this.#session.rows(`select ifnull(max(id) - min(id), 0) from ${quoteName(queueName(source.resource))}`)
      return Number(row![0]) > queueEntries(source)
    } catch (error) {
      if (isMissing(error)) return false
      throw error
    }
  }

  /** Whoever removes the mark that is there takes a snapshot afterwards, and meets the rows whose keys are left out. */
  async #markFull({ source }: Feed): Promise<void> {
    const queue = quoteName(queueName(source.resource))
    const [last] = await this.#session.rows(`select marked from ${queue} order by id desc limit 1`)
    if (Number(last?.[0] ?? 0) === 0) await this.#session.run(`insert into ${queue} (marked) values (1)`)
  }

  /** Keys that the queue does not take are a mark. */
  async #queue({ source, key }: Feed, keys: readonly (readonly string[])[], marked: boolean): Promise<void> {
    const queue = quoteName(queueName(source.resource))
    let mark = marked
    try {
      const columns = key?.map((_, i) => `k${i + 1}`).join(', ')
      for (const part of chunks(keys, chunk)) {
        if (!key || part[0]!.length !== key.length) mark = true
        else
          await this.#session
            .run(`insert into ${queue} (${columns}) values ${part.map((values) => `(${values.join(', ')})`).join(', ')}`)
            .catch((error: unknown) => {
              if (!isValueError(error)) throw error
              mark = true
            })
      }
      if (mark) await this.#session.run(`insert into ${queue} (marked) values (1)`)
    } catch (error) {
      // Whoever took the queue away, or made one for another key, has ended the stream: it begins with a snapshot.
      if (!isMissing(error)) throw error
    }
  }

  /** A prepared transaction whose end is in the log may not have ended yet: returns when the server lists none of these any more. */
  async visible(ended: ReadonlySet<string>): Promise<void> {
    if (ended.size === 0) return
    const { mariadb } = this.#session.server
    for (;;) {
      const listed = (await this.#session.rows(mariadb ? 'xa recover' : 'xa recover convert xid')).map(([format, first, second, data]) =>
        preparedText(Number(format), Number(first), Number(second), mariadb ? (data as Buffer) : Buffer.from(String(data).slice(2), 'hex')),
      )
      if (!listed.some((xid) => ended.has(xid))) return
      await sleep(1)
    }
  }
}

/** As the log writes it (events.ts). */
function preparedText(format: number, first: number, second: number, bytes: Buffer): string {
  const hex = (from: number, length: number) => `X'${bytes.toString('hex', from, from + length).toUpperCase()}'`
  return `${hex(0, first)},${hex(first, second)},${format}`
}
