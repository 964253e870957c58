import { createHmac, hkdfSync, timingSafeEqual, type KeyObject } from 'node:crypto'
import { QianzhiError } from '../../protocol/errors.ts'
import type { Value } from '../../protocol/value.ts'

/** Where a page ended: the values by which rows are ordered, of its last row. */
export type Place = readonly Value[]

/** Makes and reads the `after` of pages. Each is bound to one right and one question, and sealed: nobody makes another. */
export class Cursors {
  readonly #key: Buffer

  /** All processes of a hub have the same key. */
  constructor(hubKey: KeyObject) {
    const secret = hubKey.export({ type: 'pkcs8', format: 'der' })
    this.#key = Buffer.from(hkdfSync('sha256', secret, '', 'qianzhi cursors', 32))
  }

  seal(question: string, place: Place): string {
    const text = JSON.stringify(place)
    return `${Buffer.from(text).toString('base64url')}.${this.#mac(question, text).toString('base64url')}`
  }

  /** Throws QZ-DATA-CURSOR. */
  open(question: string, cursor: string): Place {
    const [encoded = '', mac = ''] = cursor.split('.')
    const text = Buffer.from(encoded, 'base64url').toString()
    const [given, right] = [Buffer.from(mac, 'base64url'), this.#mac(question, text)]
    if (given.length !== right.length || !timingSafeEqual(given, right)) throw new QianzhiError('QZ-DATA-CURSOR')
    return JSON.parse(text) as Place
  }

  #mac(question: string, text: string): Buffer {
    return createHmac('sha256', this.#key)
      .update(JSON.stringify([question, text]))
      .digest()
      .subarray(0, 16)
  }
}

/** The secret of a grant, for what is hashed in it; all processes of a hub have the same. */
export function maskKeyOf(hubKey: KeyObject): (grant: string) => Buffer {
  const secret = hubKey.export({ type: 'pkcs8', format: 'der' })
  return (grant) => Buffer.from(hkdfSync('sha256', secret, '', `qianzhi mask ${grant}`, 32))
}
