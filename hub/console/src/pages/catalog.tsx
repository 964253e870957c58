import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { AutoComplete, Button, Input, Select } from 'antd'
import { Fragment, useDeferredValue, useState } from 'react'
import { Link, useNavigate, useSearchParams } from 'react-router'
import { call } from '../api.ts'
import { nameOf, valueText } from '../fields.ts'
import type { Text } from '../meta.ts'
import { BasketButton } from '../parts/basket-button.tsx'
import { Count, type Total } from '../parts/filter.tsx'
import { Missing } from '../parts/missing.tsx'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { StripOfCounts } from '../parts/strip.tsx'
import { useSession } from '../session.tsx'
import { t, timeText, useWords } from '../words.tsx'
import '../style/catalog.css'

interface Found {
  resource: string
  catalogCode: string | null
  title: string
  agencyName: string
  openness: string
  state?: string
  abstract?: string
  sharing?: string
  shareModes?: string[]
  cycle?: string
  opennessCounts?: Record<'internal' | 'public' | 'closed', number>
  updated?: string | null
  mine?: string
}

interface FacetValue {
  value: string
  name: string | Text | null
  count: number
}

interface Page {
  items: Found[]
  total: Total
  next: string | null
  facets?: Record<string, FacetValue[]>
}

const filters = ['text', 'agency', 'classification', 'openness', 'sharing', 'mode', 'cycle', 'mine', 'standard', 'sort'] as const
const facetNames = ['classification', 'agency', 'sharing', 'cycle', 'openness', 'mine'] as const

const mineWords: Readonly<Record<string, Text>> = {
  own: t('本单位提供', 'our own'),
  grant: t('已获授权', 'granted to us'),
  application: t('申请中', 'applied for'),
  none: t('未申请', 'not applied for'),
}

const orders: readonly [string, Text][] = [
  ['', t('按相关程度', 'by relevance')],
  ['-updated', t('最近更新', 'newest rows')],
  ['-published', t('最近发布', 'newest entries')],
  ['title', t('按名称', 'by title')],
]

export default function CatalogPage() {
  const { say } = useWords()
  const [search, setSearch] = useSearchParams()
  const given: Record<string, string> = Object.fromEntries(filters.flatMap((name) => (search.get(name) ? [[name, search.get(name)!]] : [])))
  const { data, error, refetch, fetchNextPage, hasNextPage } = useInfiniteQuery({
    queryKey: ['catalog', given],
    queryFn: ({ pageParam, signal }) =>
      call<Page>('catalog.search', {
        query: { ...given, after: pageParam, limit: '20', ...(pageParam === undefined && { facets: facetNames.join(',') }) },
        signal,
      }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
  })
  const change = (name: string, value: string | undefined) => {
    const { [name]: _, ...others } = given
    setSearch(value ? { ...others, [name]: value } : others)
  }
  const lines = data?.pages.flatMap(({ items }) => items) ?? []
  return (
    <>
      <h1>{say(t('资源目录', 'Catalog'))}</h1>
      <div className="filters">
        <Words key={given['text'] ?? ''} text={given['text'] ?? ''} look={(text) => change('text', text)} />
        <Select
          aria-label={say(t('次序', 'order'))}
          style={{ minWidth: 140 }}
          value={given['sort'] ?? ''}
          options={orders.map(([value, words]) => ({ value, label: say(words) }))}
          onChange={(value) => change('sort', value)}
        />
        {data && <Count total={data.pages[0]!.total} />}
      </div>
      {error && <Failed error={error} again={() => void refetch()} />}
      <div className="faceted">
        <aside aria-label={say(t('筛选', 'narrow down'))}>
          {facetNames.map((name) => (
            <Facet
              key={name}
              name={name}
              values={data?.pages[0]!.facets?.[name] ?? []}
              chosen={given[name]}
              choose={(value) => change(name, value)}
            />
          ))}
        </aside>
        <div>
          {!data && !error && <Waiting />}
          {data && lines.length === 0 && <Missing text={given['text'] ?? ''} />}
          {lines.map((line) => (
            <Line key={line.resource} line={line} />
          ))}
          {hasNextPage && <Button onClick={() => void fetchNextPage()}>{say(t('更多', 'More'))}</Button>}
        </div>
      </div>
    </>
  )
}

function Line({ line }: { line: Found }) {
  const { say } = useWords()
  const { can } = useSession()
  const { opennessCounts: counts, mine } = line
  const facts = [
    line.agencyName,
    line.catalogCode,
    line.sharing && valueText(line.sharing, 'sharing', undefined, say),
    line.cycle && valueText(line.cycle, 'cycle', undefined, say),
    line.shareModes && valueText(line.shareModes, 'shareModes', undefined, say),
    !counts && valueText(line.openness, 'entryOpenness', undefined, say),
    line.updated && say(t(`更新于 ${timeText(line.updated)}`, `rows of ${timeText(line.updated)}`)),
  ]
  return (
    <article>
      <Link to={`/resources/${encodeURIComponent(line.resource)}`}>
        <strong>{line.title}</strong>
      </Link>{' '}
      {mine && mine !== 'none' && <span className="mark">{say(mineWords[mine]!)}</span>}{' '}
      {line.state === 'suspended' && <span className="mark">{say(t('✕ 已叫停', '✕ stopped'))}</span>}{' '}
      {can('application.create-many') && line.state !== 'suspended' && line.sharing !== 'none' && mine !== 'own' && (
        <BasketButton code={line.resource} small />
      )}
      {line.abstract && <div>{line.abstract}</div>}
      <div className="muted">
        {counts && <StripOfCounts counts={counts} />}{' '}
        {facts.filter(Boolean).map((fact, at) => (
          <Fragment key={String(fact)}>
            {at > 0 && ' · '}
            <span className="nowrap">{fact}</span>
          </Fragment>
        ))}
      </div>
    </article>
  )
}

interface FacetProps {
  name: string
  values: readonly FacetValue[]
  chosen: string | undefined
  choose: (value: string | undefined) => void
}

const shownAtFirst = 8

/** What is found, by one thing: each value with how many there are. */
function Facet({ name, values, chosen, choose }: FacetProps) {
  const { say } = useWords()
  const [all, setAll] = useState(false)
  if (values.length === 0 && chosen === undefined) return null
  const called = ({ value, name: named }: FacetValue) => {
    if (named) return typeof named === 'string' ? named : say(named)
    if (name === 'mine') return say(mineWords[value]!)
    return valueText(value, name === 'openness' ? 'entryOpenness' : name, undefined, say)
  }
  const shown = all ? values : values.slice(0, shownAtFirst)
  return (
    <section>
      <h2>
        {say(name === 'mine' ? t('我的', 'mine') : nameOf(name))}{' '}
        {chosen !== undefined && (
          <Button size="small" type="link" onClick={() => choose(undefined)}>
            {say(t('不限', 'any'))}
          </Button>
        )}
      </h2>
      <ul>
        {shown.map((one) => (
          <li key={one.value}>
            <button type="button" aria-pressed={chosen === one.value} onClick={() => choose(chosen === one.value ? undefined : one.value)}>
              {called(one)} <span className="muted number">{one.count}</span>
            </button>
          </li>
        ))}
      </ul>
      {values.length > shown.length && (
        <Button size="small" type="link" onClick={() => setAll(true)}>
          {say(t(`全部 ${values.length} 个`, `all ${values.length}`))}
        </Button>
      )}
    </section>
  )
}

interface Suggestion {
  kind: 'resource' | 'item' | 'agency'
  text: string
  id: string | null
}

const kindWords = { agency: t('单位', 'agency'), resource: t('资源', 'resource'), item: t('信息项', 'item') } as const

/** Where words are typed; what there is of them is suggested meanwhile. */
function Words({ text, look }: { text: string; look: (text: string) => void }) {
  const { say } = useWords()
  const navigate = useNavigate()
  const [typed, setTyped] = useState(text)
  const asked = useDeferredValue(typed.trim())
  const { data } = useQuery({
    queryKey: ['suggest', asked],
    queryFn: ({ signal }) => call<{ items: Suggestion[] }>('catalog.suggest', { query: { text: asked }, signal }),
    enabled: asked !== '' && asked !== text,
    placeholderData: (before) => before,
  })
  const items = asked === '' || asked === text ? [] : (data?.items ?? [])
  return (
    <AutoComplete
      aria-label={say(t('检索词', 'Words'))}
      style={{ width: 360 }}
      value={typed}
      options={items.map((one, at) => ({ value: String(at), label: `${one.text} · ${say(kindWords[one.kind])}` }))}
      onChange={(value: string) => setTyped(value)}
      onSelect={(value: string) => {
        const one = items[Number(value)]!
        setTyped(one.text)
        if (one.kind === 'resource') void navigate(`/resources/${encodeURIComponent(one.id!)}`)
        else if (one.kind === 'agency') void navigate(`/catalog?agency=${encodeURIComponent(one.id!)}`)
        else look(one.text)
      }}
    >
      <Input.Search
        placeholder={say(t('名称、信息项、单位', 'title, item, agency'))}
        autoFocus
        onSearch={(value, _event, info) => {
          if (info?.source !== 'clear') look(value.trim())
        }}
      />
    </AutoComplete>
  )
}
