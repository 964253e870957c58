/** Events: everybody is told of what they may read and of nothing else; watching is no use of a session, and ends with it. */
import t from 'tap'
import { theHub } from '../../../hub/access/principal.ts'
import { objectKinds, type ObjectKind } from '../../../hub/access/relations.ts'
import { openSession } from '../../../hub/access/sessions.ts'
import { silentAfter } from '../../../hub/lines/judges.ts'
import { operations } from '../../../hub/operations/index.ts'
import { notify } from '../../../hub/records/notices.ts'
import { roleNames } from '../../../hub/records/roles.ts'
import { addGrant } from '../../../hub/registry/grants/grants.ts'
import { addRoute } from '../../../hub/registry/grants/routes.ts'
import { record } from '../../../hub/records/history.ts'
import { watchEvents, type EventStream } from '../../support/event-stream.ts'
import { sha256 } from '../../../protocol/signature.ts'
import { until } from '../../support/programs.ts'
import { agencyRoles, type Caller, type City } from '../city.ts'
import { receiptFor } from '../exchange/fixture.ts'
import { makeObject, openObjects } from '../objects.ts'
import { listening } from '../listening.ts'
import { enrolled } from '../office.ts'

/** Whoever there is. */
function everybody(city: City): Caller[] {
  const people = ['civil', 'water', 'health'].flatMap((agency) => agencyRoles.map((role) => city.as(agency, role)))
  return [...people, ...roleNames.filter((role) => !agencyRoles.includes(role)).map((role) => city.as('city', role))]
}

/** Until everybody was told of what was done before. */
async function told(city: City, streams: readonly EventStream[]): Promise<void> {
  for (const mark of ['1', '2']) {
    const seen = streams.map(({ told }) => told.length)
    await city.store.query(`insert into audit_entry (actor, act, object, outcome, details) values ('hub', 'agency.change', 'agency city', 'done', $1)`, [{ mark }]) // prettier-ignore
    await until('all have heard', () => streams.every(({ told }, at) => told.slice(seen[at]).some(({ data }) => data['id'] === 'city')))
  }
}

const reading = (kind: ObjectKind) => operations.find(({ name }) => name === `${kind}.read`)

t.test('each is told of what they may read, and of nothing else', async (t) => {
  const { city, origin } = await listening(t)
  const people = everybody(city)
  const streams = await Promise.all(people.map(({ secret }) => watchEvents(origin, secret)))
  t.teardown(() => streams.forEach((stream) => stream.close()))
  t.ok(streams.every(({ status }) => status === 200))
  const objects = await openObjects(city, { provider: 'civil', receiver: 'water' })
  const made: [ObjectKind, string][] = []
  for (const kind of objectKinds.filter((one) => reading(one) && one !== 'agency')) {
    const id = await makeObject(objects, kind)
    made.push([kind, id])
    const line = { workflow: kind, object: id, event: 'create', from: null, to: 'x', principal: theHub, input: {} }
    // Told when it is committed, and not at all where it is not.
    if (kind === 'registration')
      await city.store.transaction(async (query) => {
        await record(query, line)
        throw new Error('no')
      }).catch(() => undefined) // prettier-ignore
    else if (kind === 'evaluation')
      await city.store.query(`insert into audit_entry (actor, act, object, outcome) values ('hub', 'x', $1, 'done')`, [`evaluation ${id}`]) // prettier-ignore
    else if (kind !== 'job') await record(city.store.query, line)
  }
  await told(city, streams)
  const differences: string[] = []
  let compared = 0
  for (const [kind, id] of made) {
    const { path } = reading(kind)!
    const rolledBack = kind === 'registration'
    for (const [at, who] of people.entries()) {
      const { status } = await who.get(path.replace(/:id/, encodeURIComponent(id)))
      const may = status === 200
      const event = kind === 'job' ? 'job' : 'changed'
      const was = streams[at]!.told.some(
        (one) => one.event === event && one.data['id'] === id && (kind === 'job' || one.data['kind'] === kind),
      )
      if (was !== (may && !rolledBack)) differences.push(`${who.principal.name}: ${kind} ${id} ${status} ${was ? 'told' : 'not told'}`)
      compared++
    }
  }
  t.same(differences, [], `${compared} pairs`)

  for (const stream of streams) stream.told.length = 0
  await notify(city.store.query, { to: { agency: 'water', role: 'user' }, kind: 'order', object: 'x', zh: 'x', en: 'x' })
  await notify(city.store.query, { to: { role: 'secrecy' }, kind: 'order', object: 'x', zh: 'x', en: 'x' })
  await notify(city.store.query, { to: { person: city.as('civil', 'registrar').principal.person! }, kind: 'order', object: 'x', zh: 'x', en: 'x' }) // prettier-ignore
  await told(city, streams)
  const noticed = people.filter((_, at) => streams[at]!.told.some(({ event }) => event === 'notice')).map(({ principal }) => principal.name)
  t.same(noticed.toSorted(), ['city secrecy', 'civil registrar', 'water user'])
})

t.test('lines: rows that arrive, agents that fall silent, decisions', async (t) => {
  const { city, origin } = await listening(t)
  const { resource } = await openObjects(city, { provider: 'civil', receiver: 'health' })
  const receiver = await enrolled(city, 'water')
  const grant = await addGrant(city, 'admin', { resource, agency: 'water', items: ['name'] })
  const { id: route } = await addRoute(city, 'admin', grant.id, receiver.id)
  const people = everybody(city)
  const streams = await Promise.all(people.map(({ secret }) => watchEvents(origin, secret)))
  t.teardown(() => streams.forEach((stream) => stream.close()))
  const lines = async () => {
    await told(city, streams)
    const heard = people.flatMap(({ principal }, at) =>
      streams[at]!.told.filter(({ event }) => event === 'line').map(({ data }) => `${principal.name}: ${Object.values(data).join(' ')}`),
    )
    for (const stream of streams) stream.told.length = 0
    return [...new Set(heard)].toSorted()
  }
  const ofBoth = ['civil agency-it', 'civil registrar', 'civil reviewer', 'civil user', 'water agency-it', 'water registrar', 'water reviewer', 'water user', 'city office', 'city supervisor'] // prettier-ignore
  const expected = (what: string) => ofBoth.map((name) => `${name}: ${what}`).toSorted()

  const hash = sha256('batch')
  await city.store.query(`insert into log_stream (resource, epoch, seq, hash, receipt, total) values ($1, 10, 1, $2, 'r', 1)`, [
    resource,
    hash,
  ])
  const agent = { id: receiver.id, agency: 'water', publicKey: receiver.key.publicKey }
  await city.exchange.receipts(agent, [receiptFor({ ...agent, key: receiver.key }, route, { epoch: 10, seq: 1, hash })])
  t.same(await lines(), expected('civil water true'), 'rows arrived')

  await city.store.query('update agent set last_seen = $2 where id = $1', [receiver.id, city.now])
  await city.feed.look()
  t.same(await lines(), [])
  city.now = new Date(city.now.getTime() + silentAfter + 1)
  await city.feed.look()
  const own = ['water agency-it', 'water registrar', 'water reviewer', 'water user', 'city office', 'city supervisor']
  t.same(await lines(), [...expected('civil water false'), ...own.map((name) => `${name}: water  false`)].toSorted(), 'it is silent')
  await city.feed.look()
  t.same(await lines(), [], 'once')

  await city.as('city', 'office').post(`/grants/${grant.id}/suspend`, { reason: '核查' })
  t.same(await lines(), expected('civil water false'), 'suspended')
})

t.test('a stream ends with its session, with its rights, and prolongs nothing', async (t) => {
  const { city, origin } = await listening(t)
  const { person } = city.as('water', 'user').principal
  const secret = await openSession(city.store.query, person!, { address: null, now: city.now })
  const used = async () =>
    (await city.store.query<{ used: Date }>(`select max(last_used) as used from session where last_used < '9000-01-01'`))[0]!.used
  const begun = city.now.getTime()
  city.now = new Date(begun + 10 * 60_000)
  const stream = await watchEvents(origin, secret)
  await told(city, [stream])
  const ask = (headers: Record<string, string>) =>
    city.app.inject({ url: '/api/v1/todo', headers: { authorization: `Bearer ${secret}`, ...headers } })
  t.equal((await ask({ 'qz-background': '1' })).statusCode, 200)
  t.equal((await used()).getTime(), begun, 'what a page does by itself')
  t.equal((await ask({})).statusCode, 200)
  t.equal((await used()).getTime(), city.now.getTime(), 'what its user does')

  // Idle for too long: found at the next beat, or where something may have been missed.
  city.now = new Date(city.now.getTime() + 31 * 60_000)
  city.wakeups.wakeAll()
  await stream.ended
  t.equal((await watchEvents(origin, secret)).status, 401)

  const other = await openSession(city.store.query, person!, { address: null, now: city.now })
  const [mine, bystander] = await Promise.all([watchEvents(origin, other), watchEvents(origin, city.as('water', 'user').secret)])
  t.equal((await city.caller(other).post('/session/close')).status, 200)
  await mine.ended
  await told(city, [bystander])

  await city.store.query(`delete from person_role where person = $1`, [person])
  await record(city.store.query, { workflow: 'person', object: person!, event: 'roles', from: 'active', to: 'active', principal: theHub, input: {} }) // prettier-ignore
  await bystander.ended
  t.pass('whose roles change begins anew')
})

t.test('the hub stops though fifty watch', async (t) => {
  const { city, origin } = await listening(t)
  const { secret } = city.as('water', 'user')
  const streams = await Promise.all(Array.from({ length: 50 }, () => watchEvents(origin, secret)))
  t.equal(city.feed.size, 50)
  const began = performance.now()
  await city.app.close()
  const took = performance.now() - began
  await Promise.all(streams.map(({ ended }) => ended))
  t.ok(took < 3000, `${Math.round(took)} ms`)
  t.equal(city.feed.size, 0)
})

t.test('who is not signed in is told nothing', async (t) => {
  const { origin } = await listening(t)
  t.equal((await watchEvents(origin, 'nonsense')).status, 401)
})
