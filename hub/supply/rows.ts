/** One row at a time, as a person enters, corrects or deletes it. */
import { QianzhiError } from '../../protocol/errors.ts'
import { localTime } from '../../protocol/local-time.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import { positionOf, showPosition, type Position } from '../../protocol/position.ts'
import type { Value } from '../../protocol/value.ts'
import { actedBy, type Principal } from '../access/principal.ts'
import type { Store } from '../store/store.ts'
import { requireMode } from './entered-resource.ts'
import { historyOf, isBroughtAgain, type Bringing, type HistoryLine, type RowOp } from './entries.ts'
import type { Held, HubProducer, RowChange } from './producer.ts'
import { checkRow, requireSound, type EnteredRow, type ItemFault } from './row-faults.ts'

export interface WritingDeps {
  store: Pick<Store, 'query'>
  producer: Pick<HubProducer, 'write'>
}

export interface WrittenRow {
  /** Where it stands in the stream, `epoch/seq`: what the next change of it names as seen. */
  position: string
  warnings: ItemFault[]
}

export const thisRow: LocalizedText = { zh: '这一行', en: 'this row' }

/** Throws QZ-ROW-FORM with all that is wrong, QZ-CONFLICT where there is a row of this key. */
export function createRow(deps: WritingDeps, who: Principal, code: string, values: EnteredRow): Promise<WrittenRow> {
  return writeRow(deps, who, code, 'create', async (held) => {
    const checked = checkRow(held.resource, values)
    requireSound(checked)
    if (await held.row(keyOf(held, checked.values))) throw new QianzhiError('QZ-CONFLICT', { what: thisRow })
    return checked
  })
}

/** Items that are not given stay as they are. Throws QZ-ROW-FORM, QZ-NOT-FOUND, and QZ-REVISION where the row is not as it was seen. */
export function changeRow(deps: WritingDeps, who: Principal, code: string, values: EnteredRow, seen: string): Promise<WrittenRow> {
  return writeRow(deps, who, code, 'change', async (held) => {
    const now = await seenRow(deps, held, requireKey(held, values, false), seen)
    const checked = checkRow(held.resource, { ...now, ...values })
    requireSound(checked)
    return checked
  })
}

/** Throws QZ-ROW-FORM where the key is none, QZ-NOT-FOUND, QZ-REVISION. */
export function deleteRow(deps: WritingDeps, who: Principal, code: string, key: EnteredRow, seen: string): Promise<WrittenRow> {
  return writeRow(deps, who, code, 'delete', async (held) => {
    const values = requireKey(held, key, true)
    await seenRow(deps, held, values, seen)
    return { values, warnings: [] }
  })
}

async function writeRow(
  { producer }: WritingDeps,
  who: Principal,
  code: string,
  op: RowOp,
  decide: (held: Held) => Promise<{ values: RowChange['values']; warnings: ItemFault[] }>,
): Promise<WrittenRow> {
  const bringing: Bringing = { act: `row.${op}`, person: who.person, by: actedBy(who) }
  let warned: ItemFault[] = []
  const position = await producer.write(code, bringing, async (held) => {
    requireMode(held.resource, 'form')
    const { values, warnings } = await decide(held)
    warned = warnings
    return [{ op, values }]
  })
  return { position: showPosition(position), warnings: warned }
}

/** The key among values, in its canonical form. `alone`: and nothing else. Throws QZ-ROW-FORM. */
export function requireKey({ resource: { keys } }: Pick<Held, 'resource'>, values: EnteredRow, alone: boolean): Record<string, Value> {
  const given = alone ? values : Object.fromEntries(Object.entries(values).filter(([id]) => keys.some((item) => item.id === id)))
  const checked = checkRow({ items: keys }, given)
  requireSound(checked)
  return checked.values
}

function keyOf({ resource: { keys } }: Held, values: EnteredRow): string[] {
  return keys.map(({ id }) => values[id]!)
}

/** The row's values now. */
async function seenRow({ store }: WritingDeps, held: Held, key: EnteredRow, seen: string): Promise<EnteredRow> {
  const { resource, share } = held
  const isEntered = (id: string) => resource.items.some((item) => item.id === id)
  const texts = keyOf(held, key)
  const row = await held.row(texts)
  const position = row && positionOf(row.position)
  const [epoch = 0, seq = 0] = seen.split('/').map(Number)
  if (row && (showPosition(position) === seen || (await isBroughtAgain(store.query, resource.code, texts, { epoch, seq }, position!))))
    return Object.fromEntries(share.items.flatMap(({ id }, i) => (isEntered(id) ? [[id, row.values[i]!]] : [])))
  const [last] = await historyOf(store.query, resource.code, texts)
  if (!row && !last) throw new QianzhiError('QZ-NOT-FOUND', { what: thisRow })
  throw await changedSince(store, position, last)
}

/** Who did what with it: a line of its history, or, where an agent changed it, nobody who is known. */
async function changedSince(
  { query }: Pick<Store, 'query'>,
  position: Position | undefined,
  last: HistoryLine | undefined,
): Promise<QianzhiError> {
  const number = /^person (\d+)$/.exec(last?.by ?? '')?.[1]
  const [person] = number ? await query<{ name: string }>('select name from person where id = $1', [number]) : []
  return new QianzhiError('QZ-REVISION', {
    what: thisRow,
    by: person?.name ?? last?.by ?? '-',
    at: last ? localTime(last.at) : '-',
    event: last ? `row.${last.op}` : '-',
    revision: showPosition(position),
  })
}
