import { conditions, type Condition, type Finding } from './line.ts'
import { readLines, type LineDeps, type LineFilter, type ReadLine } from './lines.ts'

/** All routes from one agency to another. */
export interface FlowEdge {
  provider: string
  receiver: string
  routes: number
  /** Of the worst one: its state, and whose turn it is. */
  state: Condition
  turn: Omit<Finding['turn'], 'agency'> & { agency: string | null }
  /** How many are held. */
  held: number
  /** Rows written and deleted today, and about as many in the last minute. */
  today: number
  minute: number
  /** Seconds of the oldest data; null where that is known of none. */
  age: number | null
}

export interface FlowNode {
  agency: string
  /** Routes that begin there, and that end there. */
  provides: number
  receives: number
  /** The worst of them. */
  state: Condition
}

export interface Flows {
  nodes: FlowNode[]
  edges: FlowEdge[]
}

export const worse = (a: Condition, b: Condition): Condition => (conditions.indexOf(a) <= conditions.indexOf(b) ? a : b)

/** Who gives to whom, by the codes of agencies. */
export async function readFlows(deps: LineDeps, filter: LineFilter): Promise<Flows> {
  return flowsOf(await readLines(deps, { ...filter, kind: 'route' }))
}

/** Of routes. */
export function flowsOf(routes: readonly ReadLine[]): Flows {
  const edges = new Map<string, FlowEdge>()
  for (const { source, receiver, condition, turn: found, today, minute, age } of routes) {
    if (!receiver) continue
    const { agency = null, ...turn } = found
    const key = `${source.agency} ${receiver.agency}`
    const edge = edges.get(key)
    const one = { state: condition, turn: { ...turn, agency }, held: condition === 'held' ? 1 : 0, routes: 1, today, minute, age }
    if (edge) add(edge, one)
    else edges.set(key, { provider: source.agency, receiver: receiver.agency, ...one })
  }
  const sorted = [...edges].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, edge]) => edge)
  return { nodes: nodesOf(sorted), edges: sorted }
}

function add(edge: FlowEdge, { state, turn, held, today, minute, age }: Omit<FlowEdge, 'provider' | 'receiver'>): void {
  if (state !== edge.state && worse(state, edge.state) === state) Object.assign(edge, { state, turn })
  edge.routes++
  edge.held += held
  edge.today += today
  edge.minute += minute
  edge.age = age === null || edge.age === null ? (edge.age ?? age) : Math.max(edge.age, age)
}

function nodesOf(edges: readonly FlowEdge[]): FlowNode[] {
  const nodes = new Map<string, FlowNode>()
  const at = (agency: string, state: Condition): FlowNode => {
    const node = nodes.get(agency) ?? { agency, provides: 0, receives: 0, state }
    node.state = worse(state, node.state)
    nodes.set(agency, node)
    return node
  }
  for (const { provider, receiver, routes, state } of edges) {
    at(provider, state).provides += routes
    at(receiver, state).receives += routes
  }
  return [...nodes.values()].toSorted((a, b) => (a.agency < b.agency ? -1 : 1))
}
