/** A file system of few bytes, for tests of full disks. */
import { execFileSync } from 'node:child_process'
import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

export interface SmallDisk {
  folder: string
  /** Leaves no byte. */
  fill(): void
  free(): void
}

/** Belongs to this user, and goes at the end of the test. Undefined where nothing may be mounted. */
export function smallDisk(test: Test, owner: number): SmallDisk | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'qianzhi-small-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', folder], { stdio: 'ignore' })
  } catch {
    rmSync(folder, { recursive: true })
    return undefined
  }
  test.teardown(() => {
    execFileSync('umount', ['-l', folder])
    rmSync(folder, { recursive: true, force: true })
  })
  chownSync(folder, owner, owner)
  const filler = join(folder, 'filler')
  const fill = () => {
    try {
      writeFileSync(filler, Buffer.alloc(64 << 20))
    } catch {
      // It is full now.
    }
  }
  return { folder, fill, free: () => rmSync(filler) }
}
