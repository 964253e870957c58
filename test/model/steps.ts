/** Steps of one random history, in a city of its own. */
export const stepsOfHistory = 500

/** Of each model in a run; more in `npm run soak -- registry`. */
export function historiesOfRun(): number {
  return Number(process.env['QIANZHI_HISTORIES'] ?? 1)
}
