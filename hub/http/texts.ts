import { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import { QianzhiError } from '../../protocol/errors.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A part of the body that is judged by itself: its texts hold nothing else. */
    apart?: string
  }
}

/** Refuses texts that no store keeps, wherever they stand in a request. Throws QZ-REQUEST-INVALID. Bytes are not looked at, nor what is still to be read. */
export async function checkTexts({ params, query, body, routeOptions }: FastifyRequest): Promise<void> {
  const { apart } = routeOptions.config
  if (body instanceof Readable) return requireSound([params, query])
  const rest = apart === undefined || typeof body !== 'object' ? body : { ...body, [apart]: null }
  requireSound([params, query, rest])
}

function requireSound(whole: readonly unknown[]): void {
  if (holdsSoundTexts(whole)) return
  const reason = { zh: '文本含有 U+0000 或不完整的字符', en: 'a text holds U+0000 or half a character' }
  throw new QianzhiError('QZ-REQUEST-INVALID', { reason })
}

/** Whether no text in it, names included, holds U+0000 or half of a surrogate pair. */
export function holdsSoundTexts(whole: unknown): boolean {
  // Not by recursion: a body may be nested as deeply as it is long.
  const left = [whole]
  while (left.length > 0) {
    const value = left.pop()
    if (typeof value === 'string' && (!value.isWellFormed() || value.includes('\0'))) return false
    if (Array.isArray(value)) for (const one of value) left.push(one)
    else if (typeof value === 'object' && value !== null && !Buffer.isBuffer(value)) {
      for (const [name, one] of Object.entries(value)) left.push(name, one)
    }
  }
  return true
}
