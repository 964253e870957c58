import { readText, same, type LocalizedText } from '../../protocol/localized.ts'
import type { RouteStop } from '../../protocol/policy.ts'
import type { Actor } from '../../protocol/errors.ts'
import { flowsSql } from './supply.ts'

interface Ending {
  name: LocalizedText
  who: Actor
  /** What whoever must act does. */
  next: LocalizedText
  /** It never goes on: only something new takes its place. */
  over?: true
}

/** What is to be done for a grant that has ended for good. */
export const applyAnew: LocalizedText = {
  zh: '不会自动恢复：仍需要数据的，由接收单位使用人员重新申请共享；有疑问的，询问市电子政务办',
  en: 'it does not come back by itself: a user of the receiving agency applies anew where the data is still needed, or asks the office',
}
const anew: Pick<Ending, 'who' | 'next' | 'over'> = { who: 'receiver', next: applyAnew, over: true }

/** Why a route gets nothing: states of its grant and of its resource, and what is no state. */
const endings: Record<string, Ending> = {
  suspended: {
    name: { zh: '已暂停', en: 'suspended' },
    who: 'office',
    next: { zh: '由市电子政务办决定恢复或撤销；恢复后自动继续', en: 'the office resumes or revokes it; resumed, it goes on by itself' },
  },
  stopped: {
    name: { zh: '资源已被保密叫停', en: 'stopped for secrecy' },
    who: 'office',
    next: { zh: '由保密监督员解除；解除后自动继续', en: 'the secrecy supervisor releases the resource; then it goes on by itself' },
  },
  held: {
    name: { zh: '待接收方确认新版本', en: 'held' },
    who: 'receiver',
    next: {
      zh: '由接收单位使用人员在“已获授权”中接受新版本，或放弃；接受后自动继续',
      en: 'a user of the receiving agency accepts the new version among its grants, or gives the grant up; accepted, it goes on by itself',
    },
  },
  revoked: { name: { zh: '授权已撤销', en: 'revoked' }, ...anew },
  expired: { name: { zh: '授权已到期', en: 'expired' }, ...anew },
  'given-up': { name: { zh: '接收方已放弃', en: 'given up' }, ...anew },
  withdrawn: {
    name: { zh: '资源已撤销', en: 'withdrawn' },
    who: 'provider',
    next: {
      zh: '不会自动恢复：仍需要数据的，向提供单位询问，或提出目录外需求',
      en: 'it does not come back by itself: ask the provider, or make a demand where the data is still needed',
    },
    over: true,
  },
  'not shared': {
    name: { zh: '资源已不予共享', en: 'the resource is not shared any more' },
    who: 'provider',
    next: {
      zh: '向提供单位询问；重新共享后另行申请',
      en: 'ask the provider; where it is shared again, apply anew',
    },
    over: true,
  },
  'not granted': { name: { zh: '未授权', en: 'not granted' }, ...anew },
}

/** The state of a grant or resource that ends a route, for people. */
export function endingOf(state: string): LocalizedText {
  return endings[state]?.name ?? same(state)
}

/** What ends a route, as it is read: `stoppedSql` gives it. */
export interface StopRow {
  ended: string | null
  reason: string | null
  since: Date | null
  by: string | null
}

/** Why a route gets nothing, for whoever receives it. */
export function routeStop(ended: string, { reason, since, by }: Omit<StopRow, 'ended'>): RouteStop {
  const { name, next, over } = endings[ended] ?? { name: same(ended), ...anew }
  return {
    reason: name,
    ...(reason !== null && { because: readText(reason) }),
    ...(since && { since: since.toISOString() }),
    ...(by !== null && { by }),
    next,
    ...(over && { over }),
  }
}

/** Whose turn it is where a route is stopped. */
export function actorOf(ended: string): Actor {
  return endings[ended]?.who ?? 'office'
}

/** SQL: why a resource `r` that is not active gives nothing. */
export const resourceEnding = `case r.state when 'suspended' then 'stopped' else r.state end`

/** SQL: of route t of agent a, its grant g and resource r: the state that ends it, whatever the time is; and what was written as the reason. */
export const endedSql = `case when g.state <> 'active' then g.state when r.state <> 'active' then ${resourceEnding}
      when not ${flowsSql} then 'not shared' when g.mode <> 'exchange' or g.agency <> a.agency then 'not granted' end`
const becauseSql = `case when g.state = 'active' and r.state <> 'active' then r.stop_reason else g.reason end`

/** SQL: the columns of `StopRow` but `ended`, and the join that they need. */
export const stoppedSql = `${becauseSql} as reason, stop.at as since, stop.by`
export const stoppedJoin = `left join lateral (
    select h.at, (select name from agency where code = h.agency) as by from history h
    where g.state <> 'active' and h.workflow = 'grant' and h.object = g.id and h.to_state = g.state and h.from_state is distinct from h.to_state
    order by h.id desc limit 1) stop on true`
