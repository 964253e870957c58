import t from 'tap'
import { ActiveTables } from '../../agent/active-tables.ts'
import type { AgentConfig } from '../../agent/config/config.ts'
import { supplyFor } from '../../agent/config/tables.ts'
import { StatusBoard } from '../../agent/status/board.ts'
import type { Policy } from '../../protocol/policy.ts'

const sinks = [
  { route: 'r', resource: undefined },
  { route: undefined, resource: 'people' },
  { route: undefined, resource: 'roads' },
].map((sink) => ({ ...sink, database: 'front', table: 't' }))

/** What each sink says where the policy has no route for it. */
function said(stopped: Policy['stopped'], before?: Policy['stopped']) {
  const board = new StatusBoard('0', 'session')
  let policy = before
  const config = { databases: {}, sources: [], sinks } as unknown as AgentConfig
  const none = (): Policy => ({ receive: [], supply: [], ...(policy && { stopped: policy }) }) as unknown as Policy
  const tables = new ActiveTables({ config, board, policy: none, now: () => new Date() })
  if (before) tables.noteUnmatched()
  policy = stopped
  tables.noteUnmatched()
  return [...board.sinks.values()].map(({ fault }) => [fault?.code, fault?.en.replace('Route ', '').replace(/^\S+ gets nothing now: /, '')])
}

const why = (en: string) => ({ reason: { zh: en, en } })

t.test('a sink without a route says why, as the policy does', async (t) => {
  const stopped = [
    { route: 'r2', resource: 'people', ...why('revoked') },
    { route: 'r', resource: 'villages', ...why('suspended'), because: '待核查' },
    { route: 'r1', resource: 'people', ...why('expired') },
  ]
  const expected = (...reasons: string[]) => reasons.map((reason) => ['QZ-ROUTE-ENDED', reason])
  t.same(said(stopped), expected('suspended: 待核查', 'revoked', 'not in the policy'), 'the newest of a resource')
  t.same(said(undefined), expected('not in the policy', 'not in the policy', 'not in the policy'), 'an older hub does not say')
  const later = stopped.map((one) => ({ ...one, ...why('revoked') }))
  t.same(said(later, stopped), expected('revoked: 待核查', 'revoked', 'not in the policy'), 'and when that changes')
  t.same(said(undefined, stopped), expected('suspended: 待核查', 'revoked', 'not in the policy'), 'what was told stays')
})

t.test('a source that may not be supplied says whose turn it is, as the policy does', (t) => {
  const withheld = [{ resource: 'roads', ...why('b supplies it'), next: { zh: '写明 producer', en: 'name the producer' } }]
  const policy = { supply: [], receive: [], withheld } as unknown as Policy
  const said = (resource: string) => t.throws(() => supplyFor(policy, resource)) as { details?: object }
  t.match(said('roads').details, { reason: { en: 'b supplies it' }, next: { en: 'name the producer' } })
  t.match(said('lakes').details, { next: { zh: /编目人员.*登记.*审核人员发布/ } })
  t.end()
})
