/** Why a grant waits: what the version that is to be accepted changes. */
import { useQuery } from '@tanstack/react-query'
import { call } from '../api.ts'
import { t, useWords } from '../words.tsx'
import { DiffTable, type Diff } from './diff.tsx'
import { Failed } from './outcome.tsx'

interface HeldProps {
  grant: Readonly<Record<string, unknown>>
  labels: ReadonlyMap<string, string>
}

export default function HeldVersion({ grant, labels }: HeldProps) {
  const { say } = useWords()
  const resource = String(grant['resource'])
  const version = Number(grant['heldCatalogVersion'] ?? 0)
  const { data, error } = useQuery({
    queryKey: ['diff', resource, version],
    queryFn: ({ signal }) =>
      call<Diff>('resource.diff', { at: { id: resource }, query: { from: String(version - 1), to: String(version) }, signal }),
    enabled: version > 1,
  })
  if (error) return <Failed error={error} />
  if (!data) return null
  return (
    <>
      <h2>{say(t(`目录第 ${version} 版的改动（待接受）`, `What catalog version ${version} changes (to be accepted)`))}</h2>
      <DiffTable diff={data} labels={labels} />
    </>
  )
}
