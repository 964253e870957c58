/** Checks a workbook whole, and counts what its import would do; nothing is taken. */
import { hash } from 'node:crypto'
import { showPosition, type Position } from '../../../protocol/position.ts'
import type { JobContext } from '../../jobs/runner.ts'
import { isGone } from '../../sharing/reading.ts'
import type { Store } from '../../store/store.ts'
import type { Reader } from '../../tables/reader.ts'
import { enteredResource, requireMode, requireOpen, type EnteredResource } from '../entered-resource.ts'
import type { HubProducer } from '../producer.ts'
import { FaultReport, type ReportLine } from './report.ts'
import { readExcel, SeenKeys, type ExcelReading } from './rows.ts'
import { effectsOf, soundRows, standingKeys } from './standing.ts'

export interface ExcelDeps {
  store: Pick<Store, 'query' | 'transaction'>
  reader: Reader
  producer: Pick<HubProducer, 'share' | 'write'>
}

export interface CheckResult {
  /** Of the resource's schema. */
  version: number
  /** Tells whether what the catalog says of the items is still the same. */
  shape: string
  sheet: string | null
  /** By which version of the catalog the template was made; null where the workbook does not say. */
  template: number | null
  rows: number
  /** What import would do: rows that are new, that change, that are there as they are. */
  created: number
  changed: number
  same: number
  /** Rows that stand now, and how many of them the workbook does not have: what replacing the whole would delete. */
  standing: number
  absent: number
  /** Up to where the stream stood in what was compared; null for none. */
  place: string | null
  faults: ReportLine[]
  /** All of them, each cell counted. */
  rejects: number
  warnings: number
}

export async function checkExcel(deps: ExcelDeps, context: JobContext): Promise<CheckResult> {
  const resource = await excelResource(deps, context.job.object)
  const path = await context.file()
  for (let attempt = 1; ; attempt++) {
    try {
      return await checkOnce(deps, context, resource, path)
    } catch (error) {
      // The table was replaced meanwhile.
      if (!isGone(error) || attempt === 3) throw error
    }
  }
}

export function shapeHash({ items }: Pick<EnteredResource, 'items'>): string {
  return hash('sha256', JSON.stringify(items), 'hex')
}

/** Throws QZ-NOT-FOUND, QZ-FORM-CLOSED. */
export async function excelResource({ store }: Pick<ExcelDeps, 'store'>, code: string): Promise<EnteredResource> {
  const resource = await enteredResource(store.query, code)
  requireOpen(resource)
  requireMode(resource, 'excel')
  return resource
}

async function checkOnce(
  { reader, producer }: ExcelDeps,
  { progress }: JobContext,
  resource: EnteredResource,
  path: string,
): Promise<CheckResult> {
  const share = await producer.share(resource.code)
  const read: ExcelReading = { report: new FaultReport(), keys: new SeenKeys() }
  const counts = { create: 0, change: 0, same: 0 }
  let rows = 0
  await progress('read', 0)
  for await (const portion of readExcel(path, resource, read)) {
    rows += portion.length
    for (const { does } of await effectsOf(reader, share, resource, soundRows(portion))) counts[does]++
    await progress('read', rows)
  }
  let absent = 0
  if (share)
    for await (const keys of standingKeys(reader, share, resource)) {
      absent += keys.filter((key) => !read.keys.has(key)).length
      await progress('compare', rows)
    }
  const { report, table } = read
  if (table && !table.mark)
    report.add(undefined, undefined, {
      severity: 'warn',
      zh: '没有模板标识（填报说明页），按表头辨认各列',
      en: 'it has no mark of a template (the page with the guide): its columns are told by their headers',
    })
  if (table && rows === 0)
    report.add(table.sheet.name, undefined, { severity: 'warn', zh: '表头之下没有数据', en: 'there are no rows behind the header' })
  return {
    version: resource.schema.version,
    shape: shapeHash(resource),
    sheet: table?.sheet.name ?? null,
    template: table?.mark?.catalogVersion ?? null,
    rows,
    created: counts.create,
    changed: counts.change,
    same: counts.same,
    standing: share?.table.rows ?? 0,
    absent,
    place: placeOf(share),
    faults: report.lines(),
    rejects: report.counts.reject,
    warnings: report.counts.warn,
  }
}

function placeOf(share: { table: { place: Position } } | undefined): string | null {
  return share ? showPosition(share.table.place) : null
}
