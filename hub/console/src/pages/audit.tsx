import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Alert, Button, Progress } from 'antd'
import { useState } from 'react'
import { addressOf, call } from '../api.ts'
import type { Text } from '../meta.ts'
import { Failed } from '../parts/outcome.tsx'
import { Seal } from '../parts/seal.tsx'
import { places } from '../places.ts'
import { useSession } from '../session.tsx'
import { t, timeText, useWords } from '../words.tsx'
import ListPage from './list.tsx'

interface Verified {
  intact: boolean
  count: number
  first: { seq: number; fault: 'altered' | 'missing' | 'unsealed'; sealed: string | null; reckoned: string | null } | null
  at: string
  byName?: string | null
}

interface Verification {
  job: { state: string; done: number; total: number | null; problem: Text | null } | null
  last: Verified | null
}

const place = places.find(({ path }) => path === 'audit')!

/** The audit: whether its chain is whole, and its entries. */
export default function AuditPage() {
  const { can } = useSession()
  return <ListPage place={place}>{can('audit.verification') && <Verify />}</ListPage>
}

const isOpen = (verification: Verification | undefined) => ['queued', 'running'].includes(verification?.job?.state ?? '')

function Verify() {
  const { say } = useWords()
  const { can } = useSession()
  const client = useQueryClient()
  const [refused, setRefused] = useState<Error>()
  const { data, error } = useQuery({
    queryKey: ['verification'],
    queryFn: ({ signal }) => call<Verification>('audit.verification', { signal }),
    refetchInterval: ({ state }) => (isOpen(state.data) ? 500 : false),
  })
  const begin = () =>
    call('audit.verify', { body: {} })
      .then(() => setRefused(undefined))
      .catch(setRefused)
      .finally(() => void client.invalidateQueries({ queryKey: ['verification'] }))
  const { job, last } = data ?? { job: null, last: null }
  const total = job?.total ?? 0
  return (
    <section aria-label={say(t('审计验证', 'Verification'))}>
      <h2>
        {say(t('审计验证', 'Verification'))}{' '}
        {can('audit.verify') && (
          <Button type="primary" size="small" disabled={isOpen(data)} onClick={() => void begin()}>
            {say(t('验证', 'Verify'))}
          </Button>
        )}{' '}
        {can('audit.export') && (
          <a href={addressOf('audit.export')} download>
            {say(t('导出审计链', 'Export the chain'))}
          </a>
        )}
      </h2>
      {(error ?? refused) && <Failed error={(error ?? refused)!} />}
      {isOpen(data) && (
        <p role="status">
          <Progress
            aria-label={say(t('验证进度', 'how far it is'))}
            percent={total > 0 ? Math.floor((100 * job!.done) / total) : 0}
            style={{ maxWidth: 420 }}
          />
          {say(t(`正在验证 ${job!.done} / ${total} 条`, `${job!.done} of ${total} entries`))}
        </p>
      )}
      {job?.problem && <Alert type="error" title={say(job.problem)} />}
      {last && !isOpen(data) && <Last last={last} />}
      {data && !last && !isOpen(data) && <p className="muted">{say(t('还没有验证过。', 'It has not been verified yet.'))}</p>}
    </section>
  )
}

const faults: Readonly<Record<string, Text>> = {
  altered: t('与封存时不一致', 'is not as it was sealed'),
  missing: t('缺失', 'is missing'),
  unsealed: t('不在链上', 'is not in the chain'),
}

function Last({ last: { intact, count, first, at, byName } }: { last: Verified }) {
  const { say } = useWords()
  const when = `${timeText(at)} ${byName ?? ''}`
  if (intact)
    return (
      <Alert
        type="success"
        showIcon
        icon={<Seal whole text={t('全链一致', 'the chain is whole')} />}
        title={say(t(`全链一致，共 ${count} 条`, `The chain is whole: ${count} entries`))}
        description={when}
      />
    )
  const { seq, fault, sealed, reckoned } = first!
  return (
    <Alert
      type="error"
      showIcon
      icon={<Seal whole={false} text={t('链已断', 'the chain is broken')} />}
      title={say(t(`第 ${seq} 条${faults[fault]!.zh}`, `Entry ${seq} ${faults[fault]!.en}`))}
      description={
        <>
          {when}
          {sealed !== null && (
            <dl className="facts">
              <dt>{say(t('封存的散列值', 'sealed hash'))}</dt>
              <dd>{sealed}</dd>
              <dt>{say(t('现在的散列值', 'hash now'))}</dt>
              <dd>{reckoned}</dd>
            </dl>
          )}
        </>
      }
    />
  )
}
