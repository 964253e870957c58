/** Characters of a value that a reason may tell. */
const toldCharacters = 40

/** A value as a reason may tell it. */
export function told(value: string): string {
  const start = value.slice(0, toldCharacters).toWellFormed()
  return start.length < value.length ? `${start}…` : start
}
