/** What a number format shows of a number (ECMA-376 part 1, 18.8.31), as far as it can be told whether a person reads the same number. */

/** What a person reads of a cell, where that is not the value's own text. */
export interface CellShown {
  /** Null where the format hides a part of the value, or writes it in a way that is not followed here. */
  text: string | null
  /** It is the same number (or time) all the same, perhaps without its last digits. */
  same: boolean
}

type Condition = (value: number) => boolean

interface Section {
  condition: Condition | undefined
  /** Texts, and places of digits, in order. */
  tokens: (string | { place: '0' | '#' | '?'; behind: boolean })[]
  /** A digit is wanted before the point. */
  general: boolean
  point: boolean
  grouped: boolean
  /** By how many places the point is moved to the right (percent) or left (thousands). */
  shift: number
  /** Fractions, exponents, Chinese numerals. */
  foreign: boolean
  coloured: boolean
}

/** Says of a value, given as plain digits, what is shown; undefined where that is its own text. */
export type ShowNumber = (digits: string) => CellShown | undefined

/** ECMA-376 part 1, 18.8.30. */
const builtIn: Record<number, string> = {
  1: '0',
  2: '0.00',
  3: '#,##0',
  4: '#,##0.00',
  9: '0%',
  10: '0.00%',
  11: '0.00E+00',
  12: '# ?/?',
  13: '# ??/??',
  48: '##0.0E+0',
}

/** Undefined where every number is shown as it is. */
export function numberShower(id: number, code: string | undefined): ShowNumber | undefined {
  const given = code ?? builtIn[id]
  if (given === undefined || given === '@' || /^general$/i.test(given)) return undefined
  const sections = sectionsOf(given)
  return (digits) => {
    const shown = show(sections, digits)
    return shown.text === digits ? undefined : shown
  }
}

/** Outside of quotes. */
function sectionsOf(code: string): Section[] {
  const parts = code.match(/(?:"[^"]*"?|[\\_*].|[^;"\\_*])+|(?<=^|;)(?=;|$)/gs) ?? ['']
  return parts.map(sectionOf)
}

const element = /"([^"]*)"?|[\\!](.)|_(.)|\*.|\[([^\]]*)\]|(general|g\/通用格式)|([0#?])|(e[+-])|([.,%/])|(.)/gis

function sectionOf(code: string): Section {
  const section: Section = {
    condition: undefined,
    tokens: [],
    general: false,
    point: false,
    grouped: false,
    shift: 0,
    foreign: false,
    coloured: false,
  }
  let commas = 0
  for (const [all, quoted, escaped, padded, bracket, general, place, exponent, sign, other] of code.matchAll(element)) {
    if (bracket !== undefined) takeBracket(section, bracket)
    else if (general !== undefined) section.general = true
    else if (place !== undefined) {
      // A comma between digits groups them, behind the last one it divides by a thousand.
      if (commas > 0 && !section.point) section.grouped = true
      commas = 0
      section.tokens.push({ place: place as '0', behind: section.point })
    } else if (exponent !== undefined || (sign === '/' && hasPlace(section))) section.foreign = true
    else if (sign === '.') {
      section.shift -= 3 * commas
      commas = 0
      section.point = true
      section.tokens.push('.')
    } else if (sign === ',') commas += hasPlace(section) ? 1 : 0
    else if (sign === '%') {
      section.shift += 2
      section.tokens.push('%')
    } else section.tokens.push(quoted ?? escaped ?? (padded === undefined ? (other ?? (all.startsWith('*') ? '' : all)) : ' '))
  }
  section.shift -= 3 * commas
  return section
}

function hasPlace({ tokens }: Section): boolean {
  return tokens.some((token) => typeof token !== 'string')
}

const comparisons: Record<string, (a: number, b: number) => boolean> = {
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
  '=': (a, b) => a === b,
  '<>': (a, b) => a !== b,
}

function takeBracket(section: Section, bracket: string): void {
  const condition = /^([<>=]+)\s*(-?[\d.]+)$/.exec(bracket)
  const compare = condition && comparisons[condition[1]!]
  if (compare) section.condition = (value) => compare(value, Number(condition[2]))
  else if (/^dbnum/i.test(bracket)) section.foreign = true
  else if (bracket.startsWith('$')) section.tokens.push(bracket.slice(1).split('-')[0]!)
  else section.coloured = true
}

function show(sections: readonly Section[], digits: string): CellShown {
  const value = Number(digits)
  const section = chosen(sections, value)
  if (!section) return { text: null, same: false }
  const negative = value < 0
  if (section.foreign) return { text: null, same: section.shift === 0 }
  if (!section.general && !hasPlace(section)) return { text: null, same: value === 0 }
  const shown = section.general ? { text: wordsOf(section.tokens) + digits.replace('-', ''), whole: true } : places(section, digits)
  // The first section shows a sign by itself, the others only what they say.
  const own = sections.indexOf(section) === 0
  const text = (negative && own ? '-' : '') + shown.text.trim()
  const signed = !negative || own || /[-(]/.test(shown.text) || section.coloured
  const told = shown.whole && (!negative || own || /[-(]/.test(shown.text)) && !(section.general && section.tokens.length > 0)
  return { text: told ? text : null, same: signed && section.shift === 0 && !misleads(section) }
}

function wordsOf(tokens: Section['tokens']): string {
  return tokens.filter((token) => typeof token === 'string').join('')
}

/** Words by which another number is read. */
function misleads({ tokens }: Section): boolean {
  return tokens.some((token) => typeof token === 'string' && /[\d万亿千百萬億%‰]|^\s*[km]\s*$/i.test(token))
}

function chosen(sections: readonly Section[], value: number): Section | undefined {
  if (sections.some(({ condition }) => condition))
    return sections.find(({ condition }, i) => (condition ? condition(value) : i > 0 || value >= 0))
  const numbers = sections.slice(0, 3)
  if (value < 0) return numbers[1] ?? numbers[0]
  return value === 0 ? (numbers[2] ?? numbers[0]) : numbers[0]
}

/** Digits in their places; `whole`: none is left out. */
function places({ tokens, grouped, shift }: Section, digits: string): { text: string; whole: boolean } {
  const [before, behind] = moved(digits.replace('-', ''), shift)
  const room = tokens.filter((token) => typeof token !== 'string' && token.behind).length
  const whole = behind.length <= room
  const [int, fraction] = whole ? [before, behind] : rounded(before, behind, room)
  const words = tokens.filter((token) => typeof token === 'string' && token !== '.' && token.trim() !== '' && token !== '-')
  return { text: beforePoint(tokens, int, grouped && words.length > 0) + behindPoint(tokens, fraction), whole }
}

/** The point moved to the right; without zeros at the ends. */
function moved(digits: string, shift: number): [before: string, behind: string] {
  const [whole, fraction = ''] = digits.split('.') as [string, string?]
  const behind = Math.max(0, fraction.length - shift)
  const all = (whole + fraction.padEnd(shift, '0')).padStart(behind, '0')
  const at = all.length - behind
  return [all.slice(0, at).replace(/^0+/, ''), all.slice(at).replace(/0+$/, '')]
}

function rounded(before: string, behind: string, room: number): [string, string] {
  const digits = BigInt(`0${before}${behind.slice(0, room)}`) + (behind[room]! >= '5' ? 1n : 0n)
  const text = digits.toString().padStart(room + 1, '0')
  return [text.slice(0, text.length - room).replace(/^0+/, ''), text.slice(text.length - room).replace(/0+$/, '')]
}

/** From the last place on: the first one takes all digits that are left. */
function beforePoint(tokens: Section['tokens'], digits: string, grouped: boolean): string {
  const end = tokens.indexOf('.')
  const mine = tokens.slice(0, end < 0 ? undefined : end)
  const first = mine.findIndex((token) => typeof token !== 'string')
  if (first < 0) return wordsOf(mine) + digits
  let [left, written, text] = [digits, 0, '']
  const write = (digit: string) => {
    text = (grouped && written > 0 && written % 3 === 0 ? `${digit},` : digit) + text
    written++
  }
  for (let at = mine.length - 1; at >= 0; at--) {
    const token = mine[at]!
    if (typeof token === 'string') {
      text = token + text
      continue
    }
    const taken = at === first ? left : left.slice(-1)
    left = left.slice(0, left.length - taken.length)
    for (const digit of Array.from(taken).toReversed()) write(digit)
    if (taken === '' && token.place !== '#') write(token.place === '0' ? '0' : ' ')
  }
  return text
}

function behindPoint(tokens: Section['tokens'], digits: string): string {
  const from = tokens.indexOf('.')
  if (from < 0) return ''
  let at = 0
  return tokens
    .slice(from)
    .map((token) => (typeof token === 'string' ? token : (digits[at++] ?? (token.place === '0' ? '0' : token.place === '?' ? ' ' : ''))))
    .join('')
}
