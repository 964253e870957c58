import type { Language } from '../../protocol/errors.ts'
import type { AgentConfig } from '../config/config.ts'

/** What every command gets. */
export interface CommandDeps {
  config: AgentConfig
  language: Language
  version: string
  /** Words behind the command, and its options. */
  words: string[]
  options: Record<string, string | boolean | undefined>
  print: (line: string) => void
  /** Prints whichever of the two the person reads. */
  say: (zh: string, en: string) => void
}

/** @returns the exit code. */
export type Command = (deps: CommandDeps) => Promise<number>
