import { QianzhiError, type ErrorCode } from '../../../protocol/errors.ts'
import { readEndLine, readEntryLine, type AuditEnd, type EntryLine } from './lines.ts'

/** A checkpoint that somebody else holds. */
export interface HeldCheckpoint {
  seq: number
  hash: string
  /** The hub's time when it told it. */
  time: string
  /** The agent that holds it. */
  agent: string
}

export interface Expected {
  checkpoints?: readonly HeldCheckpoint[]
  /** Public key of the hub; without it only the key that the export names itself is looked at. */
  hubKey?: string | undefined
}

export interface Verified extends AuditEnd {
  /** The public key that signed the end, and whether it is the expected one. */
  key: string
  keyExpected: boolean
  /** Checkpoints found in the chain; told later than the export; before its first entry or behind its last one. */
  checkpoints: { matched: number; later: number; outside: number }
}

type Lines = AsyncIterator<Buffer>
const lineFeed = 10

/**
 * Verifies an export in one pass, with nothing but its lines, each without its line feed; what has none at the file's end comes with
 * one, being no line. Throws at the first line that is not right:
 * QZ-AUDIT-ALTERED, -MISSING, -REORDERED, -INSERTED, -CUT, -CHECKPOINT or -SIGNATURE, with the line and the seq.
 */
export async function verifyExport(source: AsyncIterable<Buffer>, { checkpoints = [], hubKey }: Expected = {}): Promise<Verified> {
  const lines = source[Symbol.asyncIterator]()
  const held = Map.groupBy(checkpoints, ({ seq }) => seq)
  const chain = new Chain(held)
  for (let next = await lines.next(); !next.done; next = await lines.next()) {
    if (next.value.at(-1) === lineFeed) throw chain.error('QZ-AUDIT-CUT')
    const end = readEndLine(next.value)
    if (end) return finish(chain, end, hubKey, lines, checkpoints)
    const entry = readEntryLine(next.value)
    const fault = chain.take(entry)
    if (fault) throw await chain.broken(fault, entry, lines)
  }
  throw chain.error('QZ-AUDIT-CUT')
}

/** What is wrong with one line, before what follows says which of two it is. */
type Fault = 'unlike' | 'ahead' | 'behind' | 'checkpoint'

class Chain {
  first: EntryLine | undefined
  last: EntryLine | undefined
  /** Of the line under view, from 1. */
  line = 0
  matched = 0
  readonly #held: ReadonlyMap<number, readonly HeldCheckpoint[]>
  #contradicted: HeldCheckpoint | undefined

  constructor(held: ReadonlyMap<number, readonly HeldCheckpoint[]>) {
    this.#held = held
  }

  get expected(): number {
    return this.last ? this.last.seq + 1 : 1
  }

  /** Goes on by one entry, or says what is wrong with it. An export may begin anywhere; its end says where it should. */
  take(entry: EntryLine | undefined): Fault | undefined {
    this.line++
    if (!entry?.intact) return 'unlike'
    const { last } = this
    if (last && entry.seq > last.seq + 1) return 'ahead'
    if (last && entry.seq <= last.seq) return 'behind'
    if (last ? entry.prev !== last.hash : (entry.seq === 1) !== (entry.prev === null)) return 'unlike'
    if (!last && entry.prev !== null && !this.#agrees(entry.seq - 1, entry.prev)) return 'checkpoint'
    if (!this.#agrees(entry.seq, entry.hash)) return 'checkpoint'
    this.first ??= entry
    this.last = entry
    return undefined
  }

  #agrees(seq: number, hash: string): boolean {
    const held = this.#held.get(seq) ?? []
    this.#contradicted = held.find((checkpoint) => checkpoint.hash !== hash)
    this.matched += held.length
    return this.#contradicted === undefined
  }

  /** Reads on to tell an entry that was moved from one that is gone, and one that was put in from one that was changed. */
  async broken(fault: Fault, entry: EntryLine | undefined, rest: Lines): Promise<QianzhiError> {
    if (fault === 'checkpoint') {
      const { seq, agent, time } = this.#contradicted!
      return this.error('QZ-AUDIT-CHECKPOINT', { seq, agent, time })
    }
    // Before the first one: the first one was not the first.
    if (fault === 'behind') return this.error(entry!.seq < this.first!.seq ? 'QZ-AUDIT-REORDERED' : 'QZ-AUDIT-INSERTED')
    const comes = await this.#comesIn(rest)
    if (fault === 'ahead') return this.error(comes ? 'QZ-AUDIT-REORDERED' : 'QZ-AUDIT-MISSING', { next: entry!.seq })
    return this.error(comes ? 'QZ-AUDIT-INSERTED' : 'QZ-AUDIT-ALTERED')
  }

  async #comesIn(rest: Lines): Promise<boolean> {
    for (let next = await rest.next(); !next.done; next = await rest.next()) {
      const entry = readEntryLine(next.value)
      if (entry?.intact && entry.seq === this.expected && entry.prev === (this.last?.hash ?? null)) return true
    }
    return false
  }

  error(code: ErrorCode, more: Record<string, string | number> = {}): QianzhiError {
    return new QianzhiError(code, { line: this.line, seq: this.expected, ...more })
  }
}

async function finish(
  chain: Chain,
  { end, key }: NonNullable<ReturnType<typeof readEndLine>>,
  hubKey: string | undefined,
  rest: Lines,
  checkpoints: readonly HeldCheckpoint[],
): Promise<Verified> {
  chain.line++
  if (!end || (hubKey !== undefined && key !== hubKey)) throw chain.error('QZ-AUDIT-SIGNATURE', { key })
  const { first, last } = chain
  if (first && first.seq > end.from) throw new QianzhiError('QZ-AUDIT-MISSING', { line: 1, seq: end.from, next: first.seq })
  if (!first || !last || last.seq < end.to) throw chain.error('QZ-AUDIT-CUT')
  const same = first.seq === end.from && first.prev === end.prev && last.seq === end.to && last.hash === end.hash
  if (!same || end.count !== end.to - end.from + 1 || end.head.seq < end.to) throw chain.error('QZ-AUDIT-SIGNATURE', { key })
  if (!(await rest.next()).done) {
    chain.line++
    throw chain.error('QZ-AUDIT-INSERTED')
  }
  return { ...end, key, keyExpected: hubKey !== undefined, checkpoints: { matched: chain.matched, ...beyond(chain, end, checkpoints) } }
}

/** A checkpoint behind the head, told before the export was made: the chain was cut, or replaced by a shorter one. */
function beyond(chain: Chain, end: AuditEnd, checkpoints: readonly HeldCheckpoint[]): { later: number; outside: number } {
  const behind = checkpoints.filter(({ seq }) => seq > end.head.seq)
  const cut = behind.find(({ time }) => time < end.time)
  if (cut) throw chain.error('QZ-AUDIT-CHECKPOINT', { seq: cut.seq, agent: cut.agent, time: cut.time })
  const contradicted = checkpoints.find(({ seq, hash }) => seq === end.head.seq && hash !== end.head.hash)
  if (contradicted) throw chain.error('QZ-AUDIT-CHECKPOINT', { ...contradicted })
  return { later: behind.length, outside: checkpoints.length - behind.length - chain.matched }
}
