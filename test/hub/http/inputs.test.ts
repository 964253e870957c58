/** Every field of every operation is given what nobody sends by mistake: each answer is a coded refusal or a success, and nothing is half done. */
import t from 'tap'
import { generateSigningKey } from '../../../protocol/signature.ts'
import { makeAccess } from '../../../hub/access/access.ts'
import { reachOf } from '../../../hub/access/authorise.ts'
import { roleNames } from '../../../hub/records/roles.ts'
import { defaultAccess } from '../../../hub/access/settings.ts'
import { apiPrefix } from '../../../hub/http/registry.ts'
import { operations } from '../../../hub/operations/index.ts'
import type { Operation } from '../../../hub/operations/operation.ts'
import { workflows } from '../../../hub/registry/workflows.ts'
import { Random, seedOfThisRun } from '../../faults/random.ts'
import { longer } from '../../support/longer.ts'
import { agencyRoles, openCity, person, type Caller, type City } from '../city.ts'
import { makeObject, openObjects, type Objects } from '../objects.ts'

const texts = [
  'a\0b',
  '\ud800',
  'x\udc00y',
  'x'.repeat(70_000),
  '',
  ' ',
  '-1',
  '1e3',
  '999999999999999999',
  '99999999999999999999',
  '9999-12-31',
  '0000-01-01',
  '0001-01-01',
  '2026-02-30',
  '9999-W53',
  '0000-W01',
  '9999-Q4',
  '9999-12',
  '__proto__',
  `'; select pg_sleep(9); --`,
]
const values = [...texts, -1, 0.5, 1e308, 2 ** 53, null, true, [], [null], ['a', 'a'], ['a\0b'], {}, { a: { a: {} } }]
/** Bodies as they stand on the wire. */
const bodies = ['', 'null', '[]', '1', '"x"', '{', '{"__proto__":{"a":1}}', '{"constructor":{"prototype":{"a":1}}}', '{"a\\u0000":1}']
/** Of values and texts each place gets these in one run: in every run others, all of them in a long one, and each of them somewhere in each run. */
const shares = longer ? 6 : 1
const first = new Random(seedOfThisRun()).between(0, shares - 1)
const share = <T>(all: readonly T[], place: number): T[] => all.filter((_, i) => (i + place + first) % shares === 0)

const queries = [
  '%00',
  'a%00b',
  '%ED%A0%80',
  '%FF',
  '%',
  ...texts.filter((text) => text.isWellFormed() && text.length < 9000).map(encodeURIComponent),
]

type Path = readonly (string | number)[]

interface Shape {
  type?: string
  properties?: Record<string, Shape>
  patternProperties?: Record<string, Shape>
  items?: Shape
  anyOf?: Shape[]
}

/** Where a value stands in a body of this shape. */
function pathsOf({ properties = {}, patternProperties = {}, items, anyOf = [] }: Shape, depth = 0): Path[] {
  if (depth > 4) return []
  const below = (name: string | number, shape: Shape): Path[] => [[name], ...pathsOf(shape, depth + 1).map((path) => [name, ...path])]
  return [
    ...Object.entries(properties).flatMap(([name, shape]) => below(name, shape)),
    ...Object.values(patternProperties).flatMap((shape) => below('some', shape)),
    ...(items ? below(0, items) : []),
    ...anyOf.flatMap((shape) => pathsOf(shape, depth)),
  ]
}

/** The body with another value at one place; what stands above it is made where it is not there. */
function withValue(body: unknown, path: Path, value: unknown): unknown {
  const [name, ...rest] = path
  if (name === undefined) return value
  if (typeof name === 'number') {
    const list = Array.isArray(body) ? body : []
    return [withValue(list[0], rest, value), ...list.slice(1)]
  }
  const object = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {}
  return { ...object, [name]: withValue(object[name], rest, value) }
}

interface Attempt {
  what: string
  url: string
  type: string
  payload?: string | Buffer
}

/** The example of the documentation, about things that are there. */
function realExample({ example = {} }: Operation, things: Record<string, string>): object {
  const named = example as Record<string, unknown>
  return { ...named, ...Object.fromEntries(Object.entries(things).filter(([name]) => Object.hasOwn(named, name))) }
}

/** What is tried with one object of the operation's kind; `:id` stands for it. */
function attempts({ name, method, path, query, body, upload }: Operation, example: object): Attempt[] {
  const url = apiPrefix + path.replace(':kind', 'agency').replace(':object', 'civil').replace(':period', '2026-Q4')
  const needed =
    name === 'agency.set-rules' || name.endsWith('.attach') ? '?name=rules.txt' : name === 'resource.diff' ? '?from=1&to=1' : ''
  const json = { url: url + needed, type: 'application/json' }
  const tried: Attempt[] = []
  let place = 0
  const parts = path.split('/').filter((part) => part.startsWith(':'))
  for (const part of parts) {
    const at = apiPrefix + path.replace(part, ':x').replace(':kind', 'agency').replace(':object', 'civil')
    const rest = at.replace(':period', '2026-Q4')
    for (const text of share(queries, place++).filter((one) => one !== '' && one.length < 190)) {
      tried.push({ ...json, what: `${part} = ${text}`, url: rest.replace(':x', text) + needed, ...(method !== 'GET' && { payload: '{}' }) })
    }
  }
  for (const key of Object.keys(query?.properties ?? {})) {
    for (const text of [...share(queries, place++), `1&${key}=2`, `1&__proto__=2`]) {
      const others = needed
        .replace(/^\?/, '')
        .split('&')
        .filter((one) => one !== '' && !one.startsWith(`${key}=`))
      const payload = upload ? Buffer.from('text') : undefined
      const type = upload?.type ?? json.type
      tried.push({
        what: `${key} = ${text.slice(0, 40)}`,
        url: `${url}?${[...others, `${key}=${text}`].join('&')}`,
        type,
        ...(payload && { payload }),
      })
    }
  }
  if (upload) {
    for (const bytes of ['', 'nothing', 'PK\x03\x04', 'PK\x05\x06' + '\0'.repeat(18)])
      tried.push({ ...json, what: `${bytes.length} bytes`, type: upload.type, payload: Buffer.from(bytes, 'latin1') })
    for (const payload of ['{}', '{"length":5}', '[]', 'null']) tried.push({ ...json, what: `JSON ${payload}`, payload })
    tried.push({ ...json, what: 'nothing at all', type: '' })
  }
  if (body) {
    tried.push({ ...json, what: 'the example', payload: JSON.stringify(example) })
    for (const payload of bodies) tried.push({ ...json, what: payload, payload })
    tried.push({ ...json, what: 'nothing at all', type: '' })
    tried.push({ ...json, what: 'bytes for JSON', type: 'application/octet-stream', payload: Buffer.from('x') })
    for (const at of pathsOf(body)) {
      for (const value of share(values, place++)) {
        const payload = JSON.stringify(withValue(example, at, value))
        tried.push({ ...json, what: `${at.join('.')} = ${JSON.stringify(value).slice(0, 40)}`, payload })
      }
    }
  }
  return tried
}

/** An object in a state in which the operation may happen. */
function objectFor(objects: Objects, { name, objectKind }: Operation): Promise<string> {
  if (!objectKind) return Promise.resolve('')
  const flow = workflows.find((one) => one.name === objectKind)
  const event = name.slice(name.indexOf('.') + 1)
  return makeObject(objects, objectKind, flow ? (flow.events[event]?.[0]?.from[0] ?? flow.initial) : undefined)
}

async function callerFor(city: City, { name }: Operation): Promise<Caller> {
  if (/^(?:me|session)\./.test(name)) return person(city, city.app, 'civil', 'user')
  const candidates = roleNames.flatMap((role) =>
    agencyRoles.includes(role) ? ['civil', 'water'].map((agency) => city.as(agency, role)) : [city.as('city', role)],
  )
  const within = candidates.filter(({ principal }) => reachOf(principal, name).size > 0)
  const fits = ({ principal: { agency, roles }, principal }: Caller) => {
    const reach = reachOf(principal, name)
    if (reach.has('any')) return true
    if (roles.includes('user')) return agency === 'water' && (reach.has('own') || reach.has('receiver'))
    return agency === 'civil' && (reach.has('own') || reach.has('provider'))
  }
  return within.find(fits) ?? within[0]!
}

const pace = 5000
/** Agents are away here. */
const known = new Set(['QZ-ASK-AWAY'])

t.test('what nobody sends by mistake', { timeout: 600_000 }, async (t) => {
  const rules = { ...defaultAccess, factor: [], attempts: 100_000, password: { ...defaultAccess.password, cost: 10 } }
  const city = await openCity(t, { access: makeAccess(rules, generateSigningKey().privateKey) })
  const objects = await openObjects(city, { provider: 'civil', receiver: 'water' })
  // Asked after each call: prepared once.
  const recorded = async () =>
    (
      await city.store.pool.query<{ n: string }>({
        name: 'recorded',
        text: `select concat_ws(' ', (select max(id) from history), (select max(id) from notice), (select max(id) from audit_entry
           where act not in ('request', 'requests', 'session.open', 'person.lock', 'table.list', 'table.propose', 'audit.export')
             and act !~ '^agent[.](doctor|log|pause|resume|confirm)$')) as n`,
      })
    ).rows[0]!.n
  let count = 0
  for (const operation of operations) {
    let caller = await callerFor(city, operation)
    let id = await objectFor(objects, operation)
    const agent = caller.principal.agency === 'civil' ? objects.own : objects.agent
    const example = realExample(operation, { resource: objects.resource, agent, grant: await makeObject(objects, 'grant') })
    const bad: string[] = []
    let before = await recorded()
    for (const { what, url: path, type, payload } of attempts(operation, example)) {
      const url = path.replace(':id', encodeURIComponent(id))
      const headers = { authorization: `Bearer ${caller.secret}`, ...(type !== '' && payload !== undefined && { 'content-type': type }) }
      const began = performance.now()
      const answer = await city.app.inject({ method: operation.method, url, headers, ...(payload !== undefined && { payload }) })
      const took = performance.now() - began
      count++
      const code: string =
        answer.statusCode < 300 ? '' : answer.body.startsWith('{') ? JSON.parse(answer.body).code : `no code: ${answer.body.slice(0, 100)}`
      const wrong = answer.statusCode >= 500 && !known.has(code)
      if (wrong || took > pace || (answer.statusCode >= 300 && !/^QZ-[A-Z-]+$/.test(code)))
        bad.push(`${what}: ${answer.statusCode} after ${Math.round(took)} ms: ${answer.body.slice(0, 300)}`)
      if (answer.statusCode < 300 || answer.statusCode === 401) {
        if (/^(?:me|session)\./.test(operation.name)) caller = await callerFor(city, operation)
        if (operation.objectKind && operation.method !== 'GET') id = await objectFor(objects, operation)
        before = await recorded()
        continue
      }
      const after = await recorded()
      if (after !== before && operation.name !== 'application.decide-many')
        bad.push(`${what}: refused with ${code}, and yet something is on record`)
      before = after
    }
    t.same(bad, [], operation.name)
  }
  t.ok(count > 10_000 / shares, `${count} calls`)
})

t.test('what nobody sends by mistake, signing in', async (t) => {
  const rules = { ...defaultAccess, factor: [], attempts: 100_000, password: { ...defaultAccess.password, cost: 10 } }
  const city = await openCity(t, { access: makeAccess(rules, generateSigningKey().privateKey) })
  const first = { login: 'first.one', name: 'First', agency: { code: 'city', name: '市电子政务办' } }
  const doors = {
    '/session': { login: 'somebody', password: 'Password-1', code: '123456' },
    '/activation': { secret: 'secret', password: 'Password-1', first },
    '/activation/view': { secret: 'secret' },
  }
  for (const [path, body] of Object.entries(doors)) {
    const places: Path[] = Object.keys(body).map((name) => [name])
    if (path === '/activation') places.push(['first', 'login'], ['first', 'name'], ['first', 'agency', 'code'], ['first', 'agency', 'name'])
    const payloads = [...bodies, ...places.flatMap((place) => values.map((value) => JSON.stringify(withValue(body, place, value))))]
    const bad: string[] = []
    for (const payload of payloads) {
      const answer = await city.app.inject({
        method: 'POST',
        url: apiPrefix + path,
        headers: { 'content-type': 'application/json' },
        payload,
      })
      if (answer.statusCode < 400 || answer.statusCode >= 500 || !/"code":"QZ-/.test(answer.body))
        bad.push(`${payload.slice(0, 200)}: ${answer.statusCode} ${answer.body.slice(0, 300)}`)
    }
    t.same(bad, [], path)
  }
})
