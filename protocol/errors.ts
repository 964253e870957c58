/**
 * Every refusal that one part of Qianzhi gives another, or a person, has a stable code here. The code says who must act and
 * whether the same request may succeed later; the texts are shown to people in Chinese and English.
 */

import { kinds, type Actor, type ErrorKind } from './error-codes.ts'
import { withoutValues } from './server-texts.ts'
import { localTime } from './local-time.ts'
import { counted, inLanguage, isLocalized, type Language, type LocalizedText } from './localized.ts'

export type { Actor, ErrorKind } from './error-codes.ts'
export type { Language, LocalizedText } from './localized.ts'

export type ErrorCode = keyof typeof kinds
/** What a text's placeholders stand for. A reason that is ours is given in both languages: `reason: { zh: '…', en: '…' }`. */
export type ErrorDetails = Record<string, string | number | LocalizedText>

/** One of several things that are wrong, as it is told: with its place, in the terms of whoever checked. */
export interface Fault extends LocalizedText {
  readonly [name: string]: unknown
}

/** An error with a stable code. `message` is the English text; `text('zh')` the Chinese one. */
export class QianzhiError extends Error {
  readonly code: ErrorCode
  readonly details: ErrorDetails
  /** All that is wrong, where that is more than one thing. */
  readonly faults: readonly Fault[]

  constructor(code: ErrorCode, details: ErrorDetails = {}, options: { cause?: unknown; faults?: readonly Fault[] } = {}) {
    super(errorText(code, details, 'en'), options)
    this.name = 'QianzhiError'
    this.code = code
    this.details = details
    this.faults = options.faults ?? []
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

/**
 * The text of a code with `{name}` replaced from `details`, `{rows:row}` with what the number counts; a missing detail stays visible as its
 * name. A moment is told in the city's time.
 */
export function errorText(code: ErrorCode, details: ErrorDetails, language: Language): string {
  return kinds[code][language].replace(/\{(\w+)(?::(\w+))?\}/g, (whole, name: string, unit: string | undefined) => {
    const detail = details[name] ?? whole
    if (typeof detail === 'string' && moment.test(detail)) return localTime(new Date(detail))
    return unit !== undefined && detail !== whole ? counted(inLanguage(detail, language), unit) : inLanguage(detail, language)
  })
}

/** As `toISOString` writes it. */
const moment = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?Z$/

/**
 * The message of anything thrown, for the `reason` of a coded error: of a database server without the values of rows. AggregateErrors of
 * connection attempts give their parts.
 */
export function reasonOf(error: unknown, language: Language = 'en'): string {
  if (error instanceof AggregateError && error.errors.length > 0) {
    return error.errors.map((part) => reasonOf(part, language)).join('; ')
  }
  if (error instanceof QianzhiError) return error.text(language)
  if (error instanceof Error) return withoutValues(error) ?? (error.message || error.name)
  return isLocalized(error) ? error[language] : shown(error)
}

/** Anything else that was thrown or given as a detail. */
function shown(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value)
  if ('message' in value && typeof value.message === 'string') return value.message
  try {
    return JSON.stringify(value).slice(0, 500)
  } catch {
    return Object.prototype.toString.call(value)
  }
}

/** The same for a code that stands before it: what a server or a library said, also where that is the cause; else both languages. */
export function localizedReason(error: unknown): string | LocalizedText {
  if (error instanceof QianzhiError && error.cause !== undefined) return localizedReason(error.cause)
  return error instanceof QianzhiError ? { zh: error.text('zh'), en: error.text('en') } : reasonOf(error)
}

/** The same with the values of rows that a server repeats: for those who may see the row, on their own machine. */
export function rowReason(error: unknown): string | LocalizedText {
  if (error instanceof QianzhiError && error.cause !== undefined) return rowReason(error.cause)
  return error instanceof Error && withoutValues(error) !== undefined ? error.message : localizedReason(error)
}

/** Any thrown thing as a coded error; what has no code becomes QZ-INTERNAL with its cause kept. */
export function codedError(error: unknown): QianzhiError {
  return error instanceof QianzhiError ? error : new QianzhiError('QZ-INTERNAL', { reason: reasonOf(error) }, { cause: error })
}

/** What a log line keeps of an error: never the driver's objects that hang on it, nor values of rows. */
export function errorForLog(error: unknown): { code?: string; message: string; stack?: string; cause?: string } {
  if (!(error instanceof Error)) return { message: reasonOf(error) }
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {}
  const cause = error.cause === undefined ? {} : { cause: reasonOf(error.cause) }
  // A stack begins with the message. Of what has a code the first frames tell where it was; what has none is looked into.
  const frames = error instanceof QianzhiError && error.code !== 'QZ-INTERNAL' ? 2 : 8
  const stack = ownStack(error).slice(0, frames).join('\n')
  return { ...code, message: reasonOf(error), ...(stack ? { stack } : {}), ...cause }
}

/** Without the frames of Node itself. */
function ownStack({ stack = '' }: Error): string[] {
  return (stack.match(/^ +at .*$/gm) ?? []).filter((frame) => !/\(?node:/.test(frame)).map((frame) => frame.trim())
}

/**
 * Details as they travel, in a problem, a delivery or an answer to an ask: `details` is flat, and shows a text of ours in both languages
 * to a peer that does not know `texts`, which is what counts.
 */
export interface WireDetails {
  details: Record<string, string | number>
  texts?: Record<string, LocalizedText>
}

export function detailsToWire(details: ErrorDetails): WireDetails {
  const texts = Object.fromEntries(Object.entries(details).filter((entry): entry is [string, LocalizedText] => isLocalized(entry[1])))
  const flat = Object.entries(details).map(([name, value]) => [name, isLocalized(value) ? `${value.zh} / ${value.en}` : value])
  return { details: Object.fromEntries(flat), ...(Object.keys(texts).length > 0 && { texts }) }
}

/** Of anything that a peer sent: what is neither a text nor a number is left out. */
export function detailsFromWire(sent: object): ErrorDetails {
  const { details, texts } = sent as { details?: unknown; texts?: unknown }
  const flat = entriesOf(details).filter(([, value]) => typeof value === 'string' || typeof value === 'number')
  const pairs = entriesOf(texts).filter(([, value]) => isLocalized(value))
  return Object.fromEntries([...flat, ...pairs])
}

function entriesOf(value: unknown): [string, string | number | LocalizedText][] {
  return typeof value === 'object' && value !== null ? Object.entries(value) : []
}

/** RFC 9457 problem details, with both languages. */
export interface Problem extends WireDetails {
  type: string
  title: string
  status: number
  code: ErrorCode
  who: Actor
  retry: boolean
  detail: LocalizedText
  /** Each thing that is wrong, where several may be. */
  faults?: readonly Fault[]
}

export function toProblem(error: QianzhiError): Problem {
  const { status, who, retry } = error.kind
  const detail = { zh: error.text('zh'), en: error.text('en') }
  const { code, faults } = error
  const wire = detailsToWire(error.details)
  return {
    type: `urn:qianzhi:error:${code}`,
    title: detail.en,
    status,
    code,
    who,
    retry,
    detail,
    ...wire,
    ...(faults.length > 0 && { faults }),
  }
}

export function fromProblem(body: unknown): QianzhiError | undefined {
  if (typeof body !== 'object' || body === null || !('code' in body) || !isErrorCode(body.code)) return undefined
  return new QianzhiError(body.code, detailsFromWire(body))
}
