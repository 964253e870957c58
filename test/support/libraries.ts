/**
 * Libraries as one file each. Some have hundreds (typebox 683, tap 291): reading them is half of what a small test file costs. They are bundled once for a package-lock.json, and a hook gives them to whoever of the project imports them.
 */
import { build } from 'esbuild'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'

const root = fileURLToPath(new URL('../..', import.meta.url))
const libraries = [
  '@cj-tech-master/excelts',
  '@fastify/ajv-compiler',
  '@fastify/cookie',
  '@fastify/swagger',
  '@fastify/type-provider-typebox',
  '@peculiar/x509',
  'fast-check',
  'fastify',
  'http-message-signatures',
  'nodemailer',
  'pg',
  'reflect-metadata',
  'tap',
  'tap-parser',
  'typebox',
  'typebox/compile',
  'typebox/value',
  'undici',
  'yaml',
]

/** Environment in which Node takes the bundled libraries; shared with the programs that a test starts. */
export async function bundledLibraries(): Promise<NodeJS.ProcessEnv> {
  const hash = createHash('sha256').update(process.version)
  for (const file of ['package-lock.json', 'test/support/libraries.ts']) hash.update(readFileSync(join(root, file)))
  const folder = join(root, 'node_modules/.qianzhi', hash.digest('hex').slice(0, 16))
  if (!existsSync(folder)) await bundle(folder)
  return { NODE_OPTIONS: `${process.env['NODE_OPTIONS'] ?? ''} --import=${pathToFileURL(join(folder, 'hook.mjs')).href}` }
}

async function bundle(folder: string): Promise<void> {
  mkdirSync(dirname(folder), { recursive: true })
  const making = mkdtempSync(`${folder}.`)
  const entries = join(making, 'entries')
  mkdirSync(entries)
  const files: Record<string, string> = {}
  const names = await exportedNames()
  for (const library of libraries) {
    files[library] = `${library.replaceAll(/\W+/g, '_')}.mjs`
    writeFileSync(join(entries, files[library]), entry(library, names[library]!))
  }
  await build({
    absWorkingDir: root,
    entryPoints: Object.values(files).map((file) => join(entries, file)),
    outdir: making,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    // They find files beside themselves.
    external: ['pino', 'pg-native'],
    banner: { js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);" },
    logLevel: 'error',
  })
  writeFileSync(join(making, 'hook.mjs'), hook(files))
  rmSync(entries, { recursive: true })
  // Another run may have been first.
  if (existsSync(folder)) rmSync(making, { recursive: true })
  else renameSync(making, folder)
}

/** A module that gives what the library gives; the names of a CommonJS library are those that Node finds in it. */
function entry(library: string, names: readonly string[]): string {
  const from = JSON.stringify(library)
  if (!names.includes('module.exports'))
    return `export * from ${from}\n${names.includes('default') ? `export { default } from ${from}\n` : ''}`
  const own = names.filter((name) => name !== 'module.exports' && name !== 'default')
  return `import library from ${from}\nexport default library\nexport const { ${own.join(', ')} } = library\n`
}

/** What each library exports. Asked in a process of its own, for tap begins a test where it is imported. */
async function exportedNames(): Promise<Record<string, string[]>> {
  const script = `import 'reflect-metadata'
    const names = {}
    for (const library of ${JSON.stringify(libraries)}) names[library] = Object.keys(await import(library))
    console.error(JSON.stringify(names))
    process.exit(0)`
  const { stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], { cwd: root })
  return JSON.parse(stderr.slice(stderr.indexOf('{"'))) as Record<string, string[]>
}

/** Only what the project itself imports, its bundled programs too: libraries go on finding their own. */
function hook(files: Record<string, string>): string {
  return `import { registerHooks } from 'node:module'
const files = new Map(Object.entries(${JSON.stringify(files)}))
registerHooks({
  resolve(specifier, context, next) {
    const file = files.get(specifier)
    if (file === undefined || /\\/node_modules\\/(?!\\.qianzhi\\/programs-)/.test(context.parentURL ?? '')) return next(specifier, context)
    return { url: new URL(file, import.meta.url).href, format: 'module', shortCircuit: true }
  },
})
`
}
