import { QianzhiError, type Fault } from '../errors.ts'
import { inLanguage, joinTexts, type LocalizedText } from '../localized.ts'

const maxShown = 50
/** So many of them are told one by one; more would be an answer that nobody reads. */
const mostKept = 500

/** Everything that is wrong with a file in one refusal, each fault with its cell; nothing where there is none. Throws QZ-EXCEL. */
export function refuseFaults(faults: readonly QianzhiError[]): void {
  if (faults.length === 0) return
  if (faults.length === 1) throw faults[0]!
  const more = faults.length > maxShown ? [`… ${faults.length - maxShown}`] : []
  const lines = [...faults.slice(0, maxShown).map(faultLine), ...more]
  const details = { where: { zh: `${faults.length} 处`, en: `${faults.length} places` }, reason: joinTexts(lines, '\n') }
  throw new QianzhiError('QZ-EXCEL', details, { faults: faults.slice(0, mostKept).map(faultOf) })
}

/** The cell as text, and what is wrong with it. */
function faultOf({ details: { where = '', reason = '' } }: QianzhiError): Fault {
  return { at: inLanguage(where, 'zh'), zh: inLanguage(reason, 'zh'), en: inLanguage(reason, 'en') }
}

function faultLine({ details: { where = '', reason = '' } }: QianzhiError): LocalizedText {
  return joinTexts([where, reason], ': ')
}
