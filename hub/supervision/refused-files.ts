import { titleOf } from '../records/object-titles.ts'
import type { AgentReport, SettledFile, SourceReport } from '../../protocol/api.ts'
import { counted, type LocalizedText } from '../../protocol/localized.ts'
import type { Query } from '../store/store.ts'
import type { ReportingAgent } from './agent-faults.ts'
import { notify } from '../records/notices.ts'

/** A file of rows that was refused whole: with its name, for its own agency and for those who supervise. */
export interface RefusedFile extends Omit<SettledFile, 'id' | 'code'> {
  resource: string
  code: string
}

/** The last ones of an agent, newest first. */
export function refusedFiles({ sources }: AgentReport): RefusedFile[] {
  return sources
    .flatMap(({ resource, files }) => refusalsOf(files).map((refusal) => ({ resource, ...withoutId(refusal) })))
    .toSorted((a, b) => (a.time < b.time ? 1 : -1))
}

type Refusal = SettledFile & { code: string }

function withoutId(refusal: Refusal): Omit<Refusal, 'id'> {
  const { id: _, ...shown } = refusal
  return shown
}

function refusalsOf(files: SourceReport['files']): Refusal[] {
  return (files?.settled ?? []).filter((file): file is Refusal => file.code !== undefined)
}

/** The newest file of a source where it was refused: a good one has not come since. Without its name, which is its agency's. */
export function standingRefusal(files: SourceReport['files']): Omit<RefusedFile, 'file' | 'resource'> | undefined {
  const newest = files?.settled?.[0]
  if (newest?.code === undefined) return undefined
  const { id: _, file: __, code, ...counted } = newest
  return { code, ...counted }
}

/**
 * Tells an agency of files that were refused, each once: by its id, whatever counters do when an agent's data folder is lost or put back.
 * Of more than a report names only the count is told.
 */
export async function notifyOfRefusedFiles(query: Query, { agency, report }: ReportingAgent, now: Date): Promise<void> {
  for (const { resource, files } of report.sources) {
    const refusals = refusalsOf(files)
    if (refusals.length === 0) continue
    const first = await query<{ id: string }>(
      `insert into refused_file (agency, id, told_at) select $1, unnest($2::text[]), $3 on conflict do nothing returning id`,
      [agency, refusals.map(({ id }) => id), now],
    )
    const news = refusals.filter(({ id }) => first.some((reported) => reported.id === id))
    if (news.length === 0) continue
    const zh = news.map((file) => `${file.file}（${whyRefused(file).zh}）`).join('、')
    const en = news.map((file) => `${file.file} (${whyRefused(file).en})`).join(', ')
    const title = await titleOf(query, `resource ${resource}`)
    await notify(query, {
      to: [
        { agency, role: 'agency-it' },
        { agency, role: 'registrar' },
      ],
      kind: 'file-refused',
      object: `resource ${resource}`,
      zh: `资源《${title}》的文件被退回：${zh}；累计退回 ${files!.refused} 个。原因见该目录 rejected/ 中的报告`,
      en: `Files of ${title} were refused: ${en}; ${files!.refused} in all. The reports in the folder's rejected/ say why`,
    })
  }
}

/** The code of the first fault, and how many rows have faults where that is known. */
export function whyRefused({ code, rows, bad }: Pick<RefusedFile, 'code' | 'rows' | 'bad'>): LocalizedText {
  if (rows === undefined || bad === undefined) return { zh: code, en: code }
  return { zh: `${code}，${rows} 行中 ${bad} 行有误`, en: `${code}, ${bad} of ${counted(rows, 'row')} with faults` }
}
