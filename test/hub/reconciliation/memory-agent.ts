/** An agent whose table is in memory: it answers the steps of a reconciliation as a real one does. */
import { RowHasher, Summation, TableDigest } from '../../../protocol/digest.ts'
import { QianzhiError } from '../../../protocol/errors.ts'
import {
  entriesAtOnce,
  signReconciliation,
  type Doubt,
  type NarrowedItem,
  type ReconcileQuestion,
  type Step,
} from '../../../protocol/reconciliation.ts'
import type { SigningKey } from '../../../protocol/signature.ts'

type Row = (string | null)[]
type Entry = { row: Row; text: string; hash: string }

export const position = { epoch: 3, seq: 9, hash: 'c'.repeat(64) }
const items = [
  { id: 'code', type: 'text' as const, key: true },
  { id: 'name', type: 'text' as const },
]

export class MemoryAgent {
  readonly rows = new Map<string, Row>()
  /** Steps asked, in order. */
  readonly asked: string[] = []
  readonly key: SigningKey
  /** Keys in quarantine, with their codes. */
  readonly faults = new Map<string, string>()
  /** What happens when a step is asked. */
  on: (step: Step, question: ReconcileQuestion) => void | Promise<void> = () => {}
  /** What sending keys again does. */
  resend: (keys: string[]) => void = () => {}
  /** What a second look at its table finds wrong. */
  doubt: Doubt | undefined
  /** What its mappings do not keep. */
  narrowed: NarrowedItem[] = []
  #digest = new TableDigest()
  #collected: Entry[] = []
  readonly #left = new Set<string>()

  constructor(key: SigningKey, rows: Iterable<Row>) {
    this.key = key
    for (const row of rows) this.rows.set(row[0]!, row)
  }

  async answer(question: ReconcileQuestion): Promise<object> {
    const { step, salt } = question
    this.asked.push(step.do)
    await this.on(step, question)
    const hasher = new RowHasher(items, salt)
    const kept = question.narrowed?.find(({ item }) => item === 'name')?.values
    const narrow = (row: Row): Row => (kept && !kept.includes(row[1]!) ? [row[0]!, null] : row)
    const entries = [...this.rows.values()].map(narrow).map((row) => ({ row, text: hasher.keyText(row), hash: hasher.row(row) }))
    switch (step.do) {
      case 'narrowing':
        return { narrowed: this.narrowed }
      case 'digest':
        this.#left.clear()
        this.#digest = new TableDigest()
        for (const { text, hash } of entries) this.#digest.add(hasher.bucket(text), hash)
        return { done: true, ...this.#digest.total(), from: 'from', to: 'to', position, ...(this.doubt && { doubt: this.doubt }) }
      case 'buckets':
        return { buckets: this.#digest.buckets(step.bits, step.from).toString('base64') }
      case 'collect':
        this.#collected = entries.filter(({ text }) => step.buckets.includes(hasher.bucket(text) >> (16 - step.bits)))
        return { done: true, entries: this.#collected.length }
      case 'entries':
        return {
          entries: Buffer.from(
            this.#collected
              .slice(step.from, step.from + entriesAtOnce)
              .map(({ text, hash }) => hasher.keyHash(text) + hash)
              .join(''),
            'latin1',
          ).toString('base64'),
        }
      case 'keys':
        return {
          keys: step.hashes.map(
            (wanted) => this.#collected.filter(({ text }) => base64(hasher.keyHash(text)) === wanted).map(({ row }) => [row[0]!])[0]!,
          ),
        }
      case 'recheck': {
        const hashes = step.keys.map(([code]) => {
          const row = this.rows.get(code!)
          return row ? base64(hasher.row(narrow(row))) : null
        })
        return { done: true, hashes, faults: step.keys.map(([code]) => this.faults.get(code!) ?? null), position }
      }
      case 'repair':
        this.resend(step.keys.map(([code]) => code!).filter((code) => this.rows.has(code)))
        return { done: true, position, absent: step.keys.filter(([code]) => !this.rows.has(code!)) }
      case 'remove':
        for (const [code] of step.keys) this.rows.delete(code!)
        return { done: true, removed: step.keys.length }
      case 'total': {
        for (const [code] of step.without) this.#left.add(code!)
        const total = new Summation()
        for (const { row, hash } of entries) if (!this.#left.has(row[0]!)) total.addRow(hash)
        return total.total()
      }
      case 'sign':
        return { signature: signReconciliation(step.statement, this.key) }
    }
  }
}

function base64(hash: string): string {
  return Buffer.from(hash, 'latin1').toString('base64url')
}

export function away(agent: string): never {
  throw new QianzhiError('QZ-ASK-AWAY', { agent, seen: '-' })
}
