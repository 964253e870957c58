/** The stream of the crash test: a snapshot of two batches, changes, another snapshot; and the rows after each of its batches. */
import type { Change, Row } from '../../../../agent/database.ts'
import { at } from '../../databases/conformance/fixture.ts'

interface Step {
  change: Change
  /** A file is waited for behind it. */
  waits: boolean
  /** Rows by key after it. */
  rows: ReadonlyMap<string, Row>
}

export const steps: Step[] = []
const rows = new Map<string, Row>()

function add(
  of: Row[],
  { ops, snapshot, waits = true }: { ops?: Change['ops']; snapshot?: Change['snapshot']; waits?: boolean } = {},
): void {
  const seq = steps.length + 1
  of.forEach((row, i) => (ops?.[i] === 'd' ? rows.delete(row[0]!) : rows.set(row[0]!, row)))
  const change: Change = {
    from: seq === 1 ? null : at(seq - 1),
    to: at(seq),
    rows: of.length,
    columns: [0, 1, 2].map((column) => of.map((row) => row[column]!)),
    ...(ops && { ops }),
    ...(snapshot && { snapshot }),
  }
  steps.push({ change, waits, rows: new Map(rows) })
}

const list = (from: number, to: number, name: string): Row[] => Array.from({ length: to - from }, (_, i) => [`k${from + i}`, name, '1.00'])

add(list(0, 20, 'a'), { snapshot: { began: at(1), last: false }, waits: false })
add(list(20, 30, 'a'), { snapshot: { began: at(1), last: true } })
add([...list(0, 3, 'b'), ...list(40, 42, 'b')])
add(
  [
    ['k1', null, null],
    ['k41', 'c', null],
  ],
  { ops: ['d', 'u'], waits: false },
)
add(
  [
    ['k1', 'again', null],
    ['k2', null, null],
  ],
  { ops: ['u', 'd'] },
)
for (const key of rows.keys()) if (Number(key.slice(1)) >= 25) rows.delete(key)
add(list(0, 25, 'd'), { snapshot: { began: at(6), last: true } })
