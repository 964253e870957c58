/** A receiver is killed before every step that reaches the disk: no file is left out, none is shown half, no number is given twice. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { FolderSettings, Row } from '../../../../agent/database.ts'
import { generateSigningKey, signingKeyToPem } from '../../../../protocol/signature.ts'
import { runProgram } from '../../../support/programs.ts'
import { folderSettings, manifestOf, readRows, sha256Of } from './sink-fixture.ts'
import { steps } from './sink-crash-stream.ts'

const child = 'test/agent/folders/rows/sink-crash-child.ts'

interface Seen {
  sha256: string
  rows: (string | null)[][]
  seq: number
}

/** A reader that takes what it has a manifest for. */
async function look(t: Test, folder: FolderSettings, seen: Map<number, Seen>): Promise<void> {
  for (const name of readdirSync(folder.path).filter((name) => /\d\.(?:whole|changes)\.csv\.manifest\.json$/.test(name))) {
    const file = name.replace('.manifest.json', '')
    t.equal(sha256Of(folder, file), manifestOf(folder, file)!.sha256, 'a manifest comes after its file')
  }
  for (const name of readdirSync(folder.path).filter((name) => name.endsWith('.csv'))) {
    const manifest = manifestOf(folder, name)
    if (!manifest || manifest.sha256 !== sha256Of(folder, name)) continue
    const known = seen.get(manifest.number)
    if (known) t.equal(known.sha256, manifest.sha256, `${name} is what it was`)
    const [, ...rows] = await readRows(folder, name)
    if (manifest.kind === 'changes') t.equal(manifest.previous, seen.get(manifest.number - 1)?.sha256, `${name} follows`)
    seen.set(manifest.number, { sha256: manifest.sha256, rows, seq: manifest.to.seq })
    t.ok(steps[manifest.to.seq - 1]!.change.to.seq >= 2, 'an incomplete table is not shown')
  }
}

function expected(seq: number): Row[] {
  return [...steps[seq - 1]!.rows.values()].toSorted((a, b) => Number(a[0]!.slice(1)) - Number(b[0]!.slice(1)))
}

function sorted(rows: readonly (readonly (string | null)[])[]): Row[] {
  return rows.map((row) => row.slice(0, 3)).toSorted((a, b) => Number(a[0]!.slice(1)) - Number(b[0]!.slice(1)))
}

async function checkFiles(t: Test, write: string, seen: Map<number, Seen>): Promise<void> {
  if (write === 'whole') {
    for (const { rows, seq } of seen.values()) t.same(sorted(rows), expected(seq))
    return
  }
  const table = new Map<string, Row>()
  const numbers = [...seen.keys()].toSorted((a, b) => a - b)
  t.same(
    numbers,
    Array.from({ length: numbers.length }, (_, i) => i + 1),
    'no number is left out',
  )
  for (const number of numbers) {
    const { rows, seq } = seen.get(number)!
    for (const row of rows) {
      if (number === 1) table.set(row[0]!, row)
      else if (row[0] === 'd') table.delete(row[1]!)
      else table.set(row[1]!, row.slice(1))
    }
    t.same(sorted([...table.values()]), expected(seq), `the table after file ${number}`)
  }
}

const all = process.env['QIANZHI_TEST_LONG'] !== undefined

for (const { write, every } of [
  { write: 'increments', every: all ? 1 : 3 },
  { write: 'whole', every: all ? 1 : 7 },
]) {
  t.test(`${write}: killed before ${all ? 'every step' : `one of ${every} steps`}`, async (t) => {
    const total = Number((await runProgram([child, fresh(t), write, '0'])).stdout)
    t.ok(total > 30, `${total} steps`)
    const first = 1 + Math.floor(Math.random() * every)
    const places = Array.from({ length: Math.floor((total - first) / every) }, (_, i) => first + i * every)
    for (let from = 0; from < places.length; from += 2)
      await Promise.all(places.slice(from, from + 2).map((place) => killedAt(t, write, place)))
  })
}

async function killedAt(t: Test, write: string, place: number): Promise<void> {
  const base = fresh(t)
  const folder = folderSettings(base)
  const seen = new Map<number, Seen>()
  const killed = await runProgram([child, base, write, String(place)], { failing: true })
  t.not(killed.code, 0, `killed at ${place}`)
  await look(t, folder, seen)
  await runProgram([child, base, write, '0'])
  await look(t, folder, seen)
  await checkFiles(t, write, seen)
  const left = readdirSync(folder.path).filter((name) => name.endsWith('.qz-tmp'))
  t.same(left, [], `killed at ${place}: no temporary file is left`)
}

function fresh(t: Test): string {
  const base = mkdtempSync(join(tmpdir(), 'qianzhi-crash-'))
  t.teardown(() => rmSync(base, { recursive: true, force: true }))
  writeFileSync(join(base, 'key.pem'), signingKeyToPem(generateSigningKey()))
  return base
}
