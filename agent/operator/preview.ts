import { answerLimits, fitting, type PreviewAnswer, type PreviewQuestion } from '../../protocol/asks.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import type { Policy } from '../../protocol/policy.ts'
import { checkSchema, deliverableItems, itemById, type Item } from '../../protocol/schema.ts'
import { keyTypes, valueFault } from '../../protocol/value.ts'
import { checkerOf } from '../outbound/item-checks.ts'
import type { SourceConfig } from '../config/config.ts'
import { engineOf } from '../databases/index.ts'
import type { Database, RowFault, SourceTable } from '../database.ts'
import { portableRows, searchedValue } from '../config/mapping.ts'
import { sourceTable } from '../config/tables.ts'

/**
 * Rows of a configured source as a batch of a grant of these items would carry them: read with all items that would be supplied, since
 * a row travels whole or not at all, then left with those granted and the key. Closed items are neither read (unless they are supplied)
 * nor shown. Throws QZ-NOT-FOUND where no source is configured for the resource, QZ-REQUEST-INVALID, and what the database refuses.
 */
export async function previewRows(
  sources: readonly SourceConfig[],
  databases: ReadonlyMap<string, Database>,
  policy: Policy | undefined,
  question: PreviewQuestion,
): Promise<PreviewAnswer> {
  const config = sources.find(({ resource }) => resource === question.resource)
  const database = config && databases.get(config.database)
  if (!config || !database)
    throw new QianzhiError('QZ-NOT-FOUND', { what: { zh: `sources 中的 ${question.resource}`, en: `sources: ${question.resource}` } })
  const schema = checkSchema(question.schema)
  const granted = deliverableItems(schema, question.items)
  const filter = checkFilter(question.filter ?? [], granted)
  const source = sourceTable(
    config,
    { schema, items: suppliedIds(question, policy), keep: 'store' },
    engineOf(config.database, database.options.url),
  )
  const read = (portableRows(source.columns) ?? ((rows) => rows))(
    await database.previewRows(source, { rows: question.rows, filter: searched(source, filter) }),
  )
  const { rows, faults, warned } = checkerOf(source)?.(read) ?? { ...read, warned: [] }
  const places = granted.map(({ id }) => source.columns.findIndex(({ item }) => item.id === id))
  const shown = rows.map((row) => places.map((place) => row[place]!))
  const told = fitting(shown, answerLimits.plain / 2)
  const left = new Set(rows.slice(0, told.length))
  return {
    items: granted.map(({ id }) => id),
    rows: told,
    faults: faults.map((fault) => shownFault(fault, granted)),
    warned: warned.filter((row) => left.has(row)).length,
    omitted: rows.length - told.length,
  }
}

/** The filter as the local columns hold its values. */
function searched({ columns }: SourceTable, filter: NonNullable<PreviewQuestion['filter']>): NonNullable<PreviewQuestion['filter']> {
  return filter.map(({ item, value }) => {
    const column = columns.find((mapped) => mapped.item.id === item)
    return { item, value: column ? searchedValue(column, value) : value }
  })
}

/** All open items, and the closed ones that this agent supplies now. */
function suppliedIds({ resource, schema }: PreviewQuestion, policy: Policy | undefined): string[] {
  const supplied = policy?.supply.find((supply) => supply.schema.resource === resource)?.items ?? []
  return schema.items.filter(({ id, openness }) => openness !== 'closed' || supplied.includes(id)).map(({ id }) => id)
}

function checkFilter(filter: NonNullable<PreviewQuestion['filter']>, granted: readonly Item[]): NonNullable<PreviewQuestion['filter']> {
  for (const { item: id, value } of filter) {
    const item = itemById({ items: [...granted] }, id)
    if (!item || !keyTypes.includes(item.type))
      throw new QianzhiError('QZ-REQUEST-INVALID', {
        reason: {
          zh: `filter：信息项 ${id} 不存在或不能用于筛选`,
          en: `filter: item ${id} is not there, or is of a type that cannot be filtered by`,
        },
      })
    const reason = valueFault(item, value)
    if (reason)
      throw new QianzhiError('QZ-REQUEST-INVALID', {
        reason: { zh: `filter：信息项 ${id} ${reason.zh}`, en: `filter: item ${id} ${reason.en}` },
      })
  }
  return filter
}

function shownFault({ key, code, item }: RowFault, granted: readonly Item[]): PreviewAnswer['faults'][number] {
  const named = item !== undefined && granted.some(({ id }) => id === item)
  return { key: [...key], code, ...(named && { item }) }
}
