/**
 * Every refusal that one part of Qianzhi gives another, or a person, has a stable code here. The code says who must act and
 * whether the same request may succeed later; the texts are shown to people in Chinese and English.
 */

import { kinds, type Actor, type ErrorKind, type Language } from './error-codes.ts'

export type { Actor, ErrorKind, Language } from './error-codes.ts'

export type ErrorCode = keyof typeof kinds
export type ErrorDetails = Record<string, string | number>

/** An error with a stable code. `message` is the English text; `text('zh')` the Chinese one. */
export class QianzhiError extends Error {
  readonly code: ErrorCode
  readonly details: ErrorDetails

  constructor(code: ErrorCode, details: ErrorDetails = {}, options?: { cause?: unknown }) {
    super(errorText(code, details, 'en'), options)
    this.name = 'QianzhiError'
    this.code = code
    this.details = details
  }

  get kind(): ErrorKind {
    return kinds[this.code]
  }

  text(language: Language): string {
    return errorText(this.code, this.details, language)
  }
}

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(kinds, value)
}

export function errorKind(code: ErrorCode): ErrorKind {
  return kinds[code]
}

export const errorCodes = Object.keys(kinds) as ErrorCode[]

/** The text of a code with `{name}` replaced from `details`; a missing detail stays visible as its name. */
export function errorText(code: ErrorCode, details: ErrorDetails, language: Language): string {
  return kinds[code][language].replace(/\{(\w+)\}/g, (whole, name: string) => String(details[name] ?? whole))
}

/** The message of anything thrown, for the `reason` of a coded error. AggregateErrors of connection attempts give their parts. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.map(reasonOf).join('; ')
  if (error instanceof Error) return error.message || error.name
  return String(error)
}

/** Any thrown thing as a coded error; what has no code becomes QZ-INTERNAL with its cause kept. */
export function codedError(error: unknown): QianzhiError {
  return error instanceof QianzhiError ? error : new QianzhiError('QZ-INTERNAL', { reason: reasonOf(error) }, { cause: error })
}

/** What a log line keeps of an error: never the driver's objects that hang on it. */
export function errorForLog(error: unknown): { code?: string; message: string; stack?: string; cause?: string } {
  if (!(error instanceof Error)) return { message: String(error) }
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {}
  const cause = error.cause === undefined ? {} : { cause: reasonOf(error.cause) }
  return { ...code, message: error.message, ...(error.stack ? { stack: error.stack } : {}), ...cause }
}

/** RFC 9457 problem details, with both languages. */
export interface Problem {
  type: string
  title: string
  status: number
  code: ErrorCode
  who: Actor
  retry: boolean
  detail: { zh: string; en: string }
  details: ErrorDetails
}

export function toProblem(error: QianzhiError): Problem {
  const { status, who, retry } = error.kind
  const detail = { zh: error.text('zh'), en: error.text('en') }
  return { type: `urn:qianzhi:error:${error.code}`, title: detail.en, status, code: error.code, who, retry, detail, details: error.details }
}

export function fromProblem(body: unknown): QianzhiError | undefined {
  if (typeof body !== 'object' || body === null || !('code' in body) || !isErrorCode(body.code)) return undefined
  const details = 'details' in body && typeof body.details === 'object' && body.details !== null ? (body.details as ErrorDetails) : {}
  return new QianzhiError(body.code, details)
}
