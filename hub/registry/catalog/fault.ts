import { QianzhiError } from '../../../protocol/errors.ts'
import { joinTexts, type LocalizedText } from '../../../protocol/localized.ts'

/** Something that keeps a registration from being submitted. `field`: of the entry, or of the item where one is named. */
export interface Fault extends LocalizedText {
  field: string | null
  item: string | null
}

/** QZ-RULE with as many as a message holds; `registration.check` shows them all. */
export function refused(faults: readonly Fault[]): QianzhiError {
  const shown = faults.slice(0, 20)
  const more = faults.length > shown.length ? ` (+${faults.length - shown.length})` : ''
  const texts = joinTexts(shown, { zh: '；', en: '; ' })
  const reason = { zh: texts.zh + more, en: texts.en + more }
  return new QianzhiError('QZ-RULE', { reason, faults: faults.length }, { faults: faults.slice(0, 200).map((fault) => ({ ...fault })) })
}
