/** Values as people read them. The console shows them so, and lists as files hold them so. */
import type { LocalizedText } from '../../protocol/localized.ts'
import { memberWords, valueWords } from './member-words.ts'

type Named = Readonly<Record<string, LocalizedText>>

/** What the hub's tables call things. */
export interface Vocabulary {
  readonly acts: Named
  /** Of the workflows, by their names. */
  readonly states: Readonly<Record<string, Named>>
  readonly roles: Named
  readonly kinds: Named
  /** By the member that has one of them. */
  readonly values: Readonly<Record<string, Named>>
}

export type Say = (text: LocalizedText) => string

export function memberName(member: string): LocalizedText {
  return memberWords[member] ?? { zh: member, en: member }
}

/** Between the parts of a series. */
export const comma = { zh: '、', en: ', ' }

/** Seconds as people say them. */
export function ageText(age: number | null): LocalizedText {
  if (age === null) return { zh: '不明', en: 'unknown' }
  const said = (count: number, zh: string, en: string) => ({ zh: `${Math.round(count)} ${zh}`, en: `${Math.round(count)} ${en}` })
  if (age < 120) return said(age, '秒', 's')
  if (age < 7200) return said(age / 60, '分钟', 'min')
  if (age < 172_800) return said(age / 3600, '小时', 'h')
  return said(age / 86_400, '天', 'd')
}

const yes = { zh: '是', en: 'yes' }
const no = { zh: '否', en: 'no' }

/** Moments of time are told in the city's. */
const moment = /^\d{4}-\d\d-\d\dT\d\d:\d\d/

/** `application 7` */
const ofKind = /^([a-z-]+) (\S.*)$/

/** How a value is told. `kind`: of the object that it is of; `time`: how a moment is. */
export interface Telling {
  readonly vocabulary: Vocabulary
  readonly say: Say
  readonly time: (iso: string) => string
}

/** A dash where there is none. */
export function valueText(value: unknown, member: string, kind: string | undefined, telling: Telling): string {
  const { vocabulary, say, time } = telling
  if (value === null || value === undefined || value === '') return '—'
  if (typeof value === 'boolean') return say(value ? yes : no)
  if (typeof value === 'number') return member === 'age' ? say(ageText(value)) : String(value)
  if (Array.isArray(value)) return value.map((one) => valueText(one, member, kind, telling)).join(say(comma)) || '—'
  if (typeof value === 'object') {
    const pair = value as Partial<LocalizedText>
    if (typeof pair.zh === 'string' && typeof pair.en === 'string') return say(pair as LocalizedText)
    const parts = value as Readonly<Record<string, unknown>>
    return Object.entries(parts)
      .filter(([name]) => !(name.endsWith('Name') && name.slice(0, -4) in parts))
      .map(([name, part]) => `${say(memberName(name))} ${valueText(parts[`${name}Name`] ?? part, name, kind, telling)}`)
      .join('\n')
  }
  const text = plain(value)
  if (moment.test(text)) return time(text)
  const [, named = '', id = ''] = member === 'object' ? (ofKind.exec(text) ?? []) : []
  if (vocabulary.kinds[named]) return `${say(vocabulary.kinds[named])} ${id}`
  const words = wordsOf(text, member, kind, vocabulary)
  return words ? say(words) : text
}

function wordsOf(text: string, member: string, kind: string | undefined, { acts, states, roles, kinds, values }: Vocabulary) {
  const own = (table: Named | undefined) => (table && Object.hasOwn(table, text) ? table[text] : undefined)
  return (
    (member === 'state' && kind ? own(states[kind]) : undefined) ??
    (member === 'role' || member === 'roles' ? own(roles) : undefined) ??
    (member === 'act' ? own(acts) : undefined) ??
    own(values[member === 'mode' ? 'shareModes' : member]) ??
    (member === 'kind' ? (own(kinds) ?? own(acts)) : undefined) ??
    own(valueWords)
  )
}

/** A number, a word or a code as text; nothing else is one. */
export function plain(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint' ? String(value) : ''
}
