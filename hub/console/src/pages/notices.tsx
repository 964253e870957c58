import { useInfiniteQuery, useQueryClient } from '@tanstack/react-query'
import { Button } from 'antd'
import { Link } from 'react-router'
import { call } from '../api.ts'
import type { Text } from '../meta.ts'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { placeOfKind } from '../places.ts'
import { t, timeText, useWords } from '../words.tsx'

interface Notice {
  id: string
  at: string
  kindName: Text
  object: { kind: string; id: string; title: string | null }
  zh: string
  en: string
  read: boolean
}

export default function NoticesPage() {
  const { say } = useWords()
  const client = useQueryClient()
  const { data, error, refetch, fetchNextPage, hasNextPage } = useInfiniteQuery({
    queryKey: ['notices'],
    queryFn: ({ pageParam }) => call<{ items: Notice[]; next: string | null }>('notice.list', { query: { after: pageParam } }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
  })
  if (error) return <Failed error={error} again={() => void refetch()} />
  if (!data) return <Waiting />
  const notices = data.pages.flatMap(({ items }) => items)
  const read = async (which: { object?: { kind: string; id: string } }) => {
    await call('notice.read', { body: which })
    await client.invalidateQueries({ queryKey: ['notices'] })
  }
  return (
    <>
      <h1>{say(t('通知', 'Notices'))}</h1>
      {notices.length === 0 && <p>{say(t('还没有通知。', 'There are none yet.'))}</p>}
      {notices.some((notice) => !notice.read) && (
        <p>
          <Button onClick={() => void read({})}>{say(t('全部标为已读', 'Mark all as read'))}</Button>
        </p>
      )}
      {notices.map((notice) => {
        const { kind, id, title } = notice.object
        const address = addressOf(notice.object)
        // Who opens what it is about has read all that was told of it.
        const opened = () => void (notice.read || read({ object: { kind, id } }))
        return (
          <p key={notice.id}>
            <span className="muted number">{timeText(notice.at)}</span> {notice.read ? '' : '● '}
            <strong>{say(notice.kindName)}</strong>{' '}
            {address && (
              <Link to={address} onClick={opened}>
                {title ?? id}
              </Link>
            )}
            <br />
            {say(notice)}
          </p>
        )
      })}
      {hasNextPage && <Button onClick={() => void fetchNextPage()}>{say(t('更多', 'More'))}</Button>}
    </>
  )
}

function addressOf({ kind, id }: Notice['object']): string | undefined {
  if (kind === 'calendar') return '/calendars'
  if (kind === 'resource') return `/resources/${encodeURIComponent(id)}`
  const place = placeOfKind(kind)
  return place && `/${place.path}/${encodeURIComponent(id)}`
}
