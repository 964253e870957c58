import type { PreviewAnswer, PreviewQuestion } from '../../../protocol/asks.ts'
import { QianzhiError } from '../../../protocol/errors.ts'
import { joinTexts, type LocalizedText } from '../../../protocol/localized.ts'
import { actedBy, type Principal } from '../../access/principal.ts'
import type { AgentRequests } from '../../exchange/agent-requests.ts'
import {
  coveredBy,
  dayEnd,
  meantMachine,
  openItems,
  requireItems,
  requireMachine,
  whyNotShared,
  type Covered,
} from './application-rules.ts'
import { loadApplication, type Application } from './applications.ts'
import { writeAudit } from '../../records/audit.ts'
import { titleOf } from '../../records/object-titles.ts'
import { change, type Registry } from '../../records/registry.ts'
import type { Query } from '../../store/store.ts'
import { record } from '../../records/history.ts'
import { applyEvent } from '../workflow.ts'
import { applicationFlow, type ApplicationContent } from './application-workflow.ts'
import { notFound, rule } from '../../records/refusals.ts'
import { enteredSql, producerOf } from '../../records/supply.ts'

export interface NewApplication extends ApplicationContent {
  /** One of the two. */
  resource?: string
  standard?: string
}

/** Drafts an application. Everything it must be is checked when it is submitted. Throws QZ-NOT-FOUND, QZ-REQUEST-INVALID. */
export function draftApplication(registry: Registry, principal: Principal, wanted: NewApplication): Promise<Application> {
  return change(registry, (query) => draft(registry, query, principal, wanted))
}

async function draft(registry: Registry, query: Query, principal: Principal, wanted: NewApplication): Promise<Application> {
  const { resource = null, standard = null, ...input } = wanted
  if ((resource === null) === (standard === null)) {
    throw new QianzhiError('QZ-REQUEST-INVALID', { reason: { zh: '资源或数据标准，二选一', en: 'either a resource or a standard' } })
  }
  const { mode, items, purpose, basis, until, atEnd = 'keep' } = input
  const [known] = await query('select from resource where code = $1 union all select from standard where code = $2', [resource, standard])
  if (!known) throw resource === null ? notFound('standard', standard!) : notFound('resource', resource)
  await requireMachine(query, input.agent)
  await requireItems(query, { resource, standard, items })
  const [row] = await query<{ id: string }>(
    `insert into application (agency, resource, standard, mode, items, purpose, basis, agent, until, at_end, state, created_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) returning id`,
    [
      principal.agency,
      resource,
      standard,
      mode,
      items,
      purpose,
      basis,
      await meantMachine(query, principal.agency!, mode, input.agent),
      until === undefined ? null : dayEnd(until),
      atEnd,
      applicationFlow.initial,
      registry.clock(),
    ],
  )
  const { id } = row!
  await record(query, { workflow: 'application', object: id, event: 'create', from: null, to: 'draft', principal, input: { ...wanted } })
  return loadApplication(query, id)
}

/** Several resources for one purpose 申请篮. */
export interface ManyApplications extends Omit<ApplicationContent, 'items'> {
  resources: readonly { code: string; items: string[] }[]
}

/**
 * Makes an application for each of them and submits it, all in one transaction: each goes its own way from then on. Where one cannot be
 * submitted none is: throws QZ-RULE with a fault for each of these.
 */
export async function applyForMany(
  registry: Registry,
  principal: Principal,
  { resources, ...content }: ManyApplications,
  told: (error: QianzhiError) => LocalizedText,
): Promise<Application[]> {
  return change(registry, async (query, affectedAgents) => {
    const made: Application[] = []
    const faults: (LocalizedText & { resource: string })[] = []
    // In one order: two baskets at once never wait for each other.
    for (const { code: resource, items } of resources.toSorted((a, b) => (a.code < b.code ? -1 : 1))) {
      await query('savepoint one')
      try {
        if (made.some((one) => one.resource === resource)) throw rule('一个申请篮中只能出现一次', 'it stands in the basket twice')
        const { id } = await draft(registry, query, principal, { ...content, resource, items })
        made.push(await applyEvent(applicationFlow, 'submit', id, { registry, query, affectedAgents, principal, input: {} }))
        await query('release savepoint one')
      } catch (error) {
        if (!(error instanceof QianzhiError)) throw error
        await query('rollback to savepoint one')
        const { zh, en } = told(error)
        const title = await titleOf(query, `resource ${resource}`)
        faults.push({ resource, zh: `《${title}》${zh}`, en: `${title}: ${en}` })
      }
    }
    if (faults.length === 0) return resources.map(({ code }) => made.find(({ resource }) => resource === code)!)
    throw new QianzhiError('QZ-RULE', { reason: joinTexts(faults, { zh: '；', en: '; ' }) }, { faults })
  })
}

export interface Decided {
  id: string
  state?: string
  /** Why this one was not decided. */
  code?: string
  zh?: string
  en?: string
}

/** Decides many, each on its own: one that is refused holds up no other. */
export async function decideMany(
  registry: Registry,
  principal: Principal,
  { cases, decision, reason }: { cases: readonly { id: string; revision: string }[]; decision: 'approve' | 'reject'; reason?: string },
  told: (error: QianzhiError) => LocalizedText,
): Promise<Decided[]> {
  if (decision === 'reject' && reason === undefined) throw rule('驳回须说明理由', 'a rejection needs a reason')
  const input = reason === undefined ? {} : { reason }
  const decided: Decided[] = []
  for (const [id, seen] of new Map(cases.map(({ id, revision }) => [id, revision]))) {
    try {
      const { state } = await change(registry, (query, affectedAgents) =>
        applyEvent(applicationFlow, decision, id, { registry, query, affectedAgents, principal, seen, input }),
      )
      decided.push({ id, state })
    } catch (error) {
      if (!(error instanceof QianzhiError)) throw error
      decided.push({ id, code: error.code, ...told(error) })
    }
  }
  return decided
}

export interface Preview extends PreviewAnswer {
  resource: string
}

/** Whose rows a preview shows: an agent's, or those that stand at the hub. */
export interface PreviewSources {
  ask: AgentRequests['ask']
  own: (question: PreviewQuestion) => Promise<PreviewAnswer>
}

/**
 * Up to twenty rows exactly as the grant would deliver them, from the provider's agent, or the hub where people enter them: shown once, stored and logged nowhere. On record
 * is who looked at what, not the rows. Throws QZ-RULE where it is over, or the resource is stopped, QZ-ASK-AWAY and the other codes of asks.
 */
export async function previewApplication(
  registry: Registry,
  { ask, own }: PreviewSources,
  principal: Principal,
  { id, resource: wanted, signal }: { id: string; resource?: string; signal: AbortSignal },
): Promise<Preview> {
  const { query } = registry.store
  const application = await loadApplication(query, id)
  if (application.state !== 'consulting' && application.state !== 'reviewing') {
    throw rule('只能预览办理中的申请', 'only what is being decided on can be looked at')
  }
  const resource = await previewed(registry, principal, application, wanted)
  const why = whyNotShared(resource, application.mode)
  if (why) throw rule(...why)
  const [producer] = await query<{ id: string | null; entered: boolean }>(
    `select ${producerOf} as id, ${enteredSql} as entered from resource r where r.code = $1`,
    [resource.code],
  )
  if (!producer?.entered && !producer?.id)
    throw new QianzhiError('QZ-NOT-FOUND', {
      what: { zh: `资源 ${resource.code} 的前置机代理`, en: `agent of resource ${resource.code}` },
    })
  const items = openItems(resource.schema, application.items)
  const question = { kind: 'preview', resource: resource.code, schema: resource.schema, items, rows: 20 } as const
  const answer = producer.entered ? await own(question) : await ask(producer.id!, question, { signal })
  await writeAudit(query, {
    ...actedBy(principal),
    act: 'application.preview',
    object: `application ${id}`,
    details: { resource: resource.code, items, rows: answer.rows.length },
  })
  return { ...answer, resource: resource.code }
}

/** Of a standard: the named one, or the first that the caller may look at; a provider sees its own rows only. */
async function previewed(registry: Registry, principal: Principal, application: Application, wanted: string | undefined): Promise<Covered> {
  const covered = await coveredBy(registry.store.query, application)
  const within = principal.roles.includes('office') ? covered : covered.filter(({ agency }) => agency === principal.agency)
  const resource = wanted === undefined ? within[0] : within.find(({ code }) => code === wanted)
  if (resource) return resource
  throw new QianzhiError('QZ-NOT-FOUND', {
    what: { zh: `申请 ${application.id} 中的资源 ${wanted ?? ''}`, en: `resource ${wanted ?? ''} of application ${application.id}` },
  })
}
