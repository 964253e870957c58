import { useInfiniteQuery } from '@tanstack/react-query'
import { Button, Table } from 'antd'
import { useState, type ReactNode } from 'react'
import { Link, useNavigate, useSearchParams } from 'react-router'
import { addressOf, call, Problem } from '../api.ts'
import { nameOf, plain } from '../fields.ts'
import { operations, verbOf, type Text } from '../meta.ts'
import { ActionDialog } from '../parts/action-dialog.tsx'
import { DecideMany } from '../parts/decide-many.tsx'
import { Count, Filter, type Total } from '../parts/filter.tsx'
import { Once } from '../parts/once.tsx'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { Value } from '../parts/value.tsx'
import type { Lead, Place } from '../places.ts'
import { useSession } from '../session.tsx'
import { t, useWords } from '../words.tsx'

type Line = Record<string, unknown>
interface Page {
  items: Line[]
  next: string | null
  total: Total
}

/** What is no filter: where a page begins, and in which order lines come. */
const paging = new Set(['sort', 'after', 'limit', 'format', 'language'])

/** Lines of a kind: filters in one row and the order of a column, which the address keeps; how many there are; page after page. */
export default function ListPage({ place, children }: { place: Place; children?: ReactNode }) {
  const { say, language } = useWords()
  const { can, everywhere } = useSession()
  const navigate = useNavigate()
  const [search, setSearch] = useSearchParams()
  const [making, setMaking] = useState<string>()
  const [once, setOnce] = useState<Line>()
  const [acting, setActing] = useState<{ name: string; id: string }>()
  const [chosen, setChosen] = useState<readonly Line[]>([])
  const on = (place.on ?? []).filter(can)
  const { query = [] } = operations[place.list]!
  const all = everywhere(place.list)
  const filters = query.filter(({ name }) => !paging.has(name) && (all || !place.own || name !== 'agency'))
  const given = Object.fromEntries(filters.flatMap(({ name }) => (search.get(name) ? [[name, search.get(name)!]] : [])))
  const sorts = new Set(query.find(({ name }) => name === 'sort')?.choices)
  const sort = search.get('sort') ?? ''
  const asked = sorts.has(sort) ? { ...given, sort } : given
  const { data, error, refetch, fetchNextPage, hasNextPage, isFetchingNextPage } = useInfiniteQuery({
    queryKey: ['list', place.list, asked],
    queryFn: ({ pageParam, signal }) => call<Page>(place.list, { query: { ...asked, after: pageParam }, signal }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
  })
  // Nothing is to be filtered of what is refused.
  const refused = error instanceof Problem && error.status === 403
  const lines = data?.pages.flatMap(({ items }) => items) ?? []
  const change = (name: string, value: string | undefined) =>
    setSearch(value ? { ...asked, [name]: value } : without(asked, name), { replace: true })
  const leadsOf = (line: Line) => (place.leads?.(line) ?? []).filter(({ make }) => can(make))
  const leads = lines.some((line) => leadsOf(line).length > 0)
  const decides = place.decided && can(place.decided.by) ? place.decided : undefined
  const acts = (line: Line) =>
    (line['ended'] ?? null) === null &&
    on.map((name) => (
      <Button key={name} size="small" onClick={() => setActing({ name, id: plain(line['id']) })}>
        {say(verbOf(name))}
      </Button>
    ))
  const make = (place.make ?? []).filter(can)
  // What another page leads to, with what it knows already.
  const led = make.find((name) => name === search.get('make'))
  const opened = making ?? led
  const initial = Object.fromEntries([...search].flatMap(([name, value]) => (name.startsWith('make.') ? [[name.slice(5), value]] : [])))
  const close = () => {
    setMaking(undefined)
    if (led) setSearch(asked, { replace: true })
  }
  return (
    <>
      <h1>{say(!all && place.own ? place.own : place.name)}</h1>
      {children}
      <div className="filters">
        {(refused ? [] : filters).map((field) => (
          <Filter
            key={field.name}
            field={field}
            kind={place.kind}
            value={search.get(field.name) ?? undefined}
            change={(value) => change(field.name, value)}
          />
        ))}
        {data && <Count total={data.pages[0]!.total} />}
        {data && query.some(({ name }) => name === 'format') && (
          <a href={addressOf(place.list, { query: { ...asked, format: 'xlsx', language } })} download>
            {say(t('导出', 'Export'))}
          </a>
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
      {place.imports?.some(can) && (
        <p>
          <Link to={`/${place.path}/import`}>{say(t('从文件导入', 'Import from a file'))}</Link>
        </p>
      )}
      <Once answer={once} close={() => setOnce(undefined)} />
      {error && <Failed error={error} again={() => void refetch()} />}
      {!data && !error && <Waiting />}
      {decides && <DecideMany name={decides.by} chosen={chosen} clear={() => setChosen([])} done={() => void refetch()} />}
      {data && (
        <Table<Line>
          {...(decides && {
            rowSelection: {
              selectedRowKeys: chosen.map((line) => plain(line['id'])),
              onChange: (_keys: unknown, rows: Line[]) => setChosen(rows),
              getCheckboxProps: (line: Line) => ({ disabled: line['state'] !== decides.state, 'aria-label': plain(line['title']) }),
            },
          })}
          size="small"
          rowKey={(line) => plain(line[place.id ?? 'id']) || JSON.stringify(line)}
          dataSource={lines}
          pagination={false}
          locale={{
            emptyText:
              Object.keys(given).length > 0 ? (
                <>
                  {say(t('没有符合条件的。', 'None fits.'))}{' '}
                  <Button type="link" size="small" onClick={() => setSearch({}, { replace: true })}>
                    {say(t('清除条件', 'Clear the filters'))}
                  </Button>
                </>
              ) : (
                <Nothing place={place} make={make} begin={setMaking} />
              ),
          }}
          onChange={(_page, _filters, sorter) => {
            const { columnKey, order } = Array.isArray(sorter) ? sorter[0]! : sorter
            change('sort', order ? `${order === 'descend' ? '-' : ''}${String(columnKey)}` : undefined)
          }}
          columns={[
            ...place.columns.map((member, at) => ({
              title: say(nameOf(member, place.kind)),
              key: member,
              ...(member === 'title' && { className: 'title' }),
              ...(sorts.has(member) && { sorter: true, sortOrder: orderOf(sort, member) }),
              render: (_: unknown, line: Line) => {
                const shown = <Value line={line} member={member} kind={place.kind} />
                const own = place.kind && can(`${place.kind}.read`) ? addressIn(place, line) : undefined
                const address = at > 0 ? undefined : (place.link?.(line, can) ?? own)
                return address === undefined ? shown : <Link to={address}>{shown}</Link>
              },
            })),
            ...(on.length > 0 ? [{ title: say(t('办理', 'acts')), key: 'acts', render: (_: unknown, line: Line) => acts(line) }] : []),
            ...(leads
              ? [{ title: say(t('办理', 'acts')), key: 'lead', render: (_: unknown, line: Line) => <LeadLinks leads={leadsOf(line)} /> }]
              : []),
          ]}
        />
      )}
      {acting && <ActionDialog name={acting.name} at={{ id: acting.id }} title={acting.id} close={() => setActing(undefined)} />}
      {hasNextPage && (
        <p>
          <Button loading={isFetchingNextPage} onClick={() => void fetchNextPage()}>
            {say(t('更多', 'More'))}
          </Button>
        </p>
      )}
      {opened && (
        <ActionDialog
          name={opened}
          initial={opened === led ? initial : {}}
          close={close}
          done={(answer: Line) => {
            close()
            setOnce(answer)
            void refetch()
          }}
        />
      )}
    </>
  )
}

/** To the list of what is made, with its dialog open. */
function LeadLinks({ leads }: { leads: readonly Lead[] }) {
  const { say } = useWords()
  const addressOfLead = ({ make, path, initial }: Lead) => {
    const given = Object.entries(initial).map(([name, value]) => [`make.${name}`, typeof value === 'string' ? value : say(value)])
    return `/${path}?${new URLSearchParams([['make', make], ...given]).toString()}`
  }
  return (
    <span className="actions-in-line">
      {leads.map((lead) => (
        <Link key={lead.make} to={addressOfLead(lead)}>
          {say(leadWords[lead.make] ?? verbOf(lead.make))}
        </Link>
      ))}
    </span>
  )
}

/** What is drafted of several kinds, by the one that it leads to. */
const leadWords: Readonly<Record<string, Text>> = { 'declaration.create': t('说明无变化', 'Nothing changed') }

/** Why there is nothing, and what comes next: to make the first one, or to read where they come from. */
function Nothing({ place, make, begin }: { place: Place; make: readonly string[]; begin: (name: string) => void }) {
  const { say } = useWords()
  const { can } = useSession()
  return (
    <>
      {say(t('还没有。', 'There are none yet.'))}{' '}
      {place.begin && can(place.begin.right) ? (
        <Link to={place.begin.address}>{say(place.begin.name)}</Link>
      ) : make.length > 0 ? (
        <Button type="link" size="small" onClick={() => begin(make[0]!)}>
          {say(verbOf(make[0]!))}
        </Button>
      ) : (
        <Link to={`/help#${place.path}`}>{say(t('从何而来', 'Where they come from'))}</Link>
      )}
    </>
  )
}

/** How lines are ordered by a column. */
function orderOf(sort: string, member: string): 'ascend' | 'descend' | null {
  return sort === member ? 'ascend' : sort === `-${member}` ? 'descend' : null
}

function addressIn(place: Place, line: Line): string {
  return `/${place.path}/${encodeURIComponent(plain(line[place.id ?? 'id']))}`
}

function without(given: Record<string, string>, name: string): Record<string, string> {
  return Object.fromEntries(Object.entries(given).filter(([key]) => key !== name))
}
