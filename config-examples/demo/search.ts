import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** How many of the texts (UTF-8) occur in any file below a folder. */
export function filesHold(folder: string, texts: readonly string[]): number {
  const wanted = new Set(texts)
  const found = new Set<string>()
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const content = readFileSync(join(entry.parentPath, entry.name))
    for (const text of wanted) if (content.includes(text)) found.add(text)
  }
  return found.size
}
