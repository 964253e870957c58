import { useQuery } from '@tanstack/react-query'
import { Table } from 'antd'
import { Link } from 'react-router'
import { call } from '../api.ts'
import { comma, nameOf, valueText } from '../fields.ts'
import { t, timeText, useWords } from '../words.tsx'
import { useSession } from '../session.tsx'
import { Failed } from './outcome.tsx'
import { Preview } from './preview.tsx'
import { Value } from './value.tsx'

interface Reachable {
  id: string
  name: string
  phone: string | null
}

type Line = Readonly<Record<string, unknown>>

interface Dossier {
  submitter: Reachable | null
  responsible: Reachable | null
  resources: (Line & { resource: string; title: string; providerName?: string | null; responsible: Reachable | null })[]
  items: { id: string; label: string }[]
  others: Line[]
  own: Line[]
  earlier: Line[]
  machine: { id: string; name: string; state: string; lastSeen: string | null; held: string[] } | null
}

/** What a decision on an application rests on 已有情况: who asks and may be rung up, conditions, what there is already, what was decided before. */
export default function DossierPart({ id, isOpen }: { id: string; isOpen: boolean }) {
  const { say } = useWords()
  const { can } = useSession()
  const { data, error } = useQuery({
    queryKey: ['dossier', id],
    queryFn: ({ signal }) => call<Dossier>('application.dossier', { at: { id }, signal }),
  })
  if (error) return <Failed error={error} />
  if (!data) return null
  const { submitter, responsible, resources, machine, others, own, earlier } = data
  const labels = new Map(data.items.map((item) => [item.id, item.label]))
  return (
    <section className="dossier">
      <h2>{say(t('已有情况', 'What there is already'))}</h2>
      <dl className="facts">
        <dt>{say(t('提交人', 'submitted by'))}</dt>
        <dd>{submitter ? <Person person={submitter} /> : '—'}</dd>
        <dt>{say(t('申请单位负责人', 'responsible there'))}</dt>
        <dd>{responsible ? <Person person={responsible} /> : '—'}</dd>
        {machine && (
          <>
            <dt>{say(t('接收的前置机', 'receiving machine'))}</dt>
            <dd>
              {machine.name} · {valueText(machine.state, 'state', 'agent', say)} ·{' '}
              {machine.lastSeen
                ? say(t(`最近联系 ${timeText(machine.lastSeen)}`, `last heard of ${timeText(machine.lastSeen)}`))
                : say(t('从未联系', 'never heard of'))}
              {machine.held.length > 0 && ` · ${machine.held.join(say(comma))}`}
            </dd>
          </>
        )}
      </dl>
      {resources.map((one) => (
        <Asked key={one.resource} one={one} />
      ))}
      {can('application.preview') && isOpen && <Preview id={id} labels={labels} />}
      <Weighed
        name={say(t('其他单位对该资源的授权', 'What others have of it'))}
        lines={others}
        columns={['agency', 'items', 'mode', 'purpose', 'state', 'validTo']}
        labels={labels}
      />
      <Weighed
        name={say(t('申请单位已有的该提供单位授权', 'What the applicant has from this provider'))}
        lines={own}
        columns={['title', 'items', 'mode', 'purpose', 'state', 'validTo']}
        labels={labels}
      />
      <Weighed
        name={say(t('以往决定', 'Earlier decisions'))}
        lines={earlier}
        columns={['id', 'state', 'items', 'approvedItems', 'reason', 'decided']}
        labels={labels}
      />
    </section>
  )
}

function Person({ person: { name, phone } }: { person: Reachable }) {
  return (
    <>
      {name} {phone && <a href={`tel:${phone.replace(/[^+\d]/g, '')}`}>{phone}</a>}
    </>
  )
}

function Asked({ one }: { one: Dossier['resources'][number] }) {
  const { say } = useWords()
  return (
    <dl className="facts">
      <dt>{say(t('提供单位', 'provider'))}</dt>
      <dd>
        {one.providerName} · <Link to={`/resources/${encodeURIComponent(one.resource)}`}>{one.title}</Link>{' '}
        {one.responsible && <Person person={one.responsible} />}
      </dd>
      {['sharing', 'sharingConditions', 'shareModes', 'cycle', 'updated']
        .filter((member) => one[member] !== null)
        .flatMap((member) => [
          <dt key={`${member} name`}>{say(nameOf(member))}</dt>,
          <dd key={member}>
            <Value line={one} member={member} />
          </dd>,
        ])}
    </dl>
  )
}

interface WeighedProps {
  name: string
  lines: readonly Line[]
  columns: readonly string[]
  labels: ReadonlyMap<string, string>
}

function Weighed({ name, lines, columns, labels }: WeighedProps) {
  const { say } = useWords()
  const shown = (line: Line, member: string) => {
    const value = line[member]
    if (Array.isArray(value)) return value.map((id) => labels.get(String(id)) ?? String(id)).join(say(comma))
    if (member === 'id') return <Link to={`/applications/${String(value)}`}>{String(value)}</Link>
    return <Value line={line} member={member} kind={member === 'state' ? ('decided' in line ? 'application' : 'grant') : undefined} />
  }
  return (
    <>
      <h3>
        {name} <span className="muted number">{lines.length}</span>
      </h3>
      {lines.length > 0 && (
        <Table<Line>
          size="small"
          rowKey={(line) => String(line['id'])}
          dataSource={[...lines]}
          pagination={lines.length > 20 ? { pageSize: 20, size: 'small' } : false}
          columns={columns.map((member) => ({
            title: say(nameOf(member)),
            key: member,
            render: (_: unknown, line: Line) => shown(line, member),
          }))}
        />
      )}
    </>
  )
}
