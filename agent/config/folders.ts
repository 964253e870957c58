import { existsSync, realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import { Type, type Static } from 'typebox'
import { QianzhiError } from '../../protocol/errors.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import type { FileFormat, SinkFiles, SourceFiles } from '../database.ts'

/**
 * Folders in the configuration. To the rest of the agent a folder is a database: its sources and sinks have it as their `database`, and an
 * engine of its own (databases/folder.ts).
 */
const strict = { additionalProperties: false }

export const folderScheme = 'folder:'

export const FolderConfig = Type.Object(
  {
    /** Relative to the configuration file. */
    path: Type.String({ minLength: 1 }),
    /** When a file counts as complete: its size and time do not change any more, or `NAME.done` lies beside it. */
    ready: Type.Optional(Type.Enum(['stable', 'done'])),
    /** Seconds without a change. */
    stable: Type.Optional(Type.Number({ minimum: 0.1, maximum: 86_400 })),
    /** Seconds between looks through the whole folder. */
    look: Type.Optional(Type.Number({ minimum: 0.1, maximum: 86_400 })),
  },
  strict,
)

export interface ResolvedFolder {
  path: string
  ready: 'stable' | 'done'
  stable: number
  look: number
}

const Format = {
  /** Without it by the file's name: .csv, .txt; .jsonl, .ndjson; .xlsx. */
  format: Type.Optional(Type.Enum(['csv', 'jsonl', 'excel'])),
  encoding: Type.Optional(Type.Enum(['utf-8', 'gb18030'])),
  separator: Type.Optional(Type.Enum([',', ';', '\t', '|'])),
  sheet: Type.Optional(Type.String({ minLength: 1, maxLength: 31 })),
  /** What an empty cell says of a text item: null (without it) or the empty text. */
  empty: Type.Optional(Type.Enum(['null', 'text'])),
}

/** Keys of a source that is a folder. */
export const FolderSource = {
  folder: Type.Optional(Type.String()),
  /** Pattern of the files' names, with `*` and `?`; all of them without it. */
  files: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
  /** `rows` (without it): each file holds rows; `any`: each file is itself what is supplied. */
  contents: Type.Optional(Type.Enum(['rows', 'any'])),
  /** Whether each file is the whole table (what it lacks is deleted), or holds new and changed rows. */
  whole: Type.Optional(Type.Boolean()),
  /** A file with bad rows: refused as a whole (without it), or its good rows are taken. */
  faults: Type.Optional(Type.Enum(['refuse', 'accept'])),
  /** A file whose time is older than that of one taken before: refused (without it), or taken. */
  older: Type.Optional(Type.Enum(['refuse', 'take'])),
  /** Marks that other programs write into tables (`\N`, `="000123"`, a tab behind digits): faults (without it), or taken for what they mean. */
  marks: Type.Optional(Type.Enum(['refuse', 'take'])),
  /** Bytes that a file of Excel may unpack to. */
  unpackedLimit: Type.Optional(Type.Integer({ minimum: 1 << 20 })),
  ...Format,
}

/** Keys of a sink that is a folder. */
export const FolderSink = {
  folder: Type.Optional(Type.String()),
  contents: Type.Optional(Type.Enum(['rows', 'any', 'batches'])),
  /** The whole table anew after changes (without it), or files of changes. */
  write: Type.Optional(Type.Enum(['whole', 'increments'])),
  /** Seconds in which changes are gathered before they are written. */
  gather: Type.Optional(Type.Number({ minimum: 0, maximum: 86_400 })),
  /** Columns are called by their items' labels (without it), or by their names. */
  headers: Type.Optional(Type.Enum(['labels', 'names'])),
  /** `escape`: an apostrophe is written before texts that a spreadsheet would take for formulas. */
  formulas: Type.Optional(Type.Enum(['keep', 'escape'])),
  /** Only of `batches`: the folder in which files from inside a one-way gap arrive. */
  back: Type.Optional(Type.String({ minLength: 1 })),
  /** Only of `batches`: days, and bytes of each route, for which copies are kept of what the inside has not confirmed. */
  keep: Type.Optional(Type.Number({ minimum: 0, maximum: 3650 })),
  limit: Type.Optional(Type.Integer({ minimum: 0 })),
  ...Format,
}

const sourceShape = Type.Object(FolderSource)
const sinkShape = Type.Object(FolderSink)
type SourceKeys = Static<typeof sourceShape>
type SinkKeys = Static<typeof sinkShape>
export type Folders = Record<string, Static<typeof FolderConfig>> | undefined

interface Place {
  database?: string
  table?: string
}

/** The folders as databases. Throws QZ-CONFIG where a name is both, or a folder is there under two names. */
export function resolveFolders(
  { folders = {}, databases = {} }: { folders?: Folders; databases?: Record<string, unknown> },
  base: string,
): Record<string, { url: string; folder: ResolvedFolder }> {
  const both = Object.keys(folders).find((name) => Object.hasOwn(databases, name))
  if (both !== undefined)
    throw new QianzhiError('QZ-CONFIG', { key: `folders.${both}`, reason: { zh: '与数据库重名', en: 'a database has this name too' } })
  const names = new Map<string, string>()
  for (const [name, { path }] of Object.entries(folders)) {
    const place = placeOf(resolve(base, path))
    const other = names.get(place)
    if (other !== undefined)
      throw fault(`folders.${name}.path`, { zh: `与 folders.${other} 是同一目录`, en: `is the folder of folders.${other} too` })
    names.set(place, name)
  }
  return Object.fromEntries(
    Object.entries(folders).map(([name, { path, ready = 'stable', stable = 2, look = 60 }]) => {
      const folder = { path: resolve(base, path), ready, stable, look }
      return [name, { url: `${folderScheme}${folder.path}`, folder }]
    }),
  )
}

const ofSourceRows = ['whole', 'faults', 'older', 'marks', 'unpackedLimit', 'format', 'encoding', 'separator', 'sheet', 'empty']

/** The same for whatever leads to one folder; one that is not there yet, or a share that is away, is what it is called. */
function placeOf(path: string): string {
  const place = existsSync(path) ? realpathSync.native(path) : path
  return process.platform === 'win32' ? place.toLowerCase() : place
}

/** A configured source with its place. Throws QZ-CONFIG, naming the key. */
export function placedSource<S extends Place & SourceKeys>(
  source: S,
  key: string,
  folders: Folders,
): S & { database: string; table: string } {
  const { folder, database, table, contents = 'rows' } = source
  if (folder === undefined) {
    refuseKeys(source, ['files', 'contents', ...ofSourceRows], key)
    if (database === undefined || table === undefined)
      throw fault(key, { zh: '须写数据库和表，或写目录', en: 'names either a database and a table, or a folder' })
    return { ...source, database, table }
  }
  requireFolder(source, key, folders)
  refuseKeys(source, ['table', 'capture', 'query', 'watermark', 'compare', 'zeroDates'], key, {
    zh: '只用于表，不用于目录',
    en: 'is for tables, not for a folder',
  })
  if (contents === 'rows' && source.whole === undefined)
    throw fault(`${key}.whole`, {
      zh: '未写：每个文件都是全表的（文件中没有的即删除）写 true，只含新增和修改的写 false',
      en: 'is missing: true where each file is the whole table (what it lacks is deleted), false where it holds new and changed rows',
    })
  if (contents === 'any')
    refuseKeys(source, [...ofSourceRows, 'columns'], key, {
      zh: '只用于数据行文件',
      en: 'is for files of rows',
    })
  return { ...source, database: folder, table: source.files ?? '*' }
}

const ofRows = ['headers', 'formulas', 'format', 'encoding', 'separator', 'sheet', 'empty']
const ofBatches = ['back', 'keep', 'limit'] as const

/** A configured sink with its place. Throws QZ-CONFIG, naming the key. */
export function placedSink<S extends Place & SinkKeys>(sink: S, key: string, folders: Folders): S & { database: string } {
  const { folder, database, contents = 'rows' } = sink
  if (folder === undefined) {
    refuseKeys(sink, ['contents', 'write', 'gather', ...ofRows, ...ofBatches], key)
    if (database === undefined) throw fault(key, { zh: '须写数据库或目录', en: 'names either a database or a folder' })
    return { ...sink, database }
  }
  requireFolder(sink, key, folders)
  refuseKeys(sink, ['table'], key, { zh: '只用于数据库：目录中是文件', en: 'is for databases: a folder has files' })
  if (contents !== 'rows') refuseKeys(sink, ['write', 'columns', ...ofRows], key, { zh: '只用于数据行文件', en: 'is for files of rows' })
  if (contents !== 'batches') refuseKeys(sink, ofBatches, key, { zh: '只用于 contents: batches', en: 'is for contents: batches' })
  if (sink.back !== undefined && !Object.hasOwn(folders ?? {}, sink.back))
    throw fault(`${key}.back`, { zh: `folders 中没有 ${sink.back}`, en: `folders has no ${sink.back}` })
  return { ...sink, database: folder }
}

function requireFolder({ folder, database }: Place & { folder?: string }, key: string, folders: Folders): void {
  if (database !== undefined) throw fault(key, { zh: '数据库和目录只能写一个', en: 'names either a database or a folder, not both' })
  if (!Object.hasOwn(folders ?? {}, folder!))
    throw fault(`${key}.folder`, { zh: `folders 中没有 ${folder}`, en: `folders has no ${folder}` })
}

const forFolders: LocalizedText = { zh: '只用于目录：请写明目录，或删去此项', en: 'is for folders: name a folder, or leave it out' }

function refuseKeys(entry: object, keys: readonly string[], key: string, reason = forFolders): void {
  const found = keys.find((name) => (entry as Record<string, unknown>)[name] !== undefined)
  if (found !== undefined) throw fault(`${key}.${found}`, reason)
}

function fault(key: string, reason: LocalizedText): QianzhiError {
  return new QianzhiError('QZ-CONFIG', { key, reason })
}

/** What a configured source's files are; undefined where it is no folder. */
export function sourceFiles(source: SourceKeys, timezone: string): SourceFiles | undefined {
  if (source.folder === undefined) return undefined
  const { contents = 'rows', files = '*', whole = false, faults = 'refuse', older, marks, unpackedLimit } = source
  const format = {
    ...fileFormat(source, timezone),
    ...(marks !== undefined && { marks }),
    ...(unpackedLimit !== undefined && { unpackedLimit }),
  }
  return { contents, names: files, whole, faults, ...(older !== undefined && { older }), format }
}

/** What a configured sink writes; undefined where it is no folder. */
export function sinkFiles(sink: SinkKeys, timezone: string): SinkFiles | undefined {
  if (sink.folder === undefined) return undefined
  const { contents = 'rows', write = 'whole', gather = 60, headers = 'labels', formulas = 'keep' } = sink
  const { keep = 30, limit = 4 * 1024 ** 3 } = sink
  const copies = contents === 'batches' ? { copies: { days: keep, bytes: limit } } : {}
  return { contents, write, gather, headers, formulas, format: fileFormat(sink, timezone), ...copies }
}

function fileFormat({ format, encoding, separator, sheet, empty }: SourceKeys | SinkKeys, timezone: string): FileFormat {
  return {
    timezone,
    ...(format !== undefined && { kind: format }),
    ...(encoding !== undefined && { encoding }),
    ...(separator !== undefined && { separator }),
    ...(sheet !== undefined && { sheet }),
    ...(empty !== undefined && { empty }),
  }
}
