import { filter, listPage, type Asked, type Listing, type Page } from '../records/listing.ts'
import type { ErrorDetails, QianzhiError as Coded } from '../../protocol/errors.ts'
import { doubtTexts, type ReconciliationStatement } from '../../protocol/reconciliation.ts'
import { writeAudit } from '../records/audit.ts'
import { notify } from '../records/notices.ts'
import type { Query, Store } from '../store/store.ts'
import type { Compared } from './comparison.ts'
import type { JudgedKey } from './verdict.ts'
import type { RunRoute } from './routes.ts'
import { notFound } from '../records/refusals.ts'

export const runStates = ['waiting', 'running', 'equal', 'different', 'failed'] as const
export type RunState = (typeof runStates)[number]

/** A run as lists show it: states and counts, and no key. */
export interface Run {
  id: string
  route: string
  resource: string
  provider: string
  receiver: string
  requestedBy: string
  requested: Date
  repair: boolean
  state: RunState
  notBefore: Date
  deadline: Date
  began: Date | null
  ended: Date | null
  step: string | null
  rows: string | null
  code: string | null
  details: ErrorDetails | null
  statement: ReconciliationStatement | null
}

/** With what both sides signed, and with whose keys. */
export interface WholeRun extends Run {
  sourceAgent: string | null
  targetAgent: string | null
  sourceSignature: string | null
  targetSignature: string | null
  /** Public keys (the JWKs' `x`) of the two agents. */
  sourceKey: string | null
  targetKey: string | null
}

const columns = `c.id, c.route, g.resource, r.agency as provider, g.agency as receiver, c.requested_by as "requestedBy", c.requested_at as requested,
  c.repair, c.state, c.not_before as "notBefore", c.deadline, c.began_at as began, c.ended_at as ended, c.step, c.rows, c.code, c.details, c.statement`
const tables = `from reconciliation c join route t on t.id = c.route join access_grant g on g.id = t.access_grant join resource r on r.code = g.resource`

export interface NewRun {
  route: string
  by: string
  repair: boolean
  now: Date
  deadline: Date
}

/** Null where one is waiting or under way already. */
export async function insertRun(query: Query, { route, by, repair, now, deadline }: NewRun): Promise<string | null> {
  const [row] = await query<{ id: string }>(
    `insert into reconciliation (route, requested_by, requested_at, repair, state, not_before, deadline) values ($1, $2, $3, $4, 'waiting', $3, $5)
     on conflict (route) where state in ('waiting', 'running') do nothing returning id`,
    [route, by, now, repair, deadline],
  )
  return row?.id ?? null
}

/** The run of this route that waits or is under way. */
export async function openRun(query: Query, route: string): Promise<string | undefined> {
  const text = `select id from reconciliation where route = $1 and state in ('waiting', 'running')`
  return (await query<{ id: string }>(text, [route]))[0]?.id
}

/** Of agency $1 as provider or receiver, or all. */
export const runList = {
  select: `select ${columns} ${tables} where $1::text is null or r.agency = $1 or g.agency = $1`,
  filters: {
    state: filter.among('state', runStates),
    agency: filter.equal('receiver'),
    provider: filter.equal('provider'),
    resource: filter.equal('resource'),
    route: filter.equal('route'),
    text: filter.holds('id', 'resource', 'route'),
    from: filter.from('requested'),
    to: filter.to('requested'),
  },
  sorts: { id: 'bigint', resource: 'text', receiver: 'text', state: 'text', requested: 'timestamptz', ended: 'timestamptz' },
  first: '-id',
  id: ['id', 'bigint'],
} as const satisfies Listing

export function listRuns(query: Query, agencyScope: string | null, asked: Asked): Promise<Page<Run>> {
  return listPage(query, runList, [agencyScope], asked)
}

/** Throws QZ-NOT-FOUND. */
export async function readRun(query: Query, id: string): Promise<WholeRun> {
  const [run] = await query<WholeRun>(
    `select ${columns}, c.source_agent as "sourceAgent", c.target_agent as "targetAgent", c.source_signature as "sourceSignature",
       c.target_signature as "targetSignature", s.public_key as "sourceKey", a.public_key as "targetKey"
     ${tables} left join agent s on s.id = c.source_agent left join agent a on a.id = c.target_agent where c.id = $1`,
    [id],
  )
  if (!run) throw notFound('reconciliation', id)
  return run
}

/** The keys in which a run found the two tables different: for the two agencies and the office alone. */
export function keysOfRun(query: Query, id: string): Promise<JudgedKey[]> {
  return query<JudgedKey>('select key, difference, state, side, code from reconciliation_key where reconciliation = $1 order by key', [id])
}

/** Puts off, or ends, a run that could not go on; compare-and-set on the runner that has it. */
export async function putOff(query: Query, id: string, runner: string, error: Coded, until: Date): Promise<void> {
  await query(
    `update reconciliation set state = 'waiting', conductor = null, not_before = $3, code = $4, details = $5, step = null
     where id = $1 and conductor = $2 and state = 'running'`,
    [id, runner, until, error.code, JSON.stringify(error.details)],
  )
}

export async function failRun(
  store: Pick<Store, 'transaction'>,
  id: string,
  runner: string | null,
  error: Coded,
  now: Date,
): Promise<void> {
  await store.transaction(async (query) => {
    const [failed] = await query<{ route: string }>(
      `update reconciliation set state = 'failed', ended_at = $3, code = $4, details = $5, step = null
       where id = $1 and conductor is not distinct from $2 and state in ('waiting', 'running') returning route`,
      [id, runner, now, error.code, JSON.stringify(error.details)],
    )
    if (!failed) return
    await writeAudit(query, {
      actor: 'hub',
      act: 'reconciliation.fail',
      object: `reconciliation ${id}`,
      outcome: error.code,
      details: failed,
    })
  })
}

export interface Signatures {
  source: string
  target: string
}

/** What both have signed: run, keys, audit and notices together. False where the run is not this runner's any more. */
export async function finishRun(
  store: Pick<Store, 'transaction'>,
  { id, runner, route, now }: { id: string; runner: string; route: RunRoute; now: Date },
  { statement, keys }: Compared,
  signatures: Signatures,
): Promise<boolean> {
  const { outcome, rows, ...counts } = shown(statement)
  return store.transaction(async (query) => {
    const ended = await query(
      `update reconciliation set state = $3, ended_at = $4, statement = $5, source_signature = $6, target_signature = $7, source_agent = $8,
         target_agent = $9, step = null, code = null, details = null
       where id = $1 and conductor = $2 and state = 'running' returning 1`,
      [id, runner, outcome, now, JSON.stringify(statement), signatures.source, signatures.target, route.sourceAgent, route.targetAgent],
    )
    if (ended.length === 0) return false
    await insertKeys(query, id, keys)
    await writeAudit(query, {
      actor: 'hub',
      act: `reconciliation.${outcome}`,
      object: `reconciliation ${id}`,
      details: { route: route.route, rows, ...counts },
    })
    if (outcome === 'different') await notifyDifferent(query, id, route, statement)
    return true
  })
}

function shown({ outcome, source, target, differing, more, settled, moving, quarantined, repaired, remaining }: ReconciliationStatement) {
  const rows = { source: source.rows, target: target.rows }
  const doubts = { ...(source.doubt && { source: source.doubt }), ...(target.doubt && { target: target.doubt }) }
  return { outcome, rows, doubts, differing, more, settled, moving, quarantined, repaired, remaining }
}

/** Runs that ended before have gone, but for the newest of each route and its newest equal one; the audit keeps what came of each. */
export async function forgetRuns(query: Query, before: Date): Promise<void> {
  await query(
    `delete from reconciliation c where c.ended_at < $1 and c.id not in (
       select max(id) from reconciliation where ended_at is not null group by route
       union all select max(id) from reconciliation where state = 'equal' group by route)`,
    [before],
  )
}

/** Settled ones were only under way: they are counted, and not kept. */
async function insertKeys(query: Query, id: string, keys: readonly JudgedKey[]): Promise<void> {
  await query(
    `insert into reconciliation_key (reconciliation, key, difference, state, side, code)
     select $1, k.key, k.difference, k.state, k.side, k.code
     from jsonb_to_recordset($2::jsonb) as k(key jsonb, difference text, state text, side text, code text)`,
    [id, JSON.stringify(keys.filter(({ state }) => state !== 'settled'))],
  )
}

function notifyDifferent(query: Query, id: string, route: RunRoute, statement: ReconciliationStatement): Promise<void> {
  const { provider, receiver, title } = route
  const { remaining, more } = statement
  const doubts = doubtTexts(statement)
  const [zh, en] =
    doubts.length > 0
      ? [doubts.map((text) => text.zh).join('；'), doubts.map((text) => text.en).join('; ')]
      : more
        ? [
            `${remaining} 个以上主键不一致，需重新快照（要求修复的对账会自行请求）`,
            `${remaining} keys or more differ: a new snapshot is needed, which a run that repairs asks for by itself`,
          ]
        : [`${remaining} 个主键不一致`, `${remaining} keys differ`]
  return notify(query, {
    to: [
      { role: 'office' },
      ...[provider, receiver].flatMap((agency) => [{ agency, role: 'agency-it' } as const, { agency, role: 'registrar' } as const]),
    ],
    kind: 'reconciliation-different',
    object: `reconciliation ${id}`,
    zh: `《${title}》交换路由 ${route.route} 对账不一致：${zh}`,
    en: `Route ${route.route} of ${title} was reconciled and is different: ${en}`,
  })
}
