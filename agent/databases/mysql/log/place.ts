/**
 * Up to where the log is read, what is written down of it, and which servers, tables and keys it can be read for.
 *
 *     application's commit ──▶ binlog ──▶ LogReader (keys only) ──▶ queue ──▶ as with triggers
 *
 * `qz_log` holds up to where the queues have everything, and how often the thread was lost (`generation`): a log that was purged, begun anew,
 * or is another server's has let changes pass, so reading begins in a new generation, and with it every stream's snapshot, by way of the
 * fingerprint of what covers it. `qz_logged` holds which sources are read, since when (`since`: another one whenever there was a gap), by
 * which keys, and what covered a source before it was moved here from triggers, or back.
 */
import { createHash } from 'node:crypto'
import type { LocalizedText } from '../../../../protocol/localized.ts'
import { QianzhiError } from '../../../../protocol/errors.ts'
import type { SourceTable } from '../../../database.ts'
import { cascadesInto } from '../cascades.ts'
import type { RawValue, Server, Session } from '../connection.ts'
import { holds, readGrants } from '../grants.ts'
import type { Plan } from '../plan.ts'
import { quoteName, quoteText } from '../sql.ts'
import { LogDump } from './dump.ts'
import { LogEvents, type Place } from './events.ts'
import { keyValue } from './values.ts'

export const logTable = 'qz_log'
export const loggedTable = 'qz_logged'

export function logTables(server: Server): string[] {
  const key = (length: number) => `varchar(${length}) character set utf8mb4 collate ${server.binaryCollation}`
  const end = 'engine=InnoDB row_format=dynamic default character set utf8mb4'
  return [
    `create table if not exists ${quoteName(logTable)} (id tinyint not null primary key, server ${key(64)}, file ${key(512)}, place bigint, made bigint,
      generation bigint not null default 0, beat bigint not null default 0) ${end} comment='前置：日志位置'`,
    `create table if not exists ${quoteName(loggedTable)} (resource ${key(64)} not null primary key, since ${key(64)}, key_columns longtext,
      moved_from longtext, moved_to longtext) ${end} comment='前置：由日志采集的来源'`,
    `insert ignore into ${quoteName(logTable)} (id) values (1)`,
  ]
}

/** Privileges on the whole server; MySQL lists prepared transactions for those only who have the third. */
export function logPrivileges({ mariadb }: Server): string[] {
  return ['REPLICATION SLAVE', 'REPLICATION CLIENT', ...(mariadb ? [] : ['XA_RECOVER_ADMIN'])]
}

/** MariaDB's name of the second. */
function holdsAll(grants: Awaited<ReturnType<typeof readGrants>>, privilege: string): boolean {
  const names = privilege === 'REPLICATION CLIENT' ? [privilege, 'BINLOG MONITOR'] : [privilege]
  return names.some((name) => holds(grants, name, { database: '', name: '' }, []))
}

export async function heldLogPrivileges(session: Session): Promise<(privilege: string) => boolean> {
  const grants = await readGrants(session)
  return (privilege) => holdsAll(grants, privilege)
}

/** Which server's log it is: after a failover another one has the tables. */
export async function serverOf(session: Session): Promise<string> {
  const [row] = await session.rows(
    session.server.mariadb ? `select concat('server_id ', @@global.server_id)` : 'select @@global.server_uuid',
  )
  return String(row![0])
}

export interface LogStatus extends Place {
  only: string[]
  without: string[]
}

/** Where the log ends now. All that was committed stands before. */
export async function logStatus(session: Session): Promise<LogStatus> {
  const [major = 0, minor = 0] = session.server.version.split('.').map((part) => Number.parseInt(part, 10))
  const renamed = !session.server.mariadb && (major > 8 || (major === 8 && minor >= 2))
  const [row] = await session.rows(renamed ? 'show binary log status' : 'show master status')
  if (!row)
    throw new QianzhiError('QZ-DB-UNREACHABLE', {
      database: session.server.database,
      reason: { zh: 'log_bin 未开启', en: 'log_bin is off' },
    })
  const list = (text: RawValue = null) => (text === null || text === '' ? [] : String(text).split(','))
  return { file: String(row[0]), place: Number(row[1]), only: list(row[2]), without: list(row[3]) }
}

/** Less than zero where `a` lies before `b`. */
export function comparePlaces(a: Place, b: Place): number {
  return fileNumber(a) - fileNumber(b) || a.place - b.place
}

function fileNumber({ file }: Place): number {
  return Number(/\d+$/.exec(file)?.[0] ?? 0)
}

async function variables(session: Session, names: readonly string[]): Promise<Map<string, string>> {
  const rows = await session.rows(`show global variables where variable_name in (${names.map(quoteText).join(', ')})`)
  return new Map(rows.map(([name, value]) => [String(name).toLowerCase(), String(value)]))
}

/** Seconds for which the server keeps its log; 0: for ever. */
export async function keptSeconds(session: Session): Promise<number> {
  const found = await variables(session, ['binlog_expire_logs_seconds', 'expire_logs_days'])
  return Number(found.get('binlog_expire_logs_seconds') ?? 0) || 86_400 * Number(found.get('expire_logs_days') ?? 0)
}

const triggersInstead: LocalizedText = { zh: '或改用触发器（capture: triggers）', en: 'or take triggers (capture: triggers)' }

function settingWanted(found: string, settings: string, restart = false): LocalizedText {
  return {
    zh: `${found}：请 DBA 在配置文件 [mysqld] 中设置 ${settings}${restart ? ' 并重启服务器' : ''}，${triggersInstead.zh}`,
    en: `${found}: have the DBA set ${settings} under [mysqld]${restart ? ' and restart the server' : ''}, ${triggersInstead.en}`,
  }
}

/** Why a server's log cannot be read for tables of these databases; undefined where it can. */
export async function unreadableLog(session: Session, databases: readonly string[]): Promise<LocalizedText | undefined> {
  const found = await variables(session, ['log_bin', 'binlog_format', 'binlog_order_commits', 'binlog_storage_engine'])
  // On MySQL the format is ROW as it comes, and to set it is deprecated.
  if (found.get('log_bin') !== 'ON')
    return settingWanted('log_bin = OFF', `log_bin, server_id${session.server.mariadb ? ', binlog_format = ROW' : ''}`, true)
  const format = found.get('binlog_format')
  if (format !== undefined && format !== 'ROW') return settingWanted(`binlog_format = ${format}`, 'binlog_format = ROW')
  // Else a row may become visible after the entry of its key (reader.ts).
  if (found.get('binlog_order_commits') === 'OFF') return settingWanted('binlog_order_commits = OFF', 'binlog_order_commits = ON')
  if (found.get('binlog_storage_engine')) return unknownForm(`binlog_storage_engine = ${found.get('binlog_storage_engine')}`)
  return (await missingPrivileges(session)) ?? (await hiddenDatabase(session, databases))
}

function unknownForm(what: string): LocalizedText {
  return {
    zh: `${what}：不支持这种日志，请改用触发器（capture: triggers）`,
    en: `${what}: this form of log is not read, take triggers (capture: triggers)`,
  }
}

async function missingPrivileges(session: Session): Promise<LocalizedText | undefined> {
  const held = await heldLogPrivileges(session)
  const missing = logPrivileges(session.server).filter((privilege) => !held(privilege))
  if (missing.length === 0) return undefined
  const [own] = await session.rows('select current_user()')
  const [user, host] = String(own![0]).split('@')
  const grant = `grant ${missing.join(', ').toLowerCase()} on *.* to ${quoteText(user!)}@${quoteText(host ?? '%')}`
  return {
    zh: `账号缺少读取日志的权限：请 DBA 执行 ${grant}，${triggersInstead.zh}`,
    en: `the account may not read the log: have the DBA run ${grant}, ${triggersInstead.en}`,
  }
}

/** The database of the queues must be in the log too: their entries' place in it is what makes them come after the rows (reader.ts). */
async function hiddenDatabase(session: Session, databases: readonly string[]): Promise<LocalizedText | undefined> {
  const { only, without } = await logStatus(session)
  const hidden = [session.server.database, ...databases].find(
    (database) => without.includes(database) || (only.length > 0 && !only.includes(database)),
  )
  if (hidden === undefined) return undefined
  return {
    zh: `日志不含数据库 ${hidden}（binlog_do_db、binlog_ignore_db）：请 DBA 更改设置，${triggersInstead.zh}`,
    en: `the log leaves database ${hidden} out (binlog_do_db, binlog_ignore_db): have the DBA change that, ${triggersInstead.en}`,
  }
}

/** Why a table's keys cannot be told by the log; undefined where they can. */
export async function unloggedKeys(session: Session, plan: Plan): Promise<LocalizedText | undefined> {
  const { catalog, keys } = plan
  const old = catalog.columns.find(({ fullType }) => fullType.includes('mariadb-5.3'))
  if (old)
    return {
      zh: `列 ${old.column} 仍为旧的时间格式：请 DBA 执行 alter table ${plan.table} force，${triggersInstead.zh}`,
      en: `column ${old.column} has an old format of times: have the DBA run alter table ${plan.table} force, ${triggersInstead.en}`,
    }
  const unknown = keys.filter(
    (key) =>
      !keyValue(
        catalog.columns.find((one) => same(one.column, key.column))!,
        key,
      ),
  )
  if (unknown.length > 0) {
    const list = unknown.map(({ column }) => column).join(', ')
    return {
      zh: `键列 ${list} 的值无法从日志准确读出：请改用触发器（capture: triggers）`,
      en: `key column ${list}: its values cannot be told exactly from the log, take triggers (capture: triggers)`,
    }
  }
  const [cascade] = await cascadesInto(session, catalog)
  if (cascade) {
    const names = cascade.links.map(({ name }) => name).join(', ')
    return {
      zh: `外键级联（${names}）改动的行不在日志中：请改用触发器（capture: triggers）`,
      en: `rows that foreign keys change (${names}) are not in the log: take triggers (capture: triggers)`,
    }
  }
  return unloggedImage(session, plan)
}

/** Where rows are not logged whole, the old row has its primary key alone. */
async function unloggedImage(session: Session, { catalog, keys }: Plan): Promise<LocalizedText | undefined> {
  const image = (await variables(session, ['binlog_row_image'])).get('binlog_row_image') ?? 'FULL'
  if (image.startsWith('FULL')) return undefined
  const primary = catalog.allUniques.find(({ name }) => name === 'PRIMARY')?.columns ?? []
  if (keys.every(({ column }) => primary.some((name) => same(name, column)))) return undefined
  return settingWanted(`binlog_row_image = ${image}`, 'binlog_row_image = FULL')
}

const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()

/** A replica's number that is this database's own, above those that people give. */
export function replicaOf(session: Session, server: string): number {
  const hash = createHash('sha256').update(JSON.stringify(['qianzhi', server, session.server.database]))
  return (hash.digest().readUInt32LE(0) | 0x8000_0000) >>> 0
}

/** When the file at a place was made (seconds since 1970); throws where the server does not let it be read. */
export async function fileMade(session: Session, from: Place): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const nothing = (): void => {}
  const events = new LogEvents<never>(
    { ...from, place: 4 },
    {
      table: () => [],
      key: nothing,
      unknown: nothing,
      statement: nothing,
      branch: nothing,
      prepared: nothing,
      ended: nothing,
      boundary: nothing,
      brokeDown: nothing,
      gap: nothing,
      file: resolve,
    },
  )
  const server = await serverOf(session)
  const replica = replicaOf(session, `${server} at set-up`)
  const dump = await LogDump.start(
    { url: session.url, replica, from: { ...from, place: 4 }, once: true },
    {
      event: (bytes, at, to) => events.take(bytes, at, to),
      ended: (reason, number) =>
        reject(new QianzhiError('QZ-DB-UNREACHABLE', { database: session.server.database, reason }, { cause: number })),
    },
  )
  try {
    return await promise
  } finally {
    dump.close()
  }
}

/** Where the reading of a source begins that is set up now. */
export interface Beginning extends Place {
  server: string
  made: number
}

export async function beginning(session: Session): Promise<Beginning> {
  const { file, place } = await logStatus(session)
  const [server, made] = [await serverOf(session), await fileMade(session, { file, place })]
  return { server, file, place, made }
}

/**
 * Where no reading goes on already, it begins at a place before which the triggers still saw everything. One that goes on stands before it:
 * what it has not queued yet would be passed over.
 */
export function beginStatements(source: SourceTable, from: Beginning, since: string, keys: string): string[] {
  const [log, logged] = [quoteName(logTable), quoteName(loggedTable)]
  return [
    `update ${log} set server = ${quoteText(from.server)}, file = ${quoteText(from.file)}, place = ${from.place}, made = ${from.made}
      where not exists (select 1 from ${logged} where since is not null)`,
    `insert into ${logged} (resource, since, key_columns) values (${quoteText(source.resource)}, ${quoteText(since)}, ${quoteText(keys)})
      on duplicate key update since = values(since), key_columns = values(key_columns), moved_from = null, moved_to = null`,
  ]
}

/** The key that a source is read by. */
export function keysText(plan: Pick<Plan, 'keys'>): string {
  return JSON.stringify(plan.keys.map(({ column }) => column))
}

/** SQL of what covers the source of a row of `qz_logged`. */
export const coverageOfThis = `concat_ws(' ', 'log', (select generation from ${quoteName(logTable)}), since)`

/** SQL of what covers a source in this mode, null where nothing does. */
export function logCoverage(resource: string): string {
  return `(select ${coverageOfThis} from ${quoteName(loggedTable)} where resource = ${quoteText(resource)} and since is not null)`
}

export interface Logged {
  since: string | null
  keys: string
  movedFrom: string | null
  movedTo: string | null
}

/** What is written down of each source; nothing where no log was ever read, or the account may not see it. */
export async function loggedSources(session: Session): Promise<Map<string, Logged>> {
  const there = await session.rows(
    `select table_name from information_schema.tables where table_schema = database() and table_name in (${quoteText(logTable)}, ${quoteText(loggedTable)})`,
  )
  if (there.length < 2) return new Map()
  const rows = await session.rows(`select resource, since, key_columns, moved_from, moved_to from ${quoteName(loggedTable)}`)
  const text = (value: RawValue = null) => (value === null ? null : String(value))
  return new Map(
    rows.map(([resource, since, keys, from, to]) => [
      String(resource),
      { since: text(since), keys: String(keys), movedFrom: text(from), movedTo: text(to) },
    ]),
  )
}

export interface WrittenPlace extends Place {
  server: string
  made: number | null
}

export async function writtenPlace(session: Session): Promise<WrittenPlace | undefined> {
  const [row] = await session.rows(`select server, file, place, made from ${quoteName(logTable)} where file is not null`)
  if (!row) return undefined
  return { server: String(row[0]), file: String(row[1]), place: Number(row[2]), made: row[3] === null ? null : Number(row[3]) }
}

export function placeUpdate({ file, place }: Place, made: number): string {
  return `update ${quoteName(logTable)} set file = ${quoteText(file)}, place = ${place}, made = ${made}`
}

/** The thread is lost: what is read from now on covers no longer what it covered, also where triggers went on from it. */
export async function newThread(session: Session): Promise<WrittenPlace> {
  const { file, place } = await logStatus(session)
  const server = await serverOf(session)
  await session.transaction(async () => {
    await forgetPlace(session)
    await session.run(
      `update ${quoteName(logTable)} set server = ${quoteText(server)}, file = ${quoteText(file)}, place = ${place}, made = null`,
    )
  })
  return { server, file, place, made: null }
}

/** Nothing is read before a new thread begins. */
export async function forgetPlace(session: Session): Promise<void> {
  await session.run(`update ${quoteName(loggedTable)} set moved_from = null, moved_to = null`)
  await session.run(`update ${quoteName(logTable)} set generation = generation + 1, file = null where file is not null`)
}

/** Whoever reads in the place of a source's log reads it for others only: it misses what is passed over meanwhile. */
export async function leaveOut(session: Session, resources: readonly string[]): Promise<void> {
  if (resources.length === 0) return
  await session.run(
    `update ${quoteName(loggedTable)} set since = uuid(), moved_from = null, moved_to = null where resource in (${resources.map(quoteText).join(', ')})`,
  )
}

/** These are not read any more; what they were moved to goes on. */
export async function endReading(session: Session, resources: readonly string[]): Promise<void> {
  await session.run(`update ${quoteName(loggedTable)} set since = null where resource in (${resources.map(quoteText).join(', ')})`)
}

/** What stands after the place that is written down is not to be had. */
export class LostThread extends Error {}
