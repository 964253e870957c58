import { useInfiniteQuery } from '@tanstack/react-query'
import { Button, Input, Select } from 'antd'
import { Link, useSearchParams } from 'react-router'
import { call } from '../api.ts'
import { valueText } from '../fields.ts'
import { operations } from '../meta.ts'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { t, useWords } from '../words.tsx'

interface Found {
  resource: string
  catalogCode: string
  title: string
  agencyName: string
  openness: string
}

const filters = ['text', 'agency', 'classification', 'openness', 'standard'] as const

export default function CatalogPage() {
  const { say } = useWords()
  const [search, setSearch] = useSearchParams()
  const given = Object.fromEntries(filters.flatMap((name) => (search.get(name) ? [[name, search.get(name)!]] : [])))
  const { data, error, refetch, fetchNextPage, hasNextPage } = useInfiniteQuery({
    queryKey: ['catalog', given],
    queryFn: ({ pageParam, signal }) =>
      call<{ items: Found[]; total: number; next: string | null }>('catalog.search', {
        query: { ...given, after: pageParam, limit: '20' },
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
  const choices = operations['catalog.search']!.query!.find(({ name }) => name === 'openness')?.choices ?? []
  return (
    <>
      <h1>{say(t('资源目录', 'Catalog'))}</h1>
      <div className="filters">
        <Input.Search
          key={search.get('text') ?? ''}
          aria-label={say(t('检索词', 'Words'))}
          placeholder={say(t('名称、信息项、单位', 'title, item, agency'))}
          defaultValue={search.get('text') ?? ''}
          allowClear
          autoFocus
          style={{ width: 360 }}
          onSearch={(text) => change('text', text.trim())}
        />
        <Select
          aria-label={say(t('公开属性', 'openness'))}
          placeholder={say(t('公开属性', 'openness'))}
          allowClear
          style={{ minWidth: 130 }}
          value={search.get('openness')}
          options={choices.map((value) => ({ value, label: valueText(value, 'entryOpenness', undefined, say) }))}
          onChange={(value) => change('openness', value ?? undefined)}
        />
        {data && (
          <span className="muted number">
            {data.pages[0]!.total >= 200 ? '200+' : data.pages[0]!.total} {say(t('个资源', 'resources'))}
          </span>
        )}
      </div>
      {error && <Failed error={error} again={() => void refetch()} />}
      {!data && !error && <Waiting />}
      {data && lines.length === 0 && (
        <p>
          {say(t('没有找到。', 'Nothing was found.'))} <Link to="/demands">{say(t('提出目录外需求', 'Say what is missing'))}</Link>
        </p>
      )}
      {lines.map((line) => (
        <p key={line.resource}>
          <Link to={`/resources/${encodeURIComponent(line.resource)}`}>
            <strong>{line.title}</strong>
          </Link>
          <br />
          <span className="muted">
            {line.agencyName} · {line.catalogCode} · {valueText(line.openness, 'entryOpenness', undefined, say)}
          </span>
        </p>
      ))}
      {hasNextPage && <Button onClick={() => void fetchNextPage()}>{say(t('更多', 'More'))}</Button>}
    </>
  )
}
