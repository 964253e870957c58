import { ageText } from '../fields.ts'
import { t, timeText, useWords } from '../words.tsx'
import type { Text } from '../meta.ts'
import '../style/chain.css'

/** What a line's sign shows. */
export interface ChainLine {
  kind: string
  state: string
  at: string | null
  provider: string
  providerName?: string | null
  receiver: string | null
  receiverName?: string | null
  waiting: number | null
  behind: number | null
  lastPush: string | null
  age: number | null
  turn: Text
}

/**
 * The sign of a line 链路条: three joined segments, provider, hub, receiver, each with its number. The one that holds the line up is filled, with
 * a bar through it; what is not known is hatched.
 */
export function Chain({ line, wide = false }: { line: ChainLine; wide?: boolean }) {
  const { say } = useWords()
  const { state, at, waiting, behind, lastPush, age } = line
  const parts = [
    {
      segment: 'provider',
      name: say(t('提供', 'provider')),
      who: line.providerName ?? line.provider,
      number: waiting === null ? '?' : String(waiting),
    },
    { segment: 'hub', name: say(t('平台', 'hub')), who: '', number: lastPush ? timeText(lastPush).slice(5) : '?' },
    ...(line.kind === 'route'
      ? [
          {
            segment: 'receiver',
            name: say(t('获取', 'receiver')),
            who: line.receiverName ?? line.receiver ?? '',
            number: behind === null ? '?' : String(behind),
          },
        ]
      : []),
  ]
  const look = (segment: string) => (segment !== at ? '' : state === 'held' ? 'held' : state === 'unknown' ? 'unknown' : 'touched')
  const told = parts.map(({ name, who, number }) => `${name} ${who} ${number}`.replace(/ +/g, ' ')).join(' \u25b8 ')
  const text = `${told}; ${say(t('数据距今', 'age'))} ${say(ageText(age))}; ${say(line.turn)}`
  return (
    <span className={wide ? 'chain wide' : 'chain'} role="img" aria-label={text} title={text}>
      {parts.map(({ segment, who, name, number }) => (
        <i key={segment} className={look(segment)}>
          {wide && `${name} ${who} \u00b7 ${number}`}
        </i>
      ))}
    </span>
  )
}

/** As a list loads it. */
export default Chain
