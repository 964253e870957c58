import { QianzhiError } from '../../../protocol/errors.ts'
import { actedBy, type Principal } from '../../access/principal.ts'
import type { Query } from '../../store/store.ts'
import { writeAudit } from '../../records/audit.ts'
import { change, type Registry } from '../../records/registry.ts'
import { conflict, notFound } from '../../records/refusals.ts'

/** A class of the national catalog guide: class (1 digit), item (2), sub-item (3), detail (up to 6). */
export interface Classification {
  code: string
  parent: string | null
  zh: string
  en: string
}

export function listClassifications({ store }: Registry): Promise<Classification[]> {
  return store.query<Classification>('select code, parent, zh, en from classification order by code')
}

/** Throws QZ-NOT-FOUND. */
export async function requireClassification(query: Query, code: string): Promise<Classification> {
  const [found] = await query<Classification>('select code, parent, zh, en from classification where code = $1', [code])
  if (!found) throw notFound('classification', code)
  return found
}

/** Adds a class below one that is there. The same again changes nothing. Throws QZ-REQUEST-INVALID, QZ-NOT-FOUND, QZ-CONFLICT. */
export async function addClassification(
  registry: Registry,
  principal: Principal,
  added: Omit<Classification, 'parent'>,
): Promise<Classification> {
  const parent = parentOf(added.code)
  return change(registry, async (query) => {
    await requireClassification(query, parent)
    const [row] = await query(
      'insert into classification (code, parent, zh, en) values ($1, $2, $3, $4) on conflict do nothing returning 1',
      [added.code, parent, added.zh, added.en],
    )
    const found = await requireClassification(query, added.code)
    if (found.zh !== added.zh) throw conflict('classification', added.code, found.zh)
    if (row)
      await writeAudit(query, {
        ...actedBy(principal),
        act: 'classification.add',
        object: `classification ${added.code}`,
        details: { ...added },
      })
    return found
  })
}

/** `000` as a sub-item stands for none in the official code, so it can be none itself. */
function parentOf(code: string): string {
  const parts = /^([1-9])([0-9]{2})(?:([0-9]{3})([0-9]{1,6})?)?$/.exec(code)
  if (!parts || parts[2] === '00' || parts[3] === '000') {
    throw new QianzhiError('QZ-REQUEST-INVALID', { reason: { zh: `分类编码 ${code} 无效`, en: `${code} is no classification code` } })
  }
  const [, top, item, subItem, detail] = parts
  return detail ? `${top}${item}${subItem}` : subItem ? `${top}${item}` : top!
}

/**
 * The official code of a resource by the national guide: class (1) + item (2) + sub-item (3) + detail, "/", sequence (6). A resource
 * that is classified no deeper than by item has sub-item 000. Null where it is not classified yet.
 */
export function catalogCode(classification: string | null, sequence: number | null): string | null {
  if (classification === null || sequence === null) return null
  return `${classification.padEnd(6, '0')}/${String(sequence).padStart(6, '0')}`
}

/** The next number within a class: none is given twice. */
export async function nextSequence(query: Query, classification: string): Promise<number> {
  const [row] = await query<{ last: number }>(
    'update classification set last_sequence = last_sequence + 1 where code = $1 returning last_sequence as last',
    [classification],
  )
  if (!row) throw notFound('classification', classification)
  return row.last
}
