import type { Language, LocalizedText } from '../../protocol/localized.ts'
import type { HubConfig } from '../config.ts'
import type { AdminClient } from './admin-client.ts'

export interface Option {
  type: 'string' | 'boolean'
  /** What stands for the value in the help. */
  value?: string
  text: LocalizedText
}

export type Given = Record<string, string | boolean | undefined>

/** One sub-command of qianzhi-hub. */
export interface Command {
  /** `agency add`. */
  name: string
  /** Names of its arguments, all needed. */
  arguments: readonly string[]
  options?: Record<string, Option>
  text: LocalizedText
  /** Needs no configuration, and is given none but the defaults. */
  standalone?: true
  /** @returns the exit code where it is not 0. */
  run(deps: CommandDeps, args: readonly string[], given: Given): Promise<number | void>
}

export interface CommandDeps {
  language: Language
  config: HubConfig
  /** The file that nobody named and that is not there: the configuration is what holds by default. */
  absent?: string
  /** The running hub. */
  api: AdminClient
  /** The text for people, or with --json the value. */
  show: (value: unknown, text: string) => void
  /** For people only: does not get in the way of what a script reads from standard output. */
  hint: (text: LocalizedText) => void
}

/** Rows under headings, columns apart by two spaces; Chinese characters take two columns of a terminal. */
export function table(headings: readonly string[], rows: readonly (readonly (string | number | null)[])[]): string {
  const all = [headings, ...rows].map((row) => row.map((cell) => String(cell ?? '-')))
  const widths = headings.map((_, i) => Math.max(...all.map((row) => width(row[i] ?? ''))))
  return all
    .map((row) =>
      row
        .map((cell, i) => cell + ' '.repeat(widths[i]! - width(cell)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function width(text: string): number {
  let columns = 0
  for (const character of text)
    columns += /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{20000}-\u{3ffff}]/u.test(
      character,
    )
      ? 2
      : 1
  return columns
}
