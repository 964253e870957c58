import { Readable } from 'node:stream'
import { Type } from 'typebox'
import { actedBy } from '../access/principal.ts'
import { authorise, type Relations } from '../access/authorise.ts'
import { objectKinds, relationsOf, type ObjectKind } from '../access/relations.ts'
import { rights, type OperationName } from '../access/rights.ts'
import { writeAudit } from '../records/audit.ts'
import { readVerification, verifyAudit } from '../jobs/audit.ts'
import { chainOf } from '../registry/chain.ts'
import { ChainVerified, Job, shownJob } from './jobs.ts'
import { readApplication } from '../registry/grants/applications.ts'
import { readStandard } from '../registry/publishing/standards.ts'
import { historyOf } from '../records/history.ts'
import { auditList, listAudit, listSealed } from '../supervision/audit/list.ts'
import { pageOf, queryOf } from '../records/listing.ts'
import { FileAnswer, operation, type Call, type Operation } from './operation.ts'
import { closed, NoBody, nullable } from './shapes.ts'
import { seesDrafts } from './standards.ts'

const text = nullable(Type.String())

const History = Type.Object({
  event: Type.String(),
  from: text,
  to: Type.String(),
  actor: Type.String(),
  actorName: Type.String(),
  agency: text,
  at: Type.String(),
  details: Type.Record(Type.String(), Type.Unknown()),
})

const ChainLine = Type.Object({
  kind: Type.String(),
  id: Type.String(),
  title: text,
  event: Type.String(),
  from: text,
  to: Type.String(),
  actorName: Type.String(),
  agency: text,
  at: Type.String(),
  reason: text,
})

const Entry = Type.Object({
  id: Type.String(),
  seq: nullable(Type.Integer()),
  at: Type.String(),
  actor: Type.String(),
  agency: text,
  via: text,
  ip: text,
  act: Type.String(),
  object: Type.String(),
  outcome: Type.String(),
  details: Type.Record(Type.String(), Type.Unknown()),
})

const whole = Type.String({ pattern: '^[0-9]{1,15}$' })
const place = Type.String({ pattern: '^[1-9][0-9]{0,14}$' })
const limit = Type.Optional(Type.String({ pattern: '^(?:[1-9][0-9]{0,2}|1000)$' }))

const readable = objectKinds.filter((kind) => Object.hasOwn(rights, `${kind}.read`))

/** What is not shown to everybody who has the right: drafts. Throws QZ-NOT-FOUND. */
const unseen: Partial<Record<ObjectKind, (call: Call, id: string) => Promise<unknown>>> = {
  application: ({ registry, principal }, id) => readApplication(registry, id, principal.agency),
  standard: (call, id) => readStandard(call.registry, id, seesDrafts(call)),
}

/** Why a resource was stopped is for its agency, those who receive it, and the offices, not for whoever finds it in the catalog (Art. 26). */
async function isConcerned({ registry, principal }: Call, resource: string, { own = [] }: Relations): Promise<boolean> {
  const { agency, roles } = principal
  if (roles.some((role) => role === 'office' || role === 'supervisor' || role === 'secrecy')) return true
  if (agency !== null && own.includes(agency)) return true
  return (await registry.store.query('select from access_grant where resource = $1 and agency = $2 limit 1', [resource, agency])).length > 0
}

/** What happened: to one object, for those who may read it; in all, for audit and supervision (Art. 21, 25). */
export const recordOperations: readonly Operation[] = [
  operation({
    name: 'history.read',
    method: 'GET',
    path: '/history/:kind/:object',
    text: { zh: '某一事项的办理经过', en: 'what happened to an object that one may read' },
    params: Type.Object({ kind: Type.Enum(readable), object: Type.String({ minLength: 1, maxLength: 100 }) }),
    answer: Type.Object({ items: Type.Array(History) }),
    run: async (call) => {
      const { store } = call.registry
      const { kind, object } = call.params
      const relations = await relationsOf(store.query, kind, object)
      authorise(call.principal, `${kind}.read` as OperationName, relations)
      await unseen[kind]?.(call, object)
      const items = await historyOf(store.query, kind, object)
      const shown = kind !== 'resource' || (await isConcerned(call, object, relations))
      return { items: shown ? items : items.map((line) => ({ ...line, details: {} })) }
    },
  }),
  operation({
    name: 'chain.read',
    method: 'GET',
    path: '/chain/:kind/:object',
    text: { zh: '某一事项及由其产生的各事项的全过程', en: 'what happened to an object and to what came of it' },
    params: Type.Object({ kind: Type.Enum(readable), object: Type.String({ minLength: 1, maxLength: 100 }) }),
    answer: Type.Object({ items: Type.Array(ChainLine) }),
    run: async (call) => {
      const { query } = call.registry.store
      const { kind, object } = call.params
      const relations = await relationsOf(query, kind, object)
      authorise(call.principal, `${kind}.read` as OperationName, relations)
      await unseen[kind]?.(call, object)
      const without = kind !== 'resource' || (await isConcerned(call, object, relations)) ? new Set<string>() : new Set([kind])
      return { items: await chainOf(query, call.principal, kind, object, without) }
    },
  }),
  operation({
    name: 'audit.list',
    method: 'GET',
    path: '/audit',
    text: { zh: '审计记录，由新到旧', en: 'audit entries, newest first' },
    query: queryOf(auditList),
    answer: pageOf(Type.Object({ ...Entry.properties, objectTitle: text })),
    run: ({ registry, query }) => listAudit(registry.store, query),
  }),
  operation({
    name: 'audit.verification',
    method: 'GET',
    path: '/audit/verification',
    text: { zh: '审计验证的进度和最近结果', en: "how far the audit's verification is, and what the last one found" },
    answer: Type.Object({
      job: nullable(Job),
      last: nullable(Type.Object({ ...ChainVerified.properties, at: Type.String(), by: Type.String() })),
    }),
    run: async ({ registry }) => {
      const { job, last } = await readVerification(registry.store.query)
      return { job: job && shownJob(job), last }
    },
  }),
  operation({
    name: 'audit.verify',
    method: 'POST',
    path: '/audit/verify',
    text: { zh: '验证审计链是否完整', en: 'verify that the audit is whole' },
    body: NoBody,
    answer: Job,
    run: async ({ registry, principal }) => shownJob(await verifyAudit(registry, principal)),
  }),
  operation({
    name: 'audit.export',
    method: 'GET',
    path: '/audit/export',
    text: { zh: '导出审计链（可离线验证）', en: 'the sealed chain as JSON lines, for qianzhi-hub audit verify' },
    query: Type.Object({ from: Type.Optional(place), to: Type.Optional(place) }, closed),
    run: async ({ registry, services, principal, query: { from, to } }) => {
      const range = { ...(from && { from: Number(from) }), ...(to && { to: Number(to) }) }
      await writeAudit(registry.store.query, { ...actedBy(principal), act: 'audit.export', object: 'audit', details: range })
      return new FileAnswer('audit.jsonl', 'application/jsonl', Readable.from(await services.exportAudit(range)))
    },
  }),
  operation({
    name: 'feed.read',
    method: 'GET',
    path: '/feed',
    text: {
      zh: '供电子监察系统读取的全过程记录：after 之后的已封存记录，由旧到新',
      en: 'for the electronic supervision system: sealed entries after a place in the chain, oldest first',
    },
    query: Type.Object({ after: Type.Optional(whole), limit }, closed),
    answer: Type.Object({ items: Type.Array(Entry), next: Type.Integer() }),
    run: async ({ registry, query: { after = '0', limit: most } }) => {
      const items = await listSealed(registry.store, Number(after), Number(most ?? 100))
      return { items, next: items.at(-1)?.seq ?? Number(after) }
    },
  }),
]
