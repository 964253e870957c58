import type { IncomingHttpHeaders } from 'undici/types/header.js'
import { fromProblem, QianzhiError } from '../../protocol/errors.ts'
import { joinTexts, type LocalizedText } from '../../protocol/localized.ts'

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
}

/** What was sent: where to, and how many bytes. */
export interface Sent {
  url: string
  bytes: number
  /** Media type of the answer that is expected. */
  expected: string
}

/** Characters of somebody else's words that a reason may tell. */
const toldCharacters = 80

/**
 * Why an answer cannot be used; undefined where it is the hub's and good. What a gateway, a proxy or a sign-in page on the way says is named
 * as that, whatever its status, and never taken for the hub's word. Its refusal of a long body is QZ-HUB-BODY-SIZE.
 */
export function answerFault({ status, headers, body }: Answer, { url, bytes, expected }: Sent): QianzhiError | undefined {
  const type = String(headers['content-type'] ?? '-')
  if (status < 300 && type.startsWith(expected)) return undefined
  const problem = status < 400 ? undefined : problemOf(body)
  if (problem) return problem
  const server = told(String(headers['server'] ?? '-'))
  if (status === 413) return new QianzhiError('QZ-HUB-BODY-SIZE', { url, bytes, server })
  return new QianzhiError('QZ-HUB-GATEWAY', { url, status, server, reason: described(type, headers['location'], body) })
}

function problemOf(body: Buffer): QianzhiError | undefined {
  try {
    return fromProblem(JSON.parse(body.toString()))
  } catch {
    return undefined
  }
}

function described(type: string, location: unknown, body: Buffer): LocalizedText {
  const title = /<title[^>]*>([^<]*)</i.exec(body.toString('utf8', 0, 4_096))?.[1]
  const parts = [told(type), ...(title ? [`“${told(title)}”`] : [])].join(' ')
  if (typeof location !== 'string') return { zh: parts, en: parts }
  // What is asked for may stand behind the path.
  const to = told(location.replace(/[?#].*/, ''))
  return joinTexts([parts, { zh: `转向 ${to}`, en: `on to ${to}` }], { zh: '，', en: ', ' })
}

function told(text: string): string {
  return text
    .replace(/[^\p{L}\p{N}\p{P}\p{S} ]+/gu, ' ')
    .trim()
    .slice(0, toldCharacters)
}
