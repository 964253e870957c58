import type { Total } from '../records/listing.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import { conditions, type Condition, type Fault, type Finding } from './line.ts'
import { readLines, type LineDeps, type LineFilter, type ReadLine } from './lines.ts'

/** A source or route, on one line. */
export interface ListedLine extends Omit<Finding, 'condition' | 'turn'> {
  /** `route villages.water`, `source villages` */
  id: string
  kind: 'source' | 'route'
  resource: string
  title: string
  provider: string
  receiver: string | null
  /** Agents at both ends; null where there is none. */
  producer: string | null
  agent: string | null
  route: string | null
  grant: string | null
  state: Condition
  /** What arrived is what the source was then; age in seconds. */
  asOf: string | null
  age: number | null
  /** When the hub stored the newest batch. */
  lastPush: Date | null
  /** Keys that wait at the source, and batches that the receiver has yet to apply; null where that is not known. */
  waiting: number | null
  behind: number | null
  quarantine: number
  fault: Fault | null
  today: number
  minute: number
  turn: Omit<Finding['turn'], 'agency'> & { agency: string | null }
}

export interface LinePage {
  items: ListedLine[]
  next: string | null
  total: Total
  /** How many there are in each state. */
  states: Record<Condition, number>
}

export interface Page {
  state?: Condition | undefined
  after?: string | undefined
  limit: number
}

/** The worst first. Each page is of the moment: a line whose state changes in between may be on two pages, or on none. */
export async function listLines(deps: LineDeps, filter: LineFilter, { state, after, limit }: Page): Promise<LinePage> {
  const all = await readLines(deps, filter)
  const states = Object.fromEntries(conditions.map((one) => [one, 0])) as Record<Condition, number>
  for (const { condition } of all) states[condition]++
  const wanted = all.filter(({ condition }) => state === undefined || condition === state)
  const place = after === undefined ? undefined : placeOf(after)
  const sorted = wanted.map((line) => ({ line, place: tokenOf(line) })).toSorted((a, b) => compare(a.place, b.place))
  const rest = place === undefined ? sorted : sorted.filter((one) => compare(one.place, place) > 0)
  const items = rest.slice(0, limit)
  return {
    items: items.map(({ line }) => listed(line)),
    next: rest.length > limit ? items.at(-1)!.place : null,
    total: { count: wanted.length, more: false },
    states,
  }
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** Ranks are of one digit. */
const tokenOf = (line: ReadLine): string => `${conditions.indexOf(line.condition)} ${idOf(line)}`

const idOf = ({ route, resource }: ReadLine): string => (route === null ? `source ${resource}` : `route ${route}`)

/** Throws QZ-REQUEST-INVALID. */
function placeOf(after: string): string {
  if (/^\d (?:route|source) \S+$/.test(after)) return after
  throw new QianzhiError('QZ-REQUEST-INVALID', {
    reason: { zh: 'after 不是上一页给出的 next', en: 'after is not the next of a page' },
  })
}

function listed(line: ReadLine): ListedLine {
  const { route, resource, title, grant, source, receiver, hub, asOf, age, condition, at, today, minute } = line
  const { applied } = receiver ?? {}
  const behind = hub.head && applied && applied.epoch === hub.head.epoch ? Math.max(0, hub.head.seq - applied.seq) : null
  const { agency = null, ...turn } = line.turn
  return {
    id: idOf(line),
    kind: route === null ? 'source' : 'route',
    resource,
    title,
    provider: source.agency,
    receiver: receiver?.agency ?? null,
    producer: source.agent,
    agent: receiver?.agent ?? null,
    route,
    grant,
    state: condition,
    at,
    asOf,
    age,
    lastPush: hub.lastPush,
    waiting: source.report?.waiting ?? null,
    behind,
    quarantine: (source.report?.quarantine ?? 0) + (receiver?.quarantine ?? 0),
    fault: source.report?.fault ?? receiver?.report?.fault ?? null,
    today,
    minute,
    turn: { ...turn, agency },
  }
}
