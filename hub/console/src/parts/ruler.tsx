import { t, useWords } from '../words.tsx'

export interface Deadline {
  due: string
  daysLeft: number
  missed: boolean
}

/** The ruler of a deadline 期限尺: a tick for each working day that is left, or that it is overdue, ten at most. */
export function Ruler({ deadline, urgency }: { deadline: Deadline | null; urgency?: string }) {
  const { say } = useWords()
  if (!deadline) return <span className="muted">—</span>
  const { due, daysLeft, missed } = deadline
  const soon = urgency === 'warned'
  const over = -daysLeft
  const words = missed
    ? over > 0
      ? t(`逾期 ${over} 个工作日`, `${over} working ${over === 1 ? 'day' : 'days'} overdue`)
      : t('已逾期', 'overdue')
    : daysLeft === 0
      ? t('今日到期', 'due today')
      : t(`剩 ${daysLeft} 个工作日`, `${daysLeft} working ${daysLeft === 1 ? 'day' : 'days'} left`)
  return (
    <span className={`ruler ${missed ? 'missed' : soon ? 'soon' : ''}`} title={due}>
      <span className="ticks" aria-hidden="true">
        {Array.from({ length: 10 }, (_, day) => (
          <i key={day} className={day < Math.abs(daysLeft) ? 'left' : ''} />
        ))}
      </span>
      {missed ? '▲ ' : ''}
      {say(words)}
    </span>
  )
}
