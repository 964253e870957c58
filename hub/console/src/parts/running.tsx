/** What is under way and waits for others 办理中; and what is to be supplied next, where nothing waits for oneself. */
import { useQuery } from '@tanstack/react-query'
import { Table } from 'antd'
import { Link } from 'react-router'
import { call } from '../api.ts'
import { comma } from '../fields.ts'
import { kinds, roles } from '../meta.ts'
import type { Todo } from '../pages/home.tsx'
import { addressOfCase } from '../places.ts'
import { useSession } from '../session.tsx'
import { t, useWords } from '../words.tsx'
import { Ruler } from './ruler.tsx'
import { StateWord } from './value.tsx'

interface Running extends Todo {
  turn: { role: string; agencyName: string | null }[]
}

const shownAtOnce = 8

export default function RunningMatters() {
  const { say } = useWords()
  const { can } = useSession()
  const { data } = useQuery({
    queryKey: ['cases', 'running'],
    queryFn: ({ signal }) => call<{ items: Running[] }>('case.list', { query: { limit: '50' }, signal }),
    enabled: can('case.list'),
    refetchInterval: 60_000,
  })
  const others = (data?.items ?? []).filter(({ actions }) => actions.length === 0)
  if (others.length === 0) return null
  return (
    <section aria-label={say(t('办理中', 'Under way'))}>
      <h2>
        {say(t('办理中，等其他人', 'Under way, with others'))} <Link to="/cases">{say(t('全部未办结', 'All open cases'))}</Link>
      </h2>
      <Table<Running>
        size="small"
        rowKey={({ kind, id }) => `${kind} ${id}`}
        dataSource={others.slice(0, shownAtOnce)}
        pagination={false}
        columns={[
          {
            title: say(t('事项', 'Case')),
            render: (_, { kind, title, link }) => {
              const words = `${kinds[kind] ? say(kinds[kind]) : kind} · ${title}`
              const address = addressOfCase(link, can)
              return address ? <Link to={address}>{words}</Link> : words
            },
          },
          { title: say(t('状态', 'State')), render: (_, { state, stateName }) => <StateWord state={state} text={say(stateName)} /> },
          {
            title: say(t('轮到', 'Turn of')),
            render: (_, { turn }) =>
              turn.map(({ role, agencyName }) => `${agencyName ?? ''} ${roles[role] ? say(roles[role]) : role}`.trim()).join(say(comma)),
          },
          { title: say(t('期限', 'Deadline')), render: (_, { deadline, urgency }) => <Ruler deadline={deadline} urgency={urgency} /> },
        ]}
      />
    </section>
  )
}

interface Duty {
  id: string
  title: string
  resource: string
  to: string
}

/** The next duties of the agency, where nothing else waits. */
export function NextDuties() {
  const { say } = useWords()
  const { can, everywhere } = useSession()
  const { data } = useQuery({
    queryKey: ['list', 'duty.list', 'next'],
    queryFn: ({ signal }) => call<{ items: Duty[] }>('duty.list', { query: { state: 'running', sort: 'to', limit: '5' }, signal }),
    enabled: can('duty.list') && !everywhere('duty.list'),
  })
  if (!data || data.items.length === 0) return null
  return (
    <>
      <h2>{say(t('接下来要更新的', 'To be supplied next'))}</h2>
      <ul className="plain">
        {data.items.map(({ id, title, resource, to }) => (
          <li key={id}>
            <Link to={`/resources/${encodeURIComponent(resource)}`}>{title}</Link>{' '}
            <span className="muted number">{say(t(`${to} 前`, `by ${to}`))}</span>
          </li>
        ))}
      </ul>
    </>
  )
}
