import { useInfiniteQuery } from '@tanstack/react-query'
import { Button, Input, Select, Table } from 'antd'
import { useState } from 'react'
import { Link, useNavigate, useSearchParams } from 'react-router'
import { call } from '../api.ts'
import { nameOf, plain, valueText } from '../fields.ts'
import { operations, type Field, verbOf } from '../meta.ts'
import { ActionDialog } from '../parts/action-dialog.tsx'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { Value } from '../parts/value.tsx'
import type { Place } from '../places.ts'
import { useSession } from '../session.tsx'
import { t, useWords } from '../words.tsx'

type Line = Record<string, unknown>
interface Page {
  items: Line[]
  next?: string | null
}

const paging = new Set(['before', 'after', 'limit'])

/** Lines of a kind: filters in one row, which the address keeps; the last page says so. */
export function ListPage({ place }: { place: Place }) {
  const { say } = useWords()
  const { can } = useSession()
  const navigate = useNavigate()
  const [search, setSearch] = useSearchParams()
  const [making, setMaking] = useState<string>()
  const { query = [] } = operations[place.list]!
  const filters = query.filter(({ name }) => !paging.has(name))
  const given = Object.fromEntries(filters.flatMap(({ name }) => (search.get(name) ? [[name, search.get(name)!]] : [])))
  const size = query.some(({ name }) => name === 'limit') ? 50 : undefined
  const { data, error, refetch, fetchNextPage, hasNextPage, isFetchingNextPage } = useInfiniteQuery({
    queryKey: ['list', place.list, given],
    queryFn: ({ pageParam, signal }) =>
      call<Page>(place.list, { query: { ...given, ...(size && { limit: String(size) }), ...pageParam }, signal }),
    initialPageParam: {},
    getNextPageParam: (page) => nextOf(page, query, size),
  })
  const lines = data?.pages.flatMap(({ items }) => items) ?? []
  const make = (place.make ?? []).filter(can)
  return (
    <>
      <h1>{say(place.name)}</h1>
      <div className="filters">
        {filters.map((field) => (
          <Filter
            key={field.name}
            field={field}
            kind={place.kind}
            value={search.get(field.name) ?? undefined}
            change={(value) => setSearch(value ? { ...given, [field.name]: value } : without(given, field.name), { replace: true })}
          />
        ))}
        {data && (
          <span className="muted number">
            {lines.length}
            {hasNextPage ? '+' : ''} {say(t('条', lines.length === 1 ? 'line' : 'lines'))}
          </span>
        )}
        {place.begin && can(place.begin.right) && (
          <Button type="primary" onClick={() => void navigate(place.begin!.address)}>
            {say(place.begin.name)}
          </Button>
        )}
        {make.map((name) => (
          <Button key={name} type="primary" onClick={() => setMaking(name)}>
            {say(verbOf(name))}
          </Button>
        ))}
      </div>
      {error && <Failed error={error} again={() => void refetch()} />}
      {!data && !error && <Waiting />}
      {data && (
        <Table<Line>
          size="small"
          rowKey={(line) => plain(line[place.id ?? 'id']) || JSON.stringify(line)}
          dataSource={lines}
          pagination={false}
          locale={{ emptyText: say(Object.keys(given).length > 0 ? t('没有符合条件的', 'None fits') : t('还没有', 'There are none yet')) }}
          columns={place.columns.map((member, at) => ({
            title: say(nameOf(member)),
            key: member,
            render: (_: unknown, line: Line) => {
              const shown = <Value line={line} member={member} kind={place.kind} />
              return at === 0 && place.kind ? <Link to={addressIn(place, line)}>{shown}</Link> : shown
            },
          }))}
        />
      )}
      {hasNextPage && (
        <p>
          <Button loading={isFetchingNextPage} onClick={() => void fetchNextPage()}>
            {say(t('更多', 'More'))}
          </Button>
        </p>
      )}
      {making && (
        <ActionDialog
          name={making}
          close={() => setMaking(undefined)}
          done={() => {
            setMaking(undefined)
            void refetch()
          }}
        />
      )}
    </>
  )
}

function addressIn(place: Place, line: Line): string {
  return `/${place.path}/${encodeURIComponent(plain(line[place.id ?? 'id']))}`
}

function without(given: Record<string, string>, name: string): Record<string, string> {
  return Object.fromEntries(Object.entries(given).filter(([key]) => key !== name))
}

/** Some lists say how they go on, others begin after the last line that was seen. */
function nextOf({ items, next }: Page, query: readonly Field[], size: number | undefined): Record<string, string> | undefined {
  if (next) return { after: next }
  const last = items.at(-1)?.['id']
  if (next === null || size === undefined || items.length < size || last === undefined) return undefined
  return query.some(({ name }) => name === 'before') ? { before: plain(last) } : { after: plain(last) }
}

interface FilterProps {
  field: Field
  kind: string | undefined
  value: string | undefined
  change: (value: string | undefined) => void
}

function Filter({ field, kind, value, change }: FilterProps) {
  const { say } = useWords()
  const name = say(nameOf(field.name))
  if (field.input === 'choice' || field.input === 'yes-no') {
    const choices = field.choices ?? ['true', 'false']
    const options = choices.map((one) => ({
      value: one,
      label: field.input === 'yes-no' ? valueText(one === 'true', field.name, kind, say) : valueText(one, field.name, kind, say),
    }))
    return (
      <Select
        aria-label={name}
        allowClear
        placeholder={name}
        value={value}
        options={options}
        onChange={change}
        style={{ minWidth: 120 }}
        showSearch={{ optionFilterProp: 'label' }}
      />
    )
  }
  return (
    <Input
      key={value ?? ''}
      aria-label={name}
      allowClear
      placeholder={name}
      defaultValue={value}
      type={field.input === 'day' ? 'date' : 'text'}
      style={{ width: 150 }}
      onPressEnter={(event) => change(event.currentTarget.value.trim())}
      onBlur={(event) => (event.currentTarget.value.trim() === (value ?? '') ? undefined : change(event.currentTarget.value.trim()))}
    />
  )
}
