// Compiles agent, hub and protocol to dist/ and puts the SQL migrations beside the compiled store; with --noCheck whatever their types say.
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
process.exitCode = tsc.status ?? 1
