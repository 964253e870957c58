/** Decides on several cases at once: each on its own, so that some may be refused while the others are done. */
import { useQueryClient } from '@tanstack/react-query'
import { Button, Input, Modal } from 'antd'
import { useState } from 'react'
import { Link } from 'react-router'
import { call } from '../api.ts'
import { plain } from '../fields.ts'
import type { Text } from '../meta.ts'
import { t, useWords } from '../words.tsx'
import { Failed } from './outcome.tsx'

type Line = Readonly<Record<string, unknown>>
type Decision = 'approve' | 'reject'

interface Decided extends Partial<Text> {
  id: string
  state?: string
  code?: string
}

interface ManyProps {
  name: string
  chosen: readonly Line[]
  clear: () => void
  done: () => void
}

const verbs: Readonly<Record<Decision, Text>> = { approve: t('批量批准', 'Approve all'), reject: t('批量驳回', 'Reject all') }

export function DecideMany({ name, chosen, clear, done }: ManyProps) {
  const { say } = useWords()
  const client = useQueryClient()
  const [asking, setAsking] = useState<Decision>()
  const [reason, setReason] = useState('')
  const [error, setError] = useState<unknown>()
  const [busy, setBusy] = useState(false)
  const [decided, setDecided] = useState<readonly Decided[]>()
  const close = () => {
    setAsking(undefined)
    setReason('')
    setError(undefined)
  }
  const decide = async (decision: Decision) => {
    setBusy(true)
    try {
      const cases = chosen.map((line) => ({ id: plain(line['id']), revision: plain(line['revision']) }))
      const given = reason.trim()
      const answer = await call<{ items: Decided[] }>(name, { body: { cases, decision, ...(given !== '' && { reason: given }) } })
      setDecided(answer.items)
      close()
      clear()
      await client.invalidateQueries()
      done()
    } catch (problem) {
      setError(problem)
    } finally {
      setBusy(false)
    }
  }
  const titles = new Map(chosen.map((line) => [plain(line['id']), plain(line['title'])]))
  return (
    <>
      {chosen.length > 0 && (
        <p className="actions" role="toolbar" aria-label={say(t('批量办理', 'All at once'))}>
          <span>{say(t(`已选 ${chosen.length} 件`, `${chosen.length} chosen`))}</span>
          {(['approve', 'reject'] as const).map((decision) => (
            <Button key={decision} type={decision === 'approve' ? 'primary' : 'default'} onClick={() => setAsking(decision)}>
              {say(verbs[decision])}
            </Button>
          ))}
          <Button type="link" onClick={clear}>
            {say(t('取消选择', 'Clear'))}
          </Button>
        </p>
      )}
      {decided && <Outcome decided={decided} close={() => setDecided(undefined)} />}
      {asking && (
        <Modal
          open
          title={`${say(verbs[asking])} \u00b7 ${say(t(`${chosen.length} 件`, `${chosen.length} cases`))}`}
          okText={say(verbs[asking])}
          cancelText={say(t('返回', 'Back'))}
          okButtonProps={{ danger: asking === 'reject', disabled: asking === 'reject' && reason.trim() === '' }}
          confirmLoading={busy}
          onOk={() => void decide(asking)}
          onCancel={close}
          destroyOnHidden
        >
          {error !== undefined && <Failed error={error} />}
          <ul className="chosen-cases">
            {[...titles].map(([id, title]) => (
              <li key={id}>
                {id} {title}
              </li>
            ))}
          </ul>
          <label>
            {say(asking === 'reject' ? t('理由', 'Reason') : t('意见（可不填）', 'Remark (may be left out)'))}
            <Input.TextArea rows={2} maxLength={1000} value={reason} onChange={({ target }) => setReason(target.value)} />
          </label>
        </Modal>
      )}
    </>
  )
}

/** How many were done, and why the others were not. */
function Outcome({ decided, close }: { decided: readonly Decided[]; close: () => void }) {
  const { say } = useWords()
  const refused = decided.filter(({ code }) => code !== undefined)
  const done = decided.length - refused.length
  return (
    <div className={refused.length > 0 ? 'problem' : 'done'} role="status">
      <strong>{say(t(`已办理 ${done} 件，未办理 ${refused.length} 件`, `${done} done, ${refused.length} not done`))}</strong>{' '}
      <Button type="link" size="small" onClick={close}>
        {say(t('知道了', 'Close'))}
      </Button>
      {refused.length > 0 && (
        <ul>
          {refused.map(({ id, code, zh = '', en = '' }) => (
            <li key={id}>
              <Link to={`/applications/${id}`}>{id}</Link> {say({ zh, en })} <code>{code}</code>
            </li>
          ))}
        </ul>
      )}
    </div>
  )
}
