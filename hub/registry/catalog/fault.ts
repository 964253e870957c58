import type { LocalizedText } from '../../../protocol/localized.ts'

/** Something that keeps a registration from being submitted. `field`: of the entry, or of the item where one is named. */
export interface Fault extends LocalizedText {
  field: string | null
  item: string | null
}
