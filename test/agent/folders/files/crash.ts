/**
 * Applies batches to a folder and kills itself before one of its steps: `FOLDER STEP`. A step is a change of the file system, or a commit.
 * Without dying it prints how many there were.
 */
import { closeSync, openSync } from 'node:fs'
import promises from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import type { FileSink } from '../../../../agent/folders/files/sink.ts'
import type { Scene } from './scene.ts'

const [folder, dies] = [process.argv[2]!, Number(process.argv[3])]
let steps = 0
let armed = false

function step(): void {
  if (!armed) return
  steps++
  if (steps === dies) process.kill(process.pid, 'SIGKILL')
}

type Method = (...words: unknown[]) => unknown

function watch(object: object, name: string): void {
  const methods = object as Record<string, Method>
  const own = methods[name]!
  methods[name] = function (this: unknown, ...words: unknown[]) {
    step()
    return own.apply(this, words)
  }
}

const probe = await promises.open(process.execPath)
for (const name of ['write', 'sync', 'utimes']) watch(Object.getPrototypeOf(probe) as object, name)
await probe.close()
for (const name of ['open', 'rename', 'unlink', 'rm', 'rmdir', 'mkdir', 'writeFile']) watch(promises, name)
syncBuiltinESMExports()
const exec = Object.getOwnPropertyDescriptor(DatabaseSync.prototype, 'exec')!.value as Method
DatabaseSync.prototype.exec = function (this: DatabaseSync, sql: string) {
  if (sql === 'commit') step()
  return exec.call(this, sql) as void
}

const { playScene, openScene } = (await import('./scene.ts')) as Scene
const sink: FileSink = await openScene(folder)
armed = true
await playScene(sink, folder)
closeSync(openSync(join(folder, 'ended'), 'w'))
process.stdout.write(String(steps))
