import { useQuery } from '@tanstack/react-query'
import { call } from '../api.ts'
import { valueText } from '../fields.ts'
import { acts } from '../meta.ts'
import { t, timeText, useWords } from '../words.tsx'
import { Failed } from './outcome.tsx'

interface Line {
  event: string
  from: string | null
  to: string
  actorName: string
  agencyName: string | null
  at: string
  details: Record<string, unknown>
}

/** What happened to an object, oldest first. */
export function Timeline({ kind, id }: { kind: string; id: string }) {
  const { say } = useWords()
  const { data, error } = useQuery({
    queryKey: ['history', kind, id],
    queryFn: ({ signal }) => call<{ items: Line[] }>('history.read', { at: { kind, object: id }, signal }),
  })
  if (error) return <Failed error={error} />
  const lines = data?.items ?? []
  return (
    <>
      <h2>{say(t('办理经过', 'What happened'))}</h2>
      <ol className="steps">
        {lines.map((line, at) => (
          <li key={`${line.at}${at}`}>
            <span className="muted number">{timeText(line.at)}</span>{' '}
            <strong>{say(acts[`${kind}.${line.event}`] ?? { zh: line.event === 'create' ? '建立' : line.event, en: line.event })}</strong>
            <div>
              {line.actorName} {line.agencyName}
            </div>
            {typeof line.details['reason'] === 'string' && (
              <div className="muted">{valueText(line.details['reason'], 'reason', kind, say)}</div>
            )}
          </li>
        ))}
      </ol>
    </>
  )
}
