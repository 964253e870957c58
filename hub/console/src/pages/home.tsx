import { useInfiniteQuery } from '@tanstack/react-query'
import { Button, Skeleton, Table } from 'antd'
import { lazy, Suspense, useState } from 'react'
import { Link, useNavigate } from 'react-router'
import { call } from '../api.ts'
import { comma } from '../fields.ts'
import { useKeys } from '../keys.ts'
import { acts, kinds, type Text } from '../meta.ts'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { Ruler, type Deadline } from '../parts/ruler.tsx'
import { StateWord } from '../parts/value.tsx'
import { addressOfCase } from '../places.ts'
import { useSession } from '../session.tsx'
import { t, timeText, useWords } from '../words.tsx'

// What waits comes first; the rest is loaded beside it.
const HomeFigures = lazy(() => import('../parts/home-figures.tsx'))
const RunningMatters = lazy(() => import('../parts/running.tsx'))
const NextDuties = lazy(() => import('../parts/running.tsx').then(({ NextDuties }) => ({ default: NextDuties })))

export interface Todo {
  kind: string
  id: string
  link: string | null
  state: string
  stateName: Text
  title: string
  agencyName: string | null
  actions: string[]
  since: string
  days: number
  deadline: (Deadline & { kind: string }) | null
  urgency: string
  reason: Text | null
}

/** What waits for whoever is signed in, the most pressing first: `j` and `k` move, Enter opens. */
export function HomePage() {
  const { say } = useWords()
  const { can } = useSession()
  const navigate = useNavigate()
  const [at, setAt] = useState(0)
  const { data, error, refetch, fetchNextPage, hasNextPage, isFetchingNextPage } = useInfiniteQuery({
    queryKey: ['todo'],
    queryFn: ({ pageParam, signal }) =>
      call<{ items: Todo[]; next: string | null }>('todo.list', { query: { after: pageParam, limit: '50' }, signal }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
    refetchInterval: 60_000,
  })
  const items = data?.pages.flatMap(({ items }) => items) ?? []
  useKeys({
    j: () => setAt(Math.min(at + 1, items.length - 1)),
    k: () => setAt(Math.max(at - 1, 0)),
    Enter: () => {
      const address = addressOfCase(items[at]?.link, can)
      if (address) void navigate(address)
    },
  })
  if (error) return <Failed error={error} again={() => void refetch()} />
  if (!data) return <Waiting />
  return (
    <>
      <Suspense fallback={<Skeleton active title={false} paragraph={{ rows: 1 }} />}>
        <HomeFigures />
      </Suspense>
      <h1>{say(t('待我办理', 'Waiting for me'))}</h1>
      {items.length === 0 ? (
        <>
          <p>
            {say(t('没有等您办理的事项。', 'Nothing waits for you.'))}{' '}
            <Link to="/catalog">{say(t('浏览资源目录', 'Look through the catalog'))}</Link>
          </p>
          <Suspense>
            <NextDuties />
          </Suspense>
        </>
      ) : (
        <Table
          size="small"
          rowKey={({ kind, id }) => `${kind} ${id}`}
          dataSource={items}
          pagination={false}
          rowClassName={(_, index) => (index === at ? 'chosen' : '')}
          columns={[
            {
              title: say(t('事项', 'Case')),
              className: 'title',
              render: (_, todo) => {
                const address = addressOfCase(todo.link, can)
                const words = `${kinds[todo.kind] ? say(kinds[todo.kind]!) : todo.kind} · ${todo.title}`
                return address ? <Link to={address}>{words}</Link> : words
              },
            },
            { title: say(t('来自', 'From')), render: (_, { agencyName }) => agencyName ?? '—' },
            { title: say(t('状态', 'State')), render: (_, todo) => <StateWord state={todo.state} text={say(todo.stateName)} /> },
            {
              title: say(t('收到', 'Since')),
              render: (_, { since, days }) => (
                <span className="nowrap" title={timeText(since)}>
                  {say(days > 0 ? t(`${days} 天前`, `${days} d ago`) : t('今天', 'today'))}
                </span>
              ),
            },
            {
              title: say(t('期限', 'Deadline')),
              render: (_, todo) =>
                todo.deadline ? (
                  <Ruler deadline={todo.deadline} urgency={todo.urgency} />
                ) : (
                  <span className="muted">{todo.reason ? say(todo.reason) : '—'}</span>
                ),
            },
            {
              title: say(t('可办理', 'May be done')),
              render: (_, { actions }) =>
                actions.map((action) => (acts[action] ? say(acts[action]).replace(/\s*[\uff08(].*/, '') : action)).join(say(comma)),
            },
          ]}
        />
      )}
      {hasNextPage && (
        <Button loading={isFetchingNextPage} onClick={() => void fetchNextPage()}>
          {say(t('更多', 'More'))}
        </Button>
      )}
      <Suspense>
        <RunningMatters />
      </Suspense>
    </>
  )
}
