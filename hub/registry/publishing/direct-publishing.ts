import { isDeepStrictEqual } from 'node:util'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { QianzhiError } from '../../../protocol/errors.ts'
import { checkSchema, itemById, Schema } from '../../../protocol/schema.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { Query } from '../../store/store.ts'
import { requireAgency } from '../agencies/agencies.ts'
import { CatalogContent } from '../catalog/content.ts'
import { findEntry, type Entry, type PublishedContent } from '../catalog/catalog.ts'
import { lockNames } from '../catalog/name-forms.ts'
import { checkCompatible, type Draft } from '../catalog/compatibility.ts'
import { supplyFaults } from '../catalog/entered-rows.ts'
import { refused } from '../catalog/fault.ts'
import { lockResource, putEntry } from './publishing.ts'
import { change, checkCode, type Registry } from '../../records/registry.ts'
import { requireResource, type Resource } from '../catalog/resources.ts'
import { conflict, ofAgency } from '../../records/refusals.ts'
import { requireActiveAgent } from '../../records/agents.ts'

export interface Publication {
  schema: Draft
  keep?: 'store' | 'relay'
  storedClosed?: readonly string[]
  producer?: string
  supplyMode?: CatalogContent['supplyMode']
}

const draftShape = Compile(
  Type.Object(
    { ...Type.Omit(Schema, ['version', 'items']).properties, items: CatalogContent.properties.items },
    { additionalProperties: false },
  ),
)

/**
 * Publishes a resource 政务信息资源, or changes it, without a registration: what is not given (keep, stored closed items, producer,
 * supply mode, metadata of the catalog) stays. The same again changes nothing. A change of what travels is a new version; titles, labels and openness
 * among open items change in place. Changed openness acts at once. Throws QZ-SCHEMA, QZ-CONFLICT (another agency's), QZ-NOT-FOUND,
 * QZ-RULE where rows would be lost.
 */
export async function publishResource(registry: Registry, actor: string, publication: Publication): Promise<Resource> {
  const draft = checkDraft(publication.schema)
  return change(registry, async (query, affectedAgents) => {
    await requireAgency(query, draft.agency)
    await lockResource(query, draft.resource)
    await lockNames(query)
    const before = await findEntry(query, draft.resource)
    if (before) checkAgainst(before, draft)
    const content = merge(before, publication, draft)
    checkStoredClosed(content)
    if (publication.producer !== undefined) await checkProducer(query, publication.producer, draft.agency)
    const faults = await supplyFaults(query, { agency: draft.agency, before, content })
    if (faults.length > 0) throw refused(faults)
    if (!before || !isDeepStrictEqual(before.content, content)) {
      const principal = { actor, name: actor, agency: null }
      const standard = before?.standard ?? null
      await putEntry(
        query,
        affectedAgents,
        { registry, code: draft.resource, agency: draft.agency, content, standard, sameMeaning: 'all', principal, now: registry.clock() },
        before,
      )
    }
    return requireResource(query, draft.resource)
  })
}

function checkDraft(value: Draft): Draft {
  if (!draftShape.Check(value)) {
    const errors = draftShape.Errors(value)
    const foreign = errors.find((error) => error.keyword === 'additionalProperties')
    const where = (foreign ?? errors[0])?.instancePath ?? ''
    throw new QianzhiError('QZ-SCHEMA', {
      reason: foreign
        ? unknownProperty(where, foreign.params.additionalProperties.join(', '))
        : `${where} ${errors[0]?.message ?? ''}`.trim(),
    })
  }
  checkCode(value.resource, 'resource', 44)
  checkSchema({ ...value, version: 1 })
  return value
}

function unknownProperty(where: string, names: string): LocalizedText {
  return { zh: `${where}：未知属性 ${names}`, en: `${where}: unknown: ${names}` }
}

function checkAgainst(before: Entry, draft: Draft): void {
  const { code, agency, state } = before
  if (agency !== draft.agency) throw conflict('resource', code, ofAgency(before))
  if (state === 'withdrawn') throw conflict('resource', code, { zh: '已撤销', en: 'withdrawn' })
  checkCompatible(before.schema, draft)
}

/** What the catalog says of a resource that nobody has registered. */
const unregistered: Omit<PublishedContent, 'title' | 'table' | 'items'> = {
  abstract: '',
  format: 'database',
  sharing: 'unconditional',
  shareModes: ['query', 'api', 'exchange'],
  cycle: 'quarterly',
  supplyMode: 'front-end',
  subject: 'other',
  licence: false,
  secrecy: false,
  keywords: [],
  related: [],
  keep: 'store',
  storedClosed: [],
  exceptions: [],
}

function merge(before: Entry | undefined, { keep, storedClosed, producer, supplyMode }: Publication, draft: Draft): PublishedContent {
  return {
    ...(before?.content ?? unregistered),
    ...(keep !== undefined && { keep }),
    ...(producer !== undefined && { producer }),
    ...(supplyMode !== undefined && { supplyMode }),
    ...(storedClosed !== undefined && { storedClosed: [...new Set(storedClosed)].toSorted() }),
    title: draft.title,
    table: draft.table,
    items: draft.items,
  }
}

function checkStoredClosed(content: PublishedContent): void {
  for (const id of content.storedClosed) {
    if (itemById(content, id)) continue
    throw new QianzhiError('QZ-SCHEMA', { reason: { zh: `没有信息项 ${id}`, en: `item ${id} does not exist` } })
  }
}

async function checkProducer(query: Query, producer: string, agency: string): Promise<void> {
  const agent = await requireActiveAgent(query, producer)
  if (agent.agency === agency) return
  throw new QianzhiError('QZ-REQUEST-INVALID', {
    reason: { zh: `代理 ${producer} 不属于 ${agency}`, en: `agent ${producer} is not one of ${agency}` },
  })
}
