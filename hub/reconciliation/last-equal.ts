import { counted } from '../../protocol/localized.ts'
import type { Query } from '../store/store.ts'
import { runnableRoutes } from './routes.ts'
import type { HealthProblem } from '../records/problem.ts'

/** A reconciliation that found both sides equal, as evidence. */
export interface Equal {
  run: string
  route: string
  at: Date
  /** Rows of the source and of the delivered table. */
  rows: { source: number; target: number }
}

/** The newest one of any route of a resource. */
export async function lastEqual(query: Query, resource: string): Promise<Equal | null> {
  const [equal] = await query<Equal>(
    `select c.id as run, c.route, c.ended_at as at,
       jsonb_build_object('source', c.statement -> 'source' -> 'rows', 'target', c.statement -> 'target' -> 'rows') as rows
     from reconciliation c join route t on t.id = c.route join access_grant g on g.id = t.access_grant
     where g.resource = $1 and c.state = 'equal' order by c.id desc limit 1`,
    [resource],
  )
  return equal ?? null
}

/** What is known of a route's reconciliations. */
export interface LastRun {
  /** The last one that ended; null where none has. */
  run: string | null
  state: 'equal' | 'different' | 'failed' | null
  /** When both sides were last found equal. */
  equal: Date | null
}

const day = 86_400_000

/**
 * Routes that were found different, and those that were not found equal for twice the interval; those into a one-way gap, whose other end
 * nobody can ask, excepted. `every`: days, 0 for never.
 */
export async function unreconciledRoutes(query: Query, now: Date, every: number): Promise<HealthProblem[]> {
  const routes = await runnableRoutes(query, now)
  const rows = await query<{ id: string; different: boolean; asked: boolean; since: Date }>(
    `select t.id, coalesce((select c.state = 'different' from reconciliation c
         where c.route = t.id and c.state in ('equal', 'different') order by c.id desc limit 1), false) as different,
       (select c.code from reconciliation c where c.route = t.id and c.ended_at is not null order by c.id desc limit 1)
         is distinct from 'QZ-GAP-ONE-WAY' as asked,
       coalesce((select max(ended_at) from reconciliation c where c.route = t.id and c.state = 'equal'), g.created_at) as since
     from route t join access_grant g on g.id = t.access_grant where t.id = any($1) order by t.id`,
    [routes],
  )
  const oldest = new Date(now.getTime() - 2 * every * day)
  return rows.flatMap(({ id, different, asked, since }) => {
    if (different) return [differs(id)]
    return asked && every > 0 && since < oldest ? [overdue(id, Math.floor((now.getTime() - since.getTime()) / day))] : []
  })
}

function differs(route: string): HealthProblem {
  return {
    code: 'QZ-HEALTH-ROUTE-DIFFERENT',
    zh: `交换路由 ${route} 最近一次对账不一致`,
    en: `The last reconciliation of route ${route} found differences`,
  }
}

function overdue(route: string, days: number): HealthProblem {
  return {
    code: 'QZ-HEALTH-ROUTE-UNRECONCILED',
    zh: `交换路由 ${route} 已 ${days} 天没有对账一致`,
    en: `Route ${route} has not been reconciled as equal for ${counted(days, 'day')}`,
  }
}
