import { argon2, randomBytes, timingSafeEqual, type Argon2Parameters } from 'node:crypto'
import { promisify } from 'node:util'
import { QianzhiError } from '../../protocol/errors.ts'

const derive = promisify<'argon2id', Argon2Parameters, Buffer>(argon2)

const passes = 3
const hashBytes = 32

/** Hashes worked on at once: the threads they run on also compress batches and read files. */
const atOnce = 2
const maxWaiting = 200

/**
 * Hashes passwords with Argon2id (RFC 9106), off the event loop. The stored text carries the cost, `$argon2id$v=19$m=32768,t=3,p=1$salt$hash`,
 * so that it can be raised: what was hashed at another one still verifies, and `isOutdated` says that it should be hashed again.
 */
export class Passwords {
  readonly #cost: number
  readonly #dummy: string
  readonly #waiting: (() => void)[] = []
  #working = 0

  /** @param cost log2 of the memory in KiB: 15 takes 32 MiB. */
  constructor(cost: number) {
    this.#cost = cost
    this.#dummy = stored(cost, randomBytes(16), randomBytes(hashBytes))
  }

  async hash(password: string): Promise<string> {
    const salt = randomBytes(16)
    return stored(this.#cost, salt, await this.#derive(password, this.#cost, salt))
  }

  /** Takes as long where there is no stored password: the time must not tell whether somebody is known here. Throws QZ-HUB-BUSY. */
  async verify(password: string, kept: string | null): Promise<boolean> {
    const { cost, salt, hash } = parse(kept ?? this.#dummy)
    const same = timingSafeEqual(await this.#derive(password, cost, salt), hash)
    return same && kept !== null
  }

  isOutdated(kept: string): boolean {
    return parse(kept).cost !== this.#cost
  }

  async #derive(password: string, cost: number, salt: Buffer): Promise<Buffer> {
    await this.#turn()
    try {
      const message = password.normalize('NFKC')
      return await derive('argon2id', { message, nonce: salt, parallelism: 1, tagLength: hashBytes, memory: 2 ** cost, passes })
    } finally {
      this.#working -= 1
      this.#waiting.shift()?.()
    }
  }

  async #turn(): Promise<void> {
    if (this.#waiting.length >= maxWaiting)
      throw new QianzhiError('QZ-HUB-BUSY', { reason: { zh: '登录请求过多', en: 'too many sign-ins' } })
    if (this.#working >= atOnce) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#working += 1
  }
}

function stored(cost: number, salt: Buffer, hash: Buffer): string {
  return `$argon2id$v=19$m=${2 ** cost},t=${passes},p=1$${salt.toString('base64url')}$${hash.toString('base64url')}`
}

function parse(kept: string): { cost: number; salt: Buffer; hash: Buffer } {
  const parts = /^\$argon2id\$v=19\$m=(\d+),t=3,p=1\$([\w-]+)\$([\w-]+)$/.exec(kept)
  if (!parts) throw new QianzhiError('QZ-INTERNAL', { reason: { zh: '存储的口令格式未知', en: 'stored password of an unknown form' } })
  return { cost: Math.log2(Number(parts[1])), salt: Buffer.from(parts[2]!, 'base64url'), hash: Buffer.from(parts[3]!, 'base64url') }
}
