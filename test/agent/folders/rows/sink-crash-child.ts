/**
 * Delivers what is left of a fixed stream into a folder, and waits for the files of it: `node sink-crash-child.ts BASE whole|increments KILL`.
 * Kills itself before the KILL-th step that reaches the disk (commits, flushes, renames), 0 for never.
 */
import { promises, mkdirSync, readFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Change, SinkFiles } from '../../../../agent/database.ts'
import { signingKeyFromPem } from '../../../../protocol/signature.ts'

const [base, write, kill] = process.argv.slice(2) as [string, SinkFiles['write'], string]
let steps = 0

function step(): void {
  if (++steps === Number(kill)) process.kill(process.pid, 'SIGKILL')
}

/** Before anything else imports them. */
async function countSteps(): Promise<void> {
  const { rename } = promises
  promises.rename = (...names) => (step(), rename(...names))
  syncBuiltinESMExports()
  const handle = await promises.open(base, 'r')
  const prototype = Object.getPrototypeOf(handle) as { sync: () => Promise<void> }
  const { sync } = prototype
  prototype.sync = function (this: typeof prototype) {
    step()
    return sync.call(this)
  }
  await handle.close()
  const commits = DatabaseSync.prototype as { exec: (this: DatabaseSync, sql: string) => void }
  const { exec } = commits
  commits.exec = function (this: DatabaseSync, sql: string) {
    if (sql === 'commit') step()
    return exec.call(this, sql)
  }
}

await countSteps()
const { claimFolder } = await import('../../../../agent/folders/store/owner.ts')
const { openFolderDelivery } = await import('../../../../agent/folders/delivery.ts')
const { fileSink, folderSettings, manifestOf } = await import('./sink-fixture.ts')
const { steps: stream } = await import('./sink-crash-stream.ts')
const { until } = await import('../../../support/programs.ts')

const folder = folderSettings(base, signingKeyFromPem(readFileSync(join(base, 'key.pem'), 'utf8')))
mkdirSync(folder.path, { recursive: true })
await claimFolder(folder)
const delivery = await openFolderDelivery(folder)
const sink = fileSink(undefined, { write })
const { live } = await delivery.open(sink)
for (const { change, waits } of stream as { change: Change; waits: boolean }[]) {
  if (live.position && change.to.seq <= live.position.seq) continue
  await delivery.apply(sink, 'live', delivery.prepare(sink, change))
  if (waits) await written(change.to.seq)
}
await written(stream.at(-1)!.change.to.seq)
await delivery.close()
process.stdout.write(`${steps}\n`)

async function written(seq: number): Promise<void> {
  const names = async () => (await promises.readdir(folder.path)).filter((name) => /(?:csv)$/.test(name))
  await until(`a file up to ${seq}`, async () => (await names()).some((name) => manifestOf(folder, name)?.to.seq === seq), 20)
}
