/** Every operation is tried without credentials, with each role, and with another agency's objects. */
import t from 'tap'
import { Compile } from 'typebox/compile'
import { reachOf, allows } from '../../../hub/access/authorise.ts'
import { relationsOf } from '../../../hub/access/relations.ts'
import { rights } from '../../../hub/access/rights.ts'
import { roleNames } from '../../../hub/records/roles.ts'
import { operations } from '../../../hub/operations/index.ts'
import type { Operation } from '../../../hub/operations/operation.ts'
import { workflows } from '../../../hub/registry/workflows.ts'
import { agencyRoles, openCity, type Answer, type Caller } from '../city.ts'
import { makeObject, openObjects, type Objects } from '../objects.ts'

t.test('every right has its operation, and every operation its right', async (t) => {
  const named = operations.map(({ name }) => name)
  t.equal(new Set(named).size, named.length, 'no operation twice')
  const timed = workflows.flatMap((flow) => Object.keys(flow.events).map((event) => `${flow.name}.${event}`))
  const missing = Object.entries(rights).filter(
    ([name, line]) => !named.includes(name as never) && !(Object.keys(line).join() === 'hub' && timed.includes(name)),
  )
  t.same(
    missing.map(([name]) => name),
    [],
  )
})

t.test('an operation that changes something says what it takes; an object stands in its path', async (t) => {
  for (const { name, method, path, body, upload, objectKind, text, answer } of operations) {
    t.ok(method === 'GET' || method === 'DELETE' || body !== undefined || upload !== undefined, `${name} has a shape for its body`)
    t.equal(path.includes('/:id'), objectKind !== undefined, `${name}: ${path}`)
    t.match(text, { zh: /\p{Script=Han}/u, en: /^[\x20-\x7e]+$/ })
    t.ok(answer !== undefined || method === 'GET' || upload, `${name} says what it answers`)
  }
})

t.test('the examples of the documentation are what their operations take', async (t) => {
  for (const { name, body, example } of operations) {
    if (!body) continue
    t.ok(Compile(body).Check(example ?? {}), `${name}: ${JSON.stringify(example)}`)
  }
})

t.test('doors', async (t) => {
  const city = await openCity(t)
  // Objects of two agencies that no caller belongs to, and of two to which callers do belong.
  const others = await openObjects(city, { provider: 'strangers', receiver: 'visitors' })
  const ours = await openObjects(city, { provider: 'civil', receiver: 'water' })
  const forged = city.caller('qzs_' + 'A'.repeat(32))
  const callers = roleNames.flatMap((role) =>
    agencyRoles.includes(role) ? ['civil', 'water'].map((agency) => city.as(agency, role)) : [city.as('city', role)],
  )

  for (const operation of operations) {
    const { name } = operation
    t.match(await knock(city.nobody, operation, others), { status: 401, body: { code: 'QZ-SIGN-IN' } }, `${name} without credentials`)
    t.match(await knock(forged, operation, others), { status: 401, body: { code: 'QZ-SIGN-IN' } }, `${name} with a forged secret`)
    for (const caller of callers) {
      const who = `${name} by ${caller.principal.name}`
      const reach = reachOf(caller.principal, name)
      const toOthers = await knock(caller, operation, others)
      if (reach.size === 0 || (operation.objectKind && !reach.has('any'))) {
        t.match(toOthers, { status: 403, body: { code: 'QZ-FORBIDDEN' } }, `${who}, another agency's object`)
      } else if (!ends(operation)) t.ok(isOpen(toOthers), `${who}: ${toOthers.text.slice(0, 200)}`)
      if (!operation.objectKind || ends(operation)) continue
      const id = await makeObject(ours, operation.objectKind)
      const toOurs = await knock(caller, operation, ours, id)
      if (allows(caller.principal, name, await relationsOf(city.store.query, operation.objectKind, id))) {
        t.ok(isOpen(toOurs), `${who}, own object: ${toOurs.text.slice(0, 200)}`)
      } else t.match(toOurs, { status: 403, body: { code: 'QZ-FORBIDDEN' } }, `${who}, not theirs`)
    }
  }
})

/** Neither refused nor failed; what is asked of a machine is answered that none is connected. */
function isOpen({ status, body }: Answer): boolean {
  return status < 500 ? status !== 401 && status !== 403 : body?.code === 'QZ-ASK-AWAY'
}

/** What has no body would be carried out. */
function ends({ method, body, upload }: Operation): boolean {
  return method === 'DELETE' || (method !== 'GET' && body === undefined && upload === undefined)
}

/** Calls with what no operation takes, so that whoever passes is answered 400, and nothing is changed. */
async function knock(caller: Caller, { method, path, objectKind, upload }: Operation, objects: Objects, id?: string): Promise<Answer> {
  const object = objectKind ? (id ?? (await makeObject(objects, objectKind))) : ''
  const url = path.replace(':id', encodeURIComponent(object)).replaceAll(/:\w+/g, '1')
  if (upload) return caller.upload(url, upload.type, Buffer.from('nothing'))
  if (method === 'GET') return caller.get(url)
  if (method === 'DELETE') return caller.delete(url)
  return caller[method.toLowerCase() as 'post' | 'put' | 'patch'](url, [])
}
