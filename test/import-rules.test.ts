/** Which file may import which. Imports run one way: main, then agent or hub, then contracts, then the protocol. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { importsOf, sources, type Import } from './support/imports.ts'

const imports = ['agent', 'hub', 'protocol', 'config-examples', 'test'].flatMap(sources).flatMap(importsOf)

/** The imports which a rule forbids, as lines a failure shows. */
function broken(forbidden: (found: Import) => boolean): string[] {
  return imports.filter(forbidden).map(({ from, to }) => `${from} imports ${to}`)
}

const within = (path: string, folder: string): boolean => path.startsWith(`${folder}/`)
const registry = (folder: string): string => `${folder}/index.ts`
const implements_ = (path: string, folder: string): boolean => within(path, folder) && path !== registry(folder)

/** `postgres.ts` and `postgres-capture.ts` belong to one implementation; so do the files in a folder `postgres/`. */
function sameImplementation(a: string, b: string, folder: string): boolean {
  const name = (path: string): string =>
    path
      .slice(folder.length + 1)
      .split('/')[0]!
      .replace(/\.ts$/, '')
      .split('-')[0]!
  return within(b, folder) && name(a) === name(b)
}

t.test('the walk finds imports', async (t) => {
  t.ok(imports.some(({ from, to }) => from === 'test/support/imports.ts' && to === 'node:path'))
  t.ok(imports.some(({ from, to }) => from === 'test/support/postgres.ts' && to === 'test/support/server.ts'))
})

t.test('the protocol imports neither agent nor hub', async (t) => {
  t.same(
    broken(({ from, to }) => within(from, 'protocol') && (within(to, 'agent') || within(to, 'hub'))),
    [],
  )
})

t.test('agent and hub never import each other', async (t) => {
  const crossing = ({ from, to }: Import): boolean =>
    (within(from, 'agent') && within(to, 'hub')) || (within(from, 'hub') && within(to, 'agent'))
  t.same(broken(crossing), [])
})

for (const { folder, contract } of [
  { folder: 'agent/databases', contract: 'agent/database.ts' },
  { folder: 'hub/logs', contract: 'hub/log.ts' },
]) {
  // What belongs to the contract though it stands in files of its own.
  const shared = ['agent/row-keys.ts', 'agent/databases/look-up.ts']
  t.test(`an implementation in ${folder} imports only ${contract}, the protocol, its own files and packages`, async (t) => {
    const allowed = ({ from, to, local }: Import): boolean =>
      !local || to === contract || shared.includes(to) || within(to, 'protocol') || sameImplementation(from, to, folder)
    t.same(
      broken((found) => implements_(found.from, folder) && !allowed(found)),
      [],
    )
  })

  t.test(`only ${registry(folder)} names the implementations in ${folder}`, async (t) => {
    const names = ({ from, to }: Import): boolean => implements_(to, folder) && !within(from, folder) && !within(from, 'test')
    t.same(broken(names), [])
  })

  t.test(`${registry(folder)} loads implementations lazily`, async (t) => {
    const text = imports.some(({ from }) => from === registry(folder)) ? readFileSync(registry(folder), 'utf8') : ''
    const eager = Array.from(text.matchAll(/^\s*(?:import|export)\s+(?!type\b)[^'"()=;]*['"](\.\/[^'"]+)['"]/gm), (match) => match[1])
    t.same(eager, [])
  })
}

t.test('nothing imports test/ except tests and the demonstration', async (t) => {
  t.same(
    broken(({ from, to }) => within(to, 'test') && !within(from, 'test') && !within(from, 'config-examples')),
    [],
  )
})

t.test('no file imports itself by way of others', async (t) => {
  const eager = Map.groupBy(
    imports.filter((found) => found.eager && found.local),
    ({ from }) => from,
  )
  const done = new Set<string>()
  const cycles: string[] = []
  const walk = (file: string, way: string[]): void => {
    if (way.includes(file)) cycles.push([...way.slice(way.indexOf(file)), file].join(' → '))
    if (way.includes(file) || done.has(file)) return
    for (const { to } of eager.get(file) ?? []) walk(to, [...way, file])
    done.add(file)
  }
  for (const file of eager.keys()) walk(file, [])
  t.same(cycles, [])
})
