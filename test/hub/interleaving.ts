/** Two acts at once: one is held before each of its statements in turn, and before its end, while the other runs as far as it can. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Test } from 'tap'
import { makeAccess } from '../../hub/access/access.ts'
import { defaultAccess } from '../../hub/access/settings.ts'
import { generateSigningKey } from '../../protocol/signature.ts'
import { Random, seedOfThisRun } from '../faults/random.ts'
import { longer } from '../support/longer.ts'
import { openCity, type Answer, type City } from './city.ts'
import { enrolled } from './office.ts'

type Act = () => Promise<unknown>

export interface Pair {
  one: Act
  other: Act
}

/** Makes everything that one pair of acts is about, under the given name. */
export type Setting = (city: City, name: string) => Promise<Pair>

/** Holds the transaction that begins next before its statement `at`, or before its end. */
function holdNext(city: City, at: number): { reached: Promise<boolean>; go: () => void; done: () => void } {
  const reached = Promise.withResolvers<boolean>()
  const going = Promise.withResolvers<void>()
  const transaction = city.store.transaction.bind(city.store)
  city.store.transaction = async (work) => {
    city.store.transaction = transaction
    let n = 0
    const pass = async () => {
      if (n++ !== at) return
      reached.resolve(true)
      await going.promise
    }
    return transaction(async (query) => {
      const result = await work(async (text, values) => {
        await pass()
        return query(text, values)
      })
      await pass()
      return result
    })
  }
  const done = () => {
    city.store.transaction = transaction
    reached.resolve(false)
  }
  return { reached: reached.promise, go: () => going.resolve(), done }
}

const settle = (act: Act) =>
  act().catch((error: unknown) => ({ status: 0, text: String(error), body: { code: (error as { code?: string }).code } }))

/** @returns both answers; undefined where the first act has no such statement. */
async function interleaved(city: City, first: Act, second: Act, at: number): Promise<unknown[] | undefined> {
  const held = holdNext(city, at)
  const one = settle(first).finally(held.done)
  if (!(await held.reached)) {
    await one
    return undefined
  }
  const turn = { over: false }
  const other = settle(second).finally(() => (turn.over = true))
  while (!turn.over && (await city.store.query('select from pg_locks where not granted')).length === 0) await pause(1)
  held.go()
  return Promise.all([one, other])
}

/** Every so many statements, from another one on in each run; all of them with QIANZHI_TEST_INTERLEAVINGS=1, which takes an hour. */
const asked = process.env['QIANZHI_TEST_INTERLEAVINGS']
const everySo = Number(asked ?? 32)
const random = new Random(seedOfThisRun())

/** Every second pair in the usual run, another one each time; all of them in the longer one, and where all statements are. */
export function shareOf<T>(settings: readonly T[]): T[] {
  const shares = longer && asked === undefined ? 2 : 1
  const first = random.between(0, shares - 1)
  return settings.filter((_, i) => i % shares === first)
}

const coded = /^QZ-(?:STATE|CONFLICT|RULE|NOT-FOUND|FORBIDDEN|AGENT-REVOKED|TOKEN|SIGN-IN|LINK|REQUEST-INVALID|SAME-PERSON|REVISION)$/

/** Every way in which two acts can meet; each outcome must be one that could have come of the one after the other. */
export async function meet(test: Test, setting: Setting, step = everySo): Promise<void> {
  const rules = { ...defaultAccess, factor: [], attempts: 100_000, password: { ...defaultAccess.password, cost: 10 } }
  const city = await openCity(test, { access: makeAccess(rules, generateSigningKey().privateKey) })
  await enrolled(city, 'civil')
  let runs = 0
  for (const turned of [false, true]) {
    for (let at = random.between(0, Math.min(step, 8) - 1); ; at += step) {
      const { one, other } = await setting(city, `r${++runs}`)
      const answers = await interleaved(city, ...(turned ? ([other, one] as const) : ([one, other] as const)), at)
      if (!answers) break
      const what = `${turned ? 'the other' : 'the one'} held at ${at} (QIANZHI_SEED=${random.seed})`
      for (const answer of answers as Partial<Answer>[]) {
        if (answer?.status === undefined || answer.status === 200) continue
        if (!coded.test(answer.body?.code)) test.fail(`${what}: ${answer.status} ${answer.text?.slice(0, 300)}`)
      }
      const faults = await faultsOf(city)
      test.same(faults, [], `${what}: ${answers.map((answer) => (answer as Answer)?.status).join(' ')}`)
      if (faults.length > 0) return
    }
  }
  test.comment(`${runs} runs`)
}

const inForce = `('active', 'suspended', 'held')`
const objects = ['application', 'demand', 'correction', 'declaration', 'registration', 'standard']
const stated = [
  ...objects.map((name) => `select '${name}' as workflow, ${name === 'standard' ? 'code' : 'id::text'} as object, state from ${name}`),
  `select 'grant', id, state from access_grant`,
  `select 'machine', id::text, state from machine_application`,
  `select 'publication', id::text, state from publication_request`,
  `select 'opening', id::text, state from opening`,
  `select 'resource', code, state from resource`,
].join(' union all ')

/** What must never be true, whatever happened at once. Each gives a line for what is wrong. */
const invariants: Record<string, string> = {
  'one grant in force for each resource, agency, mode and machine': `select g.resource || ' ' || g.agency from access_grant g
    left join route on route.access_grant = g.id where g.state in ${inForce} group by g.resource, g.agency, g.mode, route.agent having count(*) > 1`,
  'one route of a grant to a machine': `select access_grant from route group by access_grant, agent having count(*) > 1`,
  'state and history agree': `select o.workflow || ' ' || o.object || ' is ' || o.state || ', was ' || h.to_state from (${stated}) o
    cross join lateral (select to_state from history h where h.workflow = o.workflow and h.object = o.object order by id desc limit 1) h
    where h.to_state <> o.state`,
  'history is a chain': `select workflow || ' ' || object || ' ' || event from (
      select *, lag(to_state) over (partition by workflow, object order by id) as before from history where workflow <> 'person') h
    where before is not null and from_state is distinct from before`,
  'one opening of a resource is read': `select resource from opening where state = 'released' group by resource having count(*) > 1`,
  'one proposal to open a resource waits': `select resource from opening where state = 'proposed' group by resource having count(*) > 1`,
  'whatever was released has its time': `select id::text from opening where (released_at is not null) < (state in ('released'))`,
  'a withdrawn resource is granted to nobody': `select g.id from access_grant g join resource r on r.code = g.resource
    where r.state = 'withdrawn' and g.state in ${inForce}`,
  'a withdrawn resource is not found, is no source, and is not being registered': `select code from resource where state = 'withdrawn'
    and (code in (select resource from catalog_index) or code in (select resource from catalog_item)
      or code in (select resource from registration where state in ('draft', 'submitted', 'returned')))`,
  'a resource in force is found': `select code from resource where state <> 'withdrawn' and code not in (select resource from catalog_index)`,
  'an active grant names items of the version in force, the required ones accepted': `select g.id || ' ' || item from access_grant g
    join resource r on r.code = g.resource join resource_version v on v.resource = r.code and v.version = r.version, unnest(g.items) as item
    where g.state = 'active' and not v.schema -> 'items' @> jsonb_build_array(jsonb_build_object('id', item))`,
  'no route stays with a machine that was replaced': `select route.id from route join access_grant g on g.id = route.access_grant
    join machine_application m on m.replaces = route.agent and m.state = 'enrolled' where g.state in ${inForce}
      and not exists (select from route o join access_grant og on og.id = o.access_grant
        where o.agent = m.agent and og.resource = g.resource and og.state in ${inForce})`,
  'what was approved is granted wherever it can be': `select a.id || ' ' || r.code from application a join resource r on r.standard = a.standard
    where a.state = 'approved' and r.agency <> a.agency and r.state = 'active' and a.mode = any(r.share_modes) and not exists (
      select from access_grant g where g.application = a.id and g.resource = r.code)
    and (r.sharing = 'unconditional' or exists (select from application_consent c
      where c.application = a.id and c.resource = r.code and c.state = 'consented'))`,
  'what is conditional is granted by consent': `select g.id from access_grant g join resource r on r.code = g.resource
    where r.sharing = 'conditional' and g.application is not null and g.state in ${inForce} and not exists (
      select from application_consent c where c.application = g.application and c.resource = r.code and c.state = 'consented')`,
  'a reply is due exactly while an application waits': `select id::text from application a where (state in ('consulting', 'reviewing', 'returned')) <>
    exists (select from deadline where kind = 'application-reply' and object = 'application ' || a.id and ended_at is null)`,
  'no delivery of an ended grant is due': `select d.object from deadline d join route on d.object = 'route ' || route.id
    join access_grant g on g.id = route.access_grant where d.kind = 'delivery' and d.ended_at is null and g.state not in ${inForce}`,
  'what has ended is not overdue afterwards': `select object from deadline where outcome = 'dropped' and missed_at is not null`,
  'a closed agency has nothing in force': `select code from agency where state = 'closed' and (
      code in (select agency from person where state <> 'disabled') or code in (select agency from access_grant where state in ${inForce})
      or code in (select agency from agent where state = 'active') or code in (select agency from api_key where ended_at is null))`,
  'an applicant is told once': `select object from notice where kind = 'application' and zh like '%已批准'
    group by object, agency, role having count(*) > 1`,
  'who is disabled has no session': `select person::text from session join person p on p.id = session.person where p.state = 'disabled'`,
}

/** All of them in one question. */
const anyFault = Object.entries(invariants)
  .map(([name, sql]) => `select '${name}: ' || broken::text as fault from (${sql}) as broken`)
  .join(' union all ')

async function faultsOf(city: City): Promise<string[]> {
  const rows = await city.store.query<{ fault: string }>(anyFault)
  return rows.map(({ fault }) => fault)
}
