import { valueText } from '../fields.ts'
import { t, useWords } from '../words.tsx'

interface Item {
  id: string
  label: string
  openness: string
}

export interface Counts {
  readonly public: number
  readonly internal: number
  readonly closed: number
}

/** The same of what is listed: how many items of each, in cells that share the width of a column. */
export function StripOfCounts({ counts }: { counts: Counts }) {
  const { say } = useWords()
  const { public: open, internal, closed } = counts
  const text = say(t(`对外 ${open}、对内 ${internal}、不公开 ${closed}`, `${open} public, ${internal} internal, ${closed} closed`))
  const cells = (['public', 'internal', 'closed'] as const).flatMap((openness) =>
    Array.from({ length: counts[openness] }, (_, at) => <i key={`${openness}${at}`} className={openness} />),
  )
  return (
    <span className={cells.length > 12 ? 'strip dense' : 'strip'} role="img" aria-label={text} title={text}>
      {cells}
    </span>
  )
}

/** The strip of openness 公开条: one cell for each item: outlined for agencies alone, filled for everybody, crossed for nobody. */
export function Strip({ items }: { items: readonly Item[] }) {
  const { say } = useWords()
  const count = (openness: string) => items.filter((item) => item.openness === openness).length
  const [open, internal, closed] = [count('public'), count('internal'), count('closed')]
  const text = say(t(`对外 ${open}、对内 ${internal}、不公开 ${closed}`, `${open} public, ${internal} internal, ${closed} closed`))
  return (
    <span className="strip" role="img" aria-label={text} title={text}>
      {items.map((item) => (
        <i key={item.id} className={item.openness} title={`${item.label}: ${valueText(item.openness, 'openness', undefined, say)}`} />
      ))}
    </span>
  )
}
