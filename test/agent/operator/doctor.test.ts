/** What `doctor` says of routes that get nothing, and what its checks are called. */
import t from 'tap'
import { checkName } from '../../../agent/operator/check-names.ts'
import { failed, policyCheck, stoppedChecks } from '../../../agent/operator/doctor.ts'
import { told } from '../../../agent/status/agent-status.ts'
import { faultOf } from '../../../agent/status/board.ts'
import type { AgentConfig } from '../../../agent/config/config.ts'
import { QianzhiError } from '../../../protocol/errors.ts'
import type { Policy } from '../../../protocol/policy.ts'

const config = { timezone: 'Asia/Shanghai', sinks: [{ resource: 'named', database: 'front' }] } as unknown as AgentConfig
const next = { zh: '由接收单位接受', en: 'the receiver accepts it' }

t.test('a held grant fails the check, one that has ended for good is told: why, since when, what to do', async (t) => {
  const since = '2026-11-29T01:00:00.000Z'
  const stopped = [
    { route: 'r1', resource: 'roads', reason: { zh: '待确认', en: 'held' }, because: '第 2 版', since, next },
    { route: 'r2', resource: 'lakes', reason: { zh: '授权已撤销', en: 'revoked' }, by: '市电子政务办', next, over: true },
    { route: 'r3', resource: 'named', reason: { zh: '待确认', en: 'held' } },
  ]
  t.match(stoppedChecks(config, { stopped } as unknown as Policy), [
    { name: 'route r1', ok: false, zh: '资源 roads 不交付：待确认（2026-11-29 09:00:00）：第 2 版。由接收单位接受' },
    { name: 'route r2', ok: true, en: 'nothing of resource lakes comes: revoked (市电子政务办). Then: the receiver accepts it' },
  ])
  t.equal(stoppedChecks(config, { stopped } as unknown as Policy).length, 2, 'what a sink names has a check of its own')
})

t.test('what is revoked does not come back by itself, in status and in doctor', async (t) => {
  const error = new QianzhiError('QZ-AGENT-REVOKED', { agent: 'a', reason: { zh: '市电子政务办', en: 'by the office' }, next })
  t.ok(failed('hub', error).zh.endsWith('已被撤销（市电子政务办）。由接收单位接受'))
  t.same(told(faultOf(error, '')).remedy, next)
  for (const code of ['QZ-AGENT-REVOKED', 'QZ-ROUTE-ENDED'] as const)
    t.match(told({ code, zh: '', en: '', since: '' }).remedy, { zh: /^不会自动恢复/, en: /^it does not come back/ }, 'of an older hub')
  t.match(told({ code: 'QZ-DB-LOGIN', zh: '', en: '', since: '' }).remedy.zh, /处理后自动恢复$/)
})

t.test('checks have names in both languages; times are of the zone', async (t) => {
  t.same(checkName('front source public.villages'), { zh: 'front 来源 public.villages', en: 'front source public.villages' })
  t.same(checkName('enrolment'), { zh: '登记', en: 'enrolment' })
  t.same(checkName('route r'), { zh: '路由 r', en: 'route r' })
  t.same(checkName('hub version'), { zh: 'hub 版本', en: 'hub version' }, 'of a database that is called so')
  const policy = { serial: 7, expires: '2026-12-24T00:00:00.000Z' } as Policy
  t.equal(policyCheck(policy, new Date('2026-11-29'), 'Asia/Shanghai').zh, '序号 7，有效至 2026-12-24 08:00:00')
})
