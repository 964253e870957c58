/** What two do at the same moment comes out as if one had done it after the other. */
import t from 'tap'
import type { CatalogContent } from '../../../hub/registry/catalog/content.ts'
import { enrol, issueToken } from '../../../hub/registry/machines/enrolment.ts'
import { lapseOpenings } from '../../../hub/registry/cases/openings.ts'
import { expireGrants, noteDeliveries } from '../../../hub/registry/grants/grant-queries.ts'
import type { StandardForm } from '../../../hub/registry/catalog/standard-form.ts'
import { markMissed } from '../../../hub/supervision/deadlines-watch.ts'
import { generateSigningKey } from '../../../protocol/signature.ts'
import { person, type City } from '../city.ts'
import { meet, shareOf, type Setting } from '../interleaving.ts'
import { enrolled } from '../office.ts'
import { always, licences, register, secrecy, textItem } from '../registry/catalog/fixture.ts'

const machines = new WeakMap<City, string>()
async function machineOf(city: City): Promise<string> {
  const known = machines.get(city) ?? (await enrolled(city, 'water')).id
  machines.set(city, known)
  return known
}

const ask = (more: object) => ({
  mode: 'exchange',
  items: ['holder', 'place'],
  purpose: '核验',
  basis: '三定方案',
  until: '2027-12-31',
  ...more,
})

/** A resource of the civil agency, in its first version. */
async function published(city: City, code: string, change: (content: CatalogContent) => void = () => {}): Promise<string> {
  const content = licences((c) => {
    c.title = code
    change(c)
  })
  const answer = await register(city, 'civil', content, { resource: code })
  if (answer.status !== 200) throw new Error(answer.text)
  return code
}

/** A registration of another version that waits for its reviewer. */
async function version(city: City, code: string, change: (content: CatalogContent) => void): Promise<string> {
  const { content } = (await city.as('civil', 'registrar').get(`/resources/${code}`)).body
  change(content)
  const drafted = await city.as('civil', 'registrar').post('/registrations', { resource: code, content })
  const submitted = await city.as('civil', 'registrar').post(`/registrations/${drafted.body.id}/submit`, { secrecy })
  if (submitted.status !== 200) throw new Error(submitted.text)
  return `/registrations/${drafted.body.id}`
}

const withoutPlace = (content: CatalogContent) => void content.items.splice(3, 1)
const longer = (content: CatalogContent) => void content.items.push(textItem('note', '备注'))

async function applied(city: City, more: object): Promise<string> {
  const user = city.as('water', 'user')
  const drafted = await user.post('/applications', ask(more))
  const submitted = await user.post(`/applications/${drafted.body.id}/submit`)
  if (submitted.status !== 200) throw new Error(drafted.text + submitted.text)
  return `/applications/${drafted.body.id}`
}

/** A grant in force. */
async function granted(city: City, code: string, more: object = {}): Promise<string> {
  const path = await applied(city, { resource: code, agent: await machineOf(city), ...more })
  const { body } = await city.as('city', 'office').post(`${path}/approve`)
  return `/grants/${body.grants[0].id}`
}

const post =
  (city: City, agency: string, role: Parameters<City['as']>[1], path: string, body: object = {}) =>
  () =>
    city.as(agency, role).post(path, body)

/** An agency with nothing in force, and its end. */
async function closing(city: City, name: string): Promise<{ code: string; close: () => Promise<unknown> }> {
  const code = `closing-${name}`
  await city.as('city', 'office').post('/agencies', { code, name })
  return { code, close: () => city.as('city', 'office').patch(`/agencies/${code}`, { state: 'closed' }) }
}

/** A machine of the water agency, what `make` makes with it, and the enrolment of the one that takes its place. */
async function replacing(city: City, make: (agent: string) => Promise<string>, key = generateSigningKey()) {
  const dead = await enrolled(city, 'water')
  const path = await make(dead.id)
  const it = city.as('water', 'agency-it')
  const { id } = (await it.post('/machines', { name: 'new', purpose: '更换', providedBy: 'agency', replaces: dead.id })).body
  await city.as('city', 'office').post(`/machines/${id}/approve`)
  const { token } = (await it.post(`/machines/${id}/token`)).body
  const { secret } = JSON.parse(Buffer.from(token.replace('qzt1.', ''), 'base64url').toString())
  return { path, replaced: () => enrol(city, { secret, publicKey: key.publicKey, name: 'new' }) }
}

/** An opening that waits for its release. */
async function proposed(city: City, name: string, anew = true): Promise<string> {
  if (anew) await published(city, name)
  const { status, body, text } = await city.as('civil', 'reviewer').post('/openings', { resource: name })
  if (status !== 200) throw new Error(text)
  return `/openings/${body.id}`
}

function formOf(name: string): StandardForm {
  return {
    title: name,
    abstract: '各单位的行政许可决定',
    subject: 'enterprise',
    licence: false,
    table: 'licences',
    classification: '104',
    items: [
      textItem('number', '文号', { key: true }),
      textItem('holder', '机构名称', { role: 'institution-name', openness: 'public' }),
      textItem('uscc', '统一社会信用代码', { role: 'uscc', length: 18 }),
      // Another label each time: what is to be had elsewhere is not collected again.
      textItem('place', `${name} 地点`),
      ...always,
    ],
    optional: [],
  }
}

/** A registration by the standard that waits for its reviewer. */
async function submitted(city: City, agency: string, name: string, more: object = {}): Promise<string> {
  const registrar = city.as(agency, 'registrar')
  const { body } = await registrar.post(`/standards/${name}/adopt`)
  const content = {
    ...body.content,
    title: `${name} ${agency}`,
    sharing: 'unconditional',
    cycle: 'daily',
    supplyMode: 'front-end',
    ...more,
  }
  await registrar.post(`/registrations/${body.id}/change`, { content })
  const answer = await registrar.post(`/registrations/${body.id}/submit`, { secrecy })
  if (answer.status !== 200) throw new Error(answer.text)
  return `/registrations/${body.id}`
}

/** A standard that the civil agency follows and the health agency is about to, and an application for it. */
async function adopted(city: City, name: string, more: object = {}, next: object = {}): Promise<{ path: string; next: string }> {
  await city.as('city', 'office').post('/standards', { code: name, form: formOf(name) })
  await city.as('city', 'office').post(`/standards/${name}/publish`)
  await city.as('civil', 'reviewer').post(`${await submitted(city, 'civil', name)}/publish`)
  const path = await applied(city, { standard: name, agent: await machineOf(city), ...more })
  return { path, next: await submitted(city, 'health', name, next) }
}

/** The same, approved; what the health agency shares is conditional, and waits for another version. */
async function conditional(city: City, name: string, unshared = false): Promise<{ path: string; next: string }> {
  const how = { sharing: 'conditional', sharingConditions: '法定职责' }
  const made = await adopted(city, name, {}, { ...how, ...(unshared && { shareModes: ['query'] }) })
  const { resource } = (await city.as('health', 'registrar').get(made.next)).body
  await city.as('health', 'reviewer').post(`${made.next}/publish`)
  await city.as('city', 'office').post(`${made.path}/approve`)
  if (unshared) {
    await city.store.query(`insert into application_consent (application, resource, state, at) values ($1, $2, 'consented', $3)`, [
      made.path.replace('/applications/', ''),
      resource,
      city.now,
    ])
  }
  const registrar = city.as('health', 'registrar')
  const { content } = (await registrar.get(`/resources/${resource}`)).body
  const changed = { ...content, abstract: '另一版', shareModes: ['query', 'api', 'exchange'] }
  const drafted = await registrar.post('/registrations', { resource, content: changed })
  const answer = await registrar.post(`/registrations/${drafted.body.id}/submit`, { secrecy })
  if (answer.status !== 200) throw new Error(answer.text)
  return { path: made.path, next: `/registrations/${drafted.body.id}` }
}

const settings: Record<string, Setting> = {
  'two officials approve': async (city, name) => {
    const path = await applied(city, { resource: await published(city, name), agent: await machineOf(city) })
    const approve = post(city, 'city', 'office', `${path}/approve`)
    return { one: approve, other: approve }
  },
  'two applications for the same are approved': async (city, name) => {
    const wanted = { resource: await published(city, name), agent: await machineOf(city) }
    const [first, second] = [await applied(city, wanted), await applied(city, { ...wanted, items: ['holder'] })]
    return { one: post(city, 'city', 'office', `${first}/approve`), other: post(city, 'city', 'office', `${second}/approve`) }
  },
  'approved and withdrawn by its applicant': async (city, name) => {
    const path = await applied(city, { resource: await published(city, name), agent: await machineOf(city) })
    return { one: post(city, 'city', 'office', `${path}/approve`), other: post(city, 'water', 'user', `${path}/withdraw`) }
  },
  'consent and withdrawal': async (city, name) => {
    const resource = await published(city, name, (c) => Object.assign(c, { sharing: 'conditional', sharingConditions: '法定职责' }))
    const path = await applied(city, { resource, agent: await machineOf(city) })
    return { one: post(city, 'civil', 'reviewer', `${path}/consent`), other: post(city, 'water', 'user', `${path}/withdraw`) }
  },
  'consent and objection of two reviewers': async (city, name) => {
    const resource = await published(city, name, (c) => Object.assign(c, { sharing: 'conditional', sharingConditions: '法定职责' }))
    const path = await applied(city, { resource, agent: await machineOf(city) })
    const objected = post(city, 'civil', 'reviewer', `${path}/object`, { reason: '不符' })
    return { one: post(city, 'civil', 'reviewer', `${path}/consent`), other: objected }
  },
  'approved while the resource is withdrawn': async (city, name) => {
    const resource = await published(city, name)
    const path = await applied(city, { resource, agent: await machineOf(city) })
    const withdrawn = post(city, 'civil', 'reviewer', `/resources/${resource}/withdraw`, { reason: '职能调整' })
    return { one: post(city, 'city', 'office', `${path}/approve`), other: withdrawn }
  },
  'approved while the resource is stopped': async (city, name) => {
    const resource = await published(city, name)
    const path = await applied(city, { resource, agent: await machineOf(city) })
    const stopped = post(city, 'city', 'secrecy', `/resources/${resource}/stop`, { reason: '疑似涉密' })
    return { one: post(city, 'city', 'office', `${path}/approve`), other: stopped }
  },
  'approved while an incompatible version is published': async (city, name) => {
    const resource = await published(city, name)
    const path = await applied(city, { resource, agent: await machineOf(city) })
    const next = await version(city, resource, withoutPlace)
    return { one: post(city, 'city', 'office', `${path}/approve`), other: post(city, 'civil', 'reviewer', `${next}/publish`) }
  },
  'revoked while an incompatible version holds': async (city, name) => {
    const grant = await granted(city, await published(city, name))
    const next = await version(city, name, withoutPlace)
    const revoked = post(city, 'city', 'office', `${grant}/revoke`, { reason: '滥用' })
    return { one: revoked, other: post(city, 'civil', 'reviewer', `${next}/publish`) }
  },
  'resumed while an incompatible version is published': async (city, name) => {
    const grant = await granted(city, await published(city, name))
    await city.as('city', 'office').post(`${grant}/suspend`, { reason: '核查' })
    const next = await version(city, name, withoutPlace)
    return { one: post(city, 'city', 'office', `${grant}/resume`), other: post(city, 'civil', 'reviewer', `${next}/publish`) }
  },
  'accepted while a further incompatible version is published': async (city, name) => {
    const grant = await granted(city, await published(city, name))
    await city.as('civil', 'reviewer').post(`${await version(city, name, (c) => void (c.items[1]!.required = true))}/publish`)
    const next = await version(city, name, withoutPlace)
    const accepted = post(city, 'water', 'user', `${grant}/accept`, { items: ['holder', 'place'] })
    return { one: accepted, other: post(city, 'civil', 'reviewer', `${next}/publish`) }
  },
  'expired while it is resumed': async (city, name) => {
    const grant = await granted(city, await published(city, name))
    await city.as('city', 'office').post(`${grant}/suspend`, { reason: '核查' })
    await city.store.query(`update access_grant set valid_to = $2 where id = $1`, [grant.replace('/grants/', ''), city.now])
    return { one: () => expireGrants(city), other: post(city, 'city', 'office', `${grant}/resume`) }
  },
  'expired while a new application takes its place': async (city, name) => {
    const grant = await granted(city, await published(city, name))
    const path = await applied(city, { resource: name, agent: await machineOf(city) })
    await city.store.query(`update access_grant set valid_to = $2 where id = $1`, [grant.replace('/grants/', ''), city.now])
    return { one: () => expireGrants(city), other: post(city, 'city', 'office', `${path}/approve`) }
  },
  'given up while the resource is withdrawn': async (city, name) => {
    const grant = await granted(city, await published(city, name))
    const withdrawn = post(city, 'civil', 'reviewer', `/resources/${name}/withdraw`, { reason: '职能调整' })
    return { one: post(city, 'water', 'user', `${grant}/give-up`, { reason: '停办' }), other: withdrawn }
  },
  'a delivery is noted while the resource is withdrawn': async (city, name) => {
    const grant = await granted(city, await published(city, name))
    await city.store.query(`update route set receipt = 'jws', moved_at = $2 where access_grant = $1`, [
      grant.replace('/grants/', ''),
      city.now,
    ])
    const withdrawn = post(city, 'civil', 'reviewer', `/resources/${name}/withdraw`, { reason: '职能调整' })
    return { one: () => noteDeliveries(city), other: withdrawn }
  },
  'two reviewers publish': async (city, name) => {
    const next = await version(city, await published(city, name), longer)
    const publish = post(city, 'civil', 'reviewer', `${next}/publish`)
    return { one: publish, other: publish }
  },
  'published while the resource is withdrawn': async (city, name) => {
    const next = await version(city, await published(city, name), longer)
    const withdrawn = post(city, 'civil', 'reviewer', `/resources/${name}/withdraw`, { reason: '职能调整' })
    return { one: post(city, 'civil', 'reviewer', `${next}/publish`), other: withdrawn }
  },
  'kept otherwise while the resource is withdrawn': async (city, name) => {
    await published(city, name)
    const withdrawn = post(city, 'civil', 'reviewer', `/resources/${name}/withdraw`, { reason: '职能调整' })
    const keep = () => city.as('civil', 'reviewer').put(`/resources/${name}/keep`, { keep: 'relay' })
    return { one: keep, other: withdrawn }
  },
  'registered anew while the resource is withdrawn': async (city, name) => {
    await published(city, name)
    const withdrawn = post(city, 'civil', 'reviewer', `/resources/${name}/withdraw`, { reason: '职能调整' })
    return { one: post(city, 'civil', 'registrar', '/registrations', { resource: name }), other: withdrawn }
  },
  'a new resource twice': async (city, name) => {
    const draft = post(city, 'civil', 'registrar', '/registrations', { resource: name })
    return { one: draft, other: draft }
  },
  'the agency gets another name while its resource is published': async (city, name) => {
    const next = await version(city, await published(city, name), longer)
    const renamed = () => city.as('city', 'office').patch('/agencies/civil', { name: `民政局 ${name}` })
    return { one: post(city, 'civil', 'reviewer', `${next}/publish`), other: renamed }
  },
  'approved while its machine is replaced': async (city, name) => {
    const { path, replaced } = await replacing(city, async (agent) => applied(city, { resource: await published(city, name), agent }))
    return { one: post(city, 'city', 'office', `${path}/approve`), other: replaced }
  },
  'a machine is replaced by one that receives the same': async (city, name) => {
    const key = generateSigningKey()
    const second = await enrolled(city, 'water', key)
    const { replaced } = await replacing(
      city,
      async (agent) => {
        await published(city, name)
        await granted(city, name, { agent })
        return granted(city, name, { agent: second.id })
      },
      key,
    )
    const path = await applied(city, { resource: name, agent: second.id })
    return { one: post(city, 'city', 'office', `${path}/approve`), other: replaced }
  },
  'approved while its machine is revoked': async (city, name) => {
    const { id } = await enrolled(city, 'water')
    const path = await applied(city, { resource: await published(city, name), agent: id })
    return {
      one: post(city, 'city', 'office', `${path}/approve`),
      other: post(city, 'city', 'office', `/agents/${id}/revoke`, { reason: '遗失' }),
    }
  },
  'approved for a standard while another agency adopts it': async (city, name) => {
    const { path, next } = await adopted(city, name)
    return { one: post(city, 'city', 'office', `${path}/approve`), other: post(city, 'health', 'reviewer', `${next}/publish`) }
  },
  'adopted while the machine of an approved application is replaced': async (city, name) => {
    let next = ''
    const { replaced } = await replacing(city, async (agent) => {
      const made = await adopted(city, name, { agent })
      await city.as('city', 'office').post(`${made.path}/approve`)
      return (next = made.next)
    })
    return { one: post(city, 'health', 'reviewer', `${next}/publish`), other: replaced }
  },
  'a provider consents while it publishes': async (city, name) => {
    const { path, next } = await conditional(city, name)
    return { one: post(city, 'health', 'reviewer', `${path}/consent`), other: post(city, 'health', 'reviewer', `${next}/publish`) }
  },
  'a provider objects while it publishes what it had consented to': async (city, name) => {
    const { path, next } = await conditional(city, name, true)
    const objected = post(city, 'health', 'reviewer', `${path}/object`, { reason: '不再同意' })
    return { one: objected, other: post(city, 'health', 'reviewer', `${next}/publish`) }
  },
  'the standard changes while an adopter publishes': async (city, name) => {
    const { next } = await adopted(city, name)
    const form = formOf(name)
    form.items.push(textItem('reason', `${name} 许可内容`))
    form.optional.push('reason')
    await city.as('city', 'office').post(`/standards/${name}/change`, { form })
    return { one: post(city, 'city', 'office', `/standards/${name}/publish`), other: post(city, 'health', 'reviewer', `${next}/publish`) }
  },
  'an agency is closed while it is granted something': async (city, name) => {
    const { code, close } = await closing(city, name)
    const clerk = await person(city, city.app, code, 'user')
    const drafted = await clerk.post('/applications', ask({ resource: await published(city, name), mode: 'query' }))
    await clerk.post(`/applications/${drafted.body.id}/submit`)
    await city.store.query(`with gone as (delete from session where person = $1) update person set state = 'disabled' where id = $1`, [
      clerk.principal.person,
    ])
    return { one: post(city, 'city', 'office', `/applications/${drafted.body.id}/approve`), other: close }
  },
  'an agency is closed while somebody is added to it': async (city, name) => {
    const { code, close } = await closing(city, name)
    return { one: post(city, 'city', 'system-admin', '/people', { agency: code, login: `new.${name}`, name }), other: close }
  },
  'an agency is closed while it is given a key': async (city, name) => {
    const { code, close } = await closing(city, name)
    return { one: post(city, 'city', 'security-admin', '/keys', { agency: code, name, role: 'user' }), other: close }
  },
  'an agency is closed while a machine enrols': async (city, name) => {
    const { code, close } = await closing(city, name)
    const { secret } = await issueToken(city, 'admin', code, 48)
    return { one: () => enrol(city, { secret, publicKey: generateSigningKey().publicKey, name }), other: close }
  },
  'somebody is disabled while signing in': async (city, name) => {
    const { principal } = await person(city, city.app, 'civil', 'user')
    await city.store.query('update person set login = $2, password = $3, password_set_at = $4 where id = $1', [
      principal.person,
      `clerk.${name}`,
      await city.services.access.passwords.hash('Kapok-tree-41'),
      city.now,
    ])
    const signedIn = () => city.nobody.post('/session', { login: `clerk.${name}`, password: 'Kapok-tree-41' })
    return { one: signedIn, other: post(city, 'city', 'system-admin', `/people/${principal.person}/disable`, { reason: '调离' }) }
  },
  'a demand is withdrawn while it is fulfilled by a publication': async (city, name) => {
    const { id } = (await city.as('water', 'user').post('/demands', { title: name, what: 'a', why: 'b', basis: 'c' })).body
    await city.as('city', 'office').post(`/demands/${id}/assign`, { provider: 'civil' })
    await city.as('civil', 'reviewer').post(`/demands/${id}/agree`, { what: 'a', until: '2027-03-31' })
    const content = licences((c) => (c.title = name))
    const drafted = await city.as('civil', 'registrar').post('/registrations', { resource: name, demand: id, content })
    await city.as('civil', 'registrar').post(`/registrations/${drafted.body.id}/submit`, { secrecy })
    const publish = post(city, 'civil', 'reviewer', `/registrations/${drafted.body.id}/publish`)
    return { one: publish, other: post(city, 'water', 'user', `/demands/${id}/withdraw`) }
  },
  'two declarations explain one period': async (city, name) => {
    await published(city, name)
    await city.store.query(`update resource set published_at = '2026-01-01' where code = $1`, [name])
    const declared = async () => {
      const body = { kind: 'no-change', resource: name, period: '2026-Q4', text: '没有变化' }
      return `/declarations/${(await city.as('civil', 'registrar').post('/declarations', body)).body.id}/sign`
    }
    return { one: post(city, 'civil', 'reviewer', await declared()), other: post(city, 'civil', 'reviewer', await declared()) }
  },
  'open data is released while its provider withdraws it': async (city, name) => {
    const path = await proposed(city, name)
    return {
      one: post(city, 'city', 'office', `${path}/release`),
      other: post(city, 'civil', 'reviewer', `${path}/withdraw`, { reason: '待核实' }),
    }
  },
  'open data takes the place of what is withdrawn': async (city, name) => {
    const earlier = await proposed(city, name)
    await city.as('city', 'office').post(`${earlier}/release`)
    const path = await proposed(city, name, false)
    return {
      one: post(city, 'city', 'office', `${path}/release`),
      other: post(city, 'city', 'office', `${earlier}/withdraw`, { reason: '待核实' }),
    }
  },
  'open data is released while its ground is looked after': async (city, name) => {
    const path = await proposed(city, name)
    await city.as('city', 'office').post(`${path}/release`)
    const next = await proposed(city, name, false)
    await city.store.query(`update resource set sharing = 'conditional' where code = $1`, [name])
    return { one: post(city, 'city', 'office', `${next}/release`), other: () => lapseOpenings(city) }
  },
  'two propose what is open': async (city, name) => {
    await published(city, name)
    const propose = post(city, 'civil', 'reviewer', '/openings', { resource: name })
    return { one: propose, other: propose }
  },
  'withdrawn while its deadline is missed': async (city, name) => {
    const path = await applied(city, { resource: await published(city, name), agent: await machineOf(city) })
    const missed = () => city.store.transaction((query) => markMissed(query, new Date('2027-03-01')))
    return { one: missed, other: post(city, 'water', 'user', `${path}/withdraw`) }
  },
}

for (const [name, setting] of shareOf(Object.entries(settings))) t.test(name, (t) => meet(t, setting))
