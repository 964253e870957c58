/** For histories that assert once, over thousands of cases. Throws where two are not the same; `asked` says of what. */
export function check(found: unknown, wanted: unknown, asked: unknown): void {
  if (JSON.stringify(found) !== JSON.stringify(wanted))
    throw new Error(`${JSON.stringify(asked)}: ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`)
}
