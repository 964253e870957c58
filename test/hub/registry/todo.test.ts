/** Nothing stands still unseen: every open case has somebody whose turn it is, and a deadline or the reason why there is none. */
import t from 'tap'
import { QianzhiError } from '../../../protocol/errors.ts'
import { roleNames, type Role } from '../../../hub/records/roles.ts'
import { operations } from '../../../hub/operations/index.ts'
import { steps } from '../../../hub/registry/todo/open-cases.ts'
import { turns, type Turn } from '../../../hub/registry/todo/turns.ts'
import { applyEvent, type Workflow } from '../../../hub/registry/workflow.ts'
import { revisionOf } from '../../../hub/registry/revision.ts'
import { workflows } from '../../../hub/registry/workflows.ts'
import { agencyRoles, openCity, person, type Caller, type City } from '../city.ts'
import { makeObject, openObjects } from '../objects.ts'
import { enrolled } from '../office.ts'
import { licences, register } from './catalog/fixture.ts'

type AnyFlow = Workflow<string, { state: string }>
const flows = workflows as unknown as readonly AnyFlow[]
const statesOf = (kind: string) => (turns as unknown as Record<string, { states: Record<string, Turn | string> }>)[kind]?.states ?? {}

/** What a person may still do to a case on which nothing waits. */
const atWill =
  /^(?:grant\.(?:suspend|revoke|give-up|reinstate)|publication\.(?:withdraw|end)|opening\.withdraw|correction\.reopen|demand\.assign|application\.(?:consent|object)|resource\.(?:stop|withdraw)|standard\.(?:change|publish|withdraw))$/

t.test('every state of every workflow says whose turn it is', async (t) => {
  for (const flow of flows) {
    t.same(Object.keys(statesOf(flow.name)).toSorted(), Object.keys(flow.states).toSorted(), flow.name)
    for (const [state, turn] of Object.entries(statesOf(flow.name))) {
      const possible = Object.entries(flow.events).filter(([, lines]) => lines.some(({ from }) => from.includes(state)))
      const events = possible.map(([event]) => event)
      if (typeof turn === 'string') {
        const byPeople = events
          .map((event) => `${flow.name}.${event}`)
          .filter((name) => operations.some((operation) => operation.name === name))
        t.same(
          byPeople.filter((name) => !atWill.test(name)),
          [],
          `${flow.name} ${state} is ${turn}`,
        )
        continue
      }
      t.same(
        turn.next.filter((event) => !events.includes(event)),
        [],
        `${flow.name} ${state}: what is next can happen`,
      )
      t.ok(
        steps.some((step) => step.kind === flow.name && step.state === state),
        `${flow.name} ${state}: by somebody`,
      )
      t.ok(turn.reason.zh && turn.reason.en)
    }
  }
})

interface Line {
  kind: string
  id: string
  state: string
  actions: string[]
  link: string | null
  turn: { role: Role; agency: string | null }[]
  deadline: { due: string; daysLeft: number; missed: boolean } | null
  reason: { zh: string; en: string } | null
}

/** All pages. */
async function all(caller: Caller, path: string, limit = 100): Promise<Line[]> {
  const items: Line[] = []
  for (let after = ''; ;) {
    const { status, body, text } = await caller.get(`${path}${path.includes('?') ? '&' : '?'}limit=${limit}${after}`)
    if (status !== 200) throw new Error(text)
    items.push(...(body.items as Line[]))
    if (body.next === null) {
      if (body.total.count !== items.length || body.total.more)
        throw new Error(`${path}: ${items.length} lines, ${JSON.stringify(body.total)} told`)
      return items
    }
    after = `&after=${body.next}`
  }
}

function everybody(city: City): Caller[] {
  const ofAgencies = ['civil', 'water', 'health'].flatMap((agency) => agencyRoles.map((role) => city.as(agency, role)))
  return [...ofAgencies, ...roleNames.filter((role) => !agencyRoles.includes(role)).map((role) => city.as('city', role))]
}

class Undone extends Error {}

/** Whether the event would be this caller's to do, whatever is missing yet; nothing is done. */
async function mayDo(city: City, flow: AnyFlow, event: string, id: string, { principal }: Caller): Promise<boolean> {
  const input = (operations.find(({ name }) => name === `${flow.name}.${event}`)?.example ?? {}) as Record<string, unknown>
  try {
    await city.store.transaction(async (query) => {
      const seen = await revisionOf(query, flow.name, id)
      await applyEvent(flow, event, id, { registry: city, query, affectedAgents: new Set(), principal, input, seen })
      throw new Undone()
    })
  } catch (error) {
    if (error instanceof Undone) return true
    if (!(error instanceof QianzhiError)) throw error
    if (error.code === 'QZ-RULE') return !/由发出责令的单位处理|没有征求/.test(error.text('zh'))
    return !/^QZ-(?:FORBIDDEN|SAME-PERSON|STATE)$/.test(error.code)
  }
  return true
}

t.test('every open case is with whoever may take it on, and with nobody else', async (t) => {
  const city = await openCity(t)
  const objects = await openObjects(city, { provider: 'civil', receiver: 'water' })
  const made: { flow: AnyFlow; state: string; id: string }[] = []
  for (const flow of flows) {
    for (const state of Object.keys(flow.states)) {
      const own = flow.name === 'resource' ? await openObjects(city, { provider: 'civil', receiver: 'water' }) : objects
      const id = await makeObject(own, flow.name, state)
      made.push({ flow, state, id })
      if (flow.name === 'application' && /^(?:consulting|reviewing)$/.test(state)) {
        await city.store.query(`update application set submitted_at = now() where id::text = $1`, [id])
        await city.store.query(`insert into application_consent (application, resource, state, at) values ($1, $2, 'asked', now())`, [
          id,
          own.resource,
        ])
      }
    }
  }
  const open = made.filter(
    ({ flow, state }) =>
      (typeof statesOf(flow.name)[state] === 'object' && state !== 'approved') || (flow.name === 'machine' && state === 'approved'),
  )
  const listed = await all(city.as('city', 'supervisor'), '/cases')
  const drafts = (one: { kind: string; state: string }) => /^(?:application|standard) draft$/.test(`${one.kind} ${one.state}`)
  const keyOf = ({ kind, id }: { kind: string; id: string }) => `${kind} ${id}`
  t.same(
    listed
      .filter(({ kind }) => kind in turns)
      .map(keyOf)
      .toSorted(),
    open
      .map(({ flow, state, id }) => ({ kind: flow.name as string, state, id }))
      .filter((one) => !drafts(one))
      .map(keyOf)
      .toSorted(),
    'the supervisor sees each once',
  )
  t.same(
    listed.filter(({ turn, deadline, reason }) => turn.length === 0 || (deadline === null && reason === null)),
    [],
    'each with its turn, and a deadline or a reason',
  )

  let cases = 0
  const wrong: string[] = []
  for (const caller of everybody(city)) {
    const todo = new Map((await all(caller, '/todo')).map((line) => [keyOf(line), line]))
    for (const { flow, state, id } of open) {
      const { next } = statesOf(flow.name)[state] as Turn
      const may: string[] = []
      for (const event of next) if (await mayDo(city, flow, event, id, caller)) may.push(`${flow.name}.${event}`)
      const line = todo.get(`${flow.name} ${id}`)
      todo.delete(`${flow.name} ${id}`)
      cases++
      if (JSON.stringify(line?.actions ?? []) !== JSON.stringify(may.toSorted()))
        wrong.push(`${caller.principal.name}: ${flow.name} ${state}: ${line?.actions.join()} ≠ ${may.join()}`)
    }
    for (const { link } of (await all(caller, '/todo')).filter(({ link }) => link !== null)) {
      const { status } = await caller.get(link!)
      if (status !== 200) wrong.push(`${caller.principal.name}: ${link}: ${status}`)
    }
    for (const { kind } of todo.values()) if (kind in turns) wrong.push(`${caller.principal.name}: ${kind} is over`)
  }
  t.same(wrong, [], `${cases} cases × people`)

  const whole = await all(city.as('city', 'office'), '/todo')
  t.ok(whole.length > 10)
  t.same((await all(city.as('city', 'office'), '/todo', 3)).map(keyOf), whole.map(keyOf), 'in pages as in one')
  t.same((await all(city.as('civil', 'reviewer'), '/cases')).filter(({ kind }) => kind === 'machine').length, 2, 'an agency sees its own')
  t.same(await all(city.as('health', 'reviewer'), '/cases'), [], 'and none of others')
  const machines = await all(city.as('city', 'supervisor'), '/cases?kind=machine')
  for (const one of machines) t.same(await all(city.as('city', 'supervisor'), `/cases?kind=machine&id=${one.id}`), [one], 'one alone')
  t.same(await all(city.as('city', 'supervisor'), '/cases?kind=machine&id=0'), [])
  for (const after of ['x', 'bnVsbA', Buffer.from('["infinity","x","a","b"]').toString('base64url')])
    t.equal((await city.as('city', 'office').get(`/todo?after=${after}`)).status, 400, after)
})

t.test('from step to step', async (t) => {
  const city = await openCity(t)
  const office = city.as('city', 'office')
  const { id: provider } = await enrolled(city, 'civil')
  const { id: agent } = await enrolled(city, 'water')
  const conditional = licences((c) => Object.assign(c, { sharing: 'conditional', sharingConditions: '法定职责' }))
  await register(city, 'civil', conditional, { resource: 'ads' })
  const both = await person(city, city.app, 'water', 'user', 'office')
  const ask = { resource: 'ads', mode: 'exchange', items: ['holder'], purpose: '核验', basis: '三定方案', agent }
  const { id } = (await both.post('/applications', ask)).body
  const of = async (caller: Caller, kind = 'application') => (await all(caller, `/todo?kind=${kind}`)).map(({ id: _id, ...line }) => line)

  t.match(await of(both), [{ state: 'draft', actions: ['application.submit'], deadline: null, reason: { zh: /草稿/ } }])
  t.same(await of(office), [], "a draft is its own agency's")
  t.same(await all(city.as('city', 'supervisor'), '/cases?kind=application'), [])
  await both.post(`/applications/${id}/submit`)
  const [consulting] = await of(city.as('civil', 'reviewer'))
  t.match(consulting, {
    state: 'consulting',
    title: '户外广告许可',
    agencyName: '水务局',
    days: 0,
    deadline: { kind: 'application-reply', due: '2026-12-04', daysLeft: 10, missed: false },
    reason: null,
  })
  t.match(await all(city.as('city', 'supervisor'), '/cases?kind=application'), [
    { turn: [{ role: 'reviewer', agency: 'civil', agencyName: '民政局' }] },
  ])
  await city.store.query(`update deadline set due = '2026-11-30' where object = $1`, [`consent ${id} ads`])
  t.match(
    await of(city.as('civil', 'reviewer')),
    [{ deadline: { due: '2026-11-30' } }],
    'what runs is the time of the provider who is asked',
  )
  await city.as('civil', 'reviewer').post(`/applications/${id}/consent`)
  t.same(await of(city.as('civil', 'reviewer')), [])
  t.same(await of(both), [], 'who asked does not decide, whatever roles they have')
  city.now = new Date('2026-12-05T00:00:00Z')
  await office.post('/standards', {
    code: 'form',
    form: { title: '表', abstract: '表', subject: 'other', licence: false, table: 'form', items: licences().items, optional: [] },
  })
  t.match(
    await all(office, '/todo'),
    [
      {
        kind: 'application',
        state: 'reviewing',
        actions: ['application.approve', 'application.reject'],
        deadline: { missed: true, daysLeft: 0 },
      },
      { kind: 'standard', deadline: null },
      { kind: 'calendar', id: '2027' },
    ],
    'what is late comes first',
  )

  city.now = new Date('2026-12-18T02:00:00Z')
  t.equal((await office.post(`/applications/${id}/approve`)).status, 200)
  const [calendar] = await of(office, 'calendar')
  t.match(
    calendar,
    { state: 'missing', title: '2027', turn: [{ role: 'office' }], reason: { zh: /supervision.calendars/ } },
    'next year has no calendar yet',
  )
  const late = {
    state: 'receiver-not-started',
    turn: [{ role: 'agency-it', agency: 'water' }],
    deadline: null,
    reason: { zh: /首次请求该路由起算/ },
  }
  t.match(await of(city.as('water', 'agency-it'), 'route'), [late], 'a machine that never started is waited for')
  t.same(await of(city.as('civil', 'agency-it'), 'route'), [])
  t.match(await of(city.as('water', 'agency-it'), 'agent'), [{ state: 'not-started', deadline: null, reason: { zh: /何时启动/ } }])
  await city.store.query('update agent set last_seen = now() where id = $1', [agent])
  t.match(await of(city.as('civil', 'agency-it'), 'route'), [{ state: 'undelivered', turn: [{ agency: 'civil' }] }])
  t.same(await of(city.as('water', 'agency-it'), 'agent'), [])
  const [{ route }] = (await city.store.query<{ route: string }>('select id as route from route')) as [{ route: string }]
  const report = (fault: object) =>
    city.store.query('update agent set report = $2 where id = $1', [agent, JSON.stringify({ sinks: [{ route, ...fault }] })])
  await report({ fault: { code: 'QZ-SINK-MISSING' } })
  t.match(
    await of(city.as('water', 'agency-it'), 'route'),
    [{ state: 'undelivered', turn: [{ agency: 'water' }] }],
    'who has no place for it',
  )
  t.same(await of(city.as('civil', 'agency-it'), 'route'), [])
  await report({})
  t.match(
    (await all(city.as('civil', 'agency-it'), '/todo')).toSorted((a, b) => (a.kind < b.kind ? -1 : 1)),
    [{ kind: 'agent', link: null }, { kind: 'route' }],
  )
  t.ok(provider)
})

t.test('what waits is found among much that is over', async (t) => {
  const city = await openCity(t)
  await register(city, 'civil', licences(), { resource: 'ads' })
  await city.store.query(
    `insert into application (agency, resource, mode, items, purpose, basis, state, created_at, submitted_at)
     select 'water', 'ads', 'query', '{holder}', 'p', 'b', case when i % 400 = 0 then 'reviewing' else 'approved' end, now(), now() from generate_series(1, 40000) i`,
  )
  await city.store.query('analyze application')
  const told = await city.store.query<{ line: string }>(
    `explain (analyze, format text) select * from application where state = 'reviewing'`,
  )
  t.match(told.map((row) => (row as unknown as Record<string, string>)['QUERY PLAN']).join(), /application_open/)
  t.equal((await all(city.as('city', 'office'), '/todo')).length, 100)
})
