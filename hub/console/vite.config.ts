import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import react from '@vitejs/plugin-react'
import { defineConfig, type Plugin } from 'vite'
import { consoleMeta, consoleWorkflows } from './build-meta.ts'

const tables: Readonly<Record<string, () => unknown>> = {
  'virtual:qianzhi-meta': consoleMeta,
  'virtual:qianzhi-workflows': consoleWorkflows,
}

/** Gives the console the hub's tables. */
const meta: Plugin = {
  name: 'qianzhi meta',
  resolveId: (source) => (Object.hasOwn(tables, source) ? `\0${source}` : undefined),
  load(source) {
    const table = tables[source.slice(1)]
    return source.startsWith('\0') && table ? `export default JSON.parse(${JSON.stringify(JSON.stringify(table()))})` : undefined
  },
}

/** Puts a compressed copy beside each file, which the hub sends as it is. */
const compressed: Plugin = {
  name: 'qianzhi compressed',
  apply: 'build',
  // Of what was written in the end: other plugins change chunks until then.
  writeBundle({ dir }, bundle) {
    for (const fileName of Object.keys(bundle)) {
      const file = join(dir!, fileName)
      const bytes = readFileSync(file)
      if (!fileName.startsWith('assets/') || bytes.length < 1024) continue
      writeFileSync(`${file}.br`, brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } }))
      writeFileSync(`${file}.gz`, gzipSync(bytes, { level: 9 }))
    }
  },
}

export default defineConfig({
  root: import.meta.dirname,
  plugins: [react(), meta, compressed],
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    // The last of Windows 7, and of other office browsers of its age.
    target: 'chrome109',
    manifest: true,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 2000,
  },
})
