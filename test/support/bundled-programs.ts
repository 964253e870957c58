/**
 * The programs of agent and hub as a few files, as they are installed nowhere: reading and compiling their 400 sources is half of what a start
 * costs, and tests start them several hundred times. They are bundled once for what the sources hold, and a hook gives them to whoever runs
 * `agent/main.ts` or `hub/main.ts`.
 */
import { build, type Plugin } from 'esbuild'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { sources } from './imports.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const programs = ['agent/main.ts', 'hub/main.ts']
const keptMs = 24 * 3_600_000

/** Environment in which Node runs the bundled programs. */
export async function bundledPrograms(): Promise<NodeJS.ProcessEnv> {
  const hash = createHash('sha256').update(process.version)
  const files = ['agent', 'hub', 'protocol', 'config-examples'].flatMap(sources)
  for (const file of [...files, 'test/support/bundled-programs.ts']) hash.update(file).update(readFileSync(join(root, file)))
  const folder = join(root, 'node_modules/.qianzhi', `programs-${hash.digest('hex').slice(0, 16)}`)
  if (!existsSync(folder)) await bundle(folder)
  return { NODE_OPTIONS: `${process.env['NODE_OPTIONS'] ?? ''} --import=${pathToFileURL(join(folder, 'hook.mjs')).href}` }
}

async function bundle(folder: string): Promise<void> {
  removeOld(dirname(folder))
  mkdirSync(dirname(folder), { recursive: true })
  const making = mkdtempSync(`${folder}.`)
  await build({
    absWorkingDir: root,
    entryPoints: programs,
    outdir: making,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node24',
    keepNames: true,
    plugins: [ownPlaces],
    logLevel: 'error',
  })
  writeFileSync(join(making, 'hook.mjs'), hook())
  // Another run may have been first.
  if (existsSync(folder)) rmSync(making, { recursive: true })
  else renameSync(making, folder)
}

/** A source finds the files beside it where it was written. */
const ownPlaces: Plugin = {
  name: 'own places',
  setup: (building) =>
    building.onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8')
      if (!text.includes('import.meta.url')) return undefined
      return { contents: text.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href)), loader: 'ts' }
    }),
}

function hook(): string {
  const files = programs.map((file) => [pathToFileURL(join(root, file)).href, file.replace(/\.ts$/, '.mjs')])
  return `import { registerHooks } from 'node:module'
const files = new Map(${JSON.stringify(files)})
registerHooks({
  resolve(specifier, context, next) {
    const file = context.parentURL === undefined ? files.get(specifier) : undefined
    return file === undefined ? next(specifier, context) : { url: new URL(file, import.meta.url).href, format: 'module', shortCircuit: true }
  },
})
`
}

function removeOld(parent: string): void {
  if (!existsSync(parent)) return
  for (const name of readdirSync(parent)) {
    const path = join(parent, name)
    if (name.startsWith('programs-') && Date.now() - statSync(path).mtimeMs > keptMs) rmSync(path, { recursive: true })
  }
}
