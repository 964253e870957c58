/** An agent whose table is in memory: it answers the steps of a reconciliation as a real one does. */
import { RowHasher, Summation, TableDigest } from '../../../protocol/digest.ts'
import { QianzhiError } from '../../../protocol/errors.ts'
import { signReconciliation, type ReconcileQuestion, type Step } from '../../../protocol/reconciliation.ts'
import type { SigningKey } from '../../../protocol/signature.ts'

type Row = (string | null)[]

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
  #digest = new TableDigest()

  constructor(key: SigningKey, rows: Iterable<Row>) {
    this.key = key
    for (const row of rows) this.rows.set(row[0]!, row)
  }

  async answer(question: ReconcileQuestion): Promise<object> {
    const { step, salt } = question
    this.asked.push(step.do)
    await this.on(step, question)
    const hasher = new RowHasher(items, salt)
    const entries = [...this.rows.values()].map((row) => ({ row, text: hasher.keyText(row), hash: hasher.row(row) }))
    switch (step.do) {
      case 'digest':
        this.#digest = new TableDigest()
        for (const { text, hash } of entries) this.#digest.add(hasher.bucket(text), hash)
        return { done: true, ...this.#digest.total(), from: 'from', to: 'to', position }
      case 'buckets':
        return { buckets: this.#digest.buckets(step.bits, step.from).toString('base64') }
      case 'collect':
        return { done: true, entries: entries.length }
      case 'entries':
        return { entries: Buffer.from(entries.map(({ text, hash }) => hasher.keyHash(text) + hash).join(''), 'latin1').toString('base64') }
      case 'keys':
        return {
          keys: step.hashes.map(
            (wanted) => entries.filter(({ text }) => base64(hasher.keyHash(text)) === wanted).map(({ row }) => [row[0]!])[0]!,
          ),
        }
      case 'recheck': {
        const hashes = step.keys.map(([code]) => {
          const row = this.rows.get(code!)
          return row ? base64(hasher.row(row)) : null
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
        const without = new Set(step.without.map(([code]) => code!))
        const total = new Summation()
        for (const { row, hash } of entries) if (!without.has(row[0]!)) total.addRow(hash)
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
