import { QianzhiError } from '../errors.ts'
import { joinTexts, type LocalizedText } from '../localized.ts'

const maxShown = 50

/** Everything that is wrong with a file in one refusal, each fault with its cell; nothing where there is none. Throws QZ-EXCEL. */
export function refuseFaults(faults: readonly QianzhiError[]): void {
  if (faults.length === 0) return
  if (faults.length === 1) throw faults[0]!
  const more = faults.length > maxShown ? [`… ${faults.length - maxShown}`] : []
  const lines = [...faults.slice(0, maxShown).map(faultLine), ...more]
  throw new QianzhiError('QZ-EXCEL', {
    where: { zh: `${faults.length} 处`, en: `${faults.length} places` },
    reason: joinTexts(lines, '\n'),
  })
}

function faultLine({ details: { where = '', reason = '' } }: QianzhiError): LocalizedText {
  return joinTexts([where, reason], ': ')
}
