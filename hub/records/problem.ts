import type { LocalizedText } from '../../protocol/localized.ts'

/** What is wrong with the exchange or its hub, and who or what it is about: what GET /health tells. */
export interface HealthProblem extends LocalizedText {
  code: string
}
