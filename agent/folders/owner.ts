import { access, constants, mkdir, readFile, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { QianzhiError, reasonOf } from '../../protocol/errors.ts'
import type { FolderSettings } from '../database.ts'

/** Lies in each folder that an agent works in, and names it: a share that is gone shows an empty folder without it, and a second agent is kept off. */
export const ownerFile = '.qianzhi.json'

/** The same in a folder in which a one-way gap puts files: some bring the mark of the folder at their other end along. */
export const arrivingMark = '.qianzhi-arriving.json'

/** Makes the folder this agent's own. Throws QZ-FOLDER-SHARED, QZ-FOLDER-UNREACHABLE. */
export async function claimFolder({ path, agent }: Pick<FolderSettings, 'path' | 'agent'>, mark = ownerFile): Promise<void> {
  try {
    await mkdir(path, { recursive: true })
    await writeFile(join(path, mark), JSON.stringify({ agent, host: hostname() }), { flag: 'wx' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw unreachable(path, error)
  }
  await requireFolder({ path, agent }, mark)
}

/** Throws QZ-FOLDER-UNREACHABLE where the folder is gone or not writable, QZ-FOLDER-SHARED where it is another agent's. */
export async function requireFolder({ path, agent }: Pick<FolderSettings, 'path' | 'agent'>, mark = ownerFile): Promise<void> {
  const file = join(path, mark)
  const owner = await readOwner(path, file)
  if (owner.agent !== agent || owner.host !== hostname())
    throw new QianzhiError('QZ-FOLDER-SHARED', { folder: path, other: `${String(owner.agent)} @ ${String(owner.host)}`, file })
}

async function readOwner(path: string, file: string): Promise<{ agent?: unknown; host?: unknown }> {
  try {
    await access(path, constants.R_OK | constants.W_OK)
    return JSON.parse(await readFile(file, 'utf8')) as { agent?: unknown; host?: unknown }
  } catch (error) {
    throw unreachable(path, error)
  }
}

/** Any failure of the file system, as one that says which folder. */
export function unreachable(folder: string, error: unknown): QianzhiError {
  if (error instanceof QianzhiError) return error
  const full = (error as NodeJS.ErrnoException).code === 'ENOSPC' || /disk is full/.test(reasonOf(error))
  const reason = full ? '磁盘已满 / the disk is full' : reasonOf(error)
  return new QianzhiError('QZ-FOLDER-UNREACHABLE', { folder, reason }, { cause: error })
}
