/** Pages of the audit cost what they hold, however many entries there are: an index gives their order, and none of them is sorted. */
import t from 'tap'
import { listAudit } from '../../../../hub/supervision/audit/list.ts'
import type { Query } from '../../../../hub/store/store.ts'
import { openOffice } from '../../office.ts'

t.test('an index gives the order of a page, also of one far behind, and what is looked for', async (t) => {
  const { store } = await openOffice(t)
  await store.query(
    `insert into audit_entry (at, actor, agency, ip, act, object, outcome)
     select timestamptz '2026-11-01T00:00+08' + n / 3 * interval '1 second', 'person ' || n % 7, 'a' || n % 50, '10.0.0.' || n % 90, 'act.' || n % 5, 'object ' || n % 100,
       case when n % 40 = 0 then 'QZ-FORBIDDEN' else 'done' end
     from generate_series(1, 2000) n`,
  )
  await store.query('analyze audit_entry')
  /** The plans of a page, where sorting is to be avoided by all means. */
  const planned: string[] = []
  const query = ((text: string, values?: unknown[]) =>
    store.transaction(async (inner) => {
      await inner('set local enable_sort = off')
      await inner('set local enable_seqscan = off')
      const plan = await inner<{ 'QUERY PLAN': string }>(`explain ${text}`, values)
      if (!text.includes('count(*)')) planned.push(plan.map((line) => line['QUERY PLAN']).join('\n'))
      return inner(text, values)
    })) as Query
  const first = await listAudit({ query }, { limit: '30' })
  const looks = [{}, { agency: 'a7' }, { ip: '10.0.0.9' }, { outcome: 'refused' }, { outcome: 'QZ-FORBIDDEN' }, { actor: 'person 3' }]
  for (const asked of looks) {
    planned.length = 0
    const page = await listAudit({ query }, { ...asked, after: first.next!, limit: '5' })
    t.equal(page.items.length, 5)
    const plan = planned.join()
    t.notMatch(plan, /Sort/, JSON.stringify(asked))
    const index = { agency: 'agency', ip: 'ip', outcome: 'refused', actor: 'actor' }[Object.keys(asked)[0]!] ?? 'at'
    t.match(plan, new RegExp(`audit_entry_${index}`))
  }
})

t.test('for a text each page looks through so many entries, and the next one goes on behind them', async (t) => {
  const { store } = await openOffice(t)
  await store.query(
    `insert into audit_entry (at, actor, act, object, outcome) select timestamptz '2026-11-01T00:00+08' + n / 4 * interval '1 hour', 'person 1',
       'act', case when n % 37 = 0 then 'needle' else 'hay' end, 'done' from generate_series(1, 300) n`,
  )
  for (const more of [{}, { from: '2026-11-02', to: '2026-11-03' }]) {
    const where = Object.keys(more).length > 0 ? `at >= '2026-11-02T00:00+08' and at < '2026-11-04T00:00+08'` : 'true'
    for (const sort of ['-at', 'at']) {
      const seen: string[] = []
      let [pages, empty] = [0, 0]
      for (let after: string | null | undefined; after !== null; pages++) {
        const page = await listAudit(store, { ...more, text: 'NEEDLE', sort, limit: '2', ...(after && { after }) }, 20)
        seen.push(...page.items.map(({ id }) => id))
        if (page.items.length === 0) empty++
        if (page.next !== null) t.equal(page.total.more, true)
        after = page.next
      }
      const plain = await store.query<{ id: string }>(`select id from audit_entry where object = 'needle' and ${where} order by at ${sort === '-at' ? 'desc' : ''}, id ${sort === '-at' ? 'desc' : ''}`) // prettier-ignore
      t.same(
        seen,
        plain.map(({ id }) => id),
        `${where} ${sort}`,
      )
      t.ok(empty > 0 && pages > seen.length / 2, 'some found none in theirs')
    }
  }
})

t.test('page after page they are all, in order, whatever is looked for', async (t) => {
  const { store } = await openOffice(t)
  await store.query(
    `insert into audit_entry (at, actor, agency, act, object, outcome) select timestamptz '2026-11-01T00:00+08' + n / 4 * interval '1 microsecond', 'person ' || n % 3,
       case when n % 3 > 0 then 'a' || n % 2 end, 'act.' || n % 2, 'object', case when n % 5 = 0 then 'QZ-RULE' else 'done' end from generate_series(1, 300) n`,
  )
  for (const [asked, where] of [
    [{}, 'true'],
    [{ agency: 'a1' }, `agency = 'a1'`],
    [{ outcome: 'refused' }, `outcome <> 'done'`],
    [{ outcome: 'done', actor: 'person 1' }, `outcome = 'done' and actor = 'person 1'`],
  ] as const) {
    for (const sort of ['-at', 'at']) {
      const seen: string[] = []
      for (let after: string | null | undefined; after !== null;) {
        const page = await listAudit(store, { ...asked, sort, limit: '17', ...(after && { after }) })
        seen.push(...page.items.map(({ id }) => id))
        after = page.next
      }
      const down = sort === '-at' ? 'desc' : ''
      const plain = await store.query<{ id: string }>(`select id from audit_entry where ${where} order by at ${down}, id ${down}`)
      t.same(
        seen,
        plain.map(({ id }) => id),
        `${where} ${sort}`,
      )
    }
  }
})
