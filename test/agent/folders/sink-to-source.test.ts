/** Files that a sink wrote are read by a source as what the sink held: its own columns are no items, and deletes are deletes. */
import { copyFileSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { SinkFiles, SinkTable, SourceFiles } from '../../../agent/database.ts'
import { until } from '../../support/programs.ts'
import { schemaOf } from '../databases/conformance/fixture.ts'
import { FolderLine, rowSource } from './rows/line.ts'
import { apply, filesIn, filled, fileSink, manifestWhen, Stream } from './rows/sink-fixture.ts'
import { faultsOf, items, readRows, refusal, sourceOf } from './formats/fixture.ts'

t.setTimeout(120_000)
/** Two labels are the same: then files tell them apart by names. */
const schema = schemaOf([
  { id: 'id', type: 'text', length: 20, key: true, required: true },
  { id: 'name', type: 'text', length: 100, required: true, label: '名称' },
  { id: 'alias', type: 'text', length: 100, label: '名称' },
  { id: 'amount', type: 'decimal', precision: 12, scale: 2 },
  { id: 'issued', type: 'timestamptz' },
])
const row = (id: string, name: string): [string, string, null, string, string] => [id, name, null, '12.50', '2026-11-22T00:30:00Z']

/** A sink that has written a first file and one after an update, a delete and an insert; and a source that takes nothing yet. */
async function ends(t: Test, files: Partial<SinkFiles>, deletes: SinkTable['deletes'], source: Partial<SourceFiles>) {
  const sink = fileSink(schema, files, { deletes })
  const opened = await filled(t, sink)
  const stream = new Stream(schema)
  const line = new FolderLine(t, rowSource(source, schema.items))
  const ending = { csv: 'csv', jsonl: 'jsonl', excel: 'xlsx' }[files.format?.kind ?? 'csv']
  const name = (number: number, kind: 'whole' | 'changes') =>
    files.write === 'increments' ? `scjg.licence.00000${number}.${kind}.${ending}` : `scjg.licence.${ending}`
  return {
    line,
    /** @returns the file's name, once it holds this. */
    first: async () => {
      const change = stream.next([row('1', '甲'), row('2', '乙'), row('3', '丙')], { snapshot: 'only' })
      await apply(opened, sink, change)
      return (await manifestWhen(opened, name(1, 'whole'), ({ to }) => to.seq === change.to.seq)).file
    },
    second: async () => {
      const change = stream.next([row('1', '子'), row('2', '乙'), row('4', '丁')], { ops: ['u', 'd', 'u'] })
      await apply(opened, sink, change)
      return (await manifestWhen(opened, name(2, 'changes'), ({ to }) => to.seq === change.to.seq)).file
    },
    /** Puts the file and its manifest into the source's folder. */
    carry: (file: string) => {
      t.ok(filesIn(opened.folder).includes(`${file}.manifest.json`))
      for (const part of [file, `${file}.manifest.json`]) copyFileSync(join(opened.folder.path, part), join(line.folder.path, part))
    },
  }
}

const shown = (...rows: [string, string][]) =>
  rows.map(([id, name]) =>
    row(id, name)
      .map((value) => value ?? '∅')
      .join(' '),
  )
const before = shown(['1', '甲'], ['2', '乙'], ['3', '丙'])
const after = shown(['1', '子'], ['3', '丙'], ['4', '丁'])

for (const kind of ['csv', 'jsonl', 'excel'] as const) {
  const format = { kind, timezone: 'Asia/Shanghai' }
  for (const deletes of ['remove', 'mark'] as const) {
    for (const write of ['whole', 'increments'] as const) {
      t.test(`${kind}, ${write}, deletes: ${deletes}`, async (t) => {
        const headers = deletes === 'mark' ? 'names' : 'labels'
        const { line, first, second, carry } = await ends(t, { write, headers, format }, deletes, { whole: write === 'whole' })
        await line.start()
        carry(await first())
        await line.taken(1)
        await line.snapshot()
        t.same(line.rows(), before)
        carry(await second())
        await line.taken(2)
        t.equal(await line.drain(), 3)
        t.same(line.rows(), after)
        t.equal(line.counts.get('villages')!.refused, 0, 'a manifest is no file of rows')
      })
    }
  }

  t.test(`${kind}: changes are no whole table, whatever becomes of bad rows`, async (t) => {
    const { line, first, second, carry } = await ends(t, { write: 'increments', format }, 'mark', { whole: true, faults: 'accept' })
    await line.start()
    carry(await first())
    await line.taken(1)
    await line.snapshot()
    carry(await second())
    await line.refused(1)
    t.equal(await line.drain(), 0)
    t.same(line.rows(), before, 'nothing is taken for gone')
    const rejected = join(line.folder.path, 'rejected')
    const report = readdirSync(rejected).find((name) => name.endsWith('.report.csv'))!
    t.match(readFileSync(join(rejected, report), 'utf8'), /QZ-FILE.*整表文件不能有操作列.*a file of the whole table has no operations/s)
  })
}

t.test('rows that a whole table marks as deleted are gone, also those that nothing was known of', async (t) => {
  const line = new FolderLine(t, rowSource())
  await line.start()
  await line.put('1.csv', 'code,name,qz_deleted,qz_source\n1,东村,false,civil\n2,西村,true,civil\n')
  await line.taken(1)
  await line.snapshot()
  t.same(line.rows(), ['1 东村 ∅'])
  await line.put('2.csv', 'code,name,qz_deleted,qz_source\n1,东村,true,civil\n3,,true,civil\n4,南村,false,civil\n')
  await line.taken(2)
  await line.drain()
  t.same(line.rows(), ['4 南村 ∅'])
  await until('the source agrees', async () => (await line.capture!.count(line.source)) === 1)
})

t.test('what says two things, or nothing, is a fault of its row', async (t) => {
  const folder = t.testdir()
  const source = sourceOf([items.id, items.name])
  const read = await readRows(folder, 'a.csv', 'id,full_name,qz_op,qz_deleted\n1,甲,u,true\n2,乙,d,false\n3,丙,u,\n4,丁,d,true\n', source)
  const contradiction = '- - qz_op 与 qz_deleted 矛盾 / qz_op and qz_deleted contradict each other'
  t.same(faultsOf(read), [
    `2: ${contradiction}`,
    `3: ${contradiction}`,
    '4: - - qz_deleted：“”不是是或否 / qz_deleted: "" is not true or false',
  ])
  t.match(read[3], { op: 'd', key: ['4'], faults: [] })
  const json = await readRows(folder, 'a.jsonl', '{"id":"1","full_name":"甲","qz_source":"x","qz_deleted":true}\n', source)
  t.match(json, [{ op: 'd', key: ['1'], faults: [] }])
  const columns = [items.id, items.name].map((item) => ({ item, column: item.id === 'name' ? 'qz_source' : item.id }))
  t.match(
    await readRows(folder, 'b.csv', 'id,qz_source\n1,甲\n', sourceOf([items.id, items.name], { columns })),
    [{ row: ['1', '甲'] }],
    'unless an item comes from it',
  )
  t.match(await refusal(readRows(folder, 'c.csv', 'id,full_name,qz_deleted,qz_deleted\n', source)), /there twice/)
})
