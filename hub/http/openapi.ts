import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance, FastifySchema } from 'fastify'
import { Type, type TSchema } from 'typebox'
import { rights } from '../access/rights.ts'
import { excelType, uploadTypes, type Operation } from '../operations/operation.ts'
import { objectNames } from '../records/refusals.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import { fieldWords } from './field-words.ts'
import { version } from '../../protocol/version.ts'

const Problem = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String(),
    who: Type.String(),
    retry: Type.Boolean(),
    detail: Type.Object({ zh: Type.String(), en: Type.String() }),
    details: Type.Object({}, { additionalProperties: true }),
    faults: Type.Optional(
      Type.Array(
        Type.Object(
          { zh: Type.String(), en: Type.String() },
          { additionalProperties: true, description: '每处问题：位置、写错的名称与最接近的名称、允许的值 each thing that is wrong' },
        ),
      ),
    ),
  },
  { description: 'RFC 9457' },
)

/** OpenAPI 3.1 of every route registered after it, at /docs/json, with a page at /docs. */
export async function documentation(app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: '前置 Qianzhi: registry API', version, description: '登录后以会话 cookie 或 Authorization: Bearer 调用。' },
      components: {
        securitySchemes: { bearer: { type: 'http', scheme: 'bearer' }, cookie: { type: 'apiKey', in: 'cookie', name: 'qz_session' } },
      },
      tags: [...tagWords].map(([name, { zh, en }]) => ({ name: zh, description: `${en} (\`${name}\`)` })),
    },
    transform: ({ schema, url }) => ({ schema: described(schema as Documented), url }),
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    logo: { type: 'image/svg+xml', content: Buffer.from(logo), href: '/', target: '_self' },
    theme: { title: '前置 Qianzhi API' },
    staticCSP: true,
    transformStaticCSP: ownAlone,
  })
}

const logo = `<svg xmlns="http://www.w3.org/2000/svg" width="120" height="40" viewBox="0 0 120 40"><text x="4" y="29" font-size="26" fill="#fff"
  font-family="Microsoft YaHei, PingFang SC, Noto Sans CJK SC, sans-serif">前置</text></svg>`

/** What the operations of a name are about. */
const tagWords: ReadonlyMap<string, LocalizedText> = new Map([
  ...Object.entries(objectNames).map(([kind, zh]) => [kind, { zh, en: kind }] as const),
  ['me', { zh: '本人', en: 'oneself' }],
  ['session', { zh: '登录', en: 'signing in and out' }],
  ['catalog', { zh: '目录', en: 'catalog' }],
  ['history', { zh: '办理经过', en: 'what happened to an object' }],
  ['audit', { zh: '审计', en: 'audit' }],
  ['feed', { zh: '监察数据接口', en: 'feed for supervision systems' }],
  ['health', { zh: '运行状况', en: 'health' }],
  ['clock', { zh: '时钟', en: 'clock' }],
  ['calendar', { zh: '工作日日历', en: 'calendar of working days' }],
  ['notice', { zh: '通知', en: 'notices' }],
  ['table', { zh: '从现有表登记', en: 'registering from a table' }],
  ['rights', { zh: '本人权限', en: 'what the caller may do' }],
  ['form', { zh: '填报表单', en: 'forms' }],
  ['row', { zh: '在线填报', en: 'rows that people enter' }],
  ['excel', { zh: '电子表格导入', en: 'rows from Excel' }],
  ['supply', { zh: '数据提供记录', en: 'what was brought' }],
  ['query', { zh: '数据查询', en: 'query of rows' }],
  ['chain', { zh: '全过程', en: 'the whole way of a case' }],
  ['settings', { zh: '设置', en: 'settings' }],
  ['search', { zh: '全局检索', en: 'search over everything' }],
  ['todo', { zh: '待办', en: 'what waits for the caller' }],
  ['line', { zh: '交换链路', en: 'lines' }],
  ['flow', { zh: '流向图', en: 'flows' }],
  ['wall', { zh: '大屏', en: 'the wall screen' }],
  ['statistics', { zh: '统计', en: 'figures' }],
  ['case', { zh: '未办结事项', en: 'open cases' }],
])

interface Documented extends FastifySchema {
  operationId?: string
  consumes?: string[]
}

type Member = Record<string, unknown> & { properties?: Record<string, Member> }

/** As the document shows it: each member said what it holds, and an upload has a body. */
function described(schema: Documented): Documented {
  const { operationId = '', consumes, params, querystring, headers, body } = schema
  const shown = (shape: unknown) => inWords(JSON.parse(JSON.stringify(shape)) as Member, operationId, undefined)
  return {
    ...schema,
    ...(params !== undefined && { params: shown(params) }),
    ...(querystring !== undefined && { querystring: shown(querystring) }),
    ...(headers !== undefined && { headers: demanded(headers as Member) }),
    ...(body !== undefined && { body: shown(body) }),
    ...(consumes && { body: { type: 'string', format: 'binary', description: `文件内容，类型 ${consumes.join()} the file's bytes` } }),
  }
}

/** The registry asks for them itself. */
function demanded(headers: Member): Member {
  return { ...headers, required: Object.keys(headers.properties ?? {}) }
}

function inWords(shape: Member, operation: string, within: string | undefined): Member {
  for (const [member, part] of Object.entries(shape.properties ?? {})) {
    const words = fieldWords(operation, member, within)
    if (words) part['description'] = `${words.zh} ${words.en}`
    inWords(part, operation, member)
  }
  const inner = [shape['items'], ...Object.values(shape['patternProperties'] ?? {}), ...((shape['anyOf'] as unknown[] | undefined) ?? [])]
  for (const part of inner) if (typeof part === 'object' && part !== null) inWords(part as Member, operation, within)
  return shape
}

/** The page's own policy, without what it would take from the internet. */
function ownAlone(policy: string): string {
  return policy.replaceAll(/ (?:https:|validator\.swagger\.io)(?=[ ;])/g, '').replace(`frame-ancestors 'self'`, `frame-ancestors 'none'`)
}

/** What Fastify checks a request by, and the document shows of the operation. */
export function routeSchema(operation: Operation): FastifySchema {
  const { name, text, params, query, body, upload, example } = operation
  const line = Object.entries(rights[name]).map(([role, reach]) => `${role}: ${String(reach)}`)
  return {
    operationId: name,
    tags: [tagWords.get(name.split('.')[0]!)?.zh ?? name],
    summary: text.zh,
    description: `${text.en}\n\n${line.join('; ')}`,
    security: [{ bearer: [] }, { cookie: [] }],
    ...(params ? { params } : operation.objectKind && { params: Type.Object({ id: Type.String({ minLength: 1, maxLength: 100 }) }) }),
    ...(query && { querystring: query }),
    ...(operation.decides && { headers: decided }),
    ...(upload ? { consumes: uploadTypes(upload) } : body && { body: withExample(body, example) }),
    response: { 200: answerSchema(operation), default: Problem },
  }
}

/** Asked for by the registry, whose answer says where the revision is to be had. */
const decided = Type.Object({
  'if-match': Type.Optional(
    Type.String({ description: '所办事项的 ETag（读取时给出的 revision，带引号） the ETag of what is decided on' }),
  ),
})

function withExample(body: TSchema, example: unknown): TSchema {
  return example === undefined ? body : { ...body, examples: [example] }
}

function answerSchema({ answer }: Operation): TSchema {
  return answer ?? Type.Unknown({ description: `JSON, or ${excelType}` })
}
