/** Whoever sends something wrong reads in one answer all that is wrong with it, where, and what would be right. */
import { AjvCompiler } from '@fastify/ajv-compiler'
import fc from 'fast-check'
import t from 'tap'
import { apiPrefix } from '../../../hub/http/registry.ts'
import type { Workflow } from '../../../hub/registry/workflow.ts'
import { workflows } from '../../../hub/registry/workflows.ts'
import { operationWords } from '../../../hub/http/operation-words.ts'
import { emptyOr } from '../../../hub/registry/catalog/content.ts'
import { nearestName, patternWords, requestFaults } from '../../../hub/http/request-faults.ts'
import { operations } from '../../../hub/operations/index.ts'
import type { Operation } from '../../../hub/operations/operation.ts'
import { seenPattern } from '../../../hub/records/name-form.ts'
import { reachOf } from '../../../hub/access/authorise.ts'
import { roleNames } from '../../../hub/records/roles.ts'
import { agencyRoles, openCity } from '../city.ts'
import { makeObject, openObjects } from '../objects.ts'

interface Shape {
  type?: string
  const?: unknown
  enum?: unknown[]
  anyOf?: Shape[]
  properties?: Record<string, Shape>
  patternProperties?: Record<string, Shape>
  required?: string[]
  additionalProperties?: boolean
  items?: Shape
  pattern?: string
  examples?: readonly unknown[]
  minimum?: number
  minItems?: number
  minLength?: number
  maxLength?: number
}

const samples: Record<string, string> = {
  [seenPattern]: '某',
  '^[0-9]{6}$': '123456',
  '^[0-9]{1,10}/[0-9]{1,10}$': '10/1',
  '^[^@\\s]+@[^@\\s]+$': 'a@b.c',
  '^\\d{4}-\\d\\d-\\d\\d$': '2026-11-22',
  '^\\d{4}-\\d{2}-\\d{2}$': '2026-11-22',
  '^\\d{4}-\\d{2}-\\d{2}(/\\d{4}-\\d{2}-\\d{2})?$': '2026-11-22',
  '^20\\d\\d(?:-Q[1-4])?$': '2026-Q4',
  '^[0-9]{6,12}$': '441900',
  '^[1-9][0-9]{2}([0-9]{3}([0-9]{1,6})?)?$': '104',
  '^[1-9][0-9]{2}(?:[0-9]{3}(?:[0-9]{1,6})?)?$': '104',
  '^[a-z0-9][a-z0-9._-]{0,63}$': 'code',
  '^[a-z][a-z0-9_]{0,29}$': 'name',
}

/** A value that fits, with everything that may be in it. */
function sample({ type, pattern, properties = {}, patternProperties, items, anyOf, minimum = 1, ...shape }: Shape): unknown {
  if (anyOf) return sample(anyOf[0]!)
  if (shape.enum) return shape.enum[0]
  if ('const' in shape) return shape.const
  if (shape.examples) return shape.examples[0]
  if (type === 'string') return pattern === undefined ? 'x'.repeat(shape.minLength ?? 1) : (samples[pattern.replace(emptyOr, '')] ?? '1')
  if (type === 'number' || type === 'integer') return minimum
  if (type === 'boolean') return true
  if (type === 'array') return items ? [sample(items)] : []
  if (type !== 'object') return null
  const further = Object.values(patternProperties ?? {}).map((one) => ['some', sample(one)] as const)
  return Object.fromEntries([...Object.entries(properties).map(([name, one]) => [name, sample(one)] as const), ...further])
}

interface Wrong {
  at: string
  /** What is done to the value that holds it. */
  spoil: (holder: any) => void
  unknown?: string
  nearest?: string | undefined
  allowed?: unknown[]
}

/** All the ways to spoil a sample, each at a place of its own; what stands below a spoilt place is not spoilt. */
function wrongs(shape: Shape, at = '', holderOf = (whole: any) => whole): Wrong[] {
  if (shape.anyOf) return wrongs(shape.anyOf[0]!, at, holderOf)
  const { properties = {}, required = [], items } = shape
  const found: Wrong[] = []
  const within = (name: string | number, below: Shape) => {
    const place = `${at}/${name}`
    const inner = wrongs(below, place, (whole) => holderOf(whole)[name])
    found.push(...inner)
    const { enum: allowed, anyOf, type } = below
    if (anyOf || inner.length > 0) return
    if (allowed) found.push({ at: place, allowed, spoil: (whole) => void (holderOf(whole)[name] = 'none of them') })
    else if (type !== undefined)
      found.push({ at: place, spoil: (whole) => void (holderOf(whole)[name] = type === 'object' ? [] : { wrong: 1 }) })
  }
  for (const [name, below] of Object.entries(properties)) within(name, below)
  for (const name of required) {
    if (!found.some((one) => one.at.startsWith(`${at}/${name}/`)))
      found.push({ at: `${at}/${name}`, spoil: (whole) => void delete holderOf(whole)[name] })
  }
  if (items) within(0, items)
  if (shape.type === 'object' && shape.additionalProperties === false) {
    const [first] = Object.keys(properties)
    const name = first === undefined || first.length < 3 ? 'quite-unknown' : `${first}x`
    found.push({
      at: `${at}/${name}`,
      unknown: name,
      nearest: nearestName(name, Object.keys(properties)),
      spoil: (whole) => void (holderOf(whole)[name] = 1),
    })
  }
  return found
}

/** Some of them, at most one at a place. */
function chosen(all: Wrong[], picks: readonly number[]): Wrong[] {
  const by = new Map(picks.map((pick) => all[pick % all.length]!).map((one) => [one.at, one]))
  return [...by.values()]
}

const shaped = operations.flatMap(({ name, params, query, body, upload }) => [
  ...(params ? [{ name, part: 'path' as const, shape: params as Shape }] : []),
  ...(query ? [{ name, part: 'query' as const, shape: query as Shape }] : []),
  ...(body && !upload ? [{ name, part: 'body' as const, shape: body as Shape }] : []),
])

const picks = fc.array(fc.nat(), { minLength: 1, maxLength: 8 })

t.test('of every shape of the API each fault is named, with what would be right', async (t) => {
  let cases = 0
  for (const { name, part, shape } of shaped) {
    t.same(requestFaults(part, shape, sample(shape)), [], `${name} ${part}: the sample`)
    const all = wrongs(shape)
    if (all.length === 0) continue
    const property = fc.property(picks, (some) => {
      const value = structuredClone(sample(shape))
      const wrong = chosen(all, some)
      for (const { spoil } of wrong) spoil(value)
      const faults = requestFaults(part, shape, value)
      for (const { at, unknown, nearest, allowed } of wrong) {
        const fault = faults.find((one) => one.at === at && one.unknown === unknown)
        if (!fault || fault.nearest !== nearest) return false
        if (allowed && !allowed.every((one) => fault.zh.includes(String(one)) && fault.en.includes(String(one)))) return false
      }
      cases++
      return faults.length === wrong.length
    })
    const { failed, counterexample } = fc.check(property, { numRuns: 20 })
    if (failed) t.fail(`${name} ${part}: ${JSON.stringify(counterexample?.[0].map((pick) => all[pick % all.length]!.at))}`)
  }
  t.pass(`${cases} bodies, queries and paths`)
})

t.test('what the server refuses has a fault, and what it takes has none', async (t) => {
  const compile = AjvCompiler()(
    {},
    {
      customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: true, allErrors: false },
    },
  )
  const values = [
    null,
    1,
    -1,
    0.5,
    1e300,
    '',
    ' ',
    '\u200b',
    'x',
    '1',
    '2026-11-22',
    'x'.repeat(300),
    true,
    [],
    [1, 1],
    {},
    { x: 1 },
    ['a', 'a'],
    'internal',
  ]
  const differ: string[] = []
  let cases = 0
  for (const { name, part, shape } of shaped) {
    const judge = compile({ schema: shape })
    for (const [at, place] of placesOf(sample(shape))) {
      for (const value of values) {
        const whole = place(structuredClone(sample(shape)), value)
        cases++
        if (judge(structuredClone(whole)) !== (requestFaults(part, shape, whole).length === 0))
          differ.push(`${name} ${part} ${at} ${JSON.stringify(value)}`)
      }
    }
  }
  t.same(differ, [], `${cases} values`)
})

/** Every place of a value, and how another value comes there. */
function placesOf(value: unknown, at = ''): [string, (whole: any, other: unknown) => unknown][] {
  const here: [string, (whole: any, other: unknown) => unknown] = [at, (_whole, other) => other]
  if (typeof value !== 'object' || value === null) return [here]
  const below = Object.entries(value).flatMap(([name, one]) =>
    placesOf(one, `${at}/${name}`).map(([place, put]): typeof here => [
      place,
      (whole, other) => {
        whole[name] = put(whole[name], other)
        return whole
      },
    ]),
  )
  return [here, ...below]
}

const english = /\b[a-z]{2,} [a-z]{2,} [a-z]{2,}\b|\b[a-z]+\.[a-z-]+\b/
const chinese = /\p{Script=Han}/u

t.test('every pattern of the API, and every operation, has its words', async (t) => {
  const patterns = new Set(
    // Where the pattern names what may be said, that stands in `examples`, too.
    JSON.stringify(
      shaped.map(({ shape }) => shape),
      (_, part: unknown) => (typeof part === 'object' && part !== null && 'examples' in part ? undefined : part),
    )
      .matchAll(/"pattern":("(?:[^"\\]|\\.)*")/g)
      .map(([, text]) => JSON.parse(text!) as string),
  )
  t.same(
    [...patterns].filter((pattern) => !patternWords[pattern.replace(emptyOr, '')]),
    [],
  )
  const unfit = [...operationWords].filter(
    ([, { zh, en }]) => !chinese.test(zh) || english.test(zh.replace(/\uff08.*/, '')) || chinese.test(en),
  )
  t.same(unfit, [])
  const explained = [...operationWords].filter(([, { zh }]) => /[\uff1a\uff0c]|\uff08.*\uff08/.test(zh))
  t.same(explained, [], 'the name of an operation goes without what explains it')
  const events = (workflows as unknown as Workflow<string, { state: string }>[]).flatMap(({ name, events }) =>
    Object.keys(events).map((event) => `${name}.${event}`),
  )
  t.same(
    events.filter((event) => !operationWords.has(event)),
    [],
    'what the hub does by itself, too',
  )
})

t.test('over HTTP', async (t) => {
  const city = await openCity(t)
  const objects = await openObjects(city, { provider: 'civil', receiver: 'water' })
  const tried: string[] = []
  const wrong: string[] = []
  const callers = ['civil', 'water'].flatMap((agency) => agencyRoles.map((role) => city.as(agency, role)))
  callers.push(...roleNames.filter((role) => !agencyRoles.includes(role)).map((role) => city.as('city', role)))
  const withBody = operations.filter(({ body, upload }) => body && !upload)
  for (const operation of withBody) {
    const { name, body, objectKind } = operation
    const id = objectKind ? await makeObject(objects, objectKind) : ''
    const all = wrongs(body as Shape)
    const value = structuredClone(sample(body as Shape))
    const some = chosen(all, [all.length - 1, 0, 3, 7, 11])
    for (const { spoil } of some) spoil(value)
    for (const caller of callers.filter(({ principal }) => reachOf(principal, name).size > 0)) {
      const answer = await call(caller, operation, id, value)
      if (answer.status === 403 || answer.status === 404) continue
      tried.push(name)
      const told = (answer.body.faults ?? []) as { in: string; at: string }[]
      const { zh = '', en = '' } = answer.body.detail ?? {}
      const missed = some.filter(
        ({ at }) => !told.some((fault) => fault.in === 'body' && fault.at === at) || !zh.includes(at) || !en.includes(at),
      )
      const { status, body: problem } = answer
      if (
        status !== 400 ||
        problem.who !== 'requester' ||
        missed.length > 0 ||
        english.test(zh.replaceAll(/[\w/.-]+x?、[\w、]+|没有此项（[^）]*）|只能是 [\w、.-]+/g, '')) ||
        chinese.test(en.replaceAll('某', ''))
      )
        wrong.push(`${name}: ${status} ${answer.text.slice(0, 400)}`)
      break
    }
  }
  t.same(wrong, [], `${tried.length} operations`)
  t.same(
    withBody.filter(({ name }) => !tried.includes(name)).map(({ name }) => name),
    [],
    'none left out',
  )
  const registrar = city.as('civil', 'registrar')
  t.match(await registrar.post('/registrations', { content: { titel: '许可', sharing: 'free', items: [{ id: 'A' }] }, more: 1 }), {
    status: 400,
    body: {
      who: 'requester',
      faults: [
        { in: 'body', at: '/content/titel', unknown: 'titel', nearest: 'title', zh: '没有此项（是否为 title）' },
        { at: '/content/sharing', allowed: ['unconditional', 'conditional', 'none'] },
        { at: '/content/items/0/id', zh: /小写字母/ },
        { at: '/more', unknown: 'more' },
      ],
    },
  })
  t.match((await registrar.get('/registrations?limit=0&state=drafts')).body.faults, [
    { in: 'query', at: '/limit', zh: /1 至 1000/ },
    { in: 'query', at: '/state', zh: /draft、submitted/ },
  ])
  t.match((await registrar.get(`/history/agencies/civil?x=1`)).status, 400)

  const unseen = { name: '\u200b\u3164 \u2060', purpose: '接入', providedBy: 'office' }
  t.match((await city.as('water', 'agency-it').post('/machines', unseen)).body.faults, [{ at: '/name', zh: '不能只有空白或不可见的字符' }])

  const applied = { resource: objects.resource, mode: 'query', items: ['name'], purpose: '\u200b\u2060', basis: '三定方案' }
  const { id: blank } = (await city.as('water', 'user').post('/applications', applied)).body
  t.match(await city.as('water', 'user').post(`/applications/${blank}/submit`), {
    status: 422,
    body: { code: 'QZ-RULE', detail: { zh: /须写明用途/ } },
  })

  const refused = await city.as('water', 'user').post('/machines', { name: 'x' })
  t.match(refused.body, {
    details: { operation: 'machine.apply' },
    detail: { zh: '无权执行“申请前置机（由前置机管理员办理）”', en: /agency IT/ },
  })
  const machine = await makeObject(objects, 'machine', 'rejected')
  const stuck = await city.as('water', 'agency-it').post(`/machines/${machine}/token`)
  t.match(stuck.body, { code: /QZ-STATE|QZ-FORBIDDEN/, detail: { zh: /“领取登记令牌/ } })
  t.notMatch(stuck.body.detail.zh, /token/)
  const empty = await city.app.inject({
    method: 'POST',
    url: `${apiPrefix}/session/close`,
    headers: { authorization: `Bearer ${registrar.secret}`, 'content-type': 'application/json' },
  })
  t.equal(empty.statusCode, 200, 'nothing said, as JSON')
  const broken = await city.app.inject({
    method: 'POST',
    url: `${apiPrefix}/session`,
    headers: { 'content-type': 'application/json' },
    payload: '{',
  })
  t.match(broken.json(), { detail: { zh: '请求内容无效：正文不是有效的 JSON', en: /no valid JSON/ } })
})

function call(caller: ReturnType<Awaited<ReturnType<typeof openCity>>['as']>, { method, path }: Operation, id: string, value: unknown) {
  const url = path.replace(':id', id).replace(':kind', 'agency').replace(':object', 'civil').replace(':period', '2026-Q4')
  return method === 'PUT' ? caller.put(url, value) : method === 'PATCH' ? caller.patch(url, value) : caller.post(url, value)
}
