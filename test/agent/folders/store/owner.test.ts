/** Whose a folder is, and what its failures are called. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ownerFile, requireFolder, unreachable } from '../../../../agent/folders/store/owner.ts'
import { SqliteFile } from '../../../../agent/runtime/sqlite-file.ts'
import { freshFolder } from '../rows/sink-fixture.ts'

t.test('only what the disk says makes a folder unreachable', (t) => {
  const failure = (code: string) => Object.assign(new Error(`${code}: said so`), { code })
  t.match(unreachable('/x', failure('EIO')), { code: 'QZ-FOLDER-UNREACHABLE', message: /\/x .*EIO/ })
  t.match(unreachable('/x', failure('ENOSPC')), { code: 'QZ-FOLDER-UNREACHABLE', message: /the disk is full/ })
  t.match(unreachable('/x', new TypeError('undefined is not a function')), { code: 'QZ-INTERNAL' })
  t.match(unreachable('/x', failure('ERR_INVALID_ARG_TYPE')), { code: 'QZ-INTERNAL' })
  t.end()
})

t.test('a store without room names the disk that is full', (t) => {
  const store = new SqliteFile(':memory:', { prepare: 'create table kept (bytes blob)' })
  t.teardown(() => store.close())
  store.make('pragma max_page_count = 3')
  try {
    store.run('insert into kept values (zeroblob(1000000))')
    t.fail('there is no room')
  } catch (error) {
    t.match(unreachable('/x', error), { code: 'QZ-FOLDER-UNREACHABLE', message: /the disk of the data folder is full/ })
  }
  try {
    store.run('insert into nowhere values (1)')
  } catch (error) {
    t.match(unreachable('/x', error), { code: 'QZ-INTERNAL' })
  }
  t.end()
})

t.test('a mark that is damaged is named', async (t) => {
  const folder = freshFolder(t)
  mkdirSync(folder.path)
  writeFileSync(join(folder.path, ownerFile), '{')
  await t.rejects(requireFolder(folder), { code: 'QZ-FOLDER-UNREACHABLE', message: /\.qianzhi\.json.*damaged/ })
})
