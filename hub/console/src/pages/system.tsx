/** What is wrong with the exchange and its hub 系统状况, and whose turn each is. */
import { useQuery } from '@tanstack/react-query'
import { Button, Table } from 'antd'
import { useState } from 'react'
import { call } from '../api.ts'
import { verbOf, type Text } from '../meta.ts'
import { ActionDialog } from '../parts/action-dialog.tsx'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { StateWord } from '../parts/value.tsx'
import { useSession } from '../session.tsx'
import { t, timeText, useWords } from '../words.tsx'

interface Problem extends Text {
  code: string
}

interface Health {
  status: 'ok' | 'degraded' | 'down'
  problems: Problem[]
  paused: Problem[]
}

const words: Readonly<Record<Health['status'], Text>> = {
  ok: t('一切正常', 'All is well'),
  degraded: t('有问题需要处理', 'Something is to be looked after'),
  down: t('平台不能工作', 'The hub does not work'),
}

export default function SystemPage() {
  const { say } = useWords()
  const { can } = useSession()
  const [confirming, setConfirming] = useState(false)
  const { data, error, refetch, dataUpdatedAt } = useQuery({
    queryKey: ['health'],
    queryFn: ({ signal }) => call<Health>('health.read', { signal }),
    refetchInterval: 60_000,
  })
  if (error) return <Failed error={error} again={() => void refetch()} />
  if (!data) return <Waiting />
  const shape = { ok: 'active', degraded: 'held', down: 'failed' }[data.status]
  return (
    <>
      <h1>{say(t('系统状况', 'System'))}</h1>
      <p>
        <StateWord state={shape} text={say(words[data.status])} />{' '}
        <span className="muted">
          {say(t(`查于 ${timeText(new Date(dataUpdatedAt).toISOString())}`, `asked ${timeText(new Date(dataUpdatedAt).toISOString())}`))}
        </span>
      </p>
      {can('clock.confirm') && data.problems.some(({ code }) => code === 'QZ-CLOCK-JUMPED') && (
        <p>
          <Button type="primary" onClick={() => setConfirming(true)}>
            {say(verbOf('clock.confirm'))}
          </Button>
        </p>
      )}
      {confirming && <ActionDialog name="clock.confirm" close={() => setConfirming(false)} />}
      {data.problems.length > 0 && <Problems problems={data.problems} />}
      {data.paused.length > 0 && (
        <>
          <h2>{say(t('人为暂停的', 'Paused by somebody'))}</h2>
          <Problems problems={data.paused} />
        </>
      )}
    </>
  )
}

function Problems({ problems }: { problems: readonly Problem[] }) {
  const { say } = useWords()
  return (
    <Table<Problem>
      size="small"
      rowKey={({ code, en }) => `${code} ${en}`}
      dataSource={[...problems]}
      pagination={problems.length > 50 ? { pageSize: 50, size: 'small', showSizeChanger: false } : false}
      columns={[
        { title: say(t('问题', 'problem')), render: (_, problem) => <StateWord state="held" text={say(problem)} /> },
        { title: say(t('代码', 'code')), dataIndex: 'code', render: (code: string) => <code>{code}</code> },
      ]}
    />
  )
}
