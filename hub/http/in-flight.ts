import type { FastifyRequest } from 'fastify'
import { QianzhiError } from '../../protocol/errors.ts'

/** Requests, and bytes of their bodies, that agents, or whoever else is named, may have under way at once. */
export interface InFlightLimits {
  readonly requests: number
  readonly bytes: number
  readonly bytesOfAll: number
}

/** Room for the body limit of a batch several times over, and for what small machines have. */
export function inFlightLimits(bodyLimit: number): InFlightLimits {
  return { requests: 64, bytes: Math.max(64 << 20, 4 * bodyLimit), bytesOfAll: Math.max(256 << 20, 8 * bodyLimit) }
}

/** What agents have under way: a body that would be too much is not read. A held poll counts until it is answered. */
export class InFlight {
  readonly #limits: InFlightLimits
  readonly #ofAgents = new Map<string, { requests: number; bytes: number }>()
  #bytes = 0

  constructor(limits: InFlightLimits) {
    this.#limits = limits
  }

  /** @returns what to call once the request is over. Throws QZ-HUB-BUSY. */
  begin(agent: string, bytes: number): () => void {
    const own = this.#ofAgents.get(agent) ?? { requests: 0, bytes: 0 }
    const { requests, bytes: limit, bytesOfAll } = this.#limits
    if (own.requests >= requests || own.bytes + bytes > limit || this.#bytes + bytes > bytesOfAll) {
      throw new QianzhiError('QZ-HUB-BUSY', { reason: { zh: '同时进行的请求过多', en: 'too much is under way at once' } })
    }
    this.#ofAgents.set(agent, own)
    own.requests++
    own.bytes += bytes
    this.#bytes += bytes
    return () => {
      own.requests--
      own.bytes -= bytes
      this.#bytes -= bytes
      if (own.requests === 0) this.#ofAgents.delete(agent)
    }
  }
}

/** By its Content-Length; as much as it may have where that is not told. */
export function bytesOf({ headers, routeOptions, method }: FastifyRequest): number {
  if (method === 'GET' || method === 'HEAD') return 0
  return Number(headers['content-length'] ?? routeOptions.bodyLimit)
}
