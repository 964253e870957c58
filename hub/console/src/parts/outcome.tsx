/** What is shown while something is waited for, and where it failed. */
import { Button, Skeleton } from 'antd'
import { Problem } from '../api.ts'
import { nameOf } from '../fields.ts'
import { t, useWords } from '../words.tsx'

export function Waiting() {
  return <Skeleton active title={false} paragraph={{ rows: 6 }} />
}

const turns = {
  provider: t('由数据提供方处理', 'the agency that provides the data must act'),
  receiver: t('由数据接收方处理', 'the agency that receives the data must act'),
  office: t('由市电子政务办处理', "the city's office must act"),
  operator: t('由系统运维人员处理', 'whoever runs the system must act'),
  requester: t('请您修改后再试', 'change what was sent, and try again'),
  nobody: t('无需处理，稍后再试', 'nobody has to act: try again later'),
} as const

/** `/form/items/0/id` as the page calls it. */
function placeWords(pointer: string, say: ReturnType<typeof useWords>['say']): string {
  const parts = pointer.split('/').filter((part) => part !== '' && part !== 'form' && part !== 'content')
  const word = (part: string) => (/^\d+$/.test(part) ? t(`第 ${Number(part) + 1} 行`, `line ${Number(part) + 1}`) : nameOf(part))
  return parts.map((part) => say(word(part))).join(' · ')
}

/** Sentence, whose turn it is, code; another try only where it may succeed. */
export function Failed({ error, again }: { error: unknown; again?: () => void }) {
  const { say } = useWords()
  const problem = error instanceof Problem ? error : new Problem(0, { detail: t('页面出错', `this page failed: ${String(error)}`) })
  // What was sent is not what people see of it: each place by its words.
  const inBody = problem.code === 'QZ-REQUEST-INVALID' && problem.faults.length > 1 && problem.faults.every(({ at }) => at?.startsWith('/'))
  const headline = t(`须改正 ${problem.faults.length} 处`, `${problem.faults.length} places are to be mended`)
  const turn = turns[problem.who as keyof typeof turns] ?? turns.operator
  return (
    <div className="problem" role="alert">
      <strong>{say(inBody ? headline : problem.detail)}</strong>
      {problem.faults.length > 1 && (
        <ul>
          {problem.faults.map((fault) => (
            <li key={`${fault.at}${fault.zh}`}>
              {inBody && `${placeWords(fault.at!, say)}${say(t('：', ': '))}`}
              {say(fault)}
            </li>
          ))}
        </ul>
      )}
      <div className="muted">
        {problem.code === 'QZ-FORBIDDEN' && (
          <>
            <a href="/">{say(t('回到工作台', 'To what waits for me'))}</a> ·{' '}
          </>
        )}
        {say(turn)} · <code>{problem.code}</code>{' '}
        {again && problem.retry && (
          <Button size="small" onClick={again}>
            {say(t('再试一次', 'Try again'))}
          </Button>
        )}
      </div>
    </div>
  )
}
