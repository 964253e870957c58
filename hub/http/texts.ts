import type { FastifyRequest } from 'fastify'
import { QianzhiError } from '../../protocol/errors.ts'

/**
 * Refuses texts that no store keeps, wherever they stand in a request: U+0000, and halves of surrogate pairs. Throws QZ-REQUEST-INVALID.
 * Bytes are not looked at.
 */
export async function checkTexts({ params, query, body }: FastifyRequest): Promise<void> {
  // Not by recursion: a body may be nested as deeply as it is long.
  const left: unknown[] = [params, query, body]
  while (left.length > 0) {
    const value = left.pop()
    if (typeof value === 'string') checkText(value)
    else if (Array.isArray(value)) for (const one of value) left.push(one)
    else if (typeof value === 'object' && value !== null && !Buffer.isBuffer(value)) {
      for (const [name, one] of Object.entries(value)) left.push(name, one)
    }
  }
}

function checkText(text: string): void {
  if (text.isWellFormed() && !text.includes('\0')) return
  const reason = { zh: '文本含有 U+0000 或不完整的字符', en: 'a text holds U+0000 or half a character' }
  throw new QianzhiError('QZ-REQUEST-INVALID', { reason })
}
