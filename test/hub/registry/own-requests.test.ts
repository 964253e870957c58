/** Nobody decides on what they asked for, whatever roles they have (Art. 7, 10, 16). */
import t from 'tap'
import { openCity, person, type Caller } from '../city.ts'
import { enrolled } from '../office.ts'
import { licences, register, secrecy } from './catalog/fixture.ts'

const same = (answer: { status: number; body: { code?: string } }) => t.equal(answer.body.code, 'QZ-SAME-PERSON')

t.test('an application', async (t) => {
  const city = await openCity(t)
  await register(city, 'civil', licences(), { resource: 'ads' })
  const both = await person(city, city.app, 'city', 'user', 'office')
  const { id: agent } = await enrolled(city, 'city')
  const asked = { mode: 'exchange', purpose: '核验', basis: '三定方案', until: '2027-12-31', agent, resource: 'ads', items: ['holder'] }
  const { id } = (await both.post('/applications', asked)).body
  t.equal((await both.post(`/applications/${id}/submit`)).status, 200)
  same(await both.post(`/applications/${id}/approve`))
  same(await both.post(`/applications/${id}/reject`, { reason: '不符' }))
  t.equal((await city.as('city', 'office').post(`/applications/${id}/approve`)).status, 200, 'another official does')
})

t.test('a consent and the approval that stands on it', async (t) => {
  const city = await openCity(t)
  const registrar = await person(city, city.app, 'city', 'registrar')
  const both = await person(city, city.app, 'city', 'reviewer', 'office')
  const content = licences((c) => void Object.assign(c, { sharing: 'conditional', sharingConditions: '法定职责' }))
  const { id: draft } = (await registrar.post('/registrations', { resource: 'ads', content })).body
  await registrar.post(`/registrations/${draft}/submit`, { secrecy })
  t.equal((await both.post(`/registrations/${draft}/publish`)).status, 200)
  const { id: agent } = await enrolled(city, 'water')
  const user = city.as('water', 'user')
  const asked = { mode: 'exchange', purpose: '核验', basis: '三定方案', until: '2027-12-31', agent, resource: 'ads', items: ['holder'] }
  const { id } = (await user.post('/applications', asked)).body
  await user.post(`/applications/${id}/submit`)
  t.equal((await both.post(`/applications/${id}/consent`)).status, 200)
  same(await both.post(`/applications/${id}/approve`))
  t.equal((await city.as('city', 'office').post(`/applications/${id}/approve`)).status, 200)
})

t.test('a machine, and a consent to publish', async (t) => {
  const city = await openCity(t)
  const both: Caller = await person(city, city.app, 'city', 'agency-it', 'office')
  const { id } = (await both.post('/machines', { name: 'front', purpose: '交换', providedBy: 'agency' })).body
  same(await both.post(`/machines/${id}/approve`))
  same(await both.post(`/machines/${id}/reject`, { reason: '不符' }))
  t.equal((await city.as('city', 'office').post(`/machines/${id}/approve`)).status, 200)
})
