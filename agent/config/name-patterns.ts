/** Whether one name can match both patterns of names (`*`, `?`, case left out of account). */
export function patternsOverlap(one: string, other: string): boolean {
  const [a, b] = [one, other].map((pattern) => Array.from(pattern.toUpperCase().toLowerCase())) as [string[], string[]]
  const known = new Map<number, boolean>()
  const from = (i: number, j: number): boolean => {
    const place = i * (b.length + 1) + j
    const found = known.get(place) ?? overlap(i, j)
    known.set(place, found)
    return found
  }
  const overlap = (i: number, j: number): boolean => {
    if (a[i] === '*') return from(i + 1, j) || (j < b.length && from(i, j + 1))
    if (b[j] === '*') return from(i, j + 1) || (i < a.length && from(i + 1, j))
    if (i === a.length || j === b.length) return i === a.length && j === b.length
    return (a[i] === '?' || b[j] === '?' || a[i] === b[j]) && from(i + 1, j + 1)
  }
  return from(0, 0)
}
