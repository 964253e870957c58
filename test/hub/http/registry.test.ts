import t from 'tap'
import { openCity } from '../city.ts'

t.test('the document of the API is OpenAPI 3.1 and open to everybody', async (t) => {
  const city = await openCity(t)
  const document = await city.app.inject({ url: '/docs/json' })
  t.equal(document.statusCode, 200)
  t.match(document.json(), { openapi: '3.1.0' })
})
