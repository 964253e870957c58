/**
 * What is unknown, closed or not granted is refused with the same bytes, and with the same work: the same statements go to the store, so that no
 * clock tells them apart either. Statements are logged where the driver sends them, whoever in the hub asks.
 */
import { setImmediate } from 'node:timers/promises'
import pg from 'pg'
import t from 'tap'
import { openDataCity } from './fixture.ts'

/** Texts of all statements to this database, in order; values and prepared names aside. */
const log: string[] = []
let database = ''
const prototype = pg.Client.prototype as unknown as { query: (...asked: unknown[]) => unknown }
const { query: send } = prototype
prototype.query = function logged(this: pg.Client, ...asked: unknown[]) {
  if (this.database !== database) return send.apply(this, asked)
  const [statement] = asked as [string | { text?: string }]
  log.push(typeof statement === 'string' ? statement : (statement.text ?? 'cursor'))
  const answer = send.apply(this, asked)
  if (answer instanceof Promise) {
    under.add(answer)
    const over = () => under.delete(answer)
    answer.then(over, over)
  }
  return answer
}
/** Statements that are not answered yet. */
const under = new Set<Promise<unknown>>()

/** What was read is counted after it was answered: until that is done. */
async function quiet(): Promise<void> {
  do {
    await Promise.allSettled(under)
    await setImmediate()
  } while (under.size > 0)
}

t.teardown(() => void (prototype.query = send))

interface Said {
  status: number
  bytes: string
  statements: string[]
}

/** `$` stands for the item. */
const questions = [
  '?$=x',
  '?$.like=x*',
  '?$.in=x,y',
  '?$.null=true',
  '?sort=$',
  '?sort=-$&limit=2',
  '?select=code,$',
  '?name=x&$.ge=y&count=exact',
]

const items = { unknown: 'nothing', closed: 'phone', ungranted: 'street' }

/** Asks every question about every item, several times and in turn, so that what is remembered between them shows, too. */
async function sameWork(
  test: Pick<typeof t, 'match' | 'same' | 'ok'>,
  ask: (question: string) => Promise<{ statusCode: number; body: string }>,
  name: string,
  asked = questions,
): Promise<void> {
  const about = async (question: string, item: string): Promise<Said> => {
    await quiet()
    log.length = 0
    const { statusCode, body } = await ask(question.replaceAll('$', item))
    const statements = [...log]
    return { status: statusCode, bytes: body.replaceAll(new RegExp(`\\b${item}\\b`, 'g'), '$'), statements }
  }
  // The first refusals of somebody's minute are on record one by one, the others by their number.
  for (let n = 0; n < 120; n++) await about(asked[n % asked.length]!, items.unknown)
  for (const question of asked) {
    const said = []
    for (let turn = 0; turn < 3; turn++)
      for (const [kind, item] of Object.entries(items).slice(turn).concat(Object.entries(items).slice(0, turn)))
        said.push([kind, await about(question, item)] as const)
    const [[, first]] = said as [(typeof said)[0]]
    test.match(first, { status: 400, statements: /select/i }, `${name} ${question}: refused, and the log has seen it`)
    for (const [kind, one] of said) test.same(one, first, `${name} ${question}: ${kind}`)
    const granted = await about(question, 'name')
    if (granted.status === 200) test.ok(granted.statements.length > first.statements.length, `${name} ${question}: what is granted is read`)
  }
}

void t.test('query', async (t) => {
  const { city, grant } = await openDataCity(t)
  database = new URL(city.url).pathname.slice(1)
  await grant('query', ['name'])
  const user = city.as('water', 'user')
  t.equal((await user.put('/queries/villages/purpose', { purpose: '防汛' })).status, 200)
  const headers = { authorization: `Bearer ${user.secret}` }
  const at = (door: string) => (question: string) => city.app.inject({ url: `/api/v1/queries/villages/${door}${question}`, headers })
  await sameWork(t, at('rows'), 'rows')
  await sameWork(t, (question) => at('export')(`${question}&format=csv`), 'export')
})

void t.test('API', async (t) => {
  const { city, grant } = await openDataCity(t)
  database = new URL(city.url).pathname.slice(1)
  const granted = await grant('api', ['name'])
  t.equal((await city.as('city', 'office').put(`/grants/${granted}/limits`, { rate: 1000, quota: null })).status, 200)
  const made = await city.as('water', 'agency-it').post(`/grants/${granted}/credentials`, { name: '防汛系统' })
  const { id, secret } = made.body as { id: string; secret: string }
  const form = new URLSearchParams({ grant_type: 'client_credentials', client_id: id, client_secret: secret })
  const type = { 'content-type': 'application/x-www-form-urlencoded' }
  const token = (await city.app.inject({ method: 'POST', url: '/oauth2/token', headers: type, payload: form.toString() })).json()
    .access_token as string
  const get = (accept: string) => (question: string) => {
    // What a process remembers of a client for a second is read anew.
    city.data.views.forget(id)
    return city.app.inject({ url: `/data/v1/villages${question}`, headers: { authorization: `Bearer ${token}`, accept } })
  }
  await sameWork(t, get('application/json'), 'JSON')
  await sameWork(t, get('text/csv'), 'CSV')
  const check = (item: string) => {
    city.data.views.forget(id)
    const payload = { rows: [{ code: '441900003001', [item]: 'x' }] }
    return city.app.inject({ method: 'POST', url: '/data/v1/villages/check', headers: { authorization: `Bearer ${token}` }, payload })
  }
  await sameWork(t, check, 'check', ['$'])
})
