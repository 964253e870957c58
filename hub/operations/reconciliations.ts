import { Type } from 'typebox'
import { allows } from '../access/authorise.ts'
import { actedBy, type Principal } from '../access/principal.ts'
import { relationsOf } from '../access/relations.ts'
import { requestRun } from '../reconciliation/requesting.ts'
import { keysOfRun, listRuns, readRun, runList, runStates } from '../reconciliation/records.ts'
import { hubProducer } from '../records/supply.ts'
import type { Query } from '../store/store.ts'
import { pageOf, queryOf } from '../records/listing.ts'
import { operation, type Operation } from './operation.ts'
import { ById, closed, nullable } from './shapes.ts'

const run = {
  id: Type.String(),
  route: Type.String(),
  resource: Type.String(),
  provider: Type.String(),
  receiver: Type.String(),
  requestedBy: Type.String(),
  requested: Type.String(),
  repair: Type.Boolean(),
  state: Type.Enum([...runStates]),
  notBefore: Type.String(),
  deadline: Type.String(),
  began: nullable(Type.String()),
  ended: nullable(Type.String()),
  step: nullable(Type.String()),
  rows: nullable(Type.String()),
  code: nullable(Type.String()),
  details: nullable(Type.Object({})),
  statement: nullable(Type.Object({})),
}

const signed = {
  sourceAgent: nullable(Type.String()),
  targetAgent: nullable(Type.String()),
  sourceSignature: nullable(Type.String()),
  targetSignature: nullable(Type.String()),
  sourceKey: nullable(Type.String()),
  targetKey: nullable(Type.String()),
}

const Key = Type.Object({
  key: Type.Array(Type.String()),
  difference: Type.Enum(['missing', 'extra', 'changed']),
  state: Type.Enum(['open', 'settled', 'moving', 'quarantined', 'repaired', 'remaining']),
  side: nullable(Type.Enum(['source', 'target'])),
  code: nullable(Type.String()),
})

/** Reconciliations 对账: the proof that both sides of a route hold the same rows. */
export const reconciliationOperations: readonly Operation[] = [
  operation({
    name: 'reconciliation.list',
    method: 'GET',
    path: '/reconciliations',
    text: { zh: '对账列表', en: 'reconciliations' },
    query: queryOf(runList),
    answer: pageOf(Type.Object(run)),
    run: ({ registry, agencyScope, query }) => listRuns(registry.store.query, agencyScope, query),
  }),
  operation({
    name: 'reconciliation.read',
    method: 'GET',
    path: '/reconciliations/:id',
    objectKind: 'reconciliation',
    text: { zh: '查看对账', en: 'a reconciliation: what both sides signed, and the keys in which they differed' },
    params: ById,
    answer: Type.Object({ ...run, ...signed, keys: Type.Optional(Type.Array(Key)) }),
    run: async ({ registry, services, principal, params }) => {
      const { query } = registry.store
      const run = await readRun(query, params.id)
      const found = run.sourceAgent === hubProducer ? { ...run, sourceKey: services.address().hubKey } : run
      return (await seesKeys(query, principal, params.id)) ? { ...found, keys: await keysOfRun(query, params.id) } : found
    },
  }),
  operation({
    name: 'route.reconcile',
    method: 'POST',
    path: '/routes/:id/reconcile',
    objectKind: 'route',
    text: { zh: '立即对账', en: 'reconcile a route now' },
    params: ById,
    body: Type.Object({ repair: Type.Optional(Type.Boolean()) }, closed),
    answer: Type.Object(run),
    example: { repair: true },
    run: async ({ registry, services, principal, params, body }) => {
      const parts = { ...registry, settings: services.reconciliation }
      const id = await requestRun(parts, actedBy(principal), params.id, body.repair)
      return readRun(registry.store.query, id)
    },
  }),
]

/** Who may ask for a reconciliation sees its keys; who only watches sees states and counts (Art. 24). */
async function seesKeys(query: Query, principal: Principal, id: string): Promise<boolean> {
  return allows(principal, 'route.reconcile', await relationsOf(query, 'reconciliation', id))
}
