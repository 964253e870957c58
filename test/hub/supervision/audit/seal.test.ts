import { Readable } from 'node:stream'
import t from 'tap'
import { generateSigningKey } from '../../../../protocol/signature.ts'
import { writeAudit } from '../../../../hub/records/audit.ts'
import { openStore } from '../../../../hub/store/store.ts'
import { openExport } from '../../../../hub/supervision/audit/export.ts'
import { addDays, dayOf } from '../../../../hub/records/calendar.ts'
import { listAudit } from '../../../../hub/supervision/audit/list.ts'
import { auditProblems } from '../../../../hub/supervision/audit/health.ts'
import { seal } from '../../../../hub/supervision/audit/sealer.ts'
import { verifyExport } from '../../../../hub/supervision/audit/verify.ts'
import { openOffice, refusal, type Office } from '../../office.ts'

const hubKey = generateSigningKey()

interface Sealed {
  seq: string
  entry: string
  object: string
}

function sealed({ store }: Office): Promise<Sealed[]> {
  return store.query<Sealed>('select s.seq, s.entry, e.object from audit_seal s join audit_entry e on e.id = s.entry order by s.seq')
}

function act(object: string, more: object = {}) {
  return { actor: 'admin', act: 'test', object, ...more }
}

async function verified(office: Office, range = {}) {
  const text = (await Readable.from(await openExport(office.store, hubKey, range, office.clock)).toArray()).join('')
  return verifyExport(
    Readable.from(
      text
        .split('\n')
        .slice(0, -1)
        .map((line) => Buffer.from(line)),
    ),
    { hubKey: hubKey.publicKey },
  )
}

t.test('entries are sealed in turns, the chain goes on where it was', async (t) => {
  const office = await openOffice(t)
  const first = await seal(office.store)
  t.equal(first?.seq, 2, 'the two agencies')
  t.same(await seal(office.store), first, 'nothing new')
  for (let i = 0; i < 3; i++) await writeAudit(office.store.query, act(`${i}`))
  const second = await seal(office.store)
  t.equal(second?.seq, 5)
  t.same(
    (await sealed(office)).map(({ seq, object }) => `${seq} ${object}`),
    ['1 civil', '2 water', '3 0', '4 1', '5 2'],
  )
  t.same(await office.store.query('select from audit_unsealed'), [])
  t.match(await verified(office), { count: 5, head: second })
  t.match(await verified(office, { from: 3, to: 4 }), { from: 3, to: 4, prev: first!.hash })
  t.equal(await refusal(openExport(office.store, hubKey, { from: 6 }, office.clock)), 'QZ-NOT-FOUND')
})

t.test('more than one turn takes at once', async (t) => {
  const office = await openOffice(t)
  await office.store.query(
    `insert into audit_entry (actor, act, object, outcome) select 'admin', 'test', n::text, 'done' from generate_series(1, 4999) n`,
  )
  t.equal((await seal(office.store))?.seq, 5001)
  t.match(await verified(office), { count: 5001 })
})

t.test('an entry that commits late is sealed when it shows', async (t) => {
  const office = await openOffice(t)
  const late = await office.store.pool.connect()
  t.teardown(() => late.release())
  await late.query('begin')
  await writeAudit(async (text, values) => (await late.query(text, values as unknown[])).rows as never, act('late'))
  await writeAudit(office.store.query, act('after'))
  await seal(office.store)
  await late.query('commit')
  t.equal((await seal(office.store))?.seq, 4)
  const found = await sealed(office)
  t.same(
    found.slice(2).map(({ object }) => object),
    ['after', 'late'],
  )
  t.ok(BigInt(found[3]!.entry) < BigInt(found[2]!.entry), 'although its id is the earlier one')
  await office.store
    .transaction(async (query) => {
      await writeAudit(query, act('rolled back'))
      throw new Error('changed my mind')
    })
    .catch(() => {})
  t.equal((await seal(office.store))?.seq, 4, 'one that never was leaves no gap')
  t.match(await verified(office), { count: 4 })
})

t.test('many writers, several sealers at once in two processes: one chain, everything in it once', async (t) => {
  const office = await openOffice(t)
  const other = await openStore(office.store.url)
  t.teardown(() => other.close())
  const written = new AbortController()
  const sealing = [office.store, office.store, other].map(async (store) => {
    while (!written.signal.aborted) await seal(store)
  })
  const writers = Array.from({ length: 4 }, async (_, writer) => {
    for (let n = 0; n < 100; n++) {
      await office.store.transaction(async (query) => {
        await writeAudit(query, act(`${writer}.${n}`))
        if (n % 10 === 0) await query('select pg_sleep(0.01)')
      })
    }
  })
  await Promise.all(writers)
  written.abort()
  await Promise.all(sealing)
  t.equal((await seal(other))?.seq, 402)
  t.equal(new Set((await sealed(office)).map(({ entry }) => entry)).size, 402)
  t.match(await verified(office), { count: 402 })
})

t.test('an entry that was altered in the store shows in the export', async (t) => {
  const office = await openOffice(t)
  await seal(office.store)
  await office.store.query('alter table audit_entry disable trigger insert_only')
  await office.store.query(`update audit_entry set object = 'somebody' where object = 'civil'`)
  await t.rejects(verified(office), { code: 'QZ-AUDIT-ALTERED', details: { line: 1, seq: 1 } })
})

t.test('entries that nobody seals are an alarm', async (t) => {
  const office = await openOffice(t)
  t.same(await auditProblems(office.store.query), [], 'not yet')
  await seal(office.store)
  await office.store.query(
    `insert into audit_entry (at, actor, act, object, outcome) values (now() - interval '2 minutes', 'admin', 'test', 'x', 'done')`,
  )
  t.match(await auditProblems(office.store.query), [{ code: 'QZ-HEALTH-AUDIT-UNSEALED', zh: /12\d 秒/, en: /12\d s/ }])
  await seal(office.store)
  t.same(await auditProblems(office.store.query), [])
})

t.test('what a caller sent cannot keep an act off the record', async (t) => {
  const office = await openOffice(t)
  const details = { name: 'a\0b\ud800', deep: [{ x: '\0' }], big: 1e300, nothing: null }
  await writeAudit(office.store.query, act('z\0', { details, agency: 'civil', via: 'session', ip: '::1' }))
  await writeAudit(office.store.query, { actor: 'agent-1', act: 'test', object: 'y' })
  const [second, first] = (await listAudit(office.store, { limit: '2' })).items
  t.match(first, { actor: 'admin', agency: 'civil', via: 'session', ip: '::1', object: 'z\ufffd', outcome: 'done', seq: null })
  t.same(first!.details, { name: 'a\ufffdb\ufffd', deep: [{ x: '\ufffd' }], big: 1e300, nothing: null })
  t.match(second, { via: null, agency: null, ip: null })
  await seal(office.store)
  t.match(await verified(office), { count: 4 })
})

t.test('lists are newest first, filtered, and go on page by page', async (t) => {
  const office = await openOffice(t)
  for (let n = 1; n <= 5; n++) await writeAudit(office.store.query, act(n % 2 ? 'odd' : 'even', { actor: `person ${n}`, details: { n } }))
  await seal(office.store)
  await writeAudit(office.store.query, act('odd', { act: 'other', details: { n: 6 } }))
  const list = async (asked: Parameters<typeof listAudit>[1]) =>
    (await listAudit(office.store, asked)).items.map(({ details }) => details['n'])
  t.same(await list({ act: 'test' }), [5, 4, 3, 2, 1])
  t.same(await list({ object: 'odd' }), [6, 5, 3, 1])
  t.same(await list({ actor: 'person 4' }), [4])
  t.same(await list({ object: 'odd', act: 'test', limit: '2' }), [5, 3])
  const pages: unknown[] = []
  for (let after: string | undefined; ;) {
    const { items, next, total } = await listAudit(office.store, { limit: '3', after })
    t.same(total, { count: 8, more: false })
    pages.push(items.map(({ seq }) => seq))
    if (next === null) break
    after = next
  }
  t.same(pages, [
    [null, 7, 6],
    [5, 4, 3],
    [2, 1],
  ])
  const { items: all } = await listAudit(office.store, {})
  t.match(all[0]!.at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
  const day = dayOf(new Date(all[0]!.at))
  t.same(await list({ act: 'test', from: addDays(day, 1) }), [])
  t.same(await list({ act: 'test', to: addDays(day, -1) }), [])
  t.equal((await list({ from: day, to: day })).length, 8)
})
