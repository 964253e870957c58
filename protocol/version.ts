import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The product's version, from the nearest package.json above (the sources and `dist/` lie at different depths). */
export const version: string = readVersion(dirname(fileURLToPath(import.meta.url)))

function readVersion(folder: string): string {
  try {
    return (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }).version
  } catch (error) {
    const parent = dirname(folder)
    if (parent === folder) throw error
    return readVersion(parent)
  }
}
