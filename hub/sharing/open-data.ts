/** Open data (Art. 5, 7.5): what everybody may read of a resource now, as files; and how often it was taken. */
import { createHash, hash } from 'node:crypto'
import { localDay } from '../../protocol/local-time.ts'
import type { Language } from '../../protocol/localized.ts'
import { showPosition } from '../../protocol/position.ts'
import { findOpen, openItemsOf, type OpenEntry } from '../registry/catalog/open-entries.ts'
import type { Query } from '../store/store.ts'
import type { Reader, ReadRow } from '../tables/reader.ts'
import { csvOf, excelOf, ndjsonOf, rowJson, sourceJson, streamRows } from './exports.ts'
import { readQuery } from './filters.ts'
import { ended, openShare, type Share } from './share.ts'

export interface OpenData {
  entry: OpenEntry
  /** Its items are public, each of them; rows are ordered by the keys, public or not. */
  share: Share
}

/** Where everybody reads it. */
export const openPath = '/open'

export const fileKinds = ['csv', 'xlsx', 'json', 'ndjson'] as const
export type FileKind = (typeof fileKinds)[number]

export const mediaTypes: Record<FileKind, string> = {
  csv: 'text/csv',
  xlsx: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
  json: 'application/json',
  ndjson: 'application/x-ndjson',
}

/** Undefined where it is not open. Throws QZ-DATA-PREPARING while its table is being made, QZ-DATA-ENDED where it has just ended. */
export async function openData(query: Query, code: string): Promise<OpenData | undefined> {
  const entry = await findOpen(query, code)
  if (!entry) return undefined
  const open = entry.openItems.map(({ id }) => id)
  const share = await openShare(query, { id: `open ${entry.opening}`, resource: code, items: open })
  const items = share.items.filter(({ id, openness }) => openness === 'public' && open.includes(id))
  return { entry, share: { ...share, items } }
}

/** Names one answer of one state of the data (RFC 9110, section 8.8.3). */
export function openTag({ entry, share }: OpenData, ...answer: string[]): string {
  const { opening, catalogVersion, agencyName } = entry
  const items = share.items.map(({ id }) => id)
  const state = [opening, catalogVersion, agencyName, items, share.table.name, share.table.place, ...answer]
  return `"${hash('sha256', JSON.stringify(state), 'base64url')}"`
}

/** A whole file, as its table was when it began. What is not open any more ends it without its end. */
export async function* openFile(
  { query, reader }: { query: Query; reader: Reader },
  data: OpenData,
  { kind, language }: { kind: FileKind; language: Language },
): AsyncGenerator<Buffer> {
  const { entry, share } = data
  const { items } = share
  let rows = 0
  async function* whileOpen(): AsyncGenerator<ReadRow[]> {
    for await (const page of streamRows(reader, share, readQuery(share, {}), Number.MAX_SAFE_INTEGER)) {
      const open = await openItemsOf(query, entry.opening)
      if (!items.every(({ id }) => open.includes(id))) throw ended(entry.code, { zh: '已停止开放', en: 'it is not open any more' })
      rows += page.length
      yield page
    }
  }
  const content = {
    csv: () => csvOf(items, whileOpen(), { sources: [share], language }),
    xlsx: () => excelOf({ title: share.title, sources: [share] }, items, whileOpen(), language),
    json: () => jsonOf(data, whileOpen()),
    ndjson: () => withSource(data, ndjsonOf(items, whileOpen())),
  }[kind]()
  const digest = createHash('sha256')
  let bytes = 0
  for await (const part of content) {
    digest.update(part)
    bytes += part.length
    yield part
  }
  if (language === 'zh') await noteFile(query, data, { kind, rows, bytes, sha256: digest.digest('hex') })
}

/** Whose data it is, under which licence, as of when. */
function described({ entry, share }: OpenData): string {
  const { openLicence } = entry.content
  return openLicence === undefined ? sourceJson(share) : sourceJson(share, { licence: openLicence })
}

async function* jsonOf(data: OpenData, pages: AsyncIterable<ReadRow[]>): AsyncGenerator<Buffer> {
  const { items } = data.share
  const columns = items.map(({ id, label, type }) => ({ id, label, type }))
  yield Buffer.from(`{"source":${described(data)},"columns":${JSON.stringify(columns)},"items":[`)
  let first = true
  for await (const page of pages) {
    const text = page.map((row) => rowJson(items, row)).join(',\n')
    yield Buffer.from(`${first ? '\n' : ',\n'}${text}`)
    first = false
  }
  yield Buffer.from('\n]}\n')
}

/** No item's id begins with `$`. */
async function* withSource(data: OpenData, lines: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield* lines
  yield Buffer.from(`{"$source":${described(data)}}\n`)
}

interface MadeFile {
  kind: FileKind
  rows: number
  bytes: number
  sha256: string
}

async function noteFile(query: Query, { entry, share }: OpenData, { kind, rows, bytes, sha256 }: MadeFile): Promise<void> {
  const { epoch, seq } = share.table.place
  await query(
    `insert into open_file as f (resource, kind, opening, catalog_version, epoch, seq, rows, bytes, sha256)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     on conflict (resource, kind) do update set opening = $3, catalog_version = $4, epoch = $5, seq = $6, rows = $7, bytes = $8, sha256 = $9
       where (f.opening, f.catalog_version, f.epoch, f.seq) <= ($3, $4, $5, $6)`,
    [entry.code, kind, entry.opening, entry.catalogVersion, epoch, seq, rows, bytes, sha256],
  )
}

/** What the hub signs of a file that it has sent. */
export interface OpenManifest {
  file: string
  resource: string
  title: string
  source: string
  /** `epoch/seq`, up to which its table had its stream. */
  position: string
  rows: number
  bytes: number
  /** Hex. */
  sha256: string
}

/** Of `data.csv` as it is now, in Chinese; undefined where nobody has loaded that yet. */
export async function openManifest(query: Query, { entry, share }: OpenData): Promise<OpenManifest | undefined> {
  const { code, opening, catalogVersion, agencyName } = entry
  const { epoch, seq } = share.table.place
  const [made] = await query<Pick<OpenManifest, 'rows' | 'bytes' | 'sha256'>>(
    `select rows::float8 as rows, bytes::float8 as bytes, sha256 from open_file
     where resource = $1 and kind = 'csv' and (opening, catalog_version, epoch, seq) = ($2, $3, $4, $5)`,
    [code, opening, catalogVersion, epoch, seq],
  )
  const position = showPosition(share.table.place)
  return made && { file: 'data.csv', resource: code, title: share.title, source: agencyName, position, ...made }
}

export async function countDownload(query: Query, resource: string, kind: FileKind | 'rows', now: Date): Promise<void> {
  await query(
    `insert into open_usage as u (resource, day, kind, downloads) values ($1, $2, $3, 1)
     on conflict (resource, day, kind) do update set downloads = u.downloads + 1`,
    [resource, localDay(now), kind],
  )
}

/** Downloads of a resource by day and kind, newest first, of so many days. */
export function openUsageOf(query: Query, resource: string, days: number): Promise<{ day: string; kind: string; downloads: number }[]> {
  return query(
    `select to_char(day, 'YYYY-MM-DD') as day, kind, downloads::float8 as downloads from open_usage
     where resource = $1 and day > (select max(day) from open_usage where resource = $1) - $2::int order by day desc, kind`,
    [resource, days],
  )
}
