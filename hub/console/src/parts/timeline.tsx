import { useQuery } from '@tanstack/react-query'
import { call } from '../api.ts'
import { valueText } from '../fields.ts'
import { acts, kinds, type Text } from '../meta.ts'
import { t, timeText, useWords } from '../words.tsx'
import { Failed } from './outcome.tsx'
import { Seal, sealOf } from './seal.tsx'

interface Line {
  kind?: string
  id?: string
  title?: string | null
  event: string
  from: string | null
  to: string
  actorName: string
  agencyName: string | null
  at: string
  details?: Record<string, unknown>
  reason?: string | null
}

/** Of these comes something else, whose way is shown with theirs. */
const withMore = new Set(['application', 'grant', 'demand', 'registration', 'resource', 'machine'])

const otherActs: Readonly<Record<string, Text>> = {
  'route.first-receipt': t('首次收到数据', 'first rows received'),
  'reconciliation.end': t('对账结束', 'reconciled'),
}

/** What happened to an object, oldest first. */
export function Timeline({ kind, id }: { kind: string; id: string }) {
  const { say } = useWords()
  const whole = withMore.has(kind)
  const { data, error } = useQuery({
    queryKey: ['history', kind, id],
    queryFn: ({ signal }) => call<{ items: Line[] }>(whole ? 'chain.read' : 'history.read', { at: { kind, object: id }, signal }),
  })
  if (error) return <Failed error={error} />
  const lines = data?.items ?? []
  if (lines.length === 0) return null
  const called = (line: Line) => {
    const act = `${line.kind ?? kind}.${line.event}`
    return acts[act] ?? otherActs[act] ?? (line.event === 'create' ? t('建立', 'made') : t(line.event, line.event))
  }
  return (
    <>
      <h2>{say(whole ? t('全过程', 'What happened') : t('办理经过', 'What happened'))}</h2>
      <ol className="steps">
        {lines.map((line, at) => (
          <li key={`${line.at}${at}`}>
            <span className="muted number">{timeText(line.at)}</span> <strong>{say(called(line))}</strong>{' '}
            <SealOf line={line} kind={line.kind ?? kind} />
            <div>
              {line.actorName} {line.agencyName}
            </div>
            {line.kind !== undefined && !(line.kind === kind && line.id === id) && (
              <div className="muted">
                {kinds[line.kind] ? say(kinds[line.kind]!) : line.kind} {line.id}
              </div>
            )}
            {reasonOf(line) !== undefined && <div className="muted">{valueText(reasonOf(line), 'reason', kind, say)}</div>}
          </li>
        ))}
      </ol>
    </>
  )
}

function SealOf({ line, kind }: { line: Line; kind: string }) {
  const seal = sealOf(kind, line)
  return seal ? <Seal {...seal} /> : null
}

function reasonOf({ reason, details }: Line): string | undefined {
  const given = reason ?? details?.['reason']
  return typeof given === 'string' ? given : undefined
}
