/** Chosen by its name where a request wants a code: an agency, a resource, a machine, a class. */
import { useQuery } from '@tanstack/react-query'
import { Input, Select } from 'antd'
import { useDeferredValue, useState } from 'react'
import { call } from '../api.ts'
import { nameOf } from '../fields.ts'
import { useSession } from '../session.tsx'
import { useWords } from '../words.tsx'

interface PickProps {
  member: string
  id?: string
  value?: string
  onChange?: (value: string | undefined) => void
}

interface Option {
  value: string
  label: string
  /** What is typed to find it. */
  text: string
}

type Say = ReturnType<typeof useWords>['say']
type Line = Readonly<Record<string, unknown>>

interface Kind {
  list: string
  query: (typed: string) => Readonly<Record<string, string>>
  option: (line: Line, say: Say) => Option
  /** The list is long: what is typed is looked for in it. */
  long?: true
}

const agency: Kind = {
  list: 'agency.list',
  query: () => ({ limit: '1000', sort: 'name' }),
  option: ({ code, name }) => ({ value: String(code), label: String(name), text: `${String(name)} ${String(code)}` }),
}
const machine: Kind = {
  list: 'agent.list',
  query: () => ({ limit: '100' }),
  option: ({ id, name }) => ({ value: String(id), label: String(name || id), text: `${String(name)} ${String(id)}` }),
}
const resource: Kind = {
  list: 'catalog.search',
  query: (text) => ({ limit: '20', ...(text !== '' && { text }) }),
  option: ({ resource, title, agencyName }) => ({ value: String(resource), label: `${String(title)} · ${String(agencyName)}`, text: '' }),
  long: true,
}

const classification: Kind = {
  list: 'classification.list',
  query: () => ({}),
  option: ({ code, zh, en }, say) => {
    const label = `${String(code)} ${say({ zh: String(zh), en: String(en) })}`
    return { value: String(code), label, text: label }
  },
}

const kinds: Readonly<Record<string, Kind>> = {
  agency,
  provider: agency,
  supposed: agency,
  parent: agency,
  agent: machine,
  replaces: machine,
  producer: machine,
  resource,
  classification,
}

/** Whether members of this name are chosen like this. */
export const isPicked = (member: string): boolean => member in kinds

export function Pick({ member, id, value, onChange }: PickProps) {
  const { say } = useWords()
  const { can } = useSession()
  const [typed, setTyped] = useState('')
  const text = useDeferredValue(typed.trim())
  const { list, query, option, long = false } = kinds[member]!
  const asked = query(long ? text : '')
  const { data, isFetching } = useQuery({
    queryKey: ['list', list, 'picked', asked],
    queryFn: ({ signal }) => call<{ items: Line[] }>(list, { query: asked, signal }),
    enabled: can(list),
    placeholderData: (before) => before,
    staleTime: 60_000,
  })
  const chosen = useTitle(long ? value : undefined)
  const name = say(nameOf(member))
  if (!can(list)) return <Input {...(id && { id })} value={value} onChange={({ target }) => onChange?.(target.value || undefined)} />
  const options = (data?.items ?? []).map((line) => option(line, say))
  // What was chosen before is called by its name, too.
  if (chosen && !options.some((one) => one.value === value)) options.unshift({ value: value!, label: chosen, text: chosen })
  return (
    <Select
      {...(id && { id })}
      aria-label={name}
      allowClear
      value={value ?? null}
      loading={isFetching}
      options={options}
      onChange={(code) => onChange?.(code ?? undefined)}
      showSearch={long ? { filterOption: false, onSearch: setTyped } : { optionFilterProp: 'text' }}
    />
  )
}

function useTitle(code: string | undefined): string | undefined {
  const { data } = useQuery({
    queryKey: ['object', 'resource', code],
    queryFn: ({ signal }) => call<{ schema: { title: string } }>('resource.read', { at: { id: code! }, signal }),
    enabled: code !== undefined,
    retry: false,
  })
  return data?.schema.title
}
