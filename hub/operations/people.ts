import { Type, type Static } from 'typebox'
import { activationLink } from '../registry/people/invitations.ts'
import { machineRoles, roleNames } from '../records/roles.ts'
import { createKey, endKey, keyList, listKeys } from '../registry/people/api-keys.ts'
import {
  changePerson,
  createPerson,
  disablePerson,
  enablePerson,
  foundable,
  foundAdministrator,
  invitePerson,
  listPeople,
  personList,
  readPerson,
  resetFactor,
  setRoles,
  signOutPerson,
  unlockPerson,
  type Invited,
} from '../registry/people/people.ts'
import { importedWorkbook, importPeople, importRoles, peopleTemplate, type ImportedPerson } from '../registry/people/people-import.ts'
import { pageOf, queryOf } from '../records/listing.ts'
import { edit, reading } from './events.ts'
import { excelType, FileAnswer, operation, type Operation } from './operation.ts'
import type { Services } from './services.ts'
import { AgencyCode, ById, closed, Network, NoBody, nullable, ReasonBody, onlyCheck, Text, YesNo } from './shapes.ts'

const Person = Type.Object(
  {
    id: Type.String(),
    agency: Type.String(),
    login: Type.String(),
    name: Type.String(),
    email: nullable(Type.String()),
    phone: nullable(Type.String()),
    state: Type.Enum(['invited', 'active', 'disabled']),
    roles: Type.Array(Type.Enum(roleNames)),
    hasFactor: Type.Boolean(),
    lockedUntil: nullable(Type.String()),
    lastSignIn: nullable(Type.String()),
    created: Type.String(),
  },
  closed,
)
const WithLink = Type.Object({ person: Person, link: Type.String(), expires: Type.String() }, closed)

const email = Type.String({ maxLength: 200, pattern: '^[^@\\s]+@[^@\\s]+$' })
const phone = Type.String({ minLength: 1, maxLength: 40 })
const contact = { email: Type.Optional(nullable(email)), phone: Type.Optional(nullable(phone)) }
const NewPerson = Type.Object({ agency: AgencyCode, login: Text(40), name: Text(100), ...contact }, closed)
const Change = Type.Object({ name: Type.Optional(Text(100)), ...contact }, { ...closed, minProperties: 1 })
const Founded = Type.Object({ ...NewPerson.properties, role: Type.Enum(foundable) }, closed)
const example = { agency: 'civil', login: 'zhang.san', name: '张三', email: 'zhang.san@example.gov.cn' }

/** The secret of the link is shown to who made it, to be handed over, and nowhere else. */
function withLink({ person, invitation }: Invited, services: Services) {
  return { person, link: activationLink(services.address().urls[0]!, invitation.secret), expires: invitation.expires }
}

/** A workbook, unless JSON is asked for. */
const format = Type.Optional(Type.Enum(['xlsx', 'json']))
const check = Type.Optional(YesNo)

async function imported(items: ImportedPerson[], as: 'xlsx' | 'json' | undefined): Promise<FileAnswer | { items: ImportedPerson[] }> {
  return as === 'json' ? { items } : new FileAnswer('导入结果.xlsx', excelType, await importedWorkbook(items))
}

const peopleAlone: readonly Operation[] = [
  operation({
    name: 'person.list',
    method: 'GET',
    path: '/people',
    text: { zh: '人员列表', en: 'people' },
    query: queryOf(personList),
    answer: pageOf(Person),
    run: ({ registry, agencyScope, query }) => listPeople(registry, agencyScope, query),
  }),
  operation({
    name: 'person.import-template',
    method: 'GET',
    path: '/people/import-template',
    text: { zh: '人员导入模板', en: 'the workbook in which people are imported' },
    run: async ({ registry }) => new FileAnswer('人员导入模板.xlsx', excelType, await peopleTemplate(registry)),
  }),
  operation({
    name: 'person.import',
    method: 'POST',
    path: '/people/import',
    text: {
      zh: '从 EXCEL 或 CSV 导入人员，逐行返回结果和激活链接；relink=true 为尚未激活的人员重新生成链接',
      en: 'import people from Excel or CSV; answers of each line what became of it, with activation links; relink=true makes new ones for who has not used theirs',
    },
    query: Type.Object({ format, check, relink: Type.Optional(YesNo) }, closed),
    upload: { type: excelType, csv: true, limit: 10 << 20 },
    run: async ({ registry, services, principal, query, body }) => {
      const how = {
        rules: services.access.rules,
        hub: services.address().urls[0]!,
        relink: query.relink === 'true',
        only: onlyCheck(query.check),
      }
      return imported(await importPeople(registry, principal, body as Buffer, how), query.format)
    },
  }),
  operation({
    name: 'person.import-roles',
    method: 'POST',
    path: '/people/import-roles',
    text: { zh: '按同一文件的“角色”列分配角色', en: 'give the roles that the same file names' },
    query: Type.Object({ format, check }, closed),
    upload: { type: excelType, csv: true, limit: 10 << 20 },
    run: async ({ registry, principal, query, body }) =>
      imported(await importRoles(registry, principal, body as Buffer, onlyCheck(query.check)), query.format),
  }),
  operation({
    name: 'person.found',
    method: 'POST',
    path: '/people/found',
    text: { zh: '设立尚缺的安全、审计管理员', en: 'make the missing security or audit administrator' },
    body: Founded,
    answer: WithLink,
    example: { ...example, role: 'security-admin' },
    run: async ({ registry, services, principal, body }) =>
      withLink(
        await foundAdministrator(registry, services.access.rules, principal, body as Static<typeof Founded> & { role: 'audit-admin' }),
        services,
      ),
  }),
  operation({
    name: 'person.create',
    method: 'POST',
    path: '/people',
    text: { zh: '新增人员，返回激活链接', en: 'add a person; answers with the activation link' },
    body: NewPerson,
    answer: WithLink,
    example,
    run: async ({ registry, services, principal, body }) =>
      withLink(await createPerson(registry, services.access.rules, principal, body), services),
  }),
  reading({
    name: 'person.read',
    method: 'GET',
    path: '/people/:id',
    objectKind: 'person',
    text: { zh: '查看人员', en: 'a person' },
    answer: Person,
    run: ({ registry, params }) => readPerson(registry.store.query, params.id),
  }),
  edit({
    name: 'person.change',
    method: 'PATCH',
    path: '/people/:id',
    objectKind: 'person',
    text: { zh: '修改姓名和联系方式', en: 'change name, e-mail, telephone' },
    params: ById,
    body: Change,
    answer: Person,
    example: { phone: '0769-00000000' },
    run: ({ registry, principal, params, body }) => changePerson(registry, principal, params.id, body),
  }),
  operation({
    name: 'person.invite',
    method: 'POST',
    path: '/people/:id/invite',
    objectKind: 'person',
    text: { zh: '重新生成激活链接（重设口令）', en: 'a new link by which the person sets the password' },
    params: ById,
    body: NoBody,
    answer: WithLink,
    run: async ({ registry, services, principal, params }) =>
      withLink(await invitePerson(registry, services.access.rules, principal, params.id), services),
  }),
  edit({
    name: 'person.disable',
    method: 'POST',
    path: '/people/:id/disable',
    objectKind: 'person',
    text: { zh: '停用人员', en: 'disable a person' },
    params: ById,
    body: ReasonBody,
    answer: Person,
    example: { reason: '调离' },
    run: ({ registry, principal, params, body }) => disablePerson(registry, principal, params.id, body.reason),
  }),
  edit({
    name: 'person.roles',
    method: 'PUT',
    path: '/people/:id/roles',
    objectKind: 'person',
    text: { zh: '分配角色', en: 'give roles' },
    params: ById,
    body: Type.Object({ roles: Type.Array(Type.Enum(roleNames), { maxItems: roleNames.length }) }, closed),
    answer: Person,
    example: { roles: ['registrar', 'user'] },
    run: ({ registry, principal, params, body }) => setRoles(registry, principal, params.id, body.roles),
  }),
  operation({
    name: 'person.sign-out',
    method: 'POST',
    path: '/people/:id/sign-out',
    objectKind: 'person',
    text: { zh: '强制退出登录', en: 'sign a person out everywhere' },
    params: ById,
    body: NoBody,
    answer: Type.Object({ ended: Type.Integer() }, closed),
    run: ({ registry, principal, params }) => signOutPerson(registry, principal, params.id),
  }),
  ...(
    [
      ['person.enable', '恢复人员', 'enable a person again', enablePerson],
      ['person.unlock', '解除锁定', 'end a lock-out', unlockPerson],
      ['person.reset-factor', '重置动态验证码', 'reset the second factor', resetFactor],
    ] as const
  ).map(([name, zh, en, act]) =>
    edit({
      name,
      method: 'POST',
      path: `/people/:id/${name.slice(name.indexOf('.') + 1)}`,
      objectKind: 'person',
      text: { zh, en },
      params: ById,
      body: NoBody,
      answer: Person,
      run: ({ registry, principal, params }) => act(registry, principal, params.id),
    }),
  ),
]

const Key = Type.Object(
  {
    id: Type.String(),
    agency: Type.String(),
    name: Type.String(),
    role: Type.String(),
    state: Type.Enum(['active', 'expired', 'ended']),
    expires: Type.String(),
    ended: nullable(Type.String()),
    createdBy: Type.String(),
    created: Type.String(),
    lastUsed: nullable(Type.String()),
    addresses: nullable(Type.Array(Type.String())),
  },
  closed,
)
const NewKey = Type.Object(
  {
    agency: AgencyCode,
    name: Text(100),
    role: Type.Enum(machineRoles),
    days: Type.Optional(Type.Integer({ minimum: 1, maximum: 365 })),
    addresses: Type.Optional(Type.Array(Network, { minItems: 1, maxItems: 50 })),
  },
  closed,
)

const keys: readonly Operation[] = [
  operation({
    name: 'key.list',
    method: 'GET',
    path: '/keys',
    text: { zh: '接口密钥列表', en: 'API keys' },
    query: queryOf(keyList),
    answer: pageOf(Key),
    run: ({ registry, agencyScope, query }) => listKeys(registry, agencyScope, query),
  }),
  operation({
    name: 'key.create',
    method: 'POST',
    path: '/keys',
    text: { zh: '签发接口密钥（只显示一次）', en: 'make an API key, which is shown once' },
    body: NewKey,
    answer: Type.Object({ ...Key.properties, secret: Type.String(), link: nullable(Type.String()) }, closed),
    example: { agency: 'civil', name: '电子监察系统', role: 'supervisor', days: 365 },
    run: async ({ registry, services, principal, body }) => {
      const key = await createKey(registry, principal, body)
      // What stands behind # is not sent to the hub, and in no log of it.
      return { ...key, link: key.role === 'display' ? `${services.address().urls[0]!}/wall#${key.secret}` : null }
    },
  }),
  operation({
    name: 'key.end',
    method: 'POST',
    path: '/keys/:id/end',
    objectKind: 'key',
    text: { zh: '停用接口密钥', en: 'end an API key' },
    params: ById,
    body: NoBody,
    answer: Key,
    run: ({ registry, principal, params }) => endKey(registry, principal, params.id),
  }),
]

/** People, their roles, and machines' keys. */
export const peopleOperations: readonly Operation[] = [...peopleAlone, ...keys]
