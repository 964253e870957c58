/** The console as it is built of these sources, once for all tests of a run. */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'
import { sources } from '../support/imports.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** @returns its folder, with a slash at the end. */
export async function builtConsole(): Promise<string> {
  const hash = createHash('sha256')
  const own = readdirSync(join(root, 'hub/console'), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(?:tsx?|css|html|svg)$/.test(name) && !name.startsWith('dist'))
    .map((name) => join('hub/console', name))
  for (const file of [...own.toSorted(), ...sources('hub').toSorted(), 'package-lock.json'])
    hash.update(file).update(readFileSync(join(root, file)))
  const folder = join(root, 'node_modules/.qianzhi', `console-${hash.digest('hex').slice(0, 16)}`)
  if (!existsSync(folder)) {
    const making = `${folder}.${process.pid}`
    await build({ configFile: join(root, 'hub/console/vite.config.ts'), build: { outDir: making }, logLevel: 'error' })
    // Another file's process may have been first.
    if (existsSync(folder)) rmSync(making, { recursive: true })
    else renameSync(making, folder)
  }
  return `${folder}/`
}
