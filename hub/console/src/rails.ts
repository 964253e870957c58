/** How the flow map is laid out: which agencies stand on the two rails, and in which order. */
import type { Text } from './meta.ts'

export interface Flow {
  provider: string
  providerName?: string | null
  receiver: string
  receiverName?: string | null
  routes: number
  held: number
  state: string
  turn: Text
  today: number
  minute: number
  age: number | null
}

export interface RailNode {
  agency: string
  name: string
  state: string
}

export interface Curve {
  from: string
  to: string
  fromAt: number
  toAt: number
  state: string
  /** Logarithm of its rows today. */
  weight: number
  edge: Flow | undefined
}

export interface Rails {
  providers: RailNode[]
  receivers: RailNode[]
  /** The worst last: drawn on top. */
  curves: Curve[]
  /** What is not shown, since others are worse or have more rows. */
  folded: { agencies: number; routes: number }
}

/** The worst first, as the hub ranks them. */
const ranks = ['held', 'unknown', 'partial', 'paused', 'stopped', 'loading', 'flowing']
const rank = (state: string): number => ranks.indexOf(state)

/** Agencies on one rail: more cannot be told apart. */
const most = 30

export const pairOf = ({ provider, receiver }: Pick<Flow, 'provider' | 'receiver'>): string => `${provider} ${receiver}`

/** Heavy pairs stand opposite each other: each receiver at the weighted mean of its providers, once. */
export function arrange(edges: readonly Flow[]): Rails {
  const provide = nodes(edges, (edge) => [edge.provider, edge.providerName])
  const receive = nodes(edges, (edge) => [edge.receiver, edge.receiverName])
  const [lefts, rights] = [provide.slice(0, most), receive.slice(0, most)]
  const leftAt = places(lefts)
  const shown = edges.filter(({ provider, receiver }) => leftAt.has(provider) && rights.some(({ agency }) => agency === receiver))
  const centre = new Map(
    rights.map(({ agency }) => [
      agency,
      meanPlace(
        shown.filter(({ receiver }) => receiver === agency),
        leftAt,
      ),
    ]),
  )
  const ordered = rights.toSorted((a, b) => centre.get(a.agency)! - centre.get(b.agency)!)
  const rightAt = places(ordered)
  const curves = shown
    .map((edge) => ({
      from: edge.provider,
      to: edge.receiver,
      fromAt: leftAt.get(edge.provider)!,
      toAt: rightAt.get(edge.receiver)!,
      state: edge.state,
      weight: Math.log10(1 + edge.today),
      edge,
    }))
    .toSorted((a, b) => rank(b.state) - rank(a.state))
  const hidden = edges.filter((edge) => !shown.includes(edge))
  const agencies = new Set([...provide.slice(most), ...receive.slice(most)].map(({ agency }) => agency)).size
  return { providers: lefts, receivers: ordered, curves, folded: { agencies, routes: hidden.reduce((sum, { routes }) => sum + routes, 0) } }
}

const places = (rail: readonly RailNode[]): Map<string, number> => new Map(rail.map(({ agency }, at) => [agency, at]))

function meanPlace(edges: readonly Flow[], at: ReadonlyMap<string, number>): number {
  const weight = ({ today }: Flow) => 1 + Math.log10(1 + today)
  const all = edges.reduce((sum, edge) => sum + weight(edge), 0)
  return all === 0 ? 0 : edges.reduce((sum, edge) => sum + at.get(edge.provider)! * weight(edge), 0) / all
}

/** Those with problems first, then by rows. */
function nodes(edges: readonly Flow[], end: (edge: Flow) => [string, string | null | undefined]): RailNode[] {
  const found = new Map<string, RailNode & { rows: number }>()
  for (const edge of edges) {
    const [agency, name] = end(edge)
    const node = found.get(agency) ?? { agency, name: name ?? agency, state: edge.state, rows: 0 }
    if (rank(edge.state) < rank(node.state)) node.state = edge.state
    node.rows += edge.today
    found.set(agency, node)
  }
  return [...found.values()].toSorted((a, b) => rank(a.state) - rank(b.state) || b.rows - a.rows || (a.agency < b.agency ? -1 : 1))
}
