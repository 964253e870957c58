/** Folders that take long to make (a new database cluster), made once on a machine and copied by each test. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chown, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { run, type Account } from './server.ts'
import { keptFolder } from './temporary.ts'

/**
 * Fills `folder`, which is empty and the account's, as `make` would fill it. What `make` made lies where it outlives a run, under
 * `name`, which must say everything that it depends on.
 */
export async function fillPrepared(
  folder: string,
  name: string,
  account: Account | undefined,
  make: (folder: string) => Promise<void>,
): Promise<void> {
  if (process.platform === 'win32') return make(folder)
  const prepared = join(keptFolder(), `qianzhi-test-${account?.uid ?? process.getuid?.()}`, name)
  if (!existsSync(prepared)) await prepare(prepared, account, make)
  await run('cp', ['-a', `${prepared}/.`, folder], account)
}

/** Under a name of its own first: two tests may do it at once, and either may be killed. */
async function prepare(prepared: string, account: Account | undefined, make: (folder: string) => Promise<void>): Promise<void> {
  const parent = dirname(prepared)
  await mkdir(parent, { recursive: true, mode: 0o755 })
  const fresh = await mkdtemp(`${prepared}.`)
  if (account) await chown(fresh, account.uid, account.gid)
  await make(fresh)
  try {
    await rename(fresh, prepared)
  } catch (error) {
    await rm(fresh, { recursive: true, force: true })
    if ((await readdir(prepared)).length === 0) throw error
  }
}

/** What a server's program says of its version, as part of a name. */
export async function versionOf(program: string): Promise<string> {
  const { stdout } = await promisify(execFile)(program, ['--version'])
  return stdout.trim().replace(/[^\w.-]+/g, '_')
}
