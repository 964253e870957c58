import type { LocalizedText } from '../../protocol/localized.ts'

/** What is wrong with the exchange or its hub, and who or what it is about: of which GET /health tells strangers the number. */
export interface HealthProblem extends LocalizedText {
  code: string
}

export interface Health {
  status: 'ok' | 'degraded' | 'down'
  problems: HealthProblem[]
  /** What operators of agents have paused: no problem, but nothing moves there. */
  paused: HealthProblem[]
}
