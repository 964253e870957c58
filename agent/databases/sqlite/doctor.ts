/** Whether a SQLite file can be a source and a target, and what its triggers do not see. */
import { furtherUniqueCheck } from '../bookkeeping/own-rows.ts'
import { codedError } from '../../../protocol/errors.ts'
import { onlyReads, type Check, type SinkTable, type SourceTable } from '../../database.ts'
import { readTable } from './catalog.ts'
import { SqliteCapture } from './capture.ts'
import { SqliteSinks } from './delivery.ts'
import type { Session } from './session.ts'

export async function diagnose(session: Session, sources: readonly SourceTable[], sinks: readonly SinkTable[]): Promise<Check[]> {
  const [version] = await session.rows('select sqlite_version()')
  const [journal] = await session.rows('pragma journal_mode')
  const wal = journal![0] === 'wal'
  const checks: Check[] = [
    { name: 'server', ok: true, zh: `SQLite ${String(version![0])}`, en: `SQLite ${String(version![0])}` },
    {
      name: 'journal',
      ok: wal,
      zh: wal ? 'WAL 日志：读写互不等待' : '不是 WAL 日志，读写会互相等待：请执行 setup，或 pragma journal_mode = wal',
      en: wal
        ? 'WAL: readers and writers do not wait'
        : 'no WAL: readers and writers wait for one another: run setup, or pragma journal_mode = wal',
    },
  ]
  for (const source of sources.filter((one) => !onlyReads(one))) checks.push(...(await sourceChecks(session, source)))
  for (const sink of sinks) {
    checks.push(await attempt(`sink ${sink.table}`, () => sinkCheck(session, sink)))
    checks.push(...furtherUniqueCheck(sink, (await readTable(session, sink.table))?.contested ?? []))
  }
  return checks
}

async function sourceChecks(session: Session, source: SourceTable): Promise<Check[]> {
  const capture = new SqliteCapture(session, [source])
  return [
    await attempt(`source ${source.table}`, async () => {
      await capture.checkTable(source)
      await capture.triggerFingerprint(source)
      return { zh: '触发器和队列齐全', en: 'its triggers and its queue are there' }
    }),
    {
      name: `capture ${source.table}`,
      ok: true,
      zh: '看不到：INSERT OR REPLACE 因其他唯一索引而删去的行（除非应用打开 recursive_triggers）；由定时对账发现',
      en: 'hidden: rows that INSERT OR REPLACE deletes because of another unique index (unless the application switches recursive_triggers on); the scheduled reconciliation finds them',
    },
  ]
}

async function sinkCheck(session: Session, sink: SinkTable): Promise<Pick<Check, 'zh' | 'en'>> {
  if (!(await readTable(session, sink.table))) return { zh: '首次接收时建立', en: 'it is made when the first rows come' }
  await new SqliteSinks(session).shapeOf(sink, 'live')
  return { zh: '已存在', en: 'it is there' }
}

async function attempt(name: string, look: () => Promise<Pick<Check, 'zh' | 'en'>>): Promise<Check> {
  try {
    return { name, ok: true, ...(await look()) }
  } catch (error) {
    const coded = codedError(error)
    return { name, ok: false, zh: coded.text('zh'), en: coded.text('en') }
  }
}
