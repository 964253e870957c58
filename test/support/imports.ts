/** Which source file imports which. */
import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, posix, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface Import {
  readonly from: string
  /** A source file's path from the top of the repository, or the name of a package. */
  readonly to: string
  readonly local: boolean
  /** Runs the other file at once: neither types alone, nor loaded when it is needed. */
  readonly eager: boolean
}

const top = fileURLToPath(new URL('../..', import.meta.url))

/** Source files in a folder and below it, as paths from the top of the repository. */
export function sources(folder: string): string[] {
  try {
    return readdirSync(join(top, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.[cm]?ts$/.test(entry.name))
      .map((entry) => relative(top, join(entry.parentPath, entry.name)).split(sep).join('/'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

export function importsOf(from: string): Import[] {
  const text = readFileSync(join(top, from), 'utf8')
  const statements = text.matchAll(
    /^\s*(?:import|export)\b[^'";]*?\bfrom\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm,
  )
  return Array.from(statements, (match) => {
    const specifier = (match[1] ?? match[2] ?? match[3])!
    const local = specifier.startsWith('.')
    const eager = match[3] === undefined && !/^\s*(?:import|export)\s+type\b/.test(match[0])
    return { from, to: local ? posix.join(dirname(from), specifier) : specifier, local, eager }
  })
}
