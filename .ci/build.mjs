// Compiles agent, hub and protocol to dist/ (with --noCheck whatever their types say), puts the SQL migrations beside the compiled store, and
// builds the console into hub/console/dist, for a clone, and beside the compiled hub.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))
rmSync('dist', { recursive: true, force: true })
const tsc = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', ...process.argv.slice(2)], {
  stdio: 'inherit',
})
const migrations = 'hub/store/migrations'
if (existsSync(migrations)) {
  cpSync(migrations, `dist/${migrations}`, { recursive: true, filter: (path) => !path.endsWith('.ts') })
}
const vite = spawnSync(
  process.execPath,
  ['node_modules/vite/bin/vite.js', 'build', '--config', 'hub/console/vite.config.ts', '--logLevel', 'warn'],
  { stdio: 'inherit' },
)
if (vite.status === 0) cpSync('hub/console/dist', 'dist/hub/console/dist', { recursive: true })
process.exitCode = tsc.status || vite.status || 0
