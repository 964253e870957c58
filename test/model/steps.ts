/** Steps of one random history, in a city of its own. */
export const stepsOfHistory = 500

/** Histories of a run: 1,500 steps, beside 500 of duties; more in `npm run soak -- registry`. */
export function historiesOfRun(): number {
  return Number(process.env['QIANZHI_HISTORIES'] ?? 3)
}
