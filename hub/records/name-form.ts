import { lookAlike } from './look-alikes.ts'
import pairs from 'opencc-js/dict/TSCharacters'

/** A text in which something can be seen: a letter, a digit or a sign, none of those that show nothing. */
export const seenPattern = '(?![\\p{Default_Ignorable_Code_Point}\\p{Cf}])[\\p{L}\\p{N}\\p{S}\\p{P}]'

const seen = new RegExp(seenPattern, 'u')

export function isSeen(text: string): boolean {
  return seen.test(text)
}

/** Raise it when `nameForm` changes, also by another Unicode or dictionary: what is stored is then made anew at the next start. */
export const nameFormVersion = 2

/** Of each traditional character the simplified one; by characters alone, since what depends on words around it differs with a blank. */
const simplified = new Map(pairs.split('|').map((pair) => pair.split(' ') as [string, string]))

const invisible = /[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}\s]/gu
const notLetters = /[^\p{L}\p{N}\p{M}]/gu
/** Accents and strokes that make no letter with what they stand on. */
const strayMarks = /[\p{M}&&\p{Script=Inherited}]/gv

/**
 * The one form in which names are compared: of agencies, of resources, of items. Without what does not tell names apart: width, case,
 * composition, traditional or simplified characters, letters of other scripts that look alike, blanks, punctuation, signs, and whatever is not seen. A name of signs alone keeps them.
 */
export function nameForm(name: string): string {
  const form = formOnce(name)
  // What one step leaves may be changed by the step before it, such as a mark that now stands on another letter.
  return form === name ? form : nameForm(form)
}

function formOnce(name: string): string {
  const shown = name.replace(invisible, '').normalize('NFKC').replace(invisible, '')
  const letters = folded(shown.replace(notLetters, ''))
  return letters === '' ? shown : letters
}

function folded(text: string): string {
  const oneCase = text.toUpperCase().toLowerCase().normalize('NFKC').replace(strayMarks, '')
  return Array.from(oneCase, (character) => lookAlike(simplified.get(character) ?? character)).join('')
}
