/** The manual 帮助: a section for each page, for whoever comes to the platform for the first time. */
import type { Text } from '../meta.ts'
import { t } from '../words.tsx'

export interface Section {
  /** Of the page that it is about. */
  readonly path: string
  /** Where the page is no place of the navigation's own table. */
  readonly name?: Text
  readonly purpose: Text
  readonly jobs: readonly Job[]
}

/** Something that somebody comes to do, step by step. */
export interface Job {
  readonly name: Text
  readonly steps: readonly Text[]
}

/** A job; each step is a pair 中文, English. */
export const job = (name: Text, ...steps: readonly (readonly [string, string])[]): Job => ({
  name,
  steps: steps.map(([zh, en]) => t(zh, en)),
})
