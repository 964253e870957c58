import t from 'tap'
import { operations } from '../../../hub/operations/index.ts'
import { workflows } from '../../../hub/registry/workflows.ts'
import type { Workflow } from '../../../hub/registry/workflow.ts'
import { openCity } from '../city.ts'

interface Shape {
  description?: string
  properties?: Record<string, Shape>
  items?: Shape
  anyOf?: Shape[]
}

interface Door {
  operationId?: string
  summary?: string
  tags?: string[]
  responses: object
  parameters?: { name: string; description?: string; required?: boolean }[]
  requestBody?: { content: Record<string, { schema: Shape }> }
}

interface Documented {
  openapi: string
  paths: Record<string, Record<string, Door>>
}

t.test('the document of the API is OpenAPI 3.1, open to everybody, and names every operation', async (t) => {
  const city = await openCity(t)
  const answer = await city.app.inject({ url: '/docs/json' })
  t.equal(answer.statusCode, 200)
  const document = answer.json<Documented>()
  t.match(document.openapi, /^3\.1\./)
  const found = Object.values(document.paths).flatMap((methods) => Object.values(methods))
  const named = found.flatMap(({ operationId }) => operationId ?? [])
  t.same(named.toSorted(), operations.map(({ name }) => name).toSorted())
  for (const { operationId, summary, responses } of found) {
    t.ok(summary, `${operationId} has a summary`)
    t.ok('200' in responses, `${operationId} says what it answers`)
  }
  const demanding = found.filter(({ parameters = [] }) => parameters.some(({ name, required }) => name === 'if-match' && required))
  const decisions = (workflows as unknown as Workflow<string, { state: string }>[]).flatMap(({ name, decisions = [] }) =>
    decisions.map((event) => `${name}.${event}`),
  )
  t.same(new Set(demanding.map(({ operationId }) => operationId)), new Set(decisions), 'decisions demand the ETag')
  t.equal((await city.app.inject({ url: '/docs/' })).statusCode, 200, 'and a page')

  const bare: string[] = []
  const look = (shape: Shape, at: string): void => {
    for (const [name, part] of Object.entries(shape.properties ?? {})) {
      if (!/\p{Script=Han}.*[a-z]/u.test(part.description ?? '')) bare.push(`${at} ${name}`)
      look(part, `${at} ${name}`)
    }
    for (const part of [shape.items, ...(shape.anyOf ?? [])]) if (part) look(part, at)
  }
  for (const { operationId, requestBody, parameters = [] } of found) {
    if (operationId === undefined) continue
    for (const { name, description } of parameters) if (!description) bare.push(`${operationId} ${name}`)
    for (const { schema } of Object.values(requestBody?.content ?? {})) look(schema, operationId)
  }
  t.same(bare, [], 'every field of a request is said what it holds')
  const uploads = operations.filter(({ upload }) => upload)
  for (const { name, upload } of uploads) {
    const door = found.find(({ operationId }) => operationId === name)
    t.match(door?.requestBody?.content, { [upload!.type]: { schema: { format: 'binary' } } }, `${name}: its upload has a body`)
  }
  t.same(
    found.flatMap(({ tags = [] }) => tags).filter((tag) => !/^[\p{Script=Han}]+$/u.test(tag)),
    [],
    'tags are Chinese',
  )
  const initializer = (await city.app.inject({ url: '/docs/static/swagger-initializer.js' })).body
  const [, logo = ''] = /data:image\/svg\+xml;base64,([\w+/=]+)/.exec(initializer) ?? []
  t.match(Buffer.from(logo, 'base64').toString(), /前置/, 'the logo is our own')
})

t.test('a cookie counts only from our own pages, a bearer from anywhere', async (t) => {
  const city = await openCity(t)
  const { secret } = city.as('civil', 'user')
  const read = (headers: object) =>
    city.app.inject({ method: 'POST', url: '/api/v1/notices/read', headers: { host: 'hub.test', ...headers }, payload: {} })
  const cookie = `qz_session=${secret}`
  t.equal((await read({ cookie })).statusCode, 401, 'no origin')
  t.equal((await read({ cookie, origin: 'https://evil.test' })).statusCode, 401)
  t.equal((await read({ cookie, origin: 'https://hub.test' })).statusCode, 200)
  t.equal((await read({ authorization: `Bearer ${secret}`, origin: 'https://evil.test' })).statusCode, 200)
  t.equal((await city.app.inject({ url: '/api/v1/me', headers: { cookie } })).statusCode, 200, 'reading')
})

t.test('answers are not kept by anybody on their way', async (t) => {
  const city = await openCity(t)
  const { secret } = city.as('civil', 'user')
  const answer = await city.app.inject({ url: '/api/v1/me', headers: { authorization: `Bearer ${secret}` } })
  t.equal(answer.headers['cache-control'], 'no-store')
})
