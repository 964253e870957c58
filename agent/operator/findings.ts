import { setTimeout as sleep } from 'node:timers/promises'
import type { Refusal, SinkReport } from '../../protocol/api.ts'
import { onlyReads, type Database, type MappedColumn, type QuarantinedKey, type SinkTable, type SourceTable } from '../database.ts'
import type { InboundRoute } from '../inbound/route.ts'
import { refusalText } from './refusal-texts.ts'
import type { StatusBoard } from '../status/board.ts'

/**
 * What the agent finds out beside its lines, for its report: rows that the receiver's own tables refuse, and columns of source tables
 * that supply nothing. It reads only, on connections of its own; what it cannot read it leaves unsaid.
 */
export interface FindingsDeps {
  databases: ReadonlyMap<string, Database>
  routes: () => readonly InboundRoute[]
  /** Sources whose columns may be told. */
  sources: () => { database: string; source: SourceTable }[]
  board: StatusBoard
}

/** Milliseconds between looks at the reports' counts; a quarantine that changes in size is read, one of the same size now and then. */
const lookEvery = 2_000
const readAgainAfter = 60_000
const columnsEvery = 300_000
/** Quarantined keys that are read, and examples told, of a route. */
const maxRead = 1_000
const maxExamples = 5
const maxReasons = 3
const reasonLength = 300

/** Until aborted; never fails. */
export async function runFindings(deps: FindingsDeps, signal: AbortSignal): Promise<void> {
  const seen = new Map<string, { quarantine: number; at: number }>()
  let columnsAt = -Infinity
  while (!signal.aborted) {
    for (const { id, report, sink } of deps.routes()) {
      if (signal.aborted || !isDue(report, seen.get(id))) continue
      seen.set(id, { quarantine: report.quarantine, at: performance.now() })
      await lookAtRefusals(deps, report, sink)
    }
    if (performance.now() - columnsAt > columnsEvery) {
      columnsAt = performance.now()
      for (const { database, source } of deps.sources()) if (!signal.aborted) await lookAtColumns(deps, database, source)
    }
    await sleep(lookEvery, undefined, { signal }).catch(() => {})
  }
}

/** Of a route that is held the count may not be known. */
function isDue({ state, quarantine }: SinkReport, seen: { quarantine: number; at: number } | undefined): boolean {
  if (state !== 'flowing' && state !== 'loading') return false
  return seen?.quarantine !== quarantine || (quarantine > 0 && performance.now() - seen.at > readAgainAfter)
}

async function lookAtRefusals({ databases }: FindingsDeps, report: SinkReport, { columns }: SinkTable): Promise<void> {
  try {
    const keys = report.quarantine === 0 ? [] : await databases.get(report.database)!.quarantine(report.route, maxRead)
    report.refused = refusals(
      keys.filter(({ end }) => end === 'sink'),
      columns,
    )
  } catch {
    delete report.refused
  }
}

/** Rows that the provider itself could not send are its own word: they are not told back to it. */
export function refusals(keys: readonly QuarantinedKey[], columns: readonly MappedColumn[]): Refusal[] {
  const groups = new Map<string, Refusal & { reasons: string[] }>()
  for (const { code, item: known, key, reason } of keys) {
    if (code !== 'QZ-ROW-REFUSED' && code !== 'QZ-ROW-CODE') continue
    // Texts of ours may tell values.
    const said = typeof reason === 'string' ? refusalText(reason) : undefined
    const item = known ?? itemOf(columns, said?.column)
    const group = groups.get(`${code} ${item}`) ?? { code, ...(item !== undefined && { item }), keys: 0, examples: [], reasons: [] }
    group.keys++
    if (group.examples.length < maxExamples) group.examples.push(key.slice(0, 16).map((value) => value && shown(value)))
    const text = said && shown(said.text, reasonLength)
    if (text !== undefined && group.reasons.length < maxReasons && !group.reasons.includes(text)) group.reasons.push(text)
    groups.set(`${code} ${item}`, group)
  }
  return [...groups.values()].slice(0, 20)
}

function itemOf(columns: readonly MappedColumn[], named: string | undefined): string | undefined {
  return named === undefined ? undefined : columns.find(({ column }) => column.toLowerCase() === named.toLowerCase())?.item.id
}

/** What could not be read is shown, not repeated: the hub refuses U+0000 and halves of characters wherever they stand. */
function shown(value: string, length = 200): string {
  return value.slice(0, length).replaceAll('\0', '\u2400').toWellFormed()
}

async function lookAtColumns({ databases, board }: FindingsDeps, database: string, source: SourceTable): Promise<void> {
  // Of a SELECT only what was chosen can be told.
  if (onlyReads(source) && source.query !== undefined) return
  const report = board.source(source.resource, database)
  try {
    const there = await databases.get(database)!.describe(source.table)
    const mapped = new Set(source.columns.map(({ column }) => column.toLowerCase()))
    const names = there.map(({ column }) => column).filter((column) => !mapped.has(column.toLowerCase()) && column.length <= 128)
    report.unregistered = names.slice(0, 100)
  } catch {
    delete report.unregistered
  }
}
