import { Type } from 'typebox'
import { diffVersions, listVersions, requireEntry } from '../registry/catalog/catalog.ts'
import { opennessStates } from '../registry/catalog/content.ts'
import { dcatCatalog } from '../registry/catalog/dcat.ts'
import { catalogTemplate, exportCatalog } from '../registry/catalog/export.ts'
import { importCatalog } from '../registry/publishing/catalog-import.ts'
import { addClassification, listClassifications } from '../registry/catalog/classification.ts'
import { keepResource } from '../registry/catalog/resource-keeping.ts'
import { searchCatalog } from '../registry/catalog/search.ts'
import { resourceFlow } from '../registry/publishing/resource-workflow.ts'
import { Diff, Entry, Version } from './catalog-shapes.ts'
import { edit, eventOperations, reading } from './events.ts'
import { excelType, FileAnswer, operation, type Operation } from './operation.ts'
import { AgencyCode, ById, closed, nullable, ReasonBody, Text } from './shapes.ts'

const Classification = Type.Object({ code: Type.String(), parent: nullable(Type.String()), zh: Type.String(), en: Type.String() })
const Number_ = Type.String({ pattern: '^[1-9][0-9]{0,8}$' })

const Found = Type.Object({
  resource: Type.String(),
  catalogCode: nullable(Type.String()),
  title: Type.String(),
  agency: Type.String(),
  agencyName: Type.String(),
  classification: Type.String(),
  openness: Type.String(),
  standard: nullable(Type.String()),
  matched: Type.Array(Type.String()),
})

const Imported = Type.Object({
  resource: Type.String(),
  outcome: Type.Enum(['created', 'changed', 'unchanged']),
  registration: nullable(Type.String()),
  faults: Type.Integer(),
})

/** The published catalog (Art. 4, 9, 10), and the resources in it. */
export const catalogOperations: readonly Operation[] = [
  operation({
    name: 'catalog.search',
    method: 'GET',
    path: '/catalog',
    text: { zh: '检索资源目录', en: 'search the catalog' },
    query: Type.Object(
      {
        text: Type.Optional(Type.String({ maxLength: 200 })),
        agency: Type.Optional(AgencyCode),
        classification: Type.Optional(Type.String({ pattern: '^[0-9]{1,12}$' })),
        openness: Type.Optional(Type.Enum(Object.keys(opennessStates) as (keyof typeof opennessStates)[])),
        standard: Type.Optional(Type.String({ maxLength: 44 })),
        after: Type.Optional(Type.String({ maxLength: 1000 })),
        limit: Type.Optional(Type.String({ pattern: '^(?:[1-9][0-9]?|100)$' })),
      },
      closed,
    ),
    answer: Type.Object({ items: Type.Array(Found), total: Type.Integer(), next: Type.Optional(Type.String()) }),
    run: ({ registry, query: { limit, ...search } }) => searchCatalog(registry.store.query, { ...search, limit: Number(limit ?? 20) }),
  }),
  operation({
    name: 'catalog.export',
    method: 'GET',
    path: '/catalog/export',
    text: { zh: '导出资源目录（EXCEL）', en: 'the catalog, of one agency or all, as Excel' },
    query: Type.Object({ agency: Type.Optional(AgencyCode) }, closed),
    run: async ({ registry, query: { agency } }) =>
      new FileAnswer(
        agency === undefined ? '资源目录.xlsx' : `资源目录-${agency}.xlsx`,
        excelType,
        await exportCatalog(registry, agency ?? null),
      ),
  }),
  operation({
    name: 'catalog.template',
    method: 'GET',
    path: '/catalog/template',
    text: { zh: '资源目录导入模板', en: 'the workbook in which the catalog is imported' },
    run: async () => new FileAnswer('资源目录导入模板.xlsx', excelType, await catalogTemplate()),
  }),
  operation({
    name: 'catalog.import',
    method: 'POST',
    path: '/catalog/import',
    text: { zh: '从 EXCEL 导入资源目录：生成登记草稿', en: 'import from Excel: makes drafts of registrations' },
    upload: { type: excelType, limit: 20 << 20 },
    answer: Type.Object({ items: Type.Array(Imported) }),
    run: async ({ registry, principal, body }) => ({ items: await importCatalog(registry, principal, body as Buffer) }),
  }),
  operation({
    name: 'catalog.dcat',
    method: 'GET',
    path: '/catalog/dcat',
    text: { zh: '对外公开部分的目录（DCAT，JSON-LD）', en: 'the part with public items as DCAT (JSON-LD)' },
    run: async ({ registry, services }) => {
      const address = services.address().urls[0] ?? ''
      return new FileAnswer('catalog.jsonld', 'application/ld+json', JSON.stringify(await dcatCatalog(registry, address), null, 2))
    },
  }),
  operation({
    name: 'classification.list',
    method: 'GET',
    path: '/classifications',
    text: { zh: '信息资源分类', en: 'classifications' },
    answer: Type.Object({ items: Type.Array(Classification) }),
    run: async ({ registry }) => ({ items: await listClassifications(registry) }),
  }),
  operation({
    name: 'classification.add',
    method: 'POST',
    path: '/classifications',
    text: { zh: '增加信息资源分类', en: 'add a classification' },
    body: Type.Object(
      { code: Type.String({ pattern: '^[1-9][0-9]{2}(?:[0-9]{3}(?:[0-9]{1,6})?)?$' }), zh: Text(100), en: Text(100) },
      closed,
    ),
    answer: Classification,
    example: { code: '302001', zh: '市民政局', en: 'civil affairs bureau' },
    run: ({ registry, principal, body }) => addClassification(registry, principal, body),
  }),
  reading({
    name: 'resource.read',
    method: 'GET',
    path: '/resources/:id',
    objectKind: 'resource',
    text: { zh: '查看资源', en: 'a resource' },
    answer: Entry,
    run: ({ registry, params }) => requireEntry(registry.store.query, params.id),
  }),
  operation({
    name: 'resource.versions',
    method: 'GET',
    path: '/resources/:id/versions',
    objectKind: 'resource',
    text: { zh: '资源的目录版本', en: 'versions of a resource' },
    params: ById,
    answer: Type.Object({ items: Type.Array(Version) }),
    run: async ({ registry, params }) => ({ items: await listVersions(registry.store.query, params.id) }),
  }),
  operation({
    name: 'resource.diff',
    method: 'GET',
    path: '/resources/:id/diff',
    objectKind: 'resource',
    text: { zh: '两个目录版本的差异', en: 'what two versions differ in' },
    params: ById,
    query: Type.Object({ from: Number_, to: Number_ }, closed),
    answer: Diff,
    run: ({ registry, params, query: { from, to } }) => diffVersions(registry.store.query, params.id, Number(from), Number(to)),
  }),
  edit({
    name: 'resource.keep',
    method: 'PUT',
    path: '/resources/:id/keep',
    objectKind: 'resource',
    text: { zh: '决定数据由中心存储或只转发', en: 'whether the hub stores the data or relays it' },
    params: ById,
    body: Type.Object({ keep: Type.Enum(['store', 'relay']) }, closed),
    answer: Entry,
    example: { keep: 'relay' },
    run: ({ registry, principal, params, body }) => keepResource(registry, principal, params.id, body.keep),
  }),
  ...eventOperations(
    resourceFlow,
    '/resources',
    Type.Object({ code: Type.String(), state: Type.String() }, { additionalProperties: true }),
    {
      withdraw: { text: { zh: '撤销资源', en: 'withdraw a resource' }, body: ReasonBody, example: { reason: '职能已调整' } },
    },
  ),
]
