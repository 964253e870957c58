import { createCipheriv, createDecipheriv, hkdfSync, randomBytes, type KeyObject } from 'node:crypto'
import { QianzhiError } from '../../protocol/errors.ts'

/**
 * Keeps secrets that must be read again, those of second factors, out of copies of the store: AES-256-GCM under a key that is derived from
 * the hub's private key, which lies in the data folder alone. Each is bound to what it belongs to.
 */
export class Sealed {
  readonly #key: Buffer

  constructor(hubKey: KeyObject) {
    const seed = hubKey.export({ type: 'pkcs8', format: 'der' })
    this.#key = Buffer.from(hkdfSync('sha256', seed, '', 'qianzhi sealed secrets 1', 32))
  }

  seal(secret: string, of: string): string {
    const nonce = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(Buffer.from(of))
    const sealed = Buffer.concat([nonce, cipher.update(secret, 'utf8'), cipher.final(), cipher.getAuthTag()])
    return `s1.${sealed.toString('base64url')}`
  }

  /** Throws QZ-INTERNAL where it was sealed under another key, or for something else. */
  open(text: string, of: string): string {
    const sealed = Buffer.from(text.replace(/^s1\./, ''), 'base64url')
    try {
      const decipher = createDecipheriv('aes-256-gcm', this.#key, sealed.subarray(0, 12), { authTagLength: 16 }).setAAD(Buffer.from(of))
      decipher.setAuthTag(sealed.subarray(-16))
      return decipher.update(sealed.subarray(12, -16), undefined, 'utf8') + decipher.final('utf8')
    } catch (error) {
      throw new QianzhiError(
        'QZ-INTERNAL',
        { reason: { zh: `无法解密 ${of} 的密文`, en: `the sealed secret of ${of} cannot be opened` } },
        { cause: error },
      )
    }
  }
}
