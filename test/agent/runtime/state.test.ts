import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { openControl, callControl } from '../../../agent/operator/control.ts'
import { openKey, openState, requireIdentity, writeDurably } from '../../../agent/runtime/state.ts'
import { SqliteFile } from '../../../agent/runtime/sqlite-file.ts'
import { QianzhiError } from '../../../protocol/errors.ts'
import { smallDisk } from '../../support/small-disk.ts'

const fresh = () => mkdtempSync(join(tmpdir(), 'qianzhi-state-'))

t.test('the state file is written whole, for its owner only, and read back', async (t) => {
  const folder = fresh()
  const state = openState(folder)
  t.throws(() => requireIdentity(state), { code: 'QZ-NOT-ENROLLED' })
  state.data.identity = { agent: 'a', agency: 'b', urls: ['https://h'], hubKey: 'k' }
  state.write()
  t.equal(requireIdentity(openState(folder)).agent, 'a')
  t.equal(statSync(join(folder, 'state.json')).mode & 0o777, 0o600)
  writeDurably(join(folder, 'state.json'), '{}')
  t.equal(readFileSync(join(folder, 'state.json'), 'utf8'), '{}')
})

t.test('a resource may have the name of something of the language', async (t) => {
  const folder = fresh()
  for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty']) {
    t.notOk(openState(folder).data.pins[name], name)
    const state = openState(folder)
    state.data.pins[name] = ['key']
    state.write()
    t.same(openState(folder).data.pins[name], ['key'], name)
  }
})

t.test('the key is made once', async (t) => {
  const folder = fresh()
  t.equal(openKey(folder).publicKey, openKey(folder).publicKey)
  t.equal(statSync(join(folder, 'agent.key')).mode & 0o777, 0o600)
})

t.test('commands reach the running agent, with its secret only; a second agent is kept off the data folder', async (t) => {
  const folder = fresh()
  t.equal(await callControl(folder, 'ping'), undefined, 'nobody there')
  const control = await openControl(folder, {
    echo: (body) => body,
    fail: () => {
      throw new QianzhiError('QZ-NOT-FOUND', { what: 'x' })
    },
  })
  t.strictSame(await callControl(folder, 'echo', { name: '名' }), { name: '名' })
  await t.rejects(callControl(folder, 'fail'), { code: 'QZ-NOT-FOUND' })
  t.equal(await callControl(folder, 'nothing'), undefined)
  await t.rejects(openControl(folder, {}), { code: 'QZ-DATA-LOCKED' })
  const path = join(folder, 'control.json')
  const known = JSON.parse(readFileSync(path, 'utf8')) as { port: number }
  writeFileSync(path, JSON.stringify({ port: known.port, secret: 'wrong' }))
  t.equal(await callControl(folder, 'echo'), undefined, 'a wrong secret gets nothing')
  await control.close()
  t.equal(await callControl(folder, 'ping'), undefined)
})

t.test('a full disk below the data folder is told as that; a file that another program has, as that', (t) => {
  const prepare = 'create table if not exists a (b text)'
  const own = join(fresh(), 'own.db')
  const other = new DatabaseSync(own)
  other.exec('create table c (d); begin exclusive')
  t.throws(() => new SqliteFile(own, { prepare }), { code: 'QZ-DATA-LOCKED' })
  other.close()
  const disk = smallDisk(t, process.getuid!())
  if (disk) {
    disk.fill()
    t.throws(() => new SqliteFile(join(disk.folder, 'full.db'), { prepare }), { code: 'QZ-FOLDER-UNREACHABLE', message: /full|disk/ })
    disk.free()
  } else t.pass('no small disk', { skip: 'a tmpfs cannot be mounted here' })
  t.end()
})
