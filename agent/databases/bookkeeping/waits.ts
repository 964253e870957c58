/** Which of a table's rows wait for which others, and the order in which they can go. */
import type { Value } from '../../../protocol/value.ts'
import type { Row } from '../../database.ts'

export interface WaitingRow {
  key: Row
  /** All its values as they are to be; undefined where it is to go. */
  wanted: Row | undefined
  /** As the table has it; undefined where it has not. */
  now: Row | undefined
}

/** Of rows with one value not more than this are looked at: a column in which more have it is unique with others only. */
const holdersLookedAt = 100

/** For each row the numbers of those that it waits for; `contested`: places of the columns in further unique indexes. */
export function waits(rows: readonly WaitingRow[], contested: readonly number[]): number[][] {
  const holders = new Map(contested.map((place) => [place, numbersBy(rows, ({ now }) => [now?.[place]])]))
  const newcomers = numbersBy(rows, ({ key, wanted, now }) => (wanted && !now && key.length === 1 ? key : []))
  const going = new Set(rows.flatMap(({ key, wanted }) => (wanted || key.length > 1 ? [] : [folded(key[0]!)])))
  const mentions = numbersBy(rows, ({ now }) => (now ?? []).filter((value) => going.has(folded(value))))
  return rows.map(({ key, wanted, now }, i) => {
    const found = new Set<number>()
    if (!wanted) for (const other of key.length === 1 && now ? (mentions.get(folded(key[0]!)) ?? []) : []) found.add(other)
    else {
      for (const value of new Set(wanted)) for (const other of newcomers.get(folded(value)) ?? []) found.add(other)
      for (const other of inTheWay(rows, wanted, holders)) found.add(other)
    }
    found.delete(i)
    return [...found]
  })
}

/** Rows that have its values now: alone in a column, or in two at least. */
function inTheWay(rows: readonly WaitingRow[], wanted: Row, holders: ReadonlyMap<number, ReadonlyMap<string, number[]>>): number[] {
  const places = [...holders.keys()]
  return places.flatMap((place) => {
    const have = holders.get(place)!.get(folded(wanted[place]!)) ?? []
    if (have.length < 2) return have
    return have
      .slice(0, holdersLookedAt)
      .filter((other) => places.some((one) => one !== place && folded(rows[other]!.now![one]!) === folded(wanted[one]!)))
  })
}

/** Without null. */
function numbersBy(rows: readonly WaitingRow[], values: (row: WaitingRow) => readonly (Value | undefined)[]): Map<string, number[]> {
  const found = new Map<string, number[]>()
  for (const [i, row] of rows.entries()) {
    for (const value of new Set(values(row))) {
      if (value === undefined || value === null) continue
      const text = folded(value)
      const list = found.get(text)
      if (list) list.push(i)
      else found.set(text, [i])
    }
  }
  return found
}

/** An index may compare without regard to case or trailing blanks; one more that seems to wait does no harm. */
function folded(value: Value): string {
  return value === null ? '\0' : value.toLowerCase().trimEnd()
}

/** Each group after those that it waits for; rows of one group wait for one another in rings. (Tarjan) */
export function inOrder(edges: readonly (readonly number[])[]): number[][] {
  const groups: number[][] = []
  const met: number[] = []
  const low: number[] = []
  const open: number[] = []
  const isOpen = new Set<number>()
  let count = 0
  const meet = (node: number): { node: number; next: number } => {
    met[node] = low[node] = count++
    open.push(node)
    isOpen.add(node)
    return { node, next: 0 }
  }
  for (const root of edges.keys()) {
    const path = met[root] === undefined ? [meet(root)] : []
    for (let at = path.at(-1); at; at = path.at(-1)) {
      const { node } = at
      const other = edges[node]![at.next++]
      if (other !== undefined) {
        if (met[other] === undefined) path.push(meet(other))
        else if (isOpen.has(other)) low[node] = Math.min(low[node]!, met[other])
        continue
      }
      path.pop()
      const before = path.at(-1)?.node
      if (before !== undefined) low[before] = Math.min(low[before]!, low[node]!)
      if (low[node] !== met[node]) continue
      const group = open.splice(open.lastIndexOf(node))
      for (const one of group) isOpen.delete(one)
      groups.push(group)
    }
  }
  return groups
}
