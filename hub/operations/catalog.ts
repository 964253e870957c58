import { sourceLines } from '../registry/agent-config.ts'
import { Type } from 'typebox'
import { diffVersions, listVersions, requireEntry } from '../registry/catalog/catalog.ts'
import { opennessStates, shareModes, sharings, updateCycles } from '../registry/catalog/content.ts'
import { dcatCatalog } from '../registry/catalog/dcat.ts'
import { catalogTemplate, exportCatalog } from '../registry/catalog/export.ts'
import { importCatalog } from '../registry/publishing/catalog-import.ts'
import { addClassification, listClassifications } from '../registry/catalog/classification.ts'
import { keepResource } from '../registry/catalog/resource-keeping.ts'
import { facetNames, findInCatalog, suggest } from '../registry/catalog/finding.ts'
import { listResources, resourceList } from '../registry/catalog/resource-list.ts'
import { catalogOrders } from '../registry/catalog/search.ts'
import { fileQuery, pageOf, queryOf, several } from '../records/listing.ts'
import { resourceFlow } from '../registry/publishing/resource-workflow.ts'
import { Diff, Entry, Version } from './catalog-shapes.ts'
import { edit, eventOperations, reading } from './events.ts'
import { excelType, FileAnswer, operation, type Operation } from './operation.ts'
import { AgencyCode, ById, closed, nullable, ReasonBody, Text } from './shapes.ts'

const Classification = Type.Object({ code: Type.String(), parent: nullable(Type.String()), zh: Type.String(), en: Type.String() })
const Number_ = Type.String({ pattern: '^[1-9][0-9]{0,8}$' })

const Texts = Type.Object({ zh: Type.String(), en: Type.String() })
const OpennessCounts = Type.Object({ internal: Type.Integer(), public: Type.Integer(), closed: Type.Integer() })

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
  state: Type.Optional(Type.String()),
  abstract: Type.Optional(Type.String()),
  sharing: Type.Optional(Type.String()),
  shareModes: Type.Optional(Type.Array(Type.String())),
  cycle: Type.Optional(Type.String()),
  classificationName: Type.Optional(nullable(Texts)),
  opennessCounts: Type.Optional(OpennessCounts),
  published: Type.Optional(Type.String()),
  updated: Type.Optional(nullable(Type.String())),
  mine: Type.Optional(Type.Enum(['own', 'grant', 'application', 'none'])),
})

const FacetValue = Type.Object({
  value: Type.String(),
  name: Type.Union([Type.String(), Texts, Type.Null()]),
  count: Type.Integer(),
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
        sharing: Type.Optional(Type.Enum([...sharings])),
        mode: Type.Optional(Type.Enum([...shareModes])),
        cycle: Type.Optional(Type.Enum([...updateCycles])),
        mine: Type.Optional(Type.Enum(['grant', 'application', 'none'])),
        facets: Type.Optional(several(facetNames)),
        sort: Type.Optional(Type.Enum([...catalogOrders])),
        after: Type.Optional(Type.String({ maxLength: 2000 })),
        limit: Type.Optional(Type.String({ pattern: '^(?:[1-9][0-9]?|100)$' })),
        ...fileQuery,
      },
      closed,
    ),
    answer: Type.Object({
      ...pageOf(Found).properties,
      facets: Type.Optional(Type.Object(Object.fromEntries(facetNames.map((name) => [name, Type.Optional(Type.Array(FacetValue))])))),
    }),
    run: ({ registry, principal, query: { limit, facets, ...search } }) =>
      findInCatalog(
        registry.store.query,
        { ...search, of: principal.agency, limit: Number(limit ?? 20) },
        facetNames.filter((name) => facets?.split(',').includes(name)),
      ),
  }),
  operation({
    name: 'catalog.suggest',
    method: 'GET',
    path: '/catalog/suggest',
    text: { zh: '检索提示：单位、资源和信息项', en: 'suggestions while typing: agencies, resources and items' },
    query: Type.Object({ text: Text(100) }, closed),
    answer: Type.Object({
      items: Type.Array(Type.Object({ kind: Type.Enum(['resource', 'item', 'agency']), text: Type.String(), id: nullable(Type.String()) })),
    }),
    run: async ({ registry, query }) => ({ items: await suggest(registry.store.query, query.text) }),
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
  operation({
    name: 'resource.list',
    method: 'GET',
    path: '/resources',
    text: { zh: '本单位的资源及其状况', en: "an agency's resources and how each stands" },
    query: queryOf(resourceList),
    answer: pageOf(
      Type.Object({
        code: Type.String(),
        title: Type.String(),
        agency: Type.String(),
        version: Type.Integer(),
        state: Type.String(),
        openness: OpennessCounts,
        cycle: Type.String(),
        keep: Type.String(),
        published: Type.String(),
        updated: nullable(Type.String()),
        duty: nullable(Type.String()),
        held: nullable(Type.String()),
        receivers: Type.Integer(),
        draft: nullable(Type.String()),
      }),
    ),
    run: ({ registry, agencyScope, query }) => listResources(registry, agencyScope, query),
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
    name: 'resource.agent-config',
    method: 'GET',
    path: '/resources/:id/agent-config',
    objectKind: 'resource',
    text: { zh: '资源在前置机代理配置中的内容（sources）', en: 'what stands of a resource in the configuration of its agent (`sources`)' },
    params: ById,
    answer: Type.Object({ yaml: Type.String() }),
    run: ({ registry, params }) => sourceLines(registry, params.id),
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
