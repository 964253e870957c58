/** The pages in docs/ keep up with the code that they speak of. */
import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { documents } from './support/documents.ts'
import { nodeOptionsOf } from './support/programs.ts'

const top = new URL('../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, top), 'utf8')

t.test('docs/dependencies.md names each package of package.json, and no other', async (t) => {
  const listed = JSON.parse(read('package.json')) as Record<string, Record<string, string> | undefined>
  const wanted = ['dependencies', 'devDependencies', 'optionalDependencies'].flatMap((kind) => Object.keys(listed[kind] ?? {}))
  // Of a row's first cell, where packages stand.
  const cells = Array.from(read('docs/dependencies.md').matchAll(/^\| (`.*?) \|/gm), (match) => match[1]!)
  const named = cells.flatMap((cell) => Array.from(cell.matchAll(/`([^`]+)`/g), (match) => match[1]!))
  t.same(named.toSorted(), wanted.toSorted())
})

t.test('docs/decisions/README.md lists each record', async (t) => {
  const files = readdirSync(new URL('docs/decisions/', top)).filter((file) => /^\d{3}-.*\.md$/.test(file))
  const linked = Array.from(read('docs/decisions/README.md').matchAll(/\((\d{3}-[^)]+\.md)\)/g), (match) => match[1]!)
  t.same(linked, files.toSorted())
  for (const file of files) {
    const text = read(`docs/decisions/${file}`)
    for (const part of ['Context', 'Decision', 'Consequence']) t.ok(text.includes(`**${part}.**`), `${file}: ${part}`)
  }
})

t.test('what is printed from the code is what the code says (npm run docs)', async (t) => {
  for (const [path, text] of Object.entries(documents())) t.equal(read(path), text, path)
})

t.test('services start the programs with the options of Node that their first lines name', async (t) => {
  for (const program of ['agent', 'hub']) {
    const options = nodeOptionsOf(`${program}/main.ts`).join(' ')
    t.not(options, '')
    t.match(read('package.json'), `"node ${options} ${program}/main.ts"`)
    t.match(read(`config-examples/service/qianzhi-${program}.service`), `.bin/node ${options} /`)
  }
  t.match(read('config-examples/service/qianzhi-agent.xml'), `<argument>${nodeOptionsOf('agent/main.ts').join(' ')}</argument>`)
})
