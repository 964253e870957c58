import { lazy, Suspense } from 'react'
import { Link } from 'react-router'
import { nameOf, valueText } from '../fields.ts'
import { acts } from '../meta.ts'
import { useSession } from '../session.tsx'
import { t, useWords } from '../words.tsx'
import type { ChainLine } from './chain.tsx'
import { Seal, sealOfRun } from './seal.tsx'
import { StripOfCounts, type Counts } from './strip.tsx'

const Chain = lazy(() => import('./chain.tsx'))

interface Line {
  readonly [member: string]: unknown
}

/** A member of a line: by its name where the line has one beside the code. */
export function Value({ line, member, kind }: { line: Line; member: string; kind?: string | undefined }) {
  const { say } = useWords()
  if (member === 'chain')
    return (
      <Suspense fallback={<span className="chain" />}>
        <Chain line={line as unknown as ChainLine} />
      </Suspense>
    )
  const named = line[`${member}Name`]
  const value = line[member]
  if (typeof named === 'string') return <span title={String(value)}>{named}</span>
  if (member === 'act' && acts[String(value)]) return <span title={String(value)}>{say(acts[String(value)]!)}</span>
  const { openness } = line
  if (member === 'openness' && typeof openness === 'object' && openness !== null) return <StripOfCounts counts={openness as Counts} />
  // Of a list only codes are known.
  if (member === 'items' && Array.isArray(value))
    return (
      <span className="nowrap" title={value.join(' ')}>
        {say(t(`${value.length} 项`, `${value.length} ${value.length === 1 ? 'item' : 'items'}`))}
      </span>
    )
  const text = valueText(value, member, kind, say)
  const seal = member === 'state' && kind === 'reconciliation' ? sealOfRun(String(value)) : undefined
  if (seal)
    return (
      <span className="state">
        <Seal {...seal} /> {text}
      </span>
    )
  if (member === 'state')
    return <StateWord state={String(value)} text={line['stateName'] ? valueText(line['stateName'], member, kind, say) : text} />
  if (member === 'duty' && typeof value === 'string') return <StateWord state={value} text={text} />
  if (member === 'outcome' && text.startsWith('QZ-'))
    return (
      <span className="state">
        <span aria-hidden="true">✕</span> {say(t('被拒绝', 'refused'))} <code>{text}</code>
      </span>
    )
  return (
    <span className={member === 'age' || /^[\d\s:-]+$/.test(text) ? 'nowrap' : undefined}>
      {/* What is to be done is said whole. */}
      {text.length > 160 && member !== 'turn' ? `${text.slice(0, 160)}…` : text}
    </span>
  )
}

const over =
  /withdrawn|rejected|revoked|ended|refused|expired|given-up|dismissed|discarded|closed|objected|disabled|lapsed|cancelled|failed/
const late = /^(?:held|overdue|missed)$/
const good = /^(?:active|flowing|approved|published|accepted|done|consented|settled|enrolled|released|updated|explained|verified|equal)/

/** A state is a shape and a word, never a colour alone. */
export function StateWord({ state, text }: { state: string; text: string }) {
  const shape = late.test(state)
    ? '▲'
    : /^(?:unknown|upcoming)$/.test(state)
      ? '○'
      : over.test(state)
        ? '✕'
        : good.test(state)
          ? '●'
          : /draft/.test(state)
            ? '○'
            : '◐'
  return (
    <span className={late.test(state) ? 'state late' : 'state'}>
      <span aria-hidden="true">{shape}</span> {text}
    </span>
  )
}

/** Members with their values, those that hold nothing left out. */
export function Facts({ line, members, kind }: { line: Line; members: readonly string[]; kind?: string }) {
  const { say } = useWords()
  const shown = members.filter((member) => {
    const value = line[member]
    return value !== null && value !== undefined && value !== '' && !(typeof value === 'object' && Object.keys(value).length === 0)
  })
  return (
    <dl className="facts">
      {shown.map((member) => (
        <FactLine key={member} name={say(nameOf(member, kind))}>
          <Linked line={line} member={member}>
            <Value line={line} member={member} kind={kind} />
          </Linked>
        </FactLine>
      ))}
    </dl>
  )
}

/** What has a page of its own leads there. */
const pages: Readonly<Record<string, string>> = {
  resource: 'resources',
  grant: 'grants',
  application: 'applications',
  demand: 'demands',
  declaration: 'declarations',
  standard: 'standards',
}

function Linked({ line, member, children }: { line: Line; member: string; children: React.ReactNode }) {
  const { can } = useSession()
  const value = line[member]
  const page = pages[member]
  // What is drafted has a code before it is there.
  const isThere = member !== 'resource' || typeof line['resourceName'] === 'string'
  if (page === undefined || typeof value !== 'string' || !isThere || !can(`${member}.read`)) return children
  return <Link to={`/${page}/${encodeURIComponent(value)}`}>{children}</Link>
}

function FactLine({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  )
}
