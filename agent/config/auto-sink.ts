import { Type } from 'typebox'
import { QianzhiError } from '../../protocol/errors.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import { placedSink, type Folders } from './folders.ts'

/** Keys of a sink that is every granted route which no other sink names: each goes into a table, or a file, of its own. */
export const AutoSink = {
  /** The database's or folder's name in `databases` or `folders`. */
  auto: Type.Optional(Type.String({ minLength: 1 })),
  /** The database schema of the tables; without it the engine's usual one. */
  schema: Type.Optional(Type.String({ minLength: 1 })),
}

/** What else may be said of it. */
const settings = ['deletes', 'write', 'gather', 'headers', 'formulas', 'format', 'encoding', 'separator', 'sheet', 'empty']

interface Entry {
  auto?: string
  schema?: string
  deletes?: 'remove' | 'mark'
}

/** With its place. */
export type Auto = Omit<Entry, 'auto'> & { database: string; folder?: string }

interface Places<Named> {
  sinks?: 'auto' | Named[]
  databases?: object
  folders?: Folders
}

/** Entries with their places in the file, and the one that is `auto`. */
export function readSinks<Named extends Entry>({
  sinks = [],
  databases = {},
  folders = {},
}: Places<Named>): {
  named: [Named, number][]
  auto?: Auto
} {
  const only = sinks === 'auto' ? onlyPlace(Object.keys(databases), Object.keys(folders)) : undefined
  const entries = sinks === 'auto' ? [{ auto: only } as Named] : sinks
  const named: [Named, number][] = []
  let auto: Auto | undefined
  for (const [i, entry] of entries.entries()) {
    if (entry.auto === undefined) {
      if (entry.schema !== undefined) throw fault(`sinks[${i}].schema`, { zh: '只用于 auto', en: 'is for auto' })
      named.push([entry, i])
      continue
    }
    if (auto) throw fault(`sinks[${i}].auto`, { zh: '只能有一个 auto', en: 'there can be one auto' })
    auto = autoPlace(entry, `sinks[${i}]`, { databases, folders })
  }
  return { named, ...(auto && { auto }) }
}

function onlyPlace(databases: readonly string[], folders: readonly string[]): string {
  const [only, ...more] = databases.length > 0 ? databases : folders
  if (only !== undefined && more.length === 0) return only
  throw fault('sinks', {
    zh: 'auto 须有唯一的数据库（或目录）；有多个时写明一个：sinks: [{ auto: 名称 }]',
    en: 'auto needs exactly one database (or folder); where there are several, name one: sinks: [{ auto: NAME }]',
  })
}

function autoPlace(entry: Entry, key: string, { databases, folders }: { databases: object; folders: NonNullable<Folders> }): Auto {
  const { auto = '', schema, ...rest } = entry
  const other = Object.keys(rest).find((name) => !settings.includes(name))
  if (other !== undefined)
    throw fault(`${key}.${other}`, {
      zh: `不用于 auto：此处可用 schema、${settings.join('、')}`,
      en: `is not for auto: known here are schema, ${settings.join(', ')}`,
    })
  const folder = Object.hasOwn(folders, auto)
  if (!folder && !Object.hasOwn(databases, auto))
    throw fault(`${key}.auto`, { zh: `databases 和 folders 中都没有 ${auto}`, en: `neither databases nor folders has ${auto}` })
  if (folder && schema !== undefined)
    throw fault(`${key}.schema`, { zh: '只用于数据库：目录中是文件', en: 'is for databases: a folder has files' })
  // Says which keys are for the other kind of place.
  const placed = placedSink({ ...rest, ...(folder ? { folder: auto } : { database: auto }) }, key, folders)
  return { ...placed, ...(schema !== undefined && { schema }) }
}

function fault(key: string, reason: LocalizedText): QianzhiError {
  return new QianzhiError('QZ-CONFIG', { key, reason })
}
