import type { JobKind } from '../../jobs/jobs.ts'
import type { JobWork } from '../../jobs/runner.ts'
import { checkExcel } from './check.ts'
import { importExcel, type ImportDeps } from './import.ts'

/** The work of Excel supply. */
export function excelJobs(deps: ImportDeps): Record<Extract<JobKind, `excel.${string}`>, JobWork> {
  return { 'excel.check': (context) => checkExcel(deps, context), 'excel.import': (context) => importExcel(deps, context) }
}
