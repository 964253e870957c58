import { Type } from 'typebox'
import {
  agencyKinds,
  changeAgency,
  createAgency,
  agencyList,
  listAgencyTree,
  nameResponsible,
  readAgency,
  type AgencyKind,
} from '../registry/agencies/agency-tree.ts'
import { agencyTemplate, importAgencies } from '../registry/agencies/agencies-import.ts'
import { listRules, putRules, readRules, rulesLimit } from '../registry/agencies/agency-rules.ts'
import { enrolmentFiles, enrolmentWorkbook } from '../registry/machines/enrolment-files.ts'
import { handOver } from '../registry/people/handover.ts'
import { pageOf, queryOf } from '../records/listing.ts'
import { edit, reading } from './events.ts'
import { excelType, FileAnswer, operation, type Operation } from './operation.ts'
import { AgencyCode, ById, Changed, closed, nullable, onlyCheck, Text, YesNo } from './shapes.ts'

const Named = nullable(Type.Object({ id: Type.String(), name: Type.String() }, closed))
const Kind = Type.Enum(Object.keys(agencyKinds) as AgencyKind[])
const Agency = Type.Object({
  code: Type.String(),
  name: Type.String(),
  parent: nullable(Type.String()),
  kind: Kind,
  uscc: nullable(Type.String()),
  state: Type.Enum(['active', 'closed']),
  responsible: Named,
  deputy: Named,
  rules: nullable(Type.Integer()),
})
const Rules = Type.Object({
  version: Type.Integer(),
  name: Type.String(),
  type: Type.String(),
  bytes: Type.Integer(),
  putBy: Type.String(),
  putAt: Type.String(),
})

const place = {
  parent: Type.Optional(nullable(AgencyCode)),
  kind: Type.Optional(Kind),
  uscc: Type.Optional(nullable(Type.String({ minLength: 18, maxLength: 18 }))),
}
const Change = Type.Object(
  { name: Type.Optional(Text(200)), ...place, state: Type.Optional(Type.Enum(['active', 'closed'])) },
  { ...closed, minProperties: 1 },
)
const PersonId = Type.String({ pattern: '^[0-9]{1,18}$' })
const Handover = Type.Object({ from: PersonId, to: PersonId, disable: Type.Optional(Type.Boolean()), reason: Text(1000) }, closed)
const Files = Type.Object(
  {
    agencies: Type.Array(AgencyCode, { minItems: 1, maxItems: 1000 }),
    hours: Type.Optional(Type.Number({ minimum: 1, maximum: 720 })),
    format: Type.Optional(Type.Enum(['json', 'excel'])),
  },
  closed,
)

const ImportedAgency = Type.Object(
  {
    row: Type.Integer(),
    code: Type.String(),
    name: Type.String(),
    outcome: Type.Enum(['created', 'changed', 'unchanged']),
    changes: Type.Array(Changed),
  },
  closed,
)

/** Agencies as a tree, whom they have named, their internal rules (Art. 2, 4, 23). */
export const agencyOperations: readonly Operation[] = [
  operation({
    name: 'agency.list',
    method: 'GET',
    path: '/agencies',
    text: { zh: '机关单位列表', en: 'agencies' },
    query: queryOf(agencyList),
    answer: pageOf(Agency),
    run: ({ registry, query }) => listAgencyTree(registry, query),
  }),
  operation({
    name: 'agency.import-template',
    method: 'GET',
    path: '/agencies/import-template',
    text: { zh: '机关单位导入模板', en: 'the workbook in which agencies are imported' },
    run: async () => new FileAnswer('机关单位导入模板.xlsx', excelType, await agencyTemplate()),
  }),
  operation({
    name: 'agency.import',
    method: 'POST',
    path: '/agencies/import',
    text: { zh: '从 EXCEL 或 CSV 导入机关单位', en: 'import agencies from Excel or CSV' },
    query: Type.Object({ check: Type.Optional(YesNo) }, closed),
    upload: { type: excelType, csv: true, limit: 10 << 20 },
    answer: Type.Object(
      { created: Type.Integer(), changed: Type.Integer(), unchanged: Type.Integer(), items: Type.Array(ImportedAgency) },
      closed,
    ),
    run: ({ registry, principal, query, body }) => importAgencies(registry, principal, body as Buffer, onlyCheck(query.check)),
  }),
  operation({
    name: 'agency.create',
    method: 'POST',
    path: '/agencies',
    text: { zh: '登记机关单位', en: 'register an agency' },
    body: Type.Object({ code: AgencyCode, name: Text(200), ...place }, closed),
    answer: Agency,
    example: { code: 'health', name: '卫生健康局', kind: 'municipal' },
    run: ({ registry, principal, body }) => createAgency(registry, principal, body),
  }),
  reading({
    name: 'agency.read',
    method: 'GET',
    path: '/agencies/:id',
    objectKind: 'agency',
    text: { zh: '查看机关单位', en: 'an agency' },
    answer: Agency,
    run: ({ registry, params }) => readAgency(registry.store.query, params.id),
  }),
  edit({
    name: 'agency.change',
    method: 'PATCH',
    path: '/agencies/:id',
    objectKind: 'agency',
    text: { zh: '修改、撤销机关单位', en: 'change an agency, or close it' },
    params: ById,
    body: Change,
    answer: Agency,
    example: { name: '民政和社会事务局' },
    run: ({ registry, principal, params, body }) => changeAgency(registry, principal, params.id, body),
  }),
  edit({
    name: 'agency.responsible',
    method: 'PUT',
    path: '/agencies/:id/responsible',
    objectKind: 'agency',
    text: { zh: '指定负责人和联系人（第二十三条）', en: 'name the responsible person and the deputy (Art. 23)' },
    params: ById,
    body: Type.Object({ responsible: nullable(PersonId), deputy: nullable(PersonId) }, closed),
    answer: Agency,
    example: { responsible: '7', deputy: null },
    run: ({ registry, principal, params, body }) => nameResponsible(registry, principal, params.id, body),
  }),
  operation({
    name: 'agency.set-rules',
    method: 'POST',
    path: '/agencies/:id/rules',
    objectKind: 'agency',
    text: { zh: '报送内部管理制度（PDF、DOCX、文本，至多 10 MB）', en: 'put internal rules on file (PDF, DOCX, text; at most 10 MB)' },
    params: ById,
    query: Type.Object({ name: Type.String({ minLength: 5, maxLength: 200 }) }, closed),
    upload: { type: 'application/octet-stream', limit: rulesLimit },
    answer: Rules,
    run: ({ registry, principal, params, query, body }) => putRules(registry, principal, params.id, query.name, body as Buffer),
  }),
  operation({
    name: 'agency.read-rules',
    method: 'GET',
    path: '/agencies/:id/rules',
    objectKind: 'agency',
    text: { zh: '内部管理制度：各版本，或下载其中一版', en: 'the internal rules: their versions, or with `version` that file' },
    params: ById,
    query: Type.Object({ version: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,8}$' })) }, closed),
    run: async ({ registry, params: { id }, query: { version } }) => {
      if (version === undefined) return { items: await listRules(registry, id) }
      const { name, type, content } = await readRules(registry, id, Number(version))
      return new FileAnswer(name, type, content)
    },
  }),
  operation({
    name: 'agency.handover',
    method: 'POST',
    path: '/agencies/:id/handover',
    objectKind: 'agency',
    text: { zh: '人员变动移交', en: 'hand over when staff change' },
    params: ById,
    body: Handover,
    answer: Type.Object({ id: Type.String(), name: Type.String(), roles: Type.Array(Type.String()) }, closed),
    example: { from: '7', to: '9', disable: true, reason: '调离' },
    run: async ({ registry, principal, agencyScope, params, body }) => {
      const { id, name, roles } = await handOver(registry, principal, params.id, body, agencyScope !== null)
      return { id, name, roles }
    },
  }),
  operation({
    name: 'machine.enrolment-files',
    method: 'POST',
    path: '/machines/enrolment-files',
    text: { zh: '批量签发前置机登记令牌', en: 'enrolment tokens for many agencies at once' },
    body: Files,
    answer: Type.Unknown({ description: '{items}, or an Excel file' }),
    example: { agencies: ['civil', 'water'], hours: 72, format: 'excel' },
    run: async ({ registry, services, principal, body: { agencies, hours = 72, format = 'json' } }) => {
      const items = await enrolmentFiles(registry, principal, agencies, hours, services.address())
      return format === 'json' ? { items } : new FileAnswer('登记令牌.xlsx', excelType, await enrolmentWorkbook(items))
    },
  }),
]
