import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { addressOf, call, Problem } from '../api.ts'
import { t, timeText, useWords } from '../words.tsx'
import { Failed } from './outcome.tsx'

interface Attachment {
  id: string
  name: string
  bytes: number
  sha256: string
  byName: string
  agencyName: string | null
  at: string
}

/** Attachments 附件 of a case: read as files, and added while it lies with the reader. */
export default function Attachments({ kind, id }: { kind: string; id: string }) {
  const { say } = useWords()
  const client = useQueryClient()
  const [failed, setFailed] = useState<unknown>()
  const { data, error } = useQuery({
    queryKey: ['attachments', kind, id],
    queryFn: ({ signal }) => call<{ items: Attachment[]; open: boolean }>(`${kind}.attachments`, { at: { id }, signal }),
  })
  // Who may not read them is not told of them.
  if (error instanceof Problem && error.status < 500) return null
  if (error) return <Failed error={error} />
  if (!data || (data.items.length === 0 && !data.open)) return null
  const add = async (file: File) => {
    setFailed(undefined)
    try {
      await call(`${kind}.attach`, { at: { id }, query: { name: file.name }, body: file })
    } catch (problem) {
      setFailed(problem)
    }
    await client.invalidateQueries()
  }
  return (
    <section className="attachments">
      <h2>{say(t('附件', 'Attachments'))}</h2>
      <ul>
        {data.items.map((one) => (
          <li key={one.id}>
            <a href={addressOf(`${kind}.attachment`, { at: { id, attachment: one.id } })} download title={`SHA-256 ${one.sha256}`}>
              {one.name}
            </a>{' '}
            <span className="muted">
              {Math.ceil(one.bytes / 1024)} KB · {one.byName} {one.agencyName} · {timeText(one.at)}
            </span>
          </li>
        ))}
      </ul>
      {failed !== undefined && <Failed error={failed} />}
      {data.open && (
        <label className="file">
          <span className="press">{say(t('添加附件', 'Attach a file'))}</span> <span className="muted">PDF, DOCX, JPG, PNG; 10 MB</span>{' '}
          <input
            type="file"
            accept=".pdf,.docx,.jpg,.jpeg,.png"
            onChange={({ target }) => {
              if (target.files?.[0]) void add(target.files[0])
              target.value = ''
            }}
          />
        </label>
      )}
    </section>
  )
}
