// Runs after npm ci: builds tap's plugin set (its first run fails otherwise) and dist/.
// Without the development dependencies there is nothing to prepare. A type error must not stop an installation:
// `npm run check` and `npm pack` report it.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

function run(script, ...args) {
  if (existsSync(script)) return spawnSync(process.execPath, [script, ...args], { stdio: 'inherit' }).status === 0
  return true
}

if (!run('node_modules/tap/dist/esm/run.mjs', 'build')) process.exitCode = 1
if (existsSync('node_modules/typescript') && !run('.ci/build.mjs')) console.warn('prepare: dist/ was built from sources with errors')
