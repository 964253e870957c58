/**
 * Takes a checked workbook: its rows that are not there as they are become batches of the hub's producer, portion by portion. What a portion
 * holds is decided on by what stands when it is written, so that an import which goes on after a restart brings nothing twice.
 */
import { QianzhiError } from '../../../protocol/errors.ts'
import { localTime } from '../../../protocol/local-time.ts'
import { isAfter, showPosition, type Position } from '../../../protocol/position.ts'
import type { JobContext } from '../../jobs/runner.ts'
import { readJob, type Job } from '../../jobs/jobs.ts'
import type { Log } from '../../log.ts'
import { isGone } from '../../sharing/reading.ts'
import type { Query } from '../../store/store.ts'
import { byKeysSql } from '../../tables/shape.ts'
import { requireMode } from '../entered-resource.ts'
import { settleImport, type Bringing } from '../entries.ts'
import type { Held, RowChange } from '../producer.ts'
import { excelResource, shapeHash, type CheckResult, type ExcelDeps } from './check.ts'
import { FaultReport } from './report.ts'
import { readExcel, SeenKeys, type ExcelReading } from './rows.ts'
import { changesOf, effectsOf, soundRows, standingKeys, type Sound } from './standing.ts'

export const importModes = ['upsert', 'replace'] as const
export type ImportMode = (typeof importModes)[number]

export interface ImportRequest {
  /** Number of the check. */
  check: string
  mode: ImportMode
  /** How many rows replacing the whole deletes, as whoever asks has seen it. */
  deletes: number | null
}

export interface ImportDeps extends ExcelDeps {
  log: Pick<Log, 'has' | 'list'>
  /** Rows of one batch, at most. */
  batchRows?: number
}

export interface ImportResult {
  rows: number
  created: number
  changed: number
  same: number
  deleted: number
  batches: number
  /** Of the first and the last batch; null where there was nothing to do. */
  first: string | null
  last: string | null
}

/** Rows, and characters of their values, of one batch. */
const [fullRows, fullLength] = [2000, 256 << 10]
/** Deletes of more than this share of what stands are confirmed with their number. */
const unaskedShare = 0.1

/**
 * Whether a checked workbook may be imported now. `own`: the import that asks, whose batches are no change.
 * @returns the check. Throws QZ-NOT-FOUND, QZ-FORM-CLOSED, QZ-IMPORT-REFUSED, QZ-IMPORT-DELETES.
 */
export async function requireImportable(
  deps: ImportDeps,
  code: string,
  { check, mode, deletes }: ImportRequest,
  own?: string,
): Promise<{ job: Job; result: CheckResult }> {
  const { query } = deps.store
  const job = await readJob(query, check)
  if (job.kind !== 'excel.check' || job.object !== code)
    throw new QianzhiError('QZ-NOT-FOUND', { what: { zh: `检查 ${check}`, en: `check ${check}` } })
  const resource = await excelResource(deps, code)
  if (job.state === 'queued' || job.state === 'running') throw refused('检查尚未完成', 'the check is not done yet')
  if (job.state !== 'done') throw refused('检查未完成，请重新上传', 'the check was not completed: upload the file again')
  const result = job.result as unknown as CheckResult
  if (result.rejects > 0)
    throw refused(
      `检查有 ${result.rejects} 处错误，请改正后重新上传`,
      `the check found ${result.rejects} faults: correct them and upload it again`,
    )
  if (!job.file) throw refused('上传的文件已删除，请重新上传', 'the uploaded file is gone: upload it again')
  if (result.shape !== shapeHash(resource))
    throw refused('检查之后目录已有变更，请重新检查', 'the catalog has changed since the check: upload it again')
  const changed = await changedSince(deps, code, result.place, own)
  if (changed)
    throw refused(
      `检查之后数据已有变动（${changed.zh}），请重新检查`,
      `the rows have changed since the check (${changed.en}): upload it again`,
    )
  if (mode === 'replace') requireConfirmed(result, deletes)
  return { job, result }
}

function requireConfirmed({ absent, standing }: CheckResult, deletes: number | null): void {
  if (deletes === absent || (deletes === null && absent <= unaskedShare * standing)) return
  throw new QianzhiError('QZ-IMPORT-DELETES', { deletes: absent, rows: standing })
}

/** Whether nothing has changed behind a place since. */
export async function standsStill(deps: ImportDeps, code: string, place: string | null): Promise<boolean> {
  return (await changedSince(deps, code, place, undefined)) === undefined
}

export function refused(zh: string, en: string): QianzhiError {
  return new QianzhiError('QZ-IMPORT-REFUSED', { reason: { zh, en } })
}

interface Entry extends Position {
  hash: string
  act: string
  job: string | null
  by: string
  at: Date
}

/** Who brought rows behind a place, beside the hub itself, which brings what stood there, and this import; undefined for nobody. */
async function changedSince({ store, log }: ImportDeps, code: string, place: string | null, own: string | undefined) {
  const [epoch = 0, seq = 0] = (place ?? '0/0').split('/').map(Number)
  const entries = await store.query<Entry>(
    `select epoch::int as epoch, seq::float8 as seq, hash, act, job, coalesce(p.name, e.by ->> 'actor') as by, at
     from supply_entry e left join person p on p.id = e.person where resource = $1 and (epoch, seq) > ($2, $3) order by epoch, seq`,
    [code, epoch, seq],
  )
  const known = new Map(entries.map((entry) => [entry.hash, entry]))
  const isNone = ({ act, job }: Entry) => act.startsWith('supply.') || (job !== null && job === own)
  const foreign = (await stored(store.query, code, { epoch, seq })).map((hash) => known.get(hash)).find((entry) => entry && !isNone(entry))
  if (foreign) return { zh: `${foreign.by}，${localTime(foreign.at)}`, en: `${foreign.by}, ${localTime(foreign.at)}` }
  // What the log has and nobody entered is an agent's.
  for (let after: Position | null = place === null ? null : { epoch, seq }; ;) {
    const listed = await log.list(code, after, 1000)
    const last = listed.at(-1)
    if (!last) return undefined
    for (const batch of listed) {
      const entry = known.get(batch.hash)
      if (!entry) return { zh: `批次 ${showPosition(batch)}`, en: `batch ${showPosition(batch)}` }
      if (!isNone(entry)) return { zh: `${entry.by}，${localTime(entry.at)}`, en: `${entry.by}, ${localTime(entry.at)}` }
    }
    if (!isAfter(last, after)) return undefined
    after = last
  }
}

/** Hashes of what counts: the log may have forgotten it. */
async function stored(query: Query, code: string, { epoch, seq }: Position): Promise<string[]> {
  const rows = await query<{ hash: string }>(`select hash from supply_entry where resource = $1 and (epoch, seq) > ($2, $3) and stored`, [
    code,
    epoch,
    seq,
  ])
  return rows.map(({ hash }) => hash)
}

export async function importExcel(deps: ImportDeps, { job, file, progress, signal }: JobContext): Promise<ImportResult> {
  const { object: code, request } = job
  const asked = request as unknown as ImportRequest
  await settleImport(deps, job.id)
  const { result, job: check } = await requireImportable(deps, code, asked, job.id)
  const resource = await excelResource(deps, code)
  const from = { job: job.id, file: check.file!.name, sha256: check.file!.sha256 }
  const bringing: Bringing = { act: 'row.import', person: job.person, by: job.by, from }
  const write = (decide: (held: Held) => Promise<RowChange[]>) =>
    deps.producer.write(code, bringing, async (held) => {
      signal.throwIfAborted()
      requireMode(held.resource, 'excel')
      if (result.shape !== shapeHash(held.resource)) throw refused('导入期间目录已有变更', 'the catalog has changed during the import')
      return decide(held)
    })
  const read: ExcelReading = { report: new FaultReport(), keys: new SeenKeys() }
  const total = result.rows + (asked.mode === 'replace' ? result.absent : 0)
  let done = 0
  await progress('import', 0, total)
  for await (const rows of batches(readExcel(await file(), resource, read), deps.batchRows)) {
    await write(async (held) => changesOf(held.resource, rows, await effectsOf(deps.reader, held.share, held.resource, rows)))
    await progress('import', (done += rows.length), total)
  }
  if (read.report.counts.reject > 0) throw refused('文件与检查时不同', 'the file is not what was checked')
  if (asked.mode === 'replace') await deleteOthers(deps, code, read.keys, write, (deleted) => progress('delete', done + deleted, total))
  return resultOf(deps.store.query, job.id, result.rows)
}

/** Sound rows, as many as one batch holds. */
async function* batches(portions: AsyncIterable<Parameters<typeof soundRows>[0]>, most = fullRows): AsyncGenerator<Sound[]> {
  let batch: Sound[] = []
  let length = 0
  for await (const portion of portions) {
    for (const row of soundRows(portion)) {
      batch.push(row)
      for (const value of Object.values(row.values)) length += value?.length ?? 4
      if (batch.length < most && length < fullLength) continue
      yield batch
      ;[batch, length] = [[], 0]
    }
  }
  if (batch.length > 0) yield batch
}

type Write = (decide: (held: Held) => Promise<RowChange[]>) => Promise<unknown>

/** Deletes what the workbook does not have. Where the table is replaced meanwhile, it begins anew with what is left. */
async function deleteOthers(
  deps: ImportDeps,
  code: string,
  keys: SeenKeys,
  write: Write,
  told: (deleted: number) => Promise<void>,
): Promise<void> {
  let deleted = 0
  for (;;) {
    const share = await deps.producer.share(code)
    if (!share) return
    const resource = await excelResource(deps, code)
    try {
      for await (const standing of standingKeys(deps.reader, share, resource)) {
        const gone = standing.filter((key) => !keys.has(key))
        if (gone.length > 0) await write((held) => deletesOf(deps, held, gone))
        await told((deleted += gone.length))
      }
      return
    } catch (error) {
      if (!isGone(error)) throw error
    }
  }
}

/** Of these keys those that still stand. */
async function deletesOf({ reader }: ImportDeps, { share, resource }: Held, gone: readonly (readonly string[])[]): Promise<RowChange[]> {
  const keys = resource.items.filter(({ key }) => key)
  const columns = share.keys.map(({ id }) => JSON.stringify(gone.map((key) => key[keys.findIndex((item) => item.id === id)])))
  const found = await reader.rows(keys, byKeysSql({ name: share.table.name, keys: share.keys }, keys), columns)
  return found.map((row) => ({ op: 'delete', values: Object.fromEntries(keys.map(({ id }, i) => [id, row[i]!])) }))
}

async function resultOf(query: Query, job: string, rows: number): Promise<ImportResult> {
  const ops = await query<{ op: string; rows: number }>(
    `select r.op, count(*)::int as rows from supply_entry_row r join supply_entry e on e.id = r.entry where e.job = $1 and e.stored group by r.op`,
    [job],
  )
  const entries = await query<Position>(
    `select epoch::int as epoch, seq::float8 as seq from supply_entry where job = $1 and stored order by epoch, seq`,
    [job],
  )
  const of = (op: string) => ops.find((one) => one.op === op)?.rows ?? 0
  const [created, changed] = [of('create'), of('change')]
  const place = (entry: Position | undefined) => (entry ? showPosition(entry) : null)
  const ends = { first: place(entries[0]), last: place(entries.at(-1)) }
  return { rows, created, changed, same: rows - created - changed, deleted: of('delete'), batches: entries.length, ...ends }
}
