/** What members of answers, and their values, are called. */
import { memberWords } from '../../http/member-words.ts'
import { ageText, comma, plain, valueText as wordedValue, type Vocabulary } from '../../http/wording.ts'
import { entryName } from './catalog-fields.ts'
import { acts, kinds, roles, states, values, type Text } from './meta.ts'
import { timeText } from './words.tsx'

export { ageText, comma, plain }

/** `kind`: of the object that it is a member of, where that makes a difference. */
export function nameOf(member: string, kind?: string): Text {
  return memberWords[`${kind} ${member}`] ?? memberWords[member] ?? entryName(member)
}

const vocabulary: Vocabulary = { acts, kinds, roles, states, values }

/** A value as people read it; `kind`: of the object that it is of. */
export function valueText(value: unknown, member: string, kind: string | undefined, say: (text: Text) => string): string {
  return wordedValue(value, member, kind, { vocabulary, say, time: timeText })
}
