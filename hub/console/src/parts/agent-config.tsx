import { useQuery } from '@tanstack/react-query'
import { Typography } from 'antd'
import { call, Problem } from '../api.ts'
import { t, useWords } from '../words.tsx'
import { Failed } from './outcome.tsx'

/** What is to be copied into the configuration of the agency's agent. */
export default function AgentConfig({ kind, id }: { kind: 'resource' | 'grant'; id: string }) {
  const { say } = useWords()
  const { data, error } = useQuery({
    queryKey: ['agent config', kind, id],
    queryFn: ({ signal }) => call<{ yaml: string }>(`${kind}.agent-config`, { at: { id }, signal }),
  })
  // Not everything goes through a machine, nor is everybody's.
  if (error instanceof Problem && error.status < 500) return null
  if (error) return <Failed error={error} />
  if (!data) return null
  return (
    <section className="agent-config">
      <h2>
        {say(t('前置机代理配置', 'Configuration of the agent'))} <Typography.Text copyable={{ text: data.yaml }} />
      </h2>
      <pre>{data.yaml}</pre>
    </section>
  )
}
