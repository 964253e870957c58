import t from 'tap'
import { operations } from '../../../hub/operations/index.ts'
import { openCity } from '../city.ts'

interface Documented {
  openapi: string
  paths: Record<string, Record<string, { operationId?: string; summary?: string; responses: object; requestBody?: { content: object } }>>
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
  t.equal((await city.app.inject({ url: '/docs/' })).statusCode, 200, 'and a page')
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
