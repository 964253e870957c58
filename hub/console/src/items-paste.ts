/** What a spreadsheet puts on the clipboard, taken into the items of a catalog entry. */
import type { Field, Text } from '../meta-shape.ts'

/** An item while it is drafted: nothing need be there. */
export type Draft = Readonly<Record<string, unknown>> & { readonly id?: string; readonly label?: string }

export interface NotUnderstood {
  /** Row of what was pasted, from 1. */
  row: number
  field: Field
  text: string
}

/** A text of one cell is left to the input that it is pasted into. */
export function looksLikeTable(text: string): boolean {
  return /\t|\n./.test(text.trimEnd())
}

/** Rows of cells: divided by tabs and line ends, in quotation marks (doubled within) where a cell holds one of these. */
export function cellsOf(text: string): string[][] {
  const rows: string[][] = [[]]
  // A cell, quoted or not, and what ends it.
  for (const [whole, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^\t\r\n]*))(\t|\r?\n|\r|$)/g)) {
    if (whole === '' && rows.at(-1)!.length === 0) break
    rows.at(-1)!.push(quoted === undefined ? plain! : quoted.replaceAll('""', '"'))
    if (end === '') break
    if (end !== '\t') rows.push([])
  }
  return rows.filter((cells) => cells.length > 0)
}

/**
 * Puts cells into items: under a line of headings (names of the fields, in either language) each line is the item of its id, or a new one;
 * without it the cells fill the grid from `place` on.
 */
export function takeIn(
  items: readonly Draft[],
  cells: readonly (readonly string[])[],
  place: { row: number; column: number },
  fields: readonly Field[],
  words: Readonly<Record<string, Readonly<Record<string, Text>>>>,
): { items: Draft[]; notUnderstood: NotUnderstood[] } {
  const headings = headingsIn(cells[0] ?? [], fields)
  const next: Draft[] = [...items]
  const notUnderstood: NotUnderstood[] = []
  for (const [at, line] of (headings ? cells.slice(1) : cells).entries()) {
    const read: Record<string, unknown> = {}
    for (const [column, text] of line.entries()) {
      const field = headings ? headings[column] : fields[place.column + column]
      if (!field) continue
      const value = valueOf(text.trim(), field, words[field.name] ?? {})
      if (value === notKnown) notUnderstood.push({ row: at + 1, field, text })
      else read[field.name] = value
    }
    const found = headings ? next.findIndex(({ id }) => id !== undefined && id === read['id']) : place.row + at
    if (found >= 0 && found < next.length) next[found] = { ...next[found], ...read }
    else next.push({ openness: 'internal', ...read })
  }
  return { items: next, notUnderstood }
}

/** At least two cells, and half of them, name a field. */
function headingsIn(cells: readonly string[], fields: readonly Field[]): (Field | undefined)[] | undefined {
  const found = cells.map((cell) => fieldCalled(cell.trim().toLowerCase(), fields))
  const known = found.filter(Boolean).length
  return known >= 2 && known * 2 >= cells.length ? found : undefined
}

/** By its whole name, else by the end of it: \u540d\u79f0 for \u4fe1\u606f\u9879\u540d\u79f0. */
function fieldCalled(name: string, fields: readonly Field[]): Field | undefined {
  const names = ({ name: id, text }: Field) => [id, text.zh, text.en].map((one) => one.toLowerCase())
  if (name === '') return undefined
  return fields.find((field) => names(field).includes(name)) ?? fields.find(({ text }) => text.zh.endsWith(name))
}

const notKnown = Symbol('not known')
const yes = new Set(['\u662f', '\u2713', '\u221a', 'yes', 'y', 'true', '1'])
const no = new Set(['', '\u5426', 'no', 'n', 'false', '0'])

function valueOf(text: string, { input, choices = [] }: Field, words: Readonly<Record<string, Text>>): unknown {
  const said = text.toLowerCase()
  switch (input) {
    case 'yes-no':
      return yes.has(said) ? true : no.has(said) ? false : notKnown
    case 'number':
      return text === '' ? undefined : /^\d+$/.test(text) ? Number(text) : notKnown
    case 'choice': {
      if (text === '') return undefined
      const called = (choice: string) => [choice, words[choice]?.zh, words[choice]?.en].map((one) => one?.toLowerCase())
      const exact = choices.find((choice) => called(choice).includes(said))
      const begun = choices.filter((choice) => called(choice).some((one) => one?.startsWith(said)))
      return exact ?? (begun.length === 1 ? begun[0] : notKnown)
    }
    default:
      return text === '' ? undefined : text
  }
}
