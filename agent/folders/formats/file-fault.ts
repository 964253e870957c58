import { basename } from 'node:path'
import { QianzhiError } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'

/** Makes the QZ-FILE with which a file is refused as a whole; `where` names the place in it. */
export type Refuse = (where: string | LocalizedText, zh: string, en: string, cause?: unknown) => QianzhiError

export function refusing(path: string): Refuse {
  const file = basename(path)
  return (where, zh, en, cause) =>
    new QianzhiError('QZ-FILE', { file, where, reason: { zh, en } }, cause === undefined ? undefined : { cause })
}

/** Where a fault is that concerns no line or cell. */
export const wholeFile: LocalizedText = { zh: '文件', en: 'file' }

export function lineName(number: number): LocalizedText {
  return { zh: `第 ${number} 行`, en: `line ${number}` }
}
