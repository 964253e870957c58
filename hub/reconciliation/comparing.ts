import { bucketBytes, hashBytes } from '../../protocol/digest.ts'

/** What two sides have told of themselves, compared. Nothing here knows a row. */

/** Numbers of the buckets in which two tables differ; both lists begin with bucket `from`. */
export function differingBuckets(source: Buffer, target: Buffer, from: number): number[] {
  const buckets: number[] = []
  for (let at = 0; at < Math.max(source.length, target.length); at += bucketBytes) {
    if (!source.subarray(at, at + bucketBytes).equals(target.subarray(at, at + bucketBytes))) buckets.push(from + at / bucketBytes)
  }
  return buckets
}

/** Seen from the receiver: what it lacks, what it has besides, and what it has otherwise. */
export type Difference = 'missing' | 'extra' | 'changed'

/** Hashes of the keys (base64url) whose rows differ. */
export function differingKeys(source: Buffer, target: Buffer): Map<string, Difference> {
  const [here, there] = [entriesOf(source), entriesOf(target)]
  const found = new Map<string, Difference>()
  for (const [key, row] of here) {
    const other = there.get(key)
    if (other === undefined) found.set(key, 'missing')
    else if (other !== row) found.set(key, 'changed')
  }
  for (const key of there.keys()) if (!here.has(key)) found.set(key, 'extra')
  return found
}

/** The rows of each key: a table without a unique key may hold several. */
function entriesOf(bytes: Buffer): Map<string, string> {
  const entries = new Map<string, string[]>()
  for (let at = 0; at + 2 * hashBytes <= bytes.length; at += 2 * hashBytes) {
    const middle = at + hashBytes
    const [key, row] = [bytes.toString('base64url', at, middle), bytes.toString('base64url', middle, middle + hashBytes)]
    entries.set(key, [...(entries.get(key) ?? []), row])
  }
  return new Map([...entries].map(([key, rows]) => [key, rows.toSorted().join()]))
}
