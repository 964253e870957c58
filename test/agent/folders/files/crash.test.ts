/** A program that delivers files, killed before each of its steps: no file is ever seen in part, and the end is the same. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { partsFolder } from '../../../../agent/folders/files/part-files.ts'
import { runProgram } from '../../../support/programs.ts'
import { contentsOf, hashOf } from './line.ts'
import { end, openScene, playScene, versions } from './scene.ts'

const program = 'test/agent/folders/files/crash.ts'
const known = Object.fromEntries(Object.entries(versions).map(([name, contents]) => [name, contents.map(hashOf)]))
/** Each so many, or all. */
const stride = process.env['QIANZHI_TEST_LONG'] ? 1 : 8

function freshFolder(): string {
  return mkdtempSync(join(tmpdir(), 'qianzhi-crash-'))
}

function leftovers(folder: string): string[] {
  const all = readdirSync(join(folder, 'target', partsFolder), { recursive: true, withFileTypes: true })
  return all.filter((entry) => entry.isFile()).map(({ name }) => name)
}

async function kill(step: number): Promise<string | undefined> {
  const folder = freshFolder()
  try {
    const { code } = await runProgram([program, folder, String(step)], { failing: true })
    if (code === 0 || existsSync(join(folder, 'ended'))) return `step ${step} did not come`
    const seen = contentsOf(join(folder, 'target'))
    const broken = Object.entries(seen).find(([name, hash]) => !known[name]?.includes(hash))
    if (broken) return `after step ${step}: ${broken[0]} is none of its versions`
    for (let again = 0; again < 2; again++) {
      const sink = await openScene(folder)
      await playScene(sink, folder)
      await sink.close()
    }
    const found = JSON.stringify([contentsOf(join(folder, 'target')), leftovers(folder)])
    return found === JSON.stringify([end, []]) ? undefined : `after step ${step}: ${found}`
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

t.test('killed before every step', async (t) => {
  const folder = freshFolder()
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const { stdout } = await runProgram([program, folder, '0'])
  t.same(contentsOf(join(folder, 'target')), end, 'undisturbed')
  const steps = Array.from({ length: Number(stdout) }, (_, i) => i + 1).filter((step) => step % stride === 0)
  t.ok(Number(stdout) > 80, `${stdout} steps`)
  const failures: string[] = []
  const run = async (): Promise<void> => {
    for (let step = steps.shift(); step !== undefined; step = steps.shift()) {
      const failure = await kill(step)
      if (failure !== undefined) failures.push(failure)
    }
  }
  await Promise.all([run(), run()])
  t.same(failures, [])
})
