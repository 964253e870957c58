import { Type } from 'typebox'
import { reachOf } from '../access/authorise.ts'
import type { OperationName } from '../access/rights.ts'
import { Total, type Page } from '../records/listing.ts'
import { operation, type Call, type Operation } from './operation.ts'
import { closed, nullable, Text } from './shapes.ts'

/** What is searched, and which member of a line its title is. */
const kinds: Readonly<Record<string, { list: OperationName; id?: string; title: readonly string[] }>> = {
  resource: { list: 'catalog.search', id: 'resource', title: ['title'] },
  agency: { list: 'agency.list', id: 'code', title: ['name'] },
  application: { list: 'application.list', title: ['title'] },
  grant: { list: 'grant.list', title: ['title'] },
  registration: { list: 'registration.list', title: ['title', 'resource'] },
  demand: { list: 'demand.list', title: ['title'] },
  correction: { list: 'correction.list', title: ['resource'] },
  publication: { list: 'publication.list', title: ['resource'] },
  opening: { list: 'opening.list', title: ['title'] },
  declaration: { list: 'declaration.list', title: ['resource', 'text'] },
  order: { list: 'order.list', title: ['resource', 'text'] },
  machine: { list: 'machine.list', title: ['name'] },
  agent: { list: 'agent.list', title: ['name'] },
  person: { list: 'person.list', title: ['name'] },
  standard: { list: 'standard.list', id: 'code', title: ['title', 'code'] },
}
export const searchedKinds = Object.keys(kinds)

const perKind = 10

const Found = Type.Object({
  id: Type.String(),
  title: Type.String(),
  agency: nullable(Type.String()),
  state: nullable(Type.String()),
})

type Line = Readonly<Record<string, unknown>>
const textOf = (value: unknown) => (typeof value === 'string' && value !== '' ? value : null)

/** The lists themselves find it, so that nobody finds here what they may not list. */
async function foundBy(list: Operation, call: Call<unknown, { text: string }>) {
  const agencyScope = reachOf(call.principal, list.name).has('any') ? null : call.principal.agency
  const page = (await list.run({ ...call, agencyScope, query: { text: call.query.text, limit: String(perKind) } })) as Page<Line>
  return page
}

/** One search over all that the caller may list: `lists` are the operations of these lists. */
export function searchOperations(lists: readonly Operation[]): readonly Operation[] {
  return [
    operation({
      name: 'search.all',
      method: 'GET',
      path: '/search',
      text: { zh: '全局检索：资源、单位、事项、前置机、人员', en: 'search of resources, agencies, cases, machines and people' },
      query: Type.Object({ text: Text(200), kind: Type.Optional(Type.Enum(searchedKinds)) }, closed),
      answer: Type.Object({
        items: Type.Array(Type.Object({ kind: Type.Enum(searchedKinds), total: Total, found: Type.Array(Found) })),
      }),
      run: async (call) => {
        const { kind } = call.query
        const groups = []
        for (const [name, { list, id = 'id', title }] of Object.entries(kinds)) {
          const by = lists.find((one) => one.name === list)!
          if ((kind !== undefined && kind !== name) || reachOf(call.principal, list).size === 0) continue
          const { items, total } = await foundBy(by, call)
          const found = items.map((line) => ({
            id: String(line[id]),
            title: title.map((member) => textOf(line[member])).find((text) => text !== null) ?? String(line[id]),
            agency: textOf(line['agency']),
            state: textOf(line['state']),
          }))
          if (found.length > 0) groups.push({ kind: name, total, found })
        }
        return { items: groups }
      },
    }),
  ]
}
