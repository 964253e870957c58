import type { Session } from './connection.ts'
import { errorNumber } from './errors.ts'
import { refused, type Plan } from './plan.ts'

/** Columns that this account reads through a mask (Dynamic Data Masking, 2016 and later; UNMASK on parts of a database from 2022 on). */
const maskedQuery = `select c.name from sys.masked_columns c where c.object_id = convert(int, @id) and c.is_masked = 1
  and coalesce(nullif(has_perms_by_name(@table, N'OBJECT', N'UNMASK', c.name, N'COLUMN'), 0), nullif(has_perms_by_name(@table, N'OBJECT', N'UNMASK'), 0),
    nullif(has_perms_by_name(db_name(), N'DATABASE', N'UNMASK'), 0)) is null`
/** Older and compatible servers have no such view. */
const noSuchView = 208

/** Throws QZ-SOURCE-TABLE where masks would be signed and delivered in the place of values. */
export async function requireUnmasked(session: Session, { source, catalog, columns }: Plan): Promise<void> {
  if (catalog.kind !== 'table') return
  const masked = await session.query(maskedQuery, { id: String(catalog.id), table: catalog.name }).catch((error: unknown) => {
    if (errorNumber(error) !== noSuchView) throw error
    return []
  })
  const list = columns
    .map(({ column }) => column)
    .filter((column) => masked.some(([name]) => String(name).toLowerCase() === column.toLowerCase()))
  if (list.length === 0) return
  const names = list.join(', ')
  throw refused(source, {
    zh: `本账号读到的 ${names} 是脱敏后的值：请授予 UNMASK`,
    en: `this account reads masks in the place of the values of ${names}: grant it UNMASK`,
  })
}
