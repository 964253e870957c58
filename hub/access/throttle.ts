import { isIPv6 } from 'node:net'
import { QianzhiError } from '../../protocol/errors.ts'

const minute = 60_000

/** Lets each address try so many times a minute. Remembers a bounded number of addresses, the latest. */
export class Throttle {
  readonly #attempts: number
  readonly #remembered: number
  readonly #tried = new Map<string, { since: number; count: number }>()

  constructor(attempts: number, remembered = 10_000) {
    this.#attempts = attempts
    this.#remembered = remembered
  }

  /** Throws QZ-SIGN-IN-RATE. */
  take(address: string, now: Date): void {
    const seconds = this.wait(address, now)
    if (seconds > 0) throw new QianzhiError('QZ-SIGN-IN-RATE', { seconds })
  }

  /** Counts a try. @returns the seconds after which the next one is let through; 0 where this one is. */
  wait(address: string, now: Date): number {
    const from = network(address)
    const known = this.#tried.get(from)
    const kept = known && now.getTime() - known.since < minute && now.getTime() >= known.since ? known : { since: now.getTime(), count: 0 }
    kept.count += 1
    // Those heard of latest stand last.
    this.#tried.delete(from)
    this.#tried.set(from, kept)
    if (this.#tried.size > this.#remembered) this.#tried.delete(this.#tried.keys().next().value!)
    return kept.count <= this.#attempts ? 0 : Math.ceil((kept.since + minute - now.getTime()) / 1000)
  }

  get size(): number {
    return this.#tried.size
  }
}

/** One subscriber has 2^64 addresses of IPv6. */
export function network(address: string): string {
  if (!isIPv6(address) || address.includes('.')) return address
  const [head = ''] = address.split('%')
  const [left = '', right] = head.split('::')
  const leading = left.split(':').filter(Boolean)
  const trailing = right === undefined ? [] : right.split(':').filter(Boolean)
  const zeros = right === undefined ? [] : Array.from({ length: 8 - leading.length - trailing.length }, () => '0')
  return [...leading, ...zeros, ...trailing].slice(0, 4).join(':')
}
