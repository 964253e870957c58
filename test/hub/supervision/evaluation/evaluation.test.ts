import fc from 'fast-check'
import pino from 'pino'
import t from 'tap'
import type { Principal } from '../../../../hub/access/principal.ts'
import { writeWorkbook } from '../../../../protocol/excel/write.ts'
import { writeAudit } from '../../../../hub/records/audit.ts'
import { addAgency } from '../../../../hub/registry/agencies/agencies.ts'
import { grantFlow } from '../../../../hub/registry/grants/grant-workflow.ts'
import { applyEvent } from '../../../../hub/registry/workflow.ts'
import { change } from '../../../../hub/records/registry.ts'
import { publishResource } from '../../../../hub/registry/publishing/direct-publishing.ts'
import { dropDeadline, endDeadline, startDeadline } from '../../../../hub/records/deadlines.ts'
import { explainPeriod } from '../../../../hub/supervision/duties/duties.ts'
import { countFigures, scoreAll, type AgencyFigures, type Figures } from '../../../../hub/supervision/evaluation/figures.ts'
import { evaluationTable } from '../../../../hub/supervision/evaluation/table.ts'
import {
  advise,
  drawUp,
  evaluationDays,
  evaluationLines,
  freeze,
  listEvaluations,
  publish,
  requireEvaluation,
} from '../../../../hub/supervision/evaluation/evaluation.ts'
import { listNotices } from '../../../../hub/records/notices.ts'
import { saveSettings, supervisionSettings } from '../../../../hub/records/settings.ts'
import { superviseOnce } from '../../../../hub/supervision/supervision.ts'
import { enrolled, openOffice, publishedAt, refusal, villages, type Office } from '../../office.ts'

const at = (text: string) => new Date(`${text}+08:00`)
const official: Principal = { actor: 'person 9', person: '9', name: '张三', agency: 'civil', roles: ['office'], via: 'session' }

function supervise(hub: Office): Promise<void> {
  const settings = supervisionSettings()
  return superviseOnce({ store: hub.store, settings, catchUp: async () => {}, logger: pino({ level: 'silent' }), clock: hub.clock })
}

/** Civil supplies monthly and delivers to water; October in time, November explained, December overdue. */
async function openQuarter(test: Pick<typeof t, 'teardown'>): Promise<Office> {
  const hub = await openOffice(test)
  const { query } = hub.store
  const receiver = await enrolled(hub, 'water')
  await publishResource(hub, 'admin', { schema: villages() })
  await publishedAt(hub, 'villages', 'monthly', at('2026-09-29T10:00'))
  await supplied(hub, '2026-10-20', 100, 5000)
  await query(
    `insert into access_grant (id, resource, agency, items, created_at) values
       ('g1', 'villages', 'water', '{name}', $1), ('g2', 'villages', 'water', '{street}', $2)`,
    [at('2026-10-01T00:00'), at('2027-01-02T00:00')],
  )
  await query(`insert into route (id, access_grant, agent, created_at) values ('r1', 'g1', $1, $2)`, [receiver.id, at('2026-10-01T00:00')])
  await query(`insert into delivery_day (route, day, written, deleted) values ('r1', '2026-10-20', 40, 2), ('r1', '2027-01-01', 999, 0)`)
  for (const object of ['a', 'b']) {
    await startDeadline(query, { kind: 'correction', object, agency: 'civil', role: 'reviewer', from: at('2026-11-20T10:00') })
  }
  await endDeadline(query, 'correction', 'a', at('2026-12-01T10:00'))
  await writeAudit(query, { actor: 'person 3', agency: 'water', act: 'query', object: 'villages', details: { rows: 7 } })
  await query(
    `insert into access_grant (id, resource, agency, items, mode, state, created_at) values ('g3', 'villages', 'water', '{name}', 'api', 'revoked', $1)`,
    [at('2027-01-02T00:00')],
  )
  await query(
    `insert into api_usage_day (access_grant, day, requests, rows) values ('g3', '2026-12-31', 3, 200), ('g3', '2027-01-01', 9, 9000), ('g3', '2026-09-30', 9, 9000)`,
  )
  hub.now = at('2026-12-01T10:00')
  await explainPeriod(query, { resource: 'villages', period: '2026-11', declaration: '1', now: at('2026-11-30T10:00') })
  hub.now = at('2027-01-05T10:00')
  await supervise(hub)
  return hub
}

async function supplied({ store }: Office, day: string, changed: number, snapshot: number): Promise<void> {
  await store.query(`insert into supply_day (resource, day, batches, changed_rows, snapshot_rows) values ('villages', $1, 2, $2, $3)`, [
    day,
    changed,
    snapshot,
  ])
}

void t.test('periods of an evaluation', async (t) => {
  t.same(evaluationDays('2026-Q4'), { starts: '2026-10-01', ends: '2026-12-31' })
  t.same(evaluationDays('2028-Q1'), { starts: '2028-01-01', ends: '2028-03-31' })
  t.same(evaluationDays('2026'), { starts: '2026-01-01', ends: '2026-12-31' })
  for (const wrong of ['2026-Q5', '2026-11', '', '1026']) {
    t.equal(await refusal(Promise.resolve().then(() => evaluationDays(wrong))), 'QZ-REQUEST-INVALID')
  }
})

void t.test('quantity, timeliness and use of every agency', async (t) => {
  const hub = await openQuarter(t)
  const { id } = await drawUp(hub, official, '2026-Q4')
  const lines = Object.fromEntries((await evaluationLines(hub.store.query, id)).map((line) => [line.agency, line]))
  const [query] = await hub.store.query<{ at: Date }>(`select at from audit_entry where act = 'query'`)
  const queried = query!.at >= at('2026-10-01T00:00') && query!.at < at('2027-01-01T00:00') ? 1 : 0
  t.same(lines['civil']!.figures, {
    resources: 1,
    items: 4,
    changedRows: 100,
    snapshotRows: 5000,
    dutiesDue: 3,
    dutiesUpdated: 1,
    dutiesExplained: 1,
    dutiesExplainedLate: 0,
    dutiesOverdue: 1,
    correctionsMet: 1,
    correctionsMissed: 1,
    repliesMet: 0,
    repliesMissed: 0,
    otherMet: 0,
    otherMissed: 0,
    grantsGiven: 1,
    grantsTaken: 0,
    routesGiven: 1,
    routesTaken: 0,
    rowsGiven: 42,
    rowsTaken: 0,
    queriesAnswered: 3 + queried,
    queriesMade: 0,
    rowsShown: 200 + 7 * queried,
    rowsRead: 0,
  })
  t.match(lines['water'], {
    figures: {
      resources: 0,
      dutiesDue: 0,
      grantsTaken: 1,
      routesTaken: 1,
      rowsTaken: 42,
      queriesMade: 3 + queried,
      rowsRead: 200 + 7 * queried,
    },
  })
  t.match(lines['civil'], { scores: { quantity: 100, timeliness: 60, use: 100 }, score: 80 })
  t.match(lines['water'], { scores: { quantity: 0, timeliness: null, use: 100 }, score: 60 }, 'by what can be judged')
  t.equal((await hub.store.query(`select 1 from audit_entry where act = 'evaluation.draw-up' and actor = 'person 9'`)).length, 1)
})

const use = fc.record({
  kind: fc.constantFrom('query', 'query', 'api', 'api', 'refused', 'query.purpose', 'recorded'),
  resource: fc.constantFrom('villages', 'wells'),
  taker: fc.constantFrom('civil', 'water', 'health'),
  day: fc.constantFrom('2026-09-30', '2026-10-01', '2026-11-15', '2026-12-31', '2027-01-01'),
  time: fc.constantFrom('00:00:00', '12:00:00', '23:59:59'),
  requests: fc.integer({ min: 1, max: 50 }),
  rows: fc.integer({ min: 0, max: 10_000 }),
})

void t.test('use by query and API is what plain reckoning finds', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(use, { minLength: 30, maxLength: 40 }), async (uses) => {
      const hub = await openOffice(t)
      const { query } = hub.store
      hub.now = at('2026-09-01T10:00')
      await addAgency(hub, 'admin', { code: 'health', name: '卫健局' })
      await publishResource(hub, 'admin', { schema: villages() })
      await publishResource(hub, 'admin', {
        schema: villages((draft) => Object.assign(draft, { resource: 'wells', agency: 'water', title: '井' })),
      })
      await query(`update agency set created_at = $1`, [hub.now])
      const owners = { villages: 'civil', wells: 'water' }
      const expected = new Map(
        ['civil', 'health', 'water'].map((code) => [code, { queriesAnswered: 0, queriesMade: 0, rowsShown: 0, rowsRead: 0 }]),
      )
      const days = new Map<string, [number, number]>()
      for (const { kind, resource, taker, day, time, requests, rows } of uses) {
        const act = { refused: 'query', recorded: 'api' }[kind as string] ?? kind
        if (kind === 'api') {
          const [before, read] = days.get(`${resource} ${taker} ${day}`) ?? [0, 0]
          days.set(`${resource} ${taker} ${day}`, [before + requests, read + rows])
        } else {
          await query(`insert into audit_entry (actor, agency, act, object, outcome, details, at) values ('x', $1, $2, $3, $4, $5, $6)`, [
            taker,
            act,
            resource,
            kind === 'refused' ? 'QZ-DATA-ENDED' : 'done',
            JSON.stringify({ rows, requests }),
            at(`${day}T${time}`),
          ])
        }
        if (!['query', 'api'].includes(kind) || owners[resource] === taker || day < '2026-10-01' || day > '2026-12-31') continue
        const [giver, reader] = [expected.get(owners[resource])!, expected.get(taker)!]
        const counted = kind === 'api' ? requests : 1
        giver.queriesAnswered += counted
        reader.queriesMade += counted
        giver.rowsShown += rows
        reader.rowsRead += rows
      }
      for (const [name, [requests, rows]] of days) {
        const [resource, taker, day] = name.split(' ')
        await query(
          `insert into access_grant (id, resource, agency, items, mode, state, created_at) values ($1, $2, $3, '{name}', 'api', 'revoked', $4) on conflict do nothing`,
          [`${resource} ${taker}`, resource, taker, hub.now],
        )
        await query('insert into api_usage_day (access_grant, day, requests, rows) values ($1, $2, $3, $4)', [
          `${resource} ${taker}`,
          day,
          requests,
          rows,
        ])
      }
      const found = await countFigures(query, '2026-10-01', '2026-12-31')
      for (const [agency, wanted] of expected) {
        const figures = found.find((line) => line.agency === agency)!.figures
        for (const [name, value] of Object.entries(wanted))
          if (figures[name as keyof typeof wanted] !== value)
            throw new Error(`${name} of ${agency}: ${figures[name as keyof typeof wanted]}, not ${value}`)
      }
    }),
    { numRuns: 4 },
  )
  t.pass('the same')
})

void t.test('weights are settings and stand in the table', async (t) => {
  const hub = await openQuarter(t)
  await saveSettings(hub.store, supervisionSettings(), at('2026-09-01T08:00'))
  await saveSettings(hub.store, supervisionSettings({ weights: { timeliness: 100, quantity: 0, use: 0 } }), hub.now)
  const of = async (period: string) => (await drawUp(hub, official, period)).weights
  const [usual, changed] = [supervisionSettings().weights, { timeliness: 100, quantity: 0, use: 0 }]
  t.same(await of('2027-Q1'), changed)
  t.same(await of('2026-Q4'), usual, 'those of its end, whenever it is drawn up')
  t.same(await of('2020'), usual, 'before all of them the first')
  await hub.store.query(`update evaluation_weights set since = $1 where since = $2`, [at('2026-12-31T23:00'), hub.now])
  const { id, weights } = await drawUp(hub, official, '2026')
  t.same(weights, changed)
  t.match(await evaluationLines(hub.store.query, id), [
    { agency: 'civil', score: 50 },
    { agency: 'water', score: null },
  ])
})

void t.test('a period counts as it stood at its end, on whatever day it is counted', async (t) => {
  const hub = await openQuarter(t)
  const { query } = hub.store
  const grant = (event: 'suspend' | 'resume' | 'revoke') =>
    change(hub, (tx, affectedAgents) =>
      applyEvent(grantFlow, event, 'g1', { registry: hub, query: tx, affectedAgents, principal: official, input: { reason: 'x' } }),
    )
  hub.now = at('2026-12-20T10:00')
  await grant('suspend')
  await grant('resume')
  await startDeadline(query, {
    kind: 'rectification',
    object: 'order 1',
    agency: 'civil',
    role: 'reviewer',
    from: hub.now,
    due: '2026-12-31',
  })
  await startDeadline(query, {
    kind: 'rectification',
    object: 'order 2',
    agency: 'civil',
    role: 'reviewer',
    from: hub.now,
    due: '2026-12-30',
  })
  hub.now = at('2027-01-01T00:02')
  await supervise(hub)
  const counted = () => countFigures(query, '2026-10-01', '2026-12-31')
  const first = await counted()
  t.match(
    first.find(({ agency }) => agency === 'civil'),
    { figures: { resources: 1, items: 4, grantsGiven: 1, routesGiven: 1, dutiesExplainedLate: 0, dutiesOverdue: 1, otherMissed: 2 } },
  )
  for (const [what, later] of Object.entries<() => Promise<unknown>>({
    'explained late': () => explainPeriod(query, { resource: 'villages', period: '2026-12', declaration: '2', now: hub.now }),
    'deadlines ended, or dropped': async () => {
      await endDeadline(query, 'rectification', 'order 1', hub.now)
      await dropDeadline(query, 'rectification', 'order 2', hub.now)
    },
    'more items': () =>
      publishResource(hub, 'admin', {
        schema: villages(({ items }) =>
          items.push({ id: 'more', name: 'more', label: '更多', type: 'text', length: 9, openness: 'public' }),
        ),
      }),
    'another resource': () =>
      publishResource(hub, 'admin', { schema: villages((draft) => Object.assign(draft, { resource: 'new', title: '新' })) }),
    'its grant suspended': () => grant('suspend'),
    'its grant revoked': () => grant('revoke'),
    'another agency': () => addAgency(hub, 'admin', { code: 'new', name: '新单位' }),
    'the resource withdrawn': () => query(`update resource set state = 'withdrawn', withdrawn_at = $1`, [hub.now]),
  })) {
    hub.now = new Date(hub.now.getTime() + 5 * 86_400_000)
    await later()
    await supervise(hub)
    t.same(await counted(), first, what)
  }
})

void t.test('what is frozen never changes, although data do', async (t) => {
  const hub = await openQuarter(t)
  const { query } = hub.store
  const { id } = await drawUp(hub, official, '2026-Q4')
  await supplied(hub, '2026-12-30', 7, 0)
  await drawUp(hub, official, '2026-Q4')
  const drawn = await evaluationLines(query, id)
  t.equal(drawn[0]!.figures.changedRows, 107, 'a draft follows the data')
  t.match(await freeze(hub, official, id), { state: 'frozen', frozenAt: hub.now })

  await supplied(hub, '2026-12-31', 1_000_000, 0)
  await query(`update agency set name = '别名' where code = 'civil'`)
  await query(`insert into agency (code, name) values ('new', '新单位')`)
  t.equal(await refusal(drawUp(hub, official, '2026-Q4')), 'QZ-STATE')
  t.equal(await refusal(freeze(hub, official, id)), 'QZ-STATE')
  t.same(await evaluationLines(query, id), drawn)
  for (const sql of [
    `update evaluation_line set score = 100`,
    'delete from evaluation_line',
    'truncate evaluation_line',
    `insert into evaluation_line (evaluation, agency, agency_name, figures, scores) select id, 'x', 'x', '{}', '{}' from evaluation`,
    `update evaluation set state = 'draft'`,
    `update evaluation set weights = '{}'`,
    'delete from evaluation',
  ]) {
    await t.rejects(query(sql), /a frozen evaluation never changes/, sql)
  }
  t.same(await evaluationLines(query, id), drawn)
})

void t.test('frozen is only what was over when it was drawn up, and judged', async (t) => {
  const hub = await openQuarter(t)
  hub.now = at('2026-12-31T23:59')
  const { id } = await drawUp(hub, official, '2026-Q4')
  hub.now = at('2027-01-05T10:00')
  t.equal(await refusal(freeze(hub, official, id)), 'QZ-RULE')
  await hub.store.query(`update setting set value = '2026-12-30' where key = 'duties_judged_to'`)
  await drawUp(hub, official, '2026-Q4')
  t.equal(await refusal(freeze(hub, official, id)), 'QZ-RULE', 'the last day is not judged')
  await supervise(hub)
  await drawUp(hub, official, '2026-Q4')
  t.match(await freeze(hub, official, id), { state: 'frozen' })

  const idle = await openOffice(t)
  idle.now = at('2026-12-31T23:59')
  const early = await drawUp(idle, official, '2026-Q4')
  idle.now = at('2027-01-05T10:00')
  t.equal(await refusal(freeze(idle, official, early.id)), 'QZ-RULE', 'also where nothing is to be judged')
})

void t.test('advice is written until publication, which everybody is told of', async (t) => {
  const hub = await openQuarter(t)
  const { query } = hub.store
  const { id } = await drawUp(hub, official, '2026-Q4')
  t.equal(await refusal(publish(hub, official, id)), 'QZ-STATE', 'a draft')
  await freeze(hub, official, id)
  await advise(hub, official, id, 'civil', '请按月更新村居名录')
  await advise(hub, official, id, 'water', '写错了')
  await advise(hub, official, id, 'water', '')
  t.equal(await refusal(advise(hub, official, id, 'none', 'x')), 'QZ-NOT-FOUND')
  t.same((await listEvaluations(query, true, {})).items, [])
  t.match(await publish(hub, official, id), { state: 'published', publishedAt: hub.now })
  t.match((await listEvaluations(query, true, {})).items, [{ id, period: '2026-Q4' }])
  t.equal(await refusal(advise(hub, official, id, 'civil', 'x')), 'QZ-STATE')
  t.equal(await refusal(publish(hub, official, id)), 'QZ-STATE')
  t.same(
    (await evaluationLines(query, id)).map(({ agency, advice }) => [agency, advice]),
    [
      ['civil', '请按月更新村居名录'],
      ['water', null],
    ],
  )
  t.match((await listNotices(query, { person: '5', agency: 'water', roles: ['registrar'] })).items, [{ kind: 'evaluation-published' }])
  t.equal(await refusal(requireEvaluation(query, '99')), 'QZ-NOT-FOUND')
  t.equal(await refusal(requireEvaluation(query, 'x')), 'QZ-NOT-FOUND')
})

void t.test('the table has both languages and every figure beside the score, and makes a workbook', async (t) => {
  const hub = await openQuarter(t)
  const { id } = await drawUp(hub, official, '2026-Q4')
  await advise(hub, official, id, 'civil', '=1+1')
  const { title, columns, rows } = await evaluationTable(hub.store.query, id)
  t.match(title, { zh: /2026-Q4/, en: /2026-Q4/ })
  t.ok(columns.every(({ zh, en }) => /[\u4e00-\u9fff]/.test(zh) && /^[\w ()-]+$/.test(en)))
  t.ok(rows.every((row) => row.length === columns.length))
  const of = (en: string) => rows[0]![columns.findIndex((column) => column.en === en)]
  t.same(
    [of('Agency'), of('Rows delivered to others'), of('Timeliness score (weight 50)'), of('Score'), of('Advice')],
    ['民政局', '42', '60', '80', '=1+1'],
  )
  const sheet = { name: title.zh, columns: columns.map(({ zh, format }) => ({ header: zh, format })), rows }
  t.ok((await writeWorkbook({ sheets: [sheet] })).length > 1000)
})

void t.test('scores: best and worst, large and small', async (t) => {
  const line = (agency: string, more: Partial<Figures>): AgencyFigures => ({ agency, name: agency, figures: { ...noFigures, ...more } })
  const scored = (lines: AgencyFigures[]) =>
    scoreAll(lines, { quantity: 20, timeliness: 50, use: 30 }).map(({ scores, score }) => [scores, score])
  t.same(scored([line('a', {})]), [[{ quantity: null, timeliness: null, use: null }, null]], 'nothing to judge')
  t.match(scored([line('a', { resources: 10, changedRows: 1e9 }), line('b', { resources: 5, changedRows: 1e4 })]), [
    [{ quantity: 100 }, 100],
    [{ quantity: 47.2 }, 47.2],
  ])
  t.match(scored([line('a', { rowsShown: 1e6 }), line('b', { rowsRead: 1e3 })]), [[{ use: 100 }], [{ use: 50 }]])
  t.match(scored([line('a', { dutiesDue: 4, dutiesUpdated: 2, dutiesExplained: 1, dutiesOverdue: 1, repliesMet: 1 })]), [
    [{ timeliness: 80 }, 80],
  ])
  t.match(scored([line('a', { dutiesDue: 1, dutiesExplainedLate: 1 })]), [[{ timeliness: 0 }, 0]])
})

const noFigures: Figures = {
  resources: 0,
  items: 0,
  changedRows: 0,
  snapshotRows: 0,
  dutiesDue: 0,
  dutiesUpdated: 0,
  dutiesExplained: 0,
  dutiesExplainedLate: 0,
  dutiesOverdue: 0,
  correctionsMet: 0,
  correctionsMissed: 0,
  repliesMet: 0,
  repliesMissed: 0,
  otherMet: 0,
  otherMissed: 0,
  grantsGiven: 0,
  grantsTaken: 0,
  routesGiven: 0,
  routesTaken: 0,
  rowsGiven: 0,
  rowsTaken: 0,
  queriesAnswered: 0,
  queriesMade: 0,
  rowsShown: 0,
  rowsRead: 0,
}
