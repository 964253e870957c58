import { t, useWords } from '../words.tsx'

export interface Deadline {
  due: string
  daysLeft: number
  missed: boolean
}

/** The ruler of a deadline 期限尺: a tick for each working day that is left, ten at most. */
export function Ruler({ deadline, urgency }: { deadline: Deadline | null; urgency?: string }) {
  const { say } = useWords()
  if (!deadline) return <span className="muted">—</span>
  const { due, daysLeft, missed } = deadline
  const soon = urgency === 'warned'
  const words = missed
    ? t('已逾期', 'overdue')
    : t(`剩 ${daysLeft} 个工作日`, `${daysLeft} working ${daysLeft === 1 ? 'day' : 'days'} left`)
  return (
    <span className={`ruler ${missed ? 'missed' : soon ? 'soon' : ''}`} title={due}>
      <span className="ticks" aria-hidden="true">
        {Array.from({ length: 10 }, (_, day) => (
          <i key={day} className={!missed && day < daysLeft ? 'left' : ''} />
        ))}
      </span>
      {missed ? '▲ ' : ''}
      {say(words)}
    </span>
  )
}
