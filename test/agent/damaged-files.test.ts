/** Each file that an agent keeps: empty, half, garbage, gone. It is named with its remedy, or is as good as none; nothing is taken in its place. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { QianzhiError } from '../../protocol/errors.ts'
import { Checkpoints } from '../../agent/hub/checkpoints.ts'
import { acceptedKeys, acceptKey } from '../../agent/gaps/outlet.ts'
import { carriedAgents, noteCarried } from '../../agent/gaps/carrier.ts'
import { callControl, openControl } from '../../agent/operator/control.ts'
import { SqliteFile } from '../../agent/runtime/sqlite-file.ts'
import { enrolledKey, openKey, openState } from '../../agent/runtime/state.ts'

const data = mkdtempSync(join(tmpdir(), 'qianzhi-agent-files-'))
t.teardown(() => rmSync(data, { recursive: true, force: true }))

const failed = (error: unknown): void => void t.fail(String(error))

/** How each is made, and read at the start. */
const files: Record<string, { make: () => void; read: () => unknown; gone: 'named' | 'as good as new'; empty?: 'as good as new' }> = {
  'agent.key': { make: () => openKey(data), read: () => enrolledKey(data), gone: 'named' },
  'state.json': { make: () => openState(data).write(), read: () => openState(data), gone: 'as good as new' },
  'audit.json': {
    make: () => {
      const checkpoints = new Checkpoints(data, failed)
      checkpoints.note({ seq: 1, hash: 'a'.repeat(64) }, '2026-11-22T00:00:00Z')
      checkpoints.flush()
    },
    read: () => new Checkpoints(data, failed),
    gone: 'as good as new',
  },
  'gap-keys.json': { make: () => acceptKey(data, 'back', 'key'), read: () => acceptedKeys(data), gone: 'as good as new' },
  'gap-carried.json': { make: () => noteCarried(data, 'back', 'agent'), read: () => carriedAgents(data), gone: 'as good as new' },
  'streams.db': {
    make: () => new SqliteFile(join(data, 'streams.db'), { prepare: 'create table if not exists t (x)' }).close(),
    read: () => new SqliteFile(join(data, 'streams.db'), { prepare: 'create table if not exists t (x)' }).close(),
    gone: 'as good as new',
    empty: 'as good as new',
  },
}

function read(file: string): string {
  try {
    files[file]!.read()
    return 'as good as new'
  } catch (error) {
    if (!(error instanceof QianzhiError) || error.code !== 'QZ-FILE-DAMAGED') return String(error)
    return error.details['file'] === join(data, file) && error.text('zh') && error.text('en') ? 'named' : 'without its name'
  }
}

for (const [file, { make, gone, empty }] of Object.entries(files)) {
  t.test(file, async (t) => {
    const path = join(data, file)
    make()
    const content = readFileSync(path)
    const outcome = (bytes: Buffer | string) => {
      writeFileSync(path, bytes)
      return read(file)
    }
    t.equal(outcome(content), 'as good as new', 'intact')
    t.equal(outcome(''), empty ?? 'named', 'empty')
    t.equal(outcome('x'.repeat(content.length)), 'named', 'garbage')
    if (!file.endsWith('.db'))
      for (const part of [0.3, 0.5, 0.9]) t.equal(outcome(content.subarray(0, content.length * part)), 'named', 'half')
    if (file.endsWith('.json')) t.equal(outcome('null'), 'named', 'no object')
    rmSync(path)
    t.equal(read(file), gone, 'gone')
    t.notOk(gone === 'named' && existsSync(path), 'none is made in its place')
    rmSync(path, { force: true })
  })
}

t.test('control.json is nobody’s where it is damaged, and written anew', async (t) => {
  for (const text of ['', '{"port":', 'null', '{}']) {
    writeFileSync(join(data, 'control.json'), text)
    t.equal(await callControl(data, 'ping'), undefined, text)
  }
  const control = await openControl(data, {})
  t.same(await callControl(data, 'ping'), {})
  await control.close()
})
