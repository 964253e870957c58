/** Looking makes nothing: neither a folder, nor a mark in one, nor a database file. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import t from 'tap'
import type { FolderSettings, SourceTable } from '../../../agent/database.ts'
import { openSqlite } from '../../../agent/databases/sqlite/engine.ts'
import { folderChecks } from '../../../agent/folders/doctor.ts'
import { claimFolder } from '../../../agent/folders/store/owner.ts'
import { licence, sinkOf, sourceOf } from '../databases/conformance/fixture.ts'

const top = mkdtempSync(join(tmpdir(), 'qianzhi-doctor-'))
t.teardown(() => rmSync(top, { recursive: true, force: true }))
const data = join(top, 'data')

function folderAt(path: string, agent = 'a-1'): FolderSettings {
  return { path, data, agent, logger: pino({ enabled: false }), ready: 'stable', stable: 2, look: 60, sign: () => '' }
}

const files = { contents: 'rows', names: '*', whole: true, faults: 'refuse', format: { timezone: 'UTC' } } as const
const source: SourceTable = { ...sourceOf(licence), files, capture: 'files' }

t.test('folders', async (t) => {
  const path = join(top, 'misspelt')
  t.match(await folderChecks(folderAt(path), [source], []), [{ name: 'folder', ok: false, en: /does not exist: look at the path/ }])
  t.match(await folderChecks(folderAt(path), [], [sinkOf(licence)]), [{ name: 'folder', ok: true, en: /the agent makes it/ }])
  t.notOk(existsSync(path) || existsSync(data))
  mkdirSync(path)
  t.match(await folderChecks(folderAt(path), [source], []), [{ ok: true }, { name: 'space' }])
  t.same(readdirSync(path), [], 'no mark')
  await claimFolder(folderAt(path))
  t.match(await folderChecks(folderAt(path), [source], []), [{ ok: true }, { name: 'space' }])
  t.match(await folderChecks(folderAt(path, 'b-1'), [source], []), [{ ok: false, en: /QZ-FOLDER-SHARED/ }])
  rmSync(join(path, '.qianzhi.json'))
  t.match(await folderChecks(folderAt(path), [source], []), [{ ok: false, en: /share may not be connected/ }], 'it was its own before')
})

t.test('a database file', async (t) => {
  const file = join(top, 'misspelt.db')
  const database = await openSqlite({ name: 'front', url: `sqlite://${file}`, pace: 50 })
  t.match(await database.doctor([sourceOf(licence)], []), [{ ok: false, en: /does not exist: look at the path/ }])
  t.match(await database.doctor([], [sinkOf(licence)]), [{ ok: true, en: /made when the first rows come/ }])
  t.notOk(existsSync(file))
})
