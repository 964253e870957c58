/**
 * Words for the catalog's search. Chinese is not cut into words: each character and each pair of neighbours is a token, so that any
 * phrase is found by its pairs. Of other words each beginning is a token.
 */

const cjk = String.raw`\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}`
const run = new RegExp(String.raw`[${cjk}]+|[[\p{L}\p{N}\p{M}]--[${cjk}]]+`, 'gv')
const chinese = new RegExp(`^[${cjk}]`, 'v')
const spaceWithin = new RegExp(String.raw`(?<=[${cjk}])\s+(?=[${cjk}])`, 'gv')
const separator = /[^\p{L}\p{N}\p{M}\-_.\/]+/v
/** Longer beginnings are not told apart by tokens, only by the check of the phrase. */
const longestBeginning = 20
const maxWords = 10

/** Full-width forms and case folded (NFKC); no white space between Chinese characters (姓 名), one space elsewhere. */
export function normaliseText(text: string): string {
  return text.normalize('NFKC').toLowerCase().replace(spaceWithin, '').replace(/\s+/g, ' ').trim()
}

/** All tokens of a normalised text. */
export function tokensOf(text: string): Set<string> {
  const tokens = new Set<string>()
  for (const [found] of text.matchAll(run)) {
    const characters = Array.from(found)
    if (chinese.test(found)) for (const token of [...characters, ...pairs(characters)]) tokens.add(token)
    else
      for (let length = Math.min(characters.length, longestBeginning); length > 0; length--)
        tokens.add(characters.slice(0, length).join(''))
  }
  return tokens
}

function pairs(characters: readonly string[]): string[] {
  return characters.slice(1).map((character, i) => characters[i]! + character)
}

/** One word that somebody looks for. */
export interface Word {
  text: string
  /** All of them stand in what holds the word. */
  tokens: string[]
  /** The tokens say it exactly; otherwise what holds them need not hold the word, and its text is to be looked at. */
  exact: boolean
}

/** The words of what was typed, at most ten. */
export function wordsOf(typed: string): Word[] {
  const parts = typed.normalize('NFKC').toLowerCase().split(separator)
  const texts = parts.map((part) => part.replace(/^[-_./]+|[-_./]+$/g, '')).filter((part) => part !== '')
  return [...new Set(texts)].slice(0, maxWords).map(wordOf)
}

function wordOf(text: string): Word {
  const runs = Array.from(text.matchAll(run), ([found]) => found)
  const tokens = runs.flatMap((found) => {
    const characters = Array.from(found)
    if (!chinese.test(found)) return [characters.slice(0, longestBeginning).join('')]
    return characters.length === 1 ? characters : pairs(characters)
  })
  return { text, tokens, exact: tokens.length === 1 && tokens[0] === text }
}
