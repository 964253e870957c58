/** Whom it touches, before something is done that cannot be taken back. */
import { useQuery } from '@tanstack/react-query'
import { call } from '../api.ts'
import type { Text } from '../meta.ts'
import { t, useWords } from '../words.tsx'

interface Counted {
  list: string
  asked: (id: string) => Readonly<Record<string, string>>
  count: (answer: { items: Readonly<Record<string, unknown>>[]; total: { count: number } }, id: string) => number
  words: (count: number) => Text
}

const ofResource: Counted = {
  list: 'resource.list',
  asked: (id) => ({ text: id, limit: '100' }),
  count: ({ items }, id) => Number(items.find(({ code }) => code === id)?.['receivers'] ?? 0),
  words: (n) => t(`影响：${n} 个获取单位的授权将停止交付`, `Effect: what ${n} receivers are granted is delivered no more`),
}

const effects: Readonly<Record<string, Counted>> = {
  'resource.stop': ofResource,
  'resource.withdraw': ofResource,
  'agent.revoke': {
    list: 'line.list',
    asked: (id) => ({ agent: id, limit: '1' }),
    count: ({ total }) => total.count,
    words: (n) => t(`影响：这台前置机的 ${n} 条链路将停止`, `Effect: ${n} lines of this machine stop`),
  },
}

/** Operations of which the effect is counted. */
export const hasEffect = (name: string): boolean => name in effects

export function Effect({ name, id }: { name: string; id: string }) {
  const { say } = useWords()
  const { list, asked, count, words } = effects[name]!
  const { data } = useQuery({
    queryKey: ['effect', name, id],
    queryFn: ({ signal }) => call(list, { query: asked(id), signal }),
  })
  return <p role="status">{data ? <strong>{say(words(count(data, id)))}</strong> : '…'}</p>
}
