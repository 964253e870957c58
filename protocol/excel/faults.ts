import { QianzhiError } from '../errors.ts'

const maxShown = 50

/** Everything that is wrong with a file in one refusal, each fault with its cell; nothing where there is none. Throws QZ-EXCEL. */
export function refuseFaults(faults: readonly QianzhiError[]): void {
  if (faults.length === 0) return
  if (faults.length === 1) throw faults[0]!
  const lines = faults.slice(0, maxShown).map(({ details }) => `${details['where']}: ${details['reason']}`)
  const more = faults.length > maxShown ? [`… ${faults.length - maxShown}`] : []
  throw new QianzhiError('QZ-EXCEL', { where: `${faults.length} 处 / places`, reason: [...lines, ...more].join('\n') })
}
