import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance, FastifySchema } from 'fastify'
import { Type, type TSchema } from 'typebox'
import { rights } from '../access/rights.ts'
import { excelType, type Operation } from '../operations/operation.ts'
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
    },
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: true,
    transformStaticCSP: ownAlone,
  })
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
    tags: [name.split('.')[0]!],
    summary: text.zh,
    description: `${text.en}\n\n${line.join('; ')}`,
    security: [{ bearer: [] }, { cookie: [] }],
    ...(params ? { params } : operation.objectKind && { params: Type.Object({ id: Type.String({ minLength: 1, maxLength: 100 }) }) }),
    ...(query && { querystring: query }),
    ...(operation.decides && { headers: decided }),
    ...(upload ? { consumes: [upload.type] } : body && { body: withExample(body, example) }),
    response: { 200: answerSchema(operation), default: Problem },
  }
}

/** Asked for by the registry, whose answer says where the revision is to be had. */
const decided = Type.Object({ 'if-match': Type.Optional(Type.String({ description: 'the ETag of what is decided on: required' })) })

function withExample(body: TSchema, example: unknown): TSchema {
  return example === undefined ? body : { ...body, examples: [example] }
}

function answerSchema({ answer }: Operation): TSchema {
  return answer ?? Type.Unknown({ description: `JSON, or ${excelType}` })
}
