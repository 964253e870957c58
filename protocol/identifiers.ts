import { joinTexts, type LocalizedText } from './localized.ts'

/**
 * The four identifiers whose check characters are verified where the rows are: at the provider's agent, in forms and in uploads.
 * Made to be called for every row: no regular expressions, nothing allocated.
 *
 * | kind                | Chinese          | source                          | places |
 * |---------------------|------------------|---------------------------------|--------|
 * | uscc                | 统一社会信用代码 | GB 32100                        | 17 + 1 |
 * | organisation-code   | 组织机构代码     | GB 11714                        | 8 + 1  |
 * | registration-number | 工商注册号       | GS 15 (ISO 7064, MOD 11,10)     | 14 + 1 |
 * | identity-number     | 公民身份号码     | GB 11643 (ISO 7064, MOD 11-2)   | 17 + 1 |
 */
export const identifierKinds = ['uscc', 'organisation-code', 'registration-number', 'identity-number'] as const
export type IdentifierKind = (typeof identifierKinds)[number]

/** What is wrong: the number of places, a character that the alphabet lacks (lower case is one), a day that never was, the check character. */
export type IdentifierFault = 'length' | 'character' | 'date' | 'check'

/** How certificate types call the identity card: names, and the codes of GA/T 2000.156 and of common practice. */
export const identityCardNames: readonly string[] = ['居民身份证', '身份证', '中华人民共和国居民身份证', '二代身份证', '111', '01']

/** The first thing that is wrong with an identifier in its plain form (no hyphen, no blanks), or undefined where it is right. */
export function checkIdentifier(kind: IdentifierKind, text: string): IdentifierFault | undefined {
  return checks[kind](text)
}

const faultTexts: Record<IdentifierFault, LocalizedText> = {
  length: { zh: '位数不对', en: 'wrong number of characters' },
  character: { zh: '含有不允许的字符', en: 'a character that is not allowed' },
  date: { zh: '出生日期不存在', en: 'a date of birth that does not exist' },
  check: { zh: '校验码不对', en: 'wrong check character' },
}

const names: Record<IdentifierKind, LocalizedText> = {
  uscc: { zh: '统一社会信用代码', en: 'unified social credit code' },
  'organisation-code': { zh: '组织机构代码', en: 'organisation code' },
  'registration-number': { zh: '工商注册号', en: 'registration number' },
  'identity-number': { zh: '公民身份号码', en: 'identity number' },
}

/** For people. Never holds the value. */
export function identifierFaultText(kind: IdentifierKind, fault: IdentifierFault): LocalizedText {
  return joinTexts([names[kind], faultTexts[fault]], { zh: '：', en: ': ' })
}

/** Values of at least so many different identifiers, and so large a share of all that are there. */
const enough = { distinct: 5, share: 0.9 }

/** Which identifier these values are, judged by their check characters; null and empty texts do not count. Undefined where it is none. */
export function recognise(values: readonly (string | null)[]): IdentifierKind | undefined {
  const present = values.filter((value) => value !== null && value !== '') as string[]
  return identifierKinds.find((kind) => {
    const valid = present.filter((value) => checkIdentifier(kind, value) === undefined)
    return valid.length >= present.length * enough.share && new Set(valid).size >= enough.distinct
  })
}

const checks: Record<IdentifierKind, (text: string) => IdentifierFault | undefined> = {
  uscc: checkUscc,
  'organisation-code': checkOrganisationCode,
  'registration-number': checkRegistrationNumber,
  'identity-number': checkIdentityNumber,
}

const none = 255

/** Value of each character by its code; `none` where the alphabet lacks it. */
function alphabet(characters: string): Uint8Array {
  const values = new Uint8Array(128).fill(none)
  for (let i = 0; i < characters.length; i++) values[characters.charCodeAt(i)] = i
  return values
}

const usccValues = alphabet('0123456789ABCDEFGHJKLMNPQRTUWXY')
const alphanumericValues = alphabet('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ')
const digitValues = alphabet('0123456789')

function valueAt(values: Uint8Array, text: string, place: number): number {
  const code = text.charCodeAt(place)
  return code < 128 ? values[code]! : none
}

/** 3^(i − 1) mod 31 for the places 1 … 17. */
const usccWeights = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28]

function checkUscc(text: string): IdentifierFault | undefined {
  if (text.length !== 18) return 'length'
  let sum = 0
  for (let i = 0; i < 17; i++) {
    const value = valueAt(usccValues, text, i)
    if (value === none) return 'character'
    sum += value * usccWeights[i]!
  }
  const last = valueAt(usccValues, text, 17)
  if (last === none) return 'character'
  return last === (31 - (sum % 31)) % 31 ? undefined : 'check'
}

const organisationWeights = [3, 7, 9, 10, 5, 8, 4, 2]

function checkOrganisationCode(text: string): IdentifierFault | undefined {
  if (text.length !== 9) return 'length'
  let sum = 0
  for (let i = 0; i < 8; i++) {
    const value = valueAt(alphanumericValues, text, i)
    if (value === none) return 'character'
    sum += value * organisationWeights[i]!
  }
  const last = lastOf(text, 8)
  if (last === none) return 'character'
  // 10 is written X, 11 is written 0.
  return last === (11 - (sum % 11)) % 11 ? undefined : 'check'
}

/** A last place that may also be `X` for ten. */
function lastOf(text: string, place: number): number {
  return text[place] === 'X' ? 10 : valueAt(digitValues, text, place)
}

function checkRegistrationNumber(text: string): IdentifierFault | undefined {
  if (text.length !== 15) return 'length'
  let product = 10
  for (let i = 0; i < 14; i++) {
    const digit = valueAt(digitValues, text, i)
    if (digit === none) return 'character'
    product = (((product + digit) % 10 || 10) * 2) % 11
  }
  const last = valueAt(digitValues, text, 14)
  if (last === none) return 'character'
  return last === (11 - product) % 10 ? undefined : 'check'
}

const identityWeights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]

function checkIdentityNumber(text: string): IdentifierFault | undefined {
  if (text.length !== 18) return 'length'
  let sum = 0
  for (let i = 0; i < 17; i++) {
    const digit = valueAt(digitValues, text, i)
    if (digit === none) return 'character'
    sum += digit * identityWeights[i]!
  }
  const last = lastOf(text, 17)
  if (last === none) return 'character'
  if (!dayExists(numberAt(text, 6, 4), numberAt(text, 10, 2), numberAt(text, 12, 2))) return 'date'
  // The check characters 1 0 X 9 8 7 6 5 4 3 2 by the sum's remainder.
  return last === (12 - (sum % 11)) % 11 ? undefined : 'check'
}

/** Of digits that were checked. */
function numberAt(text: string, from: number, length: number): number {
  let number = 0
  for (let i = from; i < from + length; i++) number = number * 10 + text.charCodeAt(i) - 48
  return number
}

const daysOfMonth = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

function dayExists(year: number, month: number, day: number): boolean {
  if (year < 1 || month < 1 || month > 12 || day < 1 || day > daysOfMonth[month - 1]!) return false
  return month !== 2 || day < 29 || (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
}
