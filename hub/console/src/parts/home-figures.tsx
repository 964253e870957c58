/** What whoever signs in looks at first: some figures of their role, each leading to the list that it counts. */
import { useQueries } from '@tanstack/react-query'
import { Link } from 'react-router'
import { call } from '../api.ts'
import type { Text } from '../meta.ts'
import { useSession } from '../session.tsx'
import { t, timeText, useWords } from '../words.tsx'
import type { Total } from './filter.tsx'

type Line = Readonly<Record<string, unknown>>

interface Figure {
  name: Text
  of: readonly string[]
  /** The list, and its filter. */
  list: string
  asked: Readonly<Record<string, string>>
  path: string
  /** What more than none is: to be looked at, or nothing of the kind. */
  calls?: true
  /** Of its answer, where it is not how many lines there are. */
  count?: (answer: { items: readonly Line[] }) => number
}

const today = () => timeText(new Date().toISOString()).slice(0, 10)
const agencyPeople = ['registrar', 'reviewer', 'user', 'agency-it']

/** In the order in which they matter; the first four that somebody's roles have. */
const figures = (): readonly Figure[] => [
  { name: t('待审批的共享申请', 'Applications to decide'), of: ['office'], list: 'application.list', asked: { state: 'reviewing' }, path: 'applications' },
  { name: t('逾期的更新义务', 'Overdue duties'), of: ['office', 'supervisor', 'registrar', 'reviewer'], list: 'duty.list', asked: { state: 'overdue' }, path: 'duties', calls: true },
  { name: t('停住的链路', 'Held lines'), of: ['office', ...agencyPeople], list: 'line.list', asked: { state: 'held' }, path: 'lines', calls: true },
  {
    name: t('今日交换行数', 'Rows delivered today'),
    of: ['office'],
    list: 'statistics.delivery',
    asked: { by: 'day', from: today(), to: today() },
    path: 'statistics?what=delivery',
    count: ({ items }) => items.reduce((sum, line) => sum + Number(line['written'] ?? 0) + Number(line['deleted'] ?? 0), 0),
  },
  { name: t('超时的办理', 'Missed deadlines'), of: ['supervisor'], list: 'deadline.list', asked: { state: 'missed' }, path: 'deadlines', calls: true },
  { name: t('未办结的责令改正', 'Open orders'), of: ['supervisor', 'secrecy'], list: 'order.list', asked: { state: 'issued,answered,transferred' }, path: 'orders' },
  { name: t('停止共享的资源', 'Stopped resources'), of: ['secrecy'], list: 'resource.list', asked: { state: 'suspended' }, path: 'resources' },
  { name: t('待处理的报告', 'Reports to settle'), of: ['government'], list: 'declaration.list', asked: { state: 'reported,delegated,escalated' }, path: 'declarations' },
  { name: t('我的资源', 'My resources'), of: ['registrar', 'reviewer'], list: 'resource.list', asked: { state: 'active' }, path: 'resources' },
  { name: t('办理中的申请', 'Applications under way'), of: ['user', 'reviewer'], list: 'application.list', asked: { state: 'returned,consulting,reviewing' }, path: 'applications' },
  { name: t('有效的授权', 'Grants in force'), of: ['user'], list: 'grant.list', asked: { state: 'active' }, path: 'grants' },
  { name: t('在用的前置机', 'Machines in use'), of: ['agency-it'], list: 'agent.list', asked: { state: 'active' }, path: 'agents' },
  { name: t('待激活的人员', 'People not activated'), of: ['system-admin'], list: 'person.list', asked: { state: 'invited' }, path: 'people' },
  { name: t('在用的人员', 'Active people'), of: ['system-admin', 'security-admin'], list: 'person.list', asked: { state: 'active' }, path: 'people' },
  { name: t('停用的人员', 'Disabled people'), of: ['security-admin'], list: 'person.list', asked: { state: 'disabled' }, path: 'people' },
  { name: t('登录会话', 'Sessions'), of: ['security-admin'], list: 'session.list', asked: {}, path: 'sessions' },
  { name: t('今日审计记录', 'Audit entries today'), of: ['audit-admin'], list: 'audit.list', asked: { from: today() }, path: 'audit' },
  { name: t('今日被拒绝的操作', 'Refused today'), of: ['audit-admin'], list: 'audit.list', asked: { outcome: 'refused', from: today() }, path: 'audit', calls: true },
] // prettier-ignore

export default function HomeFigures() {
  const { say } = useWords()
  const { me, can } = useSession()
  const own = figures()
    .filter(({ of, list }) => of.some((role) => me.roles.includes(role)) && can(list))
    .slice(0, 4)
  const answers = useQueries({
    queries: own.map(({ list, asked, count }) => ({
      queryKey: ['list', list, 'figure', asked],
      queryFn: ({ signal }: { signal: AbortSignal }) =>
        call<{ items: readonly Line[]; total: Total }>(list, { query: count ? asked : { ...asked, limit: '1' }, signal }),
      refetchInterval: 60_000,
    })),
  })
  if (own.length === 0) return null
  return (
    <section aria-label={say(t('概况', 'At a glance'))}>
      <dl className="glance">
        {own.map((figure, at) => {
          const { data, error } = answers[at]!
          const shown = error ? '—' : data && (figure.count?.(data) ?? `${data.total.count}${data.total.more ? '+' : ''}`)
          const address = `/${figure.path}${figure.count ? '' : `?${new URLSearchParams(figure.asked).toString()}`}`
          const calls = figure.calls && shown !== '0' && shown !== '—' && shown !== undefined
          return (
            <div key={figure.name.en}>
              <dt>{say(figure.name)}</dt>
              <dd className={calls ? 'number calls' : 'number'}>
                <Link to={address}>
                  {calls && <span aria-hidden="true">▲ </span>}
                  {shown ?? '…'}
                </Link>
              </dd>
            </div>
          )
        })}
      </dl>
    </section>
  )
}
