import pino from 'pino'
import t from 'tap'
import { addressNotices, startMail } from '../../../hub/supervision/mail.ts'
import { notify } from '../../../hub/records/notices.ts'
import { openOffice, type Office } from '../office.ts'
import { startSmtp, type SmtpServer } from './smtp-server.ts'
import type { Rounds } from '../../../hub/store/rounds.ts'

type Test = Pick<typeof t, 'teardown'>

const text = { kind: 'duty-overdue', object: 'resource villages', zh: '村居名录逾期未更新', en: 'villages is overdue' } as const

interface Post extends Office {
  smtp: SmtpServer
  mailer(url?: string): Rounds<number>
  later(minutes: number): void
}

/** People in two agencies; `gone` has left, `mute` has no address. */
async function openPost(test: Test, auth = false): Promise<Post> {
  const office = await openOffice(test)
  office.now = new Date()
  for (const [login, agency, role, state, email] of [
    ['anna', 'civil', 'registrar', 'active', 'anna@civil.test'],
    ['bert', 'civil', 'reviewer', 'active', 'bert@civil.test'],
    ['carl', 'water', 'registrar', 'active', 'carl@water.test'],
    ['gone', 'civil', 'registrar', 'disabled', 'gone@civil.test'],
    ['mute', 'civil', 'registrar', 'active', null],
    ['dora', 'city', 'supervisor', 'active', 'dora@city.test'],
  ] as const) {
    await office.store.query(`insert into agency (code, name) values ($1, $1) on conflict do nothing`, [agency])
    await office.store.query(
      `with made as (insert into person (agency, login, name, state, email) values ($1, $2, $2, $3, $4) returning id)
       insert into person_role (person, role, given_by) select id, $5, 'test' from made`,
      [agency, login, state, email, role],
    )
  }
  const smtp = await startSmtp({ auth })
  test.teardown(() => smtp.stop())
  const mailer = (url = `smtp://127.0.0.1:${smtp.port}`) => {
    const made = startMail({
      store: office.store,
      config: { url, from: '前置平台 <qianzhi@city.test>' },
      logger: pino({ level: 'silent' }),
      clock: office.clock,
    })
    test.teardown(() => made.stop())
    return made
  }
  const later = (minutes: number) => void (office.now = new Date(office.now.getTime() + minutes * 60_000))
  return Object.assign(office, { smtp, mailer, later, clock: () => office.now })
}

const recipients = ({ smtp }: Post) => smtp.received.map(({ to }) => to).toSorted((a, b) => a.localeCompare(b))
const states = ({ store }: Post) => store.query('select address, state, attempts from mail order by address')

void t.test('a notice goes to the people it is for who have an address, once', async (t) => {
  const post = await openPost(t)
  await notify(post.store.query, { ...text, to: [{ agency: 'civil', role: 'registrar' }, { role: 'supervisor' }] })
  const mailer = post.mailer()
  await mailer.run()
  t.same(recipients(post), ['anna@civil.test', 'dora@city.test'])
  const [{ text: message } = { text: '' }] = post.smtp.received
  t.match(message, /^Message-ID: <notice\.\d+\.\d+\.\d+@city\.test>$/im)
  t.match(message, /^From: =\?UTF-8\?.* <qianzhi@city\.test>$/m)
  t.match(message, /^Subject: =\?UTF-8\?/m)
  t.match(message, /^Auto-Submitted: auto-generated$/m)
  const [, body = ''] = message.split('\n\n')
  t.equal(Buffer.from(body, 'base64').toString().replaceAll('\r', ''), `${text.zh}\n\n${text.en}\n`)
  post.later(24 * 60)
  await mailer.run()
  await post.mailer().run()
  t.equal(post.smtp.received.length, 2)
})

void t.test('a notice of an act that commits late is not passed over', async (t) => {
  const post = await openPost(t)
  const mailer = post.mailer()
  await post.store.transaction(async (query) => {
    await notify(query, { ...text, to: { role: 'supervisor' } })
    await notify(post.store.query, { ...text, to: { agency: 'civil', role: 'reviewer' } })
    await mailer.run()
    t.same(recipients(post), ['bert@civil.test'])
  })
  await mailer.run()
  t.same(recipients(post), ['bert@civil.test', 'dora@city.test'])
})

void t.test('a server that is away: everything waits, pauses grow, nothing is lost', async (t) => {
  const post = await openPost(t)
  const { port } = post.smtp
  await post.smtp.stop()
  for (let n = 0; n < 3; n++) await notify(post.store.query, { ...text, to: { role: 'supervisor' } })
  const mailer = post.mailer(`smtp://127.0.0.1:${port}`)
  await mailer.run()
  const attempts = async () =>
    (await post.store.query<{ attempts: number }>(`select attempts from mail order by notice`)).map(({ attempts: n }) => n)
  const first = await attempts()
  t.ok(first.reduce((sum, n) => sum + n) >= 1 && first.includes(0), 'one attempt ends the round')
  for (let n = 0; n < 12; n++) {
    post.later(61)
    await mailer.run()
  }
  t.match(await post.store.query(`select 1 from mail where state = 'waiting' and error like '%ECONNREFUSED%'`), [{}, {}, {}])
  const [{ wait } = { wait: 0 }] = await post.store.query<{ wait: number }>(
    `select max(extract(epoch from next_at - $1))::float as wait from mail`,
    [post.now],
  )
  t.ok(wait > 600 && wait <= 3600, `pauses grow up to an hour: ${wait}`)
  const back = await startSmtp({ port })
  t.teardown(() => back.stop())
  post.later(61)
  await mailer.run()
  t.equal(back.received.length, 3)
})

void t.test('who is refused for good is not tried again; who is refused for now, or a refused sender, is', async (t) => {
  const post = await openPost(t)
  post.smtp.conduct.set('anna@civil.test', 'refuse').set('bert@civil.test', 'later')
  const mailer = post.mailer()
  await notify(post.store.query, {
    ...text,
    to: [
      { agency: 'civil', role: 'registrar' },
      { agency: 'civil', role: 'reviewer' },
    ],
  })
  await mailer.run()
  t.same(await states(post), [
    { address: 'anna@civil.test', state: 'refused', attempts: 1 },
    { address: 'bert@civil.test', state: 'waiting', attempts: 1 },
  ])
  post.smtp.conduct.clear()
  await mailer.run()
  t.same(recipients(post), [], 'not before its time')
  post.later(2)
  await mailer.run()
  t.same(recipients(post), ['bert@civil.test'])
  post.smtp.sender = 'refuse'
  await notify(post.store.query, { ...text, to: { role: 'supervisor' } })
  await mailer.run()
  t.match(await states(post), [{}, {}, { address: 'dora@city.test', state: 'waiting' }], 'the office can put that right')
})

void t.test('where the answer was lost it is sent again, as the same message', async (t) => {
  const post = await openPost(t)
  post.smtp.conduct.set('dora@city.test', 'vanish')
  await notify(post.store.query, { ...text, to: { role: 'supervisor' } })
  const mailer = post.mailer()
  await mailer.run()
  post.smtp.conduct.clear()
  post.later(2)
  await mailer.run()
  const ids = post.smtp.received.map(({ text: message }) => /^Message-ID: (.*)$/im.exec(message)![1])
  t.equal(ids.length, 2)
  t.equal(new Set(ids).size, 1)
})

void t.test('several processes of the hub send each message once', async (t) => {
  const post = await openPost(t)
  for (let n = 0; n < 60; n++) await notify(post.store.query, { ...text, to: { role: 'supervisor' } })
  await addressNotices(post)
  const mailers = Array.from({ length: 12 }, () => post.mailer())
  await Promise.all(mailers.map((mailer) => mailer.run()))
  t.equal(post.smtp.received.length, 60)
  t.equal((await post.store.query(`select 1 from mail where state = 'sent' and attempts = 1`)).length, 60)
})

void t.test('a message that another process has taken is left to it, without waiting', { timeout: 20_000 }, async (t) => {
  const post = await openPost(t)
  await notify(post.store.query, { ...text, to: { role: 'supervisor' } })
  await addressNotices(post)
  const mailer = await post.store.transaction(async (query) => {
    await query('update mail set attempts = 1, next_at = $1', [new Date(post.now.getTime() + 600_000)])
    const made = post.mailer()
    t.equal(await made.run(), 0)
    return made
  })
  t.equal(await mailer.run(), 0)
  post.later(11)
  t.equal(await mailer.run(), 1, 'that process is gone')
})

void t.test('the server is logged in to with the password of the URL, whatever is in it', async (t) => {
  const post = await openPost(t, true)
  await notify(post.store.query, { ...text, to: { role: 'supervisor' } })
  await post.mailer(`smtp://office:${encodeURIComponent('p@ss:/字')}@127.0.0.1:${post.smtp.port}`).run()
  t.same(post.smtp.logins, ['office p@ss:/字'])
  t.equal(post.smtp.received.length, 1)
})

void t.test('what is old when a mail server is configured stays on the screen', async (t) => {
  const post = await openPost(t)
  await notify(post.store.query, { ...text, to: { role: 'supervisor' } })
  post.later(4 * 24 * 60)
  await addressNotices(post)
  t.same(await states(post), [])
  t.equal((await post.store.query('select 1 from notice where addressed_at is null')).length, 0)
})
