/** Attachments of cases: who puts them when, what they may be, who reads them, and that they stay. */
import { createHash } from 'node:crypto'
import t from 'tap'
import { attachmentKinds } from '../../../hub/registry/attachments.ts'
import { publishResource } from '../../../hub/registry/publishing/direct-publishing.ts'
import { workflows } from '../../../hub/registry/workflows.ts'
import { openCity, type Caller } from '../city.ts'
import { makeObject, openObjects } from '../objects.ts'
import { enrolled, villages } from '../office.ts'

const pdf = Buffer.from('%PDF-1.7\n1 0 obj\n')
const png = Buffer.from('\x89PNG\r\n\x1a\n0000', 'latin1')
const jpg = Buffer.from('\xff\xd8\xff\xe0JFIF', 'latin1')
const docx = Buffer.from('PK\x03\x04..word/document.xml..')
const page = Buffer.from('<html><script>alert(1)</script></html>')

const put = (who: Caller, path: string, name: string, content: Buffer) =>
  who.upload(`${path}/attachments?name=${encodeURIComponent(name)}`, 'application/octet-stream', content)

t.test('of an application: who may edit it puts them, who may read it reads them, as files only', async (t) => {
  const city = await openCity(t)
  await publishResource(city, 'admin', { schema: villages() })
  await enrolled(city, 'water')
  const [user, office, other] = [city.as('water', 'user'), city.as('city', 'office'), city.as('health', 'user')]
  const asked = { resource: 'villages', mode: 'exchange', items: ['name'], purpose: '防汛', basis: '防汛条例' }
  const { id } = (await user.post('/applications', asked)).body
  const path = `/applications/${id}`
  const basis = await put(user, path, '依据（盖章）.pdf', pdf)
  t.match(basis, {
    status: 200,
    body: { name: '依据（盖章）.pdf', type: 'application/pdf', bytes: pdf.length, byName: user.principal.name },
  })
  for (const [name, content] of [
    ['表.docx', docx],
    ['照片.PNG', png],
    ['扫描.jpeg', jpg],
  ] as const)
    t.equal((await put(user, path, name, content)).status, 200, name)

  for (const [name, content] of [
    ['page.pdf', page],
    ['page.html', page],
    ['photo.png', jpg],
    ['photo.pdf', png],
    ['table.docx', Buffer.from('PK\x03\x04xl/workbook.xml')],
    ['empty.pdf', Buffer.alloc(0)],
    ['late.pdf', Buffer.concat([page, pdf])],
    ['../up.pdf', pdf],
    ['a\u202ebc.pdf', pdf],
    ['none', pdf],
  ] as const)
    t.equal((await put(user, path, name, content)).status, 400, name)
  t.equal((await put(user, path, 'large.pdf', Buffer.concat([pdf, Buffer.alloc(10 << 20)]))).status, 413)
  t.equal((await put(other, path, 'x.pdf', pdf)).status, 403, 'another agency')
  t.equal((await put(office, path, 'x.pdf', pdf)).status, 404, 'what was never submitted')
  t.equal((await city.as('civil', 'reviewer').get(`${path}/attachments`)).status, 404)
  t.equal((await city.nobody.get(`${path}/attachments`)).status, 401)

  const before = (await office.get(path)).body.revision
  await user.post(`${path}/submit`)
  t.match((await user.get(`${path}/attachments`)).body, { open: false, items: { length: 4 } })
  t.match(await put(user, path, 'x.pdf', pdf), { status: 403 }, 'it lies with the office')
  const seen = (await office.get(path)).body.revision
  t.not(seen, before)
  t.match((await office.get(`${path}/attachments`)).body, { open: true, items: { length: 4 } })
  t.equal((await put(office, path, '签批.pdf', pdf)).status, 200)
  t.equal((await office.post(`${path}/approve`, {}, seen)).status, 412, 'what was attached since was not seen')

  const file = await city.as('civil', 'reviewer').get(`${path}/attachments/${basis.body.id}`)
  t.same(file.bytes, pdf)
  t.match(file.headers, {
    'content-type': 'application/pdf',
    'content-disposition': `attachment; filename*=UTF-8''${encodeURIComponent('依据（盖章）.pdf')}`,
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
  })
  t.ok(file.headers['content-security-policy'])
  t.equal((await other.get(`${path}/attachments/${basis.body.id}`)).status, 403)
  const mine = (await user.post('/applications', asked)).body.id
  t.equal((await user.get(`/applications/${mine}/attachments/${basis.body.id}`)).status, 404, 'of another case')

  await office.post(`${path}/approve`)
  t.match(await put(office, path, 'x.pdf', pdf), { status: 409, body: { code: 'QZ-STATE' } }, 'it is over')
  const entries = await city.store.query<{ details: object }>(
    `select details from audit_entry where act = 'application.attach' order by id`,
  )
  t.equal(entries.length, 5)
  t.match(entries[0]!.details, { type: 'application/pdf', sha256: createHash('sha256').update(pdf).digest('hex') })
  t.notMatch(JSON.stringify(entries), /盖章/)
  for (const text of ['delete from attachment', `update attachment set name = 'x'`, 'truncate attachment'])
    await t.rejects(city.store.query(text), { code: '42501' }, text)
})

t.test('of every case: in its open states those take some with whom it lies, and none when it is over', async (t) => {
  const city = await openCity(t)
  const objects = await openObjects(city, { provider: 'civil', receiver: 'water' })
  const over = ['approved', 'rejected', 'withdrawn', 'refused', 'fulfilled', 'closed', 'dismissed', 'settled', 'accepted', 'acknowledged', 'concluded'] // prettier-ignore
  for (const kind of attachmentKinds) {
    for (const state of Object.keys(workflows.find(({ name }) => name === kind)!.states)) {
      const id = await makeObject(objects, kind, state)
      if (kind === 'application') await city.store.query(`update application set submitted_at = now() where id = $1`, [id])
      const answers = []
      for (const who of Object.keys(city.settled)) {
        const [agency, role] = who.split(' ') as [string, 'user']
        const caller = city.as(agency, role)
        const list = await caller.get(`/${kind}s/${id}/attachments`)
        const { status } = await put(caller, `/${kind}s/${id}`, 'x.pdf', pdf)
        if (agency === 'health') t.equal(status, 403, `${kind} ${state} by ${who}`)
        if (list.status === 200) t.equal(list.body.open, status === 200, `${kind} ${state} by ${who}`)
        answers.push(status)
      }
      const closed = over.includes(state) || (kind === 'declaration' && state === 'returned')
      t.equal(answers.includes(200), !closed, `${kind} ${state}: ${closed ? 'over' : 'open'}`)
      if (closed)
        t.same(
          [...new Set(answers)].filter((status) => status !== 403),
          [409],
          `${kind} ${state}`,
        )
    }
  }
})

t.test('a case has so many and no more; whoever supervises reads none of a correction', async (t) => {
  const city = await openCity(t)
  const objects = await openObjects(city, { provider: 'civil', receiver: 'water' })
  const path = `/corrections/${await makeObject(objects, 'correction')}`
  const user = city.as('water', 'user')
  for (let n = 0; n < 20; n++) t.equal((await put(user, path, `${n}.pdf`, pdf)).status, 200)
  t.match(await put(user, path, 'more.pdf', pdf), { status: 422, body: { code: 'QZ-RULE' } })
  t.equal((await city.as('city', 'supervisor').get(path)).status, 200)
  t.equal((await city.as('city', 'supervisor').get(`${path}/attachments`)).status, 403)
})
