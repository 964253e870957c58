import { useInfiniteQuery, useQueryClient } from '@tanstack/react-query'
import { Button } from 'antd'
import { Link } from 'react-router'
import { call } from '../api.ts'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { placeOfKind } from '../places.ts'
import { t, timeText, useWords } from '../words.tsx'

interface Notice {
  id: string
  at: string
  object: string
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
  const readAll = async () => {
    await call('notice.read', { body: {} })
    await client.invalidateQueries({ queryKey: ['notices'] })
  }
  return (
    <>
      <h1>{say(t('通知', 'Notices'))}</h1>
      {notices.length === 0 && <p>{say(t('还没有通知。', 'There are none yet.'))}</p>}
      {notices.some(({ read }) => !read) && <Button onClick={() => void readAll()}>{say(t('全部标为已读', 'Mark all as read'))}</Button>}
      {notices.map((notice) => {
        const address = addressOfObject(notice.object)
        return (
          <p key={notice.id}>
            <span className="muted number">{timeText(notice.at)}</span> {notice.read ? '' : '● '}
            {address ? <Link to={address}>{say(notice)}</Link> : say(notice)}
          </p>
        )
      })}
      {hasNextPage && <Button onClick={() => void fetchNextPage()}>{say(t('更多', 'More'))}</Button>}
    </>
  )
}

/** `application 7` */
function addressOfObject(object: string): string | undefined {
  const [kind = '', ...id] = object.split(' ')
  if (kind === 'resource') return `/resources/${encodeURIComponent(id.join(' '))}`
  const place = placeOfKind(kind)
  return place && `/${place.path}/${encodeURIComponent(id.join(' '))}`
}
