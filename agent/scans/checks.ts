/** What `setup` and `doctor` say of a source that is only read: whether it can be read, and what its mode does not see. */
import { counted } from '../../protocol/localized.ts'
import { codedError } from '../../protocol/errors.ts'
import type { Check, Database, Reading, SourceTable } from '../database.ts'
import { watermarkColumn } from './watermark.ts'

/** The first tells whether the source can be read; what follows is to be known. */
export async function readingChecks(database: Database, source: SourceTable): Promise<Check[]> {
  const name = `source ${source.resource}`
  let reading: Reading | undefined
  try {
    reading = await database.openReading()
    await reading.checkTable(source)
    await reading.rowsAfter(source, null, 1)
    const checks = [
      { name, ok: true, zh: `${source.table} 可以读取`, en: `${source.table} can be read` },
      ...(source.capture === 'watermark' ? await watermarkChecks(reading, source) : [compareSees]),
      scheduleOf(source),
    ]
    return checks.map((check) => ({ ...check, name }))
  } catch (error) {
    const coded = codedError(error)
    return [{ name, ok: false, zh: coded.text('zh'), en: coded.text('en') }]
  } finally {
    await reading?.close()
  }
}

type Said = Omit<Check, 'name'>

async function watermarkChecks(reading: Reading, source: SourceTable): Promise<Said[]> {
  const { overlap } = source.scan!.watermark!
  const { item, column } = await watermarkColumn(reading, source)
  const unmarked = await reading.count({ ...source, rowFilter: [...(source.rowFilter ?? []), { column, value: null }] })
  const unit = ['integer', 'decimal'].includes(item.type) ? ['', ''] : [' 秒', ' s']
  return [
    {
      ok: true,
      zh: `watermark 看不到删除，看不到没有增大 ${column} 的修改，也看不到提交晚于重叠窗口（${overlap}${unit[0]}）的事务；需要发现这些时请用 compare`,
      en: `watermark sees neither deletes, nor changes that leave ${column} as it was, nor transactions that commit later than the overlap of ${overlap}${unit[1]}; compare sees them`,
    },
    {
      ok: unmarked === 0,
      zh: `${unmarked} 行的 ${column} 为空，其变化看不到`,
      en: `${counted(unmarked, 'row')} without ${column}: changes of such are not seen`,
    },
  ]
}

const compareSees: Said = {
  ok: true,
  zh: 'compare 定时全量比对，能发现增、删、改，看不到两次扫描之间出现又消失的状态；键上没有索引时每页都要排序整表，请建普通索引',
  en: 'compare reads everything at its schedule and finds inserts, updates and deletes, but no state that came and went between two scans; without an index over the key each page sorts the whole table: make an ordinary one',
}

function scheduleOf({ scan }: SourceTable): Said {
  const { schedule, timezone } = scan!
  return { ok: true, zh: `扫描时间：${schedule}（${timezone}）`, en: `scanned at: ${schedule} (${timezone})` }
}
