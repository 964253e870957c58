/** What lies in a folder and nobody takes is told, with the reason. */
import { linkSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { folderChecks } from '../../../agent/folders/doctor.ts'
import { untakenFiles } from '../../../agent/folders/untaken.ts'
import { until } from '../../support/programs.ts'
import { FolderLine, rowSource } from './rows/line.ts'

t.test('names in another encoding, names that no pattern fits, subfolders, marks', async (t) => {
  const path = t.testdir({
    '村.csv': '',
    '镇.csv': '',
    '.hidden': '',
    'x.tmp': '',
    'a.csv.manifest.json': '',
    '村.csv.done': '',
    'old.csv.done': '',
  })
  for (const folder of ['done', 'rejected', 'empty', 'sub']) mkdirSync(join(path, folder))
  writeFileSync(join(path, 'sub', '村.csv'), '')
  writeFileSync(join(path, 'done', 'x.csv'), '')
  linkSync(join(path, '村.csv'), Buffer.concat([Buffer.from(join(path, '/')), Buffer.from([0xb4, 0xe5]), Buffer.from('.csv')]))
  const told = async (ready: 'stable' | 'done') =>
    (await untakenFiles({ path, ready }, [rowSource({ names: '村*.csv' })])).map(({ file, reason }) => `${file}: ${reason.en}`).toSorted()
  const always = [
    String.raw`\xB4\xE5.csv: its name is not UTF-8 (GBK, perhaps): rename it`,
    'sub: files in subfolders are not taken',
    '镇.csv: its name fits the files of no source',
  ]
  t.same(await told('stable'), always)
  t.same(await told('done'), [...always, 'old.csv.done: a mark without its file'].toSorted())
})

t.test('the status and doctor name them; doctor recommends marks', async (t) => {
  const line = new FolderLine(t, rowSource({ names: '*.csv' }))
  await line.start()
  await line.put('村.xlsx', '')
  await until('it is told', () => line.counts.get('villages')?.untaken?.[0]?.file === '村.xlsx')
  const checks = await folderChecks(line.folder, [line.source], [])
  t.match(
    checks.filter(({ name }) => ['files', 'capture'].includes(name)),
    [
      { name: 'capture', ok: true, en: /set ready: done/ },
      { name: 'files', ok: false, en: '村.xlsx: its name fits the files of no source' },
    ],
  )
})
