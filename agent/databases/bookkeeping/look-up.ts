import { rowReason } from '../../../protocol/errors.ts'
import type { Found, Row, Rows, SourceTable } from '../../database.ts'
import { keyIndexes, keyText, keyTextOf } from '../../row-keys.ts'

/**
 * Looking rows up by their keys. A key that comes back as missing becomes a delete at every receiver, so absence is never inferred from a
 * look-up that could fail:
 *
 *     keys ──▶ together ──▶ rows found ─────────────────────────────────────────▶ rows, faults
 *                 │ not found, or refused by the server (halved until one key is left)
 *                 ▼
 *               apart ────▶ rows found after all ───────────────────────────────▶ rows, faults
 *                 │ not found              │ one key refused
 *                 ▼                        ▼
 *              missing ◀── no value ── could it be one? ── yes: its row is unreadable ──▶ fault
 *
 * Servers do pass over rows: MySQL finds nothing for `(a, b) in (('东莞', 1), ('莞城', 1))` where `a` is GBK, and an index may be damaged. So
 * `apart` asks in another way than `together`. What one key makes the server refuse says nothing about the others. A text that cannot be a
 * value of its column's type any more (the type was altered, a label renamed) is that of no row; rows that live on under another text come
 * with the snapshot that an altered table gets (Capture.triggerFingerprint).
 */
export interface LookUpWays {
  /** Rows of all these keys in few statements over the index. In groups: within one they differ, in several the same row may come. */
  together(keys: readonly Row[]): Promise<readonly Rows[]>
  /** The same asked in another way. */
  apart(keys: readonly Row[]): Promise<readonly Rows[]>
  /** Whether the server refused because of a value, of a key or in a row: not because of the connection, a right or a lock. */
  isValueError(error: unknown): boolean
  /** Whether the key's texts are values of its columns' types now. */
  couldBe(key: Row): Promise<boolean>
}

export async function lookUp(source: Pick<SourceTable, 'columns'>, keys: readonly Row[], ways: LookUpWays): Promise<Found> {
  const textOf = keyTextOf(keyIndexes(source))
  const found: Rows = { rows: [], faults: [] }
  const met = new Set<string>()
  let missing = keys.slice()
  const take = ({ rows, faults }: Rows): void => {
    const [rowTexts, faultTexts] = [rows.map(textOf), faults.map(({ key }) => keyText(key))]
    found.rows.push(...(met.size === 0 ? rows : rows.filter((_, i) => !met.has(rowTexts[i]!))))
    found.faults.push(...faults.filter((_, i) => !met.has(faultTexts[i]!)))
    for (const text of rowTexts) met.add(text)
    for (const text of faultTexts) met.add(text)
  }
  const look = async (way: 'together' | 'apart', refused?: (key: Row, error: unknown) => Promise<void>): Promise<void> => {
    await halved(missing, ways, async (part) => (await ways[way](part)).forEach(take), refused)
    missing = missing.filter((key) => !met.has(keyText(key)))
  }
  await look('together')
  await look('apart', async (key, error) => {
    if (await ways.couldBe(key)) take({ rows: [], faults: [{ key, code: 'QZ-ROW-VALUE', reason: rowReason(error) }] })
  })
  return { ...found, missing }
}

async function halved(
  keys: readonly Row[],
  ways: Pick<LookUpWays, 'isValueError'>,
  look: (keys: readonly Row[]) => Promise<void>,
  refused: ((key: Row, error: unknown) => Promise<void>) | undefined,
): Promise<void> {
  if (keys.length === 0) return
  try {
    return await look(keys)
  } catch (error) {
    if (!ways.isValueError(error)) throw error
    if (keys.length === 1) return refused?.(keys[0]!, error)
  }
  const middle = keys.length >> 1
  await halved(keys.slice(0, middle), ways, look, refused)
  await halved(keys.slice(middle), ways, look, refused)
}

export interface PageWays extends Pick<LookUpWays, 'isValueError'> {
  page(after: Row | null, limit: number): Promise<Rows & { last: Row | null }>
  /** The key alone of the next row. */
  keyAfter(after: Row | null): Promise<Row | null>
}

/** The next rows in the key's order. One that the server cannot read is found by halving and is a fault of its key. */
export async function pageOf(ways: PageWays, after: Row | null, limit: number): Promise<Rows & { last: Row | null }> {
  try {
    return await ways.page(after, limit)
  } catch (error) {
    if (!ways.isValueError(error)) throw error
    if (limit === 1) {
      const key = await ways.keyAfter(after)
      return { rows: [], faults: key ? [{ key, code: 'QZ-ROW-VALUE', reason: rowReason(error) }] : [], last: key }
    }
  }
  const half = limit >> 1
  const first = await pageOf(ways, after, half)
  if (first.rows.length + first.faults.length < half) return first
  const second = await pageOf(ways, first.last, limit - half)
  return { rows: [...first.rows, ...second.rows], faults: [...first.faults, ...second.faults], last: second.last ?? first.last }
}

/** Lines of a join from the keys, each beginning with its key's place and whether it has a row. Throws where a key did not come back. */
export function byPlace<T>(lines: readonly T[], count: number, placeOf: (line: T) => number): T[][] {
  const groups = Array.from({ length: count }, (): T[] => [])
  for (const line of lines) groups[placeOf(line)]!.push(line)
  if (groups.some((group) => group.length === 0)) throw new Error('a key did not come back from the look-up')
  return groups
}
