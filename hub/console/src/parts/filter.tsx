import { useQuery } from '@tanstack/react-query'
import { Input, Select } from 'antd'
import { call } from '../api.ts'
import { nameOf, valueText } from '../fields.ts'
import { acts, type Field } from '../meta.ts'
import { useSession } from '../session.tsx'
import { t, useWords } from '../words.tsx'

/** How many lines there are in all: exact up to where the hub stops counting. */
export interface Total {
  readonly count: number
  readonly more: boolean
}

export function Count({ total: { count, more } }: { total: Total }) {
  const { say } = useWords()
  return (
    <span className="muted number" role="status">
      {count}
      {more ? '+' : ''} {say(t('条', count === 1 ? 'line' : 'lines'))}
    </span>
  )
}

interface FilterProps {
  field: Field
  kind: string | undefined
  value: string | undefined
  change: (value: string | undefined) => void
}

/** One filter of a list. Agencies and acts are chosen by their names, what has choices by its words, the rest is typed. */
export function Filter(props: FilterProps) {
  const { field } = props
  if (field.name === 'agency' || field.name === 'provider' || field.name === 'parent') return <AgencyFilter {...props} />
  if (field.name === 'act') return <ActFilter {...props} />
  if (field.choices || field.input === 'yes-no') return <ChoiceFilter {...props} />
  return <TextFilter {...props} />
}

function AgencyFilter({ field, value, change }: FilterProps) {
  const { say } = useWords()
  const { can } = useSession()
  const { data } = useQuery({
    queryKey: ['agencies'],
    queryFn: () => call<{ items: { code: string; name: string }[] }>('agency.list', { query: { limit: '1000', sort: 'name' } }),
    enabled: can('agency.list'),
    staleTime: 300_000,
  })
  const options = (data?.items ?? []).map(({ code, name }) => ({ value: code, label: name, text: `${name} ${code}` }))
  return <Choose name={say(nameOf(field.name))} value={value} options={options} change={change} />
}

function ActFilter({ field, value, change }: FilterProps) {
  const { say } = useWords()
  const options = Object.entries(acts).map(([act, words]) => ({ value: act, label: say(words), text: `${say(words)} ${act}` }))
  return <Choose name={say(nameOf(field.name))} value={value} options={options} change={change} />
}

interface ChooseProps {
  name: string
  value: string | undefined
  options: readonly { value: string; label: string; text: string }[]
  change: (value: string | undefined) => void
}

function Choose({ name, value, options, change }: ChooseProps) {
  return (
    <Select
      aria-label={name}
      allowClear
      placeholder={name}
      value={value ?? null}
      options={[...options]}
      onChange={(chosen) => change(chosen ?? undefined)}
      style={{ minWidth: 140 }}
      showSearch={{ optionFilterProp: 'text' }}
    />
  )
}

function ChoiceFilter({ field, kind, value, change }: FilterProps) {
  const { say } = useWords()
  const name = say(nameOf(field.name))
  const word = (one: string) =>
    field.input === 'yes-no' ? valueText(one === 'true', field.name, kind, say) : valueText(one, field.name, kind, say)
  const options = (field.choices ?? ['true', 'false']).map((one) => ({ value: one, label: word(one), text: word(one) }))
  if (field.input !== 'choices') return <Choose name={name} value={value} options={options} change={change} />
  return (
    <Select
      mode="multiple"
      aria-label={name}
      allowClear
      placeholder={name}
      value={value?.split(',') ?? []}
      options={options}
      onChange={(chosen) => change(chosen.join(',') || undefined)}
      style={{ minWidth: 140 }}
      showSearch={{ optionFilterProp: 'label' }}
      maxTagCount="responsive"
    />
  )
}

function TextFilter({ field, value, change }: FilterProps) {
  const { say } = useWords()
  const name = say(field.name === 'text' ? t('包含', 'contains') : nameOf(field.name))
  const take = (typed: string) => (typed === (value ?? '') ? undefined : change(typed || undefined))
  const input = (
    <Input
      key={value ?? ''}
      aria-label={name}
      allowClear
      placeholder={name}
      defaultValue={value}
      type={field.input === 'day' ? 'date' : 'text'}
      style={{ width: field.input === 'day' ? 160 : 150 }}
      onPressEnter={(event) => take(event.currentTarget.value.trim())}
      onBlur={(event) => take(event.currentTarget.value.trim())}
      onClear={() => change(undefined)}
    />
  )
  // A day's own form leaves no room for a name.
  if (field.input !== 'day') return input
  return (
    <span className="named">
      <span aria-hidden="true">{name}</span> {input}
    </span>
  )
}
