// Runs after npm ci: builds dist/. Without the development dependencies there is nothing to build with. Types are what `npm run check` and
// `npm pack` look at: an error in them must not stop an installation.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

if (existsSync('node_modules/typescript')) {
  const { status } = spawnSync(process.execPath, ['.ci/build.mjs', '--noCheck'], { stdio: 'inherit' })
  if (status !== 0) console.warn('prepare: dist/ could not be built')
}
