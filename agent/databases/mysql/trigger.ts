/**
 * The triggers of one source and the procedure that writes their queue. All go through the one procedure: under `lock tables … write`, which a
 * restored mysqldump uses, a server refuses three triggers that each name the queue (1442), and the mark that should tell it as well.
 */
import { QianzhiError, reasonOf } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import { errorNumber, type Server, type Session } from './connection.ts'
import { accountOf } from './accounts.ts'
import { quoteName, quoteText } from './sql.ts'
import { cascadeMoments, type Cascade } from './cascades.ts'
import {
  cascadeTriggerName,
  ceilingTable,
  procedureName,
  queueName,
  safeName,
  triggerEvents,
  triggerName,
  type TriggerEvent,
} from './names.ts'
import type { Plan } from './plan.ts'
import type { ColumnReader } from './types.ts'

/** First argument of the procedure. */
export const writes = { entry: 0, mark: 1, nothing: 2 } as const

export function own(server: Server, name: string): string {
  return `${quoteName(server.database)}.${quoteName(name)}`
}

/** With rights of `definer` (the account that makes it where none is named). Procedure and triggers, in the order in which they are made. */
export function triggerStatements(plan: Plan, server: Server, cascades: readonly Cascade[], definer: string | undefined): string[] {
  const by = definer ? `definer = ${accountOf(definer)} ` : ''
  return [
    procedure(plan, server, by),
    ...triggerEvents.map((event) => trigger(plan, server, event, by)),
    ...cascades.flatMap((cascade) => cascadeTriggers(plan, server, cascade, by)),
  ]
}

/**
 * Writes a key down; whatever goes wrong becomes a mark ("snapshot needed") and the application's statement goes on. EXIT, not
 * CONTINUE: after a failed insert last_insert_id() is the application's own. `nothing` asks only whether its definer may.
 */
function procedure({ source: { resource }, keys }: Plan, server: Server, by: string): string {
  const queue = own(server, queueName(resource))
  const parameters = keys.map((_, i) => `in qz_k${i + 1} longtext character set utf8mb4`)
  const columns = keys.map((_, i) => `k${i + 1}`)
  return `create ${by}procedure ${own(server, procedureName(resource))} (in qz_what tinyint, ${parameters.join(', ')})
if qz_what = ${writes.nothing} then
insert into ${queue} (marked) select 1 from ${own(server, ceilingTable)} where false;
elseif qz_what = ${writes.mark} then
insert into ${queue} (marked) values (1);
else
begin
declare exit handler for sqlexception
begin
declare continue handler for sqlexception begin end;
insert into ${queue} (marked) values (1);
end;
insert into ${queue} (${columns.join(', ')}) values (${keys.map((_, i) => `qz_k${i + 1}`).join(', ')});
${aboveCeiling(resource, columns, server)}
end;
end if`
}

/**
 * Beyond the ceiling a transaction leaves one mark, if it sees no other. The ceiling is kept in the session, and read again only when
 * it seems passed: reading it for every row would cost, and could lock it against the agent.
 */
function aboveCeiling(resource: string, columns: readonly string[], server: Server): string {
  const queue = own(server, queueName(resource))
  const ceiling = `@${safeName(`qz_ceiling_${safeName(resource, 40)}`, 60)}`
  return `if last_insert_id() > ifnull(${ceiling}, 0) then
set ${ceiling} = (select ceiling from ${own(server, ceilingTable)} where queue = ${quoteText(queueName(resource))});
if last_insert_id() > ${ceiling} then
if exists (select 1 from ${queue} where id > ${ceiling} and marked = 1) then
delete from ${queue} where id = last_insert_id();
else
update ${queue} set marked = 1, ${columns.map((column) => `${column} = null`).join(', ')} where id = last_insert_id();
end if;
end if;
end if;`
}

function trigger(plan: Plan, server: Server, event: TriggerEvent, by: string): string {
  const { source, keys, table, catalog } = plan
  const name = own(server, procedureName(source.resource))
  const write = (row: 'OLD' | 'NEW') =>
    `call ${name}(${writes.entry}, ${keys.map((key) => key.keyText(`${row}.${quoteName(key.column)}`)).join(', ')});`
  const body = {
    insert: write('NEW'),
    delete: write('OLD'),
    update: `if ${keys.map(changed).join(' or ')} then\n${write('OLD')}\nend if;\n${write('NEW')}`,
  }[event]
  return `create ${by}trigger ${quoteName(catalog.database)}.${quoteName(triggerName(source.resource, event))} after ${event} on ${table} for each row
${guarded(plan, server, body)}`
}

/** What fails outside the procedure, such as a key that the server cannot convert, is a mark as well. */
function guarded({ source, keys }: Plan, server: Server, body: string): string {
  const mark = `call ${own(server, procedureName(source.resource))}(${[writes.mark, ...keys.map(() => 'null')].join(', ')});`
  return `begin
declare exit handler for sqlexception
begin
declare continue handler for sqlexception begin end;
${mark}
end;
${body}
end`
}

/** Byte by byte: a collation may hold `…002x` and `…002X`, or trailing spaces, for equal. */
function changed({ column, item }: ColumnReader): string {
  const name = quoteName(column)
  return item.type === 'text' ? `cast(OLD.${name} as binary) <> cast(NEW.${name} as binary)` : `OLD.${name} <> NEW.${name}`
}

/**
 * Rows that a foreign key changes fire no triggers: their keys are written down by triggers of the table whose change cascades, before it (they
 * are found there still), and after it where the key itself is changed. Where tables refer to one another in a circle only a mark is left.
 */
function cascadeTriggers(plan: Plan, server: Server, cascade: Cascade, by: string): string[] {
  const { source, keys, table } = plan
  const { from, links, event, circular } = cascade
  const at = `${quoteName(from.database)}.${quoteName(from.table)}`
  return cascadeMoments(cascade).map((moment) => {
    const row = moment === 'before' ? 'OLD' : 'NEW'
    const tables = links.map((link, i) => {
      const parent = i === links.length - 1 ? row : `c${i + 1}`
      const on = link.columns.map((column, k) => `c${i}.${quoteName(column)} = ${parent}.${quoteName(link.referenced[k]!)}`).join(' and ')
      return { name: i === 0 ? table : `${quoteName(link.database)}.${quoteName(link.table)}`, on }
    })
    const found = `from ${tables.map(({ name }, i) => `${name} c${i}`).join(', ')} where ${tables.map(({ on }) => on).join(' and ')}`
    const queue = own(server, queueName(source.resource))
    const texts = keys.map((key) => key.keyText(`c0.${quoteName(key.column)}`))
    const mark = `call ${own(server, procedureName(source.resource))}(${[writes.mark, ...keys.map(() => 'null')].join(', ')});`
    const write = circular
      ? `if exists (select 1 ${found}) then\n${mark}\nend if;`
      : `insert into ${queue} (${keys.map((_, i) => `k${i + 1}`).join(', ')}) select ${texts.join(', ')} ${found};`
    const moves = links
      .at(-1)!
      .referenced.map((column) => `not (OLD.${quoteName(column)} <=> NEW.${quoteName(column)})`)
      .join(' or ')
    const body = event === 'update' ? `if ${moves} then\n${write}\nend if;` : write
    const name = `${quoteName(from.database)}.${quoteName(cascadeTriggerName(server.database, source.resource, cascade, moment))}`
    return `create ${by}trigger ${name} ${moment} ${event} on ${at} for each row\n${guarded(plan, server, body)}`
  })
}

/** Why the triggers would make the application's statements fail; undefined where they would not. */
export async function probe(session: Session, { source: { resource }, keys }: Plan): Promise<LocalizedText | undefined> {
  try {
    await session.run(`call ${own(session.server, procedureName(resource))}(${[writes.nothing, ...keys.map(() => 'null')].join(', ')})`)
    return undefined
  } catch (error) {
    const cause = error instanceof QianzhiError ? error.cause : error
    if (![1044, 1142, 1143, 1227, 1370, 1449].includes(errorNumber(cause) ?? 0)) throw error
    const reason = reasonOf(cause)
    return {
      zh: `触发器的定义者已不存在或权限不足（${reason}），应用的写入会失败：请立即重新执行 setup`,
      en: `the definer of the triggers is gone or lacks rights (${reason}), so the application's writes fail: run setup again at once`,
    }
  }
}
