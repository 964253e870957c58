import { useQuery } from '@tanstack/react-query'
import { Link, useSearchParams } from 'react-router'
import { call } from '../api.ts'
import { valueText } from '../fields.ts'
import { kinds } from '../meta.ts'
import { Count, type Total } from '../parts/filter.tsx'
import { Missing } from '../parts/missing.tsx'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { StateWord } from '../parts/value.tsx'
import { placeOfKind, places } from '../places.ts'
import { t, useWords } from '../words.tsx'

interface Group {
  kind: string
  total: Total
  found: { id: string; title: string; agency: string | null; agencyName?: string | null; state: string | null }[]
}

/** What is found of everything that one may read: some of each kind, with the way to all of them. */
export default function SearchPage() {
  const { say } = useWords()
  const [search] = useSearchParams()
  const text = search.get('text')?.trim() ?? ''
  const { data, error, refetch } = useQuery({
    queryKey: ['search', text],
    queryFn: ({ signal }) => call<{ items: Group[] }>('search.all', { query: { text }, signal }),
    enabled: text !== '',
  })
  return (
    <>
      <h1>{say(t(`检索“${text}”`, `Search for ${text}`))}</h1>
      {error && <Failed error={error} again={() => void refetch()} />}
      {text !== '' && !data && !error && <Waiting />}
      {data?.items.length === 0 && <Missing text={text} />}
      {data?.items.map((group) => (
        <Found key={group.kind} group={group} text={text} />
      ))}
    </>
  )
}

function Found({ group: { kind, total, found }, text }: { group: Group; text: string }) {
  const { say } = useWords()
  const all = kind === 'resource' ? '/catalog' : `/${(placeOfKind(kind) ?? places.find(({ list }) => list === `${kind}.list`))?.path}`
  const filtered = `${all}?text=${encodeURIComponent(text)}`
  const addressOf = (id: string) => {
    const place = placeOfKind(kind)
    return kind === 'resource' ? `/resources/${encodeURIComponent(id)}` : place && `/${place.path}/${encodeURIComponent(id)}`
  }
  return (
    <section>
      <h2>
        {kinds[kind] ? say(kinds[kind]) : kind} <Count total={total} />
      </h2>
      <ul className="plain">
        {found.map(({ id, title, agencyName, state }) => (
          <li key={id}>
            <Link to={addressOf(id) ?? filtered}>{title}</Link>{' '}
            <span className="muted">{[id === title ? '' : id, agencyName].filter(Boolean).join(' · ')}</span>{' '}
            {state && <StateWord state={state} text={valueText(state, 'state', kind, say)} />}
          </li>
        ))}
      </ul>
      {(total.more || total.count > found.length) && <Link to={filtered}>{say(t('全部', 'All of them'))}</Link>}
    </section>
  )
}
