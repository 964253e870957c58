/** Which file may import which. Imports run one way, types included: from the programs down to their ground, and to the protocol. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { importsOf, sources, type Import } from './support/imports.ts'

/**
 * The rooms of the two programs, from the ground up. `hub/exchange.ts` and `hub/exchange/` are one room. A file imports from its own room
 * and from rooms above it in this table; two rooms of one line do not know each other.
 */
const ranks = {
  agent: [
    'folder-settings',
    'database',
    'row-keys',
    'runtime',
    'row-pages',
    'hub',
    'config',
    'status',
    'outbound inbound',
    'reconciliation',
    'scans folders',
    'gaps',
    'databases',
    'operator',
    'active-tables',
    'agent-parts',
    'agent',
    'commands',
    'main',
  ],
  hub: [
    'store log',
    'tls logs records',
    'access exchange',
    'tables',
    'reconciliation',
    'supervision',
    'lines',
    'registry',
    'events',
    'sharing',
    'jobs',
    'supply',
    'config',
    'operations',
    'http',
    'status console',
    'hub',
    'commands',
    'main',
  ],
} as const

/** Imports against the ranks, each with its reason. */
const exceptions: { from?: string; to: string; reason: string }[] = [
  {
    from: 'agent/folders/delivery.ts',
    to: 'agent/gaps/batch-sink.ts',
    reason: 'what a folder holds is named in one table; batches for a one-way gap are loaded when a route wants them',
  },
  {
    to: 'agent/databases/index.ts',
    reason: 'the list of engines: whoever reads a database URL asks it; it loads an engine when that is first used',
  },
]

const imports = ['agent', 'hub', 'protocol', 'config-examples', 'test'].flatMap(sources).flatMap(importsOf)

function isException({ from, to }: Import): boolean {
  return exceptions.some((exception) => exception.to === to && (exception.from ?? from) === from)
}

/** The imports which a rule forbids, as lines a failure shows. */
function broken(forbidden: (found: Import) => boolean): string[] {
  return imports.filter((found) => forbidden(found) && !isException(found)).map(({ from, to }) => `${from} imports ${to}`)
}

const within = (path: string, folder: string): boolean => path.startsWith(`${folder}/`)
const programOf = (path: string): 'agent' | 'hub' | undefined => (within(path, 'agent') ? 'agent' : within(path, 'hub') ? 'hub' : undefined)
const roomOf = (path: string): string => path.split('/')[1]!.replace(/\.ts$/, '')

function rankOf(path: string): number {
  return ranks[programOf(path)!].findIndex((rooms) => rooms.split(' ').includes(roomOf(path)))
}

function isUpward({ from, to, local }: Import): boolean {
  if (!local || programOf(from) === undefined || programOf(from) !== programOf(to)) return false
  return roomOf(from) !== roomOf(to) && rankOf(to) >= rankOf(from)
}

t.test('the walk finds imports', async (t) => {
  t.ok(imports.some(({ from, to }) => from === 'test/support/imports.ts' && to === 'node:path'))
  t.ok(imports.some(({ from, to }) => from === 'test/support/postgres.ts' && to === 'test/support/server.ts'))
  t.ok(
    imports.some(({ to, eager }) => to === 'agent/folders/engine.ts' && !eager),
    'what is loaded later, too',
  )
})

t.test('each room has its rank', async (t) => {
  const files = ['agent', 'hub'].flatMap(sources)
  t.same(
    files.filter((file) => rankOf(file) < 0),
    [],
  )
  const rooms = Object.entries(ranks).flatMap(([program, lines]) =>
    lines.flatMap((rooms) => rooms.split(' ').map((room) => `${program}/${room}`)),
  )
  t.same(
    rooms.filter((room) => !files.some((file) => file === `${room}.ts` || within(file, room))),
    [],
    'and each rank its room',
  )
})

t.test('imports run from higher rooms to lower ones', async (t) => {
  t.same(broken(isUpward), [])
})

t.test('each exception is one', async (t) => {
  for (const exception of exceptions)
    t.ok(
      imports.some((found) => isUpward(found) && found.to === exception.to && (exception.from ?? found.from) === found.from),
      exception.to,
    )
})

t.test('the protocol imports neither agent nor hub', async (t) => {
  t.same(
    broken(({ from, to }) => within(from, 'protocol') && programOf(to) !== undefined),
    [],
  )
})

t.test('agent and hub never import each other', async (t) => {
  const crossing = ({ from, to }: Import): boolean =>
    programOf(from) !== undefined && programOf(to) !== undefined && programOf(from) !== programOf(to)
  t.same(broken(crossing), [])
})

t.test('nothing imports test/ except tests and the demonstration', async (t) => {
  t.same(
    broken(({ from, to }) => within(to, 'test') && !within(from, 'test') && !within(from, 'config-examples')),
    [],
  )
})

/** `agent/databases/mysql`: an engine is a folder. */
function engineOf(path: string): string | undefined {
  const engine = /^agent\/databases\/(\w+)\//.exec(path)?.[1]
  return engine === 'bookkeeping' ? undefined : engine
}

t.test('a database engine imports only its contract, the bookkeeping, the protocol, its own files and packages', async (t) => {
  const allowed = ({ from, to, local }: Import): boolean =>
    !local ||
    to === 'agent/database.ts' ||
    within(to, 'agent/databases/bookkeeping') ||
    within(to, 'protocol') ||
    engineOf(to) === engineOf(from)
  t.same(
    broken((found) => engineOf(found.from) !== undefined && !allowed(found)),
    [],
  )
})

t.test('an implementation in hub/logs imports only hub/log.ts, the protocol, its own files and packages', async (t) => {
  const allowed = ({ to, local }: Import): boolean => !local || to === 'hub/log.ts' || within(to, 'protocol') || within(to, 'hub/logs')
  t.same(
    broken((found) => within(found.from, 'hub/logs') && found.from !== 'hub/logs/index.ts' && !allowed(found)),
    [],
  )
})

for (const { registry, isImplementation } of [
  { registry: 'agent/databases/index.ts', isImplementation: (path: string) => engineOf(path) !== undefined },
  { registry: 'hub/logs/index.ts', isImplementation: (path: string) => within(path, 'hub/logs') && path !== 'hub/logs/index.ts' },
]) {
  t.test(`only ${registry} names the implementations`, async (t) => {
    const names = ({ from, to }: Import): boolean => isImplementation(to) && from !== registry && !isImplementation(from)
    t.same(
      broken((found) => names(found) && !within(found.from, 'test')),
      [],
    )
  })

  t.test(`${registry} loads implementations lazily`, async (t) => {
    const eager = Array.from(
      readFileSync(registry, 'utf8').matchAll(/^\s*(?:import|export)\s+(?!type\b)[^'"()=;]*['"](\.\/[^'"]+)['"]/gm),
      (match) => match[1],
    )
    t.same(eager, [])
  })
}

t.test('no file imports itself by way of others, be it for types', async (t) => {
  // Of tests, only what runs at once: a suite and its parts may know each other's types.
  const local = Map.groupBy(
    imports.filter(({ from, local, eager }) => local && (eager || !within(from, 'test'))),
    ({ from }) => from,
  )
  const done = new Set<string>()
  const found: string[] = []
  const walk = (file: string, way: string[]): void => {
    if (way.includes(file)) found.push([...way.slice(way.indexOf(file)), file].join(' → '))
    if (way.includes(file) || done.has(file)) return
    for (const { to } of local.get(file) ?? []) walk(to, [...way, file])
    done.add(file)
  }
  for (const file of local.keys()) walk(file, [])
  t.same(found, [])
})
