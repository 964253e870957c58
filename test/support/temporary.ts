/**
 * Where a run's temporary files lie: in memory where there is room, since what takes longest on a disk is what tests do most: making and
 * deleting files. (ext4 without a journal passes over every inode deleted within the last minutes: a database of 300 files then takes 0.3 s.)
 */
import { chmodSync, mkdtempSync, readdirSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** What outlives a run lies here, whatever `TMPDIR` is. */
const kept = 'QIANZHI_TEST_KEPT'
const memory = '/dev/shm'
const minBytes = 6 * 2 ** 30
const prefix = 'qianzhi-run-'

export function keptFolder(): string {
  return process.env[kept] ?? tmpdir()
}

/** A folder in memory for this run, as environment for all that it starts; undefined where there is none, or too little room. Goes at the end. */
export function memoryFolder(): { TMPDIR: string; [kept]: string } | undefined {
  removeLeft()
  if (!hasRoom()) return undefined
  const folder = mkdtempSync(join(memory, `${prefix}${process.pid}-`))
  // Database servers run under accounts of their own.
  chmodSync(folder, 0o1777)
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  return { TMPDIR: folder, [kept]: tmpdir() }
}

function hasRoom(): boolean {
  try {
    const { bavail, bsize } = statfsSync(memory)
    return bavail * bsize >= minBytes
  } catch {
    return false
  }
}

/** Of runs that were killed. */
function removeLeft(): void {
  for (const name of foldersThere()) {
    const pid = Number(name.slice(prefix.length).split('-')[0])
    try {
      process.kill(pid, 0)
    } catch {
      rmSync(join(memory, name), { recursive: true, force: true })
    }
  }
}

function foldersThere(): string[] {
  try {
    return readdirSync(memory).filter((name) => name.startsWith(prefix))
  } catch {
    return []
  }
}
