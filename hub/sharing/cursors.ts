import { createCipheriv, createDecipheriv, hkdfSync, randomBytes, type KeyObject } from 'node:crypto'
import { QianzhiError } from '../../protocol/errors.ts'
import type { Value } from '../../protocol/value.ts'

/** Where a page ended: the values by which rows are ordered, of its last row. */
export type Place = readonly Value[]

const [cipher, nonceBytes, tagBytes] = ['aes-256-gcm', 12, 16] as const

/**
 * Makes and reads the `after` of pages. Each is bound to one right and one question, and sealed: nobody makes another, nor reads in it the key of
 * a row, which may be no item that the caller sees.
 */
export class Cursors {
  readonly #key: Buffer

  /** All processes of a hub have the same key. */
  constructor(hubKey: KeyObject) {
    const secret = hubKey.export({ type: 'pkcs8', format: 'der' })
    this.#key = Buffer.from(hkdfSync('sha256', secret, '', 'qianzhi cursors', 32))
  }

  seal(question: string, place: Place): string {
    const nonce = randomBytes(nonceBytes)
    const sealing = createCipheriv(cipher, this.#key, nonce).setAAD(Buffer.from(question))
    const sealed = Buffer.concat([sealing.update(JSON.stringify(place), 'utf8'), sealing.final()])
    return Buffer.concat([nonce, sealing.getAuthTag(), sealed]).toString('base64url')
  }

  /** Throws QZ-DATA-CURSOR. */
  open(question: string, cursor: string): Place {
    const bytes = Buffer.from(cursor, 'base64url')
    try {
      const opening = createDecipheriv(cipher, this.#key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes })
      opening.setAAD(Buffer.from(question)).setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes))
      const text = Buffer.concat([opening.update(bytes.subarray(nonceBytes + tagBytes)), opening.final()])
      return JSON.parse(text.toString()) as Place
    } catch (error) {
      throw new QianzhiError('QZ-DATA-CURSOR', undefined, { cause: error })
    }
  }
}
