/** States of a correction 更正 (Art. 18). */
export const correctionStates = {
  reported: { zh: '已报告', en: 'reported' },
  passed: { zh: '提供单位处理中', en: 'with the provider' },
  answered: { zh: '已答复', en: 'answered' },
  closed: { zh: '已办结', en: 'closed' },
  dismissed: { zh: '不予受理', en: 'dismissed' },
  withdrawn: { zh: '已撤回', en: 'withdrawn' },
  settled: { zh: '已自行消除', en: 'settled by itself' },
} as const
export type CorrectionState = keyof typeof correctionStates

/** By what an agent's refusals of one code and item are known again: `<route> <code> <item>`. */
export function refusalOrigin(route: string, code: string, item: string | undefined): string {
  return `${route} ${code} ${item ?? ''}`
}
