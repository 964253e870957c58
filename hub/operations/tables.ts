import { Type } from 'typebox'
import { TablesAnswer } from '../../protocol/asks.ts'
import { listTables, proposeFromTable } from '../registry/publishing/table-proposal.ts'
import { operation, type Operation } from './operation.ts'
import { closed, Text } from './shapes.ts'

/** The agency's only machine need not be named. */
const AgentId = Type.String({ minLength: 1, maxLength: 100 })

/** From an existing table to a draft 从现有表登记: nobody types fifty columns. */
export const tableOperations: readonly Operation[] = [
  operation({
    name: 'table.list',
    method: 'GET',
    path: '/tables',
    text: { zh: '前置机上的表和视图', en: "tables and views that an agency's agent sees" },
    query: Type.Object({ agent: Type.Optional(AgentId) }, closed),
    answer: TablesAnswer,
    run: ({ registry, services: { asks }, principal, signal, query }) => listTables({ registry, asks, principal, signal }, query.agent),
  }),
  operation({
    name: 'table.propose',
    method: 'POST',
    path: '/tables/proposal',
    text: { zh: '由现有表生成登记草稿', en: 'a registration drafted from a table' },
    body: Type.Object(
      {
        agent: Type.Optional(AgentId),
        database: Type.String({ minLength: 1, maxLength: 100 }),
        table: Type.String({ minLength: 1, maxLength: 300 }),
        title: Type.Optional(Text(200)),
        resource: Type.Optional(Type.String({ minLength: 1, maxLength: 44 })),
      },
      closed,
    ),
    answer: Type.Object({
      registration: Type.Object({ id: Type.String(), resource: Type.String(), state: Type.String() }, { additionalProperties: true }),
      left: Type.Array(Type.Object({ column: Type.String(), native: Type.String() })),
      notes: Type.Array(Type.Object({ zh: Type.String(), en: Type.String() })),
      sampled: Type.Integer(),
    }),
    example: { database: 'business', table: 'public.licence', title: '行政许可' },
    run: ({ registry, services: { asks }, principal, signal, body }) => proposeFromTable({ registry, asks, principal, signal }, body),
  }),
]
