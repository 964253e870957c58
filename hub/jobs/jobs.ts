/** Long work 后台任务, as it stands in the store: who asked for it, how far it is, and what came of it. */
import { filter, listPage, type Asked, type Listing, type Page } from '../records/listing.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import { actedBy, type Principal } from '../access/principal.ts'
import { reachOf } from '../access/authorise.ts'
import { writeAudit, type Act } from '../records/audit.ts'
import { notFound, rule } from '../records/refusals.ts'
import type { Registry } from '../records/registry.ts'
import type { Query } from '../store/store.ts'
import { storeFile, type Received } from './files.ts'

export const jobKinds = ['excel.check', 'excel.import', 'audit.verify'] as const
export type JobKind = (typeof jobKinds)[number]
export const jobStates = ['queued', 'running', 'done', 'failed', 'cancelled'] as const
export type JobState = (typeof jobStates)[number]

export interface Job {
  id: string
  kind: JobKind
  state: JobState
  object: string
  agency: string
  person: string | null
  by: Pick<Act, 'actor' | 'agency' | 'via' | 'ip'>
  request: Record<string, unknown>
  /** Name and SHA-256 of what was uploaded, while it is kept. */
  file: { id: string; name: string; sha256: string; size: number } | null
  step: string | null
  done: number
  total: number | null
  result: Record<string, unknown> | null
  problem: { code: string; zh: string; en: string; faults?: unknown[] } | null
  attempts: number
  created: Date
  begun: Date | null
  ended: Date | null
}

const jobColumns = `j.id, j.kind, j.state, j.object, j.agency, j.person, j.by, j.request, j.step, j.done::float8 as done, j.total::float8 as total,
  j.result, j.problem, j.attempts, j.created, j.begun, j.ended,
  case when f.id is not null then json_build_object('id', f.id::text, 'name', f.name, 'sha256', f.sha256, 'size', f.size) end as file`
const jobsFrom = 'from job j left join job_file f on f.id = j.file'

export interface NewJob {
  kind: JobKind
  object: string
  request: Record<string, unknown>
  /** Who asks the same again is given the same job. */
  same: string
  upload?: Received & { name: string }
  /** Id of a file that is stored already. */
  file?: string
}

export interface NewJobRules {
  /** Whether a finished job still answers what is asked; where it does not, another one is made. */
  stands?: (job: Job) => Promise<boolean>
  /** Throws where there may be none now. */
  require?: () => Promise<unknown>
}

/**
 * Puts work into the queue, or gives the job that does it already. Throws what `require` throws, QZ-RULE where this person
 * has too many that have not ended, and QZ-IMPORT-REFUSED where another one of its
 * kind has to end before.
 */
export async function addJob(
  registry: Registry,
  who: Principal,
  made: NewJob,
  { stands = async () => true, require = async () => {} }: NewJobRules = {},
): Promise<Job> {
  const { store, clock, wakeups } = registry
  const { kind, object, request, same, upload } = made
  const known = await sameJob(store.query, made)
  if (known && (known.state !== 'done' || (await stands(known)))) return known
  await require()
  const id = await store
    .transaction(async (query) => {
      if (known) await query('update job set same = null where id = $1', [known.id])
      const at = clock()
      await requireRoom(query, who)
      const file = upload ? await storeFile(query, upload, { name: upload.name, at }) : (made.file ?? null)
      const [row] = await query<{ id: string }>(
        `insert into job (kind, object, agency, person, by, request, same, file, created) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
       on conflict (kind, same) where state in ('queued', 'running', 'done') do nothing returning id`,
        [kind, object, who.agency, who.person, JSON.stringify(actedBy(who)), JSON.stringify(request), same, file, at],
      )
      if (!row) throw new SameJob()
      const details = { job: row.id, ...request, ...(upload && { file: upload.name, sha256: upload.sha256, size: upload.size }) }
      await writeAudit(query, { ...actedBy(who), act: kind, object, details })
      return row.id
    })
    .catch(async (error: unknown) => {
      if (error instanceof SameJob) return undefined
      throw (error as { constraint?: unknown }).constraint === 'job_import' ? await underWay(store.query, object) : error
    })
  const job = id === undefined ? await sameJob(store.query, made) : await findJob(store.query, id)
  if (!job) throw new QianzhiError('QZ-HUB-BUSY', { reason: { zh: '同时提交了多次', en: 'it was asked for several times at once' } })
  wakeups.wake('jobs')
  return job
}

/** Of one person: jobs that have not ended, and uploads that are kept. */
const [mostOpen, mostUploads] = [10, 30]

/** Makes room for another upload. Throws QZ-RULE where too many jobs of this person have not ended. */
async function requireRoom(query: Query, { person }: Principal): Promise<void> {
  const [open] = await query<{ count: number }>(
    `select count(*)::int as count from job where person = $1 and state in ('queued', 'running')`,
    [person],
  )
  if (open!.count >= mostOpen)
    throw rule(
      `您有 ${open!.count} 项任务尚未结束，请等待或取消`,
      `${open!.count} of your jobs have not ended: wait for them, or cancel some`,
    )
  await query(
    `delete from job_file f where id in (select file from job where person = $1 and file is not null group by file order by file desc offset $2)
       and not exists (select from job where file = f.id and state in ('queued', 'running'))`,
    [person, mostUploads - 1],
  )
}

async function underWay(query: Query, object: string): Promise<QianzhiError> {
  const [other] = await query<{ name: string }>(
    `select coalesce(p.name, j.by ->> 'actor') as name from job j left join person p on p.id = j.person
     where j.object = $1 and j.kind = 'excel.import' and j.state in ('queued', 'running')`,
    [object],
  )
  const who = other?.name ?? '-'
  return new QianzhiError('QZ-IMPORT-REFUSED', {
    reason: { zh: `${who} 的导入正在进行，完成后请重新检查`, en: `an import of ${who} is under way: check again when it has ended` },
  })
}

/** Another request made it in between: nothing of this one stays. */
class SameJob extends Error {}

async function sameJob(query: Query, { kind, same }: Pick<NewJob, 'kind' | 'same'>): Promise<Job | undefined> {
  const [job] = await query<Job>(
    `select ${jobColumns} ${jobsFrom} where j.kind = $1 and j.same = $2 and j.state in ('queued', 'running', 'done')`,
    [kind, same],
  )
  return job
}

export async function findJob(query: Query, id: string): Promise<Job | undefined> {
  const [job] = await query<Job>(`select ${jobColumns} ${jobsFrom} where j.id::text = $1`, [id])
  return job
}

/** Throws QZ-NOT-FOUND. */
export async function readJob(query: Query, id: string): Promise<Job> {
  const job = await findJob(query, id)
  if (!job) throw notFound('job', id)
  return job
}

/** One's own ($1); who looks after an agency ($2) sees its others', too. */
export const jobList = {
  select: `select ${jobColumns} ${jobsFrom} where j.person = $1 or ($2::text is not null and j.agency = $2)`,
  filters: {
    state: filter.among('state', jobStates),
    kind: filter.among('kind', jobKinds),
    resource: filter.equal('object'),
    text: filter.holds('id', 'object'),
    from: filter.from('created'),
    to: filter.to('created'),
  },
  sorts: { id: 'bigint', kind: 'text', state: 'text', created: 'timestamptz', ended: 'timestamptz' },
  first: '-id',
  id: ['id', 'bigint'],
} as const satisfies Listing

export function listJobs(query: Query, who: Principal, asked: Asked): Promise<Page<Job>> {
  const ofAgency = reachOf(who, 'job.list').has('own')
  return listPage(query, jobList, [who.person, ofAgency ? who.agency : null], asked)
}

/** What waits is cancelled at once; what is under way ends at its next step. Nothing happens to what has ended. */
export async function cancelJob(registry: Registry, who: Principal, id: string): Promise<Job> {
  await registry.store.transaction(async (query) => {
    const [job] = await query<{ object: string; state: string }>(
      `update job set stopping = true, state = case when state = 'queued' then 'cancelled' else state end,
         ended = case when state = 'queued' then $2::timestamptz end
       where id::text = $1 and state in ('queued', 'running') and not stopping returning object, state`,
      [id, registry.clock()],
    )
    if (job) await writeAudit(query, { ...actedBy(who), act: 'job.cancel', object: job.object, details: { job: id } })
  })
  return readJob(registry.store.query, id)
}
