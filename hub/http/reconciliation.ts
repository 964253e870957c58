import { Type } from 'typebox'
import { agentPaths } from '../../protocol/api.ts'
import { detailsToWire, QianzhiError } from '../../protocol/errors.ts'
import type { ReconciliationProgress } from '../../protocol/reconciliation.ts'
import { keysOfRun, readRun } from '../reconciliation/records.ts'
import { requestRun, type RequestDeps } from '../reconciliation/requesting.ts'
import { routesOfAgent } from '../reconciliation/routes.ts'
import type { Api } from './server.ts'
import { notFound } from '../records/refusals.ts'

const Wanted = Type.Object({ name: Type.String({ minLength: 1, maxLength: 128 }), repair: Type.Optional(Type.Boolean()) })
const OfRun = Type.Object({ run: Type.String({ pattern: '^[0-9]{1,18}$' }) })

/** What an agent's operator asks the hub for: reconciliations of its own routes, and how they go. */
export function reconciliationApi(deps: RequestDeps): Api {
  const { query } = deps.store
  return async (app) => {
    app.post(agentPaths.reconciliations, { schema: { body: Wanted } }, async ({ agent, body }) => {
      const routes = await routesOfAgent(query, agent.id, body.name, deps.clock())
      if (routes.length === 0) throw new QianzhiError('QZ-NOT-FOUND', { what: body.name })
      const requester = { actor: agent.id, agency: agent.agency, via: 'agent' } as const
      const runs: string[] = []
      for (const route of routes) runs.push(await requestRun(deps, requester, route, body.repair))
      return { runs }
    })

    app.get(
      agentPaths.reconciliations,
      { schema: { querystring: OfRun } },
      async ({ agent, query: { run } }): Promise<ReconciliationProgress> => {
        const found = await readRun(query, run)
        if (![found.provider, found.receiver].includes(agent.agency)) throw notFound('reconciliation', run)
        const { route, state, step, rows, code, details, statement } = found
        const keys = await keysOfRun(query, run)
        return {
          run,
          route,
          state,
          step,
          rows: Number(rows ?? 0),
          code,
          ...(details ? detailsToWire(details) : { details }),
          statement,
          keys,
        }
      },
    )
  }
}
