import { counted } from '../../../protocol/localized.ts'
import { QianzhiError } from '../../../protocol/errors.ts'
import { writeWorkbook, type WrittenSheet } from '../../../protocol/excel/write.ts'
import { listEntries, type Entry } from './catalog.ts'
import { itemColumns, resourceColumns, type CatalogColumn, type ItemRow } from './sheets.ts'
import type { Registry } from '../../records/registry.ts'

export const resourceSheet = '信息资源 Resources'
export const itemSheet = '信息项 Items'

/** Resources of one workbook: what is written lies in memory. */
const maxResources = 5_000

/** The catalog of one agency, or of all, as a workbook that import reads again. Throws QZ-REQUEST-INVALID where it is too much for one. */
export async function exportCatalog({ store }: Registry, agency: string | null): Promise<Buffer> {
  const entries = await listEntries(store.query, agency)
  if (entries.length > maxResources) {
    const reason = {
      zh: `共 ${entries.length} 个资源，超过 ${maxResources} 个，请按单位导出`,
      en: `${counted(entries.length, 'resource')} are more than ${maxResources}: export agency by agency`,
    }
    throw new QianzhiError('QZ-REQUEST-INVALID', { reason })
  }
  return writeWorkbook({ sheets: sheets(entries, false) })
}

/** An empty workbook, with the columns that import takes, their notes and lists. */
export function catalogTemplate(): Promise<Buffer> {
  return writeWorkbook({ sheets: sheets([], true) })
}

function sheets(entries: readonly Entry[], template: boolean): WrittenSheet[] {
  return [
    sheet(
      resourceSheet,
      resourceColumns.filter(({ shownOnly }) => !template || !shownOnly),
      entries,
    ),
    sheet(itemSheet, itemColumns, entries.flatMap(itemRows)),
  ]
}

function itemRows({ code, schema, storedClosed, content }: Entry): ItemRow[] {
  return schema.items.map((item) => ({
    code,
    item,
    stored: storedClosed.includes(item.id),
    basis: content.exceptions.find((exception) => exception.item === item.id)?.basis ?? null,
  }))
}

function sheet<T>(name: string, columns: readonly CatalogColumn<T>[], rows: readonly T[]): WrittenSheet {
  return {
    name,
    columns: columns.map(({ headers: [zh], required, note, cell: { list } }) => ({
      header: required ? `${zh}*` : zh,
      ...(note !== undefined && { note }),
      ...(list && { list }),
    })),
    rows: rows.map((row) => columns.map(({ of, cell }) => cell.write(of(row)))),
  }
}
