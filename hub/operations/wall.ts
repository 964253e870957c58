import { Type } from 'typebox'
import type { LineDeps } from '../lines/lines.ts'
import { readWall, type Wall } from '../lines/wall.ts'
import { Kept } from '../store/kept.ts'
import { Edge, Node } from './lines.ts'
import { withNames } from './names.ts'
import { operation, type Operation } from './operation.ts'
import { nullable } from './shapes.ts'

const count = Type.Integer()
const tally = { updated: count, explained: count, overdue: count, excused: count }

/** Everything that a wall screen shows, in one answer. */
export const wallOperations: readonly Operation[] = [
  operation({
    name: 'wall.read',
    method: 'GET',
    path: '/wall',
    text: { zh: '大屏：全市的流向、义务、申请和更正', en: 'the wall screen: flows, duties, applications and corrections of the city' },
    answer: Type.Object({
      now: Type.String(),
      agencies: Type.Object({ connected: count, all: count }),
      resources: count,
      age: Type.Object({ median: nullable(count), p99: nullable(count) }),
      nodes: Type.Array(Node),
      edges: Type.Array(Edge),
      duties: Type.Object({ ...tally, worst: Type.Array(Type.Object({ agency: Type.String(), ...tally })) }),
      applications: Type.Object({
        waiting: count,
        overdue: count,
        meanDays: nullable(Type.Number()),
        days: Type.Array(Type.Object({ day: Type.String(), submitted: count, approved: count, rejected: count, withdrawn: count })),
      }),
      corrections: Type.Object({ ended: count, all: count }),
      acts: Type.Array(
        Type.Object({ at: Type.String(), act: Type.String(), title: nullable(Type.String()), agency: nullable(Type.String()) }),
      ),
    }),
    run: ({ services }) => services.wall(),
  }),
]

/** With the names of agencies; screens ask every ten seconds, and soon after rows moved. */
export function keepWall(depsNow: () => LineDeps): Kept<Wall> {
  const read = async () => {
    const deps = depsNow()
    return withNames(deps.query, await readWall(deps))
  }
  return new Kept(read, { ms: 1000, times: 4 })
}
