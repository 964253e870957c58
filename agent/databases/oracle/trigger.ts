/** The trigger that writes the keys of changed rows down. */
import { quoteName, type Flavour } from './sql.ts'
import { sourceNames } from './names.ts'
import type { Plan } from './plan.ts'
import type { ColumnReader } from './types.ts'

/** One row per queue: the entry beyond which triggers leave only marks. */
export const ceilingTable = 'QZ_QUEUE'

/** Keys that a statement collects before they are written. */
const keysAtOnce = 1000

/**
 * A compound trigger: a statement's keys are collected and written at its end, in the application's transaction. It lies in the schema
 * of the queue and runs with that schema's rights; the table's owner and the application need none.
 *
 * Its statements are dynamic: a queue that somebody drops is then an error which is caught, where a trigger that names it would become
 * invalid and fail the application's statements. Whatever goes wrong becomes a mark ("snapshot needed"), and the statement goes on.
 *
 * Beyond the ceiling a statement leaves a mark if it sees none. It then holds a lock on the queue to its transaction's end, so that
 * `collapse`, which needs the queue for itself, cannot remove the mark before that transaction's rows can be read.
 *
 * The sequence is the queue's own: nobody else can ask for its CURRVAL.
 */
export function triggerStatement(plan: Plan, owner: string, flavour: Flavour): string {
  const { keys, catalog, source } = plan
  const names = sourceNames(source.resource)
  const own = (name: string) => `${quoteName(owner)}.${quoteName(name)}`
  const [queue, next] = [own(names.queue), `${own(names.sequence)}.nextval`]
  const columns = keys.map((_, i) => `k${i + 1}`)
  const text = flavour.unicode ? 'varchar2(4000)' : 'nvarchar2(2000)'
  return `create trigger ${own(names.trigger)}
for insert or update or delete on ${catalog.name}
compound trigger
  type texts is table of ${text} index by pls_integer;
${columns.map((column) => `  ${column} texts;`).join('\n')}
  n pls_integer := 0;
  failed boolean := false;
  procedure leave_mark is
  begin
    execute immediate 'insert into ${queue} (id, marked) values (${next}, 1)';
  exception when others then null;
  end leave_mark;
  procedure write_keys is
    many pls_integer := n;
    this_id number;
    last_id number;
  begin
    n := 0;
    execute immediate 'select ${next}, ceiling from ${own(ceilingTable)} where queue_name = ''${names.queue}''' into this_id, last_id;
    if this_id > last_id then
      execute immediate 'lock table ${queue} in row share mode';
      execute immediate 'insert into ${queue} (id, marked) select :1, 1 from dual where not exists (select 1 from ${queue} where marked = 1)' using this_id;
    else
      forall i in 1 .. many execute immediate 'insert into ${queue} (id, ${columns.join(', ')}) values (${next}, ${columns.map((_, i) => `:${i + 1}`).join(', ')})' using ${columns.map((column) => `${column}(i)`).join(', ')};
    end if;
  exception when others then leave_mark;
  end write_keys;
  after each row is
  begin
    if deleting or (updating and (${keys.map(changed).join(' or ')})) then
      n := n + 1;
${assignments(keys, 'old')}
    end if;
    if inserting or updating then
      n := n + 1;
${assignments(keys, 'new')}
    end if;
    if n >= ${keysAtOnce} then write_keys; end if;
  exception when others then failed := true;
  end after each row;
  after statement is
  begin
    if n > 0 then write_keys; end if;
    if failed then leave_mark; end if;
    failed := false;
  end after statement;
end;`
}

function assignments(keys: readonly ColumnReader[], row: 'old' | 'new'): string {
  return keys.map((key, i) => `      k${i + 1}(n) := ${key.select(`:${row}.${quoteName(key.column)}`)};`).join('\n')
}

/** Byte by byte: the application's session may compare texts by its language, without regard to case. */
function changed({ column, kind }: ColumnReader): string {
  const [before, after] = [`:old.${quoteName(column)}`, `:new.${quoteName(column)}`]
  if (!['text', 'ntext', 'char', 'nchar'].includes(kind)) return `${before} <> ${after}`
  return `nlssort(${before}, 'NLS_SORT=BINARY') <> nlssort(${after}, 'NLS_SORT=BINARY')`
}

/** Whether a trigger writes down these key columns, in this order: it was made for the version of the resource that there was then. */
export function writesKeys(body: string, keys: readonly Pick<ColumnReader, 'column'>[]): boolean {
  const found = [...new Set(Array.from(body.matchAll(/:(?:old|new)\."([^"]+)"/gi), ([, name]) => name!))]
  return found.length === keys.length && keys.every(({ column }, i) => found[i] === column)
}
