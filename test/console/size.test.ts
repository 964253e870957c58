/** The console as it is built: what a browser loads before it shows anything, and what the console asks the hub for. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { operations } from '../../hub/operations/index.ts'
import { builtConsole } from './built.ts'

interface Chunk {
  file: string
  isEntry?: boolean
  imports?: string[]
  css?: string[]
}

t.test('the first load is at most 400 kB, compressed by gzip', async (t) => {
  const folder = await builtConsole()
  const manifest = JSON.parse(readFileSync(`${folder}.vite/manifest.json`, 'utf8')) as Record<string, Chunk>
  const files = new Set<string>(['index.html'])
  const add = (chunk: Chunk) => {
    if (files.has(chunk.file)) return
    for (const file of [chunk.file, ...(chunk.css ?? [])]) files.add(file)
    for (const name of chunk.imports ?? []) add(manifest[name]!)
  }
  for (const chunk of Object.values(manifest)) if (chunk.isEntry) add(chunk)
  const size = [...files].reduce((sum, file) => sum + gzipSync(readFileSync(folder + file), { level: 9 }).length, 0)
  t.ok(files.size > 2 && size < 400_000, `${files.size} files, ${Math.round(size / 1000)} kB`)
  // What the hub sends instead is the same file.
  for (const file of files) if (file.endsWith('.js') && statSync(folder + file).size > 1024) t.ok(statSync(`${folder}${file}.br`).size > 0)
})

t.test('what the console calls, and what it asks the right to, are operations of the hub', async (t) => {
  const names = new Set<string>(operations.map(({ name }) => name))
  const folder = fileURLToPath(new URL('../../hub/console/src', import.meta.url))
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => /\.tsx?$/.test(name))
  // What happens by itself has no operation; `make.title` is part of an address.
  const others = new Set(['route.first-receipt', 'reconciliation.end', 'make.title'])
  const unknown = files.flatMap((file) =>
    [...readFileSync(`${folder}/${file}`, 'utf8').matchAll(/['"`]([a-z]+\.[a-z-]+)['"`]/g)]
      .map(([, name]) => name!)
      .filter((name) => !names.has(name) && !others.has(name))
      .map((name) => `${file}: ${name}`),
  )
  t.same(unknown, [])
})
