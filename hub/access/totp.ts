import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

/** Time-based one-time passwords (RFC 6238) as every authenticator app makes them: SHA-1, six digits, steps of 30 seconds. */

const stepSeconds = 30
const digits = 6
/** Steps by which the clocks may be apart. */
const drift = 1
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

export function newTotpSecret(): string {
  return base32(randomBytes(20))
}

/** HOTP (RFC 4226) of the step. */
export function totp(secret: Buffer, step: number, length = digits): string {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(step))
  const mac = createHmac('sha1', secret).update(counter).digest()
  const offset = mac[19]! & 15
  return String((mac.readUInt32BE(offset) & 0x7fff_ffff) % 10 ** length).padStart(length, '0')
}

/** The step whose code this is, one later than the last used: a code counts once. Undefined where it is wrong, or used. */
export function stepOf(secret: string, code: string, now: Date, lastUsed: number): number | undefined {
  const current = Math.floor(now.getTime() / 1000 / stepSeconds)
  const key = fromBase32(secret)
  const given = Buffer.from(code.padEnd(digits).slice(0, digits))
  for (let step = current - drift; step <= current + drift; step++) {
    const right = given.length === digits && timingSafeEqual(Buffer.from(totp(key, step)), given)
    if (right && step > lastUsed && code.length === digits) return step
  }
  return undefined
}

/** What authenticator apps read from a QR code. */
export function totpUri(secret: string, login: string, issuer = 'Qianzhi'): string {
  const label = `${encodeURIComponent(issuer)}:${encodeURIComponent(login)}`
  return `otpauth://totp/${label}?secret=${secret}&issuer=${encodeURIComponent(issuer)}&algorithm=SHA1&digits=${digits}&period=${stepSeconds}`
}

/** RFC 4648, without padding. */
export function base32(bytes: Buffer): string {
  const bits = Array.from(bytes, (byte) => byte.toString(2).padStart(8, '0')).join('')
  return (bits.match(/.{1,5}/g) ?? []).map((five) => alphabet[Number.parseInt(five.padEnd(5, '0'), 2)]).join('')
}

export function fromBase32(text: string): Buffer {
  const bits = Array.from(text, (letter) => alphabet.indexOf(letter).toString(2).padStart(5, '0')).join('')
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)))
}
