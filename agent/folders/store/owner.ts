import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { access, constants, mkdir, readFile, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { codedError, QianzhiError, reasonOf } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { FolderSettings } from '../../database.ts'
import { writeDurably } from '../../runtime/state.ts'

/** Lies in each folder that an agent works in, and names it: a share that is gone shows an empty folder without it, and a second agent is kept off. */
export const ownerFile = '.qianzhi.json'

/** The same in a folder in which a one-way gap puts files: some bring the mark of the folder at their other end along. */
export const arrivingMark = '.qianzhi-arriving.json'

interface Claim {
  path: string
  agent: string
  /** The agent's data folder, which remembers what it has claimed. */
  data?: string
}

/**
 * Makes the folder this agent's own, once: a place that was its own and has no mark any more is a share that is not connected, not an empty
 * folder. Throws QZ-FOLDER-SHARED, QZ-FOLDER-UNREACHABLE.
 */
export async function claimFolder({ path, agent, data }: Claim, mark = ownerFile): Promise<void> {
  const note = data && noteOf(data, path)
  if (note && existsSync(note)) return requireMark({ path, agent }, mark, note)
  try {
    await mkdir(path, { recursive: true })
    await writeFile(join(path, mark), JSON.stringify({ agent, host: hostname() }), { flag: 'wx' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw unreachable(path, error)
  }
  await requireFolder({ path, agent }, mark)
  if (note) writeDurably(note, path)
}

/** Whether it could be claimed; makes nothing. False where it is not there and was never claimed. Throws as `claimFolder` does. */
export async function mayClaim({ path, agent, data }: Claim, mark = ownerFile): Promise<boolean> {
  const note = data && noteOf(data, path)
  if (note && existsSync(note)) await requireMark({ path, agent }, mark, note)
  else if (existsSync(join(path, mark))) await requireFolder({ path, agent }, mark)
  else if (!existsSync(path)) return false
  else
    await access(path, constants.R_OK | constants.W_OK).catch((error: unknown) => {
      throw unreachable(path, error)
    })
  return true
}

function noteOf(data: string, path: string): string {
  return join(data, 'folders', `${createHash('sha256').update(path).digest('hex').slice(0, 16)}.claimed`)
}

async function requireMark(place: Claim, mark: string, note: string): Promise<void> {
  if (!existsSync(join(place.path, mark))) {
    const zh = `其中的标记 ${mark} 不见了，共享可能未连接；确已更换目录的，请删除 ${note}`
    const en = `its mark ${mark} is gone: the share may not be connected; if the folder was replaced on purpose, remove ${note}`
    throw new QianzhiError('QZ-FOLDER-UNREACHABLE', { folder: place.path, reason: { zh, en } })
  }
  await requireFolder(place, mark)
}

/** Throws QZ-FOLDER-UNREACHABLE where the folder is gone or not writable, QZ-FOLDER-SHARED where it is another agent's. */
export async function requireFolder({ path, agent }: Pick<FolderSettings, 'path' | 'agent'>, mark = ownerFile): Promise<void> {
  const file = join(path, mark)
  const owner = await readOwner(path, file)
  if (owner.agent !== agent || owner.host !== hostname())
    throw new QianzhiError('QZ-FOLDER-SHARED', { folder: path, other: `${String(owner.agent)} @ ${String(owner.host)}`, file })
}

async function readOwner(path: string, file: string): Promise<{ agent?: unknown; host?: unknown }> {
  let text: string
  try {
    await access(path, constants.R_OK | constants.W_OK)
    text = await readFile(file, 'utf8')
  } catch (error) {
    throw unreachable(path, error)
  }
  try {
    return JSON.parse(text) as { agent?: unknown; host?: unknown }
  } catch (error) {
    const reason = { zh: `其中的标记 ${file} 已损坏，请删除`, en: `its mark ${file} is damaged: remove it` }
    throw new QianzhiError('QZ-FOLDER-UNREACHABLE', { folder: path, reason }, { cause: error })
  }
}

/** A failure of the file system, or a full disk below what is remembered of a folder, as one that names the folder; any other error is the program's own. */
export function unreachable(folder: string, error: unknown): QianzhiError {
  const reason = failureOfDisk(error)
  return reason === undefined ? codedError(error) : new QianzhiError('QZ-FOLDER-UNREACHABLE', { folder, reason }, { cause: error })
}

/** SQLITE_FULL. */
const sqliteFull = 13

function failureOfDisk(error: unknown): string | LocalizedText | undefined {
  const { code, errcode } = error as { code?: unknown; errcode?: unknown }
  if (code === 'ENOSPC') return { zh: '磁盘已满', en: 'the disk is full' }
  if (code === 'ERR_SQLITE_ERROR' && errcode === sqliteFull)
    return { zh: '数据目录所在的磁盘已满', en: 'the disk of the data folder is full' }
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? reasonOf(error) : undefined
}
