/** A city with a resource that comes by Excel. */
import { pino } from 'pino'
import type t from 'tap'
import { JobRunner } from '../../../../hub/jobs/runner.ts'
import type { Draft } from '../../../../hub/registry/catalog/compatibility.ts'
import { publishResource } from '../../../../hub/registry/publishing/direct-publishing.ts'
import { excelJobs } from '../../../../hub/supply/excel/jobs.ts'
import type { ImportDeps } from '../../../../hub/supply/excel/import.ts'
import { openCity, secondHub, type Answer, type Caller, type City } from '../../city.ts'
import { villages } from '../../office.ts'

export const xlsx = 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet'
export const path = '/resources/villages/excel'

export interface ExcelCity {
  city: City
  registrar: Caller
  runner: JobRunner
}

export async function excelCity(test: Pick<typeof t, 'teardown'>, change: (draft: Draft) => void = () => {}): Promise<ExcelCity> {
  const city = await openCity(test)
  await publishResource(city, 'admin', { schema: villages(change), supplyMode: 'excel' })
  return { city, registrar: city.as('civil', 'registrar'), runner: runnerOf(test, city) }
}

export async function secondExcelHub(test: Pick<typeof t, 'teardown'>, first: City): Promise<ExcelCity> {
  const city = await secondHub(test, first)
  return { city, registrar: city.as('civil', 'registrar'), runner: runnerOf(test, city) }
}

export function depsOf(city: City): ImportDeps {
  const { producer, sharing, log } = city.services
  return { store: city.store, reader: sharing.reader, producer, log }
}

export function runnerOf(test: Pick<typeof t, 'teardown'>, city: City, deps = depsOf(city)): JobRunner {
  const { store, wakeups } = city
  const parts = { store, wakeups, uploads: city.services.uploads, settings: { days: 7 }, logger: pino({ level: 'silent' }) }
  const runner = new JobRunner({ ...parts, kinds: excelJobs(deps), clock: () => city.clock() })
  test.teardown(() => runner.stop())
  return runner
}

/** Uploads, has it checked, and gives the job as it then is. */
export async function check({ registrar, runner }: Pick<ExcelCity, 'registrar' | 'runner'>, file: Buffer): Promise<Answer['body']> {
  const answer = await registrar.upload(`${path}/check`, xlsx, file)
  if (answer.status !== 200) throw new Error(answer.text)
  await runner.settle()
  return (await registrar.get(`/jobs/${answer.body.id}`)).body
}

export async function take(
  { registrar, runner }: Pick<ExcelCity, 'registrar' | 'runner'>,
  checked: { id: string },
  mode: 'upsert' | 'replace' = 'upsert',
  more: object = {},
): Promise<Answer['body']> {
  const answer = await registrar.post(`${path}/import`, { check: checked.id, mode, ...more })
  if (answer.status !== 200) return answer.body
  await runner.settle()
  return (await registrar.get(`/jobs/${answer.body.id}`)).body
}

/** All rows, as the API shows them. */
export async function standing({ registrar }: Pick<ExcelCity, 'registrar'>): Promise<Record<string, string | null>[]> {
  const rows = []
  for (let next: string | null = ''; next !== null;) {
    const after: string = next === '' ? '' : `&after=${encodeURIComponent(next)}`
    const { body } = await registrar.get(`/resources/villages/rows?limit=1000${after}`)
    rows.push(...body.items.map(({ values }: { values: object }) => values))
    next = body.next
  }
  return rows
}

export const header = ['区划代码* (code)', '名称 (name)', '街道 (street)']

export async function catalogVersionOf({ city }: Pick<ExcelCity, 'city'>): Promise<number> {
  const [row] = await city.store.query<{ version: number }>(`select catalog_version as version from resource where code = 'villages'`)
  return row!.version
}
