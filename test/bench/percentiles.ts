export function percentiles(times: readonly number[]): { p50: number; p95: number; longest: number } {
  const sorted = times.toSorted((a, b) => a - b)
  const at = (share: number): number => round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!)
  return { p50: at(0.5), p95: at(0.95), longest: round(sorted.at(-1)!) }
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
