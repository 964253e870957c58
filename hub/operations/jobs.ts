import { Type } from 'typebox'
import { cancelJob, jobKinds, jobList, jobStates, listJobs, readJob, type Job as StoredJob } from '../jobs/jobs.ts'
import { pageOf, queryOf } from '../records/listing.ts'
import { operation, type Operation } from './operation.ts'
import { NoBody, nullable } from './shapes.ts'

const Fault = Type.Object({
  severity: Type.Enum(['reject', 'warn']),
  sheet: Type.Optional(Type.String()),
  /** `C` */
  column: Type.Optional(Type.String()),
  item: Type.Optional(Type.String()),
  count: Type.Integer(),
  /** As the sheet counts them: `5`, `7-12`. */
  rows: Type.Array(Type.String()),
  zh: Type.String(),
  en: Type.String(),
})

const Checked = Type.Object({
  version: Type.Integer(),
  shape: Type.String(),
  sheet: nullable(Type.String()),
  template: nullable(Type.Integer()),
  rows: Type.Integer(),
  /** What import would do. */
  created: Type.Integer(),
  changed: Type.Integer(),
  same: Type.Integer(),
  /** Rows that stand, and those that replacing the whole would delete. */
  standing: Type.Integer(),
  absent: Type.Integer(),
  place: nullable(Type.String()),
  faults: Type.Array(Fault),
  rejects: Type.Integer(),
  warnings: Type.Integer(),
})

const Imported = Type.Object({
  rows: Type.Integer(),
  created: Type.Integer(),
  changed: Type.Integer(),
  same: Type.Integer(),
  deleted: Type.Integer(),
  batches: Type.Integer(),
  first: nullable(Type.String()),
  last: nullable(Type.String()),
})

/** What looking through the audit's chain found. */
export const ChainVerified = Type.Object({
  intact: Type.Boolean(),
  count: Type.Integer(),
  first: nullable(
    Type.Object({
      seq: Type.Integer(),
      fault: Type.Enum(['altered', 'missing', 'unsealed']),
      sealed: nullable(Type.String()),
      reckoned: nullable(Type.String()),
    }),
  ),
  head: nullable(Type.Object({ seq: Type.Integer(), hash: Type.String() })),
})

export const Job = Type.Object({
  id: Type.String(),
  kind: Type.Enum([...jobKinds]),
  state: Type.Enum([...jobStates]),
  resource: Type.String(),
  agency: Type.String(),
  by: Type.String(),
  request: Type.Object({}, { additionalProperties: true }),
  file: nullable(Type.Object({ name: Type.String(), sha256: Type.String(), size: Type.Integer() })),
  step: nullable(Type.String()),
  done: Type.Integer(),
  total: nullable(Type.Integer()),
  result: Type.Union([Checked, Imported, ChainVerified, Type.Null()]),
  problem: nullable(
    Type.Object({
      code: Type.String(),
      zh: Type.String(),
      en: Type.String(),
      faults: Type.Optional(Type.Array(Type.Object({}, { additionalProperties: true }))),
    }),
  ),
  created: Type.String(),
  begun: nullable(Type.String()),
  ended: nullable(Type.String()),
})

export function shownJob({ id, kind, state, object, agency, by, request, file, ...more }: StoredJob) {
  const { step, done, total, result, problem, created, begun, ended } = more
  const shownFile = file && { name: file.name, sha256: file.sha256, size: file.size }
  const times = { created: created.toISOString(), begun: begun?.toISOString() ?? null, ended: ended?.toISOString() ?? null }
  return { id, kind, state, resource: object, agency, by: by.actor, request, file: shownFile, step, done, total, result, problem, ...times }
}

const JobId = Type.Object({ id: Type.String({ pattern: '^[0-9]{1,18}$' }) })

/** Long work, and how far it is. */
export const jobOperations: readonly Operation[] = [
  operation({
    name: 'job.list',
    method: 'GET',
    path: '/jobs',
    text: {
      zh: '后台任务：本人的，以及（审核员、前置机管理员）本单位的',
      en: "one's own jobs, and for reviewers and agency IT those of the agency",
    },
    query: queryOf(jobList),
    answer: pageOf(Job),
    run: async ({ registry, principal, query }) => {
      const page = await listJobs(registry.store.query, principal, query)
      return { ...page, items: page.items.map(shownJob) }
    },
  }),
  operation({
    name: 'job.read',
    method: 'GET',
    path: '/jobs/:id',
    objectKind: 'job',
    text: { zh: '查看后台任务', en: 'a job' },
    params: JobId,
    answer: Job,
    run: async ({ registry, params }) => shownJob(await readJob(registry.store.query, params.id)),
  }),
  operation({
    name: 'job.cancel',
    method: 'POST',
    path: '/jobs/:id/cancel',
    objectKind: 'job',
    text: { zh: '取消后台任务：已写入的部分保留', en: 'cancel a job: what it has written stays' },
    params: JobId,
    body: NoBody,
    answer: Job,
    run: async ({ registry, principal, params }) => shownJob(await cancelJob(registry, principal, params.id)),
  }),
]
