import { Link } from 'react-router'
import { useSession } from '../session.tsx'
import { t, useWords } from '../words.tsx'

/** Nothing was found: what is not in the catalog may be asked for, by the words that were looked for. */
export function Missing({ text }: { text: string }) {
  const { say } = useWords()
  const { can } = useSession()
  const asked = new URLSearchParams([['make', 'demand.create'], ...(text === '' ? [] : [['make.title', text]])])
  return (
    <p>
      {say(t('没有找到。请换个词，或减少筛选条件。', 'Nothing was found. Try another word, or fewer filters.'))}{' '}
      {can('demand.create') && (
        <Link to={`/demands?${asked.toString()}`}>{say(t('目录里没有？提出目录外需求', 'Not in the catalog? Say what is missing'))}</Link>
      )}
    </p>
  )
}
