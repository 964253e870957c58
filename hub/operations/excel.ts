import { rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { Type } from 'typebox'
import { excelLimits } from '../../protocol/excel/limits.ts'
import { addJob, readJob, type Job as StoredJob } from '../jobs/jobs.ts'
import { fetchFile } from '../jobs/files.ts'
import { notFound } from '../records/refusals.ts'
import { requireEntry } from '../registry/catalog/catalog.ts'
import { broughtList, listBrought } from '../supply/batches.ts'
import { enteredResource } from '../supply/entered-resource.ts'
import { excelResource, shapeHash, type CheckResult } from '../supply/excel/check.ts'
import { importModes, refused, requireImportable, standsStill } from '../supply/excel/import.ts'
import { markedCopy } from '../supply/excel/marked.ts'
import { excelTemplate, markOf } from '../supply/excel/template.ts'
import { Job, shownJob } from './jobs.ts'
import { excelType, FileAnswer, operation, type Call, type Operation } from './operation.ts'
import { pageOf, queryOf } from '../records/listing.ts'
import { ById, closed, nullable } from './shapes.ts'

const Language = Type.Optional(Type.Enum(['zh', 'en']))
const JobNumber = Type.String({ pattern: '^[0-9]{1,18}$' })

/** Excel supply (Art. 15): a workbook is checked whole, then taken by whoever checked it. */
export const excelOperations: readonly Operation[] = [
  operation({
    name: 'excel.template',
    method: 'GET',
    path: '/resources/:id/excel/template',
    objectKind: 'resource',
    text: { zh: 'EXCEL 填报模板', en: 'the workbook in which rows are brought' },
    params: ById,
    query: Type.Object({ language: Language }, closed),
    run: async ({ registry, params: { id }, query: { language = 'zh' } }) => {
      const resource = await enteredResource(registry.store.query, id)
      const { content, catalogVersion } = await requireEntry(registry.store.query, id)
      const { subject, licence } = content
      const name = { zh: `${resource.title}-填报模板.xlsx`, en: `${resource.title}-template.xlsx` }[language]
      return new FileAnswer(name, excelType, await excelTemplate({ resource, catalogVersion, subject, licence }, language))
    },
  }),
  operation({
    name: 'excel.check',
    method: 'POST',
    path: '/resources/:id/excel/check',
    objectKind: 'resource',
    text: {
      zh: '上传并检查 EXCEL 数据：返回任务，检查完成前后均不写入',
      en: 'upload a workbook of rows and have it checked: answers with the job; nothing is taken',
    },
    params: ById,
    query: Type.Object({ name: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })) }, closed),
    upload: { type: excelType, limit: excelLimits.fileBytes, streamed: true },
    answer: Job,
    run: async ({ registry, services, principal, params: { id }, query, body }) => {
      const deps = excelDeps({ registry, services })
      const resource = await excelResource(deps, id)
      const received = await services.uploads.receive(body as Readable, excelLimits.fileBytes)
      try {
        const name = query.name ?? `${resource.title}.xlsx`
        const same = JSON.stringify([id, principal.person, received.sha256])
        const stands = async ({ result, file }: StoredJob) => {
          const checked = result as unknown as CheckResult
          return file !== null && checked.shape === shapeHash(resource) && (await standsStill(deps, id, checked.place))
        }
        const asked = { kind: 'excel.check', object: id, request: {}, same, upload: { ...received, name } } as const
        return shownJob(await addJob(registry, principal, asked, { stands }))
      } finally {
        await rm(received.path, { force: true })
      }
    },
  }),
  operation({
    name: 'excel.marked',
    method: 'GET',
    path: '/resources/:id/excel/marked',
    objectKind: 'resource',
    text: { zh: '标注检查意见的副本', en: 'a copy of the checked workbook with what is wrong beside each row' },
    params: ById,
    query: Type.Object({ check: JobNumber, language: Language }, closed),
    run: async ({ registry, services, principal, params: { id }, query: { check, language = 'zh' } }) => {
      const job = await ownCheck({ registry, principal }, id, check)
      if (job.state !== 'done') throw refused('检查没有完成，没有可标注的内容', 'the check is not done: there is nothing to mark')
      if (!job.file) throw refused('上传的文件已删除，请重新上传', 'the uploaded file is gone: upload it again')
      const resource = await enteredResource(registry.store.query, id)
      const { catalogVersion } = await requireEntry(registry.store.query, id)
      const path = await services.uploads.newPath()
      const { name, id: file } = job.file
      async function* copy(): AsyncGenerator<Buffer> {
        try {
          await fetchFile(registry.store, file, path)
          yield* markedCopy({ path, resource, mark: markOf({ resource, catalogVersion }), language })
        } finally {
          await rm(path, { force: true })
        }
      }
      return new FileAnswer(
        name.replace(/(?:\.xlsx)?$/i, { zh: '-检查意见.xlsx', en: '-checked.xlsx' }[language]),
        excelType,
        Readable.from(copy()),
      )
    },
  }),
  operation({
    name: 'excel.import',
    method: 'POST',
    path: '/resources/:id/excel/import',
    objectKind: 'resource',
    text: {
      zh: '导入已检查的 EXCEL 数据：upsert 新增和修改，replace 整表替换；返回任务',
      en: 'take a checked workbook: upsert adds and changes rows, replace also deletes what it does not have; answers with the job',
    },
    params: ById,
    body: Type.Object(
      { check: JobNumber, mode: Type.Enum([...importModes]), deletes: Type.Optional(Type.Integer({ minimum: 0 })) },
      closed,
    ),
    example: { check: '12', mode: 'upsert' },
    answer: Job,
    run: async ({ registry, services, principal, params: { id }, body: { check, mode, deletes = null } }) => {
      const job = await ownCheck({ registry, principal }, id, check)
      const request = { check, mode, deletes }
      const made = { kind: 'excel.import', object: id, request, same: `${check} ${mode}`, ...(job.file && { file: job.file.id }) } as const
      // What was imported once, or is under way, is answered before anything else is asked.
      const require = () => requireImportable(excelDeps({ registry, services }), id, request)
      return shownJob(await addJob(registry, principal, made, { require }))
    },
  }),
  operation({
    name: 'supply.batches',
    method: 'GET',
    path: '/resources/:id/brought',
    objectKind: 'resource',
    text: { zh: '数据提供记录：何人、何文件、何时、多少行', en: 'what was brought: by whom, from which file, when, how many rows' },
    params: ById,
    query: queryOf(broughtList),
    answer: pageOf(
      Type.Object({
        id: Type.String(),
        act: Type.String(),
        at: Type.String(),
        by: Type.String(),
        job: nullable(Type.String()),
        file: nullable(Type.String()),
        sha256: nullable(Type.String()),
        batches: Type.Integer(),
        rows: Type.Integer(),
        created: Type.Integer(),
        changed: Type.Integer(),
        deleted: Type.Integer(),
        first: Type.String(),
        last: Type.String(),
      }),
    ),
    run: async ({ registry, params: { id }, query }) => {
      const page = await listBrought(registry.store.query, id, query)
      return { ...page, items: page.items.map((line) => ({ ...line, at: line.at.toISOString() })) }
    },
  }),
]

function excelDeps({ registry, services }: Pick<Call, 'registry' | 'services'>) {
  return { store: registry.store, reader: services.sharing.reader, producer: services.producer, log: services.log }
}

/** Throws QZ-NOT-FOUND: whoever brings rows has checked them. */
async function ownCheck({ registry, principal }: Pick<Call, 'registry' | 'principal'>, resource: string, id: string): Promise<StoredJob> {
  const job = await readJob(registry.store.query, id)
  if (job.kind === 'excel.check' && job.object === resource && job.person !== null && job.person === principal.person) return job
  throw notFound('job', id)
}
