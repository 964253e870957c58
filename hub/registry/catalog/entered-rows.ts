/** What a catalog version that has its rows entered at the hub (Art. 15) would do to the rows that stand there: nothing may be lost unsaid. */
import { itemById, keyItems, type Item, type Schema } from '../../../protocol/schema.ts'
import type { Query } from '../../store/store.ts'
import { schemaOf, tablesOf, type ResourceTable } from '../../tables/records.ts'
import { quoted, tableName } from '../../tables/shape.ts'
import type { Entry } from './catalog.ts'
import type { DraftContent } from './content.ts'
import type { Fault } from './fault.ts'

export interface SupplyChange {
  agency: string
  /** The entry in force; undefined for a new resource. */
  before: Entry | undefined
  content: Pick<DraftContent, 'supplyMode' | 'keep' | 'sharing' | 'secrecy' | 'producer'> & { items: readonly Item[] }
}

/** All that keeps a change of supply mode, or of the form of rows that were entered, from being published. */
export async function supplyFaults(query: Query, { agency, before, content }: SupplyChange): Promise<Fault[]> {
  const { supplyMode, keep, sharing, secrecy, items } = content
  const entered = supplyMode !== undefined && supplyMode !== 'front-end'
  const wasEntered = before !== undefined && before.content.supplyMode !== 'front-end'
  if (!entered) return wasEntered && supplyMode !== undefined ? machineFaults(query, agency, content.producer) : []
  if (sharing === 'none' || secrecy) return []
  if (keep === 'relay') {
    return [
      {
        field: 'keep',
        item: null,
        zh: '在线表单录入、EXCEL导入的数据存储在中心：keep 应为 store',
        en: 'rows that people enter stand at the hub: keep must be store',
      },
    ]
  }
  if (!before) return []
  const { live } = await tablesOf(query, before.code)
  if (!live) return wasEntered || !(await hasStream(query, before.code)) ? [] : [notHere]
  const aside = wasEntered ? 0 : await countAside(query, live.id)
  const made = await schemaOf(query, before.code, live.version)
  return [...(aside > 0 ? [asideFault(aside)] : []), ...(await rowFaults(query, live, made, { items }))]
}

/** Where the agency has several machines, which one shall supply must be said: the stream's last producer is the hub. */
async function machineFaults(query: Query, agency: string, producer: string | undefined): Promise<Fault[]> {
  if (producer !== undefined) return []
  const [row] = await query<{ machines: number }>(`select count(*)::int as machines from agent where agency = $1 and state = 'active'`, [
    agency,
  ])
  if (row!.machines <= 1) return []
  return [
    {
      field: 'producer',
      item: null,
      zh: `改由前置机提供：本单位有 ${row!.machines} 台前置机，请在 producer 中写明由哪台提供`,
      en: `a machine is to supply it: your agency has ${row!.machines}, name the one in producer`,
    },
  ]
}

async function hasStream(query: Query, code: string): Promise<boolean> {
  return (await query('select from stream where resource = $1', [code])).length > 0
}

const notHere: Fault = {
  field: 'supplyMode',
  item: null,
  zh: '前置机所提供的数据行尚未完整存储在中心，改为在线表单录入或EXCEL导入会清空接收方的数据：请先登记 keep 为 store，待中心收齐后再改提供方式',
  en: 'the hub does not hold all rows that the machine supplied, and its receivers would lose theirs: register keep as store first, and change the supply mode when the hub has them',
}

async function countAside(query: Query, table: string): Promise<number> {
  const [row] = await query<{ aside: number }>('select count(*)::int as aside from resource_table_aside where resource_table = $1', [table])
  return row!.aside
}

function asideFault(aside: number): Fault {
  return {
    field: 'supplyMode',
    item: null,
    zh: `有 ${aside} 个主键的数据行未能存入中心的资源表，改为在线表单录入或EXCEL导入会丢失：请先在来源处更正`,
    en: `the rows of ${aside} keys could not be stored in the hub's table and would be lost: correct them at the source first`,
  }
}

/** Rows that a message names. */
const shown = 5

interface Found {
  rows: number
  /** Keys of some of them, as a message says them. */
  some: string
}

/** Under the new items two of the rows would be one, or some would lose a value. */
async function rowFaults(
  query: Query,
  live: ResourceTable,
  before: Pick<Schema, 'items'>,
  after: { items: readonly Item[] },
): Promise<Fault[]> {
  const find = (condition: string) => findRows(query, live, keyItems(before), condition)
  const faults: Fault[] = []
  const fail = (item: string, field: string, { rows, some }: Found, zh: string, en: string) => {
    if (rows === 0) return
    faults.push({
      field,
      item,
      zh: `信息项 ${item}：现有 ${rows} 行${zh}（${some}），请先更正`,
      en: `item ${item}: ${rows} of the rows that stand ${en} (${some}): correct them first`,
    })
  }
  for (const item of after.items) {
    const { id, type } = item
    const was = itemById(before, id)
    const held = live.items.includes(id)
    if (isRequired(item) && !(was && isRequired(was))) {
      const empty = held ? `${quoted(id)} is null or ${quoted(id)}::text = ''` : 'true'
      fail(id, item.key ? 'key' : 'required', await find(empty), '没有值', 'have no value')
    }
    const unfit = was && held ? unfitSql(was, item) : undefined
    if (unfit) fail(id, type === 'text' ? 'length' : 'scale', await find(unfit), '的值不符合新的形式', 'have a value that does not fit')
  }
  return [...faults, ...(await keyFaults(live, keyItems(before), keyItems({ items: [...after.items] }), find))]
}

async function keyFaults(
  live: ResourceTable,
  before: readonly Item[],
  after: readonly Item[],
  find: (condition: string) => Promise<Found>,
): Promise<Fault[]> {
  if (sameKeys(before, after) || !after.every(({ id }) => live.items.includes(id))) return []
  const key = after.map(({ id }) => quoted(id)).join(', ')
  const { rows, some } = await find(`(${key}) in (select ${key} from ${tableName(live.id)} group by ${key} having count(*) > 1)`)
  if (rows === 0) return []
  const ids = after.map(({ id }) => id)
  return [
    {
      field: 'key',
      item: null,
      zh: `以 ${ids.join('、')} 为主键，现有 ${rows} 行重复（现主键为 ${some}），请先更正或删除`,
      en: `with ${ids.join(', ')} as their key ${rows} of the rows that stand are not told apart (their keys now: ${some}): correct or delete some first`,
    },
  ]
}

async function findRows(query: Query, live: ResourceTable, keys: readonly Item[], condition: string): Promise<Found> {
  const [found] = await query<{ rows: number; keys: string[] }>(
    `select count(*)::int as rows, (array_agg(key order by key))[1:${shown}] as keys
     from (select concat_ws(' ', ${keys.map(({ id }) => quoted(id)).join(', ')}) as key from ${tableName(live.id)} where ${condition}) as r`,
  )
  const { rows, keys: some } = found!
  return { rows, some: rows === 0 ? '' : some.join('、') + (rows > some.length ? '…' : '') }
}

function isRequired({ key = false, required = key }: Item): boolean {
  return required
}

function sameKeys(before: readonly Item[], after: readonly Item[]): boolean {
  return new Set(before.map(({ id }) => id)).symmetricDifference(new Set(after.map(({ id }) => id))).size === 0
}

/** SQL: values of the old form that are none of the new one; undefined where each is. */
function unfitSql(before: Item, after: Item): string | undefined {
  const column = quoted(after.id)
  if (after.type === 'text') {
    const { length } = after
    return length !== undefined && (before.length === undefined || length < before.length) ? `length(${column}) > ${length}` : undefined
  }
  if (after.type !== 'decimal') return undefined
  const { precision = 38, scale = 0 } = after
  const narrower = precision - scale < (before.precision ?? 38) - (before.scale ?? 0) || scale < (before.scale ?? 0)
  return narrower ? `abs(${column}) >= 1e${precision - scale}::numeric or scale(trim_scale(${column})) > ${scale}` : undefined
}
