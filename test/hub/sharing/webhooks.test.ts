/** A receiver's copy is its source, whatever fails on the way. */
import fc from 'fast-check'
import t from 'tap'
import { checkHealth } from '../../../hub/status/health.ts'
import { openPostgresLog } from '../../../hub/logs/postgres.ts'
import type { Query } from '../../../hub/store/store.ts'
import { places, type Row } from './fixture.ts'
import { pushing } from './pushing.ts'
import type { Mood } from './receiver.ts'

void t.test('a receiver gets a copy, and then what changes, signed', async (t) => {
  const { receiver, sender, send, hook, city, id, grantId, path } = await pushing(t)
  await sender.pass()
  t.match(
    receiver.seen.map(({ delivery, begin, from, complete, changes }) => [delivery, begin, from === null, complete, changes.length]),
    [
      [1, true, true, false, 3],
      [2, false, false, true, 1],
    ],
  )
  t.match(receiver.seen[0], { webhook: id, resource: 'villages', source: { agency: 'civil' } })
  t.same(receiver.rows(), places)
  await sender.pass()
  t.equal(receiver.seen.length, 2, 'nothing new, nothing sent')
  await send([
    { code: '441900003001', $op: 'd' },
    { code: '441900003003', name: '新社区', street: '' },
  ])
  await sender.pass()
  t.same(receiver.seen[2]!.changes, [
    { op: 'delete', item: { code: '441900003001' } },
    { op: 'upsert', item: { code: '441900003003', name: '新社区', street: '' } },
  ])
  t.same(receiver.wrongs, [])
  t.match(await hook(), { state: 'active', whole: true, delivery: 3, attempts: 0, fault: null, deliveredAt: /^2026/ })
  t.match((await city.as('civil', 'reviewer').get(`/grants/${grantId}/usage`)).body.items, [{ requests: 3, rows: 6 }])
  t.same((await city.as('water', 'user').get(`/grants/${grantId}/credentials`)).body.items, [], 'it is no credential')
  const seen = async (agency: string, role: 'reviewer' | 'user') =>
    (await city.as(agency, role).get(`/grants/${grantId}/webhooks`)).body.items[0].url
  t.equal(await seen('water', 'user'), receiver.url)
  t.notMatch((await city.as('city', 'office').post(`${path}/replay`)).text, /from=hub/)
  t.equal(await seen('civil', 'reviewer'), receiver.url.replace('from=hub', '…'), 'what may be a secret')
  t.notMatch(JSON.stringify(await city.store.query('select details from audit_entry')), /from=hub/)
})

void t.test('what is not taken is sent again as it was, with pauses, then stands still until it is told to go on', async (t) => {
  const { receiver, sender, send, hook, later, city, path, it } = await pushing(t)
  await sender.pass()
  let mood: Mood = 500
  receiver.mood = () => mood
  await send([{ code: '1', name: 'a', street: '' }])
  await sender.pass()
  t.match(await hook(), { attempts: 1, state: 'active', fault: { en: /HTTP 500/ } })
  await sender.pass()
  t.equal(receiver.seen.length, 3, 'not before its pause is over')
  const first = receiver.seen[2]!
  await send([{ code: '2', name: 'b', street: '' }])
  for (const next of ['cut', 302, 429] as const) {
    mood = next
    later(2)
    await sender.pass()
    t.same({ ...receiver.seen.at(-1), source: 0 }, { ...first, source: 0 }, 'the same number, the same changes')
  }
  t.match((await hook()).fault, { en: /429/ })
  mood = 301
  later(2)
  await sender.pass()
  t.match(await hook(), { attempts: 5, state: 'held', fault: { zh: /重定向/, en: /redirects \(HTTP 301\)/ } })
  for (const [agency, role] of [
    ['water', 'agency-it'],
    ['water', 'user'],
    ['city', 'office'],
  ] as const)
    t.match((await city.as(agency, role).get('/notices')).body.items[0], { kind: 'webhook-held' }, role)
  const todo = async () => (await it.get('/todo?kind=webhook')).body.items
  t.match(await todo(), [{ state: 'held', actions: ['webhook.replay'], link: path.replace(/\/[^/]+$/, ''), agency: 'water' }])
  const looking = { store: city.store, clock: city.clock, data: '/', lapse: 7, mail: false, reconciled: 0 }
  t.match(
    (await checkHealth(looking)).problems.filter(({ code }) => code === 'QZ-WEBHOOK-FAILED'),
    [{ zh: /已停住/, en: /stands still/ }],
  )
  mood = 'take'
  later(24)
  await sender.pass()
  t.equal(receiver.seen.length, 7, 'it stands still')
  t.match(await it.post(`${path}/replay`), { status: 200, body: { state: 'active', attempts: 0 } })
  t.same(await todo(), [])
  await sender.pass()
  t.same(
    receiver.seen.slice(7).map(({ delivery }) => delivery),
    [3, 4],
  )
  t.ok(receiver.copy.has('1') && receiver.copy.has('2'), 'nothing was skipped')
  t.same(receiver.wrongs, [])
})

void t.test(
  'a portion is skipped only by somebody’s word, which is on record; a restored receiver goes on from where it was',
  async (t) => {
    const { receiver, sender, send, hook, city, path, it, later, grantId } = await pushing(t)
    await sender.pass()
    const place = receiver.position!
    t.match(await it.post(`${path}/replay`, { from: 'behind' }), { status: 422 }, 'there is nothing to be skipped')
    receiver.mood = () => 500
    await send([{ code: '1', name: 'poison', street: '' }])
    await sender.pass()
    receiver.mood = () => 'take'
    t.match(await it.post(`${path}/replay`, { from: 'behind' }), { status: 200 })
    const [act] = await city.store.query(
      `select actor, details from audit_entry where act = 'webhook.replay' and outcome = 'done' order by id desc`,
    )
    t.match(act, { actor: /^person/, details: { from: 'behind', skipped: { delivery: 3, from: place } } })
    await send([{ code: '2', name: 'b', street: '' }])
    await sender.pass()
    t.notOk(receiver.copy.has('1'))
    t.ok(receiver.copy.has('2'))
    receiver.wrongs.length = 0
    t.match(await it.post(`${path}/replay`, { after: '99.1.0' }), { status: 422 }, 'never ahead')
    t.match(await it.post(`${path}/replay`, { after: 'x' }), { status: 400 })
    t.match(await it.post(`${path}/replay`, { after: place, from: 'beginning' }), { status: 422 })
    receiver.position = place
    t.match(await it.post(`${path}/replay`, { after: place }), { status: 200 })
    await sender.pass()
    t.ok(receiver.copy.has('1'))
    t.match(await it.post(`${path}/replay`, { from: 'beginning' }), { status: 200, body: { place: null } })
    await sender.pass()
    t.equal(receiver.seen.filter(({ begin }) => begin).length, 2)
    t.same(receiver.wrongs, [])
    const before = receiver.position
    await city.as('civil', 'reviewer').put(`/grants/${grantId}/masks`, { masks: { name: { kind: 'hide' } } })
    await sender.pass()
    t.equal(receiver.seen.filter(({ begin }) => begin).length, 3)
    receiver.position = before
    t.match(await it.post(`${path}/replay`, { after: before }), { status: 200 })
    await sender.pass()
    t.equal(receiver.seen.filter(({ begin }) => begin).length, 4, 'a place of a copy that was shown otherwise')
    t.same(receiver.wrongs, [])
    t.match(await it.post(`${path}/end`), { status: 200, body: { state: 'ended' } })
    await send([{ code: '3', name: 'c', street: '' }])
    const sent = receiver.seen.length
    later(1)
    await sender.pass()
    t.equal(receiver.seen.length, sent, 'an ended one is not sent to')
    t.match(await it.post(`${path}/replay`), { status: 422 })
    t.match(await hook(), { state: 'ended' })
  },
)

void t.test('where the log does not reach back any more, the copy begins again', async (t) => {
  const { receiver, sender, send, city, later } = await pushing(t)
  await sender.pass()
  receiver.mood = () => 500
  await send([{ code: '1', name: 'a', street: '' }])
  await sender.pass()
  const rows = [{ code: '2', name: 'b', street: 'x' }]
  await send(rows, 'snapshot')
  t.equal(await openPostgresLog(city.store).trim('villages', { epoch: 10, seq: 3 }), 2)
  receiver.mood = () => 'take'
  later(2)
  await sender.pass()
  const begun = receiver.seen.findLast(({ begin }) => begin)
  t.match(begun, { from: null, delivery: 4 })
  t.same(receiver.rows(), rows)
  t.same(receiver.wrongs, [])
})

void t.test('nothing is sent from the moment that a grant lets nothing flow, even while a connection is made', async (t) => {
  const { receiver, senderOf, send, city, grantId, later } = await pushing(t)
  const { query } = city.store
  await senderOf().pass()
  for (const [name, ending, undo] of [
    ['suspended', `update access_grant set state = 'suspended' where id = $1`, `update access_grant set state = 'active' where id = $1`],
    ['over', `update access_grant set valid_to = '2020-01-01' where id = $1`, `update access_grant set valid_to = null where id = $1`],
    ['secret', `update resource set secrecy = true where $1 <> ''`, `update resource set secrecy = false where $1 <> ''`],
    [
      'masked',
      `update access_grant set masks = '{"provider": {"name": {"kind": "hide"}}, "office": {}}' where id = $1`,
      `update access_grant set masks = '{"provider": {}, "office": {}}' where id = $1`,
    ],
  ] as const) {
    await send([{ code: name, name, street: '' }])
    const sent = receiver.seen.length
    let kept = 0
    const spying: Query = async (text, values) => {
      if (text.includes('with kept as') && ++kept === 2) await query(ending, [grantId])
      return query(text, values)
    }
    const sender = senderOf({ store: { ...city.store, query: spying } })
    if (name !== 'masked') await sender.pass()
    else {
      await sender.pass()
      t.notMatch(JSON.stringify(receiver.seen.slice(sent)), /masked","name":"masked/, 'masked before it was sent')
    }
    t.ok(kept >= 2, 'it was asked again before it was sent')
    if (name !== 'masked') t.equal(receiver.seen.length, sent, name)
    await query(undo, [grantId])
    later(1)
    await senderOf().pass()
    t.equal(receiver.copy.get(name)?.['name'], name, `${name}: it goes on`)
  }
  t.same(receiver.wrongs, [])
})

void t.test('two hubs send for one webhook one after the other, and a killed one’s work is taken up', async (t) => {
  const pushed = await pushing(t)
  const { receiver, senderOf, send, later } = pushed
  const [one, two] = [senderOf(), senderOf()]
  for (let i = 0; i < 5; i++) {
    await send([{ code: `c${i}`, name: 'a', street: '' }])
    await Promise.all([one.pass(), two.pass()])
  }
  t.equal(receiver.mostAtOnce, 1)
  t.equal(receiver.seen.length, receiver.last, 'nothing twice')
  await send([{ code: 'killed', name: 'a', street: '' }])
  await killed(pushed)
  t.ok(receiver.copy.has('killed'))
  await two.pass()
  const before = receiver.seen.length
  later(1)
  await two.pass()
  t.equal(receiver.seen.length, before + 1)
  t.equal(receiver.seen.at(-1)!.delivery, receiver.last, 'the same number again')
  t.same(receiver.wrongs, [])
})

type Pushing = Awaited<ReturnType<typeof pushing>>

/** A hub sends what is due, and is killed when the receiver has the next delivery: it stores nothing any more. */
async function killed({ city, senderOf, receiver }: Pushing): Promise<void> {
  let dead = false
  const mortal = <T>(work: () => Promise<T>) => (dead ? Promise.reject(new Error('killed')) : work())
  receiver.noticed = () => {
    dead = true
    receiver.noticed = () => {}
  }
  const { store } = city
  const sender = senderOf({
    store: {
      query: (text, values) => mortal(() => store.query(text, values)),
      transaction: (work) => mortal(() => store.transaction(work)),
    },
  })
  await sender.pass().catch((error: Error) => {
    if (error.message !== 'killed') throw error
  })
  receiver.noticed = () => {}
}

const code = fc.nat(9).map((n) => `44190000400${n}`)
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('change' as const),
      rows: fc.dictionary(code, fc.option(fc.string({ unit: 'grapheme', maxLength: 4 })), { maxKeys: 8 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('snapshot' as const), codes: fc.uniqueArray(code, { maxLength: 8 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('mask' as const), hide: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('items' as const), street: fc.boolean() }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      moods: fc.array(fc.constantFrom<Mood>('take', 'take', 'lose', 'cut', 'slow', 500, 302), { maxLength: 5 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('kill' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('replay' as const), from: fc.constantFrom('here', 'beginning') }) },
)

void t.test('whatever fails on the way, the copy ends as its source is, and never goes back', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
      const pushed = await pushing(t)
      const { receiver, senderOf, send, city, grantId, it, path, later, hook } = pushed
      const model = new Map(places.map((row) => [row['code']!, row]))
      let [hidden, street] = [false, true]
      const senders = [senderOf({ patience: 300 }), senderOf({ patience: 300 })]
      for (const [i, step] of steps.entries()) {
        const both = () => Promise.all(senders.map((sender) => sender.pass()))
        if (step.do === 'change') {
          const rows = Object.entries(step.rows).map(([code, name]): Row => {
            if (name === null) return { code, $op: 'd' }
            return { code, name, street: `s${i}` }
          })
          if (rows.length > 0) await send(rows)
          for (const row of rows) {
            if (row['$op']) model.delete(row['code']!)
            else model.set(row['code']!, row)
          }
        } else if (step.do === 'snapshot') {
          const rows = step.codes.map((code): Row => ({ code, name: `n${i}`, street: '' }))
          await send(rows, 'snapshot')
          model.clear()
          for (const row of rows) model.set(row['code']!, row)
        } else if (step.do === 'mask') {
          const masks = step.hide ? { name: { kind: 'hide' } } : {}
          t.equal((await city.as('civil', 'reviewer').put(`/grants/${grantId}/masks`, { masks })).status, 200)
          hidden = step.hide
        } else if (step.do === 'items') {
          await city.store.query('update access_grant set items = $2 where id = $1', [grantId, step.street ? ['name', 'street'] : ['name']])
          street = step.street
        } else if (step.do === 'kill') {
          later(2)
          await killed(pushed)
        } else if (step.do === 'replay') await it.post(`${path}/replay`, { from: step.from })
        else {
          const moods = [...step.moods]
          receiver.mood = () => moods.shift() ?? 'take'
          later(2)
          await both()
        }
      }
      receiver.mood = () => 'take'
      for (const pass of [1, 2]) {
        if ((await hook()).state === 'held') t.equal((await it.post(`${path}/replay`)).status, 200)
        later(2 * pass)
        await senderOf().pass()
      }
      const source = [...model.values()]
        .toSorted((a, b) => (a['code']! < b['code']! ? -1 : 1))
        .map(({ code, name, street: at }) => ({ code, name: hidden ? null : name, ...(street && { street: at }) }))
      const [copy, wrongs] = [receiver.rows(), receiver.wrongs]
      if (JSON.stringify(copy) !== JSON.stringify(source)) throw new Error(`copy ${JSON.stringify(copy)}\nsource ${JSON.stringify(source)}`)
      if (wrongs.length > 0) throw new Error(wrongs.join('\n'))
      if (!receiver.complete || receiver.mostAtOnce > 1) throw new Error('not whole, or two at once')
    }),
    { numRuns: Number(process.env['QIANZHI_TEST_RUNS'] ?? 4) },
  )
})
